"""Each fault, planted in a clean folder, is found, and nothing else is."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import soundfile
from conftest import SHARED

import audioseq as aq
from audioseq.files import FolderError

SR = 16000
NAME = "left/voicec_nohash_0.wav"


def found(folder, **options):
    """Kinds of findings, with their files and classes."""
    report = aq.doctor.examine(folder, labels=False, **options)
    return {finding.kind: {*finding.files, *finding.evidence} for finding in report.findings}


def sound(folder, name=NAME):
    return soundfile.read(folder / name, dtype="float32")[0]


def test_a_clean_folder_has_no_finding(clean):
    report = aq.doctor.examine(clean, labels=False)
    assert report.findings == ()
    assert repr(report) == "Report(36 recordings: no finding)"


@pytest.mark.parametrize(
    ("kind", "edit"),
    [
        ("rate", lambda y: (aq.resample(y, orig_sr=SR, target_sr=8000), 8000)),
        ("channels", lambda y: (np.stack([y, y], axis=1), SR)),
        ("clipped", lambda y: (np.clip(12 * y, -1, 1), SR)),
        ("silent", lambda y: (0 * y, SR)),
        ("silent", lambda y: (1e-4 * np.sign(y), SR)),
        ("offset", lambda y: (y - 0.1, SR)),
        ("quiet", lambda y: (0.005 * y, SR)),
        ("long", lambda y: (np.concatenate([y, 0.001 * y[::-1], 0.001 * y, y[::-1]]), SR)),
        ("short", lambda y: (y[7000:8600], SR)),
        ("cut at the beginning", lambda y: (y[first_peak(y) :], SR)),
        ("cut at the beginning", lambda y: (np.pad(y[first_peak(y) :], (first_peak(y), 0)), SR)),
        ("cut at the end", lambda y: (y[: first_peak(y)], SR)),
        ("cut at the end", lambda y: (np.pad(y[: first_peak(y)], (0, SR - first_peak(y))), SR)),
    ],
)
def test_a_fault_of_one_file_is_found(folder, kind, edit):
    y, sr = edit(sound(folder))
    soundfile.write(folder / NAME, y, sr)
    seen = found(folder)
    assert NAME in seen[kind]
    assert set().union(*seen.values()) == {NAME}


def first_peak(y):
    """The middle of the loudest 40 ms."""
    power = np.convolve(np.square(y), np.ones(640), "same")
    return int(power.argmax())


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (lambda held: b"a text\n" * 50, "unreadable"),
        (lambda held: b"", "unreadable"),
        (lambda held: held[:16000], "truncated"),
    ],
)
def test_what_cannot_be_read_is_a_finding_with_its_reason(folder, data, kind):
    (folder / NAME).write_bytes(data((folder / NAME).read_bytes()))
    report = aq.doctor.examine(folder, labels=False)
    finding = next(finding for finding in report.findings if finding.kind == kind)
    assert finding.files == (NAME,)
    assert finding.evidence[NAME]
    assert not report.severe


def noisy(y):
    return y + 0.1 * y.std() * np.random.default_rng(0).standard_normal(len(y)).astype(np.float32)


@pytest.mark.parametrize(
    ("suffix", "edit"),
    [
        (".wav", lambda y: (y, SR)),
        (".flac", lambda y: (0.2 * y, SR)),
        (".ogg", lambda y: (y, SR)),
        (".mp3", lambda y: (y, SR)),
        (".wav", lambda y: (aq.resample(y, orig_sr=SR, target_sr=11025), 11025)),
        (".wav", lambda y: (np.concatenate([y[-800:], y[:-800]]), SR)),
        (".wav", lambda y: (noisy(y), SR)),
        (".wav", lambda y: (-y, SR)),
    ],
)
def test_a_recording_under_two_labels_is_severe_however_it_was_encoded(folder, suffix, edit):
    y, sr = edit(sound(folder))
    aq.save(folder / f"up/voicec_nohash_9{suffix}", y, sr)
    report = aq.doctor.examine(folder, labels=False)
    assert [finding.kind for finding in report.severe] == ["duplicate under two labels"]
    assert set(report.severe[0].files) == {NAME, f"up/voicec_nohash_9{suffix}"}


def test_where_the_copy_lies_says_how_bad_it_is(folder):
    shutil.copy(folder / NAME, folder / "left/voicec_nohash_1.wav")
    assert set(found(folder)) == {"duplicate"}
    (folder / "left/voicec_nohash_1.wav").rename(folder / "left/zoe_nohash_1.wav")
    split = aq.GroupSplit(validation=["voicea"], testing=[])
    assert set(found(folder, split=split)) == {"duplicate under two speakers"}
    split = aq.GroupSplit(validation=["zoe"], testing=[])
    assert set(found(folder, split=split)) == {"duplicate across the split"}


@pytest.mark.parametrize("speed", [0.9, 1.1, 1.2])
def test_a_sibling_at_another_speed_is_found_with_the_speed(folder, speed):
    faster = aq.resample(sound(folder), orig_sr=round(SR * speed), target_sr=SR)
    soundfile.write(folder / "up/voicec_nohash_9.wav", faster, SR)
    report = aq.doctor.examine(folder, labels=False)
    finding = next(finding for finding in report.findings if finding.kind == "sibling under two labels")
    ((first, how),) = finding.evidence.items()
    given = float(how.split("at ")[1].split(" of")[0])
    assert given == pytest.approx(speed if first == NAME else 1 / speed, abs=0.011)


def test_classes_and_speakers(folder):
    (folder / "nothing").mkdir()
    for name in sorted((folder / "down").iterdir())[3:]:
        name.unlink()
    (folder / "left/voiced_nohash_0.wav").rename(folder / "left/VoiceD_nohash_0.wav")
    split = aq.ListSplit()
    (folder / "validation_list.txt").write_text("left/voicea_nohash_0.wav\nleft/VoiceD_nohash_0.wav\n")
    seen = found(folder, split=split)
    assert seen["empty class"] == {"nothing"}
    assert seen["imbalance"] == {"down"}
    assert "voicea" in seen["speaker across the split"]
    assert "left/VoiceD_nohash_0.wav" in seen["speaker under two names"]


def test_recordings_without_classes_are_examined_too(folder, tmp_path):
    (tmp_path / "loose").mkdir()
    shutil.copy(folder / NAME, tmp_path / "loose/one piece.wav")
    shutil.copy(folder / NAME, tmp_path / "loose/another.wav")
    assert found(tmp_path / "loose") == {"duplicate": {"one piece.wav", "another.wav"}}


def test_a_wrong_label_is_doubted_by_a_model_of_the_other_speakers():
    rng = np.random.default_rng(0)
    places = np.repeat(np.arange(4), 40)
    features = rng.standard_normal((160, 30)) + 3 * rng.standard_normal((4, 30))[places]
    given = places.copy()
    given[[5, 77]] = [2, 3]
    from audioseq.doctor import labels

    probability = labels.out_of_fold(features, given, [f"voice{i % 20}" for i in range(160)])
    assert sorted(labels.doubted(probability, given)) == [(5, 0), (77, 1)]
    assert labels.doubted(probability, rng.permutation(given)) == []


def test_doubted_labels_of_spoken_words(tmp_path):
    """Eight of the words that come with audioseq get another label: most are doubted, and little else."""
    from audioseq.files import shipped

    words = ("go", "left", "up", "yes")
    for word in words:
        shutil.copytree(shipped("assets", "commands", word), tmp_path / word)
    files = [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*.flac"))]
    moved = {}
    for i, k in enumerate(np.random.default_rng(0).permutation(len(files))[:8]):
        word, name = files[k].split("/")
        other = words[(words.index(word) + 1 + i % 3) % 4]
        target = f"{other}/{name.replace('_0', '_9')}"
        (tmp_path / files[k]).rename(tmp_path / target)
        moved[target] = f"labelled {other}, predicted {word}"
    report = aq.doctor.examine(tmp_path)
    (doubted,) = [finding for finding in report.findings if finding.kind == "label"]
    right = {name for name in doubted.files if doubted.evidence[name].startswith(moved.get(name, "no"))}
    assert len(right) >= 5
    assert len(set(doubted.files) - set(moved)) <= 1


def test_the_page_and_the_json_have_the_findings(folder, tmp_path):
    soundfile.write(folder / NAME, sound(folder) - 0.1, SR)
    report = aq.doctor.examine(folder, labels=False)
    assert f"WARNING  offset: 1 file has an offset (DC) that no microphone should add.\n    {NAME}: -0.100" in str(
        report
    )
    value = json.loads(json.dumps(report.to_dict()))
    assert value["recordings"] == 36
    assert [(one["kind"], one["files"]) for one in value["findings"]] == [("offset", [NAME])]
    aq.doctor.save_page(tmp_path / "page.png", report)
    assert (tmp_path / "page.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_what_cannot_be_examined_is_refused(tmp_path):
    with pytest.raises(FolderError, match="no such folder"):
        aq.doctor.examine(tmp_path / "absent")
    with pytest.raises(aq.DatasetError, match="neither recordings nor MIDI files"):
        aq.doctor.examine(tmp_path)
    with pytest.raises(ValueError, match=r"seed is a whole number, 0 or above. Received: -1"):
        aq.doctor.examine(tmp_path, seed=-1)


@pytest.mark.skipif(not SHARED.is_dir(), reason="there are no real recordings beside the project")
@pytest.mark.long
def test_real_words_hold_no_duplicates_and_their_copies_are_found(tmp_path):
    names = sorted((SHARED / "speech_commands/go").glob("*.flac"))[:150]
    for word in ("go", "up"):
        (tmp_path / word).mkdir()
        for path in sorted((SHARED / "speech_commands" / word).glob("*.flac"))[:150]:
            shutil.copy(path, tmp_path / word)
    kinds = set(found(tmp_path))
    assert not {kind for kind in kinds if kind.startswith(("duplicate", "sibling", "speaker"))}
    y, sr = soundfile.read(names[60])
    aq.save(tmp_path / "up/copy_nohash_0.mp3", 0.3 * y, sr)
    assert "up/copy_nohash_0.mp3" in found(tmp_path)["duplicate under two labels"]
