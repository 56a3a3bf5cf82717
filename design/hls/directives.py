"""Which combinations of loop directives make the same design, and which make none.

All rules were held against 23,000 recorded designs of 24 kernels (SDx 2018.3 and Vitis 2020.2) before they were kept:
in all 745 groups of designs that the rules call equal and the tool answered for at least two of, cycles are the same
and resources within 1 % (in 698 they are the same too). In another 112 groups the tool answered for one design and gave
up on another: equal designs do not take the tool equally long. `tests/design/hls/test_directive_rules.py` holds these
shares, rule by rule. The first two rules are what flatten means: no recorded design speaks for or against them. The
last three owe their conditions to these very kernels, where no exception was left; on other kernels there may be some.

What sounds right but is contradicted is not here: TILE over the whole loop is not always the same as no TILE, coarse
pipelining of a loop with few copies not always the same as none, and flatten with nothing left to choose inside takes
other resources than coarse.

Columns are as in `design.hls.design`: one (n,) int64 array a parameter. A directive that the source fixes counts with
its value; one that it does not have counts as off, or as a factor of 1.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from design.core import Bools, Ints
from design.hls.design import COARSE, FLATTEN, OFF, PIPELINE_WORDS, choices
from design.hls.loop_nest import PARALLEL, PIPELINE, TILE, Directive, Kernel, Loop

SWALLOW, INNERMOST, WHOLE, TILED, UNTILED, UNROLLED = RULES = (
    "a flattened loop swallows the directives of the loops inside",
    "flatten is coarse where no loop is inside",
    "a fully parallel loop is neither tiled nor pipelined",
    "a tiled loop is pipelined coarsely or not at all alike",
    "one tile is none where no loop inside is parallel",
    "a parallel loop around unrolled loops is flattened",
)
DEFAULTS = {PIPELINE: OFF, TILE: 1, PARALLEL: 1}  # of a loop without the directive
UNKNOWN = -1  # a fixed value that says nothing to a rule

Columns = Mapping[str, Ints]
Values = NDArray[np.int64] | int  # of a directive: (n,) where it is chosen


def canonical(kernel: Kernel, columns: Columns, rules: Collection[str] = RULES) -> dict[str, Ints]:
    """The one design that stands for each design and all its equals, as new columns (n,).

    Total on any values, idempotent, and never breaks a design that nothing is wrong with. `rules` are those to go by.
    """
    nest = _Nest(kernel, columns)
    if SWALLOW in rules:
        nest.swallow()
    for site in reversed(nest.sites):  # loops inside come first
        _innermost(nest, site, rules)
        _whole(nest, site, rules)
        _tiled(nest, site, rules)
        _unrolled(nest, site, rules)
        _untiled(nest, site, rules)
    return {name: nest.columns[name] for name in columns}


def legal(kernel: Kernel, columns: Columns) -> dict[str, Ints]:
    """Designs that no tile stands in the way of: the largest TILE on offer that leaves PARALLEL its iterations.

    Not an equality: it turns designs that are none into designs near them.
    """
    found = {name: np.array(values) for name, values in columns.items()}
    offered = {p.name: choices(kernel, p) for p in kernel.parameters}
    nest = _Nest(kernel, found)
    for site in nest.sites:
        name = site.parameters.get(TILE)
        if name is None or site.trip is None:
            continue
        room = site.trip // np.maximum(nest.value(site, PARALLEL), 1)
        steps = np.array(offered[name])
        most = steps[np.maximum(np.searchsorted(steps, room, side="right") - 1, 0)]
        found[name] = np.minimum(found[name], most)
    return found


def broken(kernel: Kernel, columns: Columns) -> dict[str, Bools]:
    """Why designs are none: reason -> which of the n rows it holds for; reasons that hold for no row are left out.

    A factor of more iterations than the loop has; a value that is not on offer; a TILE of so many iterations that
    PARALLEL times TILE is more than there are (none of 23,000 recorded designs has that).
    """
    found: dict[str, Bools] = {}
    nest = _Nest(kernel, columns)
    for parameter in kernel.parameters:
        values, trip = np.asarray(columns[parameter.name]), nest.sites[parameter.loop].trip
        offered = choices(kernel, parameter)
        if parameter.kind != PIPELINE and trip is not None:
            found[f"{parameter.name} is more than the {trip} iterations of its loop"] = values > max(trip, 1)
        found[f"{parameter.name} is none of {_listed(parameter.kind, offered)}"] = ~np.isin(values, offered)
    for site in nest.sites:
        names = [site.parameters[kind] for kind in (TILE, PARALLEL) if kind in site.parameters]
        if site.trip is not None and TILE in site.parameters:
            product = np.asarray(nest.value(site, TILE) * np.maximum(nest.value(site, PARALLEL), 1))
            tiled = np.asarray(nest.value(site, TILE)) > 1
            found[f"{' times '.join(names)} is more than the {site.trip} iterations"] = tiled & (product > site.trip)
    return {reason: rows for reason, rows in found.items() if rows.any()}


def _listed(kind: str, offered: tuple[int, ...]) -> str:
    return ", ".join((PIPELINE_WORDS[v] or "coarse") if kind == PIPELINE else str(v) for v in offered)


@dataclass(frozen=True)
class Site:
    """A loop as the rules see it: parameters and fixed values by kind, trip count where known, loops directly inside
    (`children`) and at any depth. `flattens`: there are loops inside and all have known trip counts, so that
    flattening unrolls them.
    """

    number: int
    parameters: Mapping[str, str]
    fixed: Mapping[str, int]
    trip: int | None
    children: tuple[int, ...]
    inside: tuple[int, ...]
    flattens: bool

    def unchosen(self, kind: str) -> int:
        """The value of a directive that is not a parameter."""
        return self.fixed.get(kind, DEFAULTS[kind])


def sites(kernel: Kernel) -> list[Site]:
    """All loops, by number."""
    found = []
    for loop in kernel.loops:
        inside = kernel.inside(loop.number)
        found.append(
            Site(
                loop.number,
                {kind: d.parameter for kind, d in loop.directives.items() if d.parameter is not None},
                {kind: _fixed(d) for kind, d in loop.directives.items() if d.parameter is None},
                _known_trip(loop),
                tuple(inner.number for inner in loop.loops),
                inside,
                bool(inside) and all(_known_trip(kernel.loops[number]) is not None for number in inside),
            )
        )
    return found


class _Nest:
    """Designs of a kernel, by loop and kind; works on copies of the columns."""

    def __init__(self, kernel: Kernel, columns: Columns) -> None:
        self.sites = sites(kernel)
        self.columns = {name: np.array(values, dtype=np.int64) for name, values in columns.items()}
        nothing = np.zeros(len(next(iter(self.columns.values()), ())), dtype=bool)
        self.still: list[Bools] = [nothing] * len(self.sites)  # nothing is parallel, here or inside
        self.gone: list[Bools] = [nothing] * len(self.sites)  # unrolled with all that is inside

    def value(self, site: Site, kind: str) -> Any:
        """Of a directive: an array where it is chosen, else a number."""
        if kind in site.parameters:
            return self.columns[site.parameters[kind]]
        return site.unchosen(kind)

    def set(self, site: Site, kind: str, where: Bools, value: int) -> None:
        """Change a directive in some rows, if it is one to choose."""
        if kind in site.parameters:
            self.columns[site.parameters[kind]][where] = value

    def clear(self, numbers: tuple[int, ...], where: Bools) -> None:
        """Loops without directives in some rows."""
        for number in numbers:
            for kind, value in DEFAULTS.items():
                self.set(self.sites[number], kind, where, value)

    def flattened(self, site: Site) -> Any:
        """Whether the loop is pipelined and everything inside unrolled."""
        return (self.value(site, PIPELINE) == FLATTEN) & site.flattens

    def swallow(self) -> None:
        """Flattening unrolls every loop inside, whatever its own directives say (Merlin's definition of flatten).

        A loop of variable trip count inside can not be unrolled, so nothing is presumed then.
        """
        for site in self.sites:
            if site.flattens:
                self.clear(site.inside, self.flattened(site))


def _known_trip(loop: Loop) -> int | None:
    return loop.trip.most if loop.trip.least == loop.trip.most else None


def _fixed(directive: Directive) -> int:
    if directive.kind == PIPELINE:
        return PIPELINE_WORDS.index(directive.value) if directive.value in PIPELINE_WORDS else UNKNOWN
    return directive.value if isinstance(directive.value, int) else UNKNOWN


def _innermost(nest: _Nest, site: Site, rules: Collection[str]) -> None:
    """Flatten differs from coarse by unrolling the loops inside only (Merlin's definition)."""
    if INNERMOST in rules and not site.children:
        nest.set(site, PIPELINE, np.asarray(nest.value(site, PIPELINE) == FLATTEN), COARSE)


def _whole(nest: _Nest, site: Site, rules: Collection[str]) -> None:
    """Of a fully parallel loop no iterations are left to tile, or to start one after another."""
    if WHOLE in rules and site.trip is not None:
        full = nest.value(site, PARALLEL) == site.trip
        nest.set(site, TILE, full, 1)
        nest.set(site, PIPELINE, full & (nest.value(site, PIPELINE) == COARSE), OFF)


def _tiled(nest: _Nest, site: Site, rules: Collection[str]) -> None:
    """Coarse pipelining makes no difference to a loop that TILE cuts in several."""
    if TILED in rules and site.trip is not None:
        tile = nest.value(site, TILE)
        nest.set(site, PIPELINE, (tile > 1) & (tile < site.trip) & (nest.value(site, PIPELINE) == COARSE), OFF)


def _unrolled(nest: _Nest, site: Site, rules: Collection[str]) -> None:
    """With every loop inside unrolled, a parallel loop is the innermost that is left, and the tools pipeline it
    anyway. (Where it is not parallel they often do something else.)"""
    inside = _every(nest.gone, site)
    if UNROLLED in rules and site.flattens and PIPELINE in site.parameters:
        alike = inside & (nest.value(site, PARALLEL) > 1) & (nest.value(site, TILE) == 1)
        nest.set(site, PIPELINE, alike, FLATTEN)
        nest.clear(site.inside, alike)
    full = nest.value(site, PARALLEL) == site.trip if site.trip is not None else False
    nest.gone[site.number] = full & (inside | nest.flattened(site))


def _untiled(nest: _Nest, site: Site, rules: Collection[str]) -> None:
    """One tile is the loop itself. But a tile also says what is loaded at once, which matters where the loop is
    flattened or copies inside read side by side."""
    alone = _every(nest.still, site)
    parallel = nest.value(site, PARALLEL) == 1
    if UNTILED in rules and site.trip is not None:
        whole = (nest.value(site, TILE) == site.trip) & (nest.value(site, PIPELINE) != FLATTEN)
        nest.set(site, TILE, whole & parallel & alone, 1)
    nest.still[site.number] = parallel & alone


def _every(marks: list[Bools], site: Site) -> Bools:
    """Whether all loops directly inside are marked."""
    found = np.ones(len(marks[site.number]), dtype=bool)
    for child in site.children:
        found &= marks[child]
    return found
