"""How good a music model is: how likely held-out pieces are to it, how its own pieces compare, how much they copy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from audioseq.arguments import counted, is_count, require
from audioseq.data.tunes import TokenSet
from audioseq.midi.score import Score
from audioseq.music.copies import Copy, CopyIndex, Leakage, shared_grams
from audioseq.music.generator import SequenceGenerator
from audioseq.music.likelihood import TokenLikelihood, piece_nats, require_fit, score_of, token_likelihood
from audioseq.music.options import Options
from audioseq.music.planning import plan
from audioseq.music.statistics import Comparison, compare

__all__ = ["MusicEvaluation", "evaluate_music"]


@dataclass(frozen=True)
class MusicEvaluation:
    """Figures of a music model.

    Attributes:
        likelihood: of the held-out pieces.
        clean: of those that share less than half of their melodic 8-grams with any one training piece; None where
            there are none, or no training pieces to compare with.
        leakage: the audit behind that; None without training pieces.
        statistics: generated pieces, as long as the held-out ones, beside these.
        copies: of each generated piece, the longest run of melodic intervals that a training piece has too.
        usual: the same of each held-out piece: so much is common to pieces that did not see each other.
    """

    likelihood: TokenLikelihood
    clean: TokenLikelihood | None
    leakage: Leakage | None
    statistics: Comparison
    copies: list[Copy]
    usual: list[Copy]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "likelihood": self.likelihood.to_dict(),
            "clean": self.clean.to_dict() if self.clean else None,
            "leakage": self.leakage.to_dict() if self.leakage else None,
            "statistics": self.statistics.to_dict(),
            "copies": [asdict(copy) for copy in self.copies],
            "usual_copies": [asdict(copy) for copy in self.usual],
        }

    def __repr__(self) -> str:
        rows = [row for row in self.statistics.figures.values() if row is not None]
        copy = f", longest copy {counted(max(copy.n_notes for copy in self.copies), 'note')}" if self.copies else ""
        return (
            f"MusicEvaluation({self.likelihood.per_token:.3f} nats a token on "
            f"{counted(self.likelihood.pieces, 'piece')}, "
            f"{sum(row.within for row in rows)} of {len(rows)} statistics within{copy})"
        )

    def __str__(self) -> str:
        what, lines = self.likelihood, []
        lines.append(
            f"{what.per_token:.3f} nats a token, {what.per_note:.2f} a note, {what.per_second:.1f} a second on "
            f"{counted(what.pieces, 'piece')}"
        )
        if self.clean is not None:
            lines.append(
                f"{self.clean.per_token:.3f} a token on the {self.clean.pieces} that resemble no training piece"
            )
        lines.append(str(self.statistics))
        if self.copies:
            mine, usual = ([copy.n_notes for copy in copies] for copies in (self.copies, self.usual))
            lines.append(
                f"longest run of notes shared with a training piece: {np.median(mine):g} (median), {max(mine)} (most); "
                f"of held-out pieces {np.median(usual):g}, {max(usual)}"
            )
        return "\n".join(lines)


def evaluate_music(
    model: SequenceGenerator,
    held_out: TokenSet,
    training: TokenSet | None = None,
    *,
    generated: int = 32,
    seed: int = 0,
    options: Options | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> MusicEvaluation:
    """Judge a model by pieces that it was not trained on, and by pieces that it writes.

    Args:
        model: what is judged.
        held_out: pieces that are neither training nor chose the epoch.
        training: the training pieces, for the audit and the copy check; None: neither is made.
        generated: pieces to write; the i-th is as many seconds long as the i-th held-out piece.
        seed: of these.
        options: how they are drawn; its length is not used.
        progress: called, while they are generated, with how many of their steps are written, and how many there are.

    Raises:
        ValueError: tokens of another tokenizer, no held-out piece, or none to write.

    Example:
        >>> from audioseq.files import shipped
        >>> model = aq.load_model(shipped("assets", "music", "model.keras"))
        >>> for chorale in aq.chorales.chorales()[:2]:
        ...     aq.save_midi(f"pieces/{chorale.name}.mid", aq.midi.as_pretty_midi(chorale.score))
        >>> pieces, _ = aq.tunes.whole_folder("pieces", model.tokenizer)
        >>> found = aq.music.evaluate_music(model, pieces, generated=1)
        >>> found.likelihood.pieces, found.statistics.n_generated
        (2, 1)
    """
    require(is_count(generated, 1, 10**6), "generated is a whole number of pieces, 1 or more", generated)
    require(len(held_out) > 0, "there is a held-out piece or more", len(held_out))
    for part in (held_out, training):
        if part is not None:
            require_fit(model, part)
    nats = piece_nats(model.network, held_out)
    pieces = scores_of(model, held_out)
    written = write_like(model, pieces, generated, seed=seed, options=options or Options(), progress=progress)
    clean = leakage = None
    copies: list[Copy] = []
    usual: list[Copy] = []
    if training is not None:
        learnt = scores_of(model, training)
        leakage = shared_grams(learnt, pieces, training_names=training.names, testing_names=held_out.names)
        if leakage.clean:
            clean = token_likelihood(model, held_out, leakage.clean, nats=nats)
        index = CopyIndex(learnt, training.names)
        copies, usual = ([index.longest(piece) for piece in group] for group in (written, pieces))
    return MusicEvaluation(
        token_likelihood(model, held_out, nats=nats), clean, leakage, compare(written, pieces), copies, usual
    )


def scores_of(model: SequenceGenerator, pieces: TokenSet) -> list[Score]:
    """The pieces as the model reads them."""
    return [score_of(model, tokens) for tokens in pieces.versions[0]]


def write_like(
    model: SequenceGenerator,
    pieces: Sequence[Score],
    count: int,
    *,
    seed: int,
    options: Options,
    progress: Callable[[int, int], None] | None = None,
) -> list[Score]:
    """Pieces of a model, as many seconds long as the ones given, in turn."""
    lengths = [float(piece.notes["end"].max()) for piece in pieces]
    plans = [
        plan(model, None, replace(options, bars=None, seconds=lengths[i % len(lengths)]), seed + i)
        for i in range(count)
    ]
    drawn = model.sampler.draw([one.job for one in plans], progress=progress)
    return [one.score(tokens) for one, tokens in zip(plans, drawn, strict=True)]
