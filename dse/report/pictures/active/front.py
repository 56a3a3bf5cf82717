"""What an active loop has bought, and what its model expects of designs that it has not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from design.core import Bools, Floats
from dse.report.pictures.fronts import better, pairs_of
from dse.report.pictures.style import (
    ACCENT,
    PAPER,
    QUIET,
    SECOND,
    dress,
    grid_of_axes,
    logarithmic,
    save,
    shared_legend,
    spans_decades,
)

ROOM = 0.09  # between the outermost marks and the frame, as a share of what they span


def loop_front_picture(
    bought: Floats,
    bought_front: Bools,
    predicted: Floats,
    interval: Floats,
    labels: Sequence[str],
    units: Sequence[str],
    signs: Sequence[int],
    folder: Path,
) -> str:
    """Designs whose labels were bought, (n, objectives), as full marks, those on the front, (n,), in the accent;
    designs that were not, but that the model expects on the front, as hollow marks with bars: medians `predicted`
    (m, objectives), 90 % `interval` (m, objectives, 2), low and high, NaN: not known. A panel a pair of objectives.

    `signs` are +1 where less is better, -1 where more is. The marks make the frame: bars end there. An objective whose
    marks span decades has a logarithmic axis. Saved as `loop_front`. Returns the SVG.
    """
    pairs = pairs_of(len(labels))
    figure, panels = grid_of_axes(len(pairs), 4.0)
    for axes, (a, b) in zip(panels, pairs, strict=True):
        words = [f"{labels[i]} ({better(signs[i])})" for i in (a, b)]
        dress(axes, words[0], units[a], words[1], units[b])
        marks = np.concatenate([bought[:, [a, b]], predicted[:, [a, b]]])
        if not len(marks):
            axes.text(0.5, 0.5, "nothing bought, nothing expected", transform=axes.transAxes, ha="center", color=QUIET)
            axes.set(xticks=[], yticks=[])
            continue
        logs = spans_decades(marks[:, 0]), spans_decades(marks[:, 1])
        (left, right), (bottom, top) = (frame_of(marks[:, i], logs[i]) for i in (0, 1))
        _bought(axes, bought[:, [a, b]], bought_front, signs[a] > 0, len(labels) == 2)
        if len(predicted):
            x, y = predicted[:, a], predicted[:, b]
            bar: dict[str, Any] = {"color": SECOND, "linewidth": 0.7, "alpha": 0.55, "zorder": 2}
            axes.hlines(y, *np.clip(interval[:, a], left, right).T, **bar)
            axes.vlines(x, *np.clip(interval[:, b], bottom, top).T, **bar)
            hollow: dict[str, Any] = {"s": 30, "facecolors": PAPER, "edgecolors": SECOND, "linewidths": 1.2}
            axes.scatter(x, y, label=f"expected, not bought ({len(x)})", zorder=3, **hollow)
        logarithmic(axes, *logs)
        axes.set(xlim=(left, right), ylim=(bottom, top))
    shared_legend(figure, panels[0])
    return save(figure, folder, "loop_front")


def frame_of(values: Floats, log: bool) -> tuple[float, float]:
    """Lower and upper limit of an axis that shows these values (n,), n at least 1, with some room on both sides."""
    flat = np.log10(values) if log else values
    low, high = float(flat.min()), float(flat.max())
    room = ROOM * (high - low) or 0.04 * abs(high) or 1.0
    return (10 ** (low - room), 10 ** (high + room)) if log else (low - room, high + room)


def _bought(axes: Any, values: Floats, front: Bools, less: bool, steps: bool) -> None:
    if front.any():
        x, y = values[front].T
        order = np.lexsort((y, x))
        if steps:
            # The staircase that the front dominates: the corner lies on the worse side of each step.
            axes.step(x[order], y[order], where="post" if less else "pre", color=ACCENT, linewidth=1.2)
        axes.scatter(x, y, s=30, color=ACCENT, linewidths=0, zorder=4, label=f"bought, front ({len(x)})")
    others = values[~front]
    if len(others):
        grey: dict[str, Any] = {"s": 13, "color": QUIET, "alpha": 0.8, "linewidths": 0, "zorder": 2}
        axes.scatter(*others.T, label=f"bought, others ({len(others)})", **grey)
