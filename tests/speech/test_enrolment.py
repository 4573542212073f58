"""Words from a few recordings: known afterwards, in the file, its stream and its exports; and what is refused."""

from __future__ import annotations

import warnings

import keras
import numpy as np
import pytest
from conftest import SHARED

import audioseq as aq
from audioseq.models.enrolled import Enrolled
from audioseq.speech.embedding import embedding_network, last_dense
from audioseq.speech.enrolment import EnrolmentError, enroll, enrolled_words, forget

SR, N = 8000, 4000
NAMES = ("go", "stop", "_unknown_")


def tone(hz, seconds=0.3, level=0.3, seed=0):
    t = np.arange(round(seconds * SR)) / SR
    y = level * np.sin(2 * np.pi * hz * t) * np.hanning(len(t))
    return (y + 1e-4 * np.random.default_rng(seed).standard_normal(len(t))).astype(np.float32)


@pytest.fixture(scope="module")
def model():
    """Untrained; but frequency bands make it tell tones apart, as a linear map of frames does."""
    keras.utils.set_random_seed(0)
    feature = aq.LogMel(sr=SR, n_fft=256, hop_length=80, n_mels=20)
    network = aq.models.cnn_lstm(20, 3, filters=(4, 8, 8), units=8, heads=2)
    return aq.SequenceClassifier(
        feature, network, NAMES, duration=0.5, mean=np.full(20, -40.0), variance=np.full(20, 400.0)
    )


def test_the_layer_is_its_definition():
    rng = np.random.default_rng(0)
    logits, numbers = rng.standard_normal((5, 3)), rng.standard_normal((5, 4))
    center, prototypes, thresholds = rng.standard_normal(4), rng.standard_normal((2, 4)), np.array([0.1, 0.6])
    prototypes /= np.linalg.norm(prototypes, axis=1, keepdims=True)
    for base in (2, None):
        layer = Enrolled(2, base=base, gain=7.0)
        layer.build(((None, 3), (None, 4)))
        layer.set_weights([center, prototypes, thresholds])
        out = np.asarray(layer([logits.astype(np.float32), numbers.astype(np.float32)]))
        assert out.shape == layer.compute_output_shape(((5, 3), (5, 4))) == (5, 5)
        np.testing.assert_allclose(out[:, :3], logits, rtol=1e-6)
        for i in range(5):
            floor = logits[i, 2] if base == 2 else logits[i].max()
            for j in range(2):
                away = numbers[i] - center
                cosine = away @ prototypes[j] / np.linalg.norm(away)
                assert out[i, 3 + j] == pytest.approx(floor + 7 * (cosine - thresholds[j]), rel=1e-4, abs=1e-5)
    with pytest.raises(ValueError, match=r"base is one of the 3 classes\. Received: 3"):
        Enrolled(1, base=3).build(((None, 3), (None, 4)))
    with pytest.raises(ValueError, match=r"words is a whole number from 1 to 1,000\. Received: 0"):
        Enrolled(0)


def test_a_new_word_is_known_and_the_old_scores_keep_their_proportions(model, tmp_path):
    more = model.enroll("whistle", [tone(1000, seed=i) for i in range(3)], threshold=0.9)
    assert more.class_names == (*NAMES, "whistle")
    assert model.class_names == NAMES
    assert enrolled_words(more) == ["whistle"]
    clips = np.stack([np.pad(tone(hz, seed=9), 800)[:N] for hz in (1000, 1000, 300)])
    before, after = model.scores(clips), more.scores(clips)
    np.testing.assert_allclose(after[:, :3] / after[:, :3].sum(1, keepdims=True), before, atol=1e-5)
    assert after[0, 3] > after[0, 2]
    # the file, and its stream
    more.save(tmp_path / "more.keras")
    again = aq.load_model(tmp_path / "more.keras", aq.SequenceClassifier)
    np.testing.assert_array_equal(again.scores(clips), after)
    stream = again.streaming()
    assert stream.causal
    scores, _ = stream(np.concatenate(list(clips)), stream.initial_state())
    assert scores.shape[1] == 4


