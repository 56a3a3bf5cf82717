"""Operators under the roofs of their processors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator

from dse.report.pictures.style import ACCENT, INK, MARKS, PAPER, QUIET, SECOND, THIRD, bare, legend, new_figure, save

NEAR = 0.12  # decades: points this close share a label
COLOURS = (SECOND, ACCENT, THIRD)
DASHES = ("-", (0, (6, 2)), (0, (2, 2)))


@dataclass(frozen=True)
class RoofLine:
    """The lower of a flat and a slanted line: `gflops`, and `gbps` times FLOP/byte."""

    label: str
    gflops: float
    gbps: float


def roofline_picture(
    roofs: Sequence[RoofLine], points: Mapping[str, Sequence[tuple[str, float, float]]], folder: Path
) -> str:
    """`points` by kind: (name, FLOP/byte, GFLOP/s). Both axes count in powers of ten. Returns the SVG."""
    figure = new_figure(9.0, 4.8)
    axes = figure.add_subplot()
    every = [(x, y) for kind in points.values() for _, x, y in kind]
    xs = [x for x, _ in every] + [roof.gflops / roof.gbps for roof in roofs]
    ys = [y for _, y in every] + [roof.gflops for roof in roofs]
    left, right = min(xs) / 3, max(xs) * 4
    for roof, dash in zip(roofs, DASHES, strict=False):
        line = np.array([left, roof.gflops / roof.gbps, right])
        rate = np.minimum(roof.gflops, roof.gbps * line)
        axes.plot(line, rate, color=INK, linewidth=1.3, linestyle=dash, label=roof.label, zorder=2)
    for (kind, named), mark, colour in zip(points.items(), MARKS, COLOURS, strict=False):
        if not named:
            continue
        x, y = [p[1] for p in named], [p[2] for p in named]
        style: dict[str, Any] = {
            "s": 42,
            "marker": mark,
            "color": colour,
            "edgecolors": PAPER,
            "linewidths": 0.6,
            "zorder": 3,
        }
        axes.scatter(x, y, label=kind, **style)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(left, right)
    axes.set_ylim(min(ys) / 4, max(ys) * 2.2)
    bare(axes)
    axes.tick_params(which="minor", width=0.3, color=QUIET)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(numticks=12))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.set_xlabel("FLOP for each byte from memory", color=INK)
    axes.set_ylabel("GFLOP/s", color=INK)
    _labels(axes, points)
    legend(axes, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return save(figure, folder, "roofline")


def _labels(axes: Any, points: Mapping[str, Sequence[tuple[str, float, float]]]) -> None:
    """One label for points that lie together, below and right of them; labels step down where they would meet."""
    placed: list[tuple[float, float]] = []
    for named, colour in zip(points.values(), COLOURS, strict=False):
        heaps: list[tuple[float, float, list[str]]] = []
        for name, x, y in named:
            at = (float(np.log10(x)), float(np.log10(y)))
            heap = next((h for h in heaps if max(abs(h[0] - at[0]), abs(h[1] - at[1])) < NEAR), None)
            if heap is None:
                heaps.append((*at, [name]))
            else:
                heap[2].append(name)
        for x, y, names in heaps:
            drop = 0
            while any(abs(x - u) < 0.9 and abs(y - 0.2 * drop - v) < 0.17 for u, v in placed):
                drop += 1
            placed.append((x, y - 0.2 * drop))
            words = ", ".join(names) if len(names) <= 6 else f"{', '.join(names[:5])} and {len(names) - 5} more"
            axes.annotate(
                words,
                (10**x, 10**y),
                (7, -4 - 9.5 * drop),
                textcoords="offset points",
                va="top",
                fontsize=8,
                color=colour,
                zorder=4,
            )
