"""What the composer of the page asks for: pieces as JSON in, pieces as JSON out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from audioseq.arguments import require
from audioseq.midi.score import Score, as_pretty_midi, as_score
from audioseq.studio.pieces import as_json, from_json
from audioseq.studio.shelf import Shelf, StudioError
from audioseq.tokens.base import BOS, MOST_STEPS

__all__ = ["Cancelled", "accompany", "drum", "fill", "generate", "harmonise", "remembered"]

MOST_TOKENS = 48  # of a memory map: its time grows with their square
WANTED = ("bars", "key", "chords", "form", "density", "instruments", "temperature", "top_p", "tempo", "ending")


class Cancelled(Exception):
    """Whoever asked has gone."""


def _stop(cancelled: threading.Event) -> None:
    if cancelled.is_set():
        raise Cancelled


def _options(asked: dict[str, Any], *names: str) -> dict[str, Any]:
    options = {name: asked[name] for name in names if asked.get(name) not in (None, "")}
    if "pitch_range" in asked:
        options["pitch_range"] = tuple(asked["pitch_range"])
    return options


def _progress(cancelled: threading.Event) -> Callable[[int, int], None]:
    return lambda done, of: _stop(cancelled)


def _seed(asked: dict[str, Any]) -> int:
    return int(asked["seed"]) if "seed" in asked else int(np.random.default_rng().integers(2**31))


def generate(shelf: Shelf, asked: dict[str, Any], cancelled: threading.Event) -> dict[str, Any]:
    """New pieces, or a prompt that goes on."""
    model = shelf.get("composer", asked.get("model")).model
    prompt = as_pretty_midi(from_json(asked["piece"])) if "piece" in asked else None
    made = model.generate_batch(
        asked.get("count", 4), prompt, seed=_seed(asked), progress=_progress(cancelled), **_options(asked, *WANTED)
    )
    return {"pieces": [as_json(as_score(piece), seed=piece.seed) for piece in made]}


def drum(shelf: Shelf, asked: dict[str, Any], cancelled: threading.Event) -> dict[str, Any]:
    """Beats of a drummer."""
    model = shelf.get("drummer", asked.get("model")).model
    options = _options(asked, "bars", "tempo", "style", "fills", "temperature", "top_p")
    made = model.generate_batch(
        asked.get("count", 4), seed=_seed(asked), progress=_progress(cancelled), **{"bars": 8, "top_p": 0.98, **options}
    )
    return {"pieces": [as_json(as_score(piece), seed=piece.seed) for piece in made]}


def fill(shelf: Shelf, asked: dict[str, Any], cancelled: threading.Event) -> dict[str, Any]:
    """Bars of a piece written anew, between what stands."""
    model = shelf.get("composer", asked.get("model")).model
    score, first, pieces = from_json(asked["piece"]), _seed(asked), []
    options = _options(asked, "key", "temperature")
    if asked.get("tracks"):
        options["tracks"] = asked["tracks"]
    for i in range(asked.get("count", 4)):
        _stop(cancelled)
        (made,) = model.fill(score, tuple(asked["bars"]), seed=first + i, **options)
        pieces.append(as_json(as_score(made), seed=first + i))
    return {"pieces": pieces}


def harmonise(shelf: Shelf, asked: dict[str, Any], cancelled: threading.Event) -> dict[str, Any]:
    """Four voices under a melody."""
    model = shelf.get("composer", asked.get("model")).model
    score, first, pieces = _melody(asked), _seed(asked), []
    for i in range(asked.get("count", 1)):
        _stop(cancelled)
        made = model.harmonise(score, seed=first + i, **_options(asked, "key", "temperature"))
        pieces.append(as_json(as_score(made), seed=first + i))
    return {"pieces": pieces}


def accompany(shelf: Shelf, asked: dict[str, Any], cancelled: threading.Event) -> dict[str, Any]:
    """Chords and a bass under a melody."""
    from audioseq.music.accompaniment import accompany_score

    return {"pieces": [as_json(accompany_score(_melody(asked), **_options(asked, "chords", "key", "pattern")))]}


def _melody(asked: dict[str, Any]) -> Score:
    """The piece, or the one of its tracks that was asked for."""
    score = from_json(asked["piece"])
    if "track" not in asked:
        return score
    rule = f"track is one of {len(score.instruments)}, from 0"
    require(asked["track"] < len(score.instruments), rule, asked["track"])
    return replace(score, notes=score.notes[score.notes["track"] == asked["track"]])


def remembered(shelf: Shelf, asked: dict[str, Any], cancelled: threading.Event) -> dict[str, Any]:
    """To which of the last tokens before a tick the network owes its state, each with the tick at which it stands."""
    from audioseq.memory.measures import memory_share

    model, score = shelf.get("composer", asked.get("model")).model, from_json(asked["piece"])
    if not len(score.notes):
        raise StudioError("a piece without notes has nothing to remember")
    tokenizer = model.tokenizer
    at, most = asked.get("tick", score.end_tick), min(asked.get("tokens", 32), MOST_TOKENS)
    tokens = np.concatenate([[BOS], tokenizer.encode(score)])
    ticks = _ticks(model, score, tokens)
    before = max(2, int(np.searchsorted(ticks, at, side="right")))
    first = max(1, before - most)
    read = np.concatenate([[BOS], tokens[first:before]])
    share = memory_share(model, read)
    row = share.share[-1][1:]
    names = [tokenizer.vocabulary[token] for token in read[1:].tolist()]
    where = ticks[first:before]
    return {
        "layer": share.layer,
        "tokens": [
            {"token": name, "tick": round(float(tick)), "share": float(part)}
            for name, tick, part in zip(names, where, row, strict=True)
        ],
        "map": np.round(share.share, 4).tolist(),
        "completeness": share.completeness,
    }


def _ticks(model: Any, score: Score, tokens: np.ndarray) -> np.ndarray:
    """The tick at which each token stands."""
    limits, tokenizer = model.sampler.constraints, model.tokenizer
    state, steps = limits.start(end=MOST_STEPS), []
    for token in tokens.tolist():
        state = limits.run(state, [token]) if token != BOS else state
        steps.append(limits.now(state))
    if tokenizer.in_seconds:
        return score.ticks(np.array(steps) / tokenizer.steps_per_second)
    return np.rint(np.array(steps) * score.resolution / tokenizer.steps_per_beat).astype(np.int64)
