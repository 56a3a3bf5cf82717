"""Laws of the buffered evaluator, each with the conditions under which it holds.

A law compares the same mapping on two machines, or at two sets of constants; a mapping is copied column by column.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_model.nmp.buffered import BufferedEvaluator
from cost_model.nmp.operators.base import OperatorModel
from cost_model.nmp.operators.buffered import BufferedNmp
from cost_model.nmp.operators.roofline import NmpRoofline
from cost_model.nmp.roofline import RooflineEvaluator
from cost_model.nmp.technology import Constants, read_technology
from design.core import Batch, Bools, Floats, Ints
from design.nmp.device import Device, HardwareSpace, Platform, Processors
from design.nmp.lowering import PRECISIONS
from design.nmp.workload import ATTENTION, Workload
from dse.spaces.nmp.fixed import FixedSpace
from tests.cases import MODELS, PROCESSORS, examples, model_workload, nmp_space
from tests.cost_model.nmp.test_buffered import BUFFERS, SOME, TECHNOLOGY, ZERO
from tests.reference.buffered import blocks, context_of_step, layer, rows_of, split_decode, static_power

PLATFORM = Platform()
PLAIN = tuple(p for p in PROCESSORS if p.fpus > 1)  # none of these has a tabulated utilisation, nor a faster one
SLACK = 1 + 1e-12  # of rounding
EXACT = {"rtol": 1e-12, "atol": 0.0}
HUGE = 2**30  # KB, more than any operator needs
KB = ((1, 8, 64), (1, 8, 64), (2, 16, 128))


def designs(
    workload: Workload,
    seed: int,
    nmp: tuple[int, ...] = (2, 4, 6),
    processors: tuple[Processors, ...] = PLAIN,
    count: int = 30,
    specpim: bool = False,
) -> Batch:
    """Random data-centric designs with buffers that bind."""
    space = nmp_space(workload, PLATFORM, HardwareSpace(nmp, processors, *KB), specpim)
    return space.decode(space.sample(count, np.random.default_rng(seed)))


def with_columns(batch: Batch, **columns: Any) -> Batch:
    """The same mapping with other values in some columns."""
    given_ = {name: np.broadcast_to(value, batch.columns[name].shape).copy() for name, value in columns.items()}
    return Batch(batch.schema, dict(batch.columns) | given_)


def metrics(workload: Workload, batch: Batch, constants: Constants = SOME, nodes: int | None = 4) -> dict[str, Floats]:
    """What every row costs; all rows are sound."""
    evaluator = BufferedEvaluator(workload, PLATFORM, constants, check_capacity=False, nodes=nodes)
    found = dict(evaluator.evaluate(batch, seed=0).metrics)
    assert all(np.isfinite(values).all() for values in found.values())
    return found


def roofline(workload: Workload, batch: Batch) -> dict[str, Floats]:
    """The roofline's word on the same rows."""
    return dict(RooflineEvaluator(workload, PLATFORM, check_capacity=False).evaluate(batch, seed=0).metrics)


def is_mixed(batch: Batch) -> Bools:
    """Rows in which both processors have a part of some operator."""
    found: Bools = ((batch.columns["nmp_units"] > 0) & (batch.columns["npu_units"] > 0)).any(axis=1)
    return found


@examples(20)
@given(st.sampled_from(MODELS), st.sampled_from([2, 4, 16]), st.sampled_from(sorted(PRECISIONS)), st.integers(0, 99))
def test_the_roofline_is_the_limit(model: str, batch: int, precision: str, seed: int) -> None:
    """Buffers beyond all needs, every step at the final context, in-die processors included. Without a mixed operator
    all latencies are the roofline's. With one, the NPU has only the normal channels to read its part from: decode is
    no shorter, and prefill the same."""
    workload = model_workload(model, batch=batch, precision=precision)
    huge = dict.fromkeys(BUFFERS, HUGE)
    found = [designs(workload, seed, (2, 6, 8), PROCESSORS), designs(workload, seed, (6,), PROCESSORS, specpim=True)]
    mapped = with_columns(Batch.concat(found), **huge)
    ours, theirs, mixed = metrics(workload, mapped, nodes=None), roofline(workload, mapped), is_mixed(mapped)
    assert (~mixed).sum() > 5 and mixed.sum() > 5
    for name in ("latency_s", "prefill_s", "decode_s"):
        np.testing.assert_allclose(ours[name][~mixed], theirs[name][~mixed], **EXACT)
    np.testing.assert_allclose(ours["prefill_s"], theirs["prefill_s"], **EXACT)
    assert (ours["decode_s"] * SLACK >= theirs["decode_s"]).all()
    assert (ours["decode_s"][mixed] > theirs["decode_s"][mixed] * SLACK).any()


