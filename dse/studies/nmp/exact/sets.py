"""Sets of operators as bits of an int: what may follow what, and what hangs together."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from design.nmp.workload import Workload


class OperatorSets:
    """The operator graph of a workload, asked about sets of operators."""

    def __init__(self, workload: Workload) -> None:
        count = len(workload.operators)
        self.every = (1 << count) - 1
        self._sections, first = [], 0
        for size in [section.operators for section in workload.sections] or [count]:
            self._sections.append(((1 << size) - 1) << first)
            first += size
        self._needs = [sum(1 << p for p in workload.producers(i)) for i in range(count)]
        self._near = list(self._needs)
        for i in range(count):
            for p in workload.producers(i):
                self._near[p] |= 1 << i
        self.parts = cache(self._parts)

    def ready(self, left: int) -> int:
        """The operators of `left` that depend on none of `left`."""
        return sum(1 << i for i in members(left) if not self._needs[i] & left)

    def firsts(self, left: int) -> Iterator[int]:
        """Every non-empty subset of `left` that may run before the rest of it and is of one section.

        A group with operators of two sections is a single part whose strata are each of one of them: parted there it
        takes as long.
        """
        left = next((left & section for section in self._sections if left & section), 0)
        yield from sorted({first for first in self._closed(left) if first})

    def _closed(self, left: int) -> set[int]:
        found, frontier = {0}, [0]
        while frontier:
            done = frontier.pop()
            for i in members(self.ready(left & ~done)):
                if (more := done | 1 << i) not in found:
                    found.add(more)
                    frontier.append(more)
        return found

    def count_downsets(self, most: int) -> int:
        """How many sets of operators may have run at some moment; stops counting beyond `most`."""
        found, frontier = {0}, [0]
        while frontier and len(found) <= most:
            done = frontier.pop()
            for i in members(self.ready(self.every & ~done)):
                if (more := done | 1 << i) not in found:
                    found.add(more)
                    frontier.append(more)
        return len(found)

    def _parts(self, group: int) -> tuple[int, ...]:
        """Weakly connected components inside the group, by their lowest operator."""
        left, found = group, []
        while left:
            part = left & -left
            while grown := (part | _join(self._near, part)) & group & ~part:
                part |= grown
            found.append(part)
            left &= ~part
        return tuple(found)


def _join(near: list[int], some: int) -> int:
    reach = 0
    for i in members(some):
        reach |= near[i]
    return reach


@cache
def members(some: int) -> tuple[int, ...]:
    """The operator numbers of a set, rising."""
    return tuple(i for i in range(some.bit_length()) if some >> i & 1)


@cache
def subsets(some: int) -> tuple[int, ...]:
    """The non-empty subsets of a set."""
    found, sub = [], some
    while sub:
        found.append(sub)
        sub = (sub - 1) & some
    return tuple(found)


@cache
def compositions(total: int, least: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """All ways to share out `total` with at least so much for each."""
    if len(least) == 1:
        return ((total,),) if total >= least[0] else ()
    return tuple(
        (first, *rest)
        for first in range(least[0], total - sum(least[1:]) + 1)
        for rest in compositions(total - first, least[1:])
    )
