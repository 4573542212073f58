"""Words from five recordings, by the numbers of a recogniser.

    python benchmarks/fewshot.py --data DIR [--model FILE] [--peers] [--json FILE]

`DIR` holds `speech_commands`, `speech_words`, `speech_few` and `wake_words`. Thirty episodes are drawn: ten words, five
recordings of each; asked about are recordings by other speakers (where they are named) of these words, and of five
other words. Printed: the share of the ten words that are recognised; and the share that is recognised *and* accepted,
where the threshold accepts 5 % of the other words' recordings. Two groups of words: those of Speech Commands, of which
most trained the bundled recogniser's last layers, though not the numbers that are compared; and words that it never
met. At last, three new words at a time are enrolled in the recogniser itself (`speech.enroll`, its default threshold):
how many of their recordings and of the validation clips of the words that were there are right, before and after.

`--peers` has the same episodes by EfficientWord-Net (Chidhambararajan et al. 2021; `pip install --no-deps
efficientword-net`, 100 MB).
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

import audioseq as aq
from audioseq.data.clips import SILENCE, UNKNOWN
from audioseq.files import shipped, write_json
from audioseq.speech.embedding import embedding_network
from audioseq.speech.enrolment import EnrolmentError, enroll

EPISODES, WORDS, OTHERS, SHOTS = 30, 10, 5, 5
MOST = 60  # recordings of a word


class Recordings:
    """Clips of folders of words, with word and speaker."""

    def __init__(self, folders: list[Path], sr: int, n: int, taken: set[str] | None = None) -> None:
        self.files, self.words = [], []
        for folder in sorted({word for f in folders if f.is_dir() for word in f.iterdir() if word.is_dir()}):
            files = [p for p in sorted(folder.iterdir()) if p.suffix in (".flac", ".ogg", ".wav")]
            if folder.name.startswith("_") or (taken is not None and folder.name in taken):
                continue
            order = np.random.default_rng(0).permutation(len(files))[:MOST]
            self.files += [files[i] for i in order]
            self.words += [folder.name] * len(order)
        named = ["_nohash_" in path.name for path in self.files]
        self.speakers = [p.stem.split("_nohash_")[0] if n else str(p) for p, n in zip(self.files, named, strict=True)]
        self.samples = np.stack([aq.audio.fit_length(aq.load(path, sr=sr)[0], n) for path in self.files])


def numbers_of(model: Any) -> Callable[[np.ndarray], np.ndarray]:
    inside = embedding_network(model.network)

    def numbers(samples: np.ndarray) -> np.ndarray:
        parts = [inside(model.frames(samples[i : i + 64]), training=False) for i in range(0, len(samples), 64)]
        return np.concatenate([np.asarray(part) for part in parts])

    return numbers


def efficient_word_net(samples: np.ndarray) -> np.ndarray:
    """The numbers of the peer's network, of clips in the middle of its 1.5 s."""
    from eff_word_net.audio_processing import Resnet50_Arc_loss

    peer = Resnet50_Arc_loss()
    clips = [aq.audio.fit_length(y, peer.window_frames).astype(np.float32) for y in samples]
    return np.concatenate([peer.audioToVector(y) for y in clips])


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def episodes(recordings: Recordings, numbers: np.ndarray, shots: int) -> tuple[np.ndarray, np.ndarray]:
    """Shares recognised, and recognised and accepted at 5 % of other words, of each episode."""
    words, speakers = np.array(recordings.words), np.array(recordings.speakers)
    there = sorted({w for w in words if (words == w).sum() >= shots + 5})
    points, found = unit(numbers), []
    for episode in range(EPISODES):
        rng = np.random.default_rng(episode)
        drawn = rng.permutation(there)
        n = min(WORDS, len(there) - OTHERS)
        chosen, others = drawn[:n], drawn[n : n + OTHERS]
        support = [rng.choice(np.flatnonzero(words == w), shots, replace=False) for w in chosen]
        prototypes = unit(np.stack([points[rows].mean(0) for rows in support]))
        used = np.concatenate(support)
        asked = ~np.isin(speakers, speakers[used])
        asked[used] = False
        cosines = points @ prototypes.T
        threshold = np.quantile(cosines[asked & np.isin(words, others)].max(1), 0.95)
        known = np.flatnonzero(asked & np.isin(words, chosen))
        right = chosen[cosines[known].argmax(1)] == words[known]
        found.append((right.mean(), (right & (cosines[known].max(1) > threshold)).mean()))
    return tuple(np.array(found).T)


