"""A dataflow over time: one lane for each processor, a bar for each operator."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import EngFormatter, MaxNLocator

from dse.report.pictures.style import FAINT, INK, ON_BAR, PAPER, QUIET, bare, colour_of, new_figure, plain_name, save

WIDTH = 11.0
LETTERS = 105  # that fit into the width of the axes, about


@dataclass(frozen=True)
class Task:
    """A bar: what runs, on which lanes (places from the top), from when to when, in seconds."""

    name: str
    lanes: tuple[int, ...]
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Boundary:
    """Where something ends for some lanes."""

    lanes: tuple[int, ...]
    at_s: float


def schedule_picture(
    names: Sequence[str],
    lanes: Sequence[str],
    tasks: Sequence[Task],
    strata: Sequence[Boundary],
    groups: Sequence[tuple[float, float]],
    before: Sequence[Task],
    folder: Path,
    layer: str = "a layer",
) -> str:
    """`tasks` on `lanes` in one panel, with dotted lines where strata end and full ones where groups do, and under it
    the tasks `before` on a single lane. `names` are all operators, in the order of their colours; `layer` says whose
    they are. Returns the SVG."""
    colours = colour_of(names)
    high = max(0.34 * len(lanes), 0.5) if len(lanes) <= 12 else 0.22 * len(lanes)
    figure = new_figure(WIDTH, high + 2.6)
    top, bottom = figure.subplots(2, 1, gridspec_kw={"height_ratios": [high, 0.45]})
    end = max((task.end_s for task in tasks), default=0.0)
    _bars(top, tasks, colours, end)
    for boundary in strata:
        for first, last in _runs(boundary.lanes):
            top.plot([boundary.at_s] * 2, [first - 0.5, last + 0.5], color=INK, linewidth=0.9, linestyle=(0, (1, 1.6)))
    above: dict[str, Any] = {"textcoords": "offset points", "fontsize": 8, "color": INK}
    for place, (begin, finish) in enumerate(groups):
        if place % 2:
            top.axvspan(begin, finish, color=FAINT, alpha=0.4, linewidth=0, zorder=0)
        top.axvline(finish, color=INK, linewidth=1.1)
        if _fits(words := str(place + 1), begin, finish, end):
            middle = ((begin + finish) / 2, 1.0)
            top.annotate(words, middle, (0, 3), xycoords=("data", "axes fraction"), ha="center", **above)
    top.annotate("group", (0, 1.0), (-4, 3), xycoords="axes fraction", ha="right", **above)
    _lane_axis(top, lanes, end, f"one decode step of {layer}")
    until = max((task.end_s for task in before), default=0.0)
    _bars(bottom, before, colours, until)
    _lane_axis(bottom, ["NPU"], until, f"prefill of {layer}")
    plain = {plain_name(name): colours[name] for name in names}
    patches = [Patch(color=colour, label=name) for name, colour in plain.items()]
    figure.legend(
        handles=patches,
        loc="outside lower center",
        ncols=min(len(plain), 12),
        frameon=False,
        fontsize=8,
        labelcolor=INK,
        handlelength=1.2,
    )
    return save(figure, folder, "schedule")


def _bars(axes: Any, tasks: Iterable[Task], colours: dict[str, str], end: float) -> None:
    for task in tasks:
        for first, last in _runs(task.lanes):
            corner, width = (task.start_s, first - 0.42), task.end_s - task.start_s
            face: dict[str, Any] = {"facecolor": colours[task.name], "edgecolor": PAPER, "linewidth": 0.5, "zorder": 2}
            axes.add_patch(Rectangle(corner, width, last - first + 0.84, **face))
            for lane in range(first, last):
                axes.plot([task.start_s, task.end_s], [lane + 0.5] * 2, color=PAPER, linewidth=1.0, zorder=2.5)
            if _fits(task.name, task.start_s, task.end_s, end):
                # Not on the seam between two lanes.
                middle = (first + last) // 2
                place = ((task.start_s + task.end_s) / 2, middle)
                axes.annotate(task.name, place, ha="center", va="center", fontsize=8, color=ON_BAR, zorder=5)


def _fits(words: str, start: float, stop: float, end: float) -> bool:
    return end > 0 and (stop - start) / end * LETTERS > len(words) + 0.4


def _lane_axis(axes: Any, lanes: Sequence[str], end: float, label: str) -> None:
    axes.set_xlim(0, end or 1.0)
    axes.set_ylim(len(lanes) - 0.4, -0.6)
    axes.set_yticks(range(len(lanes)), lanes)
    bare(axes)
    axes.grid(visible=False)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_formatter(EngFormatter("s"))
    axes.xaxis.set_major_locator(MaxNLocator(10))
    axes.set_xlabel(label, color=INK)
    axes.spines["left"].set_color(QUIET)


def _runs(lanes: Sequence[int]) -> list[tuple[int, int]]:
    """Neighbouring lanes as (first, last)."""
    found: list[tuple[int, int]] = []
    for lane in sorted(lanes):
        if found and lane == found[-1][1] + 1:
            found[-1] = (found[-1][0], lane)
        else:
            found.append((lane, lane))
    return found
