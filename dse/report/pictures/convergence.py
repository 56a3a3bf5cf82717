"""How a run came to its answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from design.core import Floats
from dse.report.pictures.style import ACCENT, COUNT, INK, QUIET, SECOND, dress, grid_of_axes, legend, save, thin

CLEAR_PERCENT = 0.01  # below this, gaps are drawn on a straight scale that has a zero


def convergence_picture(
    candidates: Sequence[int],
    best: Floats,
    labels: Sequence[str],
    units: Sequence[str],
    hypervolume: Sequence[float] | None,
    others: Floats,
    bound: float | None,
    folder: Path,
) -> str:
    """Best value so far of each objective, (generations, objectives), against candidates evaluated. Returns the SVG.

    `others` are feasible candidates to show behind it, (points, 1 + objectives): number of the candidate, then
    its values. With several objectives a panel shows the dominated hypervolume. `bound`, a value that nothing can
    beat in the first objective, is drawn in its panel, and the distance to it in one more. NaN (nothing feasible
    yet) is a gap.
    """
    extra = (hypervolume is not None) + (bound is not None and bound > 0)
    figure, panels = grid_of_axes(len(labels) + extra, 3.1)
    x = np.asarray(candidates, dtype=np.float64)
    for place, (label, unit) in enumerate(zip(labels, units, strict=True)):
        axes, series = panels[place], best[:, place]
        if len(others):
            _cloud(axes, others[:, 0], others[:, 1 + place], series)
        _line(axes, x, series, unit)
        if place == 0 and bound is not None:
            axes.axhline(bound, color=SECOND, linewidth=1.2, linestyle=(0, (5, 3)), label="proven lower bound")
        legend(axes, loc="upper right")
        dress(axes, COUNT, "", label, unit)
        if not len(others):
            axes.margins(y=0.25)
    rest = panels[len(labels) :]
    if hypervolume is not None:
        axes = rest.pop(0)
        _line(axes, x, np.asarray(hypervolume, dtype=float), "")
        dress(axes, COUNT, "", "hypervolume (first front's box = 1)", "")
        axes.margins(y=0.25)
    if rest and bound is not None:
        _gap(rest[0], x, 100 * np.maximum(best[:, 0] / bound - 1, 0.0))
    for axes in panels:
        axes.set_xlim(0, float(x[-1]) * 1.03 or 1.0)
    return save(figure, folder, "convergence")


def _cloud(axes: Any, number: Floats, values: Floats, series: Floats) -> None:
    best_now = series[np.isfinite(series)][-1]
    middle = np.median(values)  # the worse half would squeeze the better one flat
    span = 1.15 * (middle - best_now) or 0.05 * abs(best_now) or 1.0
    low, high = sorted((best_now - 0.2 * span, best_now + span))
    near = np.flatnonzero((values >= low) & (values <= high))
    near = near[thin(number[near], values[near], 48)]
    axes.scatter(number[near], values[near], s=5, color=QUIET, alpha=0.5, linewidths=0, label="feasible candidates")
    axes.set_ylim(low, high)


def _line(axes: Any, x: Floats, series: Floats, unit: str) -> None:
    known = series[np.isfinite(series)]
    if not len(known):
        axes.text(0.5, 0.5, "nothing feasible", transform=axes.transAxes, ha="center", color=QUIET)
        axes.set_ylim(0, 1)
        axes.set_yticks([])
        return
    axes.step(x, series, where="post", color=ACCENT, linewidth=1.8, label="best so far")
    if len(x) <= 60:
        axes.plot(x, series, ".", color=ACCENT, markersize=4 if len(x) > 1 else 10)
    words = f"{known[-1]:.6g} {unit}".strip()
    above = 5 if known[-1] > known[0] else -13  # not on the line, which comes from the other side
    axes.annotate(words, (x[-1], known[-1]), (-4, above), textcoords="offset points", ha="right", color=INK)


def _gap(axes: Any, x: Floats, percent: Floats) -> None:
    _line(axes, x, percent, "%")
    dress(axes, COUNT, "", "above the proven lower bound", "%")
    axes.set_yscale("symlog", linthresh=CLEAR_PERCENT)
    axes.yaxis.set_major_formatter("{x:g} %")
    top = float(np.nanmax(percent)) if np.isfinite(percent).any() else 1.0
    axes.set_ylim(-0.8 * CLEAR_PERCENT, max(3 * top, 10 * CLEAR_PERCENT))
