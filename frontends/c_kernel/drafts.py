"""Statements and loops while they are being read; `nest` makes the final ones of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from design.hls.loop_nest import Access, Affine, Directive, Statement
from frontends.c_kernel.values import Path, Source


@dataclass
class Draft:
    """A statement whose parts are still coming in."""

    line: int
    text: str
    loops: tuple[int, ...]
    guards: int
    operations: Counter[str] = field(default_factory=Counter)
    accesses: list[Access] = field(default_factory=list)
    reads: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)

    @property
    def idle(self) -> bool:
        """It does nothing that takes hardware."""
        return not (self.operations or self.accesses or self.writes)

    def finished(self) -> Statement:
        """The statement."""
        return Statement(
            self.line,
            self.text,
            self.loops,
            dict(sorted(self.operations.items())),
            tuple(self.accesses),
            tuple(dict.fromkeys(self.reads)),
            tuple(dict.fromkeys(self.writes)),
            self.guards,
        )


@dataclass
class Span:
    """Trips as they follow from a loop's head: max(0, ceil(span / step)), `step` > 0; `span` None is not known.
    `from_unknown`: where it starts is not known either. `atleast` trips run whatever the head says."""

    span: Affine | None
    step: int = 1
    from_unknown: bool = False
    atleast: int = 0


@dataclass
class LoopDraft:
    """A loop under so many `conditions`. `leaves` where a break or return may end it early; `extents` are
    lengths of arrays that its variable walks through, from a start that is not known."""

    number: int
    label: str
    line: int
    parent: int | None
    directives: dict[str, Directive]
    tripcount: dict[str, int]
    conditions: int = 0
    variable: str = ""
    span: Span = field(default_factory=lambda: Span(None))
    leaves: bool = False
    extents: list[int] = field(default_factory=list)
    body: list[LoopDraft | Draft] = field(default_factory=list)


@dataclass(frozen=True)
class Bound:
    """An affine condition that holds where a statement runs: form >= 0."""

    form: Affine


@dataclass
class Event:
    """One load or store in the order of the text. `place` is equal for what is certainly the same element,
    `conditions` are those it is under, `skips` the earlier exits it is behind. `sources` of a store: where its value
    comes from."""

    number: int
    array: str
    write: bool
    index: tuple[Affine | None, ...]
    place: tuple[object, ...]
    loops: tuple[int, ...]
    conditions: tuple[int, ...]
    skips: int
    bounds: tuple[Bound, ...] = ()
    sources: Mapping[Source, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Snapshot:
    """A loop's iteration as it was read: the sources of its stores by number, and of the scalars it hands on (those
    that an iteration may change) as it ends. `alone` are scalars whose values nothing else looks at on the way."""

    loop: int
    stores: Mapping[int, Mapping[Source, Path]]
    ends: Mapping[str, Mapping[Source, Path]]
    alone: frozenset[str]
