"""A kernel as a nest of loops: what its statements compute, which elements they touch, what must wait for what.

Loops are numbered in source order, outer before inner, calls inlined. All index maps are in terms of *counters*: a
counter runs 0, 1, .. trip - 1, whatever the C loop's bounds, step or direction are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b

CONSTANT, TRIANGULAR, UNKNOWN = "constant", "triangular", "unknown"  # kinds of trip counts
PIPELINE, TILE, PARALLEL = "PIPELINE", "TILE", "PARALLEL"  # kinds of directives


@dataclass(frozen=True)
class Affine:
    """constant + sum of coefficient x counter over `terms`, (loop number, coefficient) by loop, none of them 0."""

    constant: int
    terms: tuple[tuple[int, int], ...] = ()

    def coefficient(self, loop: int) -> int:
        """Of a loop's counter."""
        return dict(self.terms).get(loop, 0)


@dataclass(frozen=True)
class Array:
    """A variable with elements. `role`: 'argument' lives in the accelerator's memory outside, 'local' inside,
    'constant' is a table. A dimension of unknown size is None."""

    name: str
    ctype: str
    bits: int
    floating: bool
    shape: tuple[int | None, ...]
    role: str


@dataclass(frozen=True)
class Access:
    """One load or store of an array element; an index that is not affine (indirect, for instance) is None."""

    array: str
    write: bool
    index: tuple[Affine | None, ...]


@dataclass(frozen=True)
class Statement:
    """One assignment. `operations` counts by 'add.f64', 'mul.i32' and the like: add (and subtract), mul, div, mod,
    sqrt, pow, call, compare, logic, shift, select, cast; f32, f64, i8 .. i64 say the type. Address arithmetic is not
    counted. `reads` and `writes` are scalars. `guards` is how many conditions it stands under."""

    line: int
    text: str
    loops: tuple[int, ...]
    operations: Mapping[str, int]
    accesses: tuple[Access, ...]
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    guards: int = 0


@dataclass(frozen=True)
class Recurrence:
    """A value that an iteration of `loop` takes from an earlier one. `distance` in iterations, None: not known (taken
    as 1 to be safe). `chain` are the operations on the way to what it hands on in turn, in order; those of an inner
    loop are named once. `reduction`: they are one associative operation (selects of guarded ones aside) and nothing
    looks at what lies between, so that parallel copies could be joined by a tree. Not a `cycle`: the value is used but
    not handed on, so iterations may overlap at any interval, though not be swapped."""

    loop: int
    variable: str
    distance: int | None
    chain: tuple[str, ...]
    reduction: bool
    cycle: bool = True


@dataclass(frozen=True)
class Trip:
    """How often a loop runs each time it is reached: `mean` over all times, between `least` and `most`. Of an
    unknown one `mean` is a guess from array sizes, `least` 0 and `most` the largest that arrays allow."""

    kind: str
    least: int
    most: int
    mean: float


@dataclass(frozen=True)
class Directive:
    """A pragma on a loop: of a `kind`, with a `parameter` to choose or with a fixed `value`. `reduction` names the
    variable that the source says is reduced ("" where it only says that there is one)."""

    kind: str
    line: int
    parameter: str | None = None
    value: str | int | None = None
    reduction: str | None = None


@dataclass(frozen=True)
class Loop:
    """A for or while loop. `directives` by kind."""

    number: int
    label: str
    variable: str
    line: int
    trip: Trip
    parent: int | None
    directives: Mapping[str, Directive]
    body: tuple[Loop | Statement, ...] = field(repr=False)

    @property
    def loops(self) -> tuple[Loop, ...]:
        """Directly inside."""
        return tuple(item for item in self.body if isinstance(item, Loop))

    @property
    def statements(self) -> tuple[Statement, ...]:
        """Directly inside."""
        return tuple(item for item in self.body if isinstance(item, Statement))


@dataclass(frozen=True)
class Parameter:
    """A directive's value that is to be chosen, on a loop."""

    name: str
    kind: str
    loop: int


@dataclass(frozen=True)
class Kernel:
    """One accelerated function. `source` is the text as read, `loops` all loops by number, `scalars` name -> (bits,
    floating)."""

    name: str
    source: str = field(repr=False)
    arrays: Mapping[str, Array]
    scalars: Mapping[str, tuple[int, bool]]
    body: tuple[Loop | Statement, ...] = field(repr=False)
    recurrences: tuple[Recurrence, ...]

    @cached_property
    def loops(self) -> tuple[Loop, ...]:
        """All of them, by number."""
        return tuple(sorted(_loops(self.body), key=lambda loop: loop.number))

    @cached_property
    def statements(self) -> tuple[Statement, ...]:
        """All of them, in order."""
        return tuple(_statements(self.body))

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """By loop, in the order PIPELINE, TILE, PARALLEL."""
        found = []
        for loop in self.loops:
            for kind in (PIPELINE, TILE, PARALLEL):
                directive = loop.directives.get(kind)
                if directive is not None and directive.parameter is not None:
                    found.append(Parameter(directive.parameter, kind, loop.number))
        return tuple(found)

    @cached_property
    def digest(self) -> str:
        """Hash of the source but for its white space: equal digest, equal kernel."""
        return blake2b(" ".join(self.source.split()).encode(), digest_size=16).hexdigest()

    def inside(self, number: int) -> tuple[int, ...]:
        """Numbers of all loops within a loop, at any depth."""
        return tuple(sorted(loop.number for loop in _loops(self.loops[number].body)))


def _loops(body: tuple[Loop | Statement, ...]) -> Iterator[Loop]:
    for item in body:
        if isinstance(item, Loop):
            yield item
            yield from _loops(item.body)


def _statements(body: tuple[Loop | Statement, ...]) -> Iterator[Statement]:
    for item in body:
        if isinstance(item, Loop):
            yield from _statements(item.body)
        else:
            yield item
