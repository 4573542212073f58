"""The page in a real browser: Chromium, with a microphone that plays a recording."""

from __future__ import annotations

import gzip
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx2
import mido
import numpy as np
import pytest
import soundfile

import audioseq as aq
from audioseq.files import shipped

sync = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")]

FLAGS = ("--no-sandbox", "--autoplay-policy=no-user-gesture-required")
MICROPHONE = (*FLAGS, "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
LOCAL = re.compile(r"http://127\.0\.0\.1:|blob:|data:")
PATIENCE = 90_000  # ms: the models load first


def voice(word, who="us-hugo"):
    return shipped("assets", "commands", word, f"{who}_nohash_0.flac")


def microphone_file(path, *parts):
    """Recordings with silence before, between and after, as Chromium's microphone plays them."""
    y = [np.zeros(12000, np.float32)]
    for part in parts:
        y += [aq.load(part, sr=16000)[0], np.zeros(12000, np.float32)]
    soundfile.write(path, np.concatenate(y), 16000, subtype="PCM_16")
    return path


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    """The command as a user types it; gives the address that it printed, and its folder."""
    work = tmp_path_factory.mktemp("work")
    command = [sys.executable, "-m", "audioseq", "studio", "--no-browser", "--port", "0", "--work", str(work)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=work)
    address = re.search(r"http://\S+", server.stdout.readline()).group()
    yield address, work
    server.terminate()
    _, errors = server.communicate(timeout=30)
    assert "Traceback" not in errors, errors


@pytest.fixture(scope="module")
def playwright():
    with sync.sync_playwright() as made:
        yield made


@pytest.fixture
def opened(studio, playwright):
    """A function that opens a view; afterwards no error was logged, and no request left this machine."""
    browsers, wrong = [], []

    def open_view(view, *, flags=MICROPHONE, file=None, **how):
        more = [] if file is None else [f"--use-file-for-fake-audio-capture={file}"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*flags, *more])
        browsers.append(browser)
        context = browser.new_context(**how)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        context.on("request", lambda asked: LOCAL.match(asked.url) or wrong.append(asked.url))
        page.goto(f"{studio[0]}#{view}")
        return page

    yield open_view
    for browser in browsers:
        browser.close()
    assert wrong == []


def listening(page):
    page.wait_for_selector("[data-test=listen]:not(:disabled)")
    page.click("[data-test=listen]")


def test_a_spoken_word_is_seen_and_marked(opened, studio, tmp_path):
    page = opened("listen", file=microphone_file(tmp_path / "mic.wav", voice("left"), voice("go")))
    listening(page)
    page.wait_for_selector("[data-test=events] li[data-label=left]")
    page.wait_for_selector("[data-test=events] li[data-label=go]")
    page.locator("[data-test=events] li[data-label=go] button").first.click()
    page.get_by_text(re.compile("kept as false alarm/")).wait_for()
    y, sr = soundfile.read(next((studio[1] / "marks" / "false alarm").glob("*.wav")))
    assert sr == 16000
    assert np.abs(y).max() > 0.01
    page.click("[data-test=map]")
    page.get_by_text(re.compile("its state now owes most to")).wait_for()


def test_a_lost_connection_comes_back_and_nothing_is_lost(opened, tmp_path):
    page = opened("listen", file=microphone_file(tmp_path / "mic.wav", voice("left"), voice("right")))
    page.evaluate(
        "() => { const W = WebSocket; window.sockets = [];"
        "window.WebSocket = class extends W { constructor(...a) { super(...a); window.sockets.push(this); } } }"
    )
    listening(page)
    page.wait_for_selector("[data-test=events] li")
    page.evaluate("() => window.sockets.at(-1).close()")
    page.get_by_text("The connection was lost").wait_for()
    before = page.locator("[data-test=events] li").count()
    page.wait_for_function("n => document.querySelectorAll('[data-test=events] li').length > n", arg=before)
    assert page.evaluate("() => window.sockets.length") == 2


def test_two_tabs_listen_at_once(opened, tmp_path):
    file = microphone_file(tmp_path / "mic.wav", voice("left"))
    first = opened("listen", file=file)
    second = first.context.new_page()
    second.goto(first.url)
    for page in (first, second):
        listening(page)
    for page in (first, second):
        page.wait_for_selector("[data-test=events] li[data-label=left]", timeout=PATIENCE)


