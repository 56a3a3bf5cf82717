"""A roofline of one design: the roofs of its processors, and where each operator lies below them.

A point is an operator, or the part of it that one processor does. Its height is the work it asks for over the
seconds its model takes, 2 B M N K / latency (a multiply-accumulate is 2 FLOP). Its place from left to right is that
work over the bytes that come from memory when every operand passes once: on the NPU e B (M K + K N); on NMP
e (M k + k n) for each channel's (M, k) . (k, n) in each round. The shipped models take at least bytes / bandwidth and
at least work / peak, so that no point lies above the roof of the channels it uses; transfers in and out, what small
buffers read again, uneven shares and utilisation press it below.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from cost_model.nmp.evaluator import NmpEvaluator
from cost_model.nmp.operators.roofline import split_over_channels
from cost_model.nmp.prefill_gemms import Gemms
from design.core import Batch, Bools, Floats, Ints
from design.nmp.device import Device

FLOP = 2  # of a multiply-accumulate
PREFILL, ON_NMP, ON_NPU = "prefill on the NPU", "decode on NMP", "decode on the NPU"


@dataclass(frozen=True)
class Roof:
    """The most that a processor reaches: `gflops` at any intensity, and `gbps` (1e9 bytes/s) for each FLOP/byte."""

    processor: str
    channels: int
    gflops: float
    gbps: float

    def at(self, intensity: float) -> float:
        """GFLOP/s at so many FLOP/byte."""
        return min(self.gflops, self.gbps * intensity)


@dataclass(frozen=True)
class Point:
    """An operator in one phase on one processor: FLOP/byte, GFLOP/s, and the roof of the channels that it uses."""

    operator: str
    kind: str
    intensity: float
    gflops: float
    roof: Roof


@dataclass(frozen=True)
class Roofline:
    """`roofs` are the NPU's with the most channels that it reads from in either phase, and that of all NMP channels
    together."""

    roofs: tuple[Roof, ...]
    points: tuple[Point, ...]


def roofline(evaluator: NmpEvaluator, batch: Batch) -> Roofline:
    """The roofline of a batch of one sound design; decode is at its middle context."""
    c = evaluator.columns(batch)
    device, decode, node = evaluator.device(c), evaluator.decode, evaluator.decode.middle
    held, normal = np.bitwise_count(c["channels"]).astype(np.int64), evaluator.normal_channels(c)
    reach = evaluator.decode_reach(c["nmp_units"], held, normal)
    on_nmp, on_npu = (cost.latency_s[decode.rows[node]] for cost in evaluator.decode_costs(c, held, device))
    prefill = evaluator.prefill_cost(held + normal, device).latency_s
    npu_work = decode.gemms(c["npu_units"], reach, up=False, node=node)
    nmp_work = decode.gemms(c["nmp_units"], held, up=True, node=node)
    rows = decode.rows_of_gemm(node)
    points = [
        *_points(evaluator, device, PREFILL, _prefill_work(evaluator, held + normal), prefill),
        *_points(evaluator, device, ON_NMP, _decode_work(evaluator, ON_NMP, *nmp_work, rows), on_nmp),
        *_points(evaluator, device, ON_NPU, _decode_work(evaluator, ON_NPU, *npu_work, rows), on_npu),
    ]
    roofs = []
    for kind in (PREFILL, ON_NPU):
        own = [p.roof for p in points if p.kind == kind]
        roofs += [max(own, key=lambda roof: roof.channels)] if own else []
    n = int(c["nmp_channels"][0])
    roofs += [nmp_roof(device, n)] if n else []
    return Roofline(tuple(dict.fromkeys(roofs)), tuple(points))


def npu_roof(device: Device, channels: int) -> Roof:
    """The NPU with so many memory channels, both at the efficiency that the platform states."""
    p = device.platform
    peak, bandwidth = p.npu_gmacs * p.npu_efficiency, p.channel_gbps * p.npu_efficiency * channels
    return Roof("NPU", channels, FLOP * peak, bandwidth)


def nmp_roof(device: Device, channels: int) -> Roof:
    """So many NMP channels together, for a device of one row."""
    p = device.platform
    peak = p.simd * p.banks_per_channel * _one(device.fpus) * _one(device.mhz) / 1e3
    return Roof("NMP", channels, FLOP * channels * peak, channels * p.banks_per_channel * _one(device.pe_gbps))


def _one(values: Any) -> float:
    return float(np.asarray(values).ravel()[0])


class _Work(NamedTuple):
    """Of every operator, (operators, 1): whether there is any, FLOP, bytes, channels."""

    some: Bools
    flop: Floats
    bytes: Floats
    channels: Ints


def _prefill_work(evaluator: NmpEvaluator, reach: Ints) -> _Work:
    """All calls of the prefill."""
    rows, e = evaluator.prefill, evaluator.workload.bytes_per_element
    gemms = rows.gemms(reach)
    B, M, N, K, _ = gemms
    flop = rows.by_operator(FLOP * (B * M * N * K).astype(np.float64))
    moved = rows.by_operator(_npu_bytes(gemms, M.astype(np.float64), e))
    return _Work(np.ones(reach.shape, dtype=bool), flop, moved, np.maximum(reach, 1))


def _decode_work(evaluator: NmpEvaluator, kind: str, some: Bools, gemms: Gemms, rows: Floats) -> _Work:
    """What one processor does of a decode step; `rows` are the mean rows of a GEMM."""
    B, _, N, K, channels = gemms
    count_bytes = _nmp_bytes if kind == ON_NMP else _npu_bytes
    share = evaluator.decode.share(evaluator.decode.middle)
    flop, e = FLOP * (B * N * K) * rows, evaluator.workload.bytes_per_element
    return _Work(some, share * flop, share * count_bytes(gemms, rows, e), channels)


def _npu_bytes(gemms: Gemms, M: Floats, e: float) -> Floats:
    B, _, N, K, _ = gemms
    return np.asarray(e * (B * (M * K + K * N)), dtype=np.float64)


def _nmp_bytes(gemms: Gemms, M: Floats, e: float) -> Floats:
    B, _, N, K, channels = gemms
    split = split_over_channels(B, N, K, channels)
    return np.asarray(e * (M * split.k + split.k * split.n) * split.rounds * channels, dtype=np.float64)


def _points(evaluator: NmpEvaluator, device: Device, kind: str, work: _Work, seconds: Floats) -> list[Point]:
    """The operators that have some work."""
    make_roof = nmp_roof if kind == ON_NMP else npu_roof
    found = []
    for i in np.flatnonzero(work.some[:, 0] & (seconds[:, 0] > 0)).tolist():
        flop = float(work.flop[i, 0])
        rate, intensity = flop / float(seconds[i, 0]) / 1e9, flop / float(work.bytes[i, 0])
        roof = make_roof(device, int(work.channels[i, 0]))
        found.append(Point(evaluator.workload.operators[i].name, kind, intensity, rate, roof))
    return found
