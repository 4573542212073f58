"""A stream gives the scores of the whole signal, from the same weights, whatever the blocks.

The whole signal is computed here on its own: `FeatureLayer` over silence and sound in one piece, the network cut at
its recurrent layer by Keras, windows by NumPy, softmax by NumPy.
"""

from __future__ import annotations

import dataclasses
import functools
import gc
import re
import weakref

import keras
import numpy as np
import pytest
from conftest import SHARED
from keras import layers, ops
from numpy.lib.stride_tricks import sliding_window_view

import audioseq as aq
from audioseq import models
from audioseq.features.layer import FeatureLayer
from audioseq.features.mel import PCEN, Delta, LogMel, Mel
from audioseq.speech.streaming import Streaming

SR, N_FFT, HOP, N_MELS = 8000, 256, 80, 20
GROUP = 4  # frames to a score
FEATURE = LogMel(sr=SR, n_fft=N_FFT, hop_length=HOP, n_mels=N_MELS)
FEATURES = {
    "log-mel": FEATURE,
    "from sample 0": LogMel(sr=SR, n_fft=N_FFT, hop_length=HOP, n_mels=N_MELS, center=False),
    "derivatives": LogMel(sr=SR, n_fft=N_FFT, hop_length=HOP, n_mels=8) >> Delta(order=(0, 1)),
    "gain control": Mel(sr=SR, n_fft=N_FFT, hop_length=HOP, n_mels=10, power=1.0) >> PCEN(),
}
AHEAD = {"derivatives": 4}  # later frames that a frame sees: half of Delta's 9
NAMES = ("go", "stop", "_unknown_")
SMALL = {
    models.cnn_lstm: {"filters": (4, 6, 8), "units": 8},
    models.attention_rnn: {"filters": (4, 6, 8), "units": 8, "heads": 2},
}
BAR = 1e-5  # probabilities: float32 sums in another order


def classifier(network=models.cnn_lstm, feature=FEATURE, duration=0.5):
    """An untrained classifier whose normalisations are no identity, and whose scores move with what it hears."""
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(0)
    n = feature.n_features
    if not isinstance(network, keras.Model):
        network = network(n, len(NAMES), **SMALL.get(network, {"units": 8}))
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            size = layer.gamma.shape[0]
            layer.gamma.assign(rng.uniform(0.5, 1.5, size))
            layer.beta.assign(0.3 * rng.standard_normal(size))
            layer.moving_mean.assign(0.3 * rng.standard_normal(size))
            layer.moving_variance.assign(rng.uniform(0.5, 2.0, size))
    if network.name != "feed_forward":
        last = network.layers[-1]
        last.kernel.assign(8 * ops.convert_to_numpy(last.kernel))
    spread = {"mean": rng.standard_normal(n) - 40, "variance": rng.uniform(200, 400, n)}
    if isinstance(feature, type(FEATURES["gain control"])) and isinstance(feature.stages[-1], PCEN):
        spread = {"mean": rng.uniform(1, 2, n), "variance": rng.uniform(1, 2, n)}
    return aq.SequenceClassifier(feature, network, NAMES, duration=duration, **spread)


@functools.cache
def stream_of(network=models.cnn_lstm, feature="log-mel"):
    return classifier(network, FEATURES[feature]).streaming()


