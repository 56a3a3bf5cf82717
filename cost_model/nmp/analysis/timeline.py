"""When each processor works on what: one decode step, and the prefill, of one design as bars on lanes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cost_model.nmp.evaluator import NmpEvaluator
from cost_model.nmp.layer_latency import LayerClock
from design.core import Batch, Floats, Ints

NPU = -1  # the lane of the NPU; NMP channels have their own numbers


@dataclass(frozen=True)
class Bar:
    """One operator at work on one lane, in seconds since the beginning."""

    operator: str
    lane: int
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Stratum:
    """Operators that begin together, after the strata before them in their part; `lanes` are those of the part."""

    group: int
    part: int
    stratum: int
    start_s: float
    end_s: float
    lanes: tuple[int, ...]


@dataclass(frozen=True)
class Timeline:
    """A decode step of a layer at `context` tokens (None: nothing is generated), which takes `seconds`.

    `groups` are where each memory access group begins and ends. The last bar ends at `seconds`, but for rounding.
    """

    lanes: tuple[int, ...]
    bars: tuple[Bar, ...]
    strata: tuple[Stratum, ...]
    groups: tuple[tuple[float, float], ...]
    seconds: float
    context: int | None


def decode_timeline(evaluator: NmpEvaluator, batch: Batch) -> Timeline:
    """The decode step at the middle context of a batch of one sound design, composed as `LayerClock` does: in a
    stratum NMP channels run side by side and beside the NPU, which takes the operators in turn."""
    c = evaluator.columns(batch)
    held = np.bitwise_count(c["channels"]).astype(np.int64)
    on_nmp, on_npu = evaluator.decode_costs(c, held, evaluator.device(c))
    rows = evaluator.decode.rows[evaluator.decode.middle]
    nmp, npu = on_nmp.latency_s[rows], on_npu.latency_s[rows]
    group, part, stratum = (c[name][:, 0] for name in ("group", "part", "stratum"))
    bars: list[Bar] = []
    strata: list[Stratum] = []
    groups = []
    now = 0.0
    for g in np.unique(group):
        begin, end = now, now
        for p in np.unique(part[group == g]):
            own, at = (group == g) & (part == p), begin
            lanes = _lanes(c["channels"][own, 0], bool((npu[own] > 0).any()))
            for s in np.unique(stratum[own]):
                members = np.flatnonzero(own & (stratum == s))
                new, after = _stratum_bars(evaluator, members, c["channels"][:, 0], nmp[:, 0], npu[:, 0], at)
                bars += new
                strata.append(Stratum(int(g), int(p), int(s), at, after, lanes))
                at = after
            end = max(end, at)
        groups.append((begin, end))
        now = end
    seconds = float(LayerClock(c).latency(nmp, npu)[0]) if evaluator.workload.generated else 0.0
    every = (NPU, *range(int(c["nmp_channels"][0])))
    context = evaluator.decode.contexts[evaluator.decode.middle] if evaluator.workload.generated else None
    return Timeline(every, tuple(bars), tuple(strata), tuple(groups), seconds, context)


def _stratum_bars(
    evaluator: NmpEvaluator, members: Ints, channels: Ints, nmp: Floats, npu: Floats, at: float
) -> tuple[list[Bar], float]:
    """The bars of the operators of one stratum that begins `at`, and when it ends."""
    bars, turn, end = [], at, at
    for i in members.tolist():
        name = evaluator.workload.operators[i].name
        if nmp[i] > 0:
            bars += [Bar(name, lane, at, at + float(nmp[i])) for lane in _lanes(channels[i : i + 1], False)]
        if npu[i] > 0:
            bars.append(Bar(name, NPU, turn, turn + float(npu[i])))
            turn += float(npu[i])
        end = max(end, at + float(nmp[i]), turn)
    return bars, end


def _lanes(channels: Ints, npu: bool) -> tuple[int, ...]:
    """The lanes of sets of channels, and the NPU's where it takes part."""
    word = int(np.bitwise_or.reduce(channels))
    return (NPU,) * npu + tuple(bit for bit in range(word.bit_length()) if word >> bit & 1)


def prefill_timeline(evaluator: NmpEvaluator, batch: Batch) -> list[Bar]:
    """The prefill of a batch of one sound design: all on the NPU, operator after operator."""
    c = evaluator.columns(batch)
    held = np.bitwise_count(c["channels"]).astype(np.int64)
    cost = evaluator.prefill_cost(held + evaluator.normal_channels(c), evaluator.device(c)).latency_s[:, 0]
    bars: list[Bar] = []
    for i in evaluator.workload.order():
        start = bars[-1].end_s if bars else 0.0
        bars.append(Bar(evaluator.workload.operators[i].name, NPU, start, start + float(cost[i])))
    return bars
