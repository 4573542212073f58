"""``recipes/music_generation.py`` as a user types it: what it leaves, what it prints, what it refuses."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import shlex
import shutil
import sys
import zipfile

import keras
import numpy as np
import pretty_midi
import pytest
import soundfile
from conftest import (
    ROOT,
    SHORT,
    SR,
    assert_same_run,
    help_of,
    made_up_tune,
    train_and_be_killed_twice,
)

import audioseq as aq
from audioseq import cli, models, training
from audioseq.cli import main, main as command_line
from audioseq.data import tunes
from audioseq.music import likelihood

pytestmark = pytest.mark.slow  # it trains and generates from the first test to the last

PNG, WAV, MIDI = b"\x89PNG\r\n\x1a\n", b"RIFF", b"MThd"
C_MAJOR = {0, 2, 4, 5, 7, 9, 11}


@pytest.fixture
def run(music, capsys):
    def call(*arguments: object) -> tuple[int, str, str]:
        parser = music.parser() if arguments[0] in ("train", "demo") else main.parser()
        code = cli.run(parser, [str(a) for a in arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.fixture(scope="module")
def scores(tmp_path_factory):
    """A model that knows the pitches 36 to 96 of written music, untrained; and a prompt of two bars of 3/4."""
    folder = tmp_path_factory.mktemp("scores")
    keras.utils.set_random_seed(0)
    tokenizer = aq.BeatTokenizer(low=36, high=96, tempo_bins=0, parts=None)
    network = models.event_gru(tokenizer.size, units=(16,), embedding=8)
    aq.SequenceGenerator(tokenizer, network, tempo=100, meter=(3, 4)).save(folder / "model.keras")
    made_up_tune(5, bars=2).write(str(folder / "prompt.mid"))
    return folder


@pytest.fixture
def unheard(music, monkeypatch):
    """Trainings that end before their pieces are drawn and played, which takes as long as the rest."""
    monkeypatch.setattr(music, "write_pieces", lambda out, *_: (out / "pieces").touch())


def notes_of(path):
    midi = pretty_midi.PrettyMIDI(str(path))
    return midi, [note for instrument in midi.instruments if not instrument.is_drum for note in instrument.notes]


# ---- train


def test_a_run_leaves_everything_a_person_needs(tuned, songs):
    pieces = {f"piece-{i}{suffix}": magic for i in range(1, 5) for suffix, magic in zip(
        (".mid", ".wav", ".png"), (MIDI, WAV, PNG), strict=True)}  # fmt: skip
    left = {path.name for path in tuned.iterdir() if not path.name.startswith("tensorboard")}
    files = {"model.keras", "run.json", "history.csv", "learning_curve.png", "skipped.jsonl", "MODEL_CARD.md"}
    assert left == {*files, "checkpoint.npz", "run.lock", *pieces}  # locked as long as this process lives
    for name, magic in {**pieces, "learning_curve.png": PNG}.items():
        assert (tuned / name).read_bytes().startswith(magic)
    about = json.loads((tuned / "run.json").read_text())
    assert (about["state"], about["data"], about["skipped"]) == ("complete", str(songs), 1)
    assert about["settings"]["stretch"] == [1.0, 1.1]
    assert "data" not in about["settings"]
    assert len(about["settings"]["data_fingerprint"]) == 64
    assert about["versions"]["keras"].startswith("3.")
    with (tuned / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == about["epochs"] == 4
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    best = min(range(4), key=lambda i: float(rows[i]["val_loss"]))
    assert about["best_epoch"] == best + 1
    (bad,) = (json.loads(line) for line in (tuned / "skipped.jsonl").read_text().splitlines())
    assert bad == {"path": "broken.mid", "reason": "is no MIDI file: it begins with b'MThd rub', not with b'MThd'"}


def test_the_file_holds_the_best_epoch_and_its_figures_are_of_the_test_pieces(tuned, songs):
    model = aq.load_model(tuned / "model.keras", aq.SequenceGenerator)
    data = tunes.midi_folder(songs, model.tokenizer)
    with (tuned / "history.csv").open() as file:
        best = min(float(row["val_loss"]) for row in csv.DictReader(file))
    assert likelihood.token_likelihood(model, data.validation).per_token == pytest.approx(best, rel=1e-5)
    figures = json.loads((tuned / "run.json").read_text())["figures"]
    assert list(figures) == ["test"]
    assert figures["test"]["likelihood"]["per_token"] == pytest.approx(
        likelihood.token_likelihood(model, data.testing).per_token, rel=1e-5
    )
    assert [piece["name"] for piece in figures["test"]["leakage"]["pieces"]] == data.testing.names
    assert (model.tempo, model.meter) == (100.0, (3, 4))


def test_the_card_says_what_was_measured(tuned):
    card = (tuned / "MODEL_CARD.md").read_text()
    figures = json.loads((tuned / "run.json").read_text())["figures"]["test"]
    likely = figures["likelihood"]
    assert (
        f"of {likely['pieces']} pieces that it was not trained on: **{likely['per_token']:.3f} nats per token**" in card
    )
    assert f"{likely['per_note']:.2f} per note, {likely['per_second']:.1f} per second" in card
    assert f"On the {figures['clean']['pieces']} of them that share less than half" in card
    mine, usual = ([copy["n_notes"] for copy in figures[name]] for name in ("copies", "usual_copies"))
    assert f": {np.median(mine):g} notes (median), {max(mine)} (maximum)" in card
    assert f"held-out pieces themselves {np.median(usual):g} and {max(usual)}." in card
    assert "| best epoch |" in card
    assert "8 pieces, 4 epochs" in card


@pytest.mark.long
@pytest.mark.slow
def test_a_run_killed_twice_ends_with_the_same_bits(tuned, songs, tmp_path):
    """SIGKILL in the middle of an epoch; dropout, transposition and tempos included."""
    train_and_be_killed_twice("music_generation", tmp_path / "cut", "--data", songs, *SHORT)
    assert_same_run(tuned, tmp_path / "cut")
    for path in (tuned / "piece-1.mid", tuned / "piece-1.wav"):
        assert (tmp_path / "cut" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_learnt(run, songs, tmp_path, monkeypatch, unheard):
    out = tmp_path / "a run"

    class Impatient(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if (out / "history.csv").is_file():
                raise KeyboardInterrupt

    arguments = ["train", "--data", songs, "--out", out, *SHORT, "--epochs", "2"]
    with monkeypatch.context() as patch:
        patch.setattr(training.fitting, "_tensorboard", lambda out: [Impatient()])
        code, said, _ = run(*arguments)
    assert code == 130
    assert "interrupted after epoch 1" in said
    assert json.loads((out / "run.json").read_text())["state"] == "interrupted"
    assert aq.load_model(out / "model.keras", aq.SequenceGenerator).meter == (3, 4)
    assert not (out / "pieces").exists()
    # the command that it names is that very run
    command = next(line.split("music_generation.py ")[1] for line in said.splitlines() if "--resume" in line)
    assert run(*shlex.split(command))[0] == 0
    about = json.loads((out / "run.json").read_text())
    assert (about["state"], about["epochs"]) == ("complete", 2)
    assert (out / "pieces").exists()


def test_other_settings_are_refused_and_an_earlier_run_is_not_touched(run, tuned, songs, tmp_path):
    before = (tuned / "model.keras").read_bytes()
    arguments = ["train", "--data", songs, "--out", tuned, *SHORT]
    code, _, err = run(*arguments)
    assert (code, "holds an earlier run. Go on with it by --resume, or replace it by --overwrite" in err) == (2, True)
    for more, message in (
        (["--epochs", 3], "epochs was 4, now 3"),
        (["--transpose", 0, 0], r"transpose was [-3, 3], now [0, 0]"),
        (["--dropout", 0], "dropout was 0.2, now 0.0"),
    ):
        code, _, err = run(*arguments, *more, "--resume")
        assert (code, message in err) == (2, True)
    other = tmp_path / "songs"
    shutil.copytree(songs, other)
    made_up_tune(99).write(str(other / "new.mid"))
    code, _, err = run("train", "--data", other, "--out", tuned, *SHORT, "--resume")
    assert (code, "data_fingerprint was" in err) == (2, True)
    assert (tuned / "model.keras").read_bytes() == before


def test_without_a_test_folder_the_figures_are_called_validation(run, songs, tmp_path, unheard):
    for name, part in (("train", range(6)), ("valid", range(6, 8))):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in part:
            shutil.copy(songs / f"tune{i:02}.mid", tmp_path / "data" / name)
    code, out, _ = run(
        "train", "--data", tmp_path / "data", "--out", tmp_path / "run", *SHORT, "--epochs", "1", "--tokens", "melody"
    )
    assert code == 0
    assert "6 pieces for training, 2 for validation, 0 for the test" in out
    assert "\nvalidation: " in out
    assert list(json.loads((tmp_path / "run" / "run.json").read_text())["figures"]) == ["validation"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--transpose", 1, 6], "--transpose is whole semitones down, 0 or less, and up, 0 or more. Received: (1, 6)"),
        (["--stretch", 0.9], "--stretch begin with 1, the piece as it is. Received: (0.9,)"),
        (["--stretch", 1, 20], "--stretch is how many times as slow, 0.1 to 10. Received: 20.0"),
        (["--window", 1], "--window is a whole number of tokens, 2 or more. Received: 1"),
        (
            ["--batch-size", 5000],
            "the training examples do not fill one batch: --batch-size is 5000, and must be smaller",
        ),
    ],
)
def test_what_cannot_be_trained_is_one_line(run, songs, tmp_path, arguments, message):
    code, _, err = run("train", "--data", songs, "--out", tmp_path / "run", *arguments)
    assert (code, err) == (1, f"error: {message}\n")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "there is no such folder"),
        (lambda folder: folder.mkdir(), "holds no MIDI file"),
        (lambda folder: one_file(folder), "no piece is left for training. There are 1 pieces that can be used"),
        (lambda folder: one_file(folder, b"MThd rubbish"), "none of 1 MIDI files can be used"),
    ],
)
def test_folders_that_teach_nothing(run, tmp_path, make, message):
    make(tmp_path / "data")
    code, _, err = run("train", "--data", tmp_path / "data", "--out", tmp_path / "run")
    assert code == 1
    assert message in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def one_file(folder, content: bytes | None = None) -> None:
    folder.mkdir()
    made_up_tune(0).write(str(folder / "a.mid"))
    if content is not None:
        (folder / "a.mid").write_bytes(content)


def test_a_melody_of_drums_is_none(run, tmp_path):
    for i in range(3):
        kit = made_up_tune(i, drums=True)
        kit.instruments = kit.instruments[2:]
        kit.write(str(tmp_path / f"{i}.mid"))
    code, _, err = run("train", "--data", tmp_path, "--out", tmp_path / "run", "--tokens", "melody")
    assert (code, "0.mid: no note can be encoded: the piece has only drums (6 notes)" in err) == (1, True)


def test_the_demonstration_needs_no_music21(run, music, tmp_path, monkeypatch):
    read = {}
    monkeypatch.setitem(sys.modules, "music21", None)  # importing it raises
    monkeypatch.setattr(music, "train", lambda config, out, **options: read.update(data=config.data) or cli.DONE)
    monkeypatch.chdir(tmp_path)
    assert run("demo")[:2] == (0, "407 chorales by Johann Sebastian Bach are in runs/chorales\n\n")
    paths = sorted((tmp_path / read["data"]).iterdir())
    assert len(paths) == 407
    # the files that music21's corpus gave when its MusicXML was read at every demonstration
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()
    assert digest == "0e1063a5b28046c4e4e473715d6a0d6f40697905bfaad5e4f26e7493525d4f3d"


# ---- generate


def test_pieces_are_as_asked(run, scores, tmp_path):
    code, out, _ = run(
        "generate", "--model", scores / "model.keras", "--out", tmp_path / "c", "--count", 2, "--key", "C major",
        "--range", "48-84", "--bars", 3, "--meter", "3/4", "--tempo", 90, "--seed", 7, "--polyphony", 2,
    )  # fmt: skip
    assert code == 0
    assert sorted(path.name for path in (tmp_path / "c").iterdir()) == [
        f"piece-{i}{suffix}" for i in (1, 2) for suffix in (".mid", ".png", ".wav")
    ]
    for line, i in zip(out.splitlines(), (1, 2), strict=True):
        midi, notes = notes_of(tmp_path / "c" / f"piece-{i}.mid")
        assert line.startswith(f"{tmp_path / 'c' / f'piece-{i}.mid'}: {len(notes)} notes in ")
        assert {note.pitch % 12 for note in notes} <= C_MAJOR
        assert {note.pitch for note in notes} <= set(range(48, 85))
        assert midi.get_tempo_changes()[1] == pytest.approx([90])
        assert [(m.numerator, m.denominator) for m in midi.time_signature_changes] == [(3, 4)]
        assert midi.get_end_time() <= 3 * 3 * 60 / 90 + 1e-3
        assert max(sum(n.start <= note.start < n.end for n in notes) for note in notes) <= 2
        y, sr = soundfile.read(tmp_path / "c" / f"piece-{i}.wav")
        assert len(y) / sr >= midi.get_end_time()


def test_without_a_seed_new_pieces_are_written_and_their_seeds_are_printed(run, scores, tmp_path):
    printed = []
    for name in "ab":
        code, out, _ = run(
            "generate", "--model", scores / "model.keras", "--bars", 2, "--count", 2, "--out", tmp_path / name
        )
        assert code == 0
        printed.append([int(seed) for seed in re.findall(r"seed (\d+)", out)])
    assert printed[0] != printed[1]
    assert printed[0][1] == printed[0][0] + 1
    again = ("--count", 2, "--seed", printed[0][0], "--out", tmp_path / "c")
    assert run("generate", "--model", scores / "model.keras", "--bars", 2, *again)[0] == 0
    for piece in ("piece-1.mid", "piece-2.mid"):
        assert (tmp_path / "a" / piece).read_bytes() == (tmp_path / "c" / piece).read_bytes()
        assert (tmp_path / "a" / piece).read_bytes() != (tmp_path / "b" / piece).read_bytes()


def test_seconds_are_kept_and_the_seed_gives_the_same_bytes(run, scores, tmp_path):
    model = ["--model", scores / "model.keras", "--seconds", 4.8, "--count", 1]
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        assert run("generate", *model, "--out", tmp_path / name, "--seed", seed)[0] == 0
    a, b, c = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in "abc")
    assert a == b
    assert a["piece-1.mid"] != c["piece-1.mid"]
    assert notes_of(tmp_path / "a" / "piece-1.mid")[0].get_end_time() == pytest.approx(4.8, abs=1e-3)
    # and a piece is the same alone and as the second of two
    assert run("generate", *model[:-1], 2, "--out", tmp_path / "d", "--seed", 2)[0] == 0
    assert (tmp_path / "d" / "piece-2.mid").read_bytes() == a["piece-1.mid"]


@pytest.mark.parametrize(("tempo", "end"), [([], 3.6), (["--tempo", "50"], 7.2)])
def test_a_prompt_is_how_the_piece_begins(run, scores, tmp_path, monkeypatch, tempo, end):
    from audioseq.plots import piano_roll

    shaded = []
    monkeypatch.setattr(piano_roll, "notes", lambda *_, prompt_end: shaded.append(prompt_end))
    prompt = scores / "prompt.mid"
    arguments = ["--model", scores / "model.keras", "--out", tmp_path, "--prompt", prompt, "--bars", 4, "--count", 1]
    arguments += ["--seed", 0]
    assert run("generate", *arguments, *tempo)[0] == 0
    midi, notes = notes_of(tmp_path / "piece-1.mid")
    asked = {(note.pitch, round(note.start * end / 3.6, 3)) for note in notes_of(prompt)[1]}
    begins = {(note.pitch, round(note.start, 3)) for note in notes if note.start < end - 1e-3}
    last = max(start for _, start in asked)  # to its last notes others may be added
    assert {note for note in begins if note[1] < last} == {note for note in asked if note[1] < last}
    assert begins >= asked
    assert shaded == [pytest.approx(end, abs=1e-3)]
    assert end < midi.get_end_time() <= 2 * end + 1e-3


def test_a_trained_model_goes_on_with_a_played_prompt(run, tuned, scores, tmp_path):
    arguments = ["--model", tuned / "model.keras", "--out", tmp_path, "--prompt", scores / "prompt.mid"]
    assert run("generate", *arguments, "--count", 1, "--seconds", 6, "--temperature", 0)[0] == 0
    midi, notes = notes_of(tmp_path / "piece-1.mid")
    begins = {(note.pitch, round(note.start, 2)) for note in notes if note.start < 3.6 - 1e-3}
    assert begins >= {(note.pitch, round(note.start, 2)) for note in notes_of(scores / "prompt.mid")[1]}
    assert midi.get_end_time() == pytest.approx(6, abs=0.02)


def test_pieces_are_not_written_over_unless_asked(run, scores, tmp_path):
    arguments = ["--model", scores / "model.keras", "--out", tmp_path, "--count", 1, "--bars", 1]
    assert run("generate", *arguments)[0] == 0
    before = (tmp_path / "piece-1.mid").read_bytes()
    code, _, err = run("generate", *arguments, "--seed", 5)
    assert code == 2
    assert f"{tmp_path}: holds pieces already. Replace them by --overwrite" in err
    assert (tmp_path / "piece-1.mid").read_bytes() == before
    assert run("generate", *arguments, "--seed", 5, "--overwrite")[0] == 0
    assert (tmp_path / "piece-1.mid").read_bytes() != before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--temperature", -1], "temperature is a number, 0 (the likeliest token each time) or above"),
        (["--temperature", "nan"], "Received: nan"),
        (["--temperature", "inf"], "Received: inf"),
        (["--key", "H major"], "a key is a tonic and one of ['dorian'"),
        (["--key", "C"], "Received: 'C'"),
        (["--range", "90-20"], "--range is two MIDI pitches, 0 <= low <= high <= 127. Received: (90, 20)"),
        (["--range", "100-120"], "some pitch of the model's 36 to 96 lies in the range. Received: (100, 120)"),
        (["--range", "61-61", "--key", "C major"], "lies in the range and in C major. Received: (61, 61)"),
        (["--seconds", 0], "seconds is a number above 0. Received: 0.0"),
        (["--seconds", "nan"], "seconds is a number above 0. Received: nan"),
        (["--seconds", 1e9], "a piece has 1 to 4,194,304 of the model's steps"),
        (["--tempo", 0], "tempo is 4 to 1000 quarter notes a minute. Received: 0.0"),
        (["--tempo", "nan"], "tempo is 4 to 1000"),
        (["--meter", "3/5"], "the second 1, 2, 4, 8, 16 or 32. Received: (3, 5)"),
        (["--meter", "60/4"], "the model knows no such meter. Received: (60, 4)"),
        (["--top-p", 0], "--top-p is a probability above 0. Received: 0.0"),
        (["--min-p", 2], "--min-p is from 0 to 1. Received: 2.0"),
        (["--polyphony", 99], "Received: 99"),
        (["--prompt", "none.mid"], "none.mid: No such file or directory"),
        (["--prompt", "tone.wav"], "tone.wav: is WAV audio, not MIDI (did you mean tone.mid?)"),
        (["--prompt", "alone.wav"], "is WAV audio, not MIDI (did you mean audioseq.load, which reads recordings?)"),
        (["--prompt", "broken.mid"], "broken.mid: is no MIDI file"),
        (["--prompt", "prompt.mid", "--bars", 1], "the prompt is shorter than the piece that is requested (bars: 1)"),
        (["--prompt", "prompt.mid", "--seconds", 2], "shorter than the piece that is requested (2 s)"),
        (["--prompt", "high.mid"], "the range that the model knows, 36 to 96. Received: '1 notes outside, such as 99'"),
        (["--prompt", "prompt.mid", "--range", "80-96"], "keeps to the range that is requested, 80 to 96"),
        (["--prompt", "kit.mid"], "the prompt cannot be used: no note can be encoded: the piece has only drums"),
    ],
)  # fmt: skip
def test_what_cannot_be_written_is_one_line(run, scores, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    shutil.copy(scores / "prompt.mid", "prompt.mid")
    for name in ("tone.wav", "alone.wav"):
        soundfile.write(name, np.zeros(100), SR)
    shutil.copy("prompt.mid", "tone.mid")
    (tmp_path / "broken.mid").write_text("hello")
    high, kit = made_up_tune(0), made_up_tune(0, drums=True)
    high.instruments[0].notes[0].pitch = 99
    kit.instruments = kit.instruments[2:]
    high.write("high.mid")
    kit.write("kit.mid")
    code, out, err = run("generate", "--model", scores / "model.keras", "--out", "out", *arguments)
    assert (code, out) == (1, "")
    assert message in err
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sing"], "invalid choice"),
        (["train", "--data", "x"], "--out"),
        (["generate"], "--out"),
        (["generate", "--out", "x", "--bars", "0"], "a whole number above 0. Received: '0'"),
        (["generate", "--out", "x", "--bars", "2", "--seconds", "3"], "not allowed with"),
        (["generate", "--out", "x", "--range", "C4"], "two MIDI pitches such as 48-84. Received: 'C4'"),
        (["generate", "--out", "x", "--meter", "waltz"], "a meter such as 3/4. Received: 'waltz'"),
        (["train", "--data", "x", "--out", "y", "--dropout", "1"], "a number from 0 up to 1. Received: '1'"),
        (["train", "--data", "x", "--out", "y", "--dropout", "-1"], "a number from 0 up to 1. Received: '-1'"),
        (["train", "--data", "x", "--out", "y", "--seed", "-1"], "a whole number from 0 to 2**32 - 1. Received: '-1'"),
        (["generate", "--out", "x", "--seed", "0.5"], "a whole number from 0 to 2**32 - 1. Received: '0.5'"),
        (["train", "--data", "x", "--out", "y", "--tokens", "words"], "invalid choice"),
        (["train", "--data", "x", "--out", "y", "--network", "gru"], "invalid choice"),
    ],
)
def test_wrong_usage_is_exit_code_2(music, capsys, arguments, message):
    with pytest.raises(SystemExit) as stopped:
        cli.run(music.parser() if arguments[0] == "train" else main.parser(), arguments)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


# ---- evaluate


def test_evaluate_gives_the_figures_of_the_run_for_the_same_pieces(run, tuned, songs, tmp_path):
    model = aq.load_model(tuned / "model.keras", aq.SequenceGenerator)
    for name in tunes.midi_folder(songs, model.tokenizer).testing.names:
        (tmp_path / "test" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(songs / name, tmp_path / "test" / name)
    report = tmp_path / "figures.json"
    code, out, err = run("evaluate", "--model", tuned / "model.keras", "--data", tmp_path / "test", "--json", report)
    assert (code, err) == (0, "")
    found = json.loads(report.read_text())
    figures = json.loads((tuned / "run.json").read_text())["figures"]["test"]
    assert found["likelihood"] == pytest.approx(figures["likelihood"], rel=1e-6)
    for name in ("clean", "leakage", "statistics", "copies", "usual_copies"):
        assert found[name] == figures[name]
    assert out.startswith(f"{tmp_path / 'test'}: {found['likelihood']['per_token']:.3f} nats a token")


def test_one_piece_can_be_judged_and_none_is_an_error(run, tuned, tmp_path):
    arguments = ["evaluate", "--model", tuned / "model.keras", "--data", tmp_path / "data", "--generated", 1]
    assert "there is no such folder" in run(*arguments)[2]
    one_file(tmp_path / "data")
    code, out, _ = run(*arguments)
    assert (code, "1 generated and 1 held-out pieces" in out) == (0, True)
    (tmp_path / "data" / "a.mid").unlink()
    code, _, err = run(*arguments)
    assert (code, err) == (1, f"error: {tmp_path / 'data'}: holds no MIDI file\n")


def test_evaluate_goes_without_the_copy_check_where_the_training_pieces_are_gone(run, tuned, songs, tmp_path):
    alone = tmp_path / "model.keras"
    shutil.copy(tuned / "model.keras", alone)
    about = json.loads((tuned / "run.json").read_text())
    arguments = ["evaluate", "--model", alone, "--data", songs, "--generated", 1, "--json", tmp_path / "a.json"]
    changed = tmp_path / "changed"
    shutil.copytree(songs, changed)
    (changed / "tune00.mid").unlink()
    (tmp_path / "empty").mkdir()
    killed = {"state": "training", "settings": about["settings"]}
    elsewhere = [{**about, "data": str(tmp_path / name)} for name in ("none", "empty", "changed")]
    for left in (None, killed, *elsewhere):
        if left is not None:
            (tmp_path / "run.json").write_text(json.dumps(left))
        code, _, err = run(*arguments)
        lines = err.splitlines()
        assert code == 1  # of the broken file
        assert lines[0].startswith("no copy check: the model's run.json, or the folder that it was trained on, is not")
        assert lines[1:] == ["error: broken.mid: is no MIDI file: it begins with b'MThd rub', not with b'MThd'"]
        assert json.loads((tmp_path / "a.json").read_text())["copies"] == []


# ---- models of other kinds


def test_a_model_of_the_other_recipe_says_where_it_goes(run, tuned, songs, tmp_path, capsys):
    feature = aq.LogMel(sr=SR, n_fft=256, hop_length=160, n_mels=10)
    words, sound, music = tmp_path / "words.keras", tmp_path / "yes.wav", tuned / "model.keras"
    aq.SequenceClassifier(feature, models.gru(10, 2, units=4), ["yes", "no"], duration=0.3).save(words)
    soundfile.write(sound, np.zeros(SR), SR)
    is_words = "words.keras: is a SequenceClassifier, not a SequenceGenerator: it goes with recipes/speech_commands.py"
    code, _, err = run("generate", "--out", tmp_path / "out", "--model", words)
    assert (code, err) == (1, f"error: {tmp_path / is_words}\n")
    is_music = (
        f"error: {music}: is a SequenceGenerator, not a SequenceClassifier: it goes with recipes/music_generation"
    )
    for command in (["classify", sound], ["listen", "--file", sound]):
        assert command_line.main([str(a) for a in (*command, "--model", music)]) == 1
        assert capsys.readouterr().err == f"{is_music}.py\n"
    assert run("memory", sound, "--model", music, "--out", tmp_path / "out")[::2] == (1, f"{is_music}.py\n")


@pytest.mark.parametrize("content", [None, b"hello", "zip"])
def test_a_model_that_is_none_is_one_line_and_exit_code_1(run, songs, tmp_path, content):
    path = tmp_path / "a.keras"
    if content == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", json.dumps({"registered_name": "Functional"}))
    elif content is not None:
        path.write_bytes(content)
    for command in (["generate", "--out", tmp_path / "out"], ["evaluate", "--data", songs]):
        code, _, err = run(*command, "--model", path)
        assert code == 1
        assert err.startswith(f"error: {path}: ")
        assert len(err.splitlines()) == 1


def test_help_loads_neither_tensorflow_nor_keras():
    assert "--stretch" in help_of("music_generation", "train")
    assert "--transpose" in help_of("music_generation", "train")


def test_every_network_can_be_trained(music):
    assert all(callable(getattr(models, name)) for name in music.NETWORKS)
    assert all(hasattr(tunes.Survey, name) for name in music.TOKENS)
    assert (ROOT / "recipes" / "music_generation.py").is_file()
