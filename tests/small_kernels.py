"""Small kernels made by hand: loops and their directives, without the statements that no space asks for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count

from design.hls.loop_nest import CONSTANT, PARALLEL, PIPELINE, TILE, UNKNOWN, Directive, Kernel, Loop, Trip

KINDS = {"P": PIPELINE, "T": TILE, "F": PARALLEL}  # letters of `Nest.chosen`


@dataclass(frozen=True)
class Nest:
    """A loop to be: trip count (None: between 0 and 16), which directives are to choose, fixed ones, loops inside.

    `chosen` has P for PIPELINE, T for TILE, F for the factor of PARALLEL.
    """

    trip: int | None
    chosen: str = ""
    inside: tuple[Nest, ...] = ()
    fixed: tuple[tuple[str, str | int], ...] = ()


def kernel_of(*nests: Nest, name: str = "small") -> Kernel:
    """A kernel of loop nests, loops numbered as a reader does, parameters named P0, T0, F0, P1, ..."""
    body = tuple(_loops(nests, None, count()))
    return Kernel(name, f"{name} {nests!r}", {}, {}, body, ())


def _loops(nests: Iterable[Nest], parent: int | None, numbers: Iterator[int]) -> Iterator[Loop]:
    for nest in nests:
        number = next(numbers)
        directives = {KINDS[c]: Directive(KINDS[c], number, parameter=f"{c}{number}") for c in nest.chosen}
        directives |= {kind: Directive(kind, number, value=value) for kind, value in nest.fixed}
        trip = Trip(UNKNOWN, 0, 16, 8.0) if nest.trip is None else Trip(CONSTANT, nest.trip, nest.trip, nest.trip)
        body = tuple(_loops(nest.inside, number, numbers))
        yield Loop(number, f"L{number}", f"i{number}", number, trip, parent, directives, body)


GEMM = kernel_of(
    Nest(60, "PTF", (Nest(70, "F"), Nest(80, "PTF", (Nest(70, "F"),)))), name="gemm"
)  # as a matrix product is written: scale a row, then add products to it
TINY = kernel_of(Nest(4, "PTF", (Nest(3, "F"),)), name="tiny")
FORKED = kernel_of(Nest(4, "PT", (Nest(2, "PF"), Nest(2, "F"))), name="forked")
DEEP = kernel_of(Nest(2, "PTF", (Nest(2, "PF", (Nest(2, "F"),)),)), name="deep")
RAGGED = kernel_of(Nest(4, "PTF", (Nest(None, "P", (Nest(3, "F"),)),)), name="ragged")
FIXED = kernel_of(Nest(4, "PTF", (Nest(3, "", fixed=((PARALLEL, 3),)), Nest(2, "TF"))), name="fixed")
TWICE = kernel_of(Nest(2, "PF", (Nest(2, "F"),)), Nest(2, "PT", (Nest(2),)), name="twice")
SMALL = (TINY, FORKED, DEEP, RAGGED, FIXED, TWICE)
