"""How soon each method comes near the front, kernel by kernel: the race of a benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from design.core import Floats, Ints
from dse.report.pictures.looks import Look, looks_of
from dse.report.pictures.style import INK, QUIET, bare, new_figure, save

ADRS = "ADRS"
ALL = "all kernels, mean"
COLUMNS, WIDTH, HEIGHT = 4, 11.0, 2.25  # panels side by side, inches of the page, inches of a panel
BELOW = 20  # an ADRS less than the goal by this factor, 0 among them, is drawn there
TAIL = 0.02  # of the budget, behind the last run, so that its step is seen
MARKS, STEPS = 4, 90  # on a line; of a longer one only every so many runs are drawn


def loop_race_picture(
    curves: Mapping[str, Mapping[str, Mapping[str, Floats]]],
    runs: Ints,
    labels: Mapping[str, str],
    goal: float,
    folder: Path,
    name: str = "loop",
) -> str:
    """A block of panels a title, a panel a kernel, and where there are several one with their mean; of each method the
    median over seeds in a band from quartile to quartile, the first method in the accent.

    `curves` are title -> kernel -> method -> (seeds, budget), after each of `runs` (budget,) of the tool, NaN: nothing
    found yet. Less is better of "ADRS", drawn logarithmic with a line at the `goal`; of other titles more is, and
    nothing found is 0. `labels` are methods in words; those that are not among them go by their names. A method that a
    kernel lacks is not in the mean. Saved as `name`. Returns the SVG.
    """
    methods = list(dict.fromkeys(m for block in curves.values() for row in block.values() for m in row))
    looks = looks_of(methods)
    blocks = {title: _panels(title, block) for title, block in curves.items() if any(block.values())}
    most = max(map(len, blocks.values()), default=1)
    high = -(-most // COLUMNS)
    wide = -(-most // high)
    figure = new_figure(max(5.0, WIDTH * wide / COLUMNS), HEIGHT * high * max(len(blocks), 1) + 0.7)
    grid = figure.subplots(high * max(len(blocks), 1), wide, squeeze=False)
    if not blocks:
        grid[0, 0].set_axis_off()
        grid[0, 0].text(0.5, 0.5, "nothing has run", transform=grid[0, 0].transAxes, ha="center", color=QUIET)
    for place, (title, panels) in enumerate(blocks.items()):
        _block(grid[place * high : (place + 1) * high], title, panels, runs, looks, goal)
    keys = [
        Line2D([], [], label=labels.get(method, method), linewidth=2.2 if method == methods[0] else 1.2, **_line(look))
        for method, look in looks.items()
    ]
    if ADRS in blocks:
        keys.append(Line2D([], [], color=INK, linewidth=0.9, linestyle="--", label=f"goal, {100 * goal:g} %"))
    figure.legend(handles=keys, loc="outside upper left", frameon=False, ncols=4, fontsize=9, labelcolor=INK)
    return save(figure, folder, name)


def at_most_all(adrs: Floats) -> Floats:
    """An ADRS of any shape with 1, which is 100 %, for whatever is above, infinite or NaN: nothing found."""
    return np.where(np.isnan(adrs), 1.0, np.minimum(adrs, 1.0))


def quartiles(values: Floats) -> Floats:
    """First quartile, median and third, (3, budget), of (seeds, budget)."""
    found: Floats = np.percentile(values, (25, 50, 75), axis=0)
    return found


def over_kernels(rows: Sequence[Mapping[str, Floats]]) -> dict[str, Floats]:
    """Means of the kernels' quartiles, method -> (3, budget), of the methods that every kernel has."""
    common = [method for method in rows[0] if all(method in row for row in rows)]
    return {method: np.mean([row[method] for row in rows], axis=0) for method in common}


def _panels(title: str, block: Mapping[str, Mapping[str, Floats]]) -> dict[str, dict[str, Floats]]:
    """Heading -> method -> (3, budget)."""
    whole = at_most_all if title == ADRS else np.nan_to_num
    panels = {kernel: {method: quartiles(whole(v)) for method, v in row.items()} for kernel, row in block.items()}
    return panels | ({ALL: over_kernels(list(panels.values()))} if len(panels) > 1 else {})


def _line(look: Look) -> dict[str, Any]:
    return {"color": look.colour, "marker": look.mark, "markersize": 4.0, "markeredgewidth": 0}


def _block(
    grid: Any,
    title: str,
    panels: Mapping[str, Mapping[str, Floats]],
    runs: Ints,
    looks: Mapping[str, Look],
    goal: float,
) -> None:
    log, wide = title == ADRS, grid.shape[1]
    every = [values for row in panels.values() for values in row.values()]
    low = max(min(*(float(values.min()) for values in every), goal), goal / BELOW)
    for place, axes in enumerate(grid.flat):
        if place >= len(panels):
            axes.remove()
            continue
        heading, row = list(panels.items())[place]
        bare(axes)
        for rank, (method, look) in enumerate(looks.items()):
            if method in row:
                _draw(axes, runs, np.maximum(row[method], low) if log else row[method], look, rank)
        axes.set_title(heading, fontsize=9, color=INK, loc="left", fontweight="bold" if heading == ALL else "normal")
        axes.set_xlim(float(runs[0]) - 1, float(runs[-1]) + TAIL * len(runs))
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
        if log:
            axes.axhline(goal, color=INK, linewidth=0.9, linestyle="--", zorder=2)
            axes.set_yscale("log")
            axes.set_ylim(low / 1.25, 1.25)
            axes.yaxis.set_major_locator(LogLocator(numticks=6))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{100 * y:g} %"))
            axes.yaxis.set_minor_formatter(NullFormatter())
        else:
            axes.set_ylim(0, 1.04 * max(float(values.max()) for values in every) or 1.0)
        axes.tick_params(labelleft=place % wide == 0, labelbottom=place + wide >= len(panels))
        if place % wide == 0:
            axes.set_ylabel(f"{title}, at most 100 %" if log else title, color=INK)
        if place + wide >= len(panels):
            axes.set_xlabel("runs of the tool", color=INK)


def _draw(axes: Any, runs: Ints, values: Floats, look: Look, rank: int) -> None:
    """One method's band and line, with marks where those of no other method stand."""
    shown = np.unique(np.linspace(0, len(runs) - 1, STEPS).round().astype(int))
    turns = shown[np.r_[True, (np.diff(values[:, shown]) != 0).any(axis=0)]]
    x, y = np.r_[runs[turns], runs[-1] + TAIL * len(runs)], values[:, np.r_[turns, turns[-1]]]
    first, over = rank == 0, 6.0 if rank == 0 else 5.0 - 0.1 * rank
    band: dict[str, Any] = {"color": look.colour, "alpha": 0.2 if first else 0.1, "linewidth": 0, "step": "post"}
    axes.fill_between(x, y[0], y[2], zorder=over - 3, **band)
    style: dict[str, Any] = {"drawstyle": "steps-post", "linewidth": 1.9 if first else 1.0, "zorder": over}
    axes.plot(x, y[1], color=look.colour, **style)
    at = np.unique(np.linspace(0, len(runs) - 1, MARKS + 2)[1:-1].astype(int) + rank * len(runs) // 60)
    axes.plot(runs[at], values[1, at], linestyle="", zorder=over + 0.05, **_line(look))
