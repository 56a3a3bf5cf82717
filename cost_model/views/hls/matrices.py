"""A kernel as three matrices, one row a token: iteration domain (A), array accesses (B), schedule and dependences (C).

A has a row for each loop. B has one for each statement, with its index coefficients by loop, and one for each array.
C has one for each recurrence; the order of loops and statements is the order of rows, and the loop that a row belongs
to is its place. Magnitudes are log2(1 + x), flags 0 or 1. Levels count from the innermost loop outwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cost_model.views.hls.nest_features import GROUPS, LATENCY, WHOLE
from design.core import Floats, Ints
from design.hls.loop_nest import (
    CONSTANT,
    PARALLEL,
    PIPELINE,
    TILE,
    TRIANGULAR,
    Access,
    Array,
    Kernel,
    Loop,
    Recurrence,
    Statement,
)

MOST_STATEMENTS = 24  # rows; a kernel of more is told in runs of statements of the same loops
LEVELS = 4  # of loops around a statement that are told apart
DIMENSIONS = 3  # of an array, from the last
ROLES = ("argument", "local", "constant")
LOOP, STATEMENT, ARRAY, RECURRENCE = KINDS = ("loop", "statement", "array", "recurrence")
WIDTHS = {LOOP: 19, STATEMENT: len(GROUPS) + 11 + 6 * LEVELS, ARRAY: 9 + DIMENSIONS, RECURRENCE: len(GROUPS) + 9}


@dataclass(frozen=True)
class KernelTokens:
    """By kind `rows[kind]` (count, WIDTHS[kind]) and `places[kind]` (count,): 1 + the number of the innermost loop
    that the row belongs to, 0 where it belongs to none."""

    rows: Mapping[str, Floats]
    places: Mapping[str, Ints]


def kernel_tokens(kernel: Kernel) -> KernelTokens:
    """The matrices of a kernel; nothing of a design."""
    runs = _runs(kernel)
    rows = {
        LOOP: [_loop(kernel, loop) for loop in kernel.loops],
        STATEMENT: [_run(kernel, run) for run in runs],
        ARRAY: [_array(kernel, array) for array in kernel.arrays.values()],
        RECURRENCE: [_recurrence(kernel, recurrence) for recurrence in kernel.recurrences],
    }
    places = {
        LOOP: [loop.number + 1 for loop in kernel.loops],
        STATEMENT: [max((loop + 1 for loop in run[0][1].loops), default=0) for run in runs],
        ARRAY: [0] * len(kernel.arrays),
        RECURRENCE: [recurrence.loop + 1 for recurrence in kernel.recurrences],
    }
    return KernelTokens(
        {kind: np.array(rows[kind], dtype=np.float64).reshape(-1, WIDTHS[kind]) for kind in KINDS},
        {kind: np.array(places[kind], dtype=np.int64) for kind in KINDS},
    )


def chain_cycles(chain: Sequence[str]) -> float:
    """A rough latency of operations one after another."""
    words = [word.partition(".") for word in chain]
    return float(sum((LATENCY if kind.startswith("f") else WHOLE).get(name, 1) for name, _, kind in words))


def _around(kernel: Kernel, loop: Loop) -> list[Loop]:
    """A loop and those around it, outer ones last."""
    found = [loop]
    while found[-1].parent is not None:
        found.append(kernel.loops[found[-1].parent])
    return found


def _trips(loops: Sequence[Loop]) -> float:
    return float(np.prod([max(loop.trip.mean, 1.0) for loop in loops]))


def _log(value: float) -> float:
    return float(np.log2(1 + value))


def _loop(kernel: Kernel, loop: Loop) -> list[float]:
    around, inside = _around(kernel, loop), [kernel.loops[number] for number in kernel.inside(loop.number)]
    within = [s for s in kernel.statements if loop.number in s.loops]
    work = sum(_trips([kernel.loops[n] for n in s.loops]) for s in within) / _trips(around[1:])
    carried = [r for r in kernel.recurrences if r.loop == loop.number and r.cycle]
    slowest = max((chain_cycles(r.chain) / max(r.distance or 1, 1) for r in carried), default=0.0)
    fixed = [d for d in loop.directives.values() if d.parameter is None]
    return [
        _log(loop.trip.least),
        _log(loop.trip.most),
        _log(loop.trip.mean),
        loop.trip.kind == CONSTANT,
        loop.trip.kind == TRIANGULAR,
        len(around) - 1,
        max((len(_around(kernel, inner)) for inner in inside), default=len(around)) - len(around),
        len(loop.loops),
        _log(len(loop.statements)),
        _log(len(within)),
        _log(_trips(around[1:])),
        _log(work),
        *(kind in loop.directives for kind in (PIPELINE, TILE, PARALLEL)),
        len(fixed),
        _log(slowest),
        len(carried),
        all(r.reduction for r in carried),
    ]


def _runs(kernel: Kernel) -> list[list[tuple[int, Statement]]]:
    """The statements with their order, in runs that are told as one row: each alone unless there are very many."""
    longest = -(-len(kernel.statements) // MOST_STATEMENTS)
    runs: list[list[tuple[int, Statement]]] = []
    for order, statement in enumerate(kernel.statements):
        if runs and len(runs[-1]) < longest and runs[-1][0][1].loops == statement.loops:
            runs[-1].append((order, statement))
        else:
            runs.append([(order, statement)])
    return runs


def _run(kernel: Kernel, run: Sequence[tuple[int, Statement]]) -> list[float]:
    """Row of a run: the mean of its statements', and how many they are."""
    rows = np.array([_statement(kernel, statement, order) for order, statement in run])
    return [*rows.mean(axis=0).tolist(), _log(len(run))]


