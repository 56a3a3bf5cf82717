"""Roofline models of an NPU and of NMP channels: section 3 of the H2-LLM (ISCA '25) reference.

Both take the lower of peak compute and bandwidth times arithmetic intensity, per GEMM of a batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from cost_model.nmp.operators.base import OperatorCost
from design.core import Floats, Ints
from design.nmp.device import Device

GIB = 2**30  # the published model divides bytes by GiB where it prices transfers, by 1e9 elsewhere
# Utilisation of the two in-die designs (1 FPU a PE, 6.4 GB/s) at (MHz, batch); 1 everywhere else.
IN_DIE_UTILISATION = {
    (1000.0, 1): 0.71,
    (1000.0, 4): 0.45,
    (1000.0, 16): 0.52,
    (200.0, 1): 0.46,
    (200.0, 4): 0.71,
    (200.0, 16): 0.83,
}


def _unknown(latency: Floats) -> Floats:
    """This model has no energy constants."""
    return np.broadcast_to(np.nan, latency.shape)


class NpuRoofline:
    """A centralised NPU that reads its operands through `channels` memory channels."""

    name, version = "npu-roofline", "1"

    def cost(self, B: Ints, M: Ints, N: Ints, K: Ints, channels: Ints, device: Device) -> OperatorCost:
        """See `OperatorModel`. Compute and bandwidth both reach `npu_efficiency` of their peak."""
        platform = device.platform
        peak = platform.npu_gmacs * platform.npu_efficiency
        bandwidth = (platform.channel_gbps * platform.npu_efficiency) * channels
        macs = (M * N * K).astype(np.float64)
        intensity = macs / (device.bytes_per_element * (M * K + K * N))
        rate = np.where(peak < intensity * bandwidth, peak, bandwidth * intensity)
        latency = B * macs / 1e9 / rate
        return OperatorCost(latency, _unknown(latency))

    def parts(self, B: Ints, M: Ints, N: Ints, K: Ints, channels: Ints, device: Device) -> Mapping[str, Floats]:
        """See `Explained`."""
        peak = device.platform.npu_gmacs * device.platform.npu_efficiency
        latency, compute = self.cost(B, M, N, K, channels, device).latency_s, B * (M * N * K) / 1e9 / peak
        bound = compute >= latency * (1 - 1e-9)
        return {"compute": np.where(bound, latency, 0.0), "bandwidth": np.where(bound, 0.0, latency)}

    def strengths(self, device: Device) -> tuple[Floats, ...]:
        """See `Ordered`."""
        return ()


class NmpRoofline:
    """Processing engines beside the banks of `channels` memory channels."""

    name, version = "nmp-roofline", "1"

    def cost(self, B: Ints, M: Ints, N: Ints, K: Ints, channels: Ints, device: Device) -> OperatorCost:
        """See `OperatorModel`: transfer in, compute, transfer out, GEMMs of one channel set in turn."""
        platform, e = device.platform, device.bytes_per_element
        _, rounds, k, n = split_over_channels(B, N, K, channels)
        peak = (platform.simd * platform.banks_per_channel / 1e3) * (device.fpus * device.mhz)
        bandwidth = platform.banks_per_channel * device.pe_gbps
        macs = (M * n * k).astype(np.float64)
        intensity = macs / (e * (M * k + k * n))
        rate = np.where(peak < intensity * bandwidth, peak, bandwidth * intensity)
        transfer = e * (M * (k + n)) / (GIB * platform.channel_gbps)
        latency = (transfer + macs / 1e9 / rate) * rounds / utilisation(device)
        return OperatorCost(latency, _unknown(latency))

    def parts(self, B: Ints, M: Ints, N: Ints, K: Ints, channels: Ints, device: Device) -> Mapping[str, Floats]:
        """See `Explained`."""
        platform = device.platform
        _, rounds, k, n = split_over_channels(B, N, K, channels)
        peak = (platform.simd * platform.banks_per_channel / 1e3) * (device.fpus * device.mhz)
        latency, scale = self.cost(B, M, N, K, channels, device).latency_s, rounds / utilisation(device)
        transfer = device.bytes_per_element * (M * (k + n)) / (GIB * platform.channel_gbps) * scale
        busy, compute = latency - transfer, M * n * k / 1e9 / peak * scale
        bound = compute >= busy * (1 - 1e-9)
        return {
            "transfer": transfer,
            "compute": np.where(bound, busy, 0.0),
            "bandwidth": np.where(bound, 0.0, busy),
        }

    def strengths(self, device: Device) -> tuple[Floats, ...]:
        """See `Ordered`. Buffers do not matter here."""
        return device.fpus * device.mhz, np.asarray(device.pe_gbps, dtype=np.float64), utilisation(device)


class Split(NamedTuple):
    """How a batch of GEMMs is spread: channels that share one GEMM, GEMMs one after another, and the (M, k) . (k, n)
    that one channel does of each."""

    per_gemm: Ints
    rounds: Ints
    k: Ints
    n: Ints


def split_over_channels(B: Ints, N: Ints, K: Ints, channels: Ints) -> Split:
    """The published split of `B` GEMMs over NMP channels."""
    per_gemm, rounds = channels_per_gemm(B, channels)
    k_parts = parts_along_k(N, K, per_gemm)
    return Split(per_gemm, rounds, -(-K // k_parts), -(-N // (per_gemm // k_parts)))


def channels_per_gemm(B: Ints, channels: Ints) -> tuple[Ints, Ints]:
    """(channels that share one GEMM, GEMMs one after another) for a batch of `B` on `channels`."""
    shared = np.gcd(B, channels)  # 1 for a single GEMM, which so gets all channels in one round
    crowded = channels < B
    per_gemm = np.where(crowded, 1, channels // shared)
    rounds = np.where(crowded, -(-B // channels), B // shared)
    return per_gemm, rounds


def parts_along_k(N: Ints, K: Ints, channels: Ints) -> Ints:
    """The divisor of `channels` nearest to sqrt(K channels / N), the smaller on a tie: cuts of a GEMM along K."""
    ladder = _divisor_ladder(int(np.max(channels, initial=1)))
    best = np.ones(np.broadcast_shapes(N.shape, K.shape, channels.shape), dtype=np.int64)
    # sqrt(K c / N) > (a + b) / 2 for neighbours a < b among the divisors, without the root: exact in integers.
    scaled = 4 * K * channels
    for low, high in pairwise(ladder):
        a, b = low[channels], high[channels]
        np.copyto(best, b, where=(b > 0) & (scaled > N * (a + b) ** 2))
    return best


def _divisor_ladder(largest: int) -> Ints:
    """(steps, largest + 1): row i holds the i-th divisor of each number, 0 where it has no more."""
    divisors = [[d for d in range(1, n + 1) if n % d == 0] for n in range(largest + 1)]
    table = np.zeros((max(map(len, divisors)) + 1, largest + 1), dtype=np.int64)
    for number, members in enumerate(divisors):
        table[: len(members), number] = members
    return table


def utilisation(device: Device) -> Floats:
    """Share of the roofline that an NMP channel reaches; a pure function of the device and the batch."""
    in_die = (device.fpus == 1) & (device.pe_gbps == 6.4)
    share = np.ones(in_die.shape)
    for (mhz, batch), value in IN_DIE_UTILISATION.items():
        if batch == device.batch:
            share = np.where(in_die & (device.mhz == mhz), value, share)
    return share
