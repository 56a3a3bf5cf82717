"""Whether predictors know how sure they may be: what their intervals hold and how wide they are, and where truths
stand among samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from dse.report.pictures.looks import Look, looks_of
from dse.report.pictures.style import INK, QUIET, bare, new_figure, save

CYCLES = "cycles"  # in the colour of the predictor
SHAPES = ("^", "s", "D", "v")  # of the other metrics


@dataclass(frozen=True)
class Held:
    """Of one predictor: `coverage` and `width` (log2) of its intervals of cycles, kernel by kernel; of the `others` the
    means, metric -> (coverage, width); and `ranks`, metric -> shares of truths by rank among samples."""

    coverage: Sequence[float] = ()
    width: Sequence[float] = ()
    others: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    ranks: Mapping[str, Sequence[float]] = field(default_factory=dict)


def reliability_picture(panels: Mapping[str, Mapping[str, Held]], level: float, folder: Path) -> str:
    """A row a title, a line a predictor: shares held against the `level` stated, and widths; beside them a histogram of
    ranks for each predictor with samples. Returns the SVG."""
    names = list(dict.fromkeys(name for row in panels.values() for name in row))
    drawn = [name for name in names if any(row[name].ranks for row in panels.values() if name in row)]
    known = (m for row in panels.values() for held in row.values() for m in (*held.others, *held.ranks) if m != CYCLES)
    shapes = dict(zip(dict.fromkeys(known), SHAPES, strict=False))
    looks = looks_of(names)
    figure = new_figure(7.4 + 2.4 * len(drawn), (0.27 * len(names) + 0.8) * len(panels) + 0.9)
    ratios = [1.5, 1.0, *(0.9 for _ in drawn)]
    grid = figure.subplots(len(panels), len(ratios), sharex="col", squeeze=False, width_ratios=ratios)
    for (title, row), (holds, wide, *among) in zip(panels.items(), grid, strict=True):
        holds.axvline(level, color=INK, linewidth=0.9, linestyle="--")
        for place, name in enumerate(names):
            held = row.get(name, Held())
            _line(holds, place, held.coverage, {m: v for m, (v, _) in held.others.items()}, looks[name], shapes)
            _line(wide, place, held.width, {m: v for m, (_, v) in held.others.items()}, looks[name], shapes)
            if not len(held.coverage):
                holds.annotate("no interval", (0.02, place), va="center", fontsize=7.5, color=QUIET)
        for axes in (holds, wide):
            bare(axes)
            axes.set_ylim(len(names) - 0.4, -0.6)
            axes.set_yticks(range(len(names)), names if axes is holds else [])
            axes.tick_params(axis="y", length=0)
        holds.set_title(title, fontsize=9, color=INK, loc="left")
        for name, axes in zip(drawn, among, strict=True):
            _histogram(axes, row.get(name, Held()).ranks, looks[name], shapes)
            axes.set_title(f"{name}, share of truths", fontsize=9, color=INK, loc="left")
    holds, wide, *among = grid[-1]
    holds.set_xlim(-0.02, 1.02)
    wide.set_xlim(left=0)
    wide.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    holds.set_xlabel(f"share of truths in the {level:.0%} interval", color=INK)
    wide.set_xlabel("mean width, log2", color=INK)
    for axes in among:
        axes.set_xlabel("samples of 5 below the truth", color=INK)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    keys = [_key("cycles, a kernel", "o", INK, 4), _key("cycles, mean", "|", INK, 11)]
    keys += [_key(f"{metric}, mean", shape, QUIET, 4) for metric, shape in shapes.items()]
    keys.append(Line2D([], [], color=INK, linewidth=0.9, linestyle="--", label="as promised"))
    style: dict[str, Any] = {"frameon": False, "fontsize": 8, "labelcolor": INK, "handlelength": 1.6}
    figure.legend(handles=keys, loc="outside upper left", ncols=4 if len(ratios) < 3 else 7, **style)
    return save(figure, folder, "reliability")


def _key(label: str, mark: str, colour: str, size: float) -> Line2D:
    edge = 1.8 if mark == "|" else 0
    return Line2D([], [], color=colour, marker=mark, markersize=size, markeredgewidth=edge, linestyle="", label=label)


def _line(
    axes: Any,
    place: int,
    kernels: Sequence[float],
    others: Mapping[str, float],
    look: Look,
    shapes: Mapping[str, str],
) -> None:
    if len(kernels):
        axes.scatter(kernels, np.full(len(kernels), place - 0.12), s=14, color=look.colour, linewidths=0, alpha=0.75)
        axes.plot([np.mean(kernels)] * 2, [place - 0.36, place + 0.12], color=look.colour, linewidth=2.2)
    for metric, value in others.items():
        axes.scatter([value], [place + 0.28], s=11, marker=shapes[metric], color=QUIET, linewidths=0)


def _histogram(axes: Any, ranks: Mapping[str, Sequence[float]], look: Look, shapes: Mapping[str, str]) -> None:
    for metric, shares in ranks.items():
        places = np.arange(len(shares))
        if metric == CYCLES:
            axes.bar(places, shares, width=0.8, color=look.colour, alpha=0.5)
        else:
            axes.plot(places, shares, color=QUIET, linewidth=0.6, marker=shapes[metric], markersize=3.5)
        axes.axhline(1 / len(shares), color=INK, linewidth=0.9, linestyle="--")
    bare(axes)
