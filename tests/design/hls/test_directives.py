"""Which directives make the same design: each rule alone, and all of them against a slow definition of their own."""

from __future__ import annotations

import time
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from design.core import Batch, Ints
from design.hls.design import COARSE, FLATTEN, OFF, TARGETS, choices, hls_schema
from design.hls.directives import RULES, broken, canonical, legal
from design.hls.loop_nest import PARALLEL, PIPELINE, TILE, Kernel
from tests.cases import examples
from tests.small_kernels import DEEP, FIXED, FORKED, GEMM, RAGGED, SMALL, TINY, Nest, kernel_of

Row = dict[str, int]
WORDS = {"off": OFF, "coarse": COARSE, "flatten": FLATTEN}


def design(kernel: Kernel, text: str) -> Row:
    """A design from text like 'P0=flatten F1=4'; what is not said is left out of the source."""
    row = {p.name: choices(kernel, p)[0] for p in kernel.parameters}
    said = dict(part.split("=") for part in text.split())
    assert set(said) <= set(row)
    return row | {name: WORDS[value] if value in WORDS else int(value) for name, value in said.items()}


def columns(rows: list[Row]) -> dict[str, Ints]:
    """Designs by column."""
    return {name: np.array([row[name] for row in rows], dtype=np.int64) for name in rows[0]}


def rows_of(table: dict[str, Ints]) -> list[Row]:
    """The inverse."""
    listed = {name: values.tolist() for name, values in table.items()}
    return [{n: v[i] for n, v in listed.items()} for i in range(len(next(iter(listed.values()))))]


def every(kernel: Kernel) -> dict[str, Ints]:
    """All combinations of values on offer."""
    values = [choices(kernel, p) for p in kernel.parameters]
    return columns([dict(zip((p.name for p in kernel.parameters), row, strict=True)) for row in product(*values)])


LEAF = kernel_of(Nest(8, "PTF"))
SAME = [
    # flatten unrolls what is inside
    (GEMM, "P0=flatten F1=7 P2=coarse T2=4 F3=70", "P0=flatten"),
    (GEMM, "P2=flatten F3=35 F1=5", "P2=flatten F1=5"),
    # ... but no loop of variable trip count, nor does coarse unroll anything
    (RAGGED, "P0=flatten P1=coarse F2=2", "P0=flatten P1=coarse F2=2"),
    (GEMM, "P2=coarse F3=35", "P2=coarse F3=35"),
    # with no loop inside, flatten is coarse; off is not
    (LEAF, "P0=flatten", "P0=coarse"),
    (LEAF, "P0=off", "P0=off"),
    # a fully parallel loop
    (GEMM, "P2=coarse F2=80 F3=7", "F2=80 F3=7"),
    (GEMM, "T2=4 F2=80 F3=7", "F2=80 F3=7"),
    (GEMM, "P2=flatten F2=80", "P2=flatten F2=80"),
    (LEAF, "P0=flatten F0=8", "F0=8"),
    (GEMM, "P2=coarse F2=40 F3=7", "P2=coarse F2=40 F3=7"),
    # a tiled loop
    (GEMM, "P0=coarse T0=4", "T0=4"),
    (GEMM, "P0=coarse T0=60 F1=7", "P0=coarse T0=60 F1=7"),
    (GEMM, "P0=flatten T0=4", "P0=flatten T0=4"),
    # one tile
    (GEMM, "P0=coarse T0=60", "P0=coarse"),
    (GEMM, "T2=80", ""),
    (GEMM, "P0=flatten T0=60", "P0=flatten T0=60"),
    (GEMM, "T2=80 F3=2", "T2=80 F3=2"),
    (GEMM, "T0=60 T2=80 P2=flatten", "T2=80 P2=flatten"),
    (GEMM, "T0=60 P2=flatten F3=7", "P2=flatten"),
    # a parallel loop around unrolled ones
    (GEMM, "F2=4 F3=70", "P2=flatten F2=4"),
    (GEMM, "F2=4 F3=70 P2=coarse", "P2=flatten F2=4"),
    (GEMM, "F2=1 F3=70", "F3=70"),
    (GEMM, "F2=4 F3=35", "F2=4 F3=35"),
    (GEMM, "F2=4 T2=2 F3=70", "F2=4 T2=2 F3=70"),
    (GEMM, "F0=4 F1=70 F2=80 F3=70", "P0=flatten F0=4"),
    (GEMM, "F0=4 F1=70 F2=80 P2=flatten", "P0=flatten F0=4"),
    (GEMM, "F0=4 F1=35 F2=80 F3=70", "F0=4 F1=35 P2=flatten F2=80"),
    (RAGGED, "F0=2 F2=3", "F0=2 F2=3"),
    # fixed directives count
    (FIXED, "F0=2 F2=2", "P0=flatten F0=2"),
    (FIXED, "T0=4", "T0=4"),
]


