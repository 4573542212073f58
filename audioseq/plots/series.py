"""Pictures of forecasts."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from audioseq.plots.figure import BEST, GREY, LINES, new_figure, save_figure

__all__ = ["forecasts"]


def forecasts(
    path: str | os.PathLike[str],
    values: np.ndarray,
    found: Sequence[tuple[int, np.ndarray]],
    *,
    times: Sequence[str],
    name: str = "",
    title: str = "",
) -> None:
    """A series, and forecasts of it with their intervals, each from where it began.

    Args:
        path: of the PNG.
        values: ``(time,)``; what was forecast is drawn too.
        found: place of the first value of each forecast, and its quantiles ``(horizon, 3)``: low, middle, high.
        times: of the values.
        name: of the series.
        title: over the picture.

    Example:
        >>> rows = np.stack([np.full(3, -1.0), np.zeros(3), np.full(3, 1.0)], axis=1)
        >>> aq.plots.forecasts("forecast.png", np.zeros(20), [(17, rows)], times=[str(i) for i in range(20)])
    """
    values = np.asarray(values)
    first = max(0, min(begin for begin, _ in found) - 4 * len(found[0][1]))
    fig = new_figure(9, 4)
    ax = fig.add_subplot()
    place = np.arange(first, len(values))
    ax.plot(place, values[first:], color=LINES[0], linewidth=1.2, label=name or "values")
    for k, (begin, rows) in enumerate(found):
        ahead = np.arange(begin, begin + len(rows))
        ax.fill_between(ahead, rows[:, 0], rows[:, -1], color=BEST, alpha=0.2, label="interval" if not k else None)
        ax.plot(ahead, rows[:, rows.shape[1] // 2], color=BEST, linewidth=1.4, label="forecast" if not k else None)
        ax.axvline(begin - 0.5, color=GREY, linewidth=0.6, linestyle=":")
    ticks = np.linspace(first, len(values) - 1, 7).astype(int)
    ax.set_xticks(ticks, [times[i] for i in ticks])
    ax.set_ylabel(name)
    ax.set_title(title)
    ax.legend(frameon=False, loc="upper left")
    ax.margins(x=0.01)
    save_figure(path, fig)
