"""What of a kernel does not depend on the design: depths of statements, recurrences, accesses, sizes of arrays.

Computed once a kernel and set of constants, so that a batch of designs costs a few numpy operations a loop.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cost_model.hls.constants import HlsConstants
from design.hls.loop_nest import CONSTANT, PARALLEL, Access, Affine, Array, Kernel, Loop, Recurrence, Statement

MAX_BURST = 8  # 64-bit words of a transfer: the interfaces are 512 bits wide
FLOAT_ADDERS = ("add.f64", "add.f32")
FLOAT_MULTIPLIERS = ("mul.f64", "mul.f32")
DIVIDERS = ("div", "mod", "sqrt", "pow", "call")


@dataclass(frozen=True)
class Chain:
    """A recurrence as the model sees it: `interval` cycles from one value to the next, `tree` says that parallel
    copies are joined by a tree rather than by a longer chain. `scope` are inner loops that carry it, too."""

    interval: float
    distance: float
    tree: bool
    scope: tuple[int, ...]


@dataclass(frozen=True)
class LoopPlan:
    """A loop: `items` are ("loop", number) and ("depth", cycles) in source order; `fixed` whether all loops within
    have constant trip counts, so that they can be unrolled. `operations` counts one iteration's own statements.
    `touched` maps arrays to accesses of one iteration's own statements. `carries`: a value passes between iterations.
    `sinks`: it holds one loop, and before it nothing but reads of scalars, so that both can become one loop."""

    number: int
    trip: float
    constant: bool
    fixed: bool
    parent: int | None
    inner: tuple[int, ...]
    items: tuple[tuple[str, float], ...]
    chains: tuple[Chain, ...]
    operations: Mapping[str, float]
    touched: Mapping[str, float]
    carries: bool
    sinks: bool


@dataclass(frozen=True)
class ArrayPlan:
    """An array: `index` lists for each dimension the loops that move through it; `burst` words of a transfer."""

    name: str
    elements: float
    shape: tuple[float, ...]
    bits: int
    burst: float
    read: bool
    written: bool
    argument: bool
    index: tuple[frozenset[int], ...]
    indirect: bool


@dataclass(frozen=True)
class Plan:
    """A kernel: loops by number, arrays, and the loops and statements outside all loops."""

    kernel: Kernel = field(repr=False)
    loops: tuple[LoopPlan, ...]
    arrays: tuple[ArrayPlan, ...]
    top: tuple[tuple[str, float], ...]
    operations: Mapping[str, float]


def plan(kernel: Kernel, constants: HlsConstants) -> Plan:
    """The plan of a kernel."""
    loops = tuple(_loop(kernel, loop, constants) for loop in kernel.loops)
    outside = [item for item in kernel.body if isinstance(item, Statement)]
    return Plan(kernel, loops, _arrays(kernel), _items(kernel.body, constants), _operations(outside))


def latency(operation: str, constants: HlsConstants) -> float:
    """Cycles of one operation, such as 'add.f64'."""
    kind, _, ctype = operation.partition(".")
    floating = ctype.startswith("f")
    if kind in ("add", "sub"):
        return constants.add_cycles if floating else constants.logic_cycles
    if kind == "mul":
        return constants.mul_cycles if floating else constants.int_mul_cycles
    if kind in DIVIDERS:
        return constants.div_cycles * (2.0 if kind == "pow" else 1.0)
    return constants.logic_cycles


def depth(statement: Statement, constants: HlsConstants) -> float:
    """Cycles from a statement's loads to its store. Additions of floating numbers stay in source order (the tools may
    not reassociate them); multiplications mostly stand side by side, so they count by levels of a tree."""
    found = constants.memory_cycles if statement.accesses else 0.0
    for operation, count in statement.operations.items():
        levels = float(math.ceil(math.log2(1 + count))) if operation in FLOAT_MULTIPLIERS else float(count)
        if not operation.startswith(DIVIDERS) and operation.split(".")[-1][0] != "f":
            levels = math.log2(1 + count)
        found += latency(operation, constants) * levels
    return max(found, constants.logic_cycles)


def _items(body: Iterable[Loop | Statement], constants: HlsConstants) -> tuple[tuple[str, float], ...]:
    found: list[tuple[str, float]] = []
    for item in body:
        if isinstance(item, Loop):
            found.append(("loop", item.number))
        else:
            found.append(("depth", depth(item, constants)))
    return tuple(found)


def _operations(statements: Iterable[Statement]) -> dict[str, float]:
    found: Counter[str] = Counter()
    for statement in statements:
        found.update(statement.operations)
    return {name: float(count) for name, count in found.items()}


def _loop(kernel: Kernel, loop: Loop, constants: HlsConstants) -> LoopPlan:
    inner = kernel.inside(loop.number)
    carried = [r for r in kernel.recurrences if r.loop == loop.number]
    accesses: Counter[str] = Counter(a.array for s in loop.statements for a in s.accesses)
    return LoopPlan(
        number=loop.number,
        trip=max(float(loop.trip.mean), 1.0),
        constant=loop.trip.kind == CONSTANT,
        fixed=all(kernel.loops[i].trip.kind == CONSTANT for i in inner),
        parent=loop.parent,
        inner=tuple(item.number for item in loop.loops),
        items=_items(loop.body, constants),
        chains=(*(_chain(kernel, loop, r, constants) for r in carried), *_feared(loop, constants)),
        carries=bool(carried),
        sinks=_sinks(loop),
        operations=_operations(loop.statements),
        touched={name: float(count) for name, count in accesses.items()},
    )


def _chain(kernel: Kernel, loop: Loop, recurrence: Recurrence, constants: HlsConstants) -> Chain:
    cycles = sum(latency(operation, constants) for operation in recurrence.chain)
    through_memory = recurrence.variable in kernel.arrays
    floating = any(operation.split(".")[-1].startswith("f") for operation in recurrence.chain)
    directive = loop.directives.get(PARALLEL)
    named = directive is not None and directive.reduction is not None
    if through_memory:
        cycles += constants.carried_cycles
    scope = tuple(
        r.loop for r in kernel.recurrences if r.variable == recurrence.variable and r.loop in kernel.inside(loop.number)
    )
    interval = max(cycles, 1.0)
    if named and recurrence.reduction:
        # Vitis-era Merlin accumulates a named reduction in several partial sums: atax of v20 takes one value a
        # cycle with it, gesummv, whose reduction is not named, one in seven.
        interval = min(interval, max(constants.named_reduction_cycles, 1.0))
    tree = recurrence.reduction and (named or not floating)
    return Chain(interval, float(max(recurrence.distance or 1, 1)), tree, scope)


def _feared(loop: Loop, constants: HlsConstants) -> list[Chain]:
    """A recurrence that is none but that the tool cannot rule out: a statement writes an array where it also reads
    it through another index that moves with the loop. trmm (reads B[k][j], writes B[i][j] for k > i) takes the whole
    depth of the statement for each iteration, in every one of its designs."""
    found = []
    for statement in loop.statements:
        for write in (a for a in statement.accesses if a.write):
            reads = [a for a in statement.accesses if not a.write and a.array == write.array]
            moves = {loop.number in _movers(a.index) for a in (*reads, write)}
            if len(moves) == 2:
                found.append(Chain(depth(statement, constants) + constants.carried_cycles, 1.0, False, ()))
    return found


def _movers(index: Iterable[Affine | None]) -> set[int]:
    return {loop for place in index if place is not None for loop, _ in place.terms}


def _sinks(loop: Loop) -> bool:
    return (
        len(loop.loops) == 1
        and isinstance(loop.body[-1], Loop)
        and not any(access.write for statement in loop.statements for access in statement.accesses)
    )


def _arrays(kernel: Kernel) -> tuple[ArrayPlan, ...]:
    accesses: dict[str, list[Access]] = {name: [] for name in kernel.arrays}
    for statement in kernel.statements:
        for access in statement.accesses:
            accesses[access.array].append(access)
    return tuple(_array(array, accesses[name]) for name, array in kernel.arrays.items())


def _array(array: Array, accesses: list[Access]) -> ArrayPlan:
    shape = tuple(float(size or 1) for size in array.shape)
    moves: list[set[int]] = [set() for _ in shape]
    for access in accesses:
        for place, index in enumerate(access.index[: len(shape)]):
            if index is not None:
                moves[place] |= {loop for loop, _ in index.terms}
    last = int(shape[-1]) if shape else 1
    words = MAX_BURST * 64 // max(array.bits, 1)
    return ArrayPlan(
        name=array.name,
        elements=math.prod(shape),
        shape=shape,
        bits=array.bits,
        burst=float(math.gcd(max(last, 1), max(words, 1))),
        read=any(not access.write for access in accesses),
        written=any(access.write for access in accesses),
        argument=array.role == "argument",
        index=tuple(frozenset(move) for move in moves),
        indirect=any(index is None for access in accesses for index in access.index),
    )
