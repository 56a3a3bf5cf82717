"""Where the boxes, labels and arrows of an operator graph stand.

Layered (Sugiyama, Tagawa and Toda, 1981): boxes stand in rows by their place in the order of work, an arrow has a slot
of its own in each row that it passes, and its label has one in a row between. So nothing lies on anything else,
whatever the graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from design.core import Floats
from design.errors import InputError
from dse.report.pictures.style import SETTINGS

# Inches, and points of type.
TITLE, NAME, SMALL, LABEL = 11.0, 9.0, 7.5, 7.0
LINE, PADDING, BOX_PADDING = 0.155, 0.22, 0.08
HEADER = 0.34  # of a frame, for its title
ASIDE, ABOVE = 0.2, 0.16  # from box to box in a row, and from row to row at least
HEAD = 0.1  # more where arrows end
SLANT = 0.18  # of how far the widest arrow goes aside, a gap is high
LABEL_HEIGHT, PASS = 0.17, 0.08
WIDEST = 18.5  # frames that do not fit beside each other in this go below
BETWEEN = 0.25  # frames
SWEEPS, PATIENCE = 24, 4  # of the search for an order without crossings: at most, and in a row without success


@dataclass(frozen=True)
class Box:
    """An operator: its name, what it keeps, and lines of two cells each."""

    name: str
    role: str
    note: str
    lines: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Arrow:
    """From box to box, by their places; `label` says what flows."""

    start: int
    end: int
    label: str


@dataclass(frozen=True)
class Frame:
    """A kind of layer: at most one arrow from a box to another."""

    title: str
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


class Rows(NamedTuple):
    """Slots in rows, top row first: the boxes, then for each arrow its label and where it passes other rows. `paths`
    are the slots along each arrow, `widths` those of all slots."""

    rows: list[list[int]]
    paths: list[list[int]]
    widths: list[float]

    @property
    def steps(self) -> list[tuple[int, int]]:
        """From slot to slot in neighbouring rows."""
        return [step for path in self.paths for step in pairwise(path)]


@dataclass(frozen=True)
class Layout:
    """Where everything stands, in inches from the frame's top left corner: boxes (boxes, 4) and labels (arrows, 4) as
    left, top, width and height; the route of each arrow as (points, 2), of which the first two are joined by a
    straight line or a curve, the next two by a straight line, and so on in turns."""

    width: float
    height: float
    boxes: Floats
    labels: Floats
    routes: tuple[Floats, ...]


@cache
def text_width(text: str, size: float, bold: bool = False) -> float:
    """Inches."""
    font = FontProperties(weight="bold" if bold else "normal")
    with matplotlib.rc_context(SETTINGS):
        return float(TextPath((0, 0), text, size=size, prop=font).get_extents().width) / 72 if text.strip() else 0.0


def box_size(boxes: Iterable[Box]) -> tuple[float, float]:
    """(width, height) that all of them fit into."""
    width, most = 0.0, 0
    for box in boxes:
        heading = text_width(box.name, NAME, True) + text_width(box.note, SMALL) + 0.15
        lines = [text_width(left, SMALL) + text_width(right, SMALL) + 0.12 for left, right in box.lines]
        width, most = max(width, heading, *lines), max(most, len(lines))
    return width + 2 * BOX_PADDING, LINE * (most + 1) + 2 * BOX_PADDING


def layout(frame: Frame) -> Layout:
    """Places for a frame's boxes, labels and arrows. Raises InputError when the arrows go in a circle."""
    width, height = box_size(frame.boxes)
    rows = _rows(frame, width)
    across = _across(_uncrossed(rows))
    tops, heights = _down(rows, across, height)
    row_of = {slot: row for row, slots in enumerate(rows.rows) for slot in slots}
    boxes = [(across[i] - width / 2, tops[row_of[i]], width, height) for i in range(len(frame.boxes))]
    labels, routes = [], []
    for path in rows.paths:
        label, wide = path[1], rows.widths[path[1]]
        labels.append((across[label] - wide / 2, tops[row_of[label]], wide, LABEL_HEIGHT))
        ends = [(across[s], tops[row_of[s]] + below * heights[row_of[s]]) for s in path for below in (0, 1)]
        routes.append(np.array(ends[1:-1]))
    right = max((across[slot] + rows.widths[slot] / 2 for slots in rows.rows for slot in slots), default=0.0)
    wide = max(right, text_width(frame.title, TITLE, True)) + 2 * PADDING
    aside = np.array([(wide - right) / 2, 0.0])
    return Layout(
        wide,
        tops[-1] + heights[-1] + PADDING,
        _moved(boxes, aside),
        _moved(labels, aside),
        tuple(route + aside for route in routes),
    )


