"""A folder of features as arrays: memory maps by clip, ``tf.data``, a table."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from audioseq.arguments import is_flag, is_number, is_whole, require
from audioseq.extraction.plan import MANIFEST, SKIPPED, UNFINISHED
from audioseq.extraction.settings import ExtractionError, Settings, read_settings, spec_hash
from audioseq.extraction.shards import label_of, printable, read_lines, read_shard
from audioseq.features.descriptions import Feature
from audioseq.files import Skipped, require_folder

if TYPE_CHECKING:
    import pyarrow
    import tensorflow as tf

__all__ = ["FeatureFolder", "read_features"]

OPEN = 64  # shards that are kept open


class FeatureFolder:
    """The clips of a folder of features, in the order of their paths; `read_features` makes it.

    ``data[i]`` and ``data["go/004ae714_nohash_0.wav"]`` are the frames of a clip, ``(time, features)``, memory-mapped
    and read-only; of a folder with several features, a dict of those by name.

    Attributes:
        folder: where it lies.
        features: the descriptions by their names.
        spec_hash: the hash of each, see `extraction.spec_hash`.
        dtype: of the frames.
        paths: of the recordings, relative to their folder.
        labels: of the clips: the names of the folders that the recordings lie in.
        class_names: the labels that there are, sorted.
        seconds: of the recordings, float64 ``(clips,)``.
        rates: of the recordings in Hz, int64 ``(clips,)``; the features have their own, ``sr``.

    Example:
        >>> from audioseq.files import shipped
        >>> features = [aq.LogMel(hop_length=160), aq.MFCC(hop_length=160)]
        >>> _ = aq.extract_features(shipped("assets", "commands"), "features", features)
        >>> data = aq.read_features("features")
        >>> data
        FeatureFolder('features': 536 clips, 6.4 min; log_mel (time, 40), mfcc (time, 13), float32)
        >>> data.paths[3], data.labels[3]
        ('bed/caribbean-anika_nohash_0.flac', 'bed')
        >>> data[3]["mfcc"].shape, data["bed/caribbean-anika_nohash_0.flac"]["log_mel"].shape
        ((61, 13), (61, 40))
    """

    def __init__(self, folder: str | os.PathLike[str], settings: Settings) -> None:
        self.folder = Path(folder)
        self.settings = settings
        self.features: dict[str, Feature] = dict(settings.features)
        self.spec_hash = {name: spec_hash(feature) for name, feature in settings.features}
        self.dtype = np.dtype(settings.dtype)
        self.paths: list[str] = []
        shards, rows, seconds, rates = [], [], [], []
        for line in read_lines(self.folder / MANIFEST):
            if line["spec"] != settings.fingerprint:
                reason = f"{line['path']} has the features {line['spec']}, not {settings.fingerprint}"
                raise ExtractionError(self.folder / MANIFEST, reason)
            self.paths.append(line["path"])
            shards.append(line["shard"])
            rows.append(line["row"])
            seconds.append(line["seconds"])
            rates.append(line["sr"])
        self.seconds, self.rates = np.array(seconds, np.float64), np.array(rates, np.int64)
        self._shards, self._rows = np.array(shards, np.int64), np.array(rows, np.int64)
        self._shard = lru_cache(maxsize=OPEN)(lambda number: read_shard(self.folder, number, settings))

    def __repr__(self) -> str:
        total = self.seconds.sum()
        unit, scale = next((u, s) for u, s in (("h", 3600), ("min", 60), ("s", 1)) if total >= s or s == 1)
        shown = ", ".join(f"{name} (time, {feature.n_features})" for name, feature in self.features.items())
        clips = f"{len(self):,} clip{'s' * (len(self) != 1)}"
        return (
            f"FeatureFolder({os.fsdecode(self.folder)!r}: {clips}, {total / scale:,.1f} {unit}; {shown}, {self.dtype})"
        )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, clip: int | str) -> Any:
        i = self._place(clip) if isinstance(clip, str) else range(len(self))[clip]
        found = self._clip(i)
        return found if len(self.features) > 1 else next(iter(found.values()))

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def _clip(self, i: int) -> dict[str, np.ndarray]:
        return self._shard(int(self._shards[i]))[int(self._rows[i])]

    def _place(self, path: str) -> int:
        if path not in self._places:
            raise KeyError(f"no clip {path!r} among the {len(self):,} of {os.fsdecode(self.folder)}")
        return self._places[path]

    @cached_property
    def _places(self) -> dict[str, int]:
        return {path: i for i, path in enumerate(self.paths)}

    @cached_property
    def labels(self) -> list[str]:
        return [label_of(path) for path in self.paths]

    @cached_property
    def class_names(self) -> list[str]:
        return sorted(set(self.labels))

    @cached_property
    def skipped(self) -> list[Skipped]:
        """The files that were left out, and why."""
        return [Skipped(line["path"], line["reason"]) for line in read_lines(self.folder / SKIPPED)]

    def check(self, model: Any) -> str:
        """The name of the feature here that a model reads; by their hashes, never by their names.

        Args:
            model: a `SequenceClassifier`, whatever else has its description as `feature`, or a description.

        Raises:
            ExtractionError: none here has the hash of the model's; both are named.
            ArgumentError: it has no description.
        """
        feature: Any = model if isinstance(model, Feature) else getattr(model, "feature", None)
        rule = "model has the description of what it reads as its feature, as a SequenceClassifier does"
        require(isinstance(feature, Feature), rule, model)
        requested = spec_hash(feature)
        for name, found in self.spec_hash.items():
            if found == requested:
                return name
        held = "; ".join(f"{name} {self.spec_hash[name][:12]} {feature!r}" for name, feature in self.features.items())
        raise ExtractionError(
            self.folder, f"holds no feature that the model reads: {requested[:12]} {feature!r}. There is {held}"
        )

    def dataset(
        self,
        feature: str | None = None,
        *,
        model: Any = None,
        labels: bool = False,
        batch_size: int | None = 32,
        padding: float = 0.0,
        seed: int | None = None,
    ) -> tf.data.Dataset:
        """The clips for training: batches that are padded at the end to their longest clip. Loads TensorFlow.

        Args:
            feature: name of one; None: the only one, or that of `model`.
            model: what the frames are for; refused if it reads another feature, see `check`.
            labels: also the number of each clip's label in `class_names`, int32.
            batch_size: clips; None: each by itself, not padded.
            padding: what is put behind shorter clips; for decibels their floor, such as -100.
            seed: draws another order each time the data set is gone through; None: that of `paths`.

        Returns:
            Of float32 ``(batch, time, features)``, or of pairs with int32 ``(batch,)``.

        Example:
            >>> from audioseq.files import shipped
            >>> _ = aq.extract_features(shipped("assets", "commands", "left"), "log_mels", aq.LogMel(hop_length=160))
            >>> x, y = next(iter(aq.read_features("log_mels").dataset(labels=True, padding=-100.0)))
            >>> x.shape, y.shape
            (TensorShape([32, 101, 40]), TensorShape([32]))
        """
        require(is_flag(labels), "labels is True or False", labels)
        require(batch_size is None or is_whole(batch_size, 1), "batch_size is a whole number, or None", batch_size)
        require(is_number(padding), "padding is a number", padding)
        require(seed is None or is_whole(seed, 0), "seed is a whole number, 0 or above, or None", seed)
        chosen = self.check(model) if model is not None else feature
        if chosen is None:
            require(len(self.features) == 1, f"feature is one of {list(self.features)}", feature)
            chosen = next(iter(self.features))
        require(chosen in self.features, f"feature is one of {list(self.features)}", chosen)
        require(feature in (None, chosen), f"feature is what the model reads, {chosen!r}, or None", feature)
        import tensorflow as tf

        size, width = batch_size or 1, self.features[chosen].n_features
        numbers = {label: i for i, label in enumerate(self.class_names)}
        targets = np.array([numbers[label] for label in self.labels], np.int32)
        random = None if seed is None else np.random.default_rng(seed)

        def batches() -> Iterator[Any]:
            order = np.arange(len(self)) if random is None else random.permutation(len(self))
            for begin in range(0, len(order), size):
                chosen_clips = order[begin : begin + size]
                clips = [self._clip(int(i))[chosen] for i in chosen_clips]
                x = np.full((len(clips), max(map(len, clips)), width), padding, np.float32)
                for row, clip in zip(x, clips, strict=True):
                    row[: len(clip)] = clip
                yield (x, targets[chosen_clips]) if labels else x

        frames = tf.TensorSpec((None, None, width), tf.float32)
        signature = (frames, tf.TensorSpec((None,), tf.int32)) if labels else frames
        found = tf.data.Dataset.from_generator(batches, output_signature=signature)
        found = found.apply(tf.data.experimental.assert_cardinality(-(-len(self) // size)))
        return (found.unbatch() if batch_size is None else found).prefetch(tf.data.AUTOTUNE)

    def table(self) -> pyarrow.Table:
        """All clips as a table of pyarrow, a row each: path, label, seconds, sr, and the frames of every feature.

        Needs the extra ``parquet``. The frames are read into memory.

        Raises:
            ExtractionError: pyarrow is not installed.
        """
        try:
            import pyarrow as pa
        except ImportError as error:
            raise ExtractionError(self.folder, 'a table needs pyarrow: pip install "audioseq[parquet]"') from error
        value = pa.float16() if self.dtype == np.float16 else pa.float32()
        columns: dict[str, Any] = {
            "path": pa.array([printable(path) for path in self.paths], pa.string()),
            "label": pa.array(self.labels, pa.string()),
            "seconds": pa.array(self.seconds),
            "sr": pa.array(self.rates, pa.int32()),
        }
        for name, feature in self.features.items():
            clips = [self._clip(i)[name] for i in range(len(self))]
            offsets = np.cumsum([0, *map(len, clips)], dtype=np.int64)
            flat = np.concatenate([clip.ravel() for clip in clips] or [np.zeros(0, self.dtype)])
            inner = pa.FixedSizeListArray.from_arrays(pa.array(flat, value), feature.n_features)
            columns[name] = pa.LargeListArray.from_arrays(offsets, inner)
        return pa.table(columns)


def read_features(folder: str | os.PathLike[str]) -> FeatureFolder:
    """Open a folder that `extract_features` or ``audioseq features`` wrote.

    Args:
        folder: of the features.

    Returns:
        A `FeatureFolder`. Frames are read from the disk as they are used.

    Raises:
        FolderError: there is no such folder.
        ExtractionError: it holds no features, was not finished, is damaged, or is of another version.

    Example:
        >>> from audioseq.files import shipped
        >>> _ = aq.extract_features(shipped("assets", "commands", "left"), "left", aq.LogMel(hop_length=160))
        >>> data = aq.read_features("left")
        >>> data
        FeatureFolder('left': 41 clips, 29.3 s; log_mel (time, 40), float32)
        >>> data["us-hugo_nohash_0.flac"].shape
        (81, 40)
    """
    require_folder(folder)
    settings = read_settings(Path(folder))
    if settings is None:
        raise ExtractionError(folder, "holds no features: it has no features.json")
    if not Path(folder, MANIFEST).is_file():
        begun = "the extraction was not finished" if Path(folder, UNFINISHED).is_dir() else "it has no manifest.jsonl"
        raise ExtractionError(folder, f"{begun}: type its command again, which goes on from there")
    return FeatureFolder(folder, settings)
