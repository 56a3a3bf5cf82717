"""A lower bound that counts memory: Lagrangian relaxation of what NMP channels can hold.

A byte on NMP gets a price (negative where it is the normal channels that are short). For any price, the least
priced latency, less the price of the room there is, is a lower bound. Where that least is itself hard to find it is
bounded again by duality: a maximum is at least any weighted mean. So a stratum is at least a mean of its NMP
times and its NPU time, and a group at least a mean of its parts; weights are tried on a grid. A mean separates into
operators, each of which then chooses its cut alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from design.core import Bools, Floats, Ints
from dse.exact.relaxation import CountedPlan, PartPlan, StratumPlan
from dse.exact.sets import OperatorSets, compositions, members, subsets
from dse.exact.strata import Options, Strata
from dse.exact.tables import Tables

WEIGHTS = np.linspace(0.0, 1.0, 9)  # that a part may have in its group
LAST = len(WEIGHTS) - 1
NEVER = np.full(len(WEIGHTS), np.inf)

BALANCED = -1  # granules: as many as keep both sides busy
Ranges = tuple[tuple[int, int], ...]  # least and most granules of each operator on NMP


class Chain(NamedTuple):
    """Least priced seconds of a chain of strata, one for each weight of its decode, and the chain that reaches
    them when the decode counts in full."""

    seconds: Floats
    strata: tuple[StratumPlan, ...]


class Linear(NamedTuple):
    """Below a mixed operator on each number of channels, (held, 2): seconds of all decode steps with 1 granule on
    NMP and with all but 1, on straight lines that no cut lies below."""

    nmp: Floats
    npu: Floats

    def at(self, held: Ints, cuts: Ints, steps: int) -> tuple[Floats, Floats]:
        """(k, cuts) NMP and NPU seconds on the lines."""
        share = (cuts - 1) / max(steps - 2, 1)
        nmp, npu = (ends[held][:, :1] * (1 - share) + ends[held][:, 1:] * share for ends in self)
        return nmp, npu


class View(NamedTuple):
    """What of a stratum's options depends on no price; (k,) or (k, operators).

    `fixed_nmp`, `fixed_npu`, `fixed_bytes` are of the operators that are not mixed: slowest NMP time, NPU time in
    turn, bytes on NMP. Per operator, `cut` is 1 where it is mixed and a cut matters, `up` what a granule costs
    on NMP and `down` what it saves on the NPU.
    """

    prefill: Floats
    held: Ints
    normal: Ints
    mixed: Bools
    fixed_nmp: Floats
    fixed_npu: Floats
    fixed_bytes: Floats
    cut: list[Floats]
    up: list[Floats]
    down: list[Floats]


class Views:
    """The views of all strata on one device, made when first asked for."""

    def __init__(self, tables: Tables, strata: Strata) -> None:
        self.tables, self.strata = tables, strata
        self.linear = [_linear(t, tables.weight, u) for t, u in zip(tables.on_nmp, tables.on_npu, strict=True)]
        self._known: dict[tuple[int, int, bool], View] = {}

    def of(self, some: int, channels: int, unit: bool) -> View:
        """The view of one stratum's options."""
        key = (some, channels, unit)
        if key not in self._known:
            self._known[key] = self._view(members(some), self.strata.options(some, channels, unit))
        return self._known[key]

    def _view(self, operators: tuple[int, ...], options: Options) -> View:
        t, held, normal = self.tables, options.held, options.normal
        count = len(held)
        nmp, npu, size = np.zeros(count), np.zeros(count), np.zeros(count)
        cut, up, down = [], [], []
        for place, i in enumerate(operators):
            h = held[:, place]
            mixed, alone = (h > 0) & (normal[:, place] > 0), (h > 0) & (normal[:, place] == 0)
            nmp = np.maximum(nmp, np.where(alone, t.on_nmp[i][h, -1] @ t.weight, 0.0))
            npu = npu + np.where(h == 0, t.on_npu[i][0, 0] @ t.weight, 0.0)
            size = size + np.where(alone, t.granule_bytes[i] * t.steps[i], 0.0)
            span = max(t.steps[i] - 2, 1)
            rise = np.diff(self.linear[i].nmp[h], axis=1)[:, 0] / span
            fall = -np.diff(self.linear[i].npu[h], axis=1)[:, 0] / span
            use = mixed & (rise > 0)
            cut.append(use.astype(np.float64))
            up.append(np.where(use, rise, 1.0))
            down.append(np.where(use, np.maximum(fall, 0.0), 0.0))
        return View(options.prefill, held, normal, (held > 0) & (normal > 0), nmp, npu, size, cut, up, down)