def _moved(rectangles: list[tuple[float, float, float, float]], aside: Floats) -> Floats:
    """As (rectangles, 4), their corners moved."""
    moved = np.array(rectangles, dtype=np.float64).reshape(-1, 4)
    moved[:, :2] += aside
    return moved


def _rows(frame: Frame, width: float) -> Rows:
    """Boxes in every other row; an arrow's label right below the box that it comes from."""
    import networkx

    graph = networkx.DiGraph()
    graph.add_nodes_from(range(len(frame.boxes)))
    graph.add_edges_from((arrow.start, arrow.end) for arrow in frame.arrows)
    try:
        rows = [part for boxes in networkx.topological_generations(graph) for part in (sorted(boxes), list[int]())]
    except networkx.NetworkXUnfeasible:
        raise InputError(frame.title, "operators wait for each other in a cycle", "no cycle") from None
    row_of = {box: row for row, boxes in enumerate(rows) for box in boxes}
    widths, paths = [width] * len(frame.boxes), []
    for arrow in frame.arrows:
        path = [arrow.start]
        for row in range(row_of[arrow.start] + 1, row_of[arrow.end]):
            path.append(len(widths))
            rows[row].append(len(widths))
            widths.append(PASS if len(path) > 2 else text_width(arrow.label, LABEL))
        paths.append([*path, arrow.end])
    return Rows(rows[:-1] or [[]], paths, widths)


def _uncrossed(given: Rows) -> Rows:
    """In each row the order of the fewest crossings that sweeps down and up find: every slot goes to the mean place of
    its neighbours in the row before, then neighbours swap where that helps."""
    rows, best = [list(row) for row in given.rows], given.rows
    above: dict[int, list[int]] = {slot: [] for row in rows for slot in row}
    below: dict[int, list[int]] = {slot: [] for row in rows for slot in row}
    for a, b in given.steps:
        above[b].append(a)
        below[a].append(b)
    fewest, idle = _crossings(rows, below), 0
    for sweep in range(SWEEPS):
        if not fewest or idle == PATIENCE:
            break
        down = sweep % 2 == 0
        for row in range(1, len(rows)) if down else range(len(rows) - 2, -1, -1):
            _by_mean(rows[row], rows[row - 1 if down else row + 1], above if down else below)
        _swap(rows, above, below)
        now = _crossings(rows, below)
        best, fewest, idle = ([list(row) for row in rows], now, 0) if now < fewest else (best, fewest, idle + 1)
    return given._replace(rows=best)


def _by_mean(row: list[int], beside: list[int], near: Mapping[int, list[int]]) -> None:
    """Sorts a row by the places of neighbours in the row `beside`; slots without any keep theirs."""
    place = {slot: i for i, slot in enumerate(beside)}
    mean = {s: sum(place[n] for n in near[s]) / len(near[s]) if near[s] else float(i) for i, s in enumerate(row)}
    row.sort(key=mean.__getitem__)


def _swap(rows: list[list[int]], above: Mapping[int, list[int]], below: Mapping[int, list[int]]) -> None:
    """Neighbours change places as long as there are fewer crossings after it."""
    better = True
    while better:
        better = False
        place = {slot: i for row in rows for i, slot in enumerate(row)}
        for row in rows:
            for i in range(len(row) - 1):
                a, b = row[i], row[i + 1]
                more = sum(place[x] - place[y] > 0 for near in (above, below) for x in near[a] for y in near[b])
                less = sum(place[x] - place[y] < 0 for near in (above, below) for x in near[a] for y in near[b])
                if less < more:
                    row[i], row[i + 1], better = b, a, True
                    place[a], place[b] = i + 1, i


def _crossings(rows: Sequence[Sequence[int]], below: Mapping[int, list[int]]) -> int:
    """Pairs of steps between the same rows that are in one order above and in the other below."""
    found = 0
    for row, following in pairwise(rows):
        place = {slot: i for i, slot in enumerate(following)}
        ends: list[int] = []  # of the steps from slots farther left
        for slot in row:
            mine = [place[end] for end in below[slot]]
            found += sum(one < other for one in mine for other in ends)
            ends += mine
    return found


