"""How well the bundled drummer knows drummers: nats a hit, what its tokens keep, and timing and dynamics of its beats.

    python benchmarks/drums.py --data DIR [--model FILE] [--count 100] [--json FILE]

DIR holds the Groove MIDI Dataset; its split by sessions is that of assets/make_drums.py. Nats are of whole test pieces,
style, tempo and all tokens included, over their hits; beside them stand those of an interpolated 5-gram of the training
examples. The round trip is through the tokens and back. Timing and dynamics are of eight bars each: of as many beats as
--count, styles and tempos as they come, drawn as `audioseq drum` draws them, and of eight bars from the middle of each
test and validation performance that has as many. Swing is where in its beat the second eighth note lies (0.5: straight,
0.67: triplets); a spread is a standard deviation.
"""

# ruff: noqa: E402 - what TensorFlow says of the machine is turned away before it loads
from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from audioseq import cli

cli.load_tensorflow()

from audioseq import SequenceGenerator
from audioseq.data.tunes import TokenSet
from audioseq.files import shipped, write_json
from audioseq.midi.parsing import read_score
from audioseq.midi.score import Score, as_score
from audioseq.music.likelihood import piece_nats
from audioseq.tokens import drums
from audioseq.tokens.base import BOS

sys.path.insert(0, str(Path(__file__).parents[1] / "assets"))
sys.path.insert(0, str(Path(__file__).parent))
from make_drums import about, read
from music import Grams

BARS = 8


def gestures(score: Score) -> dict[str, float] | None:
    """Timing and dynamics of a beat; None of fewer than 32 hits."""
    notes = score.notes[score.notes["is_drum"]]
    if len(notes) < 32:
        return None
    beat = notes["start_tick"] / score.resolution
    seconds = score.tempos[0, 1] / 1e6
    sixteenth = np.rint(beat * 4)
    off = (beat - sixteenth / 4) * seconds * 1000
    place = beat % 1
    second = place[(place > 0.4) & (place < 0.75)]
    return {
        "swing": float(second.mean()) if len(second) >= 8 else float("nan"),
        "timing spread, ms": float(off.std()),
        "velocity spread": float(notes["velocity"].astype(float).std()),
        "velocity": float(notes["velocity"].mean()),
        "hits a bar": float(len(notes) / BARS),
    }


def middle(score: Score) -> Score | None:
    """Eight bars of a performance, from its middle; None where it has not as many."""
    bar = 4 * score.resolution
    bars = int(score.notes["start_tick"].max(initial=0) // bar) + 1
    if bars < BARS:
        return None
    first = (bars - BARS) // 2 * bar
    inside = (score.notes["start_tick"] >= first) & (score.notes["start_tick"] < first + BARS * bar)
    notes = score.notes[inside].copy()
    notes["start_tick"] -= first
    return dataclasses.replace(score, notes=notes)


def round_trip(model: SequenceGenerator, paths: Sequence[Path]) -> dict[str, float]:
    """What comes back from tokens."""
    hits = kept = 0
    moved, louder = [], []
    for path in paths:
        score = read_score(path)
        back = model.tokenizer.score(model.tokenizer.encode(score))
        hits, kept = hits + len(score.notes), kept + len(back.notes)
        own = np.rint(score.notes["start_tick"] * 128 / score.resolution).astype(np.int64)
        theirs = np.rint(back.notes["start_tick"] * 128 / back.resolution).astype(np.int64)
        pitch = score.notes["pitch"].astype(np.int64)
        for rim, drum in drums.GENERAL_MIDI.items():
            pitch[pitch == rim] = drum
        hit = zip(back.notes["pitch"].tolist(), theirs.tolist(), strict=True)
        found = dict(zip(hit, back.notes["velocity"].tolist(), strict=True))
        hit = zip(pitch.tolist(), own.tolist(), strict=True)
        ticks, loud = score.notes["start_tick"].tolist(), score.notes["velocity"].tolist()
        for key, tick, velocity in zip(hit, ticks, loud, strict=True):
            if key in found:
                moved.append(abs(tick / score.resolution - key[1] / 128) * score.tempos[0, 1] / 1000)
                louder.append(abs(found[key] - velocity))
    return {
        "hits": hits,
        "hits that come back": kept / hits,
        "moved, ms, mean": float(np.mean(moved)),
        "moved, ms, most": float(np.max(moved)),
        "velocity, mean difference": float(np.mean(louder)),
        "velocity, most": float(np.max(louder)),
    }


def nats_a_hit(model: SequenceGenerator, learning: TokenSet, testing: TokenSet) -> dict[str, float]:
    """Of the model, and of a 5-gram."""
    pieces = list(testing)
    hits = sum(int((model.tokenizer.table.kind[piece] == drums.DRUM).sum()) for piece in pieces)
    tokens = sum(len(piece) - 1 for piece in pieces)
    nats = float(piece_nats(model.network, pieces).sum())
    grams = Grams(list(learning), model.tokenizer.size)
    theirs = grams.nats(pieces)
    assert all(piece[0] == BOS for piece in pieces)
    return {
        "pieces": len(pieces),
        "hits": hits,
        "nats a hit": nats / hits,
        "nats a token": nats / tokens,
        "nats a hit, 5-gram": theirs / hits,
    }


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, metavar="DIR")
    parser.add_argument("--model", metavar="FILE")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args(argv)
    model = cli.load(args.model or str(shipped("assets", "drums", "model.keras")), SequenceGenerator)
    learning, validation, testing = read(args.data, model.tokenizer)
    paths = [Path(args.data) / name for name in testing.names]
    rows = {"round trip": round_trip(model, paths), "test": nats_a_hit(model, learning, testing)}
    for title, row in rows.items():
        print(f"{title}: " + ", ".join(f"{name} {value:.4g}" for name, value in row.items()), flush=True)
    held = [Path(args.data) / name for name in (*testing.names, *validation.names) if about(name)[1] == "beat"]
    people = [own for path in held if (part := middle(read_score(path))) and (own := gestures(part))]
    written = model.generate_batch(args.count, seed=0, bars=BARS, temperature=1.0, top_p=0.98, fills=4)
    beats = [own for piece in written if (own := gestures(as_score(piece)))]
    print(f"\n{len(beats)} beats beside {len(people)} performances, {BARS} bars each\n")
    print(f"{'':20}{'middle 90 % of drummers':>26}{'median':>9}{'of beats':>10}{'inside':>9}")
    for name in people[0]:
        own, theirs = (np.array([row[name] for row in some]) for some in (beats, people))
        own, theirs = own[~np.isnan(own)], theirs[~np.isnan(theirs)]
        low, high = np.quantile(theirs, [0.05, 0.95])
        inside = float(((own >= low) & (own <= high)).mean())
        rows[name] = {"low": low, "high": high, "median": float(np.median(own)), "inside": inside}
        print(f"{name:20}{low:15.3f} to{high:8.3f}{np.median(theirs):9.3f}{np.median(own):10.3f}{inside:9.0%}")
    if args.json:
        write_json(args.json, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