@pytest.mark.parametrize("name", ["npu_only", "attention_offloading", "fc_offloading"])
@pytest.mark.parametrize("model", MODELS)
def test_the_roofline_is_the_limit_of_fixed_dataflows(name: str, model: str) -> None:
    """Buffers beyond all needs, all steps at the final context, no mixed operators: the NPU reads from all channels."""
    workload = model_workload(model)
    space = FixedSpace(name, workload, PLATFORM, HardwareSpace((2, 6, 8), PROCESSORS, (HUGE,), (HUGE,), (HUGE,)))
    batch = space.decode(space.starts())
    ours, theirs = metrics(workload, batch, nodes=None), roofline(workload, batch)
    for metric in ("latency_s", "prefill_s", "decode_s"):
        np.testing.assert_allclose(ours[metric], theirs[metric], **EXACT)


@dataclass(frozen=True)
class Operators:
    """GEMMs (B, M, N, K) on as many devices, one to one."""

    gemms: Ints
    channels: Ints
    device: Device

    def seconds(self, model: OperatorModel) -> Floats:
        """Latencies; what nothing fits takes forever."""
        latency = model.cost(*self.gemms, self.channels, self.device).latency_s
        return np.where(np.isnan(latency), np.inf, latency)


def operators(seed: int, count: int = 2000) -> Operators:
    """Random operators on random devices of one platform, their sizes and buffers even on a logarithmic scale."""
    rng = np.random.default_rng(seed)

    def size(most: int) -> Ints:
        return np.exp(rng.uniform(0, np.log(most + 1), (1, count))).astype(np.int64)

    chosen = rng.integers(0, len(PROCESSORS), count)
    columns = {name: np.array([getattr(p, name) for p in PROCESSORS])[chosen] for name in ("fpus", "mhz", "pe_gbps")}
    columns |= {name: size(300)[0] - 1 for name in BUFFERS}
    platform = Platform(simd=int(rng.choice([1, 16, 64])), banks_per_channel=int(rng.choice([4, 16])))
    e, batch = float(rng.choice([2.0, 1.0, 0.5])), int(rng.choice([1, 2, 4, 16]))
    gemms = np.stack([size(64), size(64), size(20_000), size(20_000)])
    device = Device(platform, **columns, bytes_per_element=e, batch=batch)
    return Operators(gemms, rng.integers(1, 9, (1, count)), device)


@pytest.mark.parametrize("buffer", BUFFERS)
@examples(15)
@given(seed=st.integers(0, 9999))
def test_more_buffer_never_slows(buffer: str, seed: int) -> None:
    """Any operator on any machine, everything else fixed: some are faster, none slower, and what fits still does."""
    on = operators(seed)
    more = np.random.default_rng(seed).integers(1, 300, on.channels.shape[1])
    larger = replace(on, device=replace(on.device, **{buffer: getattr(on.device, buffer) + more}))
    before, after = (one.seconds(BufferedNmp(SOME)) for one in (on, larger))
    assert (after <= before * SLACK).all()
    assert (after < before).any()


@examples(20)
@given(st.integers(0, 9999))
def test_never_faster_than_the_roofline(seed: int) -> None:
    """Any operator on any machine; with buffers beyond all needs it takes as long as the roofline says."""
    on = operators(seed)
    limit, found = on.seconds(NmpRoofline()), on.seconds(BufferedNmp(SOME))
    assert (found * SLACK >= limit).all() and (found > limit * SLACK).any()
    enough = dict.fromkeys(BUFFERS, np.array([HUGE]))
    unbound = replace(on, device=replace(on.device, **enough)).seconds(BufferedNmp(SOME))
    np.testing.assert_allclose(unbound, limit, **EXACT)


