"""A stream is the whole: probabilities and notes of blocks of any length, and when they come."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from audioseq.transcription import decoding, recordings, streaming

SR = 16000


def in_blocks(stream, y, sizes):
    state, parts, begin = stream.initial_state(), [], 0
    for size in sizes:
        found, state = stream(y[begin : begin + size], state)
        parts.append(found)
        begin += size
    assert begin >= len(y)
    return parts, stream.finish(state)


@pytest.mark.parametrize("sizes", [[80000], [1] * 40 + [511, 512, 513, 79000], [160] * 500, [33333, 0, 46667]])
def test_blocks_of_any_length_give_the_probabilities_of_the_whole(untrained, scale, sizes):
    y = scale[1]
    stream = streaming.KeyStream(untrained)
    parts, last = in_blocks(stream, y, sizes)
    found = np.concatenate([*parts, last])
    # the network on all frames at once, without any stream; what it says of a frame comes `delay` frames later
    padded = np.concatenate([y, np.zeros(4 * 512, np.float32)])
    whole = keras.ops.convert_to_numpy(keras.ops.sigmoid(untrained(padded[None], training=False)))[0]
    n = untrained.feature.n_frames(len(y))
    assert found.shape == (n, 88, 4)
    np.testing.assert_allclose(found, whole[untrained.delay :][:n], atol=1e-5)


def test_notes_of_blocks_are_the_notes_of_the_whole(untrained, scale):
    y = scale[1]
    stream = untrained.streaming()
    whole = recordings.hear(y, model=untrained, tuning=0).notes
    assert len(whole) > 5
    for sizes in ([400] * 200, [7777] * 11):
        parts, last = in_blocks(stream, y, sizes)
        events = [event for part in parts for event in part] + last
        found = decoding.notes_of_events(events)
        for name in ("pitch", "velocity", "start", "end"):
            np.testing.assert_allclose(found[name], whole[name], atol=1e-6)
    again = decoding.notes_of_events(list(stream.events(np.split(y, 5))))
    np.testing.assert_allclose(again["start"], whole["start"], atol=1e-6)


def test_a_model_is_compiled_once_for_all_its_streams(untrained, scale):
    for n in (80000, 50000, 20000):
        recordings.hear(scale[1][:n], model=untrained)
    assert untrained.streaming().keys is untrained.streaming().keys is untrained.keys
    assert untrained.keys.step.experimental_get_tracing_count() == 1


def test_a_note_comes_within_its_latency(untrained, scale):
    """After the block that holds sample ``time + latency``, and half a frame for where the peak lies between frames."""
    y = scale[1]
    stream = untrained.streaming()
    assert stream.latency == pytest.approx(0.048 + 3 * 0.032)
    state, n = stream.initial_state(), 0
    for begin in range(0, len(y), 160):
        events, state = stream(y[begin : begin + 160], state)
        n = begin + 160
        for event in events:
            if event.velocity:
                assert n / SR <= event.time - untrained.shift + stream.latency + 0.5 * 0.032 + 0.01 + 1e-9


def test_a_state_can_be_gone_on_from_twice(untrained, scale):
    stream, y = streaming.KeyStream(untrained), scale[1]
    _, state = stream(y[:20000], stream.initial_state())
    one, _ = stream(y[20000:40000], state)
    two, _ = stream(y[20000:40000], state)
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("n", [0, 1, 300, 800])
def test_a_stream_of_next_to_nothing_ends_well(untrained, n):
    stream = untrained.streaming()
    events, state = stream(np.zeros(n, np.float32), stream.initial_state())
    assert isinstance(events + stream.finish(state), list)


def test_bad_blocks_and_models_are_refused(untrained):
    stream = untrained.streaming()
    state = stream.initial_state()
    with pytest.raises(ValueError, match="divide 16-bit integers"):
        stream(np.zeros(100, np.int16), state)
    with pytest.raises(ValueError, match="Samples are finite"):
        stream(np.full(100, np.nan, np.float32), state)
    with pytest.raises(ValueError, match=r"model is a Transcriber; aq\.load_model"):
        streaming.TranscriptionStream("model.keras")
    with pytest.raises(ValueError, match="onset_threshold is a probability"):
        untrained.streaming(onset_threshold=2)
