"""A piece that shows itself in a notebook."""

from __future__ import annotations

from typing import Any

import pretty_midi

from audioseq.midi.score import Score, as_pretty_midi
from audioseq.music.synthesis import synthesize
from audioseq.plots.notebook import player_html, roll_html

__all__ = ["Piece"]

SR = 22050
MOST_SECONDS = 300.0  # that are played


class Piece(pretty_midi.PrettyMIDI):
    """A `pretty_midi.PrettyMIDI` that a notebook shows as a piano roll and plays.

    Attributes:
        seed: which writes it again, of a piece that was generated; else None.

    Example:
        >>> from audioseq.music.piece import Piece
        >>> piece = Piece.of(aq.chorales.chorales()[0].score)
        >>> "<svg" in piece._repr_html_() and "<audio" in piece._repr_html_()
        True
    """

    seed: int | None = None

    @classmethod
    def of(cls, score: Score, seed: int | None = None) -> Piece:
        """The piece of a score."""
        made: Any = as_pretty_midi(score)
        made.__class__ = cls
        made.seed = seed
        return made

    def _repr_html_(self) -> str:
        seconds = self.get_end_time()
        sound = "" if not 0 < seconds <= MOST_SECONDS else f"<br>{player_html(synthesize(self, SR), SR)}"
        return f"{roll_html(self)}{sound}"
