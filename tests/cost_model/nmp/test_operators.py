"""The roofline operator models: how a GEMM is cut among channels, and what it costs, section 3 of the reference."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal, getcontext

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cost_model.nmp.operators.roofline import NmpRoofline, NpuRoofline, channels_per_gemm, parts_along_k, utilisation
from design.core import Ints
from design.nmp.device import Device, Platform
from tests.cases import examples

DIMENSION = st.integers(1, 64) | st.integers(1, 2**31)
CHANNELS = st.integers(1, 62)


def array(value: int) -> Ints:
    """One operator of one candidate."""
    return np.array([[value]], dtype=np.int64)


def device(fpus: int, mhz: float, pe_gbps: float, e: float = 2.0, batch: int = 1) -> Device:
    """One candidate on the default platform, buffers as the reference has them."""
    one = {"input_kb": 32, "weight_kb": 32, "output_kb": 64}
    buffers = {name: np.array([value]) for name, value in one.items()}
    return Device(
        Platform(), np.array([fpus]), np.array([mhz]), np.array([pe_gbps]), **buffers, bytes_per_element=e, batch=batch
    )


def seconds(model: NpuRoofline | NmpRoofline, gemm: tuple[int, int, int, int], channels: int, on: Device) -> float:
    """Latency of one batched GEMM (B, M, N, K)."""
    b, m, n, k = map(array, gemm)
    found = model.cost(b, m, n, k, array(channels), on)
    assert found.latency_s.shape == (1, 1) and np.isnan(found.energy_j).all()
    return float(found.latency_s[0, 0])


def nearest_divisor(n: int, k: int, channels: int) -> int:
    """The divisor nearest to sqrt(K channels / N), the smaller on a tie, with 80 digits."""
    getcontext().prec = 80
    ideal = (Decimal(k) * channels / n).sqrt()
    return min((d for d in range(1, channels + 1) if channels % d == 0), key=lambda d: (abs(d - ideal), d))


@examples(400)
@given(DIMENSION, DIMENSION, CHANNELS)
def test_parts_along_k(n: int, k: int, channels: int) -> None:
    """The closed form picks the divisor that a search over all divisors picks."""
    assert parts_along_k(array(n), array(k), array(channels)).item() == nearest_divisor(n, k, channels)


@examples(200)
@given(st.integers(1, 1000), CHANNELS, st.data())
def test_parts_along_k_on_ties(scale: int, channels: int, data: st.DataObject) -> None:
    """Half-way between two neighbouring divisors the smaller is taken; a hair further on, the larger."""
    divisors = [d for d in range(1, channels + 1) if channels % d == 0]
    assume(len(divisors) > 1)
    low = data.draw(st.integers(0, len(divisors) - 2))
    middle = divisors[low] + divisors[low + 1]  # twice the mid-point: K channels / N = (middle / 2)^2
    k, n = scale * middle**2, 4 * scale * channels
    assert parts_along_k(array(n), array(k), array(channels)).item() == divisors[low]
    assert parts_along_k(array(n), array(k + 1), array(channels)).item() == divisors[low + 1]


def test_parts_along_k_of_many_at_once() -> None:
    """Operators by channel counts, broadcast: each cell is as if it were alone."""
    n, k, channels = [7, 4096, 16384], [4096, 128, 1], range(1, 63)
    expected = [[nearest_divisor(a, b, c) for c in channels] for a, b in zip(n, k, strict=True)]
    found = parts_along_k(np.array(n)[:, None], np.array(k)[:, None], np.array(channels)[None, :])
    assert found.tolist() == expected


@examples(300)
@given(st.integers(1, 200), CHANNELS)
def test_channels_per_gemm(b: int, n: int) -> None:
    """More GEMMs than channels: one each, in rounds. Else gcd(B, n) GEMMs at a time. A single one takes all."""
    if b > n:
        expected = (1, math.ceil(b / n))
    elif b > 1:
        at_once = math.gcd(b, n)
        expected = (n // at_once, b // at_once)
    else:
        expected = (n, 1)
    gang, rounds = channels_per_gemm(array(b), array(n))
    assert (gang.item(), rounds.item()) == expected


def test_npu_by_hand() -> None:
    """fp16, 8 channels, intensity 2/3 in (2, 3) x (3, 4) below the ridge; 2 GEMMs of 24 MACs at 71.68 GB/s."""
    bytes_read = 2 * (2 * 3 + 3 * 4)
    expected = 2 * bytes_read / (12.8e9 * 8 * 0.7)
    assert seconds(NpuRoofline(), (2, 2, 4, 3), 8, device(8, 600, 25.6)) == pytest.approx(expected, rel=1e-14, abs=0)


def test_npu_at_peak_by_hand() -> None:
    """Intensity 4096 MAC/byte is beyond the ridge at 1250: 2^34 MACs at 89.6 TMAC/s; a 2x NPU takes half of it."""
    gemm, one = (1, 2**14, 2**14, 2**6), device(8, 600, 25.6)
    expected = 2**34 / 89.6e12
    assert seconds(NpuRoofline(), gemm, 8, one) == pytest.approx(expected, rel=1e-14, abs=0)
    twice = replace(one, platform=replace(one.platform, npu_gmacs=256e3))
    assert seconds(NpuRoofline(), gemm, 8, twice) == pytest.approx(expected / 2, rel=1e-14, abs=0)


def test_nmp_by_hand() -> None:
    """One GEMM (1, 4095) x (4095, 4096), fp16, on 6 channels of PEs with 8 FPUs at 600 MHz and 25.6 GB/s.

    sqrt(6) = 2.4 is nearest to 2: 2 x 3 channels of K' = 2048, N' = 1366. Bound by the 409.6 GB/s of 16 PEs.
    """
    k, n = 2048, 1366
    transfer = 2 * (k + n) / 2**30 / 12.8
    compute = 2 * (k + k * n) / 409.6e9
    assert 16 * 8 * 600e6 * 16 > 409.6e9 / 2  # the peak is out of reach
    expected = transfer + compute
    assert seconds(NmpRoofline(), (1, 1, 4096, 4095), 6, device(8, 600, 25.6)) == pytest.approx(
        expected, rel=1e-14, abs=0
    )


def test_nmp_at_peak_by_hand() -> None:
    """16 rows on one FPU of 400 MHz: 102.4 GMAC/s a channel. 8 GEMMs on 6 channels: one channel each, two rounds."""
    m, n, k = 16, 128, 64
    transfer = 2 * m * (k + n) / 2**30 / 12.8
    compute = m * n * k / (16 * 1 * 0.4e9 * 16)
    expected = 2 * (transfer + compute)
    assert seconds(NmpRoofline(), (8, m, n, k), 6, device(1, 400, 51.2)) == pytest.approx(expected, rel=1e-14, abs=0)


def test_nmp_gemms_that_share_channels_by_hand() -> None:
    """4 GEMMs on 6 channels: 2 at a time with 3 channels each, 2 rounds. sqrt(64 3 / 64) is nearer to 1 than to 3."""
    m, n, k = 2, 22, 64
    expected = 2 * (2 * m * (k + n) / 2**30 / 12.8 + 2 * (m * k + k * n) / 409.6e9)
    assert seconds(NmpRoofline(), (4, m, 64, k), 6, device(8, 600, 25.6)) == pytest.approx(expected, rel=1e-14, abs=0)


@pytest.mark.parametrize(
    ("fpus", "mhz", "pe_gbps", "batch", "share"),
    [
        *((1, 1000, 6.4, batch, share) for batch, share in ((1, 0.71), (4, 0.45), (16, 0.52), (2, 1.0), (8, 1.0))),
        *((1, 200, 6.4, batch, share) for batch, share in ((1, 0.46), (4, 0.71), (16, 0.83), (2, 1.0), (32, 1.0))),
        (1, 400, 6.4, 1, 1.0),
        (2, 1000, 6.4, 1, 1.0),
        (1, 1000, 12.8, 1, 1.0),
    ],
)
def test_utilisation(fpus: int, mhz: float, pe_gbps: float, batch: int, share: float) -> None:
    """Tabulated for two processors and three batches, 1 for every other; it divides the latency."""
    one = device(fpus, mhz, pe_gbps, batch=batch)
    assert utilisation(one).tolist() == [share]
    full = replace(one, batch=3)
    gemm = (1, 4, 100, 100)
    expected = seconds(NmpRoofline(), gemm, 4, full) / share
    assert seconds(NmpRoofline(), gemm, 4, one) == pytest.approx(expected, rel=1e-14, abs=0)


SMALL = st.integers(1, 5000)


@examples(200)
@given(SMALL, SMALL, SMALL, SMALL, CHANNELS, st.integers(0, 3), st.integers(1, 5000))
def test_npu_more_work_never_costs_less(
    b: int, m: int, n: int, k: int, channels: int, dimension: int, more: int
) -> None:
    """Any dimension of the batched GEMM, at a fixed number of channels."""
    small, large = [b, m, n, k], [b, m, n, k]
    large[dimension] += more
    one = device(8, 600, 25.6)
    before, after = (seconds(NpuRoofline(), (g[0], g[1], g[2], g[3]), channels, one) for g in (small, large))
    assert before <= after * (1 + 1e-12)


@examples(300)
@given(SMALL, SMALL, SMALL, SMALL, CHANNELS, st.integers(0, 3), st.integers(1, 100))
def test_nmp_more_work_never_costs_less(
    b: int, m: int, n: int, k: int, channels: int, dimension: int, more: int
) -> None:
    """Any dimension, as long as the GEMMs are cut among the channels in the same way: the published choice of a cut
    is no optimum, so that a slightly larger GEMM which is cut in another way may well cost less."""
    small, large = [b, m, n, k], [b, m, n, k]
    large[dimension] += more
    cuts, times = [], []
    for g in (small, large):
        gang, _ = channels_per_gemm(array(g[0]), array(channels))
        cuts.append((gang.item(), parts_along_k(array(g[2]), array(g[3]), gang).item()))
        times.append(seconds(NmpRoofline(), (g[0], g[1], g[2], g[3]), channels, device(4, 600, 12.8)))
    assume(cuts[0] == cuts[1])
    assert times[0] <= times[1] * (1 + 1e-12)
