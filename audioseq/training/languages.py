"""A network over tokens that learns the texts of a table."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from audioseq.arguments import require
from audioseq.connected.rescoring import packed_texts
from audioseq.models.tokens import TokenNetwork

__all__ = ["fit_language"]


def fit_language(
    network: TokenNetwork,
    texts: Sequence[Sequence[int]],
    *,
    epochs: int = 30,
    batch_size: int = 16,
    learning_rate: float = 3e-3,
) -> list[float]:
    """Train a network on texts; for the few thousand of a table.

    Args:
        network: such as `models.event_lstm` (1 + labels): 0 stands before and behind each text.
        texts: labels of each.
        epochs, batch_size, learning_rate: of Adam, whose rate falls to 0 along a cosine.

    Returns:
        Nats a label of each epoch.

    Raises:
        ArgumentError: without texts.

    Example:
        >>> letters = aq.connected.Units.of_texts(["CALL FIVE", "CALL ONE"], "letters")
        >>> network = aq.models.event_lstm(1 + len(letters), units=(16,), embedding=8)
        >>> texts = [letters.encode(text) for text in ("CALL FIVE", "CALL ONE")]
        >>> loss = aq.training.fit_language(network, texts, epochs=20, batch_size=2)
        >>> loss[-1] < loss[0]
        True
    """
    require(len(texts) > 0, "there is a text to learn", texts)
    read, following, counts = packed_texts(texts)
    steps = epochs * -(-len(read) // batch_size)
    network.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(learning_rate, steps), global_clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="mean_with_sample_weight"),
    )
    fitted = network.fit(read, following, sample_weight=counts, batch_size=batch_size, epochs=epochs, verbose=0)
    return [float(loss) for loss in fitted.history["loss"]]
