"""From numbers of channels to channels, and from seconds to cuts: a design for a plan of the relaxation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from design.core import Floats, Ints
from dse.studies.nmp.exact.plan import Part, Plan, Stratum
from dse.studies.nmp.exact.relaxation import CountedPlan, PartPlan, StratumPlan
from dse.studies.nmp.exact.strata import Strata
from dse.studies.nmp.exact.tables import Tables


class Realiser:
    """Makes designs of plans for one device."""

    def __init__(self, tables: Tables, specpim: bool) -> None:
        self.tables = tables
        weight = tables.weight if tables.weight.any() else np.ones(len(tables.weight))
        share = weight / weight.sum()
        self._mean = replace(
            tables,
            on_nmp=tuple((table @ share)[..., None] for table in tables.on_nmp),
            on_npu=tuple((table @ share)[..., None] for table in tables.on_npu),
            weight=np.ones(1),
        )
        self._strata = Strata(self._mean, specpim)

    def design(self, plan: CountedPlan) -> Plan:
        """Channels are dealt so that what is heaviest to hold gets those that hold least so far."""
        load = np.zeros(self.tables.nmp)
        groups = []
        for group in plan:
            parts: dict[int, Part] = {}
            free = list(range(self.tables.nmp))
            cuts = [[self.cuts(stratum) for stratum in part.strata] for part in group]
            weights = [
                sum(self._bytes(s, cut) for s, cut in zip(part.strata, cut, strict=True)) / max(part.channels, 1)
                for part, cut in zip(group, cuts, strict=True)
            ]
            for place in np.argsort(weights)[::-1]:
                own = sorted(free, key=lambda channel: (load[channel], channel))[: group[place].channels]
                free = [channel for channel in free if channel not in own]
                parts[int(place)] = self._part(group[place], cuts[place], own, load)
            groups.append(tuple(parts[place] for place in range(len(group))))
        return tuple(groups)

    def _part(self, part: PartPlan, cuts: list[tuple[int, ...]], own: list[int], load: Floats) -> Part:
        strata = []
        for stratum, cut in zip(part.strata, cuts, strict=True):
            each = [
                self.tables.granule_bytes[i] * u / max(held, 1)
                for i, u, held in zip(stratum.operators, cut, stratum.held, strict=True)
            ]
            left, sets = list(own), [0] * len(each)
            for place in np.argsort(each)[::-1]:
                left.sort(key=lambda channel: (load[channel], channel))
                taken, left = left[: stratum.held[place]], left[stratum.held[place] :]
                load[taken] += each[place]
                sets[place] = sum(1 << channel for channel in taken)
            strata.append(Stratum(stratum.operators, tuple(sets), stratum.normal, cut))
        return tuple(strata)

    def _bytes(self, stratum: StratumPlan, cut: tuple[int, ...]) -> float:
        return sum(self.tables.granule_bytes[i] * u for i, u in zip(stratum.operators, cut, strict=True))

    def cuts(self, stratum: StratumPlan) -> tuple[int, ...]:
        """Granules on NMP: as the plan says, or so that a stratum ends soonest at the average context."""
        if stratum.granules is not None:
            return stratum.granules
        held, normal = np.array([stratum.held]), np.array([stratum.normal])
        seconds = self._strata.least(stratum.operators, held, normal)[0, 0] * (1 + 1e-12)
        return tuple(
            self._cut(i, h, f, seconds, len(stratum.operators) == 1)
            for i, h, f in zip(stratum.operators, stratum.held, stratum.normal, strict=True)
        )

    def _cut(self, i: int, held: int, normal: int, seconds: float, single: bool) -> int:
        steps = self.tables.steps[i]
        if not held or not normal:
            return steps if held else 0
        if single:
            slower = np.maximum(self.tables.on_nmp[i][held, 1:-1], self.tables.on_npu[i][held, 1:-1])
            return 1 + int(np.argmin(slower @ self.tables.weight))
        nmp, npu = self._mean.on_nmp[i][held, 1:-1, 0], self._mean.on_npu[i][held, 1:-1, 0]
        within: Ints = np.flatnonzero(nmp <= seconds)
        return 1 + int(within[np.argmin(npu[within])])
