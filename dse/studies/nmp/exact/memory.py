"""Branch and bound over what memory allows: the priced bound, made tight where operators are cut coarsely.

Each node limits how many granules of each operator may be on NMP. Its bound is the best over all prices of a byte.
The cheapest plans on either side of the room there is, blended so that memory is just used up, are nearly optimal
where cuts are fine; an operator whose blend falls between two granules is where a node is split.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from typing import NamedTuple

import numpy as np

from dse.studies.nmp.exact.priced import Limit, Priced, Ranges, Views, all_channels, channel_of
from dse.studies.nmp.exact.realise import Realiser
from dse.studies.nmp.exact.relaxation import CountedPlan, StratumPlan
from dse.studies.nmp.exact.sets import OperatorSets, members
from dse.studies.nmp.exact.strata import Strata
from dse.studies.nmp.exact.tables import Tables

PRICES = 24  # tried at most for a limit in a node
STALLED = 16  # nodes that may pass without a better bound
CLOSE = 1e-6  # of the bound: what more prices could add and is left


class Tried(NamedTuple):
    """One price, the least priced seconds, the bytes of the plan behind them, its granules, and itself."""

    price: float
    seconds: float
    held: float
    granules: tuple[int, ...]
    plan: CountedPlan


class Node(NamedTuple):
    """Bound of a node, its number (so that nodes compare), its ranges, and the price that gave the bound."""

    bound: float
    number: int
    ranges: Ranges
    price: float
    split: tuple[int, int] | None  # operator, and most granules of it in the first half


class Outcome(NamedTuple):
    """Outcome of one search over prices: bound, its price, and the plans on either side of the room there is."""

    bound: float
    price: float
    limit: Limit
    low: Tried
    high: Tried


class MemoryBound:
    """Bounds for one device. `offer` is shown plans on the way and returns the best latency known."""

    def __init__(
        self, tables: Tables, sets: OperatorSets, strata: Strata, offer: Callable[[list[CountedPlan]], float]
    ) -> None:
        self.tables, self.sets, self.offer = tables, sets, offer
        self.realiser = Realiser(tables, strata.specpim)
        self._views = Views(tables, strata)
        self._count = 0

    def solve(self, nodes: int, gap: float) -> float:
        """The bound after so many nodes, or as soon as the best known design is within `gap` of it, or when
        branching has not raised it for long."""
        open_ = [self._node(tuple((0, steps) for steps in self.tables.steps), 0.0)]
        closed = float("inf")
        raised, reached = 0, -float("inf")
        while open_ and self._count < nodes and self._count - raised < STALLED:
            if open_[0].bound > reached * (1 + CLOSE):
                raised, reached = self._count, open_[0].bound
            if reached * (1 + gap) >= self.offer([]):
                break
            node = heapq.heappop(open_)
            if node.split is None:
                closed = min(closed, node.bound)
                continue
            i, cut = node.split
            low, high = node.ranges[i]
            for half in ((low, cut), (cut + 1, high)):
                ranges = tuple(half if j == i else old for j, old in enumerate(node.ranges))
                child = self._node(ranges, node.price)
                heapq.heappush(open_, child._replace(bound=max(child.bound, node.bound)))
        return min([closed, *(node.bound for node in open_)])

    def _node(self, ranges: Ranges, price: float) -> Node:
        """The bound of all channels together and, where its plan overfills one channel, of that channel."""
        self._count += 1
        best = self._priced(ranges, price, all_channels(self.tables))
        price = best.price
        target = self._overfilled(best.high.plan) if best.bound < float("inf") else None
        if target is not None:
            other = self._priced(ranges, 0.0, channel_of(self.tables, target))
            best = other if other.bound > best.bound else best
        return Node(best.bound, self._count, ranges, price, self._split(ranges, best))

    def _overfilled(self, plan: CountedPlan) -> int | None:
        """The operator with most on the fullest channel among those that are not on all channels; None where all
        channels can hold what they should."""
        loads = np.zeros(self.tables.nmp)
        apart: list[dict[int, float]] = [{} for _ in range(self.tables.nmp)]
        for stratum in chain.from_iterable(part for group in self.realiser.design(plan) for part in group):
            for i, channels, u in zip(stratum.operators, stratum.channels, stratum.granules, strict=True):
                own = members(channels)
                for channel in own:
                    loads[channel] += self.tables.granule_bytes[i] * u / len(own)
                    if len(own) < self.tables.nmp:
                        apart[channel][i] = self.tables.granule_bytes[i] * u / len(own)
        if not len(loads) or loads.max() <= self.tables.room:
            return None
        on_it = apart[int(np.argmax(loads))]
        return max(on_it, key=lambda i: on_it[i]) if on_it else None

    def _priced(self, ranges: Ranges, price: float, limit: Limit) -> Outcome:
        """The best bound over prices: inward between a price that is too low and one that is too high."""
        best = (-float("inf"), 0.0)

        def ask(price: float) -> Tried:
            nonlocal best
            seconds, plan = Priced(self.sets, self._views, limit, price, ranges).solve()
            best = max(best, (seconds - _room(limit, price), price))
            plan = self._cut(plan)
            return Tried(price, seconds, limit.load(plan), self._granules(plan), plan)

        first = ask(0.0)
        if first.seconds == float("inf") or limit.least <= first.held <= limit.most:
            self.offer([first.plan])
            return Outcome(first.seconds, 0.0, limit, first, first)
        sign, room = (1.0, limit.most) if first.held > limit.most else (-1.0, limit.least)
        low, high = first, None
        price = abs(price) or max(first.seconds, 1e-12) / max(first.held, room, 1.0)
        for _ in range(PRICES):
            now = ask(sign * price)
            if sign * (now.held - room) > 0:
                low, price = now, (2 * price if high is None else price)
            else:
                high = now
            if high is None:
                continue
            a, b = abs(low.price), abs(high.price)
            if b - a <= 1e-9 * b:
                break
            # Where the tangents meet, unless that is too near an end to gain much.
            price = sign * _meet(low, high)
            reached = low.seconds + (sign * price - low.price) * low.held - _room(limit, sign * price)
            if reached - best[0] <= CLOSE * abs(best[0]):
                break
            price = min(max(price, a + 0.02 * (b - a)), b - 0.02 * (b - a))
        high = high or low
        self.offer([high.plan, self._blend(limit, low, high)] if low is not high else [high.plan])
        return Outcome(*best, limit, low, high)

    def _shares(self, limit: Limit, low: Tried, high: Tried) -> list[float]:
        """Granules of each operator in the blend of two plans that just uses up the room."""
        room = limit.most if low.held > limit.most else limit.least
        share = 0.5
        if low.held != high.held:
            share = min(max((room - high.held) / (low.held - high.held), 0.0), 1.0)
        return [share * a + (1 - share) * b for a, b in zip(low.granules, high.granules, strict=True)]

    def _blend(self, limit: Limit, low: Tried, high: Tried) -> CountedPlan:
        """The cheaper structure with the cuts of both."""
        cuts = self._shares(limit, low, high)
        round_ = math.floor if low.held > limit.most else math.ceil

        def blended(stratum: StratumPlan) -> StratumPlan:
            own = self.realiser.cuts(stratum)
            mixed = [h > 0 and f > 0 for h, f in zip(stratum.held, stratum.normal, strict=True)]
            new = [
                min(max(round_(cuts[i]), 1), self.tables.steps[i] - 1) if mix else u
                for i, u, mix in zip(stratum.operators, own, mixed, strict=True)
            ]
            return replace(stratum, granules=tuple(new))

        return _with_strata(low.plan, blended)

    def _split(self, ranges: Ranges, found: Outcome) -> tuple[int, int] | None:
        """The operator whose blend lies farthest, in bytes, from whole granules, and the granules below it. Where
        none does, the operator with the most memory yet to decide on, in the middle."""
        sizes = self.tables.granule_bytes
        cuts = self._shares(found.limit, found.low, found.high)
        off = [(cut - math.floor(cut)) * size for cut, size in zip(cuts, sizes, strict=True)]
        off = [gap * (a != b) for gap, a, b in zip(off, found.low.granules, found.high.granules, strict=True)]
        if not any(off):
            off = [(most - least) * size for (least, most), size in zip(ranges, sizes, strict=True)]
            cuts = [(least + most) / 2 for least, most in ranges]
        i = max(range(len(off)), key=lambda j: off[j])
        least, most = ranges[i]
        if least >= most or not off[i]:
            return None
        return i, min(max(math.floor(cuts[i]), least), most - 1)

    def _cut(self, plan: CountedPlan) -> CountedPlan:
        """The plan with all cuts decided."""
        return _with_strata(plan, lambda stratum: replace(stratum, granules=self.realiser.cuts(stratum)))

    def _granules(self, plan: CountedPlan) -> tuple[int, ...]:
        """Of each operator on NMP."""
        found = [0] * len(self.tables.steps)
        for group in plan:
            for part in group:
                for stratum in part.strata:
                    for i, u in zip(stratum.operators, stratum.granules or (), strict=True):
                        found[i] = u
        return tuple(found)


def _with_strata(plan: CountedPlan, change: Callable[[StratumPlan], StratumPlan]) -> CountedPlan:
    """The plan with every stratum changed."""
    return tuple(tuple(replace(part, strata=tuple(map(change, part.strata))) for part in group) for group in plan)


def _room(limit: Limit, price: float) -> float:
    """What the room there is costs."""
    return price * (limit.most if price > 0 else limit.least) if price else 0.0


def _meet(low: Tried, high: Tried) -> float:
    """The price at which the tangents of two tried prices meet."""
    if low.held == high.held:
        return 0.5 * (low.price + high.price)
    return ((high.seconds - high.held * high.price) - (low.seconds - low.held * low.price)) / (low.held - high.held)