def test_five_recordings_and_the_sixth_is_recognised(opened, tmp_path):
    page = opened("teach", file=microphone_file(tmp_path / "mic.wav", voice("stop")))
    page.wait_for_selector("[data-test=enroll]:not(:disabled)")
    page.fill("[data-test=word]", "stop")
    page.click("[data-test=record-five]")
    page.wait_for_selector("[data-test=words] [data-word=stop][data-takes='5']")
    page.fill("[data-test=name]", "mine")
    page.click("[data-test=enroll]")
    page.get_by_text("mine knows stop").wait_for()
    with page.expect_download() as got:
        page.click("[data-test=download-keras]")
    assert aq.load_model(got.value.path().rename(tmp_path / "mine.keras")).class_names[-1] == "stop"
    # a conversion takes half a minute, and tests/exports has it; here it is what the page makes of the answers
    page.route("**/api/models/mine/litert", lambda route: route.fulfill(body=b"a step"))
    with page.expect_download() as got:
        page.click("[data-test=download-litert]")
    assert got.value.suggested_filename == "mine.tflite"
    page.get_by_text("mine.tflite gives the model's scores").wait_for()
    page.route(
        "**/api/models/mine/web", lambda route: route.fulfill(status=409, json={"error": "there is no Chromium"})
    )
    page.click("[data-test=download-web]")
    page.get_by_text("there is no Chromium").wait_for()
    page.get_by_text("Download the web page, not compared").wait_for()
    page.click("#tab-listen")
    page.select_option("[data-test=model]", "mine")
    listening(page)
    page.wait_for_selector("[data-test=events] li[data-label=stop]")
    page.click("#tab-teach")
    page.click("text=remove all of stop")


def test_a_recording_becomes_notes_and_goes_to_the_composer(opened):
    page = opened("transcribe")
    page.wait_for_selector("[data-test=record]:not(:disabled)")
    page.set_input_files("#transcribe [data-test=file]", shipped("assets", "transcription", "example.flac"))
    page.get_by_text(re.compile(r"example.flac: \d+ notes in 0:21")).wait_for()
    notes = int(re.search(r"(\d+) notes", page.inner_text("[data-test=notes]")).group(1))
    page.click("[data-test=to-composer]")
    page.wait_for_selector("#compose:not([hidden]) canvas")
    assert str(notes) in page.inner_text("[data-test=note-count]")


def test_a_broken_file_is_named_and_ends_nothing(opened, tmp_path):
    (tmp_path / "broken.wav").write_bytes(b"RIFF nothing")
    page = opened("listen")
    page.wait_for_selector("[data-test=listen]:not(:disabled)")
    page.set_input_files("#listen [data-test=file]", tmp_path / "broken.wav")
    page.get_by_text(re.compile("broken.wav: .*cannot be read as audio")).wait_for()
    page.set_input_files("#listen [data-test=file]", voice("left"))
    page.wait_for_selector("[data-test=found]")


def test_a_microphone_that_is_not_allowed_is_explained(opened):
    page = opened("listen", flags=(*FLAGS, "--use-fake-device-for-media-stream", "--deny-permission-prompts"))
    listening(page)
    page.get_by_text("The microphone is not allowed").first.wait_for()


def test_without_the_token_the_page_says_where_to_find_it(opened, studio):
    page = opened("listen")
    page.goto(studio[0].partition("?")[0])
    page.get_by_text("open the page by the address that").first.wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", ["listen", "teach", "compose", "transcribe"])
