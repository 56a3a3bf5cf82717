"""Random loop nests as C text: trips, indices and recurrences are those of a run of the same nest in Python."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from design.hls.loop_nest import CONSTANT, Access, Affine, Kernel
from frontends.c_kernel import parse_kernel
from tests.cases import examples

SIZE = 4096  # of arrays; indices are shifted into the middle
MIDDLE = 2000


@dataclass(frozen=True)
class Level:
    """One loop of a chain of loops: from start to end by step, both constant + factor x the variable outside."""

    start: tuple[int, int]
    end: tuple[int, int]
    step: int
    form: int  # of several ways to write the same loop

    def head(self, depth: int) -> str:
        """As C text."""
        v = f"v{depth}"
        start, end = (f"{c} + {f} * v{depth - 1}" if depth and f else f"{c}" for c, f in (self.start, self.end))
        up = self.step > 0
        test = {
            0: f"{v} {'<' if up else '>'} {end}",
            1: f"{v} {'<=' if up else '>='} {end} {'-' if up else '+'} 1",
            2: f"{end} {'>' if up else '<'} {v}",
            3: f"(long){v} {'<' if up else '>'} (int)({end})",
        }[self.form]
        size = abs(self.step)
        sign = "+" if up else "-"
        step = {
            0: f"{v} {sign}= {size}",
            1: f"{v} = {v} {sign} {size}",
            2: f"{v} {sign}= {size}",
            3: f"{v} {sign}= {size}",
        }
        if size == 1 and self.form in (2, 3):
            return f"for (int {v} = {start}; {test}; {f'{v}{sign}{sign}' if self.form == 2 else f'{sign}{sign}{v}'})"
        return f"for (int {v} = (int)({start}); {test}; {step[self.form]})"

    def values(self, outside: int) -> range:
        """What the variable is in turn."""
        return range(self.start[0] + self.start[1] * outside, self.end[0] + self.end[1] * outside, self.step)


@st.composite
def levels(draw: st.DrawFn, depth: int) -> Level:
    """A loop; the outermost hangs on nothing."""
    step = draw(st.sampled_from([1, 1, 1, 2, 3, -1, -1, -2]))
    factors = st.integers(-1, 2) if depth else st.just(0)
    low, length = draw(st.integers(-2, 3)), draw(st.integers(0, 5))
    start, end = (low, low + length) if step > 0 else (low + length, low)
    return Level((start, draw(factors)), (end, draw(factors)), step, draw(st.integers(0, 3)))


@st.composite
def nests(draw: st.DrawFn) -> tuple[tuple[Level, ...], list[tuple[int, ...]], list[tuple[int, ...]]]:
    """Up to three loops in each other, one store and up to two loads: per index constant and factors."""
    count = draw(st.integers(1, 3))
    nest = tuple(draw(levels(depth)) for depth in range(count))
    index = st.tuples(st.integers(-2, 2), *(st.sampled_from([0, 0, 1, 1, -1, 2, 5]) for _ in range(count)))
    dimensions = draw(st.integers(1, 2))
    store = [draw(index) for _ in range(dimensions)]
    loads = [draw(st.sampled_from([0, -1, 1, 2])) for _ in range(dimensions)]
    if draw(st.booleans()):  # uniform, or anything
        load = [(i[0] + by, *i[1:]) for i, by in zip(store, loads, strict=True)]
    else:
        load = [draw(index) for _ in range(dimensions)]
    return nest, store, load


def text_of(nest: tuple[Level, ...], store: list[tuple[int, ...]], load: list[tuple[int, ...]]) -> str:
    """The nest as a kernel: a[store] = a[load] + 1, through a temporary for the address."""
    shape = f"[{SIZE}]" * len(store)

    def element(index: list[tuple[int, ...]]) -> str:
        return "".join(
            f"[{MIDDLE} + {c} + {' + '.join(f'({f}) * v{d}' for d, f in enumerate(fs))}]" for c, *fs in index
        )

    heads = "\n".join(level.head(depth) + " {" for depth, level in enumerate(nest))
    body = f"int row = v{len(nest) - 1}; a{element(store)} = a{element(load)} + 1.0f; row++;"
    return f"void f(float a{shape}) {{\n{heads}\n{body}\n{'}' * len(nest)}\n}}\n"


def run(nest: tuple[Level, ...]) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """(counters, variables) of all iterations of the innermost body, in order."""
    points: list[tuple[tuple[int, ...], tuple[int, ...]]] = [((), ())]
    for level in nest:
        points = [
            ((*counters, n), (*values, value))
            for counters, values in points
            for n, value in enumerate(level.values(values[-1] if values else 0))
        ]
    return points


def at(index: tuple[Affine | None, ...], counters: tuple[int, ...]) -> tuple[int, ...]:
    """An index map at a point."""
    assert all(form is not None for form in index)
    return tuple(f.constant + sum(c * counters[n] for n, c in f.terms) for f in index if f is not None)


def place(index: list[tuple[int, ...]], values: tuple[int, ...]) -> tuple[int, ...]:
    """An index as the C text means it."""
    return tuple(MIDDLE + c + sum(f * v for f, v in zip(fs, values, strict=True)) for c, *fs in index)


def accesses_of(kernel: Kernel) -> tuple[Access, Access]:
    """The load and the store."""
    (load, store) = next(s.accesses for s in kernel.statements if s.accesses)
    assert store.write and not load.write
    return load, store


@given(nests())
@examples(150)
def test_trips_and_indices_are_those_of_a_run(nest) -> None:  # type: ignore[no-untyped-def]
    """Least, most and mean trips over all times a loop is reached, and the element at every point."""
    loops, store, load = nest
    kernel = parse_kernel(text_of(*nest), "nest")
    for depth, loop in enumerate(kernel.loops):
        counts = [len(loops[depth].values(values[-1] if values else 0)) for _, values in run(loops[:depth])]
        if counts:
            trip = loop.trip
            assert (trip.least, trip.most) == (min(counts), max(counts))
            assert abs(trip.mean - sum(counts) / len(counts)) < 1e-9
            assert (trip.kind == CONSTANT) == (min(counts) == max(counts))
    read, written = accesses_of(kernel)
    for counters, values in run(loops):
        assert at(read.index, counters) == place(load, values)
        assert at(written.index, counters) == place(store, values)


@given(nests())
@examples(250)
def test_recurrences_are_those_of_a_run(nest) -> None:  # type: ignore[no-untyped-def]
    """Per loop: a value that really arrives from an earlier iteration is found, with no greater distance; and what is
    found is at least an element written in the one and read in the other iteration, at just that distance."""
    loops, store, load = nest
    kernel = parse_kernel(text_of(*nest), "nest")
    points = run(loops)
    writer: dict[tuple[int, ...], tuple[int, ...]] = {}
    arrive: dict[int, int] = {}
    for counters, values in points:
        source = writer.get(place(load, values))
        if source is not None:
            level = next(n for n in range(len(loops)) if source[n] != counters[n])
            arrive[level] = min(arrive.get(level, 10**6), counters[level] - source[level])
        writer[place(store, values)] = counters
    meet: dict[int, set[int]] = {}
    for (one, at_one), (two, at_two) in product(points, points):
        if one < two and place(store, at_one) == place(load, at_two):
            level = next(n for n in range(len(loops)) if one[n] != two[n])
            meet.setdefault(level, set()).add(two[level] - one[level])
    found = {r.loop: r.distance for r in kernel.recurrences if r.variable == "a"}
    assert len(found) == len([r for r in kernel.recurrences if r.variable == "a"])
    for level, distance in arrive.items():
        assert level in found, (level, distance, text_of(*nest))
        assert (found[level] or 1) <= distance, text_of(*nest)
    for level, distance in found.items():
        assert level in meet, (level, distance, text_of(*nest))
        assert distance in meet[level], text_of(*nest)


@given(nests(), st.integers(0, 3), st.integers(-3, 3))
@examples(100)
def test_what_is_written_first_does_not_arrive(nest, shape: int, shift: int) -> None:  # type: ignore[no-untyped-def]
    """Two statements, the first of which clears elements: no value that really arrives is missed."""
    loops, store, load = nest
    first = [(c + shift * (shape % 2), *(f if shape < 2 else (0,) * len(f))) for c, *f in store]
    text = text_of(*nest)
    clear = text.split("row++;")[0].split("int row")[1].split(";")[1].split("=")[0]
    index = "".join(f"[{MIDDLE} + {c} + {' + '.join(f'({f}) * v{d}' for d, f in enumerate(fs))}]" for c, *fs in first)
    assert clear
    kernel = parse_kernel(text.replace("int row", f"a{index} = 0.0f; int row"), "nest")
    writer: dict[tuple[int, ...], tuple[int, ...]] = {}
    arrive: dict[int, int] = {}
    for counters, values in run(loops):
        writer[place(first, values)] = counters
        source = writer.get(place(load, values))
        if source is not None and source != counters:
            level = next(n for n in range(len(loops)) if source[n] != counters[n])
            arrive[level] = min(arrive.get(level, 10**6), counters[level] - source[level])
        writer[place(store, values)] = counters
    found: dict[int, int] = {}
    for r in kernel.recurrences:
        found[r.loop] = min(found.get(r.loop, 10**6), r.distance or 1)
    for level, distance in arrive.items():
        assert found.get(level, 10**6) <= distance, (level, distance, kernel.source)
