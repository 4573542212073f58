"""Networks and the classifier: shapes, causality, one whole file, and what is no model of ours."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
import soundfile

import audioseq as aq
from audioseq import models
from audioseq.audio import resampling
from audioseq.features.mel import LogMel

NETWORKS = [
    models.feed_forward,
    models.rnn,
    models.lstm,
    models.gru,
    models.cnn_lstm,
    models.attention_rnn,
]
FEATURE = LogMel(sr=8000, n_fft=256, hop_length=80, n_mels=20)


# sums of a few hundred float32 products in another order: units in the last place of the largest value
ROUNDING = 32 * 2.0**-23


def assert_close(got, expected, share=ROUNDING):
    """Values within a share of the largest one."""
    expected = keras.ops.convert_to_numpy(expected)
    np.testing.assert_allclose(got, expected, rtol=0, atol=share * np.abs(expected).max())


def classifier(network=models.cnn_lstm, **kwargs) -> aq.SequenceClassifier:
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(0)
    mean, variance = rng.standard_normal(20) - 30, rng.uniform(1, 50, 20)
    names = ("go", "stop", "_unknown_")
    return aq.SequenceClassifier(FEATURE, network(20, 3, **kwargs), names, duration=0.5, mean=mean, variance=variance)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("time", [1, 5, 50])
def test_a_network_takes_frames_of_any_length_to_logits(network, time):
    frames = np.random.default_rng(0).standard_normal((2, time, 20)).astype(np.float32)
    logits = keras.ops.convert_to_numpy(network(20, 3)(frames))
    assert logits.shape == (2, 3)
    assert np.isfinite(logits).all()


def test_only_the_network_without_a_memory_ignores_the_order_of_the_frames():
    frames = np.random.default_rng(0).standard_normal((1, 40, 20)).astype(np.float32)
    shuffled = frames[:, np.random.default_rng(1).permutation(40)]
    for network in NETWORKS:
        keras.utils.set_random_seed(0)
        model = network(20, 3)
        logits, others = (keras.ops.convert_to_numpy(model(x)) for x in (frames, shuffled))
        moved = np.abs(logits - others).max() / np.abs(logits).max()
        assert (moved < ROUNDING) == (network is models.feed_forward), (network.__name__, moved)


def test_cnn_lstm_never_hears_a_later_frame_and_attention_rnn_does():
    frames = np.random.default_rng(0).standard_normal((1, 64, 20)).astype(np.float32)
    later = frames.copy()
    later[:, 32:] += 1.0
    for network, layer in ((models.cnn_lstm, keras.layers.LSTM), (models.attention_rnn, keras.layers.Bidirectional)):
        model = network(20, 3)
        recurrent = next(x for x in model.layers if isinstance(x, layer))
        states = keras.Model(model.inputs, recurrent.output)
        before, after = (keras.ops.convert_to_numpy(states(x)) for x in (frames, later))
        stride = models.TIME_STRIDE
        moved = np.abs(before - after)[:, : 32 // stride].max()
        assert (moved == 0.0) == (network is models.cnn_lstm), (network.__name__, moved)
        assert np.abs(before - after)[:, 32 // stride :].max() > 1e-3


@pytest.mark.parametrize("network", NETWORKS)
def test_one_file_carries_everything(network, tmp_path):
    model = classifier(network)
    model.save(tmp_path / "model.keras")
    loaded = aq.load_model(tmp_path / "model.keras")
    y = np.random.default_rng(2).uniform(-0.5, 0.5, (3, 4000)).astype(np.float32)
    np.testing.assert_array_equal(loaded.scores(y), model.scores(y))
    assert loaded.class_names == ("go", "stop", "_unknown_")
    assert (loaded.sr, loaded.duration, loaded.feature) == (8000, 0.5, FEATURE)


def test_a_process_that_knows_nothing_loads_it_with_keras_alone(tmp_path):
    model = classifier()
    model.save(tmp_path / "model.keras")
    y = np.random.default_rng(2).uniform(-0.5, 0.5, (1, 4000)).astype(np.float32)
    np.save(tmp_path / "y.npy", y)
    code = (
        "import keras, numpy as np, audioseq.speech.classifier, sys\n"
        "model = keras.models.load_model('model.keras')\n"
        "np.save('out.npy', model.predict(np.load('y.npy'), verbose=0))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)
    expected = keras.ops.convert_to_numpy(model(y))
    assert_close(np.load(tmp_path / "out.npy"), expected)  # another process, another graph


def test_logits_are_network_of_normalised_features():
    model = classifier()
    y = np.random.default_rng(2).uniform(-0.5, 0.5, (2, 4000)).astype(np.float32)
    frames = (FEATURE(y) - model.mean) / np.sqrt(model.variance)
    expected = keras.ops.convert_to_numpy(model.network(frames))
    # two FFTs: bands far under the peak differ by a hundredth of a decibel
    assert_close(keras.ops.convert_to_numpy(model(y)), expected, 1e-4)


def test_a_clip_is_heard_the_same_alone_and_beside_others():
    model = classifier()
    y = np.random.default_rng(2).uniform(-0.5, 0.5, (70, 4000)).astype(np.float32)
    y[1:] *= 100 / 3  # loud neighbours
    # probabilities, of logits whose sums are in another order
    np.testing.assert_allclose(model.scores(y)[0], model.scores(y[:1])[0], rtol=0, atol=ROUNDING)


def test_classify_takes_files_and_samples_of_any_rate(tmp_path):
    model = classifier()
    y = np.random.default_rng(3).uniform(-0.5, 0.5, 4000).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", y, 8000, subtype="FLOAT")
    heard, told = model.classify(tmp_path / "a.wav"), model.classify(y)
    assert heard == told
    assert list(heard.scores.values()) == sorted(heard.scores.values(), reverse=True)
    assert heard.score == heard.scores[heard.label] == max(heard.scores.values())
    assert sum(heard.scores.values()) == pytest.approx(1, abs=1e-5)
    expected = dict(zip(model.class_names, model.scores(y[None])[0], strict=True))
    assert heard.scores == pytest.approx(expected, abs=1e-6)

    other = resampling.resample(y, orig_sr=8000, target_sr=22050)
    soundfile.write(tmp_path / "b.wav", other, 22050, subtype="FLOAT")
    assert model.classify(tmp_path / "b.wav").scores == pytest.approx(model.classify(other, sr=22050).scores, abs=1e-6)
    for n in (1, 100, 9000):  # far too short, too long
        assert model.classify(y[0] * np.ones(n, np.float32)).label in model.class_names


def test_classify_refuses_what_is_no_sound():
    with pytest.raises(ValueError, match="finite floats"):
        classifier().classify(np.array([0.1, np.nan]))
    with pytest.raises(aq.AudioError, match=r"nowhere\.wav"):
        classifier().classify("nowhere.wav")


def test_the_parts_must_fit():
    with pytest.raises(ValueError, match="each of the 2 class names"):
        aq.SequenceClassifier(FEATURE, models.gru(20, 3), ("a", "b"))
    with pytest.raises(ValueError, match="frames of 20 features"):
        aq.SequenceClassifier(FEATURE, models.gru(21, 2), ("a", "b"))
    with pytest.raises(ValueError, match="go together"):
        aq.SequenceClassifier(FEATURE, models.gru(20, 2), ("a", "b"), mean=np.zeros(20))
    with pytest.raises(ValueError, match=r"each another\. Received: \('a', 'a'\)"):
        aq.SequenceClassifier(FEATURE, models.gru(20, 2), ("a", "a"))
    with pytest.raises(ValueError, match=r"each another\. Received: 'ab'"):
        aq.SequenceClassifier(FEATURE, models.gru(20, 2), "ab")
    with pytest.raises(ValueError, match=r"duration is seconds above 0\. Received: -1"):
        aq.SequenceClassifier(FEATURE, models.gru(20, 2), ("a", "b"), duration=-1)
    with pytest.raises(ValueError, match="feature is a description"):
        aq.SequenceClassifier("logmel", models.gru(20, 2), ("a", "b"))
    with pytest.raises(ValueError, match=r"network is a keras\.Model"):
        aq.SequenceClassifier(FEATURE, None, ("a", "b"))
    for samples in (np.zeros(4000, np.float32), np.zeros((2, 3999), np.float32), np.zeros((0, 4000), np.float32)):
        with pytest.raises(ValueError, match=r"one clip or more of 4000 samples"):
            classifier().scores(samples)


def test_what_a_notebook_shows_of_a_model_and_of_a_classification():
    model = classifier(models.feed_forward)
    shown = "SequenceClassifier(3 classes: go, stop, _unknown_\n"
    shown += "  0.5 s at 8000 Hz, LogMel of 20 features\n"
    # 20 by 256, 256 by 256 and 256 by 3 weights, and biases
    assert repr(model) == shown + "  feed_forward of 71,939 parameters)"
    many = {f"word{i}": score for i, score in enumerate((0.9, 0.05, 0.03, 0.01, 0.006, 0.004))}
    one = aq.speech.Classification("word0", 0.9, many)
    assert repr(one) == "Classification(word0 90.0%, word1 5.0%, word2 3.0%, word3 1.0%, 2 more)"
    few = aq.speech.Classification("a", 0.75, {"a": 0.75, "b": 0.25})
    assert repr(few) == "Classification(a 75.0%, b 25.0%)"


def test_a_full_disk_leaves_the_old_model(tmp_path, monkeypatch):
    path = tmp_path / "model.keras"
    model = classifier(models.feed_forward)
    model.save(path)
    old = path.read_bytes()

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        model.save(path)
    assert path.read_bytes() == old
    assert [file.name for file in tmp_path.iterdir()] == ["model.keras"]


def test_saving_names_the_format():
    with pytest.raises(ValueError, match=r"ends in \.keras"):
        classifier(models.feed_forward).save("model.h5")


class TestWhatIsNoModel:
    def test_missing(self, tmp_path):
        with pytest.raises(aq.ModelError, match="no such file"):
            aq.load_model(tmp_path / "none.keras")

    def test_text(self, tmp_path):
        (tmp_path / "a.keras").write_text("hello")
        with pytest.raises(aq.ModelError, match=r"a\.keras: is not a \.keras model, or is cut short"):
            aq.load_model(tmp_path / "a.keras")

    @pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
    def test_truncated(self, tmp_path, share):
        path = tmp_path / "a.keras"
        classifier(models.feed_forward).save(path)
        whole = path.read_bytes()
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(aq.ModelError, match="cut short"):
            aq.load_model(path)

    def test_damaged_inside_the_archive(self, tmp_path):
        for damage in (b"[" * 200_000, b"\xff\xfe", b"{}"):
            with zipfile.ZipFile(tmp_path / "a.keras", "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("config.json", damage)
            with pytest.raises(aq.ModelError):
                aq.load_model(tmp_path / "a.keras")
        path = tmp_path / "a.keras"
        content = path.read_bytes()
        path.write_bytes(content[:40] + bytes(8) + content[48:])  # neither its name nor its deflated bytes are right
        with pytest.raises(aq.ModelError):
            aq.load_model(path)

    def test_a_folder_or_another_suffix(self, tmp_path):
        (tmp_path / "a.keras").mkdir()
        with pytest.raises(aq.ModelError, match="is a folder, not a file"):
            aq.load_model(tmp_path / "a.keras")
        (tmp_path / "a.h5").write_text("x")
        with pytest.raises(aq.ModelError, match=r"the name of a model ends in \.keras"):
            aq.load_model(tmp_path / "a.h5")

    def test_somebody_elses(self, tmp_path):
        keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save(tmp_path / "a.keras")
        with pytest.raises(aq.ModelError, match="is a Sequential, not a SequenceClassifier"):
            aq.load_model(tmp_path / "a.keras", aq.SequenceClassifier)

    def test_of_another_kind(self, tmp_path):
        tokenizer = aq.MelodyTokenizer()
        generator = aq.SequenceGenerator(tokenizer, models.event_gru(tokenizer.size, units=(4,), embedding=4))
        kinds = {aq.SequenceClassifier: classifier(models.feed_forward), aq.SequenceGenerator: generator}
        for kind, model in kinds.items():
            path = tmp_path / f"{kind.__name__}.keras"
            model.save(path)
            for known in (None, kind, type(model)):
                assert type(aq.load_model(path, known)) is kind
            (other,) = set(kinds) - {kind}
            recipe = "speech_commands" if kind is aq.SequenceClassifier else "music_generation"
            rule = rf"is a {kind.__name__}, not a {other.__name__}: it goes with recipes/{recipe}\.py"
            with pytest.raises(aq.ModelError, match=rule):
                aq.load_model(path, other)

    def test_code_in_a_lambda_is_not_run(self, tmp_path):
        inputs = keras.Input((None, 20))
        x = keras.layers.Lambda(lambda x: keras.ops.mean(x, axis=1), output_shape=(20,))(inputs)
        network = keras.Model(inputs, keras.layers.Dense(2)(x))
        aq.SequenceClassifier(FEATURE, network, ("a", "b")).save(tmp_path / "a.keras")
        with pytest.raises(aq.ModelError, match=r"(?i)lambda"):
            aq.load_model(tmp_path / "a.keras")

    def test_weights_of_another_shape(self, tmp_path):
        good, bad = tmp_path / "good.keras", tmp_path / "bad.keras"
        classifier(models.feed_forward).save(good)
        shutil.copy(good, bad)
        with zipfile.ZipFile(good) as source, zipfile.ZipFile(bad, "w") as target:
            for name in source.namelist():
                data = source.read(name)
                if name == "config.json":
                    config = json.loads(data)
                    config["config"]["class_names"].append("more")
                    data = json.dumps(config).encode()
                target.writestr(name, data)
        with pytest.raises(aq.ModelError, match=r"cannot be loaded.*4 class names"):
            aq.load_model(bad)


def test_mixed_precision_is_for_training_alone(tmp_path):
    from audioseq import training

    with training.device_scope(mixed_precision=True):
        model = classifier()
        assert model.network.layers[2].compute_dtype == "bfloat16" or any(
            layer.compute_dtype == "bfloat16" for layer in model.network.layers
        )
    assert keras.config.dtype_policy().name == "float32"
    model.save(tmp_path / "model.keras")
    loaded = aq.load_model(tmp_path / "model.keras")
    assert {layer.compute_dtype for layer in loaded.network.layers} == {"float32"}
    for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_suffix_of_path_objects(tmp_path):
    path = Path(tmp_path) / "deep" / "model.keras"
    classifier(models.feed_forward).save(path)
    assert path.is_file()
    with pytest.raises(FileExistsError, match="overwrite is False"):
        classifier(models.feed_forward).save(path, overwrite=False)


# ---- token networks and the generator


TOKENS = 23
BUILDERS = [models.event_lstm, models.event_gru, models.event_rnn]


def token_network(build, *, tied=False, units=(7, 9), size=TOKENS):
    keras.utils.set_random_seed(3)
    network = build(size, units=units, embedding=5, dropout=0.5, tied=tied)
    rng = np.random.default_rng(0)  # also what begins at zero: the biases
    network.set_weights([rng.standard_normal(weight.shape) * 0.7 for weight in network.get_weights()])
    return network


@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize("tied", [False, True], ids=["plain", "tied"])
@pytest.mark.parametrize("units", [(7,), (7, 9)], ids=str)
def test_step_by_step_is_the_whole_sequence(build, tied, units):
    network = token_network(build, tied=tied, units=units)
    tokens = np.random.default_rng(1).integers(0, TOKENS, (3, 12)).astype(np.int32)
    whole = keras.ops.convert_to_numpy(network(tokens))
    assert whole.shape == (3, 12, TOKENS)
    for folded in (None, network.fold()):
        states = network.initial_state(3)
        for t in range(12):
            logits, states = network.step(tokens[:, t], states, folded)
            assert len(states) == len(network.initial_state(3))
            assert_close(keras.ops.convert_to_numpy(logits), whole[:, t])


def test_folding_is_of_the_lstms_among_other_layers():
    layers = keras.layers
    recurrent = [layers.GRU(4, return_sequences=True), layers.LSTM(5, return_sequences=True, use_bias=False)]
    network = models.TokenNetwork(TOKENS, [*recurrent, layers.LSTM(6, return_sequences=True)], embedding=3)
    tokens = np.random.default_rng(1).integers(0, TOKENS, (2, 8)).astype(np.int32)
    whole, states = keras.ops.convert_to_numpy(network(tokens)), network.initial_state(2)
    folded = network.fold()
    assert len(folded) == 4
    for t in range(8):
        logits, states = network.step(tokens[:, t], states, folded)
        assert_close(keras.ops.convert_to_numpy(logits), whole[:, t])


def test_a_later_token_says_nothing_about_an_earlier_one_and_an_earlier_one_does():
    for build in BUILDERS:
        network = token_network(build)
        tokens = np.random.default_rng(1).integers(0, TOKENS, (1, 12)).astype(np.int32)
        other = tokens.copy()
        other[0, 6] = (other[0, 6] + 1) % TOKENS
        moved = np.abs(keras.ops.convert_to_numpy(network(tokens) - network(other)))[0].max(axis=1)
        assert moved[:6].max() == 0
        assert moved[6:].min() > 0


def test_tied_weights_are_the_embedding_twice():
    network = token_network(models.event_lstm, tied=True)
    (table,) = network.embedding.get_weights()
    assert table.shape == (TOKENS, 5)
    x = np.random.default_rng(0).standard_normal((2, 9)).astype(np.float32)
    kernel, bias = network.head.get_weights()
    expected = (x @ kernel + bias) @ table.T
    assert_close(keras.ops.convert_to_numpy(network.logits(x)), expected)


@pytest.fixture(scope="module")
def saved_generators(tmp_path_factory):
    """Generators of every kind of network and tokenizer, and what a fresh process says of their files."""
    folder = tmp_path_factory.mktemp("generators")
    tokenizers = [aq.EventTokenizer(drums=True), aq.BeatTokenizer(parts=None), aq.MelodyTokenizer(low=50, high=80)]
    generators = []
    for build, tokenizer in zip(BUILDERS, tokenizers, strict=True):
        for tied in (False, True):
            network = token_network(build, tied=tied, size=tokenizer.size)
            generators.append(aq.SequenceGenerator(tokenizer, network, tempo=91, meter=(6, 8)))
            generators[-1].save(folder / f"{len(generators) - 1}.keras")
    code = (
        "import audioseq as aq, numpy as np\n"
        "for k in range(6):\n"
        "    model = aq.load_model(f'{k}.keras')\n"
        "    np.save(f'{k}.npy', model(np.arange(3, 14)[None]))\n"
        "    assert (model.tempo, model.meter) == (91.0, (6, 8))\n"
        "    if k < 2: aq.save_midi(f'{k}.mid', model.generate(bars=2, seed=5))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder, generators


def test_a_fresh_process_reads_a_generator_whole(saved_generators, tmp_path):
    folder, generators = saved_generators
    for k, model in enumerate(generators):
        expected = keras.ops.convert_to_numpy(model(np.arange(3, 14)[None]))
        assert_close(np.load(folder / f"{k}.npy"), expected)
        again = aq.load_model(folder / f"{k}.keras", aq.SequenceGenerator)
        assert again.tokenizer == model.tokenizer
        assert again.network.tied == model.network.tied
        for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    for k in range(2):
        aq.save_midi(tmp_path / "piece.mid", generators[k].generate(bars=2, seed=5))
        assert (tmp_path / "piece.mid").read_bytes() == (folder / f"{k}.mid").read_bytes()


def test_a_generator_is_no_classifier(saved_generators):
    with pytest.raises(aq.ModelError, match="is a SequenceGenerator, not a SequenceClassifier"):
        aq.load_model(saved_generators[0] / "0.keras", aq.SequenceClassifier)


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"tempo": 0}, "tempo is 4 to 1000 quarter notes a minute. Received: 0"),
        ({"meter": (3, 5)}, r"meter is such as \(3, 4\). Received: \(3, 5\)"),
        ({"meter": (10**30, 4)}, r"meter is such as \(3, 4\). Received: \(10{30}, 4\)"),
        ({"meter": (3, 4, 4)}, r"meter is such as \(3, 4\). Received: \(3, 4, 4\)"),
        ({"tempo": float("nan")}, "tempo is 4 to 1000 quarter notes a minute. Received: nan"),
        ({"pitch_range": (0.5, 60)}, "pitch_range is two MIDI pitches"),
        ({"pitch_range": (60, 50)}, r"0 <= low <= high <= 127. Received: \(60, 50\)"),
    ],
)
def test_a_generator_whose_pieces_could_not_be_written(options, rule):
    tokenizer = aq.MelodyTokenizer()
    with pytest.raises(ValueError, match=rule):
        aq.SequenceGenerator(tokenizer, token_network(models.event_gru, size=tokenizer.size), **options)


def test_a_network_of_another_size_or_kind_is_refused():
    tokenizer = aq.MelodyTokenizer()
    with pytest.raises(ValueError, match=rf"of the tokenizer's {tokenizer.size} tokens. Received: 23"):
        aq.SequenceGenerator(tokenizer, token_network(models.event_gru))
    with pytest.raises(ValueError, match=r"network is a TokenNetwork of .* Received: Functional"):
        aq.SequenceGenerator(tokenizer, models.gru(20, tokenizer.size))


class TestPolyphonyLSTM:
    """Eight units over twelve keys."""

    def network(self, **kwargs):
        keras.utils.set_random_seed(0)
        return models.polyphony_lstm(12, units=8, hidden=16, **kwargs)

    def logits(self, model, frames, following):
        said = model([frames, following] if len(model.inputs) == 2 else frames)
        return keras.ops.convert_to_numpy(said)

    def music(self, seed=0):
        """Frames and the next ones, (2, 30, 12)."""
        frames = (np.random.default_rng(seed).random((2, 31, 12)) < 0.2).astype(np.float32)
        return frames[:, :-1], frames[:, 1:]

    @pytest.mark.parametrize("joint", [False, True])
    @pytest.mark.parametrize("recall", [False, True])
    def test_no_later_frame_and_no_neighbour_matters(self, joint, recall):
        model = self.network(joint=joint, recall=recall)
        (frames, following), (others, after) = self.music(), self.music(seed=1)
        before = self.logits(model, frames, following)
        assert before.shape == (2, 30, 12)
        mixed = [np.concatenate([x[:, :20], y[:, 20:]], axis=1) for x, y in ((frames, others), (following, after))]
        for x, y in zip(mixed, (others, after), strict=True):
            x[1] = y[1]
        moved = np.abs(self.logits(model, *mixed) - before) / np.abs(before).max()
        assert moved[0, :20].max() < ROUNDING
        assert moved[0, 20:].max() > 1e-3

    def test_the_joint_model_judges_a_frame_by_that_frames_lower_keys_alone(self):
        model = self.network(joint=True)
        model.get_layer("made").pairs.assign(np.ones((12, 12)))  # starts at zero
        frames, following = self.music()
        before = self.logits(model, frames, following)
        changed = following.copy()
        changed[0, 7, 4] = 1 - changed[0, 7, 4]
        moved = self.logits(model, frames, changed) != before
        assert moved[0, 7].tolist() == [key > 4 for key in range(12)]
        assert moved.sum() == 7

    def test_a_frame_that_it_draws_is_one_that_it_finds_probable(self):
        model, (frames, _) = self.network(joint=True), self.music()
        made = model.get_layer("made")
        rng = np.random.default_rng(0)
        for weight in made.weights:
            weight.assign(0.1 * rng.standard_normal(weight.shape))
        state, logits = keras.Model(model.inputs[0], made.input[:2])(frames[:1])
        repeated = [np.repeat(keras.ops.convert_to_numpy(x)[:, -1], 5000, axis=0) for x in (state, logits)]
        drawn = keras.ops.convert_to_numpy(made.sample(*repeated, seed=0))
        judged = keras.ops.convert_to_numpy(made([*repeated, drawn]))
        # each key is drawn with the probability that the model gives it after the keys below: a martingale
        p = 1 / (1 + np.exp(-judged))
        error = (drawn - p).sum(0) / np.sqrt((p * (1 - p)).sum(0))
        assert np.abs(error).max() < 4.5
        assert (p.std(0) > 0.001).sum() > 6  # the keys below were heard

    @pytest.mark.parametrize("joint", [False, True])
    def test_it_is_saved_without_any_code(self, joint, tmp_path):
        model, music = self.network(joint=joint), self.music()
        model.save(tmp_path / "model.keras")
        again = keras.models.load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(self.logits(again, *music), self.logits(model, *music))


def test_layers_over_rolls_take_no_more_memory_than_a_roll_may_need():
    from audioseq.models import layers

    for lengths in ((), (0, 1), (2, 1), (1.5,), range(1, 66)):
        with pytest.raises(ValueError, match="lengths are rising numbers of frames, at most 64"):
            layers.Recall(lengths)
    for periods in ((), (0,), (2.5,), range(1, 66)):
        with pytest.raises(ValueError, match="periods are 1 to 64 whole numbers of frames"):
            layers.Meter(periods)
    with pytest.raises(ValueError, match=r"make masks of at most 4,194,304 numbers\. Received: 8800000"):
        layers.MADE(100_000).build([(None, 4), (None, 88), (None, 88)])


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"n_features": 0}, r"n_features is a whole number, 1 or above\. Received: 0"),
        ({"n_features": 2.5}, r"n_features is a whole number, 1 or above\. Received: 2\.5"),
        ({"n_classes": 0}, r"n_classes is a whole number, 1 or above\. Received: 0"),
        ({"n_classes": True}, r"n_classes is a whole number, 1 or above\. Received: True"),
        ({"units": -1}, r"units is a whole number, 1 or above\. Received: -1"),
        ({"dropout": 1.5}, r"dropout is a share from 0 to 1\. Received: 1\.5"),
        ({"dropout": float("nan")}, r"dropout is a share from 0 to 1\. Received: nan"),
    ],
    ids=str,
)
def test_a_network_of_frames_outside_its_domain(network, options, rule):
    with pytest.raises(aq.ArgumentError, match=rule):
        network(**{"n_features": 20, "n_classes": 3, **options})


@pytest.mark.parametrize("network", [models.cnn_lstm, models.attention_rnn])
@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"filters": (4, 0)}, r"filters are whole numbers, 1 or above, one for each layer\. Received: \(4, 0\)"),
        ({"filters": ()}, r"filters are whole numbers, 1 or above, one for each layer\. Received: \(\)"),
        ({"heads": 0}, r"heads is a whole number, 1 or above\. Received: 0"),
    ],
    ids=str,
)
def test_convolutions_and_heads_outside_their_domain(network, options, rule):
    with pytest.raises(aq.ArgumentError, match=rule):
        network(20, 3, **options)


def test_more_heads_than_a_state_has_numbers():
    with pytest.raises(aq.ArgumentError, match=r"heads share the 4 numbers of a state\. Received: 5"):
        models.attention_rnn(20, 3, units=2, heads=5)


@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"size": 0}, r"size is a whole number, 1 or above\. Received: 0"),
        ({"units": 256}, r"units are whole numbers, 1 or above, one for each layer\. Received: 256"),
        ({"units": ()}, r"units are whole numbers, 1 or above, one for each layer\. Received: \(\)"),
        ({"units": (8, 0)}, r"units are whole numbers, 1 or above, one for each layer\. Received: \(8, 0\)"),
        ({"embedding": 0}, r"embedding is a whole number, 1 or above\. Received: 0"),
        ({"dropout": -0.1}, r"dropout is a share from 0 to 1\. Received: -0\.1"),
    ],
    ids=str,
)
def test_a_network_of_tokens_outside_its_domain(build, options, rule):
    with pytest.raises(aq.ArgumentError, match=rule):
        build(**{"size": TOKENS, **options})


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"keys": 0}, r"keys is a whole number, 1 or above\. Received: 0"),
        ({"units": 3}, r"units is a whole number, 4 or above\. Received: 3"),
        ({"units": 8.0}, r"units is a whole number, 1 or above\. Received: 8\.0"),
        ({"hidden": 0}, r"hidden is a whole number, 1 or above\. Received: 0"),
        ({"dropout": 2}, r"dropout is a share from 0 to 1\. Received: 2"),
    ],
    ids=str,
)
def test_a_network_of_rolls_outside_its_domain(options, rule):
    with pytest.raises(aq.ArgumentError, match=rule):
        models.polyphony_lstm(**options)
