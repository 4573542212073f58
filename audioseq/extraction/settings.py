"""What a folder of features is made with, kept in its ``features.json``: the descriptions and their hashes."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from audioseq.arguments import is_count, is_flag, require
from audioseq.features.descriptions import Chain, Feature
from audioseq.files import FileError, write_json

__all__ = ["FORMAT", "ExtractionError", "Settings", "name_of", "named", "read_settings", "snake_case", "spec_hash"]

FORMAT = 1  # of the folder's files
ARITHMETIC = 1  # rises where the numbers of a feature change
FILE = "features.json"


class ExtractionError(FileError):
    """A folder of features that cannot be written, gone on with or read: `path` and `reason`."""


def snake_case(name: str) -> str:
    """The name of a class as that of a file or an option: ``log_mel`` of ``LogMel``, ``mfcc`` of ``MFCC``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def name_of(feature: Feature) -> str:
    """The name that a feature has in a folder where it is given none: ``mfcc_delta`` for ``MFCC() >> Delta()``."""
    stages = feature.stages if isinstance(feature, Chain) else (feature,)
    return "_".join(snake_case(type(stage).__name__) for stage in stages)


def spec_hash(feature: Feature) -> str:
    """SHA-256 of a description and of the version of the arithmetic: features with the same hash have the same numbers.

    Example:
        >>> aq.extraction.spec_hash(aq.LogMel(n_mels=64)) == aq.extraction.spec_hash(aq.LogMel(n_mels=40))
        False
    """
    return _sha256({"arithmetic": ARITHMETIC, **feature.to_dict()})


def _sha256(value: Any) -> str:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


@dataclass(frozen=True)
class Settings:
    """What the files of a folder of features depend on, beside the recordings.

    Attributes:
        features: descriptions with their names.
        dtype: of the frames.
        resample: whether files of another rate than a feature's are resampled; else they are skipped.
        shard_size: files in a shard.
        format: "npy", flat arrays, or "parquet".
    """

    features: tuple[tuple[str, Feature], ...]
    dtype: Literal["float32", "float16"] = "float32"
    resample: bool = False
    shard_size: int = 4096
    format: Literal["npy", "parquet"] = "npy"

    def __post_init__(self) -> None:
        require(self.dtype in ("float32", "float16"), 'dtype is "float32" or "float16"', self.dtype)
        require(is_flag(self.resample), "resample is True or False", self.resample)
        rule = "shard_size is a whole number of files, 1 to 1,000,000"
        require(is_count(self.shard_size, 1, 1_000_000), rule, self.shard_size)
        require(self.format in ("npy", "parquet"), 'format is "npy" or "parquet"', self.format)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the features; it stands in every line of a manifest."""
        return _sha256({name: spec_hash(feature) for name, feature in self.features})

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "format": FORMAT,
            "arithmetic": ARITHMETIC,
            "features": {name: feature.to_dict() for name, feature in self.features},
            "spec_hash": {name: spec_hash(feature) for name, feature in self.features},
            "dtype": self.dtype,
            "resample": self.resample,
            "shard_size": self.shard_size,
            "files": self.format,
        }

    def write(self, out: Path) -> None:
        """Write them into a folder of features."""
        write_json(out / FILE, self.to_dict())

    def going_on(self, earlier: Settings, out: Path) -> Settings:
        """Those to go on with in a folder that was made with `earlier`.

        Raises:
            ExtractionError: they differ in what its files depend on.
        """
        differ = [
            f"{name} {_shown(getattr(earlier, name))}, requested {_shown(getattr(self, name))}"
            for name in ("features", "dtype", "shard_size", "format")
            if getattr(self, name) != getattr(earlier, name)
        ]
        if earlier.resample and not self.resample:
            differ.append("resampled files, requested none (resample)")
        if differ:
            raise ExtractionError(
                out, f"holds {'; '.join(differ)}. Choose another folder for them, or replace it by overwrite"
            )
        return replace(earlier, resample=self.resample)


def _shown(value: Any) -> str:
    if not isinstance(value, tuple):
        return str(value)
    return ", ".join(f"{name}={feature!r}" for name, feature in value)


def named(features: Feature | Sequence[Feature] | Mapping[str, Feature]) -> tuple[tuple[str, Feature], ...]:
    """Features with their names, as `Settings` has them.

    Raises:
        ArgumentError: for none, for what is no description, and for two of one name or a name that is none of a file.
    """
    if isinstance(features, Feature):
        features = (features,)
    require(isinstance(features, (Mapping, Sequence)), "features are descriptions such as aq.LogMel()", features)
    values = features.values() if isinstance(features, Mapping) else features
    right = bool(values) and all(isinstance(value, Feature) for value in values)
    require(right, "features are descriptions such as aq.LogMel(), one or more", features)
    pairs = features.items() if isinstance(features, Mapping) else [(name_of(value), value) for value in features]
    names = [name for name, _ in pairs]
    rule = "features of one name are told apart by a dict, such as {'wide': aq.LogMel(n_mels=128)}"
    require(len(set(names)) == len(names), rule, names)
    for name, feature in pairs:
        rule = "the name of a feature is a lower-case word of letters, digits and _, at most 64"
        require(isinstance(name, str) and re.fullmatch(r"[a-z][a-z0-9_]{0,63}", name) is not None, rule, name)
        _ = feature.sr  # a feature that cannot stand alone says so
        again = Feature.from_dict(json.loads(json.dumps(feature.to_dict())))
        require(again == feature, "features are descriptions that to_dict and from_dict keep", feature)
    return tuple(pairs)


def read_settings(out: Path) -> Settings | None:
    """The settings of a folder of features; None where there is none.

    Raises:
        ExtractionError: the file is damaged, or of another version.
    """
    path = out / FILE
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ExtractionError(path, f"cannot be read: {error}") from error
    version = config.get("format") if isinstance(config, dict) else None
    if version != FORMAT:
        raise ExtractionError(path, f"is of format {version!r}, this version of audioseq reads format {FORMAT}")
    try:
        features = {name: Feature.from_dict(value) for name, value in config["features"].items()}
        found = Settings(named(features), config["dtype"], config["resample"], config["shard_size"], config["files"])
        arithmetic, hashes = config["arithmetic"], config["spec_hash"]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ExtractionError(path, f"is damaged: {error}") from error
    if arithmetic != ARITHMETIC:
        raise ExtractionError(
            path, f"was computed by arithmetic {arithmetic!r}, this version of audioseq has {ARITHMETIC}: compute anew"
        )
    if hashes != found.to_dict()["spec_hash"]:
        raise ExtractionError(path, "is damaged: spec_hash is not that of the features")
    return found