def _across(rows: Rows) -> Floats:
    """Where the middle of each slot is from left to right, shape (slots,): arrows are as straight as the room in the
    rows lets them, those that pass rows before others; boxes stand in the middle of their neighbours where that costs
    nothing. A linear programme, as in Gansner et al., IEEE Trans. Software Engineering 19(3), 1993."""
    from scipy.optimize import linprog
    from scipy.sparse import coo_array

    count, wishes = len(rows.widths), list(_wishes(rows))
    if not count:
        return np.zeros(0)
    apart = [pair for row in rows.rows for pair in pairwise(row)]
    # Unknown are the places of all slots, by how much each wish is missed, and where the right edge is.
    edge = count + len(wishes)
    sums = [{a: 1.0, b: -1.0} for a, b in apart]
    bounds = [-ASIDE - (rows.widths[a] + rows.widths[b]) / 2 for a, b in apart]
    for missed, (_, wish) in enumerate(wishes, count):
        for sign in (1.0, -1.0):
            sums.append({slot: sign * factor for slot, factor in wish.items()} | {missed: -1.0})
            bounds.append(0.0)
    for slot, width in enumerate(rows.widths):
        sums.append({slot: 1.0, edge: -1.0})
        bounds.append(-width / 2)
    entries = [(line, column, factor) for line, one in enumerate(sums) for column, factor in one.items()]
    lines, columns, factors = (np.array(values) for values in zip(*entries, strict=True))
    matrix = coo_array((factors, (lines, columns)), shape=(len(sums), edge + 1)).tocsr()
    # Width costs little, and all to the left next to nothing: it decides where nothing else does.
    cost = [1e-4] * count + [weight for weight, _ in wishes] + [0.05]
    least = [(width / 2, None) for width in rows.widths] + [(0.0, None)] * (len(wishes) + 1)
    solved = linprog(cost, A_ub=matrix, b_ub=bounds, bounds=least)
    assert solved.status == 0, solved.message
    return np.asarray(solved.x[:count])


def _wishes(rows: Rows) -> Iterator[tuple[float, dict[int, float]]]:
    """(weight, wish): the sum of factors times places of slots is to be near zero."""
    for path in rows.paths:
        alone = {end: sum(other[end] == path[end] for other in rows.paths) == 1 for end in (0, -1)}
        for place, (a, b) in enumerate(pairwise(path)):
            # A label stands right below where its arrow comes from if that has no other arrow, else right above where
            # it goes to if that has no other. An arrow that passes rows bends rather than one that does not.
            with_label = alone[0] if place == 0 else alone[-1] and not alone[0] and len(path) == 3
            inside = 0 < place < len(path) - 2
            yield 5.0 if inside or with_label else 2.0 if len(path) == 3 else 1.0, {a: 1.0, b: -1.0}
    for slot in {slot for path in rows.paths for slot in (path[0], path[-1])}:
        for near in ([b for a, b in rows.steps if a == slot], [a for a, b in rows.steps if b == slot]):
            if len(near) > 1:
                yield 0.1, {slot: 1.0} | {other: -1.0 / len(near) for other in near}


def _down(rows: Rows, across: Floats, height: float) -> tuple[list[float], list[float]]:
    """(tops, heights) of the rows; the farther an arrow goes aside between two rows, the farther they are apart."""
    row_of = {slot: row for row, slots in enumerate(rows.rows) for slot in slots}
    heights = [LABEL_HEIGHT if row % 2 else height for row in range(len(rows.rows))]
    gaps = [ABOVE + HEAD * (row % 2) for row in range(len(rows.rows))]
    for a, b in rows.steps:
        gaps[row_of[a]] = max(gaps[row_of[a]], min(SLANT * abs(across[a] - across[b]), 3 * ABOVE))
    tops = [HEADER + PADDING / 2]
    for row in range(1, len(rows.rows)):
        tops.append(tops[-1] + heights[row - 1] + gaps[row - 1])
    return tops, heights


def shelves(layouts: Sequence[Layout]) -> list[tuple[float, float]]:
    """(left, top) of each frame: side by side as long as there is room, a low one below the one before it where the
    row is high enough."""
    found: list[tuple[float, float]] = []
    left = right = top = 0.0  # of the column
    under = low = 0.0  # the lower edges of the column and of everything
    for one in layouts:
        if found and under + BETWEEN + one.height <= low and one.width <= right - left:
            place = (left, under + BETWEEN)
        else:
            left = right + BETWEEN if found else 0.0
            if left and left + one.width > WIDEST:
                left, top = 0.0, low + BETWEEN
            right, place = left + one.width, (left, top)
        under = place[1] + one.height
        low = max(low, under)
        found.append(place)
    return found