@pytest.mark.parametrize("column", ["mhz", "pe_gbps", "fpus"])
@examples(15)
@given(
    model=st.sampled_from(MODELS), batch=st.sampled_from([2, 4, 16]), factor=st.integers(2, 9), seed=st.integers(0, 99)
)
def test_a_faster_processor_never_slows(column: str, model: str, batch: int, factor: int, seed: int) -> None:
    """At a fixed design, without tabulated utilisation (no PE of 1 FPU and 6.4 GB/s): more clock, bandwidth or FPUs
    never cost time, nor does any of them change prefill, which is the NPU's."""
    workload = model_workload(model, batch=batch)
    before = designs(workload, seed)
    after = with_columns(before, **{column: before.columns[column] * factor})
    slow, fast = metrics(workload, before), metrics(workload, after)
    assert (fast["latency_s"] <= slow["latency_s"] * SLACK).all()
    assert np.array_equal(fast["prefill_s"], slow["prefill_s"])


def attention_cuts_stay(workload: Workload, batch: Batch) -> Bools:
    """Rows in which each NMP channel has whole GEMMs of attention, so that these are not cut along the context."""
    attention = [op.kind == ATTENTION for op in workload.operators]
    assert all(op.decode.B > 1 for op in workload.operators if op.kind == ATTENTION)
    held = np.bitwise_count(batch.columns["channels"])
    units = batch.columns["nmp_units"]
    found: Bools = ((units == 0) | (units > held))[:, attention].all(axis=1)
    return found


@examples(25)
@given(
    st.sampled_from(MODELS[:2]),
    st.sampled_from([2, 4, 16]),
    st.integers(1, 3000),
    st.integers(1, 400),
    st.sampled_from([1, 2, 3, 4, 9, 10**6]),
    st.integers(0, 99),
)
def test_decode_lies_between_its_first_and_last_step(
    model: str, batch: int, prompt: int, generated: int, nodes: int, seed: int
) -> None:
    """Where attention is of more GEMMs than its operator has NMP channels, a step costs no less at a longer context:
    all steps take at least as long as that many first ones, and at most as many last ones, which is what one takes
    without nodes."""
    usage = {"batch": batch, "max_seq_len": 3200}
    workload = model_workload(model, prompt=prompt, generated=generated, **usage)
    mapped = designs(workload, seed, count=60)
    mapped = mapped.take(np.flatnonzero(attention_cuts_stay(workload, mapped)))
    assert len(mapped) > 10
    ends = []
    for step in (1, generated):
        one_step = model_workload(model, prompt=context_of_step(workload, step) - 1, generated=1, **usage)
        ends.append(generated * metrics(one_step, mapped)["decode_s"])
    found = metrics(workload, mapped, nodes=nodes)["decode_s"]
    assert (ends[0] <= found * SLACK).all() and (found <= ends[1] * SLACK).all()
    np.testing.assert_allclose(metrics(workload, mapped, nodes=None)["decode_s"], ends[1], **EXACT)


@examples(15)
@given(
    st.sampled_from(MODELS),
    st.sampled_from([1, 4]),
    st.integers(1, 2000),
    st.integers(1, 40),
    st.integers(0, 9),
    st.integers(0, 99),
)
def test_enough_nodes_are_exact(model: str, batch: int, prompt: int, generated: int, beyond: int, seed: int) -> None:
    """As many nodes as steps, or more, on any design: the sum over every single step, each at its own context, also
    past the longest context."""
    workload = model_workload(model, batch=batch, prompt=prompt, generated=generated, max_seq_len=2010)
    mapped = designs(workload, seed, processors=PROCESSORS, count=3)
    found = metrics(workload, mapped, nodes=generated + beyond)
    for i, row in enumerate(rows_of(mapped.columns)):
        contexts = [context_of_step(workload, step) for step in range(1, generated + 1)]
        exact = sum(layer(workload, PLATFORM, SOME, row, context).latency_s for context in contexts)
        assert found["decode_s"][i] == pytest.approx(exact, rel=1e-12, abs=0)


