"""A recogniser as a folder that runs in a browser: the numbers and words of Keras, and nothing sent away."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest
import soundfile

import audioseq as aq
from audioseq.exports.parity import ExportError, ParityError
from audioseq.files import shipped
from audioseq.speech.detector import Detector
from audioseq.studio import web

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
slow = pytest.mark.slow


@pytest.fixture(scope="module")
def model():
    return aq.load_model(shipped("assets", "speech", "model.keras"))


@pytest.fixture(scope="module")
def clips(model):
    """Recordings to compare on."""
    paths = sorted(shipped("assets", "commands").glob("*/us-hugo_nohash_0.flac"))
    return np.stack([aq.audio.fit_length(aq.load(path, sr=model.sr)[0], model.n_samples) for path in paths])


@pytest.fixture(scope="module")
def runtime():
    """LiteRT.js, out of the cache or by npm; without both, what needs it skips."""
    try:
        return web.runtime_folder()
    except ExportError as error:
        pytest.skip(f"LiteRT.js cannot be had: {error}")


@pytest.fixture(scope="module")
def site(model, clips, runtime, tmp_path_factory):
    """The folder, and its report."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine")
    folder = tmp_path_factory.mktemp("web") / "site"
    return folder, web.export_site(model, folder, clips=clips, runtime=runtime)


@pytest.fixture(scope="module")
def spoken():
    parts = [np.zeros(16000, np.float32)]
    for word in ("left", "right", "go", "up"):
        parts += [aq.load(shipped("assets", "commands", word, "us-hugo_nohash_0.flac"), sr=16000)[0]]
        parts += [np.zeros(12000, np.float32)]
    return np.concatenate(parts)


@slow
def test_scores_are_those_of_keras_and_the_page_is_small(site):
    folder, report = site
    assert report.parity <= 1e-4
    assert report.gzip_bytes <= 5_000_000
    assert report.block_ms == 40
    about = json.loads((folder / "model.json").read_text())
    assert about["sr"] == 16000
    assert "Apache" in (folder / "litert" / "NOTICE.txt").read_text()


@slow
def test_a_file_gives_the_words_of_the_detector_and_nothing_is_sent(site, model, spoken, tmp_path):
    soundfile.write(tmp_path / "spoken.wav", spoken, 16000)
    with web.in_browser(site[0]) as (page, asked):
        page.set_input_files("[data-test=file]", tmp_path / "spoken.wav")
        page.get_by_text(re.compile(r"spoken.wav: \d+ words")).wait_for()
        found = page.evaluate(
            "() => [...document.querySelectorAll('[data-test=events] li')].map((e) => e.dataset.label)"
        )
        (tmp_path / "broken.wav").write_bytes(b"nothing")
        page.set_input_files("[data-test=file]", tmp_path / "broken.wav")
        page.get_by_text("broken.wav: cannot be read as audio").wait_for()
        assert all(re.match(r"http://127\.0\.0\.1:|blob:|data:", url) for url in asked)
    detector = Detector(model, threshold=0.8)
    expected = detector.push(np.concatenate([spoken, np.zeros(16000, np.float32)]))
    assert found[::-1] == [event.label for event in expected]
    assert len(expected) >= 2


@slow
def test_its_detector_is_the_detector(site, model):
    """On scores that rise and fall at random, in a browser and in Python."""
    rng = np.random.default_rng(0)
    detector = Detector(model, threshold=0.4)
    walk = np.repeat(3.5 * rng.standard_normal((200, 14)), 15, axis=0) + rng.standard_normal((3000, 14))
    scores = np.exp(walk - walk.max(axis=1, keepdims=True))
    scores = (scores / scores.sum(1, keepdims=True)).astype(np.float32)
    expected = detector.events_of(scores)
    assert len(expected) > 20
    code = """async ([rows, about]) => {
      const { Picker } = await import("./detector.js");
      const picker = new Picker(about, Object.fromEntries(about.class_names.map((name) => [name, 0.4])));
      return rows.flatMap((row) => picker.push(row));
    }"""
    about = json.loads((site[0] / "model.json").read_text())
    with web.in_browser(site[0]) as (page, _):
        found = page.evaluate(code, [scores.astype(float).tolist(), about])
    assert [one["label"] for one in found] == [one.label for one in expected][: len(found)]
    assert len(found) >= len(expected) - 1  # the last may still be rising
    for name in ("start", "end", "score", "detected"):
        np.testing.assert_allclose(
            [o[name] for o in found], [getattr(e, name) for e in expected][: len(found)], atol=1e-5
        )


@slow
def test_a_page_that_gives_other_scores_is_refused(model, clips, runtime, tmp_path, monkeypatch):
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine")
    copy = web._copy_page

    def wrong(folder):
        copy(folder)
        worker = folder / "worker.js"
        sent = 'postMessage({ type: "scores", rows'
        worker.write_text(worker.read_text().replace(sent, f"rows[3][0] += 0.01; {sent}"))

    monkeypatch.setattr(web, "_copy_page", wrong)
    with pytest.raises(ParityError, match="in the browser differ"):
        web.export_site(model, tmp_path / "site", clips=clips, runtime=runtime)
    assert not (tmp_path / "site").exists()


@slow
@pytest.mark.long
def test_without_a_browser_it_is_written_on_request_alone(model, clips, runtime, tmp_path, monkeypatch):
    monkeypatch.setattr(web, "_chromium", lambda: None)
    with pytest.raises(ExportError, match="--unchecked"):
        web.export_site(model, tmp_path / "site", runtime=runtime)
    report = web.export_site(model, tmp_path / "site", clips=clips, runtime=runtime, unchecked=True)
    assert report.parity is None
    assert (tmp_path / "site" / "model.tflite").stat().st_size > 10_000


def test_what_is_there_is_not_replaced(model, tmp_path):
    (tmp_path / "site").mkdir()
    with pytest.raises(ExportError, match="is there already"):
        web.export_site(model, tmp_path / "site", unchecked=True)


def test_another_runtime_is_named(tmp_path):
    with pytest.raises(ExportError, match=r"has no core/dist/index.js"):
        web.runtime_folder(tmp_path)


def test_without_npm_it_says_what_is_needed(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ExportError, match="--runtime DIR"):
        web.runtime_folder()


def test_an_archive_that_is_another_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(web.subprocess, "run", lambda *a, cwd, **k: (cwd / "x.tgz").write_bytes(b"x") and DONE)
    with pytest.raises(ExportError, match="SHA-256 is"):
        web._fetch("npm", "@litertjs/core@2.5.3", "0" * 64, tmp_path, tmp_path)


class DONE:
    returncode, stdout = 0, "x.tgz\n"
