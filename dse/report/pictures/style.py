"""What all pictures share: colours, type, axes, and how a figure becomes files."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from design.core import Floats

DPI = 150
PREFIXED = ("s", "J", "W", "FLOP/s")
COUNTED = ("count", "cycles", "share", "probability")  # units that a number needs no word for
PAPER, INK, FAINT, QUIET = "#ffffff", "#1f2933", "#d5dae1", "#8a95a3"
ACCENT, SECOND, THIRD = "#c2410c", "#2563eb", "#15803d"
COUNT = "candidates evaluated"
DECADES = 30.0  # values that span more than this factor are drawn on a logarithmic axis
ON_BAR = "#111111"  # words on a bar, dark whatever the page
# Paul Tol's "light" scheme, made for words on coloured cells and told apart by colour-blind readers, and two more.
FILLS = (
    "#77aadd",
    "#ee8866",
    "#eedd88",
    "#ffaabb",
    "#99ddff",
    "#44bb99",
    "#bbcc33",
    "#b5a3d9",
    "#c9a27e",
    "#aaaa00",
    "#dddddd",
)
# Okabe and Ito's colours for marks and lines, told apart by colour-blind readers; their vermilion is near ACCENT.
STROKES = ("#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#6b7280", "#7a4a21")
GREYS = ("#b6bec8", "#cfd5dc", "#e4e8ec")
MARKS = ("o", "^", "s", "D", "v", "P")
FONTS = "'DejaVu Sans', Verdana, sans-serif"
SETTINGS = {
    "svg.fonttype": "none",  # words stay words: they can be searched, and take the page's colour
    "svg.hashsalt": "tilewright",
    "text.parse_math": False,  # names are no formulas
    "font.size": 9.0,
    "hatch.linewidth": 0.6,
    "path.simplify": True,
}


def colour_of(names: Sequence[str]) -> dict[str, str]:
    """A fill for each operator, the same in every picture and in every kind of layer (KIND/OPERATOR)."""
    places = {plain: place for place, plain in enumerate(dict.fromkeys(plain_name(name) for name in names))}
    return {name: FILLS[places[plain_name(name)] % len(FILLS)] for name in names}


def plain_name(operator: str) -> str:
    """The name of an operator without that of its kind of layer."""
    return operator.rpartition("/")[2]


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of that many inches, on paper of the palette."""
    with matplotlib.rc_context(SETTINGS):
        return Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor=PAPER)


def columns_for(panels: int) -> int:
    """How many panels stand side by side."""
    return {1: 1, 2: 2, 3: 3, 4: 2, 7: 4, 8: 4}.get(panels, 3)


def grid_of_axes(panels: int, height: float, width: float = 11.0) -> tuple[Figure, list[Any]]:
    """A figure, `width` inches at most, and `panels` empty axes on it, in rows `height` inches high."""
    columns = columns_for(panels)
    rows = -(-panels // columns)
    figure = new_figure(min(width, 6.4 * columns), height * rows)
    return figure, [figure.add_subplot(rows, columns, place + 1) for place in range(panels)]


def dress(axes: Any, x: str, x_unit: str, y: str, y_unit: str) -> None:
    """Labels, units and quiet lines."""
    axes.set_facecolor("none")
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)
    for axis, unit in ((axes.xaxis, x_unit), (axes.yaxis, y_unit)):
        axis.set_tick_params(labelsize=8, colors=INK, width=0.6)
        # A prefix needs a plain unit to stand before: 60 ms, but 0.06 mm2 and 0.06 of no unit.
        axis.set_major_formatter(EngFormatter(unit) if unit in PREFIXED else FuncFormatter(_plain(unit)))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=x == COUNT))
    _quiet(axes)


def _plain(unit: str) -> Callable[[float, int], str]:
    """Four digits, or whole numbers up to a billion."""
    unit = "" if unit in COUNTED else unit
    return lambda x, _: (f"{x:,.0f} {unit}" if 1e4 <= abs(x) < 1e9 else f"{x:,.4g} {unit}").rstrip()


def spans_decades(values: Floats) -> bool:
    """Whether values want a logarithmic axis."""
    return bool(len(values) and np.min(values) > 0 and np.max(values) > DECADES * np.min(values))


def logarithmic(axes: Any, x: bool, y: bool) -> None:
    """Make axes that `dress` has dressed logarithmic; ticks stay in plain numbers."""
    for wanted, axis, scale, ticks in ((x, axes.xaxis, axes.set_xscale, 5), (y, axes.yaxis, axes.set_yscale, 7)):
        if wanted:
            formatter = axis.get_major_formatter()
            scale("log")
            axis.set_major_locator(LogLocator(numticks=ticks))  # labels side by side need more room
            axis.set_major_formatter(formatter)
            axis.set_minor_formatter(NullFormatter())


def bare(axes: Any) -> None:
    """Quiet lines for axes with ticks of their own."""
    axes.set_facecolor("none")
    axes.tick_params(labelsize=8, colors=INK, width=0.6)
    _quiet(axes)


def _quiet(axes: Any) -> None:
    axes.set_axisbelow(True)
    axes.grid(color=FAINT, linewidth=0.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(QUIET)


def legend(axes: Any, **where: Any) -> None:
    """A legend, if there is anything to name; what it covers shows faintly through."""
    if axes.get_legend_handles_labels()[0]:
        style = {"facecolor": PAPER, "edgecolor": "none", "framealpha": 0.85, "fancybox": False}
        axes.legend(fontsize=8, labelcolor=INK, borderaxespad=0.2, **style, **where)


def shared_legend(figure: Figure, axes: Any) -> None:
    """A legend above all panels, of what one of them shows: for panels whose legends would be the same."""
    if axes.get_legend_handles_labels()[0]:
        style = {"loc": "outside upper left", "frameon": False, "ncols": 4, "fontsize": 9, "labelcolor": INK}
        figure.legend(*axes.get_legend_handles_labels(), **style)


def thin(x: Floats, y: Floats, cells: int = 90) -> Floats:
    """Rows of one point for each cell of a `cells` x `cells` grid that any point falls into: what lies on top of
    another is not drawn twice."""
    if not len(x):
        return np.empty(0, dtype=np.int64)
    place = [np.floor(cells * (v - v.min()) / (np.ptp(v) or 1.0)) for v in (x, y)]
    return np.sort(np.unique(place[0] * (cells + 1) + place[1], return_index=True)[1])


def save(figure: Figure, folder: Path, name: str) -> str:
    """Write `name`.png and `name`.svg into `folder`, each whole at any moment. Returns the SVG."""
    folder.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(SETTINGS):
        png, svg = io.BytesIO(), io.StringIO()
        # `savefig` would draw each twice, once for the layout; here the first drawing settles it for both.
        FigureCanvasAgg(figure).print_png(png)
        figure.set_layout_engine("none")
        FigureCanvasSVG(figure).print_svg(svg, metadata={"Date": None, "Creator": None})
    text = svg.getvalue().replace("'DejaVu Sans'", FONTS)
    for suffix, content in (("png", png.getvalue()), ("svg", text.encode())):
        part = folder / f".{name}.{suffix}.part"
        part.write_bytes(content)
        part.replace(folder / f"{name}.{suffix}")
    return text
