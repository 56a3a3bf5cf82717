"""An NMP channel with buffers of finite size, and energy for both processors.

The NMP model keeps the roofline's split over channels and its utilisation, and asks in which tiles one channel
works. Half of each buffer is worked from while the other half fills (double buffering), so that compute hides
the stream from the banks or is hidden by it. The channel's own interface does not overlap with either: while its
PEs hold the banks, a channel serves nobody else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from cost_model.nmp.operators.base import OperatorCost
from cost_model.nmp.operators.roofline import GIB, NpuRoofline, split_over_channels, utilisation
from cost_model.nmp.technology import Constants
from design.core import Bools, Floats, Ints
from design.nmp.device import Device

PARTIAL_BYTES = 4  # of a partial sum
PICO = 1e-12


class Tiling(NamedTuple):
    """One way to tile the GEMM of a channel: where it fits, how often the input comes in over the interface, how
    often all weights pass, and how often partial sums go to the banks and come back."""

    fits: Bools
    reads: Ints
    passes: Ints
    spills: Ints


class Traffic(NamedTuple):
    """What the chosen tiles move and take: bytes and seconds of one GEMM on one channel."""

    bytes_in: Floats
    bytes_out: Floats
    weights: Floats
    spilled: Floats
    compute_s: Floats
    stream_s: Floats
    ideal_s: Floats  # the stream, if every byte passed once
    latency_s: Floats  # NaN where nothing fits


class BufferedNmp:
    """NMP channels whose buffers decide how often data moves."""

    name, version = "nmp-buffered", "1"

    def __init__(self, constants: Constants) -> None:
        self.constants = constants

    def cost(self, B: Ints, M: Ints, N: Ints, K: Ints, channels: Ints, device: Device) -> OperatorCost:
        """See `OperatorModel`. NaN where the buffers hold not even the smallest tile."""
        c, e = self.constants, device.bytes_per_element
        split = split_over_channels(B, N, K, channels)
        found = self._traffic(M, split.n, split.k, device)
        latency = found.latency_s * split.rounds / utilisation(device)

        pes, weight_pj, input_pj = (
            device.platform.banks_per_channel,
            c.sram_pj(device.weight_kb),
            c.sram_pj(device.input_kb),
        )
        pairs, macs = B * split.per_gemm, (B * M * N * K).astype(np.float64)
        per_bit = c.dram_array_pj_bit + c.hybrid_bond_pj_bit
        moved = (found.weights + found.spilled) * per_bit + (found.bytes_in + found.bytes_out) * c.channel_io_pj_bit
        filled = found.weights * weight_pj + found.bytes_in * input_pj
        # A MAC reads a weight and an input; all FPUs of a channel share the input. Partial sums are read and
        # written once for all lanes of an FPU.
        operands = e * weight_pj + e * input_pj / (pes * device.fpus)
        sums = 2 * PARTIAL_BYTES / device.platform.simd * c.sram_pj(device.output_kb / pes)
        energy = macs * (c.mac_pj(e) + 8 * (operands + sums)) + pairs * 8 * (moved + filled)
        return OperatorCost(latency, np.where(np.isnan(latency), np.nan, energy * PICO))

    def parts(self, B: Ints, M: Ints, N: Ints, K: Ints, channels: Ints, device: Device) -> Mapping[str, Floats]:
        """See `Explained`."""
        e, platform = device.bytes_per_element, device.platform
        split = split_over_channels(B, N, K, channels)
        found = self._traffic(M, split.n, split.k, device)
        scale = split.rounds / utilisation(device)
        once = e * M * (split.k + split.n) / (GIB * platform.channel_gbps)
        ideal = np.maximum(found.compute_s, found.ideal_s)
        return {
            "transfer": once * scale,
            "compute": np.where(found.compute_s >= found.ideal_s, ideal, 0.0) * scale,
            "bandwidth": np.where(found.compute_s >= found.ideal_s, 0.0, ideal) * scale,
            "buffer": (found.latency_s - once - ideal) * scale,
        }

    def strengths(self, device: Device) -> tuple[Floats, ...]:
        """See `Ordered`. What fits into a buffer fits into a larger one, see `tilings`."""
        buffers = (device.input_kb, device.weight_kb, device.output_kb)
        engines = (device.fpus * device.mhz, device.pe_gbps, utilisation(device))
        return tuple(np.asarray(figure, dtype=np.float64) for figure in (*engines, *buffers))

    def _traffic(self, M: Ints, n: Ints, k: Ints, device: Device) -> Traffic:
        """The fastest tiling of (M, k) . (k, n) on one channel; of equal ones the first."""
        platform, e = device.platform, device.bytes_per_element
        compute_s = M * n * k / 1e9 / ((platform.simd * platform.banks_per_channel / 1e3) * (device.fpus * device.mhz))
        internal = 1e9 * platform.banks_per_channel * device.pe_gbps
        interface = GIB * platform.channel_gbps
        bytes_out = np.asarray(e * (M * n), dtype=np.float64)

        best: list[Floats] | None = None
        for tiling in tilings(M, n, k, device):
            bytes_in, weights = e * (M * k * tiling.reads), e * (k * n * tiling.passes)
            spilled = 2.0 * PARTIAL_BYTES * (M * n * tiling.spills)
            stream_s = (bytes_in + weights + spilled) / internal
            seconds = (bytes_in + bytes_out) / interface + np.maximum(compute_s, stream_s)
            seconds = np.where(tiling.fits, seconds, np.inf)
            new = [seconds, bytes_in, weights, spilled, stream_s]
            if best is None:
                best = list(np.broadcast_arrays(*new))
            else:
                better = seconds < best[0]
                best = [np.where(better, one, old) for one, old in zip(new, best, strict=True)]
        assert best is not None
        seconds, bytes_in, weights, spilled, stream_s = best
        return Traffic(
            bytes_in=bytes_in,
            bytes_out=bytes_out,
            weights=weights,
            spilled=spilled,
            compute_s=compute_s,
            stream_s=stream_s,
            ideal_s=e * (M * k + k * n) / internal,
            latency_s=np.where(np.isinf(seconds), np.nan, seconds),
        )


def tilings(M: Ints, n: Ints, k: Ints, device: Device) -> Iterator[Tiling]:
    """Ways to tile (M, k) . (k, n): M rows at once, then half as many, and so on; each with the outputs held still
    (all of k passes for a tile of outputs) and with the inputs held still (all outputs pass for a tile of inputs).

    A larger buffer allows all that a smaller one does, with no more traffic: it never slows an operator.
    """
    e, pes = device.bytes_per_element, device.platform.banks_per_channel
    room_in = _elements(device.input_kb, 2 * e)
    room_weight = _elements(device.weight_kb, 2 * e)
    room_out = _elements(device.output_kb, 2 * PARTIAL_BYTES * pes)
    columns = -(-n // pes)  # of a PE
    depth = np.minimum(device.platform.simd, k)  # an FPU's lanes: the shallowest tile
    rows = M
    while True:
        passes = -(-M // rows)
        outputs = room_out // rows
        width = np.minimum(np.minimum(columns, outputs), room_weight // depth)
        deep = rows * depth <= room_in
        reads = np.where(rows * k <= room_in, 1, -(-columns // np.maximum(width, 1)))
        yield Tiling(deep & (width >= 1), reads, passes, np.zeros_like(reads))

        tile = np.minimum(np.minimum(k, room_in // rows), room_weight)
        spills = np.where(outputs >= columns, 0, -(-k // np.maximum(tile, 1)) - 1)
        yield Tiling((tile >= depth) & (outputs >= 1), np.ones_like(spills), passes, spills)
        if np.max(rows, initial=1) == 1:
            return
        rows = -(-rows // 2)


def _elements(kilobytes: Ints, bytes_each: float) -> Ints:
    room: Ints = np.asarray(kilobytes * 1024 / bytes_each).astype(np.int64)
    return room


class MeteredNpu(NpuRoofline):
    """The roofline's NPU with an energy meter: operands and results pass the interface once."""

    name, version = "npu-metered", "1"

    def __init__(self, constants: Constants) -> None:
        self.constants = constants

    def cost(self, B: Ints, M: Ints, N: Ints, K: Ints, channels: Ints, device: Device) -> OperatorCost:
        """See `OperatorModel`."""
        c, e = self.constants, device.bytes_per_element
        latency = super().cost(B, M, N, K, channels, device).latency_s
        macs = (B * M * N * K).astype(np.float64)
        moved = 8 * e * (B * (M * K + K * N + M * N))
        energy = moved * (c.dram_array_pj_bit + c.channel_io_pj_bit) + macs * (c.mac_pj(e) + c.npu_buffer_pj)
        return OperatorCost(latency, np.broadcast_to(energy * PICO, latency.shape))