@examples(15)
@given(
    st.sampled_from([1, 4, 16]),
    st.sampled_from(sorted(PRECISIONS)),
    st.integers(1, 2000),
    st.integers(1, 1000),
    st.integers(0, 99),
)
def test_four_nodes_are_close(batch: int, precision: str, prompt: int, generated: int, seed: int) -> None:
    """LLaMA3-8B at batch 1, 4 and 16, contexts up to 3000 tokens, 1 to 1000 steps: four nodes are within a quarter of
    a percent of the sum over every single step, in time and in energy."""
    usage = {"batch": batch, "prompt": prompt, "generated": generated, "precision": precision}
    workload = model_workload("llama3-8b", max_seq_len=3000, **usage)
    mapped = designs(workload, seed, processors=PROCESSORS, count=8)
    exact, found = (metrics(workload, mapped, nodes=nodes) for nodes in (generated, 4))
    for name in ("decode_s", "energy_j"):
        np.testing.assert_allclose(found[name], exact[name], rtol=0.0025, atol=0, err_msg=name)


NAMES = [field.name for field in fields(Constants)]
STATIC = {"mac_leakage_mw", "sram_leakage_mw_kib", "dram_background_mw_channel", "npu_static_w"}
ENERGIES = {name for name in NAMES if not name.endswith(("_um2", "_um2_kib"))}


@pytest.mark.parametrize("name", NAMES)
@examples(8)
@given(
    model=st.sampled_from(MODELS),
    precision=st.sampled_from(sorted(PRECISIONS)),
    factor=st.floats(1.01, 100.0),
    seed=st.integers(0, 99),
)
def test_energy_and_area_rise_with_every_constant(
    name: str, model: str, precision: str, factor: float, seed: int
) -> None:
    """At a fixed design with NMP and NPU work in decode: each constant raises energy or area, not both, one of
    another precision neither, and none changes a latency."""
    workload = model_workload(model, precision=precision)
    mapped = designs(workload, seed, count=15)
    before = metrics(workload, mapped)
    after = metrics(workload, mapped, replace(SOME, **{name: factor * getattr(SOME, name)}))
    idle = name.split("_")[1] in PRECISIONS and f"_{precision}_" not in name
    rises = set() if idle else {"energy_j"} if name in ENERGIES else {"area_mm2"}
    for metric in before:
        if metric in rises:
            assert (after[metric] > before[metric]).all(), metric
        else:
            assert np.array_equal(after[metric], before[metric]), metric


@pytest.mark.parametrize("precision", PRECISIONS)
def test_low_nominal_and_high_are_in_order(precision: str) -> None:
    """The shipped constants, any design: energy and area are least with the low ones and most with the high ones."""
    technology = read_technology(TECHNOLOGY)
    for model in MODELS:
        workload = model_workload(model, precision=precision)
        mapped = designs(workload, 0, processors=PROCESSORS)
        found = [metrics(workload, mapped, technology.constants(case)) for case in ("low", "nominal", "high")]
        for less, more in pairwise(found):
            assert np.array_equal(less["latency_s"], more["latency_s"])
            assert (less["energy_j"] <= more["energy_j"]).all() and (less["area_mm2"] <= more["area_mm2"]).all()
        assert (found[0]["energy_j"] < found[2]["energy_j"]).all() and (
            found[0]["area_mm2"] < found[2]["area_mm2"]
        ).all()


@pytest.mark.parametrize("column", ["nmp_channels", "fpus", *BUFFERS])
def test_area_rises_with_hardware(column: str) -> None:
    """At constants above 0: one more of any column that is silicon."""
    workload = model_workload()
    before = designs(workload, 0)
    after = with_columns(before, **{column: before.columns[column] + 1})
    assert (metrics(workload, after)["area_mm2"] > metrics(workload, before)["area_mm2"]).all()


def test_area_is_of_hardware_alone() -> None:
    """Neither the dataflow, nor clock and bandwidth of the PEs, nor the workload at one precision changes it."""
    workload = model_workload()
    before = designs(workload, 0, nmp=(6,))
    area = metrics(workload, before)["area_mm2"]
    hardware = {name: before.columns[name] for name in ("fpus", *BUFFERS)}
    dataflow = designs(workload, 1, nmp=(6,))
    assert not all(np.array_equal(dataflow.columns[name], before.columns[name]) for name in ("group", "nmp_units"))
    for other in (with_columns(dataflow, **hardware), with_columns(before, mhz=1.0, pe_gbps=1.0)):
        assert np.array_equal(metrics(workload, other)["area_mm2"], area)
    space = FixedSpace("fc_offloading", workload, PLATFORM, HardwareSpace((6,), PLAIN, (1,), (1,), (2,)))
    fixed = space.decode(np.zeros((len(before), 5), dtype=np.int64))
    assert np.array_equal(metrics(workload, with_columns(fixed, **hardware))["area_mm2"], area)


