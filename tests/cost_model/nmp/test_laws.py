"""Physical laws of the roofline evaluator, each with the conditions under which it holds.

A law compares the same mapping on two machines or two workloads; a mapping is copied column by column.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_model.nmp.evaluator import NMP_CAPACITY, NORMAL_CAPACITY
from cost_model.nmp.operators.base import Ordered
from cost_model.nmp.operators.buffered import BufferedNmp
from cost_model.nmp.operators.roofline import NmpRoofline
from cost_model.nmp.roofline import RooflineEvaluator
from cost_model.nmp.technology import read_technology
from design.core import Batch, Floats
from design.nmp.device import Device, Platform, Processors
from design.nmp.lowering import Usage
from design.nmp.transformer import read_graph
from design.nmp.workload import Workload
from dse.spaces.nmp.fixed import FixedSpace
from tests.cases import (
    MODELS,
    PROCESSORS,
    ROOT,
    examples,
    hardware,
    layer_workload,
    model_workload,
    nmp_space,
    read_shape,
)

PLATFORM = Platform()
NOMINAL = read_technology(ROOT / "config" / "technology" / "hybrid-bonding.json").constants()
PLAIN = tuple(p for p in PROCESSORS if p.fpus > 1)  # none of these has a tabulated utilisation, nor a faster one
SLACK = 1 + 1e-12  # of rounding


def designs(workload: Workload, seed: int, processors: tuple[Processors, ...] = PLAIN, count: int = 40) -> Batch:
    """Random data-centric designs."""
    space = nmp_space(workload, PLATFORM, hardware((2, 4, 6, 8), processors))
    return space.decode(space.sample(count, np.random.default_rng(seed)))


def with_columns(batch: Batch, **columns: Any) -> Batch:
    """The same mapping with other values in some columns."""
    given_ = {name: np.broadcast_to(value, batch.columns[name].shape).copy() for name, value in columns.items()}
    return Batch(batch.schema, dict(batch.columns) | given_)


def latency(workload: Workload, batch: Batch, metric: str = "latency_s") -> Floats:
    """Seconds of every row; all rows are sound."""
    found: Floats = RooflineEvaluator(workload, PLATFORM, check_capacity=False).evaluate(batch, seed=0).metrics[metric]
    assert np.isfinite(found).all()
    return found


@pytest.mark.parametrize("column", ["mhz", "pe_gbps", "fpus"])
@examples(25)
@given(
    model=st.sampled_from(MODELS), batch=st.sampled_from([1, 4, 16]), factor=st.integers(2, 9), seed=st.integers(0, 99)
)
def test_a_faster_processor_never_slows(column: str, model: str, batch: int, factor: int, seed: int) -> None:
    """At a fixed mapping and channel count, without tabulated utilisation: more clock, bandwidth or FPUs never cost
    time, nor does any of them change prefill, which is the NPU's."""
    workload = model_workload(model, batch=batch)
    before = designs(workload, seed)
    after = with_columns(before, **{column: before.columns[column] * factor})
    assert (latency(workload, after) <= latency(workload, before) * SLACK).all()
    assert np.array_equal(latency(workload, after, "prefill_s"), latency(workload, before, "prefill_s"))


@pytest.mark.parametrize("model", [NmpRoofline(), BufferedNmp(NOMINAL)], ids=lambda m: m.name)
@examples(60)
@given(batch=st.sampled_from([1, 4, 16]), seed=st.integers(0, 10**6))
def test_the_stronger_device_never_slows(model: Ordered, batch: int, seed: int) -> None:
    """Whatever the operator, and with the devices of tabulated utilisation among the others."""
    rng = np.random.default_rng(seed)
    every = np.array([(p.fpus, p.mhz, p.pe_gbps) for p in (*PROCESSORS, Processors(1, 200, 6.4))])
    engine, count = every[rng.integers(0, len(every), 60)].T, 60
    buffers = rng.choice([1, 4, 16, 64], (3, count))
    device = Device(PLATFORM, engine[0].astype(np.int64), engine[1], engine[2], *buffers, 2.0, batch)
    strengths = np.stack(model.strengths(device), axis=1)
    shape = [np.full(count, int(2 ** rng.uniform(0, top))) for top in (5, 10, 13, 13, 3)]
    assert isinstance(model, NmpRoofline | BufferedNmp)
    seconds = np.nan_to_num(model.cost(*shape, device).latency_s, nan=np.inf)
    stronger = (strengths[:, None] >= strengths[None]).all(axis=2)
    assert stronger.sum() > count  # each is as strong as itself
    slower = seconds[:, None] > seconds[None] * SLACK
    assert not (stronger & slower).any()


