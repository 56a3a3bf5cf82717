"""Scalar reference of evaluator `buffered`: NMP operators in tiles that fit their buffers, an NPU with an energy, and
designs of both over a context that grows.

Everything is written one operator, one tile and one step at a time, straight from the formulas.  A design is one row
of a batch: column name -> number, or a list of one number per operator.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from design.nmp.device import Platform
from design.nmp.workload import Operator, Workload

if TYPE_CHECKING:
    from cost_model.nmp.technology import Constants

Shape = tuple[int, int, int, int]  # (B, M, N, K): B GEMMs of (M, K) x (K, N)
Row = Mapping[str, Any]

# Measured utilisation of the two in-die designs (1 FPU per PE, 6.4 GB/s per PE): MHz -> batch -> share.
IN_DIE_UTILISATION = {1000: {1: 0.71, 4: 0.45, 16: 0.52}, 200: {1: 0.46, 4: 0.71, 16: 0.83}}
PICO = 1e-12


class Cost(NamedTuple):
    """Seconds and joules."""

    latency_s: float
    energy_j: float


class Tiling(NamedTuple):
    """One way to run the share of a GEMM that a channel has, all in bytes of one channel and GEMM."""

    rows: int  # of a tile
    stationary: str  # 'output' or 'input'
    moved_in: float
    moved_out: float
    weights: float
    spilled: float


FREE, UNKNOWN = Cost(0.0, 0.0), Cost(math.nan, math.nan)


def by_precision(fp16: float, int8: float, int4: float, e: float) -> float:
    """The constant for elements of ``e`` bytes."""
    return {2.0: fp16, 1.0: int8, 0.5: int4}[e]


def mac_pj(constants: Constants, e: float) -> float:
    """Energy of one multiply-accumulate."""
    return by_precision(constants.mac_fp16_pj, constants.mac_int8_pj, constants.mac_int4_pj, e)


def mac_um2(constants: Constants, e: float) -> float:
    """Area of one multiply-accumulate unit."""
    return by_precision(constants.mac_fp16_um2, constants.mac_int8_um2, constants.mac_int4_um2, e)


def npu_cost(shape: Shape, channels: int, platform: Platform, constants: Constants, e: float) -> Cost:
    """A batched GEMM on the NPU, fed by ``channels`` channels; ``e`` is bytes per element."""
    b, m, n, k = shape
    if b == 0 or n == 0:
        return FREE
    peak = platform.npu_gmacs * platform.npu_efficiency
    bandwidth = platform.channel_gbps * channels * platform.npu_efficiency
    intensity = m * n * k / (e * (m * k + k * n))
    macs = b * m * n * k
    latency = macs / 1e9 / min(peak, bandwidth * intensity)
    moved_bits = b * e * (m * k + k * n + m * n) * 8
    energy = moved_bits * (constants.dram_array_pj_bit + constants.channel_io_pj_bit)
    energy += macs * (mac_pj(constants, e) + constants.npu_buffer_pj)
    return Cost(latency, energy * PICO)


def gang_and_rounds(b: int, channels: int) -> tuple[int, int]:
    """(channels that work on one GEMM together, GEMMs that each gang does one after another)."""
    if b > channels:
        return 1, math.ceil(b / channels)
    if b > 1:
        common = math.gcd(b, channels)
        return channels // common, b // common
    return channels, 1


def channel_share(n: int, k: int, gang: int) -> tuple[int, int]:
    """(columns, depth) that each of a gang's channels has of a GEMM."""
    ideal = math.sqrt(k * gang / n)
    divisors = [d for d in range(1, gang + 1) if gang % d == 0]
    along_k = min(divisors, key=lambda d: abs(d - ideal))  # the first, so the smaller, of two as near
    return math.ceil(n / (gang // along_k)), math.ceil(k / along_k)


def utilisation(design: Row, batch: int) -> float:
    """Share of its speed that an NMP channel reaches."""
    in_die = design["fpus"] == 1 and design["pe_gbps"] == 6.4
    return IN_DIE_UTILISATION.get(design["mhz"], {}).get(batch, 1.0) if in_die else 1.0


def tilings(m: int, n: int, k: int, design: Row, platform: Platform, e: float) -> Iterator[Tiling]:
    """Every allowed way to run (m, k) x (k, n) on one channel, preferred ones first."""
    pes = platform.banks_per_channel
    input_elements = math.floor(design["input_kb"] * 1024 / 2 / e)
    weight_elements = math.floor(design["weight_kb"] * 1024 / 2 / e)
    output_elements = math.floor(design["output_kb"] * 1024 / 2 / (pes * 4))
    columns = math.ceil(n / pes)  # of one PE
    smallest = min(platform.simd, k)
    rows_of_a_tile = [m]
    while rows_of_a_tile[-1] > 1:
        rows_of_a_tile.append(math.ceil(rows_of_a_tile[-1] / 2))
    for rows in rows_of_a_tile:
        weights = e * k * n * math.ceil(m / rows)
        wide = min(columns, output_elements // rows, weight_elements // smallest)
        if rows * smallest <= input_elements and wide >= 1:
            reads = 1 if rows * k <= input_elements else math.ceil(columns / wide)
            yield Tiling(rows, "output", e * m * k * reads, e * m * n, weights, 0.0)
        deep = min(k, input_elements // rows, weight_elements)
        if deep >= smallest and output_elements // rows >= 1:
            spills = 0 if output_elements // rows >= columns else math.ceil(k / deep) - 1
            yield Tiling(rows, "input", e * m * k, e * m * n, weights, 8.0 * m * n * spills)


def nmp_cost(
    shape: Shape, channels: int, design: Row, platform: Platform, constants: Constants, e: float, batch: int
) -> Cost:
    """A batched GEMM on ``channels`` NMP channels; NaN where nothing fits the buffers. ``batch`` is of sequences."""
    if shape[0] == 0 or shape[2] == 0:
        return FREE
    best = UNKNOWN
    for cost, _ in nmp_choices(shape, channels, design, platform, constants, e, batch):
        if best is UNKNOWN or cost.latency_s < best.latency_s:
            best = cost
    return best


def nmp_choices(
    shape: Shape, channels: int, design: Row, platform: Platform, constants: Constants, e: float, batch: int
) -> Iterator[tuple[Cost, Tiling]]:
    """What the operator would cost with each allowed tiling."""
    b, m, all_columns, all_depth = shape
    gang, rounds = gang_and_rounds(b, channels)
    n, k = channel_share(all_columns, all_depth, gang)
    pes = platform.banks_per_channel
    compute = m * k * n / 1e9 / (platform.simd * design["fpus"] * design["mhz"] * pes / 1e3)
    pairs, macs = b * gang, b * m * all_columns * all_depth

    def sram(kb: float) -> float:
        return constants.sram_pj_bit * math.sqrt(kb / 32)

    for t in tilings(m, n, k, design, platform, e):
        stream = (t.moved_in + t.weights + t.spilled) / 1e9 / (pes * design["pe_gbps"])
        into = t.moved_in / 2**30 / platform.channel_gbps
        out_of = t.moved_out / 2**30 / platform.channel_gbps
        latency = (into + max(compute, stream) + out_of) * rounds / utilisation(design, batch)

        dram = pairs * (t.weights + t.spilled) * 8 * (constants.dram_array_pj_bit + constants.hybrid_bond_pj_bit)
        channel_io = pairs * (t.moved_in + t.moved_out) * 8 * constants.channel_io_pj_bit
        mac = macs * mac_pj(constants, e)
        operands = e * sram(design["weight_kb"]) + e * sram(design["input_kb"]) / (pes * design["fpus"])
        partial_sums = (8 / platform.simd) * sram(design["output_kb"] / pes)
        filled = t.weights * sram(design["weight_kb"]) + t.moved_in * sram(design["input_kb"])
        buffer = macs * 8 * (operands + partial_sums) + pairs * 8 * filled
        yield Cost(latency, (dram + channel_io + mac + buffer) * PICO), t


def split_decode(op: Operator, nmp_units: int, npu_units: int, context: int | None) -> tuple[Shape, Shape]:
    """Decode GEMM at a context (None: the final one), cut into (part on NMP, part on the NPU)."""
    b, m, n, k = op.decode
    if context is not None and op.context_axis == "N":
        if b == 1:  # the columns that are cut are the context, of which each side keeps its share
            nmp_units, npu_units = -(-context * nmp_units // n), context * npu_units // n
        n = context
    if context is not None and op.context_axis == "K":
        k = context
    if b > 1:
        return (nmp_units, m, n, k), (npu_units, m, n, k)
    return (1, m, nmp_units, k), (1, m, npu_units, k)


def context_of_step(workload: Workload, step: int) -> int:
    """Tokens that the given decode step, counted from 1, attends to."""
    tokens = workload.prompt + step
    return tokens if workload.max_context is None else min(workload.max_context, tokens)


def blocks(workload: Workload, nodes: int | None) -> list[tuple[int | None, int]]:
    """(context, steps) of each block of decode steps; the final context is None."""
    if nodes is None:
        return [(None, workload.generated)]
    found: list[tuple[int | None, int]] = []
    count, step = min(nodes, workload.generated), 1
    for block in range(count):
        steps = workload.generated // count + (1 if block < workload.generated % count else 0)
        total = sum(context_of_step(workload, t) for t in range(step, step + steps))
        found.append(((2 * total + steps) // (2 * steps), steps))  # the mean, rounded half up
        step += steps
    return found


def layer(
    workload: Workload,
    platform: Platform,
    constants: Constants,
    design: Row,
    context: int | None,
) -> Cost:
    """One decode step of one layer at a context: its latency, and the energy of both sides together."""
    normal_channels = platform.total_channels - design["nmp_channels"]
    e = workload.bytes_per_element
    slowest_nmp: dict[tuple[int, int, int], float] = defaultdict(float)  # keyed by group, part, stratum
    npu_total: dict[tuple[int, int, int], float] = defaultdict(float)
    energy = 0.0
    for i, op in enumerate(workload.operators):
        where = (design["group"][i], design["part"][i], design["stratum"][i])
        held = bin(design["channels"][i]).count("1")
        normal = normal_channels if design["normal"][i] else 0
        on_nmp, on_npu = split_decode(op, design["nmp_units"][i], design["npu_units"][i], context)
        if design["nmp_units"][i] == 0:
            feeding = held + normal  # all of its data may lie in any of its channels
        elif normal > 0:
            feeding = normal  # the NMP part keeps the held channels busy
        else:
            feeding = held
        nmp = nmp_cost(on_nmp, held, design, platform, constants, e, workload.batch)
        npu = npu_cost(on_npu, feeding, platform, constants, e)
        if math.isnan(nmp.latency_s):
            return UNKNOWN
        slowest_nmp[where] = max(slowest_nmp[where], nmp.latency_s)
        npu_total[where] += npu.latency_s
        energy += nmp.energy_j + npu.energy_j
    part_total: dict[tuple[int, int], float] = defaultdict(float)  # strata follow each other
    for where in slowest_nmp:
        part_total[where[:2]] += max(slowest_nmp[where], npu_total[where])
    slowest_part: dict[int, float] = defaultdict(float)  # parts run side by side, groups follow each other
    for (group, _), seconds in part_total.items():
        slowest_part[group] = max(slowest_part[group], seconds)
    return Cost(sum(slowest_part.values()), energy)


def prefill(workload: Workload, platform: Platform, constants: Constants, design: Row) -> Cost:
    """Every operator whole, on the NPU, from all its own channels, in turn."""
    latency = energy = 0.0
    for i, op in enumerate(workload.operators):
        reach = bin(design["channels"][i]).count("1")
        if design["normal"][i]:
            reach += platform.total_channels - design["nmp_channels"]
        cost = npu_cost(op.prefill[0].gemm, reach, platform, constants, workload.bytes_per_element)
        latency, energy = latency + cost.latency_s, energy + cost.energy_j
    return Cost(latency, energy)


def static_power(workload: Workload, platform: Platform, constants: Constants, design: Row) -> float:
    """Watts that are drawn whether anything runs or not."""
    n, pes = design["nmp_channels"], platform.banks_per_channel
    leakage = constants.sram_leakage_mw_kib
    one_pe = design["fpus"] * platform.simd * constants.mac_leakage_mw + design["weight_kb"] * leakage
    shared = (design["input_kb"] + design["output_kb"]) * leakage
    background = platform.total_channels * constants.dram_background_mw_channel
    return n * pes * one_pe / 1e3 + n * shared / 1e3 + background / 1e3 + constants.npu_static_w


def area(workload: Workload, platform: Platform, constants: Constants, design: Row) -> float:
    """Square millimetres of logic in the NMP channels."""
    macs = design["fpus"] * platform.simd * mac_um2(constants, workload.bytes_per_element)
    one_pe = macs + constants.pe_control_um2 + design["weight_kb"] * constants.sram_um2_kib
    shared = (design["input_kb"] + design["output_kb"]) * constants.sram_um2_kib
    return design["nmp_channels"] * (platform.banks_per_channel * one_pe + shared) / 1e6


def price(
    workload: Workload, platform: Platform, constants: Constants, design: Row, nodes: int | None
) -> dict[str, float]:
    """All metrics of one layer; all NaN where the work of an NMP operator fits no tile."""
    first = prefill(workload, platform, constants, design)
    decode_s = decode_j = 0.0
    for context, steps in blocks(workload, nodes):
        step = layer(workload, platform, constants, design, context)
        decode_s, decode_j = decode_s + steps * step.latency_s, decode_j + steps * step.energy_j
    latency = first.latency_s + decode_s
    energy = first.energy_j + decode_j + static_power(workload, platform, constants, design) * latency
    found = {
        "latency_s": latency,
        "prefill_s": first.latency_s,
        "decode_s": decode_s,
        "energy_j": energy,
        "area_mm2": area(workload, platform, constants, design),
    }
    return dict.fromkeys(found, math.nan) if math.isnan(latency) else found


def rows_of(columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of a batch's columns, each as a design."""
    lists = {name: values.tolist() for name, values in columns.items()}
    return [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]
