"""Wake words in sentences over the telephone, known from a few recordings of other people.

    python benchmarks/telephone.py --data wake_words_telephone [--model FILE] [--shots 5 20] [--json FILE]

`DIR` holds the recordings of the Wake-Up-Word corpus II and `segments.tsv`, which says where in each a wake word is
spoken. Its people are put into three groups, by a drawn order: of the first, recordings of the word alone are enrolled
(`speech.enroll`); on the sentences of the second, the threshold of each word is chosen for no more than `BUDGET` false
alarms an hour; the sentences of the third are scored once. An alarm that is not of the word spoken there is false.
Recordings are left out whose text has another wake word than the marked one, or it twice: no times are given for those.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import sys
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

import audioseq as aq
from audioseq.files import shipped, write_json
from audioseq.speech.enrolment import EnrolmentError, enroll
from audioseq.speech.evaluation import wilson_interval
from audioseq.speech.thresholds import match_events, poisson_bound, scores_of, tune_on_scores

BUDGET = 2.0  # false alarms an hour
LOWEST = 0.1  # threshold that no word goes under
LEVELS = (0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
SHOWN = 0.5  # the threshold whose false alarms are listed


def read(folder: Path) -> list[dict[str, Any]]:
    """Rows of the table, with numbers for times."""
    with (folder / "segments.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    words = "|".join({row["word"].lower() for row in rows})
    rows = [row for row in rows if row["start"] and len(re.findall(words, row["text"].lower())) == 1]
    return [{**row, "start": float(row["start"]), "end": float(row["end"])} for row in rows]


def with_words(model: Any, rows: list[dict[str, Any]], folder: Path, shots: int, seed: int) -> Any:
    """A model that knows the wake words from so many recordings each, of as many people as there are."""
    rng = np.random.default_rng(seed)
    for word in sorted({row["word"] for row in rows}):
        alone = [row for row in rows if row["word"] == word and row["in_sentence"] == "0"]
        order = rng.permutation(len(alone))
        people: dict[str, int] = {}
        for i in order:
            people[alone[i]["person"]] = people.get(alone[i]["person"], 0) + 1
            alone[i]["turn"] = people[alone[i]["person"]]
        chosen = sorted(order, key=lambda i: alone[i]["turn"])[:shots]
        kept = []
        for i in chosen:
            y, sr = aq.load(folder / alone[i]["file"], sr=model.sr)
            kept.append(y[max(0, round((alone[i]["start"] - 0.1) * sr)) : round((alone[i]["end"] + 0.1) * sr)])
        while True:
            try:
                model = enroll(model, word, kept).model
                break
            except EnrolmentError as error:  # one that is not like the others, as the command would say
                odd = str(error).split("recording ")[1].split(":")[0]
                print(f"  {word}: {error}", file=sys.stderr)
                del kept[int(odd)]
    return model


def counts(detector: aq.Detector, side: list[tuple], words: set[str], *, shown: bool) -> tuple:
    """Words found, false alarms, words spoken, and seconds from the end of each word found to its detection."""
    hits = alarms = n = 0
    late: list[float] = []
    for scores, spoken, _, text in side:
        match = match_events(spoken, [event for event in detector.events_of(scores) if event.label in words])
        hits, alarms, n = hits + len(match.hits), alarms + len(match.false_alarms), n + len(spoken)
        late += [event.detected - word.end for word, event in match.hits]
        for event in match.false_alarms if shown else ():
            print(f"    {event.label} at {event.middle:.1f} s, {event.score:.0%}: {text}", file=sys.stderr)
    return hits, alarms, n, late


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path, metavar="DIR")
    parser.add_argument("--model", default=str(shipped("assets", "fewshot", "model.keras")), metavar="FILE")
    parser.add_argument("--shots", type=int, nargs="+", default=[5, 20], metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    bare, rows = aq.load_model(args.model), read(args.data)
    people = sorted({row["person"] for row in rows})
    order = np.random.default_rng(args.seed).permutation(len(people))
    group = {people[i]: k % 3 for k, i in enumerate(order)}
    found: dict[str, Any] = {}
    for shots in args.shots:
        first = [row for row in rows if group[row["person"]] == 0]
        model = with_words(bare, first, args.data, shots, args.seed)
        words = {row["word"] for row in rows}
        stream = model.streaming()
        sides: list[list[tuple]] = [[], [], []]
        for row in rows:
            if group[row["person"]] and row["in_sentence"] == "1":
                scores, samples = scores_of(stream, args.data / row["file"])
                spoken = [aq.Event(row["start"], row["end"], row["word"], 1.0)]
                sides[group[row["person"]]].append((scores, spoken, samples / model.sr, row["text"]))
        point = tune_on_scores(stream, [row[:3] for row in sides[1]], false_alarms_per_hour=BUDGET, lowest=LOWEST)
        hours = sum(row[2] for row in sides[2]) / 3600
        print(f"{shots} recordings of each word; {len(sides[2])} sentences of {hours:.2f} h are scored")

        for level in [*LEVELS, point]:
            name = "chosen" if level is point else f"{level:g}"
            threshold = {w: level[w] if level is point else level for w in words}
            detector = aq.Detector(stream, threshold=threshold)
            hits, alarms, n, late = counts(detector, sides[2], words, shown=level == SHOWN)
            low, high = wilson_interval(hits, n)
            print(
                f"  threshold {name:>6}: {hits / n:.1%} of {n} found ({low:.1%} to {high:.1%}), {alarms / hours:.0f} "
                f"false alarms an hour (below {poisson_bound(alarms, hours):.0f}), median delay "
                f"{np.median(late) if late else float('nan'):.2f} s"
            )
            found[f"{shots}/{name}"] = {"hits": hits, "alarms": alarms, "n": n, "hours": hours}
    if args.json:
        write_json(args.json, found)


if __name__ == "__main__":
    main()
