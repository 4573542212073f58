"""What networks remember: against closed forms, against Keras itself, and what cannot be followed."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import soundfile
import tensorflow as tf
from conftest import SR
from keras import layers

import audioseq as aq
from audioseq import models
from audioseq.memory import jacobians, measures, recurrent

RNG = np.random.default_rng(0)
KINDS = (layers.SimpleRNN, layers.LSTM, layers.GRU)


def network(*stack: keras.layers.Layer, features: int = 3) -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((None, features)), *stack])


def linear(units: int = 16, features: int = 3, w: np.ndarray | None = None) -> tuple[keras.Model, list[np.ndarray]]:
    model = network(layers.SimpleRNN(units, activation=None, name="memory"), features=features)
    u = RNG.standard_normal((features, units)).astype(np.float32)
    w = (RNG.standard_normal((units, units)) / np.sqrt(units) if w is None else w).astype(np.float32)
    model.set_weights([u, w, np.zeros(units)])
    return model, [u.astype(np.float64), w.astype(np.float64)]


def forced(kind: type, **biases: float) -> keras.Model:
    """One layer whose gates a large bias holds open or shut."""
    model = network(kind(5, name="memory"))
    blocks = {layers.LSTM: ("input", "forget", "cell", "output"), layers.GRU: ("update", "reset", "candidate")}[kind]
    weights = model.get_weights()
    weights[-1] = weights[-1] * 0 + np.repeat([biases.get(name, 0.0) for name in blocks], 5)
    model.set_weights(weights)
    return model


class TestFlow:
    def test_of_a_linear_network_is_the_singular_value_of_powers(self):
        model, (_, w) = linear()
        flow = aq.gradient_flow(model, RNG.standard_normal((60, 3)))["memory"]
        expected = [np.linalg.svd(np.linalg.matrix_power(w, k))[1][0] for k in range(60)]
        np.testing.assert_allclose(flow.norms, expected, rtol=1e-5)
        assert flow.spectral_radius == pytest.approx({"state": np.abs(np.linalg.eigvals(w)).max()})
        assert (flow.error, flow.saturation) == (0.0, {})

    @pytest.mark.parametrize(
        ("model", "expected"),
        [
            (lambda: forced(layers.LSTM, input=-50, forget=50), 1.0),
            (lambda: forced(layers.LSTM, input=-50, forget=-50), 0.0),
            (lambda: forced(layers.GRU, update=50), 1.0),
        ],
    )
    def test_of_gates_that_are_forced_open_or_shut(self, model, expected):
        flow = aq.gradient_flow(model(), RNG.standard_normal((30, 3)))["memory"]
        np.testing.assert_allclose(flow.norms, [1.0, *[expected] * 29], atol=1e-12)
        assert flow.horizon == (None if expected else 1)
        for gate in ("input", "forget") if flow.kind == "LSTM" else ("update",):
            assert {flow.saturation[gate].shut, flow.saturation[gate].open} == {0.0, 1.0}

    @pytest.mark.parametrize("kind", KINDS)
    def test_is_the_total_derivative_that_keras_gives(self, kind):
        model = network(kind(4, recurrent_initializer="random_normal", return_state=True))
        model = keras.Model(model.inputs, model.layers[-1].output[0])
        layer, x, lag = model.layers[-1], RNG.standard_normal((1, 12, 3)).astype(np.float32), 7
        _, *at = layer(x[:, : 12 - lag])
        memory_then = at[-1]
        gate = at[0] / tf.tanh(at[-1])  # an LSTM's: h = o tanh(c) moves with c; o does not
        with tf.GradientTape() as tape:
            tape.watch(memory_then)
            states = [memory_then]
            if kind is layers.LSTM:
                states = [gate * tf.tanh(memory_then), memory_then]
            _, *end = layer(x[:, 12 - lag :], initial_state=states)
        jacobian = tape.jacobian(end[-1], memory_then)[0, :, 0]
        flow = aq.gradient_flow(model, x)[layer.name]
        assert flow.norms[lag] == pytest.approx(np.linalg.norm(jacobian, 2), rel=1e-5)

    @pytest.mark.parametrize("kind", KINDS[:2])
    def test_estimate_is_a_little_below_the_exact_norm(self, kind, monkeypatch):
        model, x = network(kind(24)), RNG.standard_normal((12, 3))
        (exact,) = aq.gradient_flow(model, x).layers.values()
        monkeypatch.setattr(jacobians, "EXACT", 8)
        (estimate,) = aq.gradient_flow(model, x).layers.values()
        assert 0 < estimate.error < 0.05
        assert (estimate.norms < exact.norms * (1 + 1e-4)).all()
        np.testing.assert_allclose(estimate.norms, exact.norms, rtol=0.05)

    def test_that_overflows_is_infinite_not_an_error(self):
        model, _ = linear(units=2, w=1e30 * np.eye(2))
        flow = aq.gradient_flow(model, np.zeros((15, 3)))["memory"]
        assert np.isinf(flow.norms[-1])
        assert flow.horizon is None

    def test_horizon_is_the_first_lag_under_a_tenth(self):
        model, _ = linear(w=0.5 * np.eye(16))
        flow = aq.gradient_flow(model, np.zeros((10, 3)))
        assert flow.horizon == {"memory": 4}  # 2^-3 = 0.125, 2^-4 = 0.0625
        assert flow["memory"].horizon_seconds is None


class TestStates:
    @pytest.mark.parametrize("kind", KINDS)
    def test_are_what_keras_returns(self, kind):
        model = network(layers.Conv1D(4, 3, strides=2), kind(5, return_sequences=True), kind(4))
        x = RNG.standard_normal((15, 3)).astype(np.float32)
        first = keras.Model(model.inputs, model.layers[1].output)(x[None])[0]
        states = aq.hidden_states(model, x)
        assert list(states) == [layer.name for layer in model.layers[1:]]
        first_name, last_name = states
        np.testing.assert_allclose(states[first_name], first, atol=1e-6)
        np.testing.assert_allclose(states[last_name][-1], model(x[None])[0], atol=1e-6)

    def test_of_both_directions_are_in_the_order_of_the_input(self):
        model = network(layers.Bidirectional(layers.GRU(5, return_sequences=True), name="both"))
        x = RNG.standard_normal((9, 3)).astype(np.float32)
        states = aq.hidden_states(model, x)
        assert list(states) == ["both/forward", "both/backward"]
        np.testing.assert_allclose(np.concatenate(list(states.values()), 1), model(x[None])[0], atol=1e-6)

    def test_in_nested_models_have_both_names(self):
        inner = keras.Sequential([keras.Input((None, 3)), layers.LSTM(4, name="memory")], name="inner")
        inputs = keras.Input((None, 3))
        model = keras.Model(inputs, layers.Dense(2)(inner(2.0 * inputs)))
        x = RNG.standard_normal((6, 3)).astype(np.float32)
        (states,) = aq.hidden_states(model, x).values()
        np.testing.assert_allclose(states[-1], inner(2 * x[None])[0], atol=1e-6)
        assert list(aq.gradient_flow(model, x)) == ["inner/memory"]

    def test_padded_tokens_are_left_out(self):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((None,)), layers.Embedding(9, 4, mask_zero=True), layers.GRU(5)])
        (padded,) = aq.hidden_states(model, np.array([3, 1, 4, 0, 0])).values()
        (whole,) = aq.hidden_states(model, np.array([[3, 1, 4]])).values()
        np.testing.assert_array_equal(padded, whole)
        np.testing.assert_allclose(padded[-1], model(np.array([[3, 1, 4, 0, 0]]))[0], atol=1e-6)
        assert aq.memory_share(model, np.array([3, 1, 4, 0, 0])).share.shape == (3, 3)
        with pytest.raises(aq.RecurrentError, match="leave out the 2 steps"):
            aq.memory_share(model, np.array([3, 1, 4, 0, 0]), of="score")
        with pytest.raises(aq.RecurrentError, match="the mask leaves no step"):
            aq.hidden_states(model, np.zeros(4, int))


class TestShare:
    def test_of_a_network_that_ignores_its_past_is_the_identity(self):
        model = network(layers.SimpleRNN(4), layers.Dense(2))
        u, w, *rest = model.get_weights()
        model.set_weights([u, 0 * w, *rest])
        for of in ("state", "score"):
            found = aq.memory_share(model, RNG.standard_normal((8, 3)), of=of)
            np.testing.assert_allclose(found.share, np.eye(8), atol=1e-6)

    def test_of_a_linear_network_is_its_closed_form(self):
        model, (u, w) = linear()
        x = RNG.standard_normal((10, 3))
        parts = np.array([[x[s] @ u @ np.linalg.matrix_power(w, t - s) if s <= t else np.zeros(16) for s in range(10)]
                          for t in range(10)])  # (time, time, units)  # fmt: skip
        h = parts.sum(1)
        length = np.linalg.norm(h, axis=1)
        expected = np.einsum("tsu,tu->ts", parts, h / length[:, None])
        found = aq.memory_share(model, x)
        np.testing.assert_allclose(found.attribution, expected, atol=1e-4)
        np.testing.assert_allclose(found.difference, length, rtol=1e-5)
        np.testing.assert_allclose(found.share, np.abs(expected) / np.abs(expected).sum(1, keepdims=True), atol=1e-4)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("of", ["state", "score"])
    def test_rows_sum_to_what_they_explain(self, kind, of):
        model = network(kind(6, return_sequences=True), kind(5), layers.Dense(4))
        x = 3 * RNG.standard_normal((9, 3)).astype(np.float32)
        found = aq.memory_share(model, x, of=of)
        assert found.layer == model.layers[1].name
        if of == "score":
            first = keras.Model(model.inputs, model.layers[0].output)(x[None])
            rest = keras.Sequential(model.layers[1:])
            winner = int(np.argmax(model(x[None])[0]))
            assert found.label == str(winner)
            ends = [(first[:, : t + 1], 0 * first[:, : t + 1]) for t in range(9)]
            expected = [float(rest(a)[0, winner] - rest(b)[0, winner]) for a, b in ends]
        else:
            first, last = model.layers[0].name, model.layers[1].name
            last_alone = keras.Sequential([keras.Input((None, 6)), *model.layers[1:]])
            read = (aq.hidden_states(model, x)[first], np.zeros((9, 6)))
            states = [aq.hidden_states(last_alone, sequence)[last] for sequence in read]
            expected = np.linalg.norm(states[0] - states[1], axis=1)
        np.testing.assert_allclose(found.difference, expected, rtol=1e-4, atol=1e-5)
        assert found.completeness < 0.01
        largest = np.abs(expected).max()
        np.testing.assert_allclose(found.attribution.sum(1), expected, rtol=0.01, atol=1e-4 * largest)
        np.testing.assert_allclose(found.share.sum(1), 1, atol=1e-9)
        assert not np.triu(found.share, 1).any()

    def test_of_both_directions_looks_both_ways(self):
        model = network(layers.Bidirectional(layers.LSTM(4), name="both"), layers.Dense(2))
        x = RNG.standard_normal((7, 3))
        both = aq.memory_share(model, x)
        assert both.layer == "both"
        assert both.share[0, -1] > 0
        assert both.share[-1, 0] > 0
        assert both.completeness < 0.01
        assert not np.tril(aq.memory_share(model, x, "both/backward").share, -1).any()
        assert not np.triu(aq.memory_share(model, x, "both/forward").share, 1).any()
        score = aq.memory_share(model, x, of="score")
        assert score.difference[-1] == pytest.approx(
            np.max(model(x[None])[0]), rel=1e-4
        )  # of zeros: 0, there is no bias

    def test_of_silence_is_owed_to_nothing(self):
        found = aq.memory_share(network(layers.GRU(4)), np.zeros((5, 3)))
        assert not found.share.any()
        assert found.completeness == 0

    @pytest.mark.filterwarnings("ignore:the attribution of")
    def test_takes_no_more_rows_at_once_for_a_longer_sequence(self, monkeypatch):
        monkeypatch.setattr(jacobians, "BLOCK", 16)
        monkeypatch.setattr(measures, "NODES", (4,))
        rows, inner = [], recurrent.Recurrent.step
        monkeypatch.setattr(
            recurrent.Recurrent, "step", lambda self, x, states: rows.append(len(x)) or inner(self, x, states)
        )
        for time in (4, 8, 16):
            aq.memory_share(network(layers.SimpleRNN(3)), RNG.standard_normal((time, 3)))
        assert max(rows) == 16

    def test_warns_where_the_integral_stays_incomplete(self, monkeypatch):
        monkeypatch.setattr(measures, "NODES", (1,))
        with pytest.warns(UserWarning, match="is off by .* with 1 points"):
            aq.memory_share(network(layers.LSTM(8)), 20 * RNG.standard_normal((9, 3)))


def test_a_model_without_a_shape_is_refused():
    with pytest.raises(aq.RecurrentError, match=r"no input shape yet: begin it with keras\.Input"):
        aq.hidden_states(keras.Sequential([layers.GRU(3)]), np.zeros((5, 3)))


@pytest.fixture(scope="module")
def classifier() -> aq.SequenceClassifier:
    keras.utils.set_random_seed(0)
    feature = aq.LogMel(sr=SR, n_fft=256, hop_length=80, n_mels=20)
    net = models.cnn_lstm(20, 3, filters=(4, 4, 4), units=8)
    return aq.SequenceClassifier(feature, net, ["yes", "no", "_silence_"], duration=0.4)


def test_a_classifier_reads_files_and_samples_and_has_seconds(classifier, tmp_path):
    y = (0.1 * RNG.standard_normal(SR // 2)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", y, SR, subtype="FLOAT")
    share = aq.memory_share(classifier, tmp_path / "a.wav", of="score")
    assert share.share.shape == (11, 11)  # 41 frames, a quarter as many steps
    assert share.seconds_per_step == pytest.approx(0.04)
    assert share.frames.shape == (41, 20)
    assert share.label == classifier.classify(tmp_path / "a.wav").label
    (name,) = aq.hidden_states(classifier, y)
    flow = aq.gradient_flow(classifier, y)[name]
    again = aq.gradient_flow(classifier, str(tmp_path / "a.wav"), layer=name)
    np.testing.assert_allclose(flow.norms, again[name].norms, rtol=1e-6)
    assert flow.seconds_per_step == pytest.approx(0.04)
    share.plot(tmp_path / "share.png", "a title")
    again.plot(tmp_path / "flow.png")
    for name in ("share.png", "flow.png"):
        assert (tmp_path / name).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_one_step_is_a_result(tmp_path):
    model, x = network(layers.LSTM(4, name="memory")), RNG.standard_normal((1, 3))
    np.testing.assert_array_equal(aq.gradient_flow(model, x)["memory"].norms, [1.0])
    np.testing.assert_array_equal(aq.memory_share(model, x).share, [[1.0]])
    assert aq.hidden_states(model, x)["memory"].shape == (1, 4)
    aq.gradient_flow(model, x).plot(tmp_path / "flow.png")
    aq.memory_share(model, x).plot(tmp_path / "share.png")


def test_a_plot_is_a_figure_and_needs_no_path(tmp_path):
    model, x = network(layers.LSTM(4, name="memory")), RNG.standard_normal((6, 3))
    for found in (aq.gradient_flow(model, x), aq.memory_share(model, x)):
        figure = found.plot(title="a title")
        assert figure.axes[0].get_title() == "a title"
        assert found.plot(tmp_path / "a.png", "a title").axes[0].get_title() == "a title"
        figure.savefig(tmp_path / "b.png", format="png")
        assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_results_have_a_short_repr():
    model, x = network(layers.GRU(4, name="memory"), layers.Dense(2)), RNG.standard_normal((6, 3))
    flow, share = aq.gradient_flow(model, x), aq.memory_share(model, x, of="score")
    horizon = flow["memory"].horizon
    assert repr(flow["memory"]) == f"LayerFlow('memory', GRU, 6 steps, horizon={horizon})"
    assert repr(flow) == f"GradientFlow({flow['memory']!r})"
    assert repr(share) == f"MemoryShare('memory', of='score', 6 steps, label={share.label!r}, completeness=0.00%)" or (
        share.completeness > 5e-5
    )
    assert "array" not in repr(share)


def _shared() -> keras.Model:
    inputs, layer = keras.Input((None, 3)), layers.GRU(3, return_sequences=True, name="twice")
    return keras.Model(inputs, layer(layer(inputs)))


def _seq2seq() -> keras.Model:
    inputs = keras.Input((None, 3))
    y, state = layers.GRU(3, return_sequences=True, return_state=True)(inputs)
    return keras.Model(inputs, layers.GRU(3, name="decoder")(y, initial_state=state))


def _fixed() -> keras.Model:
    return keras.Sequential(
        [keras.Input((5, 3)), layers.GRU(3, return_sequences=True), layers.Flatten(), layers.Dense(2)]
    )


def _stateful() -> keras.Model:
    return keras.Sequential([keras.Input(batch_shape=(1, None, 3)), layers.LSTM(3, stateful=True, name="memory")])


@pytest.mark.parametrize(
    ("model", "x", "options", "message"),
    [
        (lambda: network(layers.Dense(2, name="flat")), (5, 3), {}, r"no recurrent layer .* Received: \['flat'\]"),
        (_stateful, (5, 3), {}, "layer 'memory' is stateful: .* stateful=False"),
        (lambda: network(layers.RNN([layers.LSTMCell(3)], name="deep")), (5, 3), {}, "'deep'.* StackedRNNCells"),
        (lambda: network(layers.GRU(3)), (2, 5, 3), {}, r"one sequence .* Received: shape \(2, 5, 3\)"),
        (lambda: network(layers.GRU(3)), (5, 4), {}, r"one sequence .* Received: shape \(5, 4\)"),
        (lambda: network(layers.GRU(3)), (0, 3), {}, r"one sequence .* Received: shape \(0, 3\)"),
        (lambda: network(layers.GRU(3)), (5, 3), {"of": "loss"}, 'of is "state" or "score". Received: \'loss\''),
        (
            lambda: network(layers.Bidirectional(layers.GRU(3), name="both")),
            (5, 3),
            {"layer": "gru"},
            r"layer is one of \['both', 'both/forward', 'both/backward'\]. Received: 'gru'",
        ),
        (_shared, (5, 3), {}, "'twice' reads one sequence when the model runs. Received: 2"),
        (_seq2seq, (5, 3), {}, "'decoder' begins with a state that another layer gives"),
        (_fixed, (5, 3), {"of": "score"}, "cannot read a sequence that ends earlier"),
    ],
)
def test_what_cannot_be_followed_is_named(model, x, options, message):
    with pytest.raises(aq.RecurrentError, match=message):
        aq.memory_share(model(), np.zeros(x), **options)


def test_other_input_is_refused(classifier, tmp_path):
    with pytest.raises(aq.RecurrentError, match="finite numbers"):
        aq.hidden_states(network(layers.GRU(3)), np.full((4, 3), np.nan))
    with pytest.raises(aq.RecurrentError, match="a file is for a SequenceClassifier or a SequenceGenerator"):
        aq.hidden_states(network(layers.GRU(3)), "a.wav")
    with pytest.raises(aq.RecurrentError, match=r"samples \(samples,\) at 8000 Hz. Received: shape \(3, 4\)"):
        aq.hidden_states(classifier, np.zeros((3, 4)))
    with pytest.raises(aq.AudioError):
        aq.hidden_states(classifier, tmp_path / "missing.wav")
    inputs = [keras.Input((None, 3)), keras.Input((None, 3))]
    with pytest.raises(aq.RecurrentError, match="the model has one input"):
        aq.hidden_states(keras.Model(inputs, layers.GRU(3)(inputs[0] + inputs[1])), np.zeros((4, 3)))
