"""What each operator takes of a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter, MaxNLocator
from matplotlib.transforms import ScaledTranslation

from dse.report.pictures.style import FILLS, GREYS, INK, ON_BAR, QUIET, bare, colour_of, new_figure, save

HATCHES = ("////", "", "---")
WORDS = 1.33  # of the longest bar: room for the figures beside it


@dataclass(frozen=True)
class Whole:
    """A sum and its parts: `parts` are kinds, each with a value per operator; `rest` are entries of no operator."""

    title: str
    unit: str
    parts: Mapping[str, Sequence[float]]
    rest: Mapping[str, float]


def breakdown_picture(names: Sequence[str], wholes: Sequence[Whole], folder: Path) -> str:
    """A panel for each whole, a row for each operator, and one for each entry of no operator. Returns the SVG."""
    rows = max(len(names) + len(whole.rest) for whole in wholes)
    figure = new_figure(11.0 if len(wholes) > 1 else 6.4, 0.27 * rows + 1.2)
    for place, whole in enumerate(wholes):
        axes = figure.add_subplot(1, len(wholes), place + 1)
        _panel(axes, names, whole, rows)
    return save(figure, folder, "breakdown")


def _panel(axes: Any, names: Sequence[str], whole: Whole, count: int) -> None:
    """`count` rows are made room for, so that the operators of neighbouring panels stand in line."""
    totals = [sum(values[i] for values in whole.parts.values()) for i in range(len(names))]
    everything = sum(totals) + sum(whole.rest.values()) or 1.0
    _bars(axes, names, whole)
    rows, values = [*names, *whole.rest], [*totals, *whole.rest.values()]
    figures = EngFormatter(whole.unit)
    for row, value in enumerate(values):
        words = f"{_three(value, figures)}, {value / everything:.0%}" if value else "0"
        axes.annotate(words, (value, row), (4, 0), textcoords="offset points", va="center", fontsize=8, color=INK)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(count - 0.4, -0.6)
    axes.set_xlim(0, WORDS * max(values, default=1.0) or 1.0)
    axes.set_title(f"{whole.title}: {_three(everything, figures)}", fontsize=9, color=INK, loc="left")
    bare(axes)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_formatter(figures)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.spines["left"].set_color(QUIET)
    kinds = [
        Patch(facecolor=FILLS[-1], edgecolor=ON_BAR, linewidth=0.5, hatch=hatch, label=kind)
        for (kind, values), hatch in zip(whole.parts.items(), HATCHES, strict=False)
        if any(values)
    ]
    below = axes.transAxes + ScaledTranslation(0, -0.3, axes.figure.dpi_scale_trans)
    where = {"loc": "upper center", "bbox_to_anchor": (0.5, 0.0), "bbox_transform": below}
    axes.legend(handles=kinds, frameon=False, fontsize=8, labelcolor=INK, ncols=3, **where)


def _bars(axes: Any, names: Sequence[str], whole: Whole) -> None:
    colours, edge = colour_of(names), {"edgecolor": ON_BAR, "linewidth": 0.5}
    left = [0.0] * len(names)
    for values, hatch in zip(whole.parts.values(), HATCHES, strict=False):
        for row, (name, value) in enumerate(zip(names, values, strict=True)):
            if value:
                axes.barh([row], [value], left=[left[row]], color=colours[name], hatch=hatch, **edge)
            left[row] += value
    for place, (value, grey) in enumerate(zip(whole.rest.values(), GREYS, strict=False)):
        axes.barh([len(names) + place], [value], color=grey, **edge)


def _three(value: float, figures: EngFormatter) -> str:
    """With a prefix and three digits."""
    return figures(float(f"{value:.3g}"))
