"""The least latency of any dataflow on one device, capacity left aside: dynamic programming over what has run.

V(done) = min over groups that may run next of cost(group) + V(done + group). A group's parts run side by side on
disjoint channels, of which only the number matters; a part is a chain of strata. Options are kept as Pareto sets
of (prefill, decode at each context), because a group adds up the first and takes the slowest part of the second.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from design.core import Floats, Ints
from dse.studies.nmp.exact.sets import OperatorSets, compositions, members, subsets
from dse.studies.nmp.exact.strata import Options, Strata
from dse.studies.nmp.exact.tables import Tables


@dataclass(frozen=True)
class StratumPlan:
    """Operators with the NMP channels each holds and whether it uses the normal unit."""

    operators: tuple[int, ...]
    held: tuple[int, ...]
    normal: tuple[int, ...]
    granules: tuple[int, ...] | None = None  # on NMP, where the plan says


@dataclass(frozen=True)
class PartPlan:
    """Strata in order, on so many NMP channels."""

    channels: int
    strata: tuple[StratumPlan, ...]


CountedPlan = tuple[tuple[PartPlan, ...], ...]  # parts of groups, in order


class Points(NamedTuple):
    """A Pareto set: `values` (k, 1 + nodes) prefill and decode seconds; `plans` the strata that reach them; `least`
    seconds of one of them alone, inf where there is none."""

    values: Floats
    plans: list[tuple[StratumPlan, ...]]
    least: float


class Relaxation:
    """Solves one device. `bound` is a lower bound on the latency of every dataflow, and on `latency(plan)`."""

    def __init__(self, tables: Tables, sets: OperatorSets, specpim: bool) -> None:
        self.tables, self.sets, self.specpim = tables, sets, specpim
        self.strata = Strata(tables, specpim)
        self._points: dict[tuple[int, int, bool], Points] = {}
        self._alone: dict[tuple[int, int, bool], tuple[float, tuple[StratumPlan, ...]]] = {}
        self._groups: dict[int, tuple[float, tuple[PartPlan, ...]]] = {}
        self._rest: dict[int, tuple[float, CountedPlan]] = {0: (0.0, ())}

    def solve(self) -> tuple[float, CountedPlan]:
        """Least seconds, and a plan that reaches them unless cuts would have to follow the context."""
        return self.rest(self.sets.every)

    def rest(self, left: int) -> tuple[float, CountedPlan]:
        """Least seconds in which the operators `left` can run, all others having run."""
        if left not in self._rest:
            best: float = np.inf
            plan: CountedPlan = ()
            for group in self.sets.firsts(left):
                later, rest = self.rest(left & ~group)
                if later < best:
                    cost, parts = self.group(group)
                    if cost + later < best:
                        best, plan = cost + later, (parts, *rest)
            self._rest[left] = (best, plan)
        return self._rest[left]

    def group(self, group: int) -> tuple[float, tuple[PartPlan, ...]]:
        """Least seconds of one group, and its parts; inf where it has more parts than there are units."""
        if group not in self._groups:
            parts = self.sets.parts(group)
            self._groups[group] = self._lone_part(group) if len(parts) == 1 else self._side_by_side(parts)
        return self._groups[group]

    def _lone_part(self, part: int) -> tuple[float, tuple[PartPlan, ...]]:
        n, unit = self.tables.nmp, self.tables.normal > 0
        ways = [(n, unit)]
        if self.specpim:
            ways = [(held, False) for held in range(1, n + 1)] + [(0, True)] * unit
        found = [(*self.alone(part, held, unit), held) for held, unit in ways]
        cost, strata, held = min(found, key=lambda way: way[0])
        return cost, (PartPlan(held, strata),)

    def alone(self, some: int, channels: int, unit: bool) -> tuple[float, tuple[StratumPlan, ...]]:
        """Least seconds of a chain of strata that nothing runs beside."""
        if not some:
            return 0.0, ()
        key = (some, channels, unit)
        if key not in self._alone:
            best: float = np.inf
            plan: tuple[StratumPlan, ...] = ()
            for first in subsets(self.sets.ready(some)):
                later, strata = self.alone(some & ~first, channels, unit)
                options = self.strata.options(first, channels, unit)
                if later < best and len(options.prefill):
                    seconds = options.prefill + options.decode @ self.tables.weight
                    row = int(np.argmin(seconds))
                    if seconds[row] + later < best:
                        best, plan = float(seconds[row] + later), (_stratum(first, options, row), *strata)
            self._alone[key] = (best, plan)
        return self._alone[key]

    def points(self, some: int, channels: int, unit: bool) -> Points:
        """Pareto set of a chain of strata on those channels."""
        if not some:
            return Points(np.zeros((1, 1 + len(self.tables.weight))), [()], 0.0)
        key = (some, channels, unit)
        if key not in self._points:
            values: list[Floats] = []
            plans: list[tuple[StratumPlan, ...]] = []
            for first in subsets(self.sets.ready(some)):
                options = self.strata.options(first, channels, unit)
                own = np.column_stack([options.prefill, options.decode])
                rows = pareto(own)
                later = self.points(some & ~first, channels, unit)
                values.append((own[rows][:, None] + later.values[None]).reshape(-1, own.shape[1]))
                plans += [(_stratum(first, options, row), *rest) for row in rows for rest in later.plans]
            joined = np.concatenate(values)
            keep = pareto(joined)
            seconds = joined[keep, 0] + joined[keep, 1:] @ self.tables.weight
            self._points[key] = Points(joined[keep], [plans[row] for row in keep], float(seconds.min(initial=np.inf)))
        return self._points[key]

    def _side_by_side(self, parts: tuple[int, ...]) -> tuple[float, tuple[PartPlan, ...]]:
        best: tuple[float, tuple[PartPlan, ...]] = (np.inf, ())
        for shares, owner in self._allotments(len(parts)):
            choices = [
                self.points(part, share, place == owner)
                for place, (part, share) in enumerate(zip(parts, shares, strict=True))
            ]
            # A part alone, at its best, is no slower than in company.
            if max(choice.least for choice in choices) >= best[0]:
                continue
            seconds, rows = self._fastest(choices)
            if seconds < best[0]:
                plans = [
                    PartPlan(share, choice.plans[row]) for share, choice, row in zip(shares, choices, rows, strict=True)
                ]
                best = (seconds, tuple(plans))
        return best

    def _allotments(self, count: int) -> Iterator[tuple[tuple[int, ...], int]]:
        """NMP channels of each part, and which part has the normal unit (-1: there is none)."""
        n = self.tables.nmp
        for owner in range(count) if self.tables.normal else (-1,):
            least = tuple(0 if place == owner else 1 for place in range(count))
            for shares in compositions(n, least):
                if not (self.specpim and owner >= 0 and shares[owner]):
                    yield shares, owner

    def _fastest(self, choices: list[Points]) -> tuple[float, tuple[int, ...]]:
        """The best row of each part: prefill adds up, at each context the slowest part counts."""
        values = choices[0].values
        rows: Ints = np.arange(len(values))[:, None]
        for choice in choices[1:]:
            prefill = values[:, None, 0] + choice.values[None, :, 0]
            decode = np.maximum(values[:, None, 1:], choice.values[None, :, 1:])
            values = np.concatenate([prefill[..., None], decode], axis=2).reshape(-1, values.shape[1])
            other = np.tile(np.arange(len(choice.values)), len(rows))
            rows = np.column_stack([np.repeat(rows, len(choice.values), axis=0), other])
            if len(values) > 64:
                keep = pareto(values)
                values, rows = values[keep], rows[keep]
        seconds = values[:, 0] + values[:, 1:] @ self.tables.weight
        row = int(np.argmin(seconds))
        return float(seconds[row]), tuple(rows[row].tolist())


def pareto(values: Floats) -> Ints:
    """Rows that no other row is at most equal to in all columns; of equal rows the first."""
    if len(values) <= 1:
        return np.arange(len(values))
    from moocore import is_nondominated

    return np.flatnonzero(is_nondominated(values, keep_weakly=False))


def _stratum(some: int, options: Options, row: int) -> StratumPlan:
    return StratumPlan(members(some), tuple(options.held[row].tolist()), tuple(options.normal[row].tolist()))
