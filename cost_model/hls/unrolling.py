"""What directives come to: how often each loop steps, how many copies of its body work side by side.

Rules seen in every kernel with a table (gesummv shows all of them, to within 3 %):
- a factor of at least the trip count unrolls the loop; so does a flattened loop around it, if trip counts are constant
- TILE t and PARALLEL f make granules of f x t iterations; what is left of the trip count runs in single steps:
  gesummv v18, PARALLEL 8 of 90 takes 11 + 2 steps, PARALLEL 32 takes 2 + 26, and PARALLEL 16 TILE 2 takes 4 + 26
- a tile that does not fit (f x t > trip) is none
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cost_model.hls.plan import LoopPlan, Plan
from design.core import Bools, Floats, Ints
from design.hls.design import COARSE, FLATTEN, OFF
from design.hls.loop_nest import PARALLEL, PIPELINE, TILE


@dataclass(frozen=True)
class Shape:
    """A loop in n designs, (n,) each. `full`: unrolled away. `copies` of the body side by side, `steps` of the loop
    with all copies, `rest` steps of one copy, in `tiles` pieces of `tile` steps. `leaf`: nothing but unrolled loops
    within, so that the tool pipelines it. `coarse`: its stages may overlap. `stated` is the factor of the PARALLEL
    directive, `tiled` whether TILE does anything. `block`: it and all within are unrolled."""

    full: Bools
    copies: Floats
    steps: Floats
    rest: Floats
    tiles: Floats
    tile: Floats
    leaf: Bools
    block: Bools
    coarse: Bools
    stated: Floats
    tiled: Bools

    @property
    def total(self) -> Floats:
        """Steps, of all copies or of one."""
        return self.steps + self.rest


def shapes(plan: Plan, columns: Mapping[str, Ints], count: int) -> tuple[Shape, ...]:
    """Of all loops, by number (outer loops come before inner ones)."""
    directives = [_directives(plan, loop, columns, count) for loop in plan.loops]
    unrolled: list[Bools] = []
    flattened: list[Bools] = []  # by a loop around
    for loop, (_, _, parallel) in zip(plan.loops, directives, strict=True):
        above = np.zeros(count, dtype=bool)
        if loop.parent is not None:
            above = flattened[loop.parent]
            if plan.loops[loop.parent].fixed:  # a loop around one of variable trip count cannot be flattened
                above = above | (directives[loop.parent][0] == FLATTEN)
        flattened.append(above)
        unrolled.append((above | (parallel >= loop.trip)) & loop.constant)
    leaves = [_all([unrolled[i] for i in plan.kernel.inside(loop.number)], count) for loop in plan.loops]
    return tuple(
        _shape(loop, *directives[loop.number], unrolled[loop.number], leaves[loop.number]) for loop in plan.loops
    )


def _shape(loop: LoopPlan, pipe: Ints, tile: Floats, parallel: Floats, full: Bools, leaf: Bools) -> Shape:
    trip = loop.trip
    copies = np.where(full, trip, np.minimum(parallel, trip))
    tile = np.where((tile >= trip) | full, 1.0, tile)
    tile = np.where(copies * tile > trip, 1.0, tile)
    tiled = tile > 1
    tiles = np.maximum(np.floor(trip / (copies * tile) + 1e-9), 0.0)
    steps = tiles * tile
    rest = np.maximum(trip - steps * copies, 0.0)
    return Shape(
        full=full,
        copies=copies,
        steps=steps,
        rest=rest,
        tiles=np.where(tiled, tiles, 1.0),
        tile=np.where(tiled, tile, np.maximum(steps, 1.0)),
        leaf=leaf & ~full,
        block=leaf & full,
        coarse=(pipe == COARSE) & ~full & ~leaf,
        stated=np.minimum(parallel, trip),
        tiled=tiled,
    )


def _directives(plan: Plan, loop: LoopPlan, columns: Mapping[str, Ints], count: int) -> tuple[Ints, Floats, Floats]:
    """PIPELINE, TILE and PARALLEL of a loop, (n,) each."""
    values: dict[str, Ints] = {}
    for kind, default in ((PIPELINE, OFF), (TILE, 1), (PARALLEL, 1)):
        directive = plan.kernel.loops[loop.number].directives.get(kind)
        found: Ints = np.full(count, default, dtype=np.int64)
        if directive is not None and directive.parameter is not None:
            found = columns[directive.parameter]
        elif directive is not None and isinstance(directive.value, int):
            found = np.full(count, directive.value, dtype=np.int64)
        values[kind] = found
    return values[PIPELINE], values[TILE].astype(np.float64), values[PARALLEL].astype(np.float64)


def _all(flags: list[Bools], count: int) -> Bools:
    found = np.ones(count, dtype=bool)
    for flag in flags:
        found = found & flag
    return found