class Priced:
    """Least priced latency at one price, from below."""

    def __init__(
        self, tables: Tables, sets: OperatorSets, strata: Strata, views: Views, price: float, ranges: Ranges
    ) -> None:
        self.tables, self.sets, self.strata = tables, sets, strata
        self.views, self.price, self.ranges = views, price, ranges
        self._chains: dict[tuple[int, int, bool], Chain] = {}
        self._strata: dict[tuple[int, int, bool], Chain] = {}
        self._rest: dict[int, tuple[float, CountedPlan]] = {0: (0.0, ())}

    def solve(self) -> tuple[float, CountedPlan]:
        """Priced seconds, and the plan that they belong to (its cuts are those of the bound)."""
        return self._least_rest(self.sets.every)

    def _least_rest(self, left: int) -> tuple[float, CountedPlan]:
        if left not in self._rest:
            best: float = np.inf
            plan: CountedPlan = ()
            for group in self.sets.firsts(left):
                later, rest = self._least_rest(left & ~group)
                cost, parts = self._group(group)
                if cost + later < best:
                    best, plan = cost + later, (parts, *rest)
            self._rest[left] = (best, plan)
        return self._rest[left]

    def _group(self, group: int) -> tuple[float, tuple[PartPlan, ...]]:
        parts = self.sets.parts(group)
        n, unit = self.tables.nmp, self.tables.normal > 0
        if len(parts) == 1:
            ways = [(n, unit)]
            if self.strata.specpim:
                ways = [(held, False) for held in range(1, n + 1)] + [(0, True)] * unit
            held, flag = min(ways, key=lambda way: self._chain(group, *way).seconds[LAST])
            chain = self._chain(group, held, flag)
            return float(chain.seconds[LAST]), (PartPlan(held, chain.strata),)
        best: float = np.inf
        plan: tuple[PartPlan, ...] = ()
        for owner in range(len(parts)) if unit else (-1,):
            least = tuple(0 if place == owner else 1 for place in range(len(parts)))
            for shares in compositions(n, least):
                if self.strata.specpim and owner >= 0 and shares[owner]:
                    continue
                chains = [self._chain(p, h, j == owner) for j, (p, h) in enumerate(zip(parts, shares, strict=True))]
                seconds = _in_company([chain.seconds for chain in chains])
                if seconds < best:
                    best = seconds
                    plan = tuple(PartPlan(h, chain.strata) for h, chain in zip(shares, chains, strict=True))
        return best, plan

    def _chain(self, some: int, channels: int, unit: bool) -> Chain:
        if not some:
            return Chain(np.zeros(len(WEIGHTS)), ())
        key = (some, channels, unit)
        if key not in self._chains:
            best = Chain(NEVER, ())
            for first in subsets(self.sets.ready(some)):
                own, later = self._stratum(first, channels, unit), self._chain(some & ~first, channels, unit)
                seconds = own.seconds + later.seconds
                strata = (*own.strata, *later.strata) if seconds[LAST] < best.seconds[LAST] else best.strata
                best = Chain(np.minimum(best.seconds, seconds), strata)
            self._chains[key] = best
        return self._chains[key]

    def _stratum(self, some: int, channels: int, unit: bool) -> Chain:
        key = (some, channels, unit)
        if key not in self._strata:
            operators = members(some)
            mixed = len(operators) == 1 and unit and channels and not self.strata.specpim
            self._strata[key] = self._one(operators[0], channels) if mixed else self._many(some, channels, unit)
        return self._strata[key]

    def _one(self, i: int, held: int) -> Chain:
        """A mixed operator alone: every cut is looked at."""
        t, (low, high) = self.tables, self._cuts(i)
        if low > high:
            return Chain(NEVER, ())
        slower = np.maximum(t.on_nmp[i][held, low : high + 1], t.on_npu[i][held, low : high + 1]) @ t.weight
        priced = self.price * t.granule_bytes[i] * np.arange(low, high + 1)
        table = priced[None, :] + WEIGHTS[:, None] * slower[None, :]
        cut = low + int(np.argmin(table[LAST]))
        return Chain(t.prefill[i][held, 1] + table.min(axis=1), (StratumPlan((i,), (held,), (1,), (cut,)),))

    def _cuts(self, i: int) -> tuple[int, int]:
        """Least and most granules on NMP where the operator is mixed."""
        low, high = self.ranges[i]
        return max(low, 1), min(high, self.tables.steps[i] - 1)

    def _many(self, some: int, channels: int, unit: bool) -> Chain:
        """Several operators, or one that is not mixed: the best of all options, each from below."""
        operators, t = members(some), self.tables
        view = self.views.of(some, channels, unit)
        if not len(view.prefill):
            return Chain(NEVER, ())
        ends = [np.array(self._cuts(i)) for i in operators]
        lines = [self.views.linear[i].at(view.held[:, j], ends[j], t.steps[i]) for j, i in enumerate(operators)]
        paid = [e * (self.price * t.granule_bytes[i]) for e, i in zip(ends, operators, strict=True)]
        always = (view.prefill + self.price * view.fixed_bytes)[:, None]
        best = np.where(self._allowed(operators, view), -np.inf, np.inf)[:, None] * np.ones(len(WEIGHTS))
        cuts = np.zeros((len(view.held), len(operators)), dtype=np.int64)
        for busy, slow, slows in self._duals(operators, view):
            value = always + WEIGHTS * (busy * view.fixed_npu[:, None] + slow * view.fixed_nmp[:, None])
            chosen = np.zeros_like(cuts)
            for place, (nmp, npu) in enumerate(lines):
                first, last = (
                    paid[place][end] + WEIGHTS * (slows[place] * nmp[:, [end]] + busy * npu[:, [end]]) for end in (0, 1)
                )
                value = value + np.where(view.mixed[:, [place]], np.minimum(first, last), 0.0)
                one, other = first[:, LAST], last[:, LAST]
                chosen[:, place] = np.where(one < other, ends[place][0], ends[place][1])
                # Where all cuts cost the same, the one that keeps both sides busy is meant.
                even = np.abs(one - other) <= 1e-6 * (np.abs(one) + np.abs(other))
                chosen[:, place] = np.where(even, BALANCED, chosen[:, place])
            cuts = np.where((value[:, LAST] > best[:, LAST])[:, None], chosen, cuts)
            best = np.maximum(best, value)
        row = int(np.argmin(best[:, LAST]))
        steps = np.array([t.steps[i] for i in operators])
        held, normal = view.held[row], view.normal[row]
        granules = np.where(view.mixed[row], cuts[row], np.where(held > 0, steps, 0))
        known = None if (granules == BALANCED).any() else tuple(granules.tolist())
        return Chain(best.min(axis=0), (StratumPlan(operators, tuple(held.tolist()), tuple(normal.tolist()), known),))

    def _allowed(self, operators: tuple[int, ...], view: View) -> Bools:
        """Options (k,) that leave every operator within its range."""
        allowed = np.ones(len(view.held), dtype=bool)
        for place, i in enumerate(operators):
            (low, high), (least, most) = self.ranges[i], self._cuts(i)
            whole = np.where(view.held[:, place] > 0, high == self.tables.steps[i], low == 0)
            allowed &= np.where(view.mixed[:, place], least <= most, whole)
        return allowed

    def _duals(self, operators: tuple[int, ...], view: View) -> Iterator[tuple[Floats, Floats, list[Floats]]]:
        """Weights to try: of the NPU in turn, of the slowest fixed NMP time, and of each mixed operator's NMP time.
        Arrays (options, WEIGHTS); each triple adds up to at most 1."""
        shape = (len(view.held), len(WEIGHTS))
        one, none = np.ones(shape), np.zeros(shape)
        yield one, none, [none] * len(operators)
        if view.fixed_nmp.any():
            yield none, one, [none] * len(operators)
        if not view.mixed.any():
            return
        # At the optimum an operator's cut is worth as much to the NMP side as to the other plus its price.
        prices = [
            (self.price * self.tables.granule_bytes[i] * view.cut[j])[:, None] / np.maximum(WEIGHTS, 1e-9)
            for j, i in enumerate(operators)
        ]
        whole = np.sum([d / u for d, u in zip(view.down, view.up, strict=True)], axis=0)[:, None]
        offset = np.sum([p / u[:, None] for p, u in zip(prices, view.up, strict=True)], axis=0)
        for factor, spare in ((1.0, 0.0), (0.5, 1.0), (0.8, 1.0)) if view.fixed_nmp.any() else ((1.0, 0.0),):
            busy = np.clip((1.0 + offset) / (1.0 + whole), 0.0, 1.0) * factor
            slows = [
                np.maximum((busy * d[:, None] - p) / u[:, None], 0.0)
                for d, p, u in zip(view.down, prices, view.up, strict=True)
            ]
            scale = np.maximum(busy + sum(slows), 1.0)
            busy, slows = busy / scale, [s / scale for s in slows]
            yield busy, spare * (1.0 - busy - sum(slows)).clip(0.0), slows


def _in_company(seconds: list[Floats]) -> float:
    """Parts side by side: the best shares of one weight among them, found part by part."""
    total = seconds[0]
    for place, other in enumerate(seconds[1:], 2):
        if place == len(seconds):
            return float(np.max(total + other[::-1]))
        grid = total[:, None] + other[None, :]
        total = np.array([np.diagonal(grid[:, ::-1], LAST - k).max() for k in range(len(WEIGHTS))])
    return float(total[LAST])


def _linear(nmp: Floats, weight: Floats, npu: Floats) -> Linear:
    """Lines through the ends, lowered until no cut lies below."""
    ends = []
    for table in (nmp[:, 1:-1] @ weight, npu[:, 1:-1] @ weight):
        if not table.shape[1]:
            ends.append(np.zeros((len(table), 2)))
            continue
        line = np.linspace(table[:, 0], table[:, -1], table.shape[1], axis=1)
        lowered = np.minimum(np.min(table - line, axis=1), 0.0)[:, None]
        ends.append(np.stack([line[:, 0], line[:, -1]], axis=1) + lowered)
    return Linear(*ends)
