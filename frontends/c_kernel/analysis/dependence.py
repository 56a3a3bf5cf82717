"""Whether and how soon an iteration of a loop reads what an earlier one wrote: small systems of integer equations.

The unknowns are the counters of the loops around the store and around the load and the distance between the two; they
are bounded by the trips, by affine loop bounds and by affine conditions. Bounds are drawn closer as far as the
equations allow, the greatest common divisor rules out what it can, the rest is tried. This is exact where indices are
affine; where the work grows beyond MOST_NODES the answer is on the safe side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import gcd

from design.hls.loop_nest import Affine, Trip
from frontends.c_kernel.drafts import Event, LoopDraft

MOST_NODES = 4000  # steps of one search
Form = tuple[int, tuple[tuple[int, int], ...]]  # constant, (unknown, coefficient) ..


class TooLong(Exception):
    """A search takes more steps than it is worth."""


@dataclass
class System:
    """Unknowns between `low` and `high`, forms that are 0 and forms that are not negative."""

    low: list[int] = field(default_factory=list)
    high: list[int] = field(default_factory=list)
    zero: list[Form] = field(default_factory=list)
    positive: list[Form] = field(default_factory=list)
    nodes: int = 0

    def unknown(self, low: int, high: int) -> int:
        """A new one; its number."""
        self.low.append(low)
        self.high.append(high)
        return len(self.low) - 1

    def least(self, unknown: int) -> int | None:
        """The least value of an unknown in any solution, None where there is no solution. Raises TooLong."""
        found = self._narrowed(self.low, self.high)
        if found is None:
            return None
        low, high = found
        for value in range(low[unknown], high[unknown] + 1):
            inner_low, inner_high = list(low), list(high)
            inner_low[unknown] = inner_high[unknown] = value
            if self._solvable(inner_low, inner_high):
                return value
        return None

    def _solvable(self, low: list[int], high: list[int]) -> bool:
        self.nodes += 1
        if self.nodes > MOST_NODES:
            raise TooLong
        found = self._narrowed(low, high)
        if found is None:
            return False
        low, high = found
        used = {u for form in (*self.zero, *self.positive) for u, _ in form[1] if low[u] < high[u]}
        if not used:
            return True
        unknown = min(used, key=lambda u: (high[u] - low[u], u))
        for value in range(low[unknown], high[unknown] + 1):
            inner_low, inner_high = list(low), list(high)
            inner_low[unknown] = inner_high[unknown] = value
            if self._solvable(inner_low, inner_high):
                return True
        return False

    def _narrowed(self, low: Sequence[int], high: Sequence[int]) -> tuple[list[int], list[int]] | None:
        """Bounds drawn closer; None where nothing is left."""
        low, high = list(low), list(high)
        if any(a > b for a, b in zip(low, high, strict=True)):
            return None
        changed = True
        while changed:
            changed = False
            for constant, terms in self.zero:
                rest, divisor = constant, 0
                for u, c in terms:
                    if low[u] == high[u]:
                        rest += c * low[u]
                    else:
                        divisor = gcd(divisor, c)
                if rest % divisor if divisor else rest:
                    return None
            forms = [(form, False) for form in self.positive] + [(form, True) for form in self.zero]
            for (constant, terms), both in forms:
                top = constant + sum(c * (high[u] if c > 0 else low[u]) for u, c in terms)
                bottom = constant + sum(c * (low[u] if c > 0 else high[u]) for u, c in terms) if both else 0
                if top < 0 or (both and bottom > 0):
                    return None
                for u, c in terms:
                    if low[u] == high[u]:
                        continue
                    # The others reach at most top - best, so c x u must be at least best - top.
                    need = (c * high[u] if c > 0 else c * low[u]) - top
                    new_low, new_high = (-(-need // c), high[u]) if c > 0 else (low[u], need // c)
                    if both:
                        allow = (c * low[u] if c > 0 else c * high[u]) - bottom
                        new_low, new_high = (
                            (new_low, min(new_high, allow // c)) if c > 0 else (max(new_low, -(-allow // c)), new_high)
                        )
                    if new_low > low[u] or new_high < high[u]:
                        low[u], high[u] = max(low[u], new_low), min(high[u], new_high)
                        changed = True
                        if low[u] > high[u]:
                            return None
        return low, high


@dataclass(frozen=True)
class Answer:
    """`possible`: at all; `distance`: the least one, None where that is not known."""

    possible: bool
    distance: int | None = None


NEVER = Answer(False)


class Dependences:
    """Asks about stores and loads of one kernel."""

    def __init__(self, loops: Sequence[LoopDraft], trips: Sequence[Trip]) -> None:
        self.loops, self.trips = loops, trips
        self._asked: dict[object, Answer] = {}

    def between(self, store: Event, load: Event, loop: int, later: bool) -> Answer:
        """Whether iterations of `loop` load what earlier ones stored (`later`), or the same one did; loops outside
        it stand still."""
        if len(store.index) != len(load.index):
            return Answer(True)
        key = (store.index, store.loops, store.bounds, load.index, load.loops, load.bounds, loop, later)
        if key not in self._asked:
            self._asked[key] = self._between(store, load, loop, later)
        return self._asked[key]

    def _between(self, store: Event, load: Event, loop: int, later: bool) -> Answer:
        around = {*store.loops, *load.loops}
        if any(self.trips[n].most < 1 for n in around) or (later and self.trips[loop].most < 2):
            return NEVER
        exact = None not in store.index and None not in load.index
        exact = exact and all(self.loops[n].span.span is not None for n in around)
        found: list[int] = []
        for order in self._orders(store, load, loop) if later else [()]:
            try:
                if (loose := self._least(store, load, loop, later, order, bounded=False)) is None:
                    continue
            except TooLong:
                return Answer(True)
            try:
                tight = self._least(store, load, loop, later, order, bounded=True)
            except TooLong:
                exact, tight = False, loose
            found += [] if tight is None else [tight]
        return Answer(True, min(found) if exact else None) if found else NEVER

    def _orders(self, store: Event, load: Event, loop: int) -> list[tuple[tuple[int, int], ...]]:
        """How the counters of loops inside `loop` must compare, as alternatives of (loop, least difference of the
        store's and the load's); a difference of 0 is an equality where another follows or stands alone.

        Where every iteration of `loop` stores to the same elements in the same order, an earlier one's values are seen
        only by loads that come before the store repeats itself.
        """
        place = store.loops.index(loop)
        inner = store.loops[place + 1 :]
        spans = [self.loops[n].span.span for n in inner]
        repeats = (
            None not in store.index
            and not any(form.coefficient(loop) for form in store.index if form is not None)
            and not any(span is None or span.coefficient(loop) for span in spans)
            and not any(self.loops[n].leaves for n in (loop, *inner))
            and len(store.conditions) == self.loops[loop].conditions
            and not store.skips
        )
        if not repeats:
            return [()]
        shared = [n for n in inner if n in load.loops]
        orders: list[tuple[tuple[int, int], ...]] = [
            (*((n, 0) for n in shared[:depth]), (shared[depth], 1)) for depth in range(len(shared))
        ]
        if store.number > load.number:
            orders.append(tuple((n, 0) for n in shared))
        return orders

    def _least(
        self, store: Event, load: Event, loop: int, later: bool, order: Sequence[tuple[int, int]], bounded: bool
    ) -> int | None:
        """The least distance. Without `bounded`, only trips bound the counters, and counters that matter by their
        difference alone are one unknown: quick, and never too large."""
        system = System()
        distance = system.unknown(1, self.trips[loop].most - 1) if later else system.unknown(0, 0)
        place = store.loops.index(loop)
        shared = store.loops[: place + 1]
        here: dict[int, list[tuple[int, int]]] = {}  # loop -> unknowns of the store's counter, with factors
        there: dict[int, list[tuple[int, int]]] = {}
        for number in shared:
            one = system.unknown(0, max(0, self.trips[number].most - 1))
            here[number] = [(one, 1)]
            there[number] = [(one, 1), (distance, 1)] if number == loop else [(one, 1)]
        inner = set(store.loops) & set(load.loops) - set(shared)
        same = [
            (a.coefficient(n), b.coefficient(n))
            for n in inner
            for a, b in zip(store.index, load.index, strict=True)
            if a is not None and b is not None
        ]
        together = not bounded and all(a == b for a, b in same)
        for number in inner if together else ():
            most = max(0, self.trips[number].most - 1)
            there[number], here[number] = [(system.unknown(-most, most), 1)], []
        for loops, names in ((store.loops, here), (load.loops, there)):
            for number in loops:
                if number not in names:
                    names[number] = [(system.unknown(0, max(0, self.trips[number].most - 1)), 1)]
        for a, b in zip(store.index, load.index, strict=True):
            if a is not None and b is not None:
                system.zero.append(_form([(a, here, 1), (b, there, -1)]))
        for number, least in order:
            constant, terms = _form([(Affine(-least, ((number, 1),)), here, 1), (Affine(0, ((number, 1),)), there, -1)])
            (system.positive if least else system.zero).append((constant, terms))
        if bounded:
            for event, names in ((store, here), (load, there)):
                for number in event.loops:
                    span = self.loops[number].span
                    if span.span is not None and span.span.terms:  # step x counter < span
                        own = Affine(-1, ((number, -span.step),))
                        system.positive.append(_form([(span.span, names, 1), (own, names, 1)]))
                for bound in event.bounds:
                    system.positive.append(_form([(bound.form, names, 1)]))
            one = here[loop][0][0]
            span = self.loops[loop].span
            if span.span is None or not span.span.terms:
                system.positive.append((self.trips[loop].most - 1, ((one, -1), (distance, -1))))
        return system.least(distance)


def _form(parts: Sequence[tuple[Affine, dict[int, list[tuple[int, int]]], int]]) -> Form:
    """The sum of some affine forms, each with its own unknowns for the counters and a factor."""
    constant, terms = 0, dict[int, int]()
    for form, names, times in parts:
        constant += times * form.constant
        for number, coefficient in form.terms:
            for unknown, factor in names[number]:
                terms[unknown] = terms.get(unknown, 0) + times * coefficient * factor
    return constant, tuple((u, c) for u, c in terms.items() if c)
