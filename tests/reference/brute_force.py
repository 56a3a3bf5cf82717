"""Scalar reference of the H2-LLM / SpecPIM analytical model and its design space.

Everything is written one operator at a time, straight from the formulas, for graphs of a few operators, a
few channels and tiny cut extents.  A design is a tuple of ``Placed``, one per operator, in operator order.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product

Shape = tuple[int, int, int, int]  # (B, M, N, K): B GEMMs of (M, K) x (K, N)
Edges = Sequence[tuple[int, int]]  # each (i, j): operator j consumes what operator i produces

CHANNEL_GBPS = 12.8  # external bandwidth of one memory channel, GB/s
NPU_EFFICIENCY = 0.7  # share of peak and of bandwidth that the NPU reaches
# Measured utilisation of the two in-die designs (1 FPU per PE, 6.4 GB/s per PE): MHz -> batch -> share.
IN_DIE_UTILISATION = {1000: {1: 0.71, 4: 0.45, 16: 0.52}, 200: {1: 0.46, 4: 0.71, 16: 0.83}}


@dataclass(frozen=True)
class Operator:
    """One batched GEMM of a transformer layer."""

    name: str
    decode: Shape
    prefill: Shape
    stored_bytes: float  # its weights or cache over all layers, bytes
    granule: int  # cuts are whole multiples of this many units (GEMMs or columns)


@dataclass(frozen=True)
class Device:
    """Memory device and NPU."""

    nmp: int  # NMP channels
    normal: int  # normal channels
    fpus: int  # FPUs per PE
    mhz: int  # FPU clock, MHz
    pe_gbps: float  # bandwidth of one PE, GB/s
    simd: int = 16  # MACs per FPU and cycle
    pes: int = 16  # PEs per channel, one per bank
    npu_gmacs: float = 128e3  # NPU peak before efficiency, GMAC/s
    bank_bytes: float = 256.0 * 2**20  # capacity of one bank, bytes


@dataclass(frozen=True)
class Placed:
    """Where one operator runs; all indices are 0-based and dense."""

    group: int  # memory access group (MAG)
    part: int  # memory partition group (MPG) in its MAG; parts are ordered by smallest operator index
    stratum: int  # step in its MPG
    channels: frozenset[int]  # NMP channel ids
    normal: bool  # whether it uses the normal channels
    nmp_units: int  # units of its cut extent (GEMMs if decode B > 1, else columns) that are on NMP


Ops = Sequence[Operator]
Design = tuple[Placed, ...]
Arrangement = dict[int, Placed]  # operator index -> its place, for some of the operators
Share = tuple[frozenset[int], bool]  # what an MPG owns: its NMP channels, and whether the normal unit


def cut_extent(op: Operator) -> int:
    """Units an operator can be cut into: GEMMs of its decode batch if there are several, else columns."""
    batch, _, columns, _ = op.decode
    return batch if batch > 1 else columns


def split_decode(op: Operator, nmp_units: int) -> tuple[Shape, Shape]:
    """Decode GEMM cut into (part on NMP, part on the NPU)."""
    b, m, n, k = op.decode
    if b > 1:
        return (nmp_units, m, n, k), (b - nmp_units, m, n, k)
    return (b, m, nmp_units, k), (b, m, n - nmp_units, k)


def _rate(peak: float, bandwidth: float, intensity: float) -> float:
    """Roofline throughput in GMAC/s from GMAC/s, GB/s and MAC/byte."""
    return peak if peak / bandwidth < intensity else bandwidth * intensity


def npu_latency(shape: Shape, nmp_channels: int, normal_channels: int, device: Device, e: float) -> float:
    """Seconds for a batched GEMM on the NPU, fed by the given numbers of channels; ``e`` is bytes/element."""
    b, m, n, k = shape
    if b == 0 or n == 0:
        return 0.0
    peak = device.npu_gmacs * NPU_EFFICIENCY
    bandwidth = CHANNEL_GBPS * (nmp_channels + normal_channels) * NPU_EFFICIENCY
    # Intensity of one GEMM of the batch; its result is not counted as traffic.
    intensity = m * k * n / (e * (m * k + k * n))
    return b * m * n * k / 1e9 / _rate(peak, bandwidth, intensity)


def nmp_latency(shape: Shape, channels: int, device: Device, e: float, batch: int) -> float:
    """Seconds for a batched GEMM on ``channels`` NMP channels; ``e`` bytes/element, ``batch`` sequences."""
    b, m, n, k = shape
    if b == 0 or n == 0:
        return 0.0
    # gang: channels that work on one GEMM together; rounds: GEMMs each gang does one after another.
    if b > channels:
        gang, rounds = 1, math.ceil(b / channels)
    elif b > 1:
        common = math.gcd(b, channels)
        gang, rounds = channels // common, b // common
    else:
        gang, rounds = channels, 1
    # Cut K k_cut ways and N n_cut ways; min() keeps the first, so the smaller divisor wins a tie.
    ideal = math.sqrt(k * gang / n)
    k_cut = min((i for i in range(1, gang + 1) if gang % i == 0), key=lambda i: abs(i - ideal))
    n_cut = gang // k_cut
    k_own, n_own = math.ceil(k / k_cut), math.ceil(n / n_cut)

    transfer_in = e * m * k_own / 2**30 / CHANNEL_GBPS
    transfer_out = e * m * n_own / 2**30 / CHANNEL_GBPS
    peak = device.simd * device.fpus * device.mhz * device.pes / 1e3
    bandwidth = device.pe_gbps * device.pes
    intensity = m * k_own * n_own / (e * (m * k_own + k_own * n_own))
    compute = m * k_own * n_own / 1e9 / _rate(peak, bandwidth, intensity)
    in_die = device.fpus == 1 and device.pe_gbps == 6.4
    utilisation = IN_DIE_UTILISATION.get(device.mhz, {}).get(batch, 1.0) if in_die else 1.0
    return (transfer_in + compute + transfer_out) * rounds / utilisation


def decode_latency(design: Design, ops: Ops, device: Device, e: float, batch: int) -> float:
    """Seconds per generated token, for one layer."""
    slowest_nmp: dict[tuple[int, int, int], float] = defaultdict(float)  # keyed by group, part, stratum
    npu_total: dict[tuple[int, int, int], float] = defaultdict(float)
    for placed, op in zip(design, ops, strict=True):
        where, width = (placed.group, placed.part, placed.stratum), len(placed.channels)
        on_nmp, on_npu = split_decode(op, placed.nmp_units)
        if placed.channels:
            slowest_nmp[where] = max(slowest_nmp[where], nmp_latency(on_nmp, width, device, e, batch))
        if placed.normal:
            # The NPU part of a mixed operator draws on all the operator's channels, NMP ones included.
            npu_total[where] += npu_latency(on_npu, width, device.normal, device, e)
    part_total: dict[tuple[int, int], float] = defaultdict(float)  # strata follow each other
    for where in {(p.group, p.part, p.stratum) for p in design}:
        # NMP channels work side by side; the one NPU takes its operators in turn, beside them.
        part_total[where[:2]] += max(slowest_nmp[where], npu_total[where])
    # Parts run side by side, groups follow each other.
    return sum(
        max(seconds for (g, _), seconds in part_total.items() if g == group) for group in {p.group for p in design}
    )


def prefill_latency(design: Design, ops: Ops, device: Device, e: float) -> float:
    """Seconds of prefill for one layer: every operator whole, on the NPU, from its own channels, in turn."""
    return sum(
        npu_latency(op.prefill, len(placed.channels), device.normal if placed.normal else 0, device, e)
        for placed, op in zip(design, ops, strict=True)
    )


def latency(design: Design, ops: Ops, device: Device, e: float, batch: int, generated: int) -> float:
    """Seconds of prefill and ``generated`` tokens, for one layer; decode is priced once, at final context."""
    return prefill_latency(design, ops, device, e) + decode_latency(design, ops, device, e, batch) * generated


def capacity_violation(design: Design, ops: Ops, device: Device) -> tuple[float, float]:
    """Bytes held beyond capacity: (sum over NMP channels of each one's excess, excess of the normal ones)."""
    # Exact fractions, so that a channel that is exactly full does not overflow by a rounding error.
    on_channel, on_normal = [Fraction(0)] * device.nmp, Fraction(0)
    for placed, op in zip(design, ops, strict=True):
        stored, ratio = Fraction(op.stored_bytes), Fraction(placed.nmp_units, cut_extent(op))
        for channel in placed.channels:
            on_channel[channel] += stored * ratio / len(placed.channels)
        if placed.normal:
            on_normal += stored * (1 - ratio)
    room = device.pes * Fraction(device.bank_bytes)
    nmp_bytes = sum((max(held - room, Fraction(0)) for held in on_channel), Fraction(0))
    return float(nmp_bytes), float(max(on_normal - device.normal * room, Fraction(0)))


def enumerate_designs(ops: Ops, edges: Edges, nmp: int, normal: int, specpim: bool = False) -> Iterator[Design]:
    """Every legal design exactly once; ``nmp`` and ``normal`` count channels, capacity is not looked at."""
    if specpim and normal == 0:
        raise ValueError("SpecPIM is undefined without normal channels")
    return _designs(ops, edges, nmp, normal, specpim)  # apart, so that the check above is not deferred


def _designs(ops: Ops, edges: Edges, nmp: int, normal: int, specpim: bool) -> Iterator[Design]:
    for group_of in _ordered_partitions(range(len(ops)), edges, strict=False):
        groups = [
            _group([i for i in group_of if group_of[i] == g], edges, g, ops, nmp, normal, specpim)
            for g in sorted(set(group_of.values()))
        ]
        for placed in _combined(groups):
            yield tuple(placed[i] for i in range(len(ops)))


def _group(
    members: Sequence[int], edges: Edges, group: int, ops: Ops, nmp: int, normal: int, specpim: bool
) -> Iterator[Arrangement]:
    """Every way to share the units out to the parts of one MAG and to run these."""
    parts = _components(members, edges)
    for shares in _shares(len(parts), nmp, normal, specpim):
        yield from _combined([_part(parts[p], edges, (group, p), shares[p], ops) for p in range(len(parts))])


def _part(
    members: Sequence[int], edges: Edges, where: tuple[int, int], share: Share, ops: Ops
) -> Iterator[Arrangement]:
    """Every way to cut one MPG into strata and to run them."""
    for stratum_of in _ordered_partitions(members, edges, strict=True):
        strata = sorted(set(stratum_of.values()))
        levels = [[i for i in members if stratum_of[i] == s] for s in strata]
        yield from _combined(
            [_stratum(level, (*where, s), share, ops) for s, level in zip(strata, levels, strict=True)]
        )


def _stratum(members: Sequence[int], where: tuple[int, int, int], share: Share, ops: Ops) -> Iterator[Arrangement]:
    """Every way for the operators of one stratum to use their MPG's share, all of it."""
    channels, has_normal = sorted(share[0]), share[1]
    for owners in product(members, repeat=len(channels)):
        own = {i: frozenset(c for c, owner in zip(channels, owners, strict=True) if owner == i) for i in members}
        for uses in product((False, True) if has_normal else (False,), repeat=len(members)):
            if any(uses) != has_normal or any(not own[i] and not use for i, use in zip(members, uses, strict=True)):
                continue  # the normal unit would idle, or an operator has nowhere to run
            choices: list[Sequence[int]] = []
            for i, use in zip(members, uses, strict=True):
                extent, granule = cut_extent(ops[i]), ops[i].granule
                if own[i] and use:  # no legal cut: product() below yields nothing
                    choices.append([granule * step for step in range(1, extent // granule)])
                else:
                    choices.append([extent if own[i] else 0])
            for units in product(*choices):
                yield {i: Placed(*where, own[i], use, u) for i, use, u in zip(members, uses, units, strict=True)}


def _shares(parts: int, nmp: int, normal: int, specpim: bool) -> Iterator[Sequence[Share]]:
    """Every way to hand the units to the MPGs of one MAG."""
    if specpim and parts == 1:  # the one case in which units may stay idle
        yield [(frozenset(), True)]
        for chosen in product((False, True), repeat=nmp):
            if any(chosen):
                yield [(frozenset(c for c in range(nmp) if chosen[c]), False)]
        return
    for normal_owner in range(parts) if normal > 0 else [-1]:  # -1: there is no normal unit to own
        for owners in product(range(parts), repeat=nmp):
            given = [frozenset(c for c in range(nmp) if owners[c] == p) for p in range(parts)]
            shares = [(given[p], p == normal_owner) for p in range(parts)]
            one_kind = not any(channels and has_normal for channels, has_normal in shares)
            if all(channels or has_normal for channels, has_normal in shares) and (one_kind or not specpim):
                yield shares


def _ordered_partitions(members: Sequence[int], edges: Edges, strict: bool) -> Iterator[dict[int, int]]:
    """Dense 0-based levels that never fall along an edge among the members, or (strict) always rise."""
    inner = [(i, j) for i, j in edges if i in members and j in members]
    for levels in product(range(len(members)), repeat=len(members)):
        level = dict(zip(members, levels, strict=True))
        dense = set(levels) == set(range(len(set(levels))))
        if dense and all(level[i] < level[j] or (level[i] == level[j] and not strict) for i, j in inner):
            yield level


def _components(members: Sequence[int], edges: Edges) -> list[list[int]]:
    """Weakly connected components of the induced subgraph, by ascending smallest member."""
    label = {i: i for i in members}  # only ever lowered within a component, down to its smallest member
    for i, j in edges:
        if i in label and j in label:
            low, high = sorted((label[i], label[j]))
            label = {k: low if old == high else old for k, old in label.items()}
    return [[i for i in members if label[i] == root] for root in sorted(set(label.values()))]


def _combined(pieces: Sequence[Iterator[Arrangement]]) -> Iterator[Arrangement]:
    """Every choice of one arrangement from each piece, the pieces being about different operators."""
    for choice in product(*pieces):
        yield {i: placed for arrangement in choice for i, placed in arrangement.items()}


def is_legal(design: Design, ops: Ops, edges: Edges, nmp: int, normal: int, specpim: bool = False) -> bool:
    """Whether a design obeys every dataflow rule, checked rule by rule; capacity is not looked at."""
    if specpim and normal == 0:
        raise ValueError("SpecPIM is undefined without normal channels")
    if len(design) != len(ops):
        return False
    if not all(_operator_is_legal(placed, op, nmp, normal) for placed, op in zip(design, ops, strict=True)):
        return False
    groups = {p.group for p in design}
    if groups != set(range(len(groups))) or any(design[i].group > design[j].group for i, j in edges):
        return False
    for group in groups:
        parts: dict[int, set[int]] = {}
        for i, placed in enumerate(design):
            if placed.group == group:
                parts.setdefault(placed.part, set()).add(i)
        if list(parts) != list(range(len(parts))):
            return False  # met in operator order, parts come as 0, 1, ..: numbered by smallest operator
        part_of = {i: part for part, members in parts.items() for i in members}
        if any(i in part_of and j in part_of and part_of[i] != part_of[j] for i, j in edges):
            return False  # an edge joins two parts, which are then one component
        if not all(_part_is_legal(design, members, edges) for members in parts.values()):
            return False
        used = [frozenset[int]().union(*(design[i].channels for i in members)) for members in parts.values()]
        on_normal = [any(design[i].normal for i in members) for members in parts.values()]
        if specpim and any(channels and with_normal for channels, with_normal in zip(used, on_normal, strict=True)):
            return False  # an MPG, hence each of its operators, uses one kind of channel
        if specpim and len(parts) == 1:
            continue  # any one kind of unit, and any subset of the NMP channels, will do
        if sorted(c for channels in used for c in channels) != list(range(nmp)):
            return False  # each NMP channel belongs to exactly one part
        if sum(on_normal) != (1 if normal > 0 else 0):
            return False  # and so does the normal unit, where there is one
    return True


def _operator_is_legal(placed: Placed, op: Operator, nmp: int, normal: int) -> bool:
    """Whether the operator's units exist, are at least one, and fit its cut."""
    if not placed.channels <= frozenset(range(nmp)) or (placed.normal and normal == 0):
        return False
    units, extent = placed.nmp_units, cut_extent(op)
    if placed.channels and placed.normal:  # whole granules, at least one of them on each side
        return units > 0 and units % op.granule == 0 and units + op.granule <= extent
    return units == extent if placed.channels else placed.normal and units == 0


def _part_is_legal(design: Design, members: set[int], edges: Edges) -> bool:
    """MPG: connected, strata dense and in dependency order, each stratum using all that the MPG uses."""
    inner = [(i, j) for i, j in edges if i in members and j in members]
    reached = {min(members)}
    for _ in members:  # each pass goes one edge further, direction ignored
        reached |= {b for i, j in inner for a, b in ((i, j), (j, i)) if a in reached}
    strata = {design[i].stratum for i in members}
    if reached != members or strata != set(range(len(strata))):
        return False
    if any(design[i].stratum >= design[j].stratum for i, j in inner):
        return False
    # An MPG owns what its operators use, so a unit that idles shows as strata that differ.
    owned = sorted(frozenset[int]().union(*(design[i].channels for i in members)))
    has_normal = any(design[i].normal for i in members)
    for stratum in strata:
        level = [design[i] for i in members if design[i].stratum == stratum]
        given = sorted(c for placed in level for c in placed.channels)  # a channel given twice stays twice
        if given != owned or any(placed.normal for placed in level) != has_normal:
            return False
    return True
