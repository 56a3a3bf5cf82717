"""All dataflows of one device, cuts and memory included: for layers and devices small enough to be listed.

The same recursion as `relaxation.py`, over sets of channels in place of their number, with explicit cuts and with
what each channel has to hold beside the seconds. What cannot be better than a known design is dropped on the way.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, product
from typing import NamedTuple

import numpy as np

from design.core import Bools, Floats, Ints
from dse.studies.nmp.exact.plan import Part, Plan, Stratum
from dse.studies.nmp.exact.relaxation import Relaxation, pareto
from dse.studies.nmp.exact.sets import OperatorSets, compositions, members, subsets
from dse.studies.nmp.exact.tables import Tables


class TooMany(Exception):
    """The listing would not fit its limit."""


class Listed(NamedTuple):
    """Ways of doing something: `values` (k, columns) with seconds first and loads last, and how."""

    values: Floats
    how: list


class Exhaustive:
    """Lists what `relaxation` only counts.

    `apart` keeps account of every channel; else of all NMP channels together, which is a relaxation: channels
    are then handed out in one way for each number. `best` is a latency that a design is known to reach.
    Raises TooMany when more than `limit` ways would have to be kept anywhere.
    """

    def __init__(
        self, tables: Tables, sets: OperatorSets, relaxation: Relaxation, best: float, apart: bool, limit: int
    ) -> None:
        self.tables, self.sets, self.relaxation = tables, sets, relaxation
        self.best, self.apart, self.limit = best, apart, limit
        self._nodes = len(tables.weight)
        self._chains: dict[tuple[int, int, bool], Listed] = {}
        self._rooms = np.full(tables.nmp if apart else 1, tables.room * (1 if apart else tables.nmp))
        self._rooms = np.append(self._rooms, tables.room * tables.normal)
        # Columns that cannot overflow need no account; without them more ways compare.
        self._loads = self._rooms < tables.stored

    def solve(self) -> tuple[float, Plan | None]:
        """Least seconds and how; (inf, None) where no design is as good as `best` and fits."""
        labels = {self.sets.every: Listed(np.zeros((1, 1 + int(self._loads.sum()))), [()])}
        # A set is dealt with after all larger ones: nothing leads back.
        while labels:
            left = max(labels, key=lambda some: (some.bit_count(), some))
            now = labels.pop(left)
            if not left:
                row = int(np.argmin(now.values[:, 0]))
                return float(now.values[row, 0]), now.how[row]
            now = self._pruned(now.values, now.how, left)
            for group in self.sets.firsts(left):
                ways = self._group(group)
                values = self._sum(now.values, ways.values)
                how = [(*done, way) for done in now.how for way in ways.how]
                found = self._pruned(values, how, left & ~group)
                if len(found.values):
                    old = labels.get(left & ~group, Listed(values[:0], []))
                    labels[left & ~group] = Listed(np.concatenate([old.values, found.values]), old.how + found.how)
        return np.inf, None

    def _sum(self, first: Floats, second: Floats) -> Floats:
        if len(first) * len(second) > self.limit:
            raise TooMany
        return (first[:, None] + second[None]).reshape(-1, first.shape[1])

    def _pruned(self, values: Floats, how: list, left: int) -> Listed:
        """Without what overflows, what cannot beat `best` any more, and what another way dominates."""
        bound = values[:, 0] + self.relaxation.rest(left)[0]
        rows = np.flatnonzero((bound <= self.best * (1 + 1e-12)) & self._fit(values[:, 1:]))
        rows = rows[pareto(values[rows])] if len(rows) else rows
        return Listed(values[rows], [how[row] for row in rows])

    def _fit(self, loads: Floats) -> Bools:
        return np.all(loads <= self._rooms[self._loads], axis=1)

    def _group(self, group: int) -> Listed:
        """Ways of one group: seconds and loads."""
        parts = self.sets.parts(group)
        every = (1 << self.tables.nmp) - 1
        found: list[Floats] = []
        how: list[tuple[Part, ...]] = []
        for sets, owner in self._allotments(len(parts), every):
            ways = [self._chain(part, sets[place], place == owner) for place, part in enumerate(parts)]
            if not all(len(way.values) for way in ways):
                continue
            values = ways[0].values
            plans: list[tuple[Part, ...]] = [(plan,) for plan in ways[0].how]
            for way in ways[1:]:
                joined = self._sum(values, way.values)
                decode = np.maximum(values[:, None, 1 : 1 + self._nodes], way.values[None, :, 1 : 1 + self._nodes])
                joined[:, 1 : 1 + self._nodes] = decode.reshape(-1, self._nodes)
                values, plans = joined, [(*plan, more) for plan in plans for more in way.how]
            seconds = values[:, 0] + values[:, 1 : 1 + self._nodes] @ self.tables.weight
            found.append(np.column_stack([seconds, values[:, 1 + self._nodes :]]))
            how += plans
        if not found:
            return Listed(np.empty((0, 1 + int(self._loads.sum()))), [])
        values = np.concatenate(found)
        rows = pareto(values)
        return Listed(values[rows], [how[row] for row in rows])

    def _allotments(self, count: int, every: int) -> Iterator[tuple[tuple[int, ...], int]]:
        specpim, unit = self.relaxation.specpim, self.tables.normal > 0
        if count == 1 and specpim:
            yield from (((some,), -1) for some in self._choices(every))
            if unit:
                yield (0,), 0
            return
        for owner in range(count) if unit else (-1,):
            least = tuple(0 if place == owner else 1 for place in range(count))
            for sets in self._shares(every, least):
                if not (specpim and owner >= 0 and sets[owner]):
                    yield sets, owner

    def _choices(self, channels: int) -> tuple[int, ...]:
        if self.apart:
            return subsets(channels)
        return tuple((1 << count) - 1 for count in range(1, channels.bit_count() + 1))

    def _shares(self, channels: int, least: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        """Ways to deal out the channels: all of them, or one for every number of channels."""
        own = members(channels)
        if not self.apart:
            for counts in compositions(len(own), least):
                ends = np.cumsum((0, *counts)).tolist()
                yield tuple(sum(1 << c for c in own[a:b]) for a, b in pairwise(ends))
            return
        for holders in product(range(len(least)), repeat=len(own)):
            sets = [0] * len(least)
            for channel, holder in zip(own, holders, strict=True):
                sets[holder] |= 1 << channel
            if all(some.bit_count() >= n for some, n in zip(sets, least, strict=True)):
                yield tuple(sets)

    def _chain(self, some: int, channels: int, unit: bool) -> Listed:
        """Ways of a chain of strata: prefill, decode at each context, loads."""
        if not some:
            return Listed(np.zeros((1, 1 + self._nodes + int(self._loads.sum()))), [()])
        key = (some, channels, unit)
        if key not in self._chains:
            values: list[Floats] = []
            how: list[Part] = []
            for first in subsets(self.sets.ready(some)):
                own = self._stratum(first, channels, unit)
                later = self._chain(some & ~first, channels, unit)
                values.append(self._sum(own.values, later.values))
                how += [(stratum, *rest) for stratum in own.how for rest in later.how]
            joined = np.concatenate(values)
            rows = pareto(joined)
            self._chains[key] = Listed(joined[rows], [how[row] for row in rows])
        return self._chains[key]

    def _stratum(self, some: int, channels: int, unit: bool) -> Listed:
        operators, specpim = members(some), self.relaxation.specpim
        values: list[list[float]] = []
        how: list[Stratum] = []
        if specpim and unit:
            if channels:
                return self._listed(values, how)
            deals, flags = iter([(0,) * len(operators)]), [(1,) * len(operators)]
        else:
            deals = self._shares(channels, (0 if unit else 1,) * len(operators))
            flags = list(product((0, 1), repeat=len(operators))) if unit else [(0,) * len(operators)]
        for sets in deals:
            for normal in flags:
                if (unit and not any(normal)) or not all(s or f for s, f in zip(sets, normal, strict=True)):
                    continue
                for cuts in product(*(self._cuts(i, s, f) for i, s, f in zip(operators, sets, normal, strict=True))):
                    if len(values) > self.limit:
                        raise TooMany
                    how.append(Stratum(operators, sets, normal, cuts))
                    values.append(self._value(how[-1]))
        return self._listed(values, how)

    def _cuts(self, i: int, channels: int, normal: int) -> range:
        steps = self.tables.steps[i]
        if not channels:
            return range(1)
        return range(1, steps) if normal else range(steps, steps + 1)

    def _value(self, s: Stratum) -> list[float]:
        t, prefill = self.tables, 0.0
        slowest, busy = np.zeros(self._nodes), np.zeros(self._nodes)
        loads = np.zeros(len(self._rooms))
        for i, channels, normal, cut in zip(s.operators, s.channels, s.normal, s.granules, strict=True):
            held = channels.bit_count()
            prefill += float(t.prefill[i][held, normal])
            slowest = np.maximum(slowest, t.on_nmp[i][held, cut])
            busy = busy + t.on_npu[i][held, cut]
            on_nmp = t.granule_bytes[i] * cut
            loads[-1] += t.granule_bytes[i] * t.steps[i] - on_nmp
            for channel in members(channels):
                loads[channel if self.apart else 0] += on_nmp / held
        return [prefill, *np.maximum(slowest, busy), *loads[self._loads]]

    def _listed(self, values: list[list[float]], how: list[Stratum]) -> Listed:
        table = np.array(values).reshape(-1, 1 + self._nodes + int(self._loads.sum()))
        rows: Ints = pareto(table)
        return Listed(table[rows], [how[row] for row in rows])
