"""A listening sheet: pieces of a model and pieces that it never met, shuffled, for people to tell apart by ear.

The folder has each piece as ``.wav`` and ``.mid``, a page with players and places for answers, and the key in a file
of its own. Nothing but the music should give a piece away: all have gone through the model's tokens, are played by the
same instruments, as loud, and are cut after the same time.
"""

from __future__ import annotations

import dataclasses
import html
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audioseq.arguments import counted, is_count, is_whole, require
from audioseq.data.tunes import TokenSet
from audioseq.files import FileError, atomic_folder, write_json, write_text
from audioseq.midi.files import save_midi
from audioseq.midi.score import Score, clock_of
from audioseq.music.evaluation import write_like
from audioseq.music.generator import SequenceGenerator
from audioseq.music.likelihood import require_fit, score_of
from audioseq.music.manners import as_played
from audioseq.music.options import Options
from audioseq.music.synthesis import save_wav

__all__ = ["ListeningSheet", "check_sheet", "listening_sheet"]

PAGE, KEY = "sheet.html", "key.json"
MOST = 1000  # pieces
LEVEL = 80  # velocity of all notes, where the model's tokens have none


@dataclass(frozen=True)
class ListeningSheet:
    """A listening sheet that was written.

    Attributes:
        folder: where it lies; ``sheet.html`` is the page, ``key.json`` the key.
        kinds: of each piece, in the page's order, ``"real"`` or ``"generated"``.
        names: of each the held-out file's name, or the seed of the generated piece.
    """

    folder: str
    kinds: tuple[str, ...]
    names: tuple[str, ...]

    def __repr__(self) -> str:
        return (
            f"ListeningSheet({self.folder}: {counted(len(self.kinds), 'piece')}, {self.kinds.count('real')} real and "
            f"{self.kinds.count('generated')} generated)"
        )


