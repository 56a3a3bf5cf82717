"""How many digits of what a tool says are foreseen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dse.report.pictures.looks import looks_of
from dse.report.pictures.style import INK, PAPER, bare, new_figure, save, shared_legend

STEP = 0.045  # between predictors side by side


@dataclass(frozen=True)
class Begun:
    """The share of designs whose beginning is right up to each place, and the same of any of five samples."""

    right: Sequence[float]
    in_five: Sequence[float] | None = None


def digits_picture(panels: Mapping[str, Mapping[str, Mapping[str, Begun]]], places: Sequence[str], folder: Path) -> str:
    """A row a title, a panel a metric (the same in all rows), a line a predictor, from the shortest beginning to the
    longest; hollow marks are of any of five samples. Returns the SVG."""
    metrics = list(next(iter(panels.values())))
    names = list(dict.fromkeys(name for row in panels.values() for series in row.values() for name in series))
    looks = looks_of(names)
    figure = new_figure(11.0, 2.15 * len(panels) + 0.6)
    grid = figure.subplots(len(panels), len(metrics), sharex=True, sharey=True, squeeze=False)
    for (title, row), line in zip(panels.items(), grid, strict=True):
        for metric, axes in zip(metrics, line, strict=True):
            for name in names:
                if name not in row[metric]:
                    continue
                begun, look, first = row[metric][name], looks[name], name == names[0]
                dodge = STEP * (names.index(name) - (len(names) - 1) / 2)
                x = [place + dodge for place in range(len(places))]
                style = {"color": look.colour, "marker": look.mark, "markersize": 4.5, "zorder": 4 if first else 3}
                width = 1.6 if first else 0.8
                axes.plot(x, begun.right, label=name, linewidth=width, markeredgewidth=0, **style)
                if begun.in_five is not None:
                    hollow = {"linestyle": "none", "markerfacecolor": PAPER, "markeredgewidth": 1.1}
                    axes.plot(x, begun.in_five, label=f"{name}, any of 5", **(style | hollow))
            bare(axes)
            axes.set_title(metric, fontsize=9, color=INK, loc="left")
        line[0].set_ylabel(f"{title}\nshare of designs", color=INK, fontsize=8.5)
    grid[0][0].set_xticks(range(len(places)), [_short(place) for place in places])
    grid[0][0].set_xlim(-0.4, len(places) - 0.6)
    grid[0][0].set_ylim(0, 1.02)
    figure.supxlabel("right up to the exponent of ten, and up to so many digits", color=INK, fontsize=9)
    shared_legend(figure, grid[0][0])
    return save(figure, folder, "digits")


def _short(place: str) -> str:
    return "exp." if place == "exponent" else place.partition(" ")[0]
