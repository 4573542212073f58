"""The music model that makes one file of everything: tokenizer, network, and the tempo and meter of what it learnt."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import keras

from audioseq.arguments import require
from audioseq.constraints import constraints_of
from audioseq.grids import Tokenizer
from audioseq.models import TokenNetwork
from audioseq.saving import WholeModel, full_precision
from audioseq.tokens import tokenizer_from_dict

if TYPE_CHECKING:
    import pretty_midi

    from audioseq.generation import Note, Options
    from audioseq.sampling import Sampler
    from audioseq.scores import Score

__all__ = ["SequenceGenerator"]


@keras.saving.register_keras_serializable("audioseq")
class SequenceGenerator(WholeModel):
    """Tokens to logits of the next token in one saved file, and from it to music.

    Args:
        tokenizer: what wrote the tokens.
        network: says what follows each token.
        tempo: quarter notes a minute of a generated piece where none is asked for.
        meter: of a generated piece where a bar must be known and none is asked for.
        pitch_range: lowest and highest MIDI pitch of what it learnt; without another wish, new notes keep to it.

    Input shape:
        ``(batch, time)``, tokens; a piece begins with `grids.BOS`.

    Output shape:
        ``(batch, time, tokens)``, logits.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        network: TokenNetwork,
        *,
        tempo: float = 120.0,
        meter: tuple[int, int] = (4, 4),
        pitch_range: tuple[int, int] = (0, 127),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(network, TokenNetwork) or network.size != tokenizer.size:
            what = network.size if isinstance(network, TokenNetwork) else type(network).__name__
            raise ValueError(f"network is a TokenNetwork of the tokenizer's {tokenizer.size} tokens. Received: {what}")
        low, high = pitch_range
        require(4 <= tempo <= 1000, "tempo is 4 to 1000 quarter notes a minute", tempo)
        require(meter[0] >= 1 and meter[1] in (1, 2, 4, 8, 16, 32), "meter is such as (3, 4)", meter)
        require(0 <= low <= high <= 127, "pitch_range is two MIDI pitches, 0 <= low <= high <= 127", pitch_range)
        self.tokenizer, self.network = tokenizer, network
        self.tempo, self.meter = float(tempo), (int(meter[0]), int(meter[1]))
        self.pitch_range = (int(pitch_range[0]), int(pitch_range[1]))
        self.build((None, None))

    def build(self, input_shape: Any) -> None:
        self.built = True

    def call(self, tokens: Any, training: bool | None = None) -> Any:
        return self.network(tokens, training=training)

    @functools.cached_property
    def sampler(self) -> Sampler:
        """What draws from the network within the tokenizer's constraints."""
        from audioseq.sampling import Sampler

        return Sampler(self.network, constraints_of(self.tokenizer))

    def generate(
        self,
        prompt: Score | pretty_midi.PrettyMIDI | None = None,
        *,
        seed: int = 0,
        options: Options | None = None,
        **changes: Any,
    ) -> pretty_midi.PrettyMIDI:
        """Write a piece.

        Args:
            prompt: how the piece begins; the network goes on from there. None: it begins by itself.
            seed: of what is drawn; the same seed and options give the same piece, alone or in a batch.
            options: how long, in which key and range, how boldly; see `generation.Options`.
            changes: fields of `options` with other values: ``bars=16, temperature=0.95, key="C major"``.

        Raises:
            ValueError: an option is outside its domain, or does not fit the prompt.
        """
        return self.generate_batch(1, prompt, seed=seed, options=options, **changes)[0]

    def generate_batch(
        self,
        count: int,
        prompt: Score | pretty_midi.PrettyMIDI | None = None,
        *,
        seed: int = 0,
        options: Options | None = None,
        **changes: Any,
    ) -> list[pretty_midi.PrettyMIDI]:
        """Write several pieces at once: those that `generate` writes with `seed`, ``seed + 1`` and so on."""
        from audioseq.generation import write_pieces

        return write_pieces(self, count, prompt, seed=seed, options=options, changes=changes)

    def notes(
        self,
        prompt: Score | pretty_midi.PrettyMIDI | None = None,
        *,
        seed: int = 0,
        options: Options | None = None,
        **changes: Any,
    ) -> Iterator[Note]:
        """The notes of the piece that `generate` writes, each as soon as it has ended, the prompt's too."""
        from audioseq.generation import stream_notes

        return stream_notes(self, prompt, seed=seed, options=options, changes=changes)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "tokenizer": self.tokenizer.to_dict(),
            "network": full_precision(keras.saving.serialize_keras_object(self.network)),
            "tempo": self.tempo,
            "meter": list(self.meter),
            "pitch_range": list(self.pitch_range),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> SequenceGenerator:
        config = dict(config)
        config["tokenizer"] = tokenizer_from_dict(config["tokenizer"])
        config["network"] = keras.saving.deserialize_keras_object(config["network"], custom_objects=custom_objects)
        return cls(**config)