MIXES = st.tuples(st.sampled_from(MODELS), st.sampled_from([1, 4, 16]), st.sampled_from(sorted(PRECISIONS)))


def decode_macs(workload: Workload, nodes: int | None) -> int:
    """Multiply-accumulates of all steps at the contexts that they are priced at."""
    total = 0
    for context, steps in blocks(workload, nodes):
        for op in workload.operators:
            b, m, n, k = op.decode if context is None else op.decode_at(context)
            total += steps * b * m * n * k
    return total


@examples(20)
@given(MIXES, st.sampled_from([None, 1, 4]), st.integers(0, 99))
def test_each_operation_is_paid_once(mix: tuple[str, int, str], nodes: int | None, seed: int) -> None:
    """Where nothing but a multiply-accumulate costs energy, a joule each, the energy is their number, wherever
    they are done. Designs of the NMP space, in which no work is done twice."""
    model, batch, precision = mix
    workload = model_workload(model, batch=batch, precision=precision)
    known = replace(ZERO, **{f"mac_{precision}_pj": 1e12})
    macs = sum(op.prefill[0].gemm.macs for op in workload.operators) + decode_macs(workload, nodes)
    np.testing.assert_allclose(metrics(workload, designs(workload, seed), known, nodes)["energy_j"], macs, **EXACT)


@examples(20)
@given(MIXES, st.integers(0, 99))
def test_static_power_flows_all_the_time(mix: tuple[str, int, str], seed: int) -> None:
    """Where operations are free, energy is a power times the latency, and the power is of the hardware alone."""
    model, batch, precision = mix
    workload = model_workload(model, batch=batch, precision=precision)
    free = replace(SOME, **{name: 0.0 for name in NAMES if "_pj" in name})
    mapped = designs(workload, seed)
    found = metrics(workload, mapped, free)
    watts = [static_power(workload, PLATFORM, free, row) for row in rows_of(mapped.columns)]
    np.testing.assert_allclose(found["energy_j"] / found["latency_s"], watts, **EXACT)


@examples(20)
@given(MIXES, st.sampled_from([None, 1, 4]), st.integers(0, 99))
def test_energy_has_a_floor(mix: tuple[str, int, str], nodes: int | None, seed: int) -> None:
    """Any design, were SRAM and idling free: every multiply-accumulate is paid, every stored operand is read from its
    DRAM array at least once a step by the side that needs it, what the NMP side reads comes over the hybrid bond, and
    the inputs and outputs of every operator cross a channel. Some designs come within a percent of it."""
    model, batch, precision = mix
    workload = model_workload(model, batch=batch, precision=precision)
    e, mapped = workload.bytes_per_element, designs(workload, seed)
    known = replace(
        SOME, **{name: 0.0 for name in NAMES if name in STATIC or "sram" in name or name == "npu_buffer_pj"}
    )
    energy = metrics(workload, mapped, known, nodes)["energy_j"]
    for i, row in enumerate(rows_of(mapped.columns)):
        macs, array_bytes, bond_bytes, channel_bytes = 0.0, 0.0, 0.0, 0.0
        for op in workload.operators:
            b, m, n, k = op.prefill[0].gemm
            macs += b * m * n * k
            array_bytes += e * b * n * k
            channel_bytes += e * b * (m * k + m * n)
        for context, steps in blocks(workload, nodes):
            for place, op in enumerate(workload.operators):
                units = row["nmp_units"][place], row["npu_units"][place]
                for on_nmp, (b, m, n, k) in zip((True, False), split_decode(op, *units, context), strict=True):
                    if b and n:
                        macs += steps * b * m * n * k
                        array_bytes += steps * e * b * n * k
                        bond_bytes += steps * e * b * n * k * on_nmp
                        channel_bytes += steps * e * b * (m * k + m * n)
        floor = macs * known.mac_pj(e) + 8 * array_bytes * known.dram_array_pj_bit
        floor += 8 * bond_bytes * known.hybrid_bond_pj_bit + 8 * channel_bytes * known.channel_io_pj_bit
        assert energy[i] * SLACK >= 1e-12 * floor
