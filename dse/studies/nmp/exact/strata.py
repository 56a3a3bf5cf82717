"""The best that one stratum can do: operators of an antichain side by side on some channels of one part.

A stratum's choices are how many channels each operator holds, which of them use the normal channels, and where
mixed ones are cut. Only the last is solved here; the others are listed as options. At every context the cuts are
chosen anew: a design cannot, so that the seconds are a lower bound, exact where all contexts cost the same.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from design.core import Bools, Floats, Ints
from dse.studies.nmp.exact.sets import compositions, members
from dse.studies.nmp.exact.tables import NEVER_S, Tables

BISECTIONS = 60  # halvings until a double has no more digits


class Options(NamedTuple):
    """What a stratum can do, one option a row: prefill seconds (k,), seconds of a decode step at each context
    (k, nodes), channels held by each operator (k, operators) and whether it uses the normal ones."""

    prefill: Floats
    decode: Floats
    held: Ints
    normal: Ints


class Staircase(NamedTuple):
    """A mixed operator on 1, 2, ... channels: rising NMP seconds (held, nodes, cuts), and the least NPU seconds
    that go with no more than those."""

    nmp: Floats
    npu: Floats


class Strata:
    """Options of every stratum on one device."""

    def __init__(self, tables: Tables, specpim: bool) -> None:
        self.tables, self.specpim = tables, specpim
        self._stairs = [_staircase(nmp, npu) for nmp, npu in zip(tables.on_nmp, tables.on_npu, strict=True)]
        self._known: dict[tuple[int, int, bool], Options] = {}

    def options(self, some: int, channels: int, unit: bool) -> Options:
        """For the operators `some` on so many NMP channels, with or without the normal unit. May be none."""
        key = (some, channels, unit)
        if key not in self._known:
            self._known[key] = self._options(members(some), channels, unit)
        return self._known[key]

    def _options(self, operators: tuple[int, ...], channels: int, unit: bool) -> Options:
        held, normal = self._assignments(len(operators), channels, unit)
        prefill = np.zeros(len(held))
        for place, i in enumerate(operators):
            prefill = prefill + self.tables.prefill[i][held[:, place], normal[:, place]]
        return Options(prefill, self.least(operators, held, normal), held, normal)

    def _assignments(self, count: int, channels: int, unit: bool) -> tuple[Ints, Ints]:
        """(k, count) channels held and (k, count) use of the normal unit, by the rules of the dataflow."""
        if self.specpim and unit:
            rows = [((0,) * count, (1,) * count)] if not channels else []
        elif not unit:
            rows = [(share, (0,) * count) for share in compositions(channels, (1,) * count)]
        else:
            flags = [tuple(bits >> place & 1 for place in range(count)) for bits in range(1, 1 << count)]
            rows = [
                (share, flag)
                for share in compositions(channels, (0,) * count)
                for flag in flags
                if all(h or f for h, f in zip(share, flag, strict=True))
            ]
        table = np.array(rows, dtype=np.int64).reshape(-1, 2, count)
        return table[:, 0], table[:, 1]

    def least(self, operators: tuple[int, ...], held: Ints, normal: Ints) -> Floats:
        """(k, nodes) least seconds of max(slowest NMP, NPU in turn)."""
        nodes = len(self.tables.weight)
        floor, busy = np.zeros((len(held), nodes)), np.zeros((len(held), nodes))
        for place, i in enumerate(operators):
            h, f = held[:, place], normal[:, place]
            alone = np.where(f == 0, 1.0, 0.0)[:, None] * self.tables.on_nmp[i][h, -1]
            floor = np.maximum(floor, alone)
            busy = busy + np.where((f == 1) & (h == 0), 1.0, 0.0)[:, None] * self.tables.on_npu[i][0, 0]
        mixed = (held > 0) & (normal > 0)
        # The least T at which all NMP parts end by T and the NPU, given what they leave, ends by T too.
        low = floor
        for place, i in enumerate(operators):
            low = np.maximum(low, np.where(mixed[:, [place]], self._stairs[i].nmp[held[:, place], :, 0], 0.0))
        after = busy + self._left(operators, held, mixed, low)
        done = after <= low
        high = np.maximum(after, low)
        if done.all():
            return low
        for _ in range(BISECTIONS):
            middle = 0.5 * (low + high)
            enough = busy + self._left(operators, held, mixed, middle) <= middle
            low, high = np.where(enough | done, low, middle), np.where(enough, middle, high)
        return low

    def _left(self, operators: tuple[int, ...], held: Ints, mixed: Bools, seconds: Floats) -> Floats:
        """(k, nodes) NPU seconds when every mixed operator puts on NMP what it can do there in so many seconds."""
        total = np.zeros(seconds.shape)
        node = np.arange(seconds.shape[1])[None, :]
        for place, i in enumerate(operators):
            rows = np.flatnonzero(mixed[:, place])
            if len(rows):
                stairs, h = self._stairs[i], held[rows, place][:, None]
                step = _last_within(stairs.nmp, h, node, seconds[rows])
                total[rows] += stairs.npu[h, node, step]
        return total


def _staircase(nmp: Floats, npu: Floats) -> Staircase:
    """From (held, granules, nodes) tables. An operator that cannot be cut has a stair that is never worth it."""
    inner_nmp, inner_npu = nmp[:, 1:-1].swapaxes(1, 2), npu[:, 1:-1].swapaxes(1, 2)
    if not inner_nmp.shape[2]:
        never = np.full((*inner_nmp.shape[:2], 1), NEVER_S)
        return Staircase(never, never)
    order = np.argsort(inner_nmp, axis=2, kind="stable")
    rising = np.take_along_axis(inner_nmp, order, axis=2)
    least = np.minimum.accumulate(np.take_along_axis(inner_npu, order, axis=2), axis=2)
    return Staircase(rising, least)


def _last_within(stairs: Floats, held: Ints, node: Ints, seconds: Floats) -> Ints:
    """Number of the last step of each staircase that is not above `seconds`; 0 if none is."""
    low = np.zeros(seconds.shape, dtype=np.int64)
    high = np.full(seconds.shape, stairs.shape[2] - 1, dtype=np.int64)
    while (low < high).any():
        middle = (low + high + 1) // 2
        within = stairs[held, node, middle] <= seconds
        low, high = np.where(within, middle, low), np.where(within, high, middle - 1)
    return low
