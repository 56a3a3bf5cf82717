"""Errors against how far a kernel is from those that were learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from design.core import Floats
from dse.report.pictures.looks import looks_of
from dse.report.pictures.style import FAINT, INK, QUIET, dress, new_figure, save, shared_legend

WIDTH = 7.4
NARROWEST = 0.028  # between names, as a share of the width


def distance_picture(
    panels: Mapping[str, Mapping[str, Mapping[str, float]]], near: Mapping[str, float], folder: Path
) -> str:
    """A panel a title, one below another: RMSE(y) of predictors by kernel against the kernels' distances `near`, a mark
    each, and the names of the kernels above. Returns the SVG."""
    names = list(dict.fromkeys(name for series in panels.values() for name in series))
    kernels = sorted(near, key=lambda kernel: near[kernel])
    figure = new_figure(WIDTH, 2.5 * len(panels) + 1.4)
    rows = [panel[0] for panel in figure.subplots(len(panels), 1, sharex=True, squeeze=False)]
    at = np.array([near[kernel] for kernel in kernels])
    margin = 0.06 * (np.ptp(at) or at.max() or 1.0)
    low, high = max(0.0, at.min() - margin) if at.min() > margin else -margin, at.max() + margin
    for (title, series), axes in zip(panels.items(), rows, strict=True):
        for place in at:
            axes.axvline(place, color=FAINT, linewidth=0.7, zorder=1)
        for name, look in looks_of(names).items():
            known = [kernel for kernel in kernels if kernel in series.get(name, {})]
            points = [near[kernel] for kernel in known], [series[name][kernel] for kernel in known]
            first = name == names[0]
            filled: dict[str, Any] = {"s": 20, "facecolors": look.colour, "linewidths": 0, "zorder": 3}
            ring: dict[str, Any] = {"s": 42, "facecolors": "none", "edgecolors": look.colour, "zorder": 4}  # hides none
            axes.scatter(*points, label=name, marker=look.mark, **(ring | {"linewidths": 1.7} if first else filled))
        last = axes is rows[-1]
        dress(axes, "distance to the nearest training kernel" if last else "", "", f"{title}\nRMSE(y) of cycles", "")
        axes.grid(visible=False, axis="x")
        axes.set_xlim(low, high)
        axes.set_ylim(bottom=0)
    for kernel, place, word in zip(kernels, at, spread_out((at - low) / (high - low), NARROWEST), strict=True):
        rows[0].annotate(
            kernel,
            (place, 1.0),
            (word, 1.1),
            xycoords=("data", "axes fraction"),
            textcoords="axes fraction",
            rotation=90,
            ha="center",
            va="bottom",
            fontsize=8,
            color=INK,
            arrowprops={"arrowstyle": "-", "color": QUIET, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 0},
        )
    shared_legend(figure, rows[0])
    return save(figure, folder, "distance")


def spread_out(places: Sequence[float] | Floats, least: float) -> Floats:
    """Rising places (n,), moved as little as their order and a distance of `least` between neighbours allow (in least
    squares: pools of places that come too close stand around their mean)."""
    pools: list[list[float]] = []  # sum and number of places less what stands before them
    for rank, place in enumerate(places):
        pools.append([place - rank * least, 1])
        while len(pools) > 1 and pools[-2][0] / pools[-2][1] > pools[-1][0] / pools[-1][1]:
            total, count = pools.pop()
            pools[-1] = [pools[-1][0] + total, pools[-1][1] + count]
    level = [total / count for total, count in pools for _ in range(int(count))]
    moved: Floats = np.array(level) + least * np.arange(len(level))
    return moved