@examples(25)
@given(st.sampled_from(MODELS), st.sampled_from([1, 4, 16]), st.integers(0, 99))
def test_a_faster_npu_or_channel_never_slows(model: str, batch: int, seed: int) -> None:
    """At a fixed mapping: more NPU compute, and more bandwidth of a memory channel, never cost time."""
    workload = model_workload(model, batch=batch)
    mapped = designs(workload, seed)
    before = latency(workload, mapped)
    for faster in (replace(PLATFORM, npu_gmacs=256e3), replace(PLATFORM, channel_gbps=25.6)):
        after = RooflineEvaluator(workload, faster, check_capacity=False).evaluate(mapped, seed=0).metrics["latency_s"]
        assert (after <= before * SLACK).all()


def no_cut_along_k_changes(less: Workload, more: Workload, name: str) -> tuple[Floats, Floats]:
    """Latencies under a fixed dataflow where every NMP operator keeps its cut: the NPU has the operators of one GEMM,
    and attention is of more GEMMs than the 6 channels, so that each GEMM has one channel."""
    found = []
    for workload in (less, more):
        space = FixedSpace(name, workload, PLATFORM, hardware((6,), PROCESSORS))
        found.append(latency(workload, space.decode(space.starts())))
    return found[0], found[1]


@pytest.mark.parametrize("name", ["npu_only", "attention_offloading"])
@pytest.mark.parametrize("what", ["generated", "prompt"])
@examples(20)
@given(model=st.sampled_from(MODELS[:2]), less=st.integers(1, 900), more=st.integers(1, 900))
def test_more_tokens_never_cost_less(name: str, what: str, model: str, less: int, more: int) -> None:
    """More generated tokens, or a longer prompt, where no operator's cut among channels changes with the context."""
    sizes = {"prompt": 100, "generated": 100}
    small, large = (model_workload(model, **(sizes | {what: tokens})) for tokens in (less, less + more))
    assert small.operators[3].extent > 6
    before, after = no_cut_along_k_changes(small, large, name)
    assert (before <= after * SLACK).all()


@pytest.mark.parametrize("name", ["npu_only", "attention_offloading"])
@examples(30)
@given(model=st.sampled_from(MODELS[:2]), less=st.integers(1, 40_000), more=st.integers(1, 40_000))
def test_a_wider_network_never_costs_less(name: str, model: str, less: int, more: int) -> None:
    """A larger intermediate dimension, with the feed-forward network on the NPU; and it stores more."""
    folder = ROOT / "config" / model
    shape, graph = read_shape(folder / "shape.json"), read_graph(folder / "operator_graph.json")
    small, large = (
        layer_workload(model, replace(shape, intermediate_dim=width), graph, Usage(4, 157, 67, 2048))
        for width in (less, less + more)
    )
    before, after = no_cut_along_k_changes(small, large, name)
    assert (before <= after * SLACK).all()
    assert sum(op.stored_bytes for op in small.operators) < sum(op.stored_bytes for op in large.operators)


@examples(30)
@given(st.sampled_from(MODELS), st.sampled_from([1, 2, 4, 16]), st.booleans(), st.integers(0, 99))
def test_parts_of_a_cut_sum_to_the_extent(model: str, batch: int, free: bool, seed: int) -> None:
    """NMP and NPU units are the whole operator; a mixed operator has some of both, in whole granules; any other
    operator has all on the one side that it uses."""
    workload = model_workload(model, batch=batch, free_attention_cut=free)
    c = designs(workload, seed).columns
    extent = np.array([op.extent for op in workload.operators])
    granule = np.array([op.granule for op in workload.operators])
    assert (c["nmp_units"] + c["npu_units"] == extent).all()
    assert (c["nmp_units"] % granule == 0).all()
    assert np.array_equal(c["nmp_units"] > 0, c["channels"] != 0)
    assert np.array_equal(c["npu_units"] > 0, c["normal"] != 0)


