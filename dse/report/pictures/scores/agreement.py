"""Predictions against what a tool said, metric by metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from design.core import Floats
from design.metrics import metric_of
from dse.report.pictures.style import (
    ACCENT,
    FILLS,
    INK,
    MARKS,
    QUIET,
    dress,
    grid_of_axes,
    logarithmic,
    save,
    shared_legend,
)

NOTICED = 0.01  # a floor of at least that is one that tools round to
Series = Mapping[str, tuple[Floats, Floats]]  # what it belongs to -> truth, prediction, both (points,)


def agreement_picture(metrics: Sequence[str], series: Sequence[Series], name: str, folder: Path) -> str:
    """One panel a metric: prediction against truth on equal logarithmic axes, a line where they agree. What is less
    than a metric's floor, as a count of 0, is drawn there; without one, 0 is drawn as the least of the others. Returns
    the SVG."""
    figure, panels = grid_of_axes(len(metrics), 3.4)
    for axes, metric, groups in zip(panels, metrics, series, strict=True):
        both = np.concatenate([np.concatenate(pair) for pair in groups.values()] or [np.ones(1)])
        least = _least(metric, both)
        low, high = max(both.min(), least) / 1.6, max(both.max(), least) * 1.6
        axes.plot([low, high], [low, high], color=INK, linewidth=0.8, label="equal")
        for factor in (0.5, 2.0):
            label = "half and twice" if factor < 1 else None
            axes.plot(
                [low, high], [factor * low, factor * high], color=QUIET, linewidth=0.7, linestyle=":", label=label
            )
        for place, (group, (truth, said)) in enumerate(groups.items()):
            colour = ACCENT if len(groups) == 1 else FILLS[place % len(FILLS)]
            style = {"s": 12, "marker": MARKS[place % len(MARKS)], "color": colour, "linewidths": 0, "alpha": 0.8}
            axes.scatter(np.maximum(truth, least), np.maximum(said, least), label=group, zorder=3, **style)
        dress(axes, f"{metric}, the tool's", "", f"{metric}, predicted", "")
        logarithmic(axes, True, True)
        axes.set_xlim(low, high)
        axes.set_ylim(low, high)
    shared_legend(figure, panels[0])
    return save(figure, folder, name)


def _least(metric: str, values: Floats) -> float:
    """What is drawn of a metric at least."""
    floor, above = metric_of(metric).floor, values[values > 0]
    return floor if floor >= NOTICED or not len(above) else float(above.min())
