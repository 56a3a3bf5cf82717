"""Branch and bound over what memory allows: the priced bound, made tight where operators are cut coarsely.

Each node limits how many granules of each operator may be on NMP. Its bound is the best over all prices of a byte;
its two cheapest plans on either side of the room there is say which operator to split, and where.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import NamedTuple

from dse.exact.priced import Priced, Ranges, Views
from dse.exact.realise import Realiser
from dse.exact.relaxation import CountedPlan
from dse.exact.sets import OperatorSets
from dse.exact.strata import Strata
from dse.exact.tables import Tables

PRICES = 24  # tried at most in a node
CLOSE = 1e-6  # of the bound: what more prices could add and is left


class Tried(NamedTuple):
    """One price, the least priced seconds, bytes on NMP and granules of each operator in the plan behind them."""

    price: float
    seconds: float
    held: float
    granules: tuple[int, ...]


class Node(NamedTuple):
    """Bound of a node, its number (so that nodes compare), its ranges, and the price that gave the bound."""

    bound: float
    number: int
    ranges: Ranges
    price: float
    split: tuple[int, int] | None  # operator, and most granules of it in the first half


class MemoryBound:
    """Bounds for one device. `offer` is shown every plan on the way and returns the best latency known."""

    def __init__(
        self, tables: Tables, sets: OperatorSets, strata: Strata, offer: Callable[[list[CountedPlan]], float]
    ) -> None:
        self.tables, self.sets, self.strata, self.offer = tables, sets, strata, offer
        self.realiser = Realiser(tables, strata.specpim)
        self._views = Views(tables, strata)
        stored = sum(b * s for b, s in zip(tables.granule_bytes, tables.steps, strict=True))
        self.stored = stored
        self.most = tables.nmp * tables.channel_bytes
        self.least = stored - tables.normal * tables.channel_bytes
        self._count = 0

    def solve(self, nodes: int, gap: float) -> float:
        """The bound after so many nodes, or as soon as the best known design is within `gap` of it."""
        start = self._node(tuple((0, steps) for steps in self.tables.steps), 0.0)
        open_ = [start]
        closed = float("inf")
        for _ in range(nodes // 2):
            best = self.offer([])
            if not open_ or open_[0].bound * (1 + gap) >= best:
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
        """The best bound over prices: inward between a price that is too low and one that is too high."""
        tried: list[Tried] = []
        plans: list[CountedPlan] = []
        best = (-float("inf"), 0.0)

        def ask(price: float) -> Tried:
            nonlocal best
            seconds, plan = Priced(self.tables, self.sets, self.strata, self._views, price, ranges).solve()
            bound = seconds - max(price, 0.0) * self.most + max(-price, 0.0) * self.least
            best = max(best, (bound, price))
            granules = self._granules(plan)
            held = sum(b * u for b, u in zip(self.tables.granule_bytes, granules, strict=True))
            tried.append(Tried(price, seconds, held, granules))
            plans.append(plan)
            return tried[-1]

        self._count += 1
        first = ask(0.0)
        if first.seconds == float("inf") or self.least <= first.held <= self.most:
            self.offer(plans)
            return Node(first.seconds, self._count, ranges, 0.0, self._split(ranges, first, first))
        sign, room = (1.0, self.most) if first.held > self.most else (-1.0, self.least)
        low, high = first, None
        price = abs(price) or max(first.seconds, 1e-12) / max(self.stored, 1.0)
        while len(tried) < PRICES:
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
            reached = low.seconds + (sign * price - low.price) * low.held
            reached -= max(sign * price, 0.0) * self.most - max(-sign * price, 0.0) * self.least
            if reached - best[0] <= CLOSE * abs(best[0]):
                break
            price = min(max(price, a + 0.02 * (b - a)), b - 0.02 * (b - a))
        self.offer(plans)
        return Node(best[0], self._count, ranges, best[1], self._split(ranges, low, high or low))

    def _split(self, ranges: Ranges, low: Tried, high: Tried) -> tuple[int, int] | None:
        """The operator whose granules differ most, in bytes, between the plans, and where between them memory is
        just used up. Where they do not differ, the operator with the most memory yet to decide on."""
        sizes = self.tables.granule_bytes
        differ = [abs(a - b) * size for a, b, size in zip(low.granules, high.granules, sizes, strict=True)]
        if not any(differ):
            differ = [(b - a) * size for (a, b), size in zip(ranges, sizes, strict=True)]
        i = max(range(len(differ)), key=lambda j: differ[j])
        least, most = ranges[i]
        if least >= most or not differ[i]:
            return None
        cut = (low.granules[i] + high.granules[i]) // 2
        if low.held != high.held:
            room = self.most if low.held > self.most else self.least
            share = min(max((room - high.held) / (low.held - high.held), 0.0), 1.0)
            cut = int(high.granules[i] + share * (low.granules[i] - high.granules[i]))
        return i, min(max(cut, least), most - 1)

    def _granules(self, plan: CountedPlan) -> tuple[int, ...]:
        found = [0] * len(self.tables.steps)
        for group in plan:
            for part in group:
                for stratum in part.strata:
                    for i, u in zip(stratum.operators, self.realiser.cuts(stratum), strict=True):
                        found[i] = u
        return tuple(found)


def _meet(low: Tried, high: Tried) -> float:
    """The price at which the tangents of two tried prices meet."""
    if low.held == high.held:
        return 0.5 * (low.price + high.price)
    return ((high.seconds - high.held * high.price) - (low.seconds - low.held * low.price)) / (low.held - high.held)
