"""A feature as it is typed: ``log_mel``, ``"mfcc(n_mfcc=20, hop_length=160) >> delta(order=(0, 1))"``."""

from __future__ import annotations

import ast
import importlib
import operator
import pkgutil
from functools import lru_cache
from typing import Any

from audioseq.arguments import ArgumentError
from audioseq.extraction.settings import snake_case
from audioseq.features.descriptions import Feature

__all__ = ["feature_names", "feature_of"]

JOINS = {ast.RShift: operator.rshift, ast.Add: operator.add}


def feature_of(text: str, sr: int | None = None) -> Feature:
    """The description that a text stands for: classes in small letters, with what differs from their defaults.

    The text is read, never run: names are those of features, values are plain Python values.

    Args:
        text: ``log_mel``, ``"log_mel(n_mels=64)"``, or several joined by ``>>``.
        sr: rate in Hz of every description that has one and is not given another in `text`; None: its default.

    Raises:
        ArgumentError: for what is no feature, or values that it does not take.

    Example:
        >>> from audioseq.cli.described import feature_of
        >>> feature_of("mfcc(n_mfcc=20) >> delta(order=(0, 1))", sr=22050)
        MFCC(sr=22050, n_mfcc=20) >> Delta(order=(0, 1))
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ArgumentError(f'A feature is such as log_mel or "log_mel(n_mels=64)". Received: {text!r}') from error
    return _described(tree, sr, text)


def _described(tree: ast.expr, sr: int | None, text: str) -> Feature:
    if isinstance(tree, ast.BinOp) and type(tree.op) in JOINS:
        one, other = _described(tree.left, sr, text), _described(tree.right, sr, text)
        try:
            joined: Feature = JOINS[type(tree.op)](one, other)
        except TypeError as error:
            raise ArgumentError(f"features are joined by >>. Received: {text!r}") from error
        return joined
    called = isinstance(tree, ast.Call)
    name = tree.func if isinstance(tree, ast.Call) else tree
    if not isinstance(name, ast.Name) or (isinstance(tree, ast.Call) and tree.args):
        raise ArgumentError(f'A feature is such as log_mel or "log_mel(n_mels=64)". Received: {text!r}')
    kinds = _kinds()
    if name.id not in kinds or not _without_arguments(kinds[name.id]):
        raise ArgumentError(f"A feature is one of {', '.join(feature_names())}. Received: {name.id!r}")
    given = _values(tree, text) if called else {}
    kind = kinds[name.id]
    fields = getattr(kind, "__dataclass_fields__", {})
    if sr is not None and "sr" in fields:
        given.setdefault("sr", sr)
    unknown = sorted(given.keys() - fields.keys())
    if unknown:
        raise ArgumentError(f"{name.id} takes {', '.join(fields)}. Received: {', '.join(unknown)}")
    try:
        return kind(**given)
    except TypeError as error:  # of a comparison with a value of another type
        raise ArgumentError(f"{name.id}: {error}. Received: {text!r}") from error


def _values(call: Any, text: str) -> dict[str, Any]:
    try:
        given = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise ArgumentError(
            f"the values of a feature are numbers, words in quotes, or None. Received: {text!r}"
        ) from error
    if None in given:
        raise ArgumentError(f"the values of a feature have names. Received: {text!r}")
    return given


def feature_names() -> list[str]:
    """What `feature_of` takes by itself: every feature that reads samples."""
    return sorted(name for name, kind in _kinds().items() if _stands_alone(kind))


def _stands_alone(kind: type[Feature]) -> bool:
    try:
        return kind().sr > 0
    except (TypeError, ValueError):
        return False


@lru_cache(maxsize=1)
def _kinds() -> dict[str, type[Feature]]:
    """The descriptions that the wing of the features has, by their names in small letters."""
    wing = importlib.import_module("audioseq.features")
    found = {}
    for room in pkgutil.iter_modules(wing.__path__):
        if room.name == "layer":  # needs Keras, and describes nothing
            continue
        module = importlib.import_module(f"{wing.__name__}.{room.name}")
        for name in module.__all__:
            kind = getattr(module, name)
            if isinstance(kind, type) and issubclass(kind, Feature):
                found[snake_case(name)] = kind
    return found


def _without_arguments(kind: type[Feature]) -> bool:
    """Whether its defaults describe a feature: not those of a chain. Some plan filters for it."""
    try:
        kind()
    except (TypeError, ValueError):
        return False
    return kind is not Feature