def kept(model: Any, recordings: Recordings, clips: Any) -> dict[str, float]:
    """Three new words in the recogniser itself: right recordings of them, and right clips of what was there."""
    words, speakers = np.array(recordings.words), np.array(recordings.speakers)
    there = sorted({w for w in words if (words == w).sum() >= SHOTS + 5})
    places = [i for i, name in enumerate(model.class_names) if name not in (UNKNOWN, SILENCE)]
    known = np.isin(clips.labels, places)
    samples, labels = clips.float_samples(np.flatnonzero(known)), clips.labels[known]
    before = (model.scores(samples).argmax(1) == labels).mean()
    right, after, seconds, refused = [], [], [], 0
    for episode in range(10):
        rng = np.random.default_rng(100 + episode)
        more, used = model, []
        for word in rng.choice(there, 3, replace=False):
            while str(word) not in more.class_names:
                rows = rng.choice(np.flatnonzero(words == word), SHOTS, replace=False)
                begun = time.process_time()
                try:
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        more = enroll(more, str(word), [recordings.files[i] for i in rows]).model
                except EnrolmentError:  # one that is too unlike the others: a person would record it again
                    refused += 1
            seconds.append(time.process_time() - begun)
            used += rows.tolist()
        asked = np.flatnonzero(np.isin(words, more.class_names[-3:]) & ~np.isin(speakers, speakers[used]))
        named = np.array(more.class_names)[more.scores(recordings.samples[asked]).argmax(1)]
        right.append((named == words[asked]).mean())
        after.append((more.scores(samples).argmax(1) == labels).mean())
    print(f"three new words in the recogniser: {np.mean(right):.1%} of their recordings right; of the words that were")
    print(
        f"  there {before:.1%} of {len(labels)} before, {np.mean(after):.1%} after (worst {np.min(after):.1%});",
        end=" ",
    )
    print(f"{np.median(seconds):.2f} s of CPU to enroll a word")
    return {"right": float(np.mean(right)), "before": float(before), "after": float(np.mean(after))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path, metavar="DIR")
    parser.add_argument("--model", default=str(shipped("assets", "speech", "model.keras")), metavar="FILE")
    parser.add_argument("--peers", action="store_true", help="EfficientWord-Net beside it")
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args()
    model, found = aq.load_model(args.model), {}
    trained = set(model.class_names) | {"bed", "cat", "happy"}
    groups = {
        "Speech Commands": Recordings([args.data / "speech_commands"], model.sr, model.n_samples),
        "words never met": Recordings(
            [args.data / name for name in ("speech_words", "speech_few", "wake_words")],
            model.sr,
            model.n_samples,
            trained,
        ),
    }
    ways = {"": numbers_of(model), **({", EfficientWord-Net": efficient_word_net} if args.peers else {})}
    for (title, recordings), (way, numbers_in) in itertools.product(groups.items(), ways.items()):
        print(f"{title}{way}: {len(recordings.files):,} recordings of {len(set(recordings.words))} words")
        numbers = numbers_in(recordings.samples)
        for shots in (1, SHOTS):
            right, accepted = episodes(recordings, numbers, shots)
            print(
                f"  {shots} recordings a word: {right.mean():.1%} right, {accepted.mean():.1%} right and accepted at "
                f"5 % of others (episodes ± {accepted.std():.1%})"
            )
            found[f"{title}{way}, {shots}"] = [float(right.mean()), float(accepted.mean())]
    if (args.data / "speech_commands").is_dir():
        clips = aq.word_folder(args.data / "speech_commands", unknown=["bed", "cat", "happy"]).validation
        found["enrolled"] = kept(model, groups["words never met"], clips)
    if args.json:
        write_json(args.json, found)


if __name__ == "__main__":
    main()
