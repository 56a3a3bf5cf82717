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
        mixes = self._mixes(operators, held, mixed)
        left, steps = _left(mixes, low)
        for mix, step in zip(mixes, steps, strict=True):
            mix.least[:] = step
        after = busy + left
        done = after <= low
        high = np.maximum(after, low)
        if done.all():
            return low
        for _ in range(BISECTIONS):
            middle = 0.5 * (low + high)
            left, steps = _left(mixes, middle)
            enough = busy + left <= middle
            late = ~(enough | done)
            for mix, step in zip(mixes, steps, strict=True):
                np.copyto(mix.most, step, where=enough[mix.rows])
                np.copyto(mix.least, step, where=late[mix.rows])
            low, high = np.where(late, middle, low), np.where(enough, middle, high)
        return low

    def _mixes(self, operators: tuple[int, ...], held: Ints, mixed: Bools) -> list[Mix]:
        found = []
        for place, i in enumerate(operators):
            rows = np.flatnonzero(mixed[:, place])
            if len(rows):
                stairs = self._stairs[i]
                shape = (len(rows), stairs.nmp.shape[1])
                last = np.full(shape, stairs.nmp.shape[2] - 1, dtype=np.int64)
                found.append(Mix(rows, held[rows, place][:, None], stairs, np.zeros(shape, dtype=np.int64), last))
        return found


class Mix(NamedTuple):
    """A mixed operator of a stratum: in which rows it is, the channels it holds there, and between which steps of its
    staircase the search still is, (rows, nodes)."""

    rows: Ints
    held: Ints
    stairs: Staircase
    least: Ints
    most: Ints


def _left(mixes: list[Mix], seconds: Floats) -> tuple[Floats, list[Ints]]:
    """(k, nodes) NPU seconds when every mixed operator puts on NMP what it can do there in so many seconds, and the
    step of each that this is."""
    total, steps = np.zeros(seconds.shape), []
    node = np.arange(seconds.shape[1])[None, :]
    for mix in mixes:
        step = _last_within(mix, node, seconds[mix.rows])
        total[mix.rows] += mix.stairs.npu[mix.held, node, step]
        steps.append(step)
    return total, steps


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


def _last_within(mix: Mix, node: Ints, seconds: Floats) -> Ints:
    """Number of the last step of each staircase that is not above `seconds`, of those where the search still is; the
    first of them if none is."""
    low, high = mix.least, mix.most
    while (low < high).any():
        middle = (low + high + 1) // 2
        within = mix.stairs.nmp[mix.held, node, middle] <= seconds
        low, high = np.where(within, middle, low), np.where(within, high, middle - 1)
    return low