def test_words_come_and_go(model):
    whole = model
    for i, hz in enumerate((500, 1000, 2000)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            whole = whole.enroll(f"tone {i}", [tone(hz)])
    less = whole.forget("tone 1")
    assert enrolled_words(less) == ["tone 0", "tone 2"]
    clips = np.stack([np.pad(tone(hz), 800)[:N] for hz in (500, 1000, 2000)])
    logits = np.log(whole.scores(clips))
    rest = np.delete(logits, 4, axis=1)
    expected = np.exp(rest) / np.exp(rest).sum(1, keepdims=True)
    np.testing.assert_allclose(less.scores(clips), expected, atol=1e-5)
    none = less.forget("tone 0").forget("tone 2")
    assert none.class_names == NAMES
    np.testing.assert_allclose(none.scores(clips), model.scores(clips), atol=1e-6)
    assert not isinstance(none.network.layers[-1], Enrolled)
    with pytest.raises(EnrolmentError, match="go: was trained, not enrolled; enrolled: tone 0, tone 2"):
        forget(less, "go")
    with pytest.raises(EnrolmentError, match="lumos: is no word of the model; enrolled: none"):
        forget(model, "lumos")


def test_many_words(model):
    whole = model
    for i in range(4):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            whole = whole.enroll(f"word {i}", [tone(300 + 30 * i)])
    assert len(whole.class_names) == 7
    assert last_dense(whole.network).output.shape[-1] == 3
    assert embedding_network(whole.network).output_shape == (None, 16)


@pytest.mark.parametrize(
    ("recordings", "message"),
    [
        ([np.zeros(N, np.float32)], "recording 0: is silent"),
        ([tone(500), np.sign(tone(500)).astype(np.float32)], r"recording 1: is clipped, .*% of its samples"),
        ([tone(500, seconds=0.1)], r"recording 0: a recording of a word is 0\.2 to 10 s\. Received: 0\.1 s"),
        ([tone(500, seconds=30)], r"recording 0: a recording of a word is 0\.2 to 10 s\. Received: 30 s"),
        ([], "recordings are files or samples, one or more, in a list"),
        ("a.wav", "recordings are files or samples, one or more, in a list"),
    ],
)
def test_recordings_of_which_no_word_can_be_made(model, recordings, message):
    with pytest.raises(ValueError, match=message):
        enroll(model, "lumos", recordings)


def test_what_cannot_be_a_word(model, tmp_path):
    with pytest.raises(EnrolmentError, match="go: is a word of the model already"):
        enroll(model, "go", [tone(500)])
    with pytest.raises(ValueError, match="word is a printable name"):
        enroll(model, "", [tone(500)])
    with pytest.raises(ValueError, match="threshold is a cosine"):
        enroll(model, "lumos", [tone(500)], threshold=2)
    with pytest.raises(aq.AudioError, match="nowhere"):
        enroll(model, "lumos", [tmp_path / "nowhere.wav"])
    with pytest.raises(ValueError, match=r"model is a SequenceClassifier"):
        enroll("model.keras", "lumos", [tone(500)])
    keras.utils.set_random_seed(1)
    bare = keras.Sequential([keras.Input((None, 20)), keras.layers.GlobalAveragePooling1D(), keras.layers.Softmax()])
    odd = aq.SequenceClassifier(model.feature, bare, [str(i) for i in range(20)], duration=0.5)
    with pytest.raises(ValueError, match="the network ends in a Dense layer with a bias"):
        enroll(odd, "lumos", [tone(500)])


def test_a_model_of_before_learns_a_word_too_and_says_what_is_close():
    folder = SHARED / "speech_commands"
    if not folder.is_dir():
        pytest.skip(f"no recordings at {folder}")
    shipped = aq.load_model(aq.files.shipped("assets", "speech", "model.keras"))
    happy = sorted((folder / "happy").glob("*.flac"))
    made = enroll(shipped, "happy", happy[:5])
    labels = [made.model.classify(path).label for path in happy[5:25]]
    assert labels.count("happy") >= 12
    assert made.recordings == 5
    # the same word under another name: every recording is taken for it
    made = enroll(shipped, "gauche", sorted((folder / "left").glob("*.flac"))[:5])
    assert made.confused["left"] > 0.5
    assert made.warnings[0].startswith("'gauche' is close to 'left': expect confusions in ")
    with pytest.warns(UserWarning, match="is close to 'left'"):
        shipped.enroll("gauche", sorted((folder / "left").glob("*.flac"))[:5])


def test_two_words_under_one_name():
    folder = SHARED / "wake_words"
    if not folder.is_dir():
        pytest.skip(f"no recordings at {folder}")
    shipped = aq.load_model(aq.files.shipped("assets", "fewshot", "model.keras"))
    alexa, other = (sorted((folder / name).iterdir()) for name in ("alexa", "snowboy"))
    with pytest.raises(EnrolmentError, match=r"snowboy.*is not the word that the other recordings are"):
        enroll(shipped, "alexa", [*alexa[:4], other[0]])


def test_words_that_were_never_met_are_told_apart_and_the_old_ones_stay():
    folder = SHARED / "wake_words"
    if not folder.is_dir():
        pytest.skip(f"no recordings at {folder}")
    model = aq.load_model(aq.files.shipped("assets", "fewshot", "model.keras"))
    for word in ("alexa", "snowboy"):
        model = model.enroll(word, sorted((folder / word).iterdir())[:5])
    for word in ("alexa", "snowboy"):
        labels = [model.classify(path).label for path in sorted((folder / word).iterdir())[5:45]]
        assert labels.count(word) >= 30, (word, labels)
    left = sorted((SHARED / "speech_commands" / "left").glob("*.flac"))[:20]
    assert [model.classify(path).label for path in left].count("left") >= 17
