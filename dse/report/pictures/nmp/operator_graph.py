"""Operators of a model's layers as boxes, and what flows between them as arrows: a frame for each kind of layer."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle
from matplotlib.path import Path as Line

from design.core import Floats
from dse.report.pictures.nmp.operator_layout import (
    BOX_PADDING,
    HEADER,
    LABEL,
    LINE,
    NAME,
    PADDING,
    SMALL,
    TITLE,
    Box,
    Frame,
    Layout,
    layout,
    shelves,
    text_width,
)
from dse.report.pictures.style import FILLS, INK, ON_BAR, PAPER, QUIET, new_figure, save

# A colour for each role; others are grey.
ROLES = {"projection": FILLS[0], "attention": FILLS[1], "ffn": FILLS[5]}
WORDS = {"ffn": "feed-forward"}  # where a role's name is none
OTHER = FILLS[-1]
MOST_PIXELS = 16_000  # on a side: a larger picture is a coarser one


def operator_graph_picture(
    title: str, subtitle: str, frames: Sequence[Frame], notes: Sequence[str], folder: Path
) -> str:
    """Frames side by side, the colours of the roles below them and the `notes`, which say how to read it. Writes
    `operator_graph.png` and `.svg`. Returns the SVG. Raises InputError when arrows go in a circle."""
    layouts = [layout(frame) for frame in frames]
    corners = shelves(layouts)
    words = max([text_width(title, TITLE, True), *(text_width(text, SMALL) for text in (subtitle, *notes))])
    right = max([words, *(x + one.width for (x, _), one in zip(corners, layouts, strict=True))]) + 0.05
    low = max((y + one.height for (_, y), one in zip(corners, layouts, strict=True)), default=0.0)
    top, margin = 0.55, 0.15
    figure = new_figure(right + 2 * margin, top + low + 0.35 + LINE * len(notes) + 2 * margin)
    figure.set_layout_engine("none")  # everything has its place already, in inches
    axes = figure.add_axes((0, 0, 1, 1))
    wide, high = figure.get_size_inches()
    figure.set_dpi(min(figure.dpi, MOST_PIXELS / max(wide, high)))
    axes.set_xlim(-margin, wide - margin)
    axes.set_ylim(high - margin, -margin)
    axes.set_axis_off()
    _words(axes, 0, 0.1, title, TITLE, weight="bold")
    _words(axes, 0, 0.34, subtitle, SMALL)
    for frame, one, (x, y) in zip(frames, layouts, corners, strict=True):
        _frame(axes, frame, one, np.array([x, top + y]))
    _legend(axes, [box.role for frame in frames for box in frame.boxes], top + low + 0.2)
    for line, note in enumerate(notes):
        _words(axes, 0, top + low + 0.42 + LINE * line, note, SMALL)
    return save(figure, folder, "operator_graph")


def _legend(axes: Any, roles: Sequence[str], y: float) -> None:
    x = 0.0
    for role in [role for role in ROLES if role in roles]:
        axes.add_patch(Rectangle((x, y - 0.06), 0.16, 0.12, facecolor=ROLES[role], edgecolor=INK, linewidth=0.5))
        words = WORDS.get(role, role)
        _words(axes, x + 0.23, y, words, SMALL)
        x += 0.23 + text_width(words, SMALL) + 0.25


def _words(axes: Any, x: float, y: float, text: str, size: float, colour: str = INK, **how: Any) -> None:
    style: dict[str, Any] = {"ha": "left", "va": "center"} | how
    axes.text(x, y, text, fontsize=size, color=colour, parse_math=False, zorder=4, **style)


def _frame(axes: Any, frame: Frame, one: Layout, corner: Floats) -> None:
    edge: dict[str, Any] = {"boxstyle": "round,pad=0,rounding_size=0.08", "linewidth": 0.8}
    axes.add_patch(
        FancyBboxPatch(tuple(corner), one.width, one.height, facecolor="none", edgecolor=QUIET, zorder=1, **edge)
    )
    _words(axes, corner[0] + PADDING, corner[1] + HEADER / 2 + 0.03, frame.title, NAME + 1, weight="bold")
    for route in one.routes:
        style: dict[str, Any] = {"arrowstyle": "-|>,head_length=4,head_width=1.8", "mutation_scale": 1.0}
        style |= {"linewidth": 0.9, "color": INK, "shrinkA": 0, "shrinkB": 0, "capstyle": "butt", "zorder": 2}
        axes.add_patch(FancyArrowPatch(path=route_line(route + corner), **style))
    for arrow, (x, y, wide, high) in zip(frame.arrows, one.labels, strict=True):
        place = (corner[0] + x - 0.03, corner[1] + y)
        axes.add_patch(Rectangle(place, wide + 0.06, high, facecolor=PAPER, edgecolor="none", zorder=3))
        _words(axes, corner[0] + x + wide / 2, corner[1] + y + high / 2, arrow.label, LABEL, ha="center")
    for box, (x, y, wide, high) in zip(frame.boxes, one.boxes, strict=True):
        _box(axes, box, corner[0] + x, corner[1] + y, wide, high)


def route_line(route: Floats) -> Line:
    """An arrow's line: curves that begin and end upright between the rows, straight through a row."""
    points, codes = [route[0]], [Line.MOVETO]
    for place, (a, b) in enumerate(pairwise(route)):
        if place % 2 or a[0] == b[0]:
            points, codes = [*points, b], [*codes, Line.LINETO]
            continue
        middle = (a[1] + b[1]) / 2
        points += [np.array([a[0], middle]), np.array([b[0], middle]), b]
        codes += [Line.CURVE4] * 3
    return Line(np.array(points), codes)


def _box(axes: Any, box: Box, x: float, y: float, wide: float, high: float) -> None:
    style: dict[str, Any] = {"boxstyle": "round,pad=0,rounding_size=0.05", "linewidth": 0.7, "zorder": 3}
    fill = ROLES.get(box.role, OTHER)
    axes.add_patch(FancyBboxPatch((x, y), wide, high, facecolor=fill, edgecolor=INK, **style))
    left, right, line = x + BOX_PADDING, x + wide - BOX_PADDING, y + BOX_PADDING + LINE / 2
    _words(axes, left, line, box.name, NAME, ON_BAR, weight="bold")
    _words(axes, right, line, box.note, SMALL, ON_BAR, ha="right")
    for place, cells in enumerate(box.lines):
        line = y + BOX_PADDING + LINE * (place + 1.5)
        _words(axes, left, line, cells[0], SMALL, ON_BAR)
        _words(axes, right, line, cells[1], SMALL, ON_BAR, ha="right")
