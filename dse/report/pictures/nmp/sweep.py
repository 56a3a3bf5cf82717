"""How the best design moves from use to use: a column for each use; its speed, its device, where its operators run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import EngFormatter, NullFormatter

from dse.report.pictures.style import ACCENT, FILLS, INK, MARKS, PAPER, QUIET, SECOND, bare, new_figure, save

HARDWARE = {
    "nmp_channels": "NMP channels",
    "fpus": "FPUs a PE",
    "mhz": "MHz",
    "pe_gbps": "GB/s a PE",
    "input_kb": "input KB",
    "weight_kb": "weight KB",
    "output_kb": "output KB",
}
MOST_WORDS = 24  # columns that have room for figures in their cells
LEVELS = LinearSegmentedColormap.from_list("levels", [PAPER, FILLS[0]])


@dataclass(frozen=True)
class Column:
    """One use: the values of the swept options; figures of the whole model (`ttft_s`, `token_s`); hardware by name;
    for each operator the share of its decode that is done near memory."""

    values: tuple[str, ...]
    model: Mapping[str, float]
    hardware: Mapping[str, float]
    shares: Mapping[str, float]


def sweep_picture(names: Sequence[str], columns: Sequence[Column], device_title: str, folder: Path) -> str:
    """`sweep.png` and `sweep.svg` in `folder`; `names` are those of the swept options. Returns the SVG."""
    operators = list(dict.fromkeys(name for column in columns for name in column.shares))
    heights = [1.5, 0.24 * len(HARDWARE) + 0.1, 0.24 * max(len(operators), 1) + 0.1]
    figure = new_figure(min(max(6.4, 2.2 + 0.62 * len(columns)), 16.0), sum(heights) + 1.6)
    speed, device, places = figure.subplots(3, 1, sharex=True, gridspec_kw={"height_ratios": heights})
    _speed(speed, columns)
    rows = [[float(column.hardware[name]) for column in columns] for name in HARDWARE]
    table = np.array(rows)
    span = np.ptp(table, axis=1, keepdims=True)
    # A row that never moves stays pale: colour shows what changes.
    level = np.where(span > 0, 0.25 + 0.75 * (table - table.min(axis=1, keepdims=True)) / np.where(span, span, 1), 0.0)
    _cells(device, level, [[f"{value:g}" for value in row] for row in rows], list(HARDWARE.values()))
    device.set_title(device_title, fontsize=9, color=INK, loc="left")
    shares = np.array([[column.shares.get(name, np.nan) for column in columns] for name in operators])
    words = [[("-" if np.isnan(v) else f"{v:.0%}") for v in row] for row in shares]
    _cells(places, np.nan_to_num(shares), words, operators)
    places.set_title("share of each operator's decode near memory", fontsize=9, color=INK, loc="left")
    places.set_xticks(range(len(columns)), ["\n".join(column.values) for column in columns], fontsize=8)
    places.set_xlabel("   /   ".join(names), color=INK)
    for axes in (speed, device, places):
        _rules(axes, columns)
    return save(figure, folder, "sweep")


def _speed(axes: Any, columns: Sequence[Column]) -> None:
    """Time to the first token and between tokens, of the whole model, on one logarithmic axis; lines join uses that
    differ in the last option only."""
    for name, label, colour, mark in (
        ("ttft_s", "time to first token", ACCENT, MARKS[0]),
        ("token_s", "time per token", SECOND, MARKS[1]),
    ):
        for first, last in _runs(columns):
            x = np.arange(first, last)
            y = [column.model[name] for column in columns[first:last]]
            axes.plot(x, y, color=colour, marker=mark, markersize=4, linewidth=1.2, label=label if not first else None)
    bare(axes)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(EngFormatter("s"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.legend(frameon=False, fontsize=8, labelcolor=INK, ncols=2, loc="lower left", bbox_to_anchor=(0.0, 1.0))
    axes.set_xlim(-0.5, len(columns) - 0.5)


def _cells(axes: Any, level: Any, words: Sequence[Sequence[str]], rows: Sequence[str]) -> None:
    """A table whose cells are coloured from 0 (pale) to 1."""
    axes.imshow(level, cmap=LEVELS, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    if len(words) and len(words[0]) <= MOST_WORDS:
        for row, line in enumerate(words):
            for place, word in enumerate(line):
                axes.text(place, row, word, ha="center", va="center", fontsize=7.5, color=INK)
    bare(axes)
    axes.grid(visible=False)
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0)


def _rules(axes: Any, columns: Sequence[Column]) -> None:
    """A line where any option but the last changes."""
    for first, _ in _runs(columns)[1:]:
        axes.axvline(first - 0.5, color=QUIET, linewidth=0.8)


def _runs(columns: Sequence[Column]) -> list[tuple[int, int]]:
    """(first, end) of the uses that differ in the last option only."""
    starts = [0] + [i for i in range(1, len(columns)) if columns[i].values[:-1] != columns[i - 1].values[:-1]]
    return list(zip(starts, [*starts[1:], len(columns)], strict=True))