@pytest.mark.parametrize(("kernel", "said", "stands"), SAME, ids=[f"{k.name}: {s}" for k, s, _ in SAME])
def test_rule(kernel: Kernel, said: str, stands: str) -> None:
    """A design and the one that stands for it."""
    table = columns([design(kernel, said)])
    before = {name: values.copy() for name, values in table.items()}
    assert rows_of(canonical(kernel, table)) == [design(kernel, stands)]
    assert all(np.array_equal(table[name], before[name]) for name in table)


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_matters(rule: str) -> None:
    """Without it, some of the designs above come out otherwise."""
    others = [r for r in RULES if r != rule]
    differ = 0
    for kernel, said, stands in SAME:
        differ += rows_of(canonical(kernel, columns([design(kernel, said)]), others)) != [design(kernel, stands)]
    assert differ
    assert rows_of(canonical(GEMM, columns([design(GEMM, "P0=flatten F1=7")]), ())) == [design(GEMM, "P0=flatten F1=7")]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("F0=64", "F0 is more than the 60 iterations of its loop"),
        ("F0=7", "F0 is none of 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 16, 20, 30, 32, 60"),
        ("T0=3", "T0 is none of 1, 2, 4, 8, 60"),
        ("P0=4", "P0 is none of off, coarse, flatten"),
        ("T0=8 F0=10", "T0 times F0 is more than the 60 iterations"),
    ],
)
def test_broken(said: str, reason: str) -> None:
    """Each reason, beside a row that is in order."""
    found = broken(GEMM, columns([design(GEMM, ""), design(GEMM, said), design(GEMM, "T0=4 F0=15")]))
    assert found[reason].tolist() == [False, True, False]
    assert not broken(GEMM, columns([design(GEMM, ""), design(GEMM, "F0=60")]))


def test_legal_keeps_the_copies() -> None:
    """Of a tile and copies that do not go together, the tile gives way, to the next smaller on offer."""
    table = legal(GEMM, columns([design(GEMM, t) for t in ("T0=8 F0=10", "T0=60 F0=60", "T0=8 F0=6", "T2=80 F2=2")]))
    assert rows_of(table) == [design(GEMM, t) for t in ("T0=4 F0=10", "F0=60", "T0=8 F0=6", "T2=8 F2=2")]


@pytest.mark.parametrize("kernel", SMALL, ids=lambda k: k.name)
def test_all_combinations(kernel: Kernel) -> None:
    """Standing is a fixed point, standing for designs in order is in order, and classes are those of `classes`."""
    table = every(kernel)
    found = canonical(kernel, table)
    again = canonical(kernel, found)
    assert all(np.array_equal(found[name], again[name]) for name in found)
    ok = canonical(kernel, legal(kernel, table))
    assert not broken(kernel, ok)
    rows, stands = rows_of(table), rows_of(found)
    names = classes(kernel, rows)
    pairs = {(name, tuple(stand.values())) for name, stand in zip(names, stands, strict=True)}
    assert len(pairs) == len({name for name, _ in pairs}) == len({stand for _, stand in pairs})


def classes(kernel: Kernel, rows: list[Row]) -> list[int]:
    """Of each design the number of its class: those that single applications of rules lead from one to another."""
    number = {tuple(row.values()): i for i, row in enumerate(rows)}
    leader = list(range(len(rows)))

    def find(i: int) -> int:
        while leader[i] != i:
            i = leader[i]
        return i

    for i, row in enumerate(rows):
        for other in neighbours(kernel, row):
            leader[find(number[tuple(other.values())])] = find(i)
    return [find(i) for i in range(len(rows))]