def _groups(operations: Mapping[str, int]) -> list[float]:
    counts = dict.fromkeys(GROUPS, 0)
    for operation, times in operations.items():
        name, _, kind = operation.partition(".")
        if kind.startswith("f"):
            counts[{"add": "fadd", "mul": "fmul"}.get(name, "fhard" if name in LATENCY else "other")] += times
        else:
            counts["imul" if name == "mul" else "other"] += times
    return [_log(counts[group]) for group in GROUPS]


def _statement(kernel: Kernel, statement: Statement, order: int) -> list[float]:
    loops = [kernel.loops[number] for number in statement.loops]
    operations = [name for name, times in statement.operations.items() for _ in range(times)]
    found = [
        *_groups(statement.operations),
        _log(sum(not access.write for access in statement.accesses)),
        _log(sum(access.write for access in statement.accesses)),
        _log(sum(None in access.index for access in statement.accesses)),
        statement.guards,
        _log(len(statement.reads)),
        _log(len(statement.writes)),
        len(loops),
        _log(_trips(loops)),
        _log(chain_cycles(operations)),
        order / max(len(kernel.statements), 1),
    ]
    for level in range(LEVELS):
        found += _level(kernel, statement, loops[-1 - level] if level < len(loops) else None)
    return found


def _level(kernel: Kernel, statement: Statement, loop: Loop | None) -> list[float]:
    """Row of B: how a statement's accesses move with one loop (6,)."""
    if loop is None:
        return [0.0] * 6
    steps = [_stride(kernel, access, loop.number) for access in statement.accesses]
    moving = [abs(step) for step in steps if step]
    still = [access for access, step in zip(statement.accesses, steps, strict=True) if not step]
    return [
        _log(loop.trip.mean),
        _log(len(moving)),
        _log(sum(step == 1 for step in moving)),
        _log(max(moving, default=0)),
        _log(len(still)),
        any(access.write for access in still),
    ]


def _stride(kernel: Kernel, access: Access, loop: int) -> int:
    """Elements that an access moves by with each iteration; an index that is not affine does not count."""
    array, step, size = kernel.arrays.get(access.array), 0, 1
    shape = array.shape if array is not None else ()
    for place in reversed(range(len(access.index))):
        index = access.index[place]
        if index is not None:
            step += index.coefficient(loop) * size
        size *= (shape[place] if place < len(shape) else None) or 1
    return step


def _array(kernel: Kernel, array: Array) -> list[float]:
    uses = [(s, a) for s in kernel.statements for a in s.accesses if a.array == array.name]
    moved = sum(_trips([kernel.loops[n] for n in s.loops]) for s, _ in uses)
    sizes = [float(size or 1) for size in reversed(array.shape)][:DIMENSIONS]
    return [
        np.log2(array.bits),
        array.floating,
        len(array.shape),
        _log(float(np.prod([float(size or 1) for size in array.shape]))),
        *map(_log, sizes),
        *[0.0] * (DIMENSIONS - len(sizes)),
        *(array.role == role for role in ROLES[:2]),
        _log(sum(not access.write for _, access in uses)),
        _log(sum(access.write for _, access in uses)),
        _log(moved),
    ]


def _recurrence(kernel: Kernel, recurrence: Recurrence) -> list[float]:
    loop = kernel.loops[recurrence.loop]
    counts: dict[str, int] = {}
    for word in recurrence.chain:
        counts[word] = counts.get(word, 0) + 1
    return [
        *_groups(counts),
        _log(recurrence.distance or 1),
        recurrence.distance is None,
        _log(len(recurrence.chain)),
        _log(chain_cycles(recurrence.chain)),
        recurrence.reduction,
        recurrence.cycle,
        recurrence.variable in kernel.arrays,
        _log(loop.trip.mean),
        len(_around(kernel, loop)) - 1,
    ]