def test_nothing_serious_stands_in_the_way_of_a_screen_reader(opened, view, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed").Axe()
    page = opened(view, color_scheme=scheme, viewport={"width": 390 if scheme == "dark" else 1280, "height": 844})
    page.wait_for_selector(f"#{view} button")
    page.get_by_text("on this machine alone").wait_for()
    found = axe.run(page).response["violations"]
    serious = {one["id"]: one["nodes"][0]["html"] for one in found if one["impact"] in ("serious", "critical")}
    assert serious == {}
    width = page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
    assert width <= 0  # nothing lies beyond the right edge


def test_work_ends_when_who_asked_has_gone(studio):
    """A request that takes minutes is given up, so that the next one, which waits for it, is answered."""
    address, token = studio[0].split("/?token=")
    with httpx2.Client(base_url=address, headers={"X-Audioseq-Token": token}, timeout=60) as client:
        while "loading" in client.get("/api/models").text:
            client.get("/api/choices")
        with pytest.raises(httpx2.ReadTimeout):
            client.post("/api/compose/generate", json={"bars": 512, "count": 8}, timeout=3)
        assert client.post("/api/classify", content=voice("left").read_bytes()).status_code == 200


def test_tabs_are_walked_by_the_keyboard(opened):
    page = opened("listen")
    page.focus("#tab-listen")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("#teach:not([hidden])")
    assert page.evaluate("() => document.activeElement.id") == "tab-teach"
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector("#listen:not([hidden])")


def test_the_page_is_small():
    page = Path(aq.__file__).parent / "studio" / "page"
    size = sum(len(gzip.compress(path.read_bytes())) for path in page.rglob("*") if path.is_file())
    assert 10_000 < size < 400_000


# ------------------------------------------------------------------------------------------------------ compose

LEVEL = (  # of what sounds now
    "() => { const a = audioseqPlayer.analyser, x = new Float32Array(a.fftSize);"
    "a.getFloatTimeDomainData(x); return Math.max(...x.map(Math.abs)); }"
)
ROLL = {"x": 48 + 38 * 2, "y": 26 + 13 * 9}  # in the first bar, of the canvas


def stored(page):
    """The piece as the page keeps it."""
    page.wait_for_timeout(400)
    return json.loads(page.evaluate("() => localStorage.getItem('audioseq.piece')"))


def begun(opened, **how):
    page = opened("compose", **how)
    page.get_by_text("on this machine alone").wait_for()
    page.click("[data-test=tune]")
    page.wait_for_function("() => /^[1-9]/.test(document.querySelector('[data-test=note-count]').textContent)")
    return page


def count(page):
    return int(re.match(r"\d+", page.inner_text("[data-test=note-count]")).group())


def test_notes_are_drawn_and_undone(opened):
    page = opened("compose")
    page.get_by_text("on this machine alone").wait_for()
    page.click("[data-test=roll]", position=ROLL, force=True)
    assert count(page) == 1
    (note,) = stored(page)["notes"]
    assert 36 <= note[0] <= 96
    page.keyboard.press("Control+z")
    assert count(page) == 0
    page.keyboard.press("Control+Shift+z")
    assert stored(page)["notes"] == [note]
    page.click("[data-test=select-all]")
    page.focus("[data-test=roll]")
    page.keyboard.press("Shift+ArrowUp")
    assert stored(page)["notes"][0][0] == note[0] + 12
    page.keyboard.press("Delete")
    assert count(page) == 0


def test_what_is_played_sounds_in_time(opened):
    page = begun(opened)
    piece = stored(page)
    page.click("[data-test=play]")
    page.wait_for_function("() => window.audioseqPlayer?.playing && window.audioseqPlayer.scheduled.length > 3")
    levels, ahead = [], []
    for _ in range(20):
        page.wait_for_timeout(50)
        levels.append(page.evaluate(LEVEL))
    assert max(levels) > 0.01
    ahead = page.evaluate("() => audioseqPlayer.scheduled.map(({ when, begin }) => [when, begin])")
    tempo, resolution = piece["tempos"][0][1] / 1e6, piece["resolution"]
    onsets = sorted({note[3] * tempo / resolution for note in piece["notes"]})
    begins = sorted({round(begin, 4) for _, begin in ahead})
    assert all(min(abs(begin - onset) for onset in onsets) < 0.005 for begin in begins)
    offsets = [when - begin for when, begin in ahead]
    assert max(offsets) - min(offsets) < 0.005  # on the clock of the sound card


def test_suggestions_are_taken_and_files_are_those_of_the_roll(opened):
    page = opened("compose")
    page.get_by_text("on this machine alone").wait_for()
    page.click("[data-test=ideas]")
    page.locator("[data-test=suggestion]").nth(3).wait_for()
    page.locator("[data-test=suggestion-take]").nth(1).click()
    piece = stored(page)
    assert len(piece["tracks"]) == 4
    for kind in ("mid", "wav", "png"):
        with page.expect_download() as got:
            page.click(f"[data-test=save-{kind}]")
        data = got.value.path().read_bytes()
        if kind == "mid":
            midi = data
            tracks = mido.MidiFile(file=io.BytesIO(data)).tracks
            assert sum(m.type == "note_on" and m.velocity > 0 for t in tracks for m in t) == len(piece["notes"])
        elif kind == "wav":
            y, sr = soundfile.read(io.BytesIO(data))
            assert len(y) / sr > 5
            assert np.abs(y).max() > 0.05
        else:
            assert data.startswith(b"\x89PNG")
    page.keyboard.press("Control+z")
    page.set_input_files("[data-test=open-midi]", {"name": "a.mid", "mimeType": "audio/midi", "buffer": midi})
    page.wait_for_function(
        "n => document.querySelector('[data-test=note-count]').textContent.startsWith(`${n} `)", arg=len(piece["notes"])
    )
    page.reload()
    page.get_by_text("on this machine alone").wait_for()
    assert count(page) == len(piece["notes"])


def test_bars_are_filled_and_the_rest_stays(opened):
    page = opened("compose")
    page.get_by_text("on this machine alone").wait_for()
    page.click("[data-test=ideas]")
    page.locator("[data-test=suggestion-take]").first.click()
    before = stored(page)
    page.evaluate("() => scrollTo(0, 0)")  # else the ruler may be under the head of the page
    box = page.locator("[data-test=roll]").bounding_box()
    page.mouse.move(box["x"] + 48 + 38 * 4.5, box["y"] + 10)
    page.mouse.down()
    page.mouse.move(box["x"] + 48 + 38 * 7.5, box["y"] + 10, steps=4)
    page.mouse.up()
    page.click("[data-test=make-fill]")
    page.evaluate("() => document.querySelectorAll('[data-test=suggestion]').forEach((old) => old.remove())")
    page.click("[data-test=make]")
    page.locator("[data-test=suggestion]").nth(3).wait_for()
    page.locator("[data-test=suggestion-take]").first.click()
    after = stored(page)
    bar = 4 * before["resolution"]
    outside = {tuple(n) for n in before["notes"] if n[4] <= bar or n[3] >= 2 * bar}
    assert outside <= {tuple(n) for n in after["notes"]}
    assert {tuple(n) for n in after["notes"]} != {tuple(n) for n in before["notes"]}


def test_an_accompaniment_leaves_the_other_tracks(opened):
    page = begun(opened)
    before = stored(page)
    page.click("[data-test=make-accompany]")
    page.click("[data-test=make]")
    page.locator("[data-test=suggestion-take]").first.click()
    after = stored(page)
    assert len(after["tracks"]) > len(before["tracks"]) == 2
    bass = [n for n in before["notes"] if n[2] == 1]
    at = [track["name"] for track in after["tracks"]].index("Bass", 1)
    resolution = after["resolution"] / before["resolution"]
    kept = sorted([n[0], n[1], n[3] / resolution, n[4] / resolution] for n in after["notes"] if n[2] == at)
    assert kept == sorted([n[0], n[1], n[3], n[4]] for n in bass)


def test_notes_are_erased_and_tracks_muted(opened):
    page = begun(opened)
    page.click("[data-part=mute-0]")
    page.click("[data-part=mute-1]")
    page.click("[data-test=play]")
    page.wait_for_timeout(1000)
    silent = max(page.evaluate(LEVEL) for _ in range(10))
    page.click("[data-part=mute-1]")
    page.wait_for_function(f"() => ({LEVEL})() > 0.01")
    assert silent < 1e-4
    page.click("[data-test=play]")
    page.click("[data-test=clear]")
    page.click("[data-test=roll]", position=ROLL, force=True)
    page.click("[data-test=tool-erase]")
    page.click("[data-test=roll]", position=ROLL, force=True)
    assert count(page) == 0


def test_a_piece_shows_what_the_network_remembers_of_it(opened):
    page = begun(opened)
    page.click("[data-test=memory]")
    page.wait_for_function("() => document.querySelector('[data-test=memory-text]').textContent.length > 20")
