"""A lower bound that counts memory: Lagrangian relaxation of one limit on what NMP channels hold.

A byte gets a price (negative where it is the normal channels that are short). For any price, the least priced
latency, less the price of the room there is, is a lower bound. Where that least is itself hard to find it is
bounded again by duality: a maximum is at least any weighted mean. So a stratum is at least a mean of its NMP
times and its NPU time, and a group at least a mean of its parts; weights are tried on a grid. A mean separates into
operators, each of which then chooses its cut alone.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from itertools import chain, combinations
from typing import NamedTuple

import numpy as np

from design.core import Bools, Floats, Ints
from dse.studies.nmp.exact.relaxation import CountedPlan, PartPlan, StratumPlan
from dse.studies.nmp.exact.sets import OperatorSets, compositions, members, subsets
from dse.studies.nmp.exact.strata import Options, Strata
from dse.studies.nmp.exact.tables import Tables

WEIGHTS = np.linspace(0.0, 1.0, 9)  # that a part may have in its group
LAST = len(WEIGHTS) - 1
NEVER = np.full(len(WEIGHTS), np.inf)

BALANCED = -1  # granules: as many as keep both sides busy
Ranges = tuple[tuple[int, int], ...]  # least and most granules of each operator on NMP


class Limit(NamedTuple):
    """Bytes on NMP are at least `least` and at most `most`. They are those of all operators together or, with
    `target` (an operator number), those on one channel that the target holds."""

    granule_bytes: tuple[float, ...]
    least: float
    most: float
    target: int | None = None

    def load(self, plan: CountedPlan) -> float:
        """Bytes of a plan whose cuts are known. On a channel of the target: its own share, and of every other
        stratum that of the operator with least of it there, for one of them holds the channel."""
        return sum(self._of_group(group) for group in plan)

    def _of_group(self, group: tuple[PartPlan, ...]) -> float:
        if self.target is None:
            return sum(sum(self._shares(s, whole=True)) for part in group for s in part.strata)
        parts = [part for part in group if part.channels]
        own = [part for part in parts if any(self.target in s.operators for s in part.strata)]
        return min((sum(self._on_channel(s) for s in part.strata) for part in own or parts), default=0.0)

    def _on_channel(self, stratum: StratumPlan) -> float:
        shares = self._shares(stratum, whole=False)
        on_it = [place for place, held in enumerate(stratum.held) if held]
        own = [place for place in on_it if stratum.operators[place] == self.target]
        return min((shares[place] for place in own or on_it), default=0.0)

    def _shares(self, stratum: StratumPlan, whole: bool) -> list[float]:
        assert stratum.granules is not None
        return [
            self.granule_bytes[i] * u / (1 if whole else max(held, 1))
            for i, u, held in zip(stratum.operators, stratum.granules, stratum.held, strict=True)
        ]


def all_channels(tables: Tables) -> Limit:
    """All NMP channels together, and (from below) the normal ones."""
    room = tables.room
    return Limit(tables.granule_bytes, tables.stored - tables.normal * room, tables.nmp * room)


def channel_of(tables: Tables, target: int) -> Limit:
    """A channel that the target holds."""
    return Limit(tables.granule_bytes, -np.inf, tables.room, target)


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

    Operators are `mixed`, `alone` on NMP or on the NPU; `fixed_nmp` and `fixed_npu` are the slowest NMP time and
    the NPU time in turn of those that are not mixed. Per operator, `cut` is 1 where it is mixed and a cut
    matters, `up` is what a granule costs on NMP and `down` what it saves on the NPU.
    """

    prefill: Floats
    held: Ints
    normal: Ints
    mixed: Bools
    alone: Bools
    fixed_nmp: Floats
    fixed_npu: Floats
    cut: list[Floats]
    up: list[Floats]
    down: list[Floats]


class Views:
    """The views of all strata on one device, made when first asked for."""

    def __init__(self, tables: Tables, strata: Strata) -> None:
        self.tables, self.strata = tables, strata
        self.linear = [_linear(t, tables.weight, u) for t, u in zip(tables.on_nmp, tables.on_npu, strict=True)]
        self._views: dict[tuple[int, int, bool], View] = {}
        # Strata at no price, which come up in every node: (operators, channels, unit, price, target, ranges).
        self.free: dict[tuple[Hashable, ...], Chain] = {}

    def of(self, some: int, channels: int, unit: bool) -> View:
        """The view of one stratum's options."""
        key = (some, channels, unit)
        if key not in self._views:
            self._views[key] = self._view(members(some), self.strata.options(some, channels, unit))
        return self._views[key]

    def _view(self, operators: tuple[int, ...], options: Options) -> View:
        t, held, normal = self.tables, options.held, options.normal
        count = len(held)
        nmp, npu = np.zeros(count), np.zeros(count)
        cut, up, down = [], [], []
        for place, i in enumerate(operators):
            h = held[:, place]
            mixed, alone = (h > 0) & (normal[:, place] > 0), (h > 0) & (normal[:, place] == 0)
            nmp = np.maximum(nmp, np.where(alone, t.on_nmp[i][h, -1] @ t.weight, 0.0))
            npu = npu + np.where(h == 0, t.on_npu[i][0, 0] @ t.weight, 0.0)
            span = max(t.steps[i] - 2, 1)
            rise = np.diff(self.linear[i].nmp[h], axis=1)[:, 0] / span
            fall = -np.diff(self.linear[i].npu[h], axis=1)[:, 0] / span
            use = mixed & (rise > 0)
            cut.append(use.astype(np.float64))
            up.append(np.where(use, rise, 1.0))
            down.append(np.where(use, np.maximum(fall, 0.0), 0.0))
        is_mixed, is_alone = (held > 0) & (normal > 0), (held > 0) & (normal == 0)
        return View(options.prefill, held, normal, is_mixed, is_alone, nmp, npu, cut, up, down)


