"""What one step in each parameter changes, as bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dse.report.pictures.style import ACCENT, INK, QUIET, SECOND, bare, new_figure, save

WIDEST = 100.0  # percent: longer bars end at the edge, their figure says how long they are
ROOM = 1.5  # beside the longest bar, for its figure


@dataclass(frozen=True)
class Move:
    """One parameter's step; `percent` of change for each metric, None where there is none to state, and `empty` if
    nothing is feasible there."""

    label: str
    percent: Sequence[float | None]
    empty: bool = False


def sensitivity_picture(metrics: Sequence[str], moves: Sequence[Move], folder: Path) -> str:
    """A panel for each metric (less is better in all), a bar for each move. Returns the SVG."""
    figure = new_figure(11.0 if len(metrics) > 1 else 6.4, 0.24 * len(moves) + 1.0)
    panels = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    for place, (axes, metric) in enumerate(zip(panels, metrics, strict=True)):
        values = [None if move.empty else move.percent[place] for move in moves]
        _panel(axes, values, [move.empty for move in moves])
        axes.set_title(metric, fontsize=9, color=INK, loc="left")
    panels[0].set_yticks(range(len(moves)), [move.label for move in moves])
    panels[0].set_ylim(len(moves) - 0.4, -0.6)
    return save(figure, folder, "sensitivity")


def _panel(axes: Any, values: Sequence[float | None], empty: Sequence[bool]) -> None:
    known = [abs(value) for value in values if value is not None]
    edge = min(max(known, default=1.0), WIDEST) or 1.0
    for row, (value, none) in enumerate(zip(values, empty, strict=True)):
        if value is None:
            axes.annotate("nothing fits" if none else "-", (0, row), va="center", ha="center", fontsize=8, color=QUIET)
            continue
        length, zero = max(-edge, min(edge, value)), abs(value) < 0.005
        axes.barh([row], [length], color=SECOND if value < 0 else ACCENT, height=0.62, zorder=2)
        words = "0" if zero else f"{value:+.2f} %" if abs(value) < 10 else f"{value:+.0f} %"
        side = -1 if value < 0 else 1
        axes.annotate(
            words,
            (length, row),
            (4 * side, 0),
            textcoords="offset points",
            va="center",
            ha="right" if side < 0 else "left",
            fontsize=7.5,
            color=QUIET if zero else INK,
            zorder=3,
        )
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_xlim(-ROOM * edge, ROOM * edge)
    bare(axes)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:+.3g} %" if x else "0")
    axes.locator_params(axis="x", nbins=5)
    axes.spines["left"].set_visible(False)
