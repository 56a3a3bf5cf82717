"""A kernel's source with the directives of one design beside its loops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dse.report.pictures.style import ACCENT, FAINT, FILLS, INK, ON_BAR, QUIET, new_figure, save

LINE_INCH, CHARACTER_INCH = 0.17, 0.074
WIDEST = 96  # characters of a line that are shown
BAR_INCH = 0.16


@dataclass(frozen=True)
class LoopMark:
    """A loop's lines, first to last (from 0, among those shown), its depth from 0, how it runs, and in which of the
    `KINDS`."""

    first: int
    last: int
    depth: int
    words: str
    kind: str


# How a loop runs -> its colour.
KINDS = {"sequential": FILLS[10], "coarse pipeline": FILLS[2], "pipeline": FILLS[0], "unrolled": FILLS[5]}


def listing_picture(lines: Sequence[str], marks: Sequence[LoopMark], folder: Path) -> str:
    """Lines of source; a bar on the left for each loop, coloured by how it runs, its directives at the end of its
    first line. Returns the SVG."""
    # Spaces that no page collapses.
    lines = [line.expandtabs(4).replace(" ", "\N{NO-BREAK SPACE}") for line in lines]
    shown = [line if len(line) <= WIDEST else line[: WIDEST - 1] + "…" for line in lines]
    deepest = 1 + max((mark.depth for mark in marks), default=0)
    words = {mark.first: mark.words for mark in marks}
    longest = max((len(line) + len(words.get(i, "")) + 3 for i, line in enumerate(shown)), default=10)
    left = BAR_INCH * deepest + 0.15
    width, height = left + CHARACTER_INCH * longest + 0.3, LINE_INCH * (len(shown) + 2.5)
    figure = new_figure(max(width, 6.0), height)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, max(width, 6.0))
    axes.set_ylim(len(shown) + 2.5, 0)
    for mark in marks:
        x = 0.08 + BAR_INCH * mark.depth
        axes.fill_between([x, x + BAR_INCH * 0.7], mark.first + 0.05, mark.last + 0.95, color=KINDS[mark.kind], lw=0)
    style: dict[str, Any] = {"family": "monospace", "fontsize": 8.6, "va": "center"}
    for place, line in enumerate(shown):
        axes.text(left, place + 0.5, line, color=INK, **style)
        if place in words:
            x = left + CHARACTER_INCH * (len(line) + 2)
            axes.text(x, place + 0.5, words[place], color=ACCENT, fontweight="bold", **style)
    axes.axhline(len(shown) + 0.5, color=FAINT, linewidth=0.8)
    x = 0.08
    for kind, colour in KINDS.items():
        if any(mark.kind == kind for mark in marks):
            box = {"boxstyle": "square,pad=0.25", "facecolor": colour, "edgecolor": QUIET, "linewidth": 0.4}
            axes.text(x + 0.05, len(shown) + 1.5, kind, fontsize=8, color=ON_BAR, va="center", bbox=box)
            x += 0.35 + 0.068 * len(kind)
    return save(figure, folder, "listing")