class Priced:
    """Least priced latency at one price, from below."""

    def __init__(self, sets: OperatorSets, views: Views, limit: Limit, price: float, ranges: Ranges) -> None:
        self.tables, self.sets, self.strata = views.tables, sets, views.strata
        self.views, self.limit, self.price, self.ranges = views, limit, price, ranges
        self._chains: dict[tuple[int, int, bool, bool], Chain] = {}
        self._strata: dict[tuple[Hashable, ...], Chain] = {}
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
        best: float = np.inf
        plan: tuple[PartPlan, ...] = ()
        if len(parts) == 1:
            ways = [(n, unit, True)]
            if self.strata.specpim:
                # A lone part may leave the channel alone that the limit is about.
                apart = self.limit.target is not None
                ways = [(held, False, True) for held in range(1, n + 1)] + [(0, True, not apart)] * unit
                ways += [(held, False, False) for held in range(1, n)] * apart
            for held, flag, on in ways:
                found = self._chain(group, held, flag, on)
                if found.seconds[LAST] < best:
                    best, plan = float(found.seconds[LAST]), (PartPlan(held, found.strata),)
            return best, plan
        for owner in range(len(parts)) if unit else (-1,):
            least = tuple(0 if place == owner else 1 for place in range(len(parts)))
            for shares in compositions(n, least):
                if self.strata.specpim and owner >= 0 and shares[owner]:
                    continue
                for charged in self._charged(parts, shares):
                    chains = [
                        self._chain(part, held, j == owner, charged[j])
                        for j, (part, held) in enumerate(zip(parts, shares, strict=True))
                    ]
                    seconds = _in_company([found.seconds for found in chains])
                    if seconds < best:
                        best = seconds
                        plan = tuple(PartPlan(h, found.strata) for h, found in zip(shares, chains, strict=True))
        return best, plan

    def _charged(self, parts: tuple[int, ...], shares: tuple[int, ...]) -> list[list[bool]]:
        """Which parts the limit may be about: all of them, or one that holds the channel in question."""
        if self.limit.target is None:
            return [[True] * len(parts)]
        holders = [place for place, held in enumerate(shares) if held]
        own = [place for place in holders if parts[place] >> self.limit.target & 1]
        return [[place == holder for place in range(len(parts))] for holder in own or holders]

    def _chain(self, some: int, channels: int, unit: bool, on: bool) -> Chain:
        if not some:
            return Chain(np.zeros(len(WEIGHTS)), ())
        key = (some, channels, unit, on)
        if key not in self._chains:
            best = Chain(NEVER, ())
            for first in subsets(self.sets.ready(some)):
                own = self._stratum(first, channels, unit, on)
                later = self._chain(some & ~first, channels, unit, on)
                seconds = own.seconds + later.seconds
                strata = (*own.strata, *later.strata) if seconds[LAST] < best.seconds[LAST] else best.strata
                best = Chain(np.minimum(best.seconds, seconds), strata)
            self._chains[key] = best
        return self._chains[key]

    def _stratum(self, some: int, channels: int, unit: bool, on: bool) -> Chain:
        operators = members(some)
        price = self.price if on else 0.0
        ranges = tuple(self.ranges[i] for i in operators)
        key = (some, channels, unit, price, self.limit.target if price else None, ranges)
        known = self._strata if price else self.views.free
        if key not in known:
            mixed = len(operators) == 1 and unit and channels and not self.strata.specpim
            found = self._one(operators[0], channels, on) if mixed else self._many(some, channels, unit, on)
            known[key] = found
        return known[key]

    def _one(self, i: int, held: int, on: bool) -> Chain:
        """A mixed operator alone: every cut is looked at."""
        t, (low, high) = self.tables, self._cuts(i)
        if low > high:
            return Chain(NEVER, ())
        slower = np.maximum(t.on_nmp[i][held, low : high + 1], t.on_npu[i][held, low : high + 1]) @ t.weight
        size = t.granule_bytes[i] / (1 if self.limit.target is None else held)
        priced = (self.price * on * size) * np.arange(low, high + 1)
        table = priced[None, :] + WEIGHTS[:, None] * slower[None, :]
        cut = low + int(np.argmin(table[LAST]))
        return Chain(t.prefill[i][held, 1] + table.min(axis=1), (StratumPlan((i,), (held,), (1,), (cut,)),))

    def _cuts(self, i: int) -> tuple[int, int]:
        """Least and most granules on NMP where the operator is mixed."""
        low, high = self.ranges[i]
        return max(low, 1), min(high, self.tables.steps[i] - 1)

    def _many(self, some: int, channels: int, unit: bool, on: bool) -> Chain:
        """Several operators, or one that is not mixed: the best of all options, each from below."""
        operators = members(some)
        view = self.views.of(some, channels, unit)
        best = Chain(NEVER, ())
        if len(view.prefill):
            for charge, valid in self._charges(operators, view, on):
                found = self._options(operators, view, charge, valid)
                strata = found.strata if found.seconds[LAST] < best.seconds[LAST] else best.strata
                best = Chain(np.minimum(best.seconds, found.seconds), strata)
        return best

    def _charges(self, operators: tuple[int, ...], view: View, on: bool) -> Iterator[tuple[list[Floats], Bools]]:
        """What a granule of each operator costs in bytes, (options,) each, and the options that this is true of."""
        sizes = [self.tables.granule_bytes[i] for i in operators]
        nothing, every = np.zeros(len(view.held)), np.ones(len(view.held), dtype=bool)
        if not on:
            yield [nothing] * len(operators), every
        elif self.limit.target is None:
            yield [nothing + self.price * size for size in sizes], every
        else:
            own = [place for place, i in enumerate(operators) if i == self.limit.target]
            theirs = np.any(view.held[:, own] > 0, axis=1)
            for place in range(len(operators)):
                held = view.held[:, place]
                charge = [nothing] * len(operators)
                charge[place] = self.price * sizes[place] / np.maximum(held, 1)
                yield charge, (held > 0) & (theirs if place in own else ~theirs)
            yield [nothing] * len(operators), ~np.any(view.held > 0, axis=1)

    def _options(self, operators: tuple[int, ...], view: View, each: list[Floats], valid: Bools) -> Chain:
        t = self.tables
        if not valid.any():
            return Chain(NEVER, ())
        ends = [np.array(self._cuts(i)) for i in operators]
        lines = [self.views.linear[i].at(view.held[:, j], ends[j], t.steps[i]) for j, i in enumerate(operators)]
        paid = [e * b[:, None] for e, b in zip(ends, each, strict=True)]
        whole = [b * t.steps[i] * view.alone[:, j] for j, (i, b) in enumerate(zip(operators, each, strict=True))]
        always = (view.prefill + np.sum(whole, axis=0))[:, None]
        best = np.where(valid & self._allowed(operators, view), -np.inf, np.inf)[:, None] * np.ones(len(WEIGHTS))
        cuts = np.zeros((len(view.held), len(operators)), dtype=np.int64)
        for busy, slow, slows in self._duals(view, each):
            value = always + WEIGHTS * (busy * view.fixed_npu[:, None] + slow * view.fixed_nmp[:, None])
            chosen = np.zeros_like(cuts)
            for place, (nmp, npu) in enumerate(lines):
                first, last = (
                    paid[place][:, [end]] + WEIGHTS * (slows[place] * nmp[:, [end]] + busy * npu[:, [end]])
                    for end in (0, 1)
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

    def _duals(self, view: View, each: list[Floats]) -> Iterator[tuple[Floats, Floats, list[Floats]]]:
        """Weights to try: of the NPU in turn, of the slowest fixed NMP time, and of each mixed operator's NMP time.
        Arrays (options, WEIGHTS); each triple adds up to at most 1.

        At the optimum the cuts of some operators are worth as much to the NMP side as to the other plus their
        price, and the others are at an end: all choices of `some` are tried, and the points where one more is
        about to leave its end.
        """
        one, none = np.ones((len(view.held), len(WEIGHTS))), np.zeros((len(view.held), len(WEIGHTS)))
        if view.fixed_nmp.any():
            yield none, one, [none] * len(each)
        prices = [b[:, None] * cut[:, None] / np.maximum(WEIGHTS, 1e-9) for b, cut in zip(each, view.cut, strict=True)]
        ups, downs = [[x[:, None] for x in side] for side in (view.up, view.down)]
        cut = [j for j in range(len(each)) if view.cut[j].any()]
        for some in chain.from_iterable(combinations(cut, count) for count in range(len(cut) + 1)):
            tied = (1.0 + sum(prices[j] / ups[j] for j in some)) / (1.0 + sum(downs[j] / ups[j] for j in some))
            about = [j for j in cut if j not in some and np.any(each[j])]
            for weight in [tied, *(prices[j] / np.where(downs[j] > 0, downs[j], 1.0) for j in about)]:
                busy = np.clip(weight, 0.0, 1.0) * one
                slows = [
                    np.maximum((busy * downs[j] - prices[j]) / ups[j], 0.0) if j in some else none
                    for j in range(len(each))
                ]
                scale = np.maximum(busy + sum(slows), 1.0)
                busy, slows = busy / scale, [slow / scale for slow in slows]
                yield busy, np.maximum(1.0 - busy - sum(slows), 0.0), slows


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