def whole_signal(model, y, *, split=None, group=GROUP, ahead=0):
    """The scores from the first that silence alone does not complete to the last, all in one piece.

    `split` is the recurrent layer before which the network is causal; None: the network reads windows of frames.
    `group` is frames to a score, `ahead` the later frames that a frame sees.
    """
    front = model.feature.front_end()
    n_silence = -(-2 * model.n_samples // (group * front.hop)) * group * front.hop  # two clips' worth, in whole scores
    padding = front.n_fft // 2 if front.center else 0
    first = ((n_silence + padding - front.n_fft) // front.hop + 1 - ahead) // group
    samples = np.concatenate([np.zeros(n_silence, np.float32), y])[None]
    frames = model.normalization(FeatureLayer(model.feature)(samples))
    n_frames = ops.shape(FeatureLayer(model.feature)(np.zeros((1, model.n_samples), np.float32)))[1]
    if split is None:
        states, rest = ops.convert_to_numpy(frames)[0], model.network
        window, ends = n_frames, np.arange(group - 1, len(states), group)
    else:
        local = keras.Model(model.network.input, split.input)
        rest = keras.Model(split.input, model.network.output)
        states = ops.convert_to_numpy(local(frames, training=False))[0]
        window = local(frames[:, :n_frames], training=False).shape[1]
        ends = np.arange(len(states))
    windows = np.moveaxis(sliding_window_view(states, window, axis=0), -1, 1)  # (windows, window, channels)
    logits = ops.convert_to_numpy(rest(windows[ends[first:] - window + 1], training=False)).astype(np.float64)
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def recurrent(model):
    return next(x for x in model.network.layers if isinstance(x, (layers.RNN, layers.Bidirectional)))


def streamed(stream, blocks, state=None, *, finish=True):
    state = stream.initial_state() if state is None else state
    parts = []
    for block in blocks:
        scores, state = stream(block, state)
        parts.append(scores)
    return np.concatenate([*parts, stream.finish(state)] if finish else parts)


def noise(seconds, seed=0):
    """Noise whose level and colour wander, within [-1, 1]."""
    rng = np.random.default_rng(seed)
    n = round(seconds * SR)
    y = rng.standard_normal(n) * np.interp(np.arange(n), np.linspace(0, n, 9), rng.uniform(0.001, 0.2, 9))
    colour = np.convolve(y, [1, 0.9], "same")
    return np.where(np.arange(n) // 1700 % 2, y, colour).clip(-1, 1).astype(np.float32)


def click():
    y = (1e-3 * np.random.default_rng(5).standard_normal(2 * SR)).astype(np.float32)
    y[7000:7003] = 1.0, -1.0, 1.0
    return y


SOUNDS = {"noise": noise(6.27), "click": click(), "short": noise(0.003), "silence": np.zeros(5000, np.float32)}
BLOCKS = {
    "samples": lambda y: np.split(y, range(1, min(700, len(y)))),  # one by one, then the rest
    "10 ms": lambda y: np.split(y, range(80, len(y), 80)),
    "37 ms": lambda y: np.split(y, range(296, len(y), 296)),
    "1 s": lambda y: np.split(y, range(SR, len(y), SR)),
    "at once": lambda y: [y],
    "some empty": lambda y: np.split(y, np.sort(np.random.default_rng(1).integers(0, len(y), 9)).repeat(2)),
}


@pytest.fixture(scope="module")
def model():
    return stream_of().model


@pytest.fixture(scope="module")
def stream():
    return stream_of()


@pytest.fixture(scope="module")
def expected(model):
    return {name: whole_signal(model, y, split=recurrent(model)) for name, y in SOUNDS.items()}


# ------------------------------------------------------------------------------------------------ the same numbers


def test_cnn_lstm_is_causal_and_hears_as_many_states_as_a_clip_has(model, stream):
    assert (stream.causal, stream.why) == (True, "")
    clip = model.frames(np.zeros((1, model.n_samples), np.float32))
    states = keras.Model(model.network.input, recurrent(model).input)(clip)
    assert (stream.steps.window, stream.steps.channels) == states.shape[1:]
    assert stream.hop == pytest.approx(0.04)


def test_the_sounds_move_the_scores(expected):
    assert len(expected["noise"]) > 128  # more than are computed at a time
    assert np.ptp(expected["noise"], axis=0).max() > 1000 * BAR
    assert np.ptp(expected["click"], axis=0).max() > 1000 * BAR


@pytest.mark.parametrize("sound", SOUNDS)
@pytest.mark.parametrize("blocks", BLOCKS)
def test_any_blocks_give_the_scores_of_the_whole(stream, expected, sound, blocks):
    y = SOUNDS[sound]
    scores = streamed(stream, BLOCKS[blocks](y))
    assert (scores.shape, scores.dtype) == (expected[sound].shape, np.float32)
    np.testing.assert_allclose(scores, expected[sound], rtol=0, atol=BAR)


def test_the_end_brings_what_only_the_end_completes(stream, expected):
    # without it: frame f is whole with sample 80 f + 128, a score with frames 4 k to 4 k + 3
    for n in (0, 1, 320, 4000, 4127, 4128, 4129, 4447, 4448):
        y = SOUNDS["noise"][:n]
        scores, state = stream(y, stream.initial_state())
        first = -1  # the last four frames of the silence end in the stream
        frames = (n - 128) // 80 + 1
        assert len(scores) == max(0, frames // 4 - first), n
        # with the end: a score for every four frames that are begun, and 1 + n // 80 frames
        end = stream.finish(state)
        assert len(scores) + len(end) == -(-(1 + n // 80) // 4) - first, n
        same = len(scores) + (len(end) if n == 0 else 0)
        np.testing.assert_allclose(scores[:same], expected["noise"][: len(scores)][:same], atol=BAR)
    assert len(end) > 0


def test_a_saved_and_loaded_model_streams_the_same(model, expected, tmp_path):
    model.save(tmp_path / "model.keras")
    loaded = aq.load_model(tmp_path / "model.keras").streaming()
    scores = streamed(loaded, BLOCKS["37 ms"](SOUNDS["noise"]))
    np.testing.assert_allclose(scores, expected["noise"], rtol=0, atol=BAR)


@pytest.mark.parametrize("feature", list(FEATURES)[1:])
def test_every_feature_streams_causally(feature):
    stream = stream_of(feature=feature)
    model = stream.model
    y = SOUNDS["noise"][:15003]
    expected = whole_signal(model, y, split=recurrent(model), ahead=AHEAD.get(feature, 0))
    assert stream.causal
    assert np.ptp(expected, axis=0).max() > 1000 * BAR
    for blocks in ("37 ms", "at once"):
        scores = streamed(stream, BLOCKS[blocks](y))
        assert scores.shape == expected.shape
        np.testing.assert_allclose(scores, expected, rtol=0, atol=BAR)


@pytest.mark.skipif(not (SHARED / "speech_commands").is_dir(), reason="../shared/data is not here")
def test_real_clips_stream_as_a_whole():
    feature = LogMel(sr=16000, n_fft=512, win_length=480, hop_length=160, n_mels=40)
    model = classifier(feature=feature, duration=1.0)
    stream = model.streaming()
    for word in ("go", "seven", "zero", "up"):
        folder = SHARED / "speech_commands" / word
        if not folder.is_dir():
            continue
        y, _ = aq.load(min(folder.iterdir()), sr=16000)
        scores = streamed(stream, np.split(y, range(592, len(y), 592)))
        expected = whole_signal(model, y, split=recurrent(model))
        assert scores.shape == expected.shape
        np.testing.assert_allclose(scores, expected, rtol=0, atol=BAR)


# ----------------------------------------------------------------------------------------------------- the state


def halfway(stream, n=4400):
    """A state in the middle of a sound, two frames after a score, and the rest of the sound."""
    y = SOUNDS["noise"]
    _, state = stream(y[:n], stream.initial_state())
    return state, y[n : n + 4000]


def test_every_part_of_the_state_is_heard(stream):
    state, rest = halfway(stream)
    right = streamed(stream, [rest], state)
    assert len(state.pending) == 2
    wrong = {
        "samples": dataclasses.replace(
            state, frames=state.frames._replace(samples=np.zeros_like(state.frames.samples))
        ),
        "pending": dataclasses.replace(state, pending=np.zeros_like(state.pending)),
        "window": dataclasses.replace(state, window=np.zeros_like(state.window)),
    }
    assert len(state.rows) == 5  # one a convolution
    for i, rows in enumerate(state.rows):
        lost = (*state.rows[:i], np.zeros_like(rows), *state.rows[i + 1 :])
        wrong[f"rows of convolution {i}"] = dataclasses.replace(state, rows=lost)
    for part, broken in wrong.items():
        moved = np.abs(streamed(stream, [rest], broken) - right).max()
        assert moved > 10 * BAR, (part, moved)


def test_the_memory_of_a_gain_control_is_heard():
    stream = stream_of(feature="gain control")
    state, rest = halfway(stream)
    (memory,) = state.frames.steps
    frames = state.frames._replace(steps=(np.zeros_like(memory),))
    moved = streamed(stream, [rest], dataclasses.replace(state, frames=frames)) - streamed(stream, [rest], state)
    assert np.abs(moved).max() > 10 * BAR


def arrays_of(state):
    return [state.frames.samples, state.pending, *state.rows, state.window]


def test_a_call_leaves_the_state_that_it_was_given(stream):
    state, rest = halfway(stream)
    before = [array.copy() for array in arrays_of(state)]
    (first, _), (second, _) = stream(rest, state), stream(rest, state)
    assert len(first) > 10
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(stream.finish(state), stream.finish(state))
    for now, then in zip(arrays_of(state), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_two_streams_of_one_model_do_not_hear_each_other(stream, expected):
    names = ("noise", "click")
    states, parts = {name: stream.initial_state() for name in names}, {name: [] for name in names}
    for begin in range(0, 2 * SR, 500):
        for name in names:
            scores, states[name] = stream(SOUNDS[name][begin : begin + 500], states[name])
            parts[name].append(scores)
    for name in names:
        scores = np.concatenate(parts[name])
        np.testing.assert_allclose(scores, expected[name][: len(scores)], rtol=0, atol=BAR)


def test_the_state_does_not_grow(stream):
    y, state = SOUNDS["noise"], stream.initial_state()
    sizes = set()
    for begin in range(0, len(y) - 320, 320):  # blocks of one score
        _, state = stream(y[begin : begin + 320], state)
        sizes.add(sum(array.nbytes for array in arrays_of(state)))
    assert len(sizes) == 1


def test_the_state_keeps_no_block_alive(stream):
    _, state = stream(np.zeros(60 * SR + 200, np.float32), stream.initial_state())
    for array in arrays_of(state):
        while array is not None:
            assert array.nbytes < 2**16, array.shape  # a minute's frames are 480 kB
            array = array.base if isinstance(array.base, np.ndarray) else None


def test_nothing_drifts(stream):
    period = 12 * GROUP * HOP  # 0.48 s, twelve scores
    sound = noise(period / SR, seed=3)
    y = np.tile(sound, 41)
    scores = streamed(stream, np.split(y, range(997, len(y), 997)), finish=False)
    third, fortieth = scores[2 * 12 + 1 :][:12], scores[39 * 12 + 1 :][:12]
    assert np.ptp(third, axis=0).max() > 1000 * BAR
    np.testing.assert_allclose(fortieth, third, rtol=0, atol=BAR)  # the blocks begin elsewhere


def test_what_was_heard_is_forgotten(stream):
    # the LSTM hears 13 states; before them the convolutions see 4 + 2 (2 + 2 + 2) + 4 (2) = 24 frames: 6 states
    y = np.concatenate([SOUNDS["noise"][: 8 * GROUP * HOP], np.zeros(30 * GROUP * HOP, np.float32)])
    noisy, silent = streamed(stream, [y]), streamed(stream, [np.zeros_like(y)])
    moved = np.abs(noisy - silent).max(axis=1)
    assert np.flatnonzero(moved > 1e-6)[-1] <= 1 + 8 + 12 + 6 + 1
    assert moved[-1] <= 1e-6 < moved[10]


# ------------------------------------------------------------------------------------ what a stream leaves behind


def nodes_of(network):
    """How often each layer was called with symbols, and by how many others its outputs are read."""
    return {layer.name: (len(layer._inbound_nodes), len(layer._outbound_nodes)) for layer in network.layers}


@pytest.mark.parametrize("network", [models.cnn_lstm, models.attention_rnn, models.gru])
def test_a_hundred_detectors_leave_no_more_in_the_network_than_none(network):
    model = classifier(network)
    before = nodes_of(model.network)
    aq.Streaming(model)
    for _ in range(100):
        aq.Detector(model)
    assert nodes_of(model.network) == before


def test_a_network_that_is_trained_later_is_trained_in_the_stream_too():
    model = classifier()
    stream, y = model.streaming(), SOUNDS["noise"][:8000]
    before = streamed(stream, [y])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    clips = noise(4, seed=9).reshape(-1, model.n_samples)
    model.fit(clips, np.arange(len(clips)) % 3, epochs=2, verbose=0)
    after = streamed(stream, [y])
    assert np.abs(after - before).max() > 1000 * BAR
    np.testing.assert_allclose(after, whole_signal(model, y, split=recurrent(model)), rtol=0, atol=BAR)


def test_a_model_whose_stream_was_used_is_freed():
    model = classifier()
    events = aq.Detector(model)
    events.push(SOUNDS["noise"])
    alive = [weakref.ref(part) for part in (model, model.network, events.stream)]
    del model, events
    gc.collect()
    assert [ref() for ref in alive] == [None] * 3


# ------------------------------------------------------------------------------------------------------ the times


def first_change(stream, at, n=12000):
    """Time of the first score that a click at sample `at` changes."""
    silent = np.zeros(n, np.float32)
    loud = silent.copy()
    loud[at] = 1.0
    scores = [streamed(stream, [y], finish=False) for y in (silent, loud)]
    times = stream.times(len(scores[0]))
    return times[np.flatnonzero(np.abs(scores[0] - scores[1]).max(axis=1) > 1e-6)[0]]


@pytest.mark.parametrize("feature", FEATURES)
def test_a_score_changes_from_the_frame_that_sees_the_click(feature):
    stream = stream_of(feature=feature)
    front = FEATURES[feature].front_end()
    begin = -(front.n_fft // 2) if front.center else 0  # of frame 0, in samples
    for frame in (37, 50, 63, 72):
        at = begin + frame * HOP + front.n_fft - 40  # 40 samples before its end; the frame before has ended
        group = -(-(frame - AHEAD.get(feature, 0)) // GROUP)  # a state sees no frame after its group's first
        middle = begin + GROUP * group * HOP + front.n_fft // 2
        assert first_change(stream, at) == pytest.approx(middle / SR, abs=1e-9), at


@pytest.mark.parametrize("network", [models.lstm, models.feed_forward])
def test_a_window_of_frames_changes_with_the_group_that_sees_the_click(network):
    stream = stream_of(network)
    for frame, last in ((36, 39), (37, 39), (38, 39), (39, 39), (40, 43)):
        at = frame * HOP + N_FFT // 2 - 40  # the first frame that sees it, and the last of its group of four
        assert first_change(stream, at) == pytest.approx(last * HOP / SR, abs=1e-9), at


def test_times_go_on_from_block_to_block(stream):
    np.testing.assert_allclose(np.diff(stream.times(100)), stream.hop, rtol=1e-9)
    np.testing.assert_array_equal(stream.times(100)[40:], stream.times(60, first=40))


@pytest.mark.parametrize(
    ("network", "feature"),
    [*((models.cnn_lstm, feature) for feature in FEATURES), (models.lstm, "log-mel"), (models.lstm, "from sample 0")],
)
def test_latency_is_the_time_to_the_sample_that_completes_a_score(network, feature):
    stream = stream_of(network, feature)
    state, completed = stream.initial_state(), []
    for n, sample in enumerate(np.split(SOUNDS["noise"][:1250], 1250), 1):
        scores, state = stream(sample, state)
        completed += [n / SR] * len(scores)
    assert len(completed) >= 3
    np.testing.assert_allclose(completed - stream.times(len(completed)), stream.latency, atol=1.01 / SR)


# --------------------------------------------------------------------------------------- networks that look ahead


@pytest.mark.parametrize(
    ("network", "why"),
    [
        (models.attention_rnn, r"attention_rnn .* looks 2 rows ahead"),
        (models.lstm, "lstm recurs from its first layer on"),
        (models.gru, "gru recurs from its first layer on"),
        (models.rnn, "rnn recurs from its first layer on"),
        (models.feed_forward, "feed_forward has no recurrent layer"),
    ],
    ids=["attention_rnn", "lstm", "gru", "rnn", "feed_forward"],
)
def test_a_network_that_cannot_stream_slides_a_window_and_says_so(network, why):
    stream = stream_of(network)
    model = stream.model
    assert not stream.causal
    assert re.search(why, stream.why), stream.why
    y = SOUNDS["noise"][:12345]
    expected = whole_signal(model, y)
    assert np.ptp(expected, axis=0).max() > 1000 * BAR
    for blocks in ("37 ms", "at once"):
        scores = streamed(stream, BLOCKS[blocks](y))
        assert scores.shape == expected.shape
        np.testing.assert_allclose(scores, expected, rtol=0, atol=BAR)


def convolved(x, *, rows=2, height=20):
    """A causal convolution of two frames to a state; with `rows` 1 a state sees the later of its two frames."""
    x = layers.Reshape((-1, height, 1))(x)
    x = layers.ZeroPadding2D(((rows, 0), (1, 1)))(x)
    x = layers.Conv2D(4, 3, strides=(2, 2), activation="relu")(x)
    return layers.Reshape((-1, 4 * height // 2))(x)


def nested(x):
    inner = keras.Input((None, N_MELS))
    return keras.Model(inner, convolved(inner))(x)


BEFORE = {
    "a layer for each frame": lambda x: layers.Dense(8, activation="tanh")(x),
    "a network in the network": nested,
    "an operation": lambda x: ops.tanh(convolved(x)),
    "a mask": lambda x: layers.Dense(8)(layers.Masking()(x)),
    "Keras' causal convolution": lambda x: layers.Conv1D(8, 3, padding="causal")(x),
    "a convolution that looks ahead": lambda x: layers.Conv1D(8, 3, padding="same")(x),
    "attention": lambda x: layers.MultiHeadAttention(2, 4)(x, x),
    "states of two frames": lambda x: layers.AveragePooling1D(2)(layers.Dense(8)(x)),
    "the later of two frames": lambda x: convolved(x, rows=1),
    "the third of four frames": lambda x: convolved(convolved(x), rows=1, height=40),
}


def own_network(before, after=None, time=None):
    inputs = keras.Input((time, N_MELS))
    x = (after or layers.LSTM(8))(before(inputs))
    return keras.Model(inputs, layers.Dense(3)(x), name="own")


def test_a_bidirectional_layer_behind_causal_convolutions_streams():
    network = own_network(convolved, layers.Bidirectional(layers.GRU(5)))
    model = classifier(network)
    stream = model.streaming()
    assert stream.causal, stream.why
    assert stream.hop == pytest.approx(2 * HOP / SR)
    check_own(model, stream, 2)


@pytest.mark.parametrize("before", BEFORE)
def test_a_network_of_ones_own_streams_or_says_why_not(before):
    model = classifier(own_network(BEFORE[before]))
    stream = model.streaming()
    assert stream.causal == (not stream.why)
    if before in ("a convolution that looks ahead", "attention"):
        assert not stream.causal
    if before in ("a layer for each frame", "the later of two frames", "the third of four frames"):
        assert stream.causal, stream.why
    for of_our_code in ("array dimensions", "argument must be"):  # a reason is of the network
        assert of_our_code not in stream.why
    if before == "Keras' causal convolution":  # which may be beyond it, but sees nothing that comes later
        assert stream.causal or "a layer carries its past by itself" in stream.why
    check_own(model, stream, stream.steps.stride if stream.causal else GROUP)


def test_a_network_for_clips_of_one_length_slides_a_window():
    model = classifier(own_network(convolved, time=51))
    stream = model.streaming()
    assert not stream.causal
    check_own(model, stream, GROUP)


def test_frames_without_normalisation_stream():
    model = aq.SequenceClassifier(FEATURE, own_network(convolved), NAMES, duration=0.5)
    assert model.mean is None
    check_own(model, model.streaming(), 2)


def check_own(model, stream, group):
    y = SOUNDS["noise"][:7260]  # with the silence 191 frames: odd, and three over fours
    expected = whole_signal(model, y, split=recurrent(model) if stream.causal else None, group=group)
    assert np.ptp(expected, axis=0).max() > 1000 * BAR
    scores = streamed(stream, BLOCKS["37 ms"](y))
    np.testing.assert_allclose(scores[: len(expected)], expected[: len(scores)], rtol=0, atol=BAR)
    assert len(scores) == len(expected)


# ---------------------------------------------------------------------------------------------------- bad input


def test_a_feature_that_needs_the_whole_clip_is_refused():
    feature = LogMel(sr=SR, n_fft=N_FFT, hop_length=HOP, n_mels=N_MELS, top_db=80.0)
    with pytest.raises(ValueError, match=r"LogMel needs the whole clip \(top_db\), so it cannot stream"):
        classifier(feature=feature).streaming()


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (np.zeros(10, np.int16), r"A block is float in \[-1, 1\].*divide 16-bit integers.*Received: dtype int16"),
        (np.zeros((2, 10), np.float32), r"shape \(samples,\).*Received: dtype float32, shape \(2, 10\)"),
        (np.array([0.0, np.nan], np.float32), r"Samples are finite\. Received: 1 NaN or infinite of 2"),
        (np.array([np.inf, -np.inf], np.float32), r"Samples are finite\. Received: 2 NaN or infinite of 2"),
        (np.array([1e300]), r"Samples are finite\. Received: 1 NaN or infinite of 1"),
    ],
    ids=["integers", "two dimensions", "NaN", "infinity", "beyond float32"],
)
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_a_bad_block_is_refused_and_the_stream_goes_on(stream, expected, block, message):
    y = SOUNDS["noise"][:6000]
    first, state = stream(y[:3000], stream.initial_state())
    with pytest.raises(ValueError, match=message):
        stream(block, state)
    second, state = stream(y[3000:], state)
    scores = np.concatenate([first, second])
    np.testing.assert_allclose(scores, expected["noise"][: len(scores)], rtol=0, atol=BAR)


def test_blocks_of_float64_are_float32(stream):
    y = SOUNDS["noise"][:4000]
    np.testing.assert_array_equal(streamed(stream, [y.astype(np.float64)]), streamed(stream, [y]))


def test_a_model_hands_out_its_streaming(model):
    assert isinstance(model.streaming(), Streaming)
    assert isinstance(aq.Streaming(model), Streaming)


def test_what_a_notebook_shows_of_a_stream(stream):
    # four frames of 10 ms to a score, whose state sees the first: 3 frames and half of one of 32 ms
    assert repr(stream) == "Streaming(a score every 40 ms, 46 ms late, causal)"
    whole = repr(stream_of(models.gru))
    assert whole.endswith("ms late, a window at a time: gru recurs from its first layer on)")