@pytest.mark.parametrize("model", MODELS)
def test_an_int4_element_is_half_a_byte(model: str) -> None:
    """Stored bytes halve from int8 to int4, as they do from fp16 to int8; the work stays."""
    by_precision = [model_workload(model, precision=name) for name in ("fp16", "int8", "int4")]
    for wide, narrow in pairwise(by_precision):
        assert wide.bytes_per_element == 2 * narrow.bytes_per_element
        for ours, theirs in zip(wide.operators, narrow.operators, strict=True):
            assert ours.stored_bytes == 2 * theirs.stored_bytes and theirs.stored_bytes > 0
            assert (ours.prefill, ours.decode) == (theirs.prefill, theirs.decode)
    assert by_precision[-1].bytes_per_element == 0.5


@examples(20)
@given(st.sampled_from(MODELS), st.integers(0, 99))
def test_fewer_bytes_never_cost_more(model: str, seed: int) -> None:
    """At a fixed mapping, int4 is at least as fast as int8 as fp16, and lacks no more room."""
    found = []
    for precision in ("fp16", "int8", "int4"):
        workload = model_workload(model, batch=16, precision=precision)
        batch = designs(model_workload(model, batch=16), seed)
        answer = RooflineEvaluator(workload, PLATFORM).evaluate(batch, seed=0)
        found.append([answer.metrics["latency_s"], answer.violation[NMP_CAPACITY], answer.violation[NORMAL_CAPACITY]])
    for wide, narrow in pairwise(found):
        assert all((small <= large * SLACK).all() for large, small in zip(wide, narrow, strict=True))


IN_DIE = PROCESSORS[:2]


@pytest.mark.parametrize("batch", [1, 2, 4, 16])
def test_utilisation_is_no_state(batch: int) -> None:
    """In-die designs among others, in any order, and priced one by one: each keeps the latency that it has alone."""
    workload = model_workload(batch=batch)
    mixed = designs(workload, 1, PROCESSORS, 200)
    together = latency(workload, mixed)
    rows = np.random.default_rng(0).permutation(len(mixed))
    assert np.array_equal(latency(workload, mixed.take(rows)), together[rows])
    for in_die in IN_DIE:
        mine = np.flatnonzero((mixed.columns["fpus"] == 1) & (mixed.columns["mhz"] == in_die.mhz))
        assert len(mine) > 5
        assert np.array_equal(latency(workload, mixed.take(mine)), together[mine])


@pytest.mark.parametrize("in_die", IN_DIE, ids=str)
@pytest.mark.parametrize(("batch", "shares"), [(1, (0.71, 0.46)), (2, (1, 1)), (4, (0.45, 0.71)), (16, (0.52, 0.83))])
def test_utilisation_is_tabulated(in_die: Processors, batch: int, shares: tuple[float, float]) -> None:
    """Everything on NMP takes 1/u as long as on PEs that reach the same rates with two FPUs; batch 2 has u = 1."""
    workload = model_workload(batch=batch)
    space = nmp_space(workload, PLATFORM, hardware((8,), (in_die,)))
    batch_ = space.decode(space.sample(30, np.random.default_rng(0)))
    twins = with_columns(batch_, fpus=2, mhz=in_die.mhz / 2)
    share = shares[IN_DIE.index(in_die)]
    expected = latency(workload, twins, "decode_s") / share
    np.testing.assert_allclose(latency(workload, batch_, "decode_s"), expected, rtol=1e-12)


def test_overflowing_bytes_move_as_a_whole() -> None:
    """With NMP only, and a design that spreads evenly, what is stored and finds no room is the violation."""
    workload = model_workload(batch=16)
    small = replace(PLATFORM, bank_bytes=2**20)
    space = nmp_space(workload, small, hardware((8,)))
    answer = RooflineEvaluator(workload, small).evaluate(space.decode(space.starts()), seed=0)
    stored, room = sum(op.stored_bytes for op in workload.operators), 8 * small.channel_bytes
    np.testing.assert_allclose(answer.violation[NMP_CAPACITY], stored - room, rtol=1e-12)
    assert (answer.violation[NORMAL_CAPACITY] == 0).all()
