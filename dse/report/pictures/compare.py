"""Several runs in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from design.core import Floats
from dse.report.pictures.fronts import better, pairs_of
from dse.report.pictures.style import (
    ACCENT,
    COUNT,
    MARKS,
    SECOND,
    THIRD,
    dress,
    grid_of_axes,
    save,
    shared_legend,
    thin,
)

COLOURS = (ACCENT, SECOND, THIRD, "#7c3aed", "#a16207", "#0e7490")
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 2, 1, 2)))  # told apart in print too


@dataclass(frozen=True)
class ComparedRun:
    """A run by its name: `front` (points, objectives); after each generation the number of `candidates`, the `best`
    (generations, objectives) and the `hypervolume` (None: not known)."""

    name: str
    front: Floats
    candidates: Sequence[int]
    best: Floats
    hypervolume: Sequence[float] | None = None


def compare_picture(
    runs: Sequence[ComparedRun], labels: Sequence[str], units: Sequence[str], signs: Sequence[int], folder: Path
) -> str:
    """The runs' fronts, pair by pair of objectives, then the way there of each objective, and of the hypervolume where
    all know it. The hypervolumes are comparable only if they were measured in the same box. Returns the SVG."""
    pairs = pairs_of(len(labels))
    volumes = all(run.hypervolume is not None for run in runs)
    figure, panels = grid_of_axes(len(pairs) + len(labels) + volumes, 3.4, 14.0)
    for axes, (a, b) in zip(panels, pairs, strict=False):
        for place, run in enumerate(runs):
            rows = thin(run.front[:, a], run.front[:, b], 400)
            style = {"s": 26, "alpha": 0.8, "linewidths": 0, "zorder": 3 + place}
            look = {"marker": MARKS[place % len(MARKS)], "color": COLOURS[place % len(COLOURS)]}
            axes.scatter(
                run.front[rows, a], run.front[rows, b], label=f"{run.name} ({len(run.front)})", **style, **look
            )
        words = [f"{labels[i]} ({better(signs[i])})" for i in (a, b)]
        dress(axes, words[0], units[a], words[1], units[b])
    series = [(label, unit, i) for i, (label, unit) in enumerate(zip(labels, units, strict=True))]
    series += [("hypervolume", "", len(labels))] * volumes
    for axes, (label, unit, column) in zip(panels[len(pairs) :], series, strict=True):
        for place, run in enumerate(runs):
            volume = np.asarray(run.hypervolume if run.hypervolume is not None else [], dtype=float)
            values = run.best[:, column] if column < len(labels) else volume
            look = {"color": COLOURS[place % len(COLOURS)], "linestyle": DASHES[place % len(DASHES)]}
            axes.step(run.candidates, values, where="post", linewidth=1.6, label=run.name, **look)
        dress(axes, COUNT, "", label, unit)
        axes.margins(y=0.2)
    shared_legend(figure, panels[0])
    return save(figure, folder, "compare")
