"""``audioseq dictate`` as a user types it."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from conftest import SR

import audioseq as aq


@pytest.fixture(scope="module")
def sound(words, tmp_path_factory):
    """Three words that are easy to tell apart."""
    gap = np.zeros(SR // 4, np.float32)
    clips = [gap]
    for word in ("low", "high", "mid"):
        clips += [aq.load(words / word / "speaker1_nohash_0.wav", sr=SR)[0], gap]
    path = tmp_path_factory.mktemp("sound") / "call.wav"
    aq.save(path, np.concatenate(clips), SR)
    return path


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    """A model of three words that knows nothing."""
    from audioseq.connected import SpeechTranscriber, Units
    from audioseq.models import ctc_lstm

    feature = aq.LogMel(sr=SR, n_fft=256, win_length=200, hop_length=80, n_mels=20)
    units = Units(("high", "low", "mid"))
    path = tmp_path_factory.mktemp("untrained") / "model.keras"
    SpeechTranscriber(feature, ctc_lstm(20, 3, filters=(4, 6, 8), units=(8,)), units).save(path)
    return path


@pytest.mark.long
@pytest.mark.slow
def test_words_with_times_and_the_text(run, dictated, sound):
    code, out, _ = run("dictate", sound, "--model", dictated / "model.keras")
    *lines, text = out.splitlines()
    assert (code, text) == (0, "low high mid")
    rows = [re.fullmatch(r" +([\d.]+) +([\d.]+)  (\w+) +(\d+)%", line).groups() for line in lines]
    assert [row[2] for row in rows] == text.split()
    for row, begin in zip(rows, (0.25, 1.0, 1.75), strict=True):
        assert begin < float(row[0]) < begin + 0.8  # within its tone, or just behind it
    code, out, _ = run("dictate", sound, "--model", dictated / "model.keras", "--json")
    found = json.loads(out)
    assert found["text"] == text
    assert [word["text"] for word in found["words"]] == text.split()
    assert found["alternatives"][0][0] == text


@pytest.mark.long
@pytest.mark.slow
def test_a_grammar_and_a_lexicon_bound_what_is_written(run, dictated, sound, tmp_path):
    model = ("--model", dictated / "model.keras")
    _, out, _ = run("dictate", sound, *model, "--grammar", "low (mid|low)+")
    assert re.fullmatch(r"low( mid| low)+", out.splitlines()[-1])
    words = tmp_path / "words.txt"
    words.write_text("low mid")
    _, out, _ = run("dictate", sound, *model, "--lexicon", words)
    assert set(out.splitlines()[-1].split()) <= {"low", "mid"}
    texts = tmp_path / "texts.txt"
    texts.write_text("low high mid\nmid low\n")
    code, out, _ = run("dictate", sound, *model, "--texts", texts)
    assert (code, out.splitlines()[-1]) == (0, "low high mid")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--grammar", "low (mid"), "grammar: '(' is never closed, at character 5: 'low (mid'"),
        (("--grammar", "ten"), "the model cannot write 'ten'"),
        (("--lexicon", "words.txt"), "the lexicon's word 'ten': the words are 'high', 'low', 'mid'. Received: 'ten'"),
        (("--lexicon", "gone.txt"), "gone.txt: No such file or directory"),
        (("--grammar", "low", "--texts", "words.txt"), "texts go with a lexicon, not with a grammar"),
    ],
)
def test_what_cannot_be_is_one_line(run, untrained, sound, tmp_path, monkeypatch, options, reason):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words.txt").write_text("low ten\n")
    code, _, err = run("dictate", sound, "--model", untrained, *options)
    assert (code, err.count("\n")) == (1, 1)
    assert reason in err


def test_another_model_and_a_file_that_is_none(run, untrained, trained, sound, tmp_path):
    code, _, err = run("dictate", sound, "--model", trained / "model.keras")
    assert (code, "is a SequenceClassifier, not a SpeechTranscriber" in err) == (1, True)
    code, _, err = run("classify", sound, "--model", untrained)
    assert (code, "it goes with recipes/connected_words.py" in err) == (1, True)
    (tmp_path / "bad.wav").write_text("no sound")
    code, _, err = run("dictate", tmp_path / "bad.wav", "--model", untrained)
    assert (code, "bad.wav" in err) == (1, True)


def test_info_says_what_it_writes(run, untrained):
    code, out, _ = run("info", untrained)
    assert code == 0
    assert "SpeechTranscriber" in out
    assert "high" in out