def neighbours(kernel: Kernel, row: Row) -> list[Row]:
    """Designs that a single rule says are the same, one change at a time, in plain words."""
    found: list[Row] = []
    for loop in kernel.loops:
        names = {p.kind: p.name for p in kernel.parameters if p.loop == loop.number}
        trip, inside = trip_of(kernel, loop.number), kernel.inside(loop.number)
        constant = all(trip_of(kernel, n) is not None for n in inside)
        pipe, tile, copies = (value(kernel, row, loop.number, kind) for kind in (PIPELINE, TILE, PARALLEL))
        bare = {p.name: choices(kernel, p)[0] for p in kernel.parameters if p.loop in inside}
        if inside and constant and pipe == FLATTEN:
            found.append(row | bare)
        if PIPELINE in names and not inside and pipe == FLATTEN:
            found.append(row | {names[PIPELINE]: COARSE})
        if trip is not None and copies == trip:
            found += [row | {names[TILE]: 1}] if TILE in names else []
            found += [row | {names[PIPELINE]: OFF}] if PIPELINE in names and pipe == COARSE else []
        if trip is not None and 1 < tile < trip and pipe == COARSE and PIPELINE in names:
            found.append(row | {names[PIPELINE]: OFF})
        quiet = all(value(kernel, row, n, PARALLEL) == 1 for n in (loop.number, *inside))
        if TILE in names and tile == trip and pipe != FLATTEN and quiet:
            found.append(row | {names[TILE]: 1})
        if PIPELINE in names and inside and constant and copies > 1 and tile == 1:
            directly = [child.number for child in loop.loops]
            if all(unrolled(kernel, row, n) for n in directly):
                found.append(row | bare | {names[PIPELINE]: FLATTEN})
    return found


def unrolled(kernel: Kernel, row: Row, number: int) -> bool:
    """Whether nothing is left of a loop and of those inside."""
    loop, inside = kernel.loops[number], kernel.inside(number)
    if value(kernel, row, number, PARALLEL) != trip_of(kernel, number):
        return False
    constant = all(trip_of(kernel, n) is not None for n in inside)
    if inside and constant and value(kernel, row, number, PIPELINE) == FLATTEN:
        return True
    return all(unrolled(kernel, row, child.number) for child in loop.loops)


def trip_of(kernel: Kernel, number: int) -> int | None:
    """Of a loop, where it is known."""
    trip = kernel.loops[number].trip
    return trip.most if trip.least == trip.most else None


def value(kernel: Kernel, row: Row, number: int, kind: str) -> int:
    """Of a directive: chosen, fixed or absent."""
    directive = kernel.loops[number].directives.get(kind)
    if directive is None:
        return OFF if kind == PIPELINE else 1
    if directive.parameter is not None:
        return row[directive.parameter]
    assert isinstance(directive.value, int)
    return directive.value


@st.composite
def nests(draw: st.DrawFn, depth: int = 3) -> Nest:
    """A random loop with loops inside."""
    trip = draw(st.sampled_from([1, 2, 3, 4, 6, None]))
    chosen = "".join(c for c in "PTF" if draw(st.booleans()))
    inside = draw(st.lists(nests(depth - 1), max_size=2)) if depth > 1 else []
    fixed = ((PARALLEL, draw(st.sampled_from([1, 2, 4]))),) if "F" not in chosen and draw(st.booleans()) else ()
    return Nest(trip, chosen, tuple(inside), fixed)


@examples(60)
@given(st.lists(nests(), min_size=1, max_size=2), st.integers(0, 2**32))
def test_any_kernel(made: list[Nest], seed: int) -> None:
    """On random designs of random kernels: idempotent, in order, on offer; equal designs have equal keys."""
    kernel = kernel_of(*made)
    if not kernel.parameters:
        return
    rng = np.random.default_rng(seed)
    table = {p.name: rng.choice(choices(kernel, p), 40).astype(np.int64) for p in kernel.parameters}
    found = canonical(kernel, legal(kernel, table))
    again = canonical(kernel, legal(kernel, found))
    assert all(np.array_equal(found[name], again[name]) for name in found)
    assert not broken(kernel, found)
    stands = canonical(kernel, table)
    schema = hls_schema(kernel, TARGETS["v20"])
    for row, stand in zip(rows_of(table), rows_of(stands), strict=True):
        for other in neighbours(kernel, row):
            assert rows_of(canonical(kernel, columns([other]))) == [stand]
            keys = schema.key(Batch(schema, canonical(kernel, columns([other, row]))))
            assert (keys[0] == keys[1]).all()


def test_a_million_designs() -> None:
    """Fourteen parameters, a million designs: about half a second on one core; ten times that is a fault."""
    nest = Nest(40, "PTF", (Nest(50, "PTF", (Nest(70, "F"),)),))
    kernel = kernel_of(nest, nest)
    rng = np.random.default_rng(0)
    table = {p.name: rng.choice(choices(kernel, p), 1_000_000) for p in kernel.parameters}
    begin = time.process_time()
    canonical(kernel, table)
    assert len(table) == 14 and time.process_time() - begin < 5


def test_no_rows() -> None:
    """Nothing in, nothing out."""
    for kernel in (TINY, DEEP, FORKED):
        table = {p.name: np.empty(0, dtype=np.int64) for p in kernel.parameters}
        assert all(len(v) == 0 for v in canonical(kernel, legal(kernel, table)).values())
        assert not broken(kernel, table)
