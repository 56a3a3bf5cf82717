"""The Pareto front, objective against objective."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from design.core import Floats
from dse.report.pictures.style import (
    ACCENT,
    INK,
    PAPER,
    QUIET,
    SECOND,
    dress,
    grid_of_axes,
    legend,
    logarithmic,
    save,
    spans_decades,
    thin,
)

MOST_BARS = 16  # bars that stand side by side: of marks that are closer one has bars
BEYOND = 10.0  # factor up to which a logarithmic axis shows bars beyond the marks


def pairs_of(count: int) -> list[tuple[int, int]]:
    """All pairs of so many objectives, one panel each."""
    return [(a, b) for a in range(count) for b in range(a + 1, count)]


def better(sign: int) -> str:
    """Which way is better, in words."""
    return "less is better" if sign > 0 else "more is better"


def front_picture(
    front: Floats,
    others: Floats,
    labels: Sequence[str],
    units: Sequence[str],
    signs: Sequence[int],
    knee: int | None,
    folder: Path,
    interval: Floats | None = None,
) -> str:
    """Pareto front, (points, objectives), and other feasible designs; one panel for each pair of objectives.

    `signs` are +1 where less is better, -1 where more is; `knee` is a row of the front to mark. The first row is the
    best of the first objective. Far-off others are left outside the frame; an objective whose values on the front span
    decades has a logarithmic axis. `interval`, (points, objectives, 2), are low and high ends of error bars, NaN where
    there are none; they end at the frame. Returns the SVG.
    """
    pairs = pairs_of(len(labels))
    figure, panels = grid_of_axes(len(pairs), 3.7)
    for axes, (a, b) in zip(panels, pairs, strict=True):
        x, y = front[:, a], front[:, b]
        reach = [values if interval is None else _reach(values, interval[:, i]) for values, i in ((x, a), (y, b))]
        logs = spans_decades(reach[0]), spans_decades(reach[1])
        low, high = _frame(x, y, np.array([signs[a], signs[b]]), logs)
        for place in np.flatnonzero(logs):  # where bars, being factors, take little room
            low[place] = min(low[place], BEYOND**-0.1 * reach[place].min())
            high[place] = max(high[place], BEYOND**0.1 * reach[place].max())
        near = np.flatnonzero(((others[:, [a, b]] >= low) & (others[:, [a, b]] <= high)).all(axis=1))
        near = near[thin(_flat(others[near, a], logs[0]), _flat(others[near, b], logs[1]), 60)]
        if len(near):
            grey = {"s": 7, "color": QUIET, "alpha": 0.45, "linewidths": 0, "label": "other designs"}
            axes.scatter(others[near, a], others[near, b], **grey)
        if len(labels) == 2:
            order = np.argsort(x)
            # The staircase that the front dominates: the corner lies on the worse side of each step.
            axes.step(x[order], y[order], where="post" if signs[a] > 0 else "pre", color=ACCENT, linewidth=1.2)
        if interval is not None:
            _bars(axes, x, y, interval[:, [a, b]], (low, high), logs)
        shown = thin(x, y, 400) if len(front) > 400 else slice(None)
        axes.scatter(x[shown], y[shown], s=26, color=ACCENT, linewidths=0, zorder=3, label=f"front ({len(front)})")
        _mark(axes, x, y, 0, "D", SECOND, f"best {labels[0]}")
        if knee is not None:
            _mark(axes, x, y, knee, "*", INK, "knee")
        axes.set_xlim(low[0], high[0])
        axes.set_ylim(low[1], high[1])
        words = [f"{labels[i]} ({better(signs[i])})" for i in (a, b)]
        dress(axes, words[0], units[a], words[1], units[b])
        logarithmic(axes, *logs)
        legend(axes, loc="best")
    return save(figure, folder, "front")


def _mark(axes: Any, x: Floats, y: Floats, row: int, mark: str, colour: str, label: str) -> None:
    size = 170 if mark == "*" else 44
    style = {"s": size, "marker": mark, "color": colour, "edgecolors": PAPER, "linewidths": 0.8, "zorder": 4}
    axes.scatter(x[row : row + 1], y[row : row + 1], label=label, **style)


def _reach(values: Floats, interval: Floats) -> Floats:
    """Values, (n,), with the ends of their intervals, (n, 2), that are not far off; none of those where the values do
    not allow a logarithmic axis."""
    if not values.min() > 0:
        return values
    ends = interval[(interval > values.min() / BEYOND) & (interval < values.max() * BEYOND)]
    return np.concatenate([values, ends])


def _bars(
    axes: Any, x: Floats, y: Floats, interval: Floats, frame: tuple[Floats, Floats], logs: tuple[bool, bool]
) -> None:
    """Error bars (points, 2, 2) across and along, thinner than the marks that they belong to and below them."""
    rows = thin(_flat(x, logs[0]), _flat(y, logs[1]), MOST_BARS)
    bar: dict[str, Any] = {"color": QUIET, "linewidth": 0.7, "alpha": 0.7, "zorder": 1.5}
    name = "interval"
    for place, (draw, at) in enumerate(((axes.hlines, y), (axes.vlines, x))):
        known = rows[~np.isnan(interval[rows, place]).any(axis=1)]
        if len(known):
            ends = np.clip(interval[known, place], frame[0][place], frame[1][place])
            draw(at[known], *ends.T, label=name, **bar)
            name = ""  # one entry in the legend


def _flat(values: Floats, log: bool) -> Floats:
    """Values as they lie along their axis."""
    return np.log10(values) if log else values


def _frame(x: Floats, y: Floats, signs: Floats, logs: tuple[bool, bool]) -> tuple[Floats, Floats]:
    """Lower and upper limits of a panel: the worse side of the front gets more room than the better one, where no
    design is."""
    x, y = _flat(x, logs[0]), _flat(y, logs[1])
    low, high = (np.array([f(x), f(y)]) for f in (np.min, np.max))
    margin = np.maximum(0.5 * (high - low), 0.04 * np.abs(high) + 1e-12)
    less = signs > 0
    low, high = low - np.where(less, 0.25, 1.0) * margin, high + np.where(less, 1.0, 0.25) * margin
    low, high = (np.where(logs, 10.0 ** np.where(logs, limit, 0.0), limit) for limit in (low, high))
    return low, high
