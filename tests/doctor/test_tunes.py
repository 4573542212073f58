"""Faults of MIDI files: each is found in a folder of tunes, and nothing else is."""

from __future__ import annotations

import numpy as np
import pretty_midi
import pytest
from conftest import made_up_tune

import audioseq as aq


@pytest.fixture
def tunes(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(8):
        midi = made_up_tune(i)
        for instrument in midi.instruments:
            for note in instrument.notes:
                note.velocity = int(rng.integers(60, 100))
        midi.write(str(tmp_path / f"tune{i}.mid"))
    return tmp_path


def found(folder):
    return {finding.kind: set(finding.files) for finding in aq.doctor.examine(folder).findings}


def test_clean_tunes_have_no_finding(tunes):
    assert found(tunes) == {}


def test_faults_are_found(tunes):
    rng = np.random.default_rng(1)

    def changed(i, edit, name=None):
        midi = pretty_midi.PrettyMIDI(str(tunes / f"tune{i}.mid"))
        for instrument in midi.instruments:
            for note in instrument.notes:
                edit(note)
        midi.write(str(tunes / (name or f"tune{i}.mid")))

    def late(note):
        note.start += rng.uniform(0, 0.1)
        note.end = max(note.end, note.start + 0.05)

    changed(1, lambda note: setattr(note, "velocity", 64))
    changed(2, late)
    changed(3, lambda note: setattr(note, "velocity", note.velocity // 2), "softer.mid")
    changed(4, lambda note: setattr(note, "pitch", note.pitch + 3), "higher.mid")
    path = tunes / "tune5.mid"
    path.write_bytes(path.read_bytes().replace(b"\xff\x51\x03", b"\xff\x7f\x03"))
    (tunes / "tune6.mid").write_bytes(b"MThd rubbish")
    assert found(tunes) == {
        "one velocity": {"tune1.mid"},
        "off the grid": {"tune2.mid"},
        "duplicate": {"tune3.mid", "softer.mid"},
        "transposed": {"tune4.mid", "higher.mid"},
        "no tempo": {"tune5.mid"},
        "unreadable": {"tune6.mid"},
    }


def test_what_most_files_have_is_a_note(tunes):
    for i in range(8):
        path = tunes / f"tune{i}.mid"
        path.write_bytes(path.read_bytes().replace(b"\xff\x51\x03", b"\xff\x7f\x03"))
    (finding,) = aq.doctor.examine(tunes).findings
    assert (finding.kind, finding.severity, len(finding.files)) == ("no tempo", "note", 8)