def listening_sheet(
    out: str | os.PathLike[str],
    model: SequenceGenerator,
    held_out: TokenSet,
    *,
    count: int = 12,
    seconds: float = 30.0,
    seed: int = 0,
    options: Options | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ListeningSheet:
    """Write a listening sheet of a model: half of its pieces are real, half generated.

    Args:
        out: folder that is made: ``01.wav``, ``01.mid`` and so on, ``sheet.html`` and ``key.json``.
        model: what wrote half of the pieces.
        held_out: pieces that it was not trained on; the other half is drawn from them.
        count: pieces on the sheet, an even number.
        seconds: after which a piece is cut. The i-th generated piece is as long as the i-th real one.
        seed: of what is drawn, of the generated pieces and of their order.
        options: how they are generated; its length is not used.
        progress: called with how many of the steps are written, and how many there are.

    Returns:
        The `ListeningSheet`, the key in it.

    Raises:
        ValueError: an odd `count`, fewer held-out pieces than half of it, no time, or tokens of another tokenizer.
        FileError: `out` is there already and holds something.
        OSError: the place cannot be written.

    Example:
        >>> from audioseq.files import shipped
        >>> model = aq.load_model(shipped("assets", "music", "model.keras"))
        >>> for chorale in aq.chorales.chorales()[:2]:
        ...     aq.save_midi(f"pieces/{chorale.name}.mid", aq.midi.as_pretty_midi(chorale.score))
        >>> pieces, _ = aq.tunes.whole_folder("pieces", model.tokenizer)
        >>> aq.music.listening_sheet("sheet", model, pieces, count=2, seconds=4)
        ListeningSheet(sheet: 2 pieces, 1 real and 1 generated)
    """
    require(is_count(count, 2, MOST) and count % 2 == 0, f"count is an even number of pieces, 2 to {MOST:,}", count)
    require(0 < seconds <= 3600, "seconds is a time above 0, an hour at most (did you pass milliseconds?)", seconds)
    require(is_whole(seed, 0), "seed is a whole number, 0 or above", seed)
    require_fit(model, held_out)
    rule = f"half of the sheet's {count} pieces are held-out ones, of which there are as many"
    require(len(held_out) >= count // 2, rule, len(held_out))
    check_sheet(out)
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(held_out))[: count // 2]
    tokens = [held_out.versions[0][i] for i in chosen]
    real = [as_played(model.tokenizer, own, score_of(model, own), model.learnt) for own in tokens]
    written = write_like(model, real, count // 2, seed=seed, options=options or Options(), progress=progress)
    names = [held_out.names[i] for i in chosen] + [f"seed {seed + i}" for i in range(count // 2)]
    kinds = ["real"] * len(real) + ["generated"] * len(written)
    order = rng.permutation(count)
    flat = not getattr(model.tokenizer, "velocity_bins", 0)
    with atomic_folder(out) as folder:
        entries = {}
        for place, i in enumerate(order):
            name = f"{place + 1:0{max(2, len(str(count)))}}"
            piece = excerpt([*real, *written][i], seconds, flat=flat)
            save_midi(folder / f"{name}.mid", piece)
            save_wav(folder / f"{name}.wav", piece)
            entries[name] = {"kind": kinds[i], "name": names[i]}
        write_text(folder / PAGE, page_of(list(entries), seconds))
        write_json(folder / KEY, {"seed": seed, "pieces": entries})
    return ListeningSheet(os.fspath(out), tuple(kinds[i] for i in order), tuple(names[i] for i in order))


def check_sheet(out: str | os.PathLike[str]) -> None:
    """Refuse a folder that holds something, which may be a sheet that somebody has answered.

    Raises:
        FileError: it does, or is no folder.
    """
    path = Path(out)
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise FileError(out, "is there already; a listening sheet goes into a new folder")


def excerpt(score: Score, seconds: float, *, flat: bool) -> Score:
    """The notes that begin before a time, cut there; without what says who wrote them, and all as loud if `flat`."""
    notes = score.notes[score.notes["start"] < seconds].copy()
    late = notes["end"] > seconds
    at, scale, since = clock_of(score.tempos, score.resolution)
    k = np.searchsorted(since, seconds, side="right") - 1
    tick = round(float(at[k] + (seconds - since[k]) / scale[k]))
    notes["end_tick"][late] = np.maximum(tick, notes["start_tick"][late] + 1)
    notes["end"][late] = score.seconds(notes["end_tick"][late])
    if flat:
        notes["velocity"] = LEVEL
    none = np.zeros((0, 2), np.int64)
    players = tuple(dataclasses.replace(player, name="") for player in score.instruments)
    tempos, meters = (changes[changes[:, 0] <= tick] for changes in (score.tempos, score.meters))
    return Score(notes, score.resolution, tempos, meters, none, players)


def page_of(names: list[str], seconds: float) -> str:
    """The page: a player and an answer for each piece; it counts the right ones once it is given the key."""
    rows = "\n".join(ROW.format(name=html.escape(name)) for name in names)
    return HTML.replace("{rows}", rows).replace("{seconds}", f"{seconds:g}").replace("{key}", KEY)


ROW = """<tr><th>{name}</th>
<td><audio controls preload="none" src="{name}.wav"></audio> <a href="{name}.mid">.mid</a></td>
<td><label><input type="radio" name="{name}" value="real"> real</label>
<label><input type="radio" name="{name}" value="generated"> generated</label></td>
<td><input type="number" min="1" max="5" aria-label="liking of {name}" data-liking="{name}"></td>
<td><input type="text" aria-label="notes on {name}" data-note="{name}"></td></tr>"""

HTML = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Listening sheet</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
td, th { padding: .4rem .6rem; border-bottom: 1px solid #ccc; text-align: left }
label { white-space: nowrap }
</style>
<h1>Listening sheet</h1>
<p>Half of these pieces were written by a person, half by a network, {seconds} seconds of each at most. Listen to each,
say which it is, and how much you like it: 1 not at all, 5 very much. A piece that you know may be left out.</p>
<p><label>Your name <input type="text" id="listener"></label></p>
<table>
<tr><th>piece</th><th></th><th>written by</th><th>liking, 1 to 5</th><th>notes</th></tr>
{rows}
</table>
<p><button id="save">Save the answers</button></p>
<p><label>Then open {key} to see how many are right: <input type="file" id="key" accept=".json"></label></p>
<p id="result" role="status"></p>
<script>
const answers = () => Object.fromEntries([...document.querySelectorAll("tr")].flatMap((row) => {
  const name = row.querySelector("[data-note]")?.dataset.note
  if (!name) return []
  const kind = row.querySelector("input[type=radio]:checked")?.value ?? null
  const liking = Number(row.querySelector("[data-liking]").value) || null
  return [[name, { kind, liking, note: row.querySelector("[data-note]").value }]]
}))
document.querySelector("#save").addEventListener("click", () => {
  const listener = document.querySelector("#listener").value
  const text = JSON.stringify({ listener, answers: answers() }, null, 1)
  const link = document.createElement("a")
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }))
  link.download = "answers.json"
  link.click()
})
document.querySelector("#key").addEventListener("change", async (event) => {
  const pieces = JSON.parse(await event.target.files[0].text()).pieces
  const given = Object.entries(answers()).filter(([, answer]) => answer.kind)
  const right = given.filter(([name, answer]) => pieces[name].kind === answer.kind).length
  document.querySelector("#result").textContent = `${right} of ${given.length} right; by chance it is half of them.`
})
</script>
</html>
"""
