"""Operators under the roofs of their processors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator

from dse.report.pictures.style import (
    ACCENT,
    INK,
    MARKS,
    PAPER,
    QUIET,
    SECOND,
    THIRD,
    bare,
    legend,
    new_figure,
    plain_name,
    save,
)

NEAR = 0.12  # decades: points this close share a label
PANEL = (400.0, 300.0)  # points, about
LETTER = 4.6  # points
LETTERS = 36  # of names in a label
PLACES = [(7, -13), (7, 5), (-7, -13), (-7, 5), *((7, -13 - 10 * drop) for drop in range(1, 12))]  # in points
Dot = tuple[str, float, float]  # name, FLOP/byte, GFLOP/s
COLOURS = (SECOND, ACCENT, THIRD)
DASHES = ("-", (0, (6, 2)), (0, (2, 2)))


@dataclass(frozen=True)
class RoofLine:
    """The lower of a flat and a slanted line: `gflops`, and `gbps` times FLOP/byte."""

    label: str
    gflops: float
    gbps: float


def roofline_picture(roofs: Sequence[RoofLine], points: Mapping[str, Sequence[Dot]], folder: Path) -> str:
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


def _heaps(points: Mapping[str, Sequence[Dot]]) -> list[tuple[float, float, str, str]]:
    """Points of a kind that lie together, as one: FLOP/byte and GFLOP/s of the lowest, their names, their colour."""
    found = []
    for dots, colour in zip(points.values(), COLOURS, strict=False):
        heaps: list[list[Dot]] = []
        for dot in sorted(dots, key=lambda dot: dot[2]):
            at = np.log10(dot[1:])
            near = (heap for heap in heaps if np.abs(np.log10(heap[0][1:]) - at).max() < NEAR)
            if heap := next(near, None):
                heap.append(dot)
            else:
                heaps.append([dot])
        for heap in heaps:
            names = [dot[0] for dot in dots if dot in heap]
            found.append((heap[0][1], heap[0][2], _words(names, [dot[0] for dot in dots]), colour))
    return found


def _words(names: Sequence[str], every: Sequence[str]) -> str:
    """The names, or as many as a label has room for; an operator that is here for all kinds of layers by its own."""
    here: dict[str, None] = {}
    for name in names:
        twins = [other for other in every if plain_name(other) == plain_name(name)]
        here[plain_name(name) if set(twins) <= set(names) else name] = None
    names = list(here)
    room = [end for end in range(1, len(names) + 1) if len(", ".join(names[:end])) <= LETTERS]
    shown = max(room, default=1)
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if shown < len(names) else "")


def _labels(axes: Any, points: Mapping[str, Sequence[Dot]]) -> None:
    """A label beside each heap of points, where it meets no other label: below, above, or farther below."""
    (left, right), (low, high) = np.log10(axes.get_xlim()), np.log10(axes.get_ylim())
    across, up = PANEL[0] / (right - left), PANEL[1] / (high - low)
    heaps = _heaps(points)
    behind = {"facecolor": PAPER, "edgecolor": "none", "alpha": 0.75, "pad": 0.6}
    dots = [(across * np.log10(x), up * np.log10(y)) for x, y, _, _ in heaps]
    placed = [(u - 4, u + 4, v - 4, v + 4) for u, v in dots]
    for (x, y, words, colour), (u, v) in zip(heaps, dots, strict=True):
        for right_by, up_by in PLACES:
            width = LETTER * len(words)
            begin = u + right_by - (width if right_by < 0 else 0)
            box = (begin, begin + width, v + up_by, v + up_by + 9)
            inside = across * left <= box[0] and box[1] <= across * right
            if inside and not any(box[0] < b and a < box[1] and box[2] < d and c < box[3] for a, b, c, d in placed):
                break
        placed.append(box)
        style = {"textcoords": "offset points", "fontsize": 8, "color": colour, "zorder": 2.5, "bbox": behind}
        side = "right" if right_by < 0 else "left"
        # Beyond the axes there is the legend's room: a label does not make them smaller.
        axes.annotate(words, (x, y), (right_by, up_by), ha=side, va="bottom", **style).set_in_layout(False)
