"""What directives do to a loop nest, as a table of fixed width: trips left, copies made, operations and traffic.

A coarse reading of the directives, the same for every kernel: a flattened loop unrolls all inside it, PARALLEL makes
copies, a pipelined loop starts an iteration every II cycles. Trees learn the rest. Magnitudes are in log2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from design.core import Bools, Floats, Ints
from design.hls.design import FLATTEN, OFF
from design.hls.loop_nest import CONSTANT, PARALLEL, PIPELINE, TILE, Kernel, Statement

LEVELS = 4  # of depth that are told apart, from outside and from inside
LATENCY = {"add": 8, "mul": 6, "div": 30, "sqrt": 30, "pow": 60, "call": 20, "mod": 30}  # cycles of float operations
WHOLE = {"mul": 3, "div": 36, "mod": 36, "call": 20}  # and of integers; others take one
GROUPS = ("fadd", "fmul", "fhard", "imul", "other")


@dataclass(frozen=True)
class Unrolled:
    """A kernel's loops under n designs, (n, loops) each: `copies` of the body side by side, `trips` left to run, which
    are pipelined and which lie in a flattened one, `tile` factors; `parent` and `depth` (loops,)."""

    copies: Floats
    trips: Floats
    pipelined: Bools
    flattened: Bools
    tile: Floats
    depth: Ints
    height: Ints


def unrolled(kernel: Kernel, columns: Mapping[str, Ints]) -> Unrolled:
    """`columns` by parameter, (n,) each."""
    count, loops = len(next(iter(columns.values()))), kernel.loops
    values = {kind: np.full((count, len(loops)), OFF if kind == PIPELINE else 1) for kind in (PIPELINE, TILE, PARALLEL)}
    for parameter in kernel.parameters:
        values[parameter.kind][:, parameter.loop] = columns[parameter.name]
    trip = np.array([max(loop.trip.mean, 1.0) for loop in loops])
    flattened = np.zeros((count, len(loops)), dtype=bool)
    depth, height = np.zeros(len(loops), dtype=np.int64), np.zeros(len(loops), dtype=np.int64)
    for loop in loops:
        if loop.parent is not None:
            above = values[PIPELINE][:, loop.parent] == FLATTEN
            flattened[:, loop.number] = flattened[:, loop.parent] | above
            depth[loop.number] = depth[loop.parent] + 1
    for loop in reversed(loops):
        height[loop.number] = max((height[inner.number] + 1 for inner in loop.loops), default=0)
    copies = np.where(flattened, trip, np.minimum(values[PARALLEL], trip))
    return Unrolled(
        copies=copies,
        trips=np.maximum(trip / copies, 1.0),
        pipelined=(values[PIPELINE] != OFF) & ~flattened,
        flattened=flattened,
        tile=np.minimum(values[TILE], trip),
        depth=depth,
        height=height,
    )


def nest_features(kernel: Kernel, columns: Mapping[str, Ints]) -> Floats:
    """(n, width) of n designs, the same width for every kernel."""
    seen = unrolled(kernel, columns)
    count = len(seen.copies)
    parts = [
        *(_levels(seen, np.log2(values)) for values in (seen.copies, seen.tile)),
        *(_levels(seen, flags.astype(np.float64)) for flags in (seen.pipelined, seen.flattened)),
        _statements(kernel, seen),
        _traffic(kernel, seen),
        np.tile(_constants(kernel, seen), (count, 1)),
    ]
    return np.concatenate(parts, axis=1)


def _levels(seen: Unrolled, values: Floats) -> Floats:
    """(n, 4 LEVELS + 2): sums and maxima of (n, loops) by depth from outside and from inside, and over all."""
    parts = []
    for place in (seen.depth, seen.height):
        for level in range(LEVELS):
            here = values[:, np.minimum(place, LEVELS - 1) == level]
            parts += [here.sum(axis=1), here.max(axis=1, initial=0)]
    return np.stack([*parts, values.sum(axis=1), values.max(axis=1, initial=0)], axis=1)


def _operations(statement: Statement) -> tuple[Floats, float]:
    """How many of each of GROUPS, and the cycles of all one after another."""
    counts, cycles = np.zeros(len(GROUPS)), 1.0
    for operation, times in statement.operations.items():
        name, _, kind = operation.partition(".")
        floating = kind.startswith("f")
        hard = {"add": "fadd", "mul": "fmul"}.get(name, "fhard" if name in LATENCY else "other")
        group = hard if floating else ("imul" if name == "mul" else "other")
        counts[GROUPS.index(group)] += times
        cycles += times * (LATENCY if floating else WHOLE).get(name, 1)
    return counts, cycles


def _statements(kernel: Kernel, seen: Unrolled) -> Floats:
    """(n, 12): operations in hardware by group, trips and rough cycles over all statements, and the largest II."""
    count = len(seen.copies)
    hardware, trips, rough = np.zeros((count, len(GROUPS))), np.zeros(count), np.zeros(count)
    most, pipelined_trips, inside = np.zeros(count), np.zeros(count), np.zeros(count)
    interval = _intervals(kernel, seen)
    for statement in kernel.statements:
        operations, cycles = _operations(statement)
        loops = list(statement.loops)
        copies, left = seen.copies[:, loops].prod(axis=1), seen.trips[:, loops].prod(axis=1)
        hardware += copies[:, None] * operations
        # The statement starts every II cycles where its innermost loop that is not unrolled away is pipelined.
        alone, start = np.ones(count, dtype=bool), np.full(count, cycles)
        for loop in reversed(loops):
            here = alone & seen.pipelined[:, loop]
            start = np.where(here, interval[:, loop], start)
            pipelined_trips = np.maximum(pipelined_trips, np.where(here, seen.trips[:, loop], 0))
            alone &= ~seen.pipelined[:, loop] & (seen.flattened[:, loop] | (seen.trips[:, loop] <= 1))
        trips, rough, most = trips + left, rough + left * start, np.maximum(most, left * start)
        inside = np.maximum(inside, copies)
    longest = interval.max(axis=1, initial=1)
    totals = [trips, rough, most, pipelined_trips, inside, longest]
    return np.log2(1 + np.concatenate([hardware, np.stack(totals, axis=1)], axis=1))


def _intervals(kernel: Kernel, seen: Unrolled) -> Floats:
    """(n, loops) the least II that recurrences allow. Copies of a loop that carries one wait for each other."""
    interval = np.ones_like(seen.copies)
    for recurrence in kernel.recurrences:
        cycles = 1.0 + sum(
            (LATENCY if kind.startswith("f") else WHOLE).get(name, 1)
            for name, _, kind in (word.partition(".") for word in recurrence.chain)
        )
        loop = recurrence.loop
        times = np.log2(1 + seen.copies[:, loop]) if recurrence.reduction else seen.copies[:, loop]
        need = cycles * np.maximum(times, 1) / max(recurrence.distance or 1, 1)
        interval[:, loop] = np.maximum(interval[:, loop], need)
    return interval


def _traffic(kernel: Kernel, seen: Unrolled) -> Floats:
    """(n, 5): accesses side by side of the busiest array, argument bytes, bytes moved by the loops' trips."""
    count = len(seen.copies)
    ports = {name: np.zeros(count) for name in kernel.arrays}
    moved = np.zeros(count)
    for statement in kernel.statements:
        for access in statement.accesses:
            used = {loop for index in access.index if index is not None for loop, _ in index.terms}
            used = set(statement.loops) if None in access.index else used
            at_once = seen.copies[:, [loop for loop in statement.loops if loop in used]].prod(axis=1)
            if access.array in ports:
                ports[access.array] += at_once
                moved += seen.trips[:, list(statement.loops)].prod(axis=1) * at_once * kernel.arrays[access.array].bits
    sizes = {a.name: float(np.prod([d or 1 for d in a.shape])) * a.bits / 8 for a in kernel.arrays.values()}
    outside = np.array([size for name, size in sizes.items() if kernel.arrays[name].role == "argument"] or [0.0])
    busiest = np.max([*ports.values()], axis=0) if ports else np.zeros(count)
    total = np.sum([*ports.values()], axis=0) if ports else np.zeros(count)
    constant = np.tile([outside.sum(), outside.max()], (count, 1))
    return np.log2(1 + np.concatenate([np.stack([busiest, total, moved], axis=1), constant], axis=1))


def _constants(kernel: Kernel, seen: Unrolled) -> Floats:
    """(7,) what does not depend on the design."""
    work = sum(float(np.prod([max(kernel.loops[loop].trip.mean, 1.0) for loop in s.loops])) for s in kernel.statements)
    fixed = sum(loop.trip.kind == CONSTANT for loop in kernel.loops)
    return np.array(
        [
            len(kernel.loops),
            len(kernel.statements),
            int(seen.depth.max(initial=0)),
            len(kernel.loops) - fixed,
            len(kernel.recurrences),
            len(kernel.arrays),
            np.log2(1 + work),
        ],
        dtype=np.float64,
    )
