"""Evaluator `buffered` against the scalar reference: operators, and whole designs, to 1e-12 relative."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_model.nmp.buffered import BufferedEvaluator
from cost_model.nmp.operators.buffered import BufferedNmp, MeteredNpu
from cost_model.nmp.operators.roofline import NpuRoofline
from cost_model.nmp.roofline import RooflineEvaluator
from cost_model.nmp.technology import Constants, read_technology
from design.core import Batch, Status
from design.nmp.design import nmp_schema
from design.nmp.device import Device, HardwareSpace, Platform
from design.nmp.lowering import PRECISIONS
from design.nmp.workload import Workload
from dse.spaces.nmp.fixed import FIXED_DATAFLOWS, WITHOUT_NMP, FixedSpace
from tests.cases import MODELS, PROCESSORS, ROOT, cases, examples, model_workload, nmp_space
from tests.reference.buffered import nmp_choices, nmp_cost, npu_cost, price, rows_of

TECHNOLOGY = ROOT / "config" / "technology" / "hybrid-bonding.json"
EXACT = {"rtol": 1e-12, "atol": 0.0}
METRICS = ("latency_s", "prefill_s", "decode_s", "energy_j", "area_mm2")
BUFFERS = ("input_kb", "weight_kb", "output_kb")
NODES = st.sampled_from([None, 1, 2, 3, 4, 4, 7, 10**6])


@st.composite
def constants(draw: st.DrawFn) -> Constants:
    """Any constants, of no particular technology: none equals another, and some are 0."""
    value = st.floats(1e-3, 1e3) | st.just(0.0)
    return Constants(**{field.name: draw(value) for field in fields(Constants)})


@st.composite
def platforms(draw: st.DrawFn, total_channels: int = 8) -> Platform:
    """Machines with other banks, lanes and rates than the default one."""
    return Platform(
        total_channels=total_channels,
        banks_per_channel=draw(st.sampled_from([16, 16, 1, 3, 8, 32])),
        simd=draw(st.sampled_from([16, 16, 1, 7, 64, 1024])),
        channel_gbps=draw(st.sampled_from([12.8, 12.8, 1.0, 3.7, 400.0])),
        npu_gmacs=draw(st.sampled_from([128e3, 256e3, 10.0])),
        npu_efficiency=draw(st.sampled_from([0.7, 1.0])),
    )


@dataclass(frozen=True)
class Machines:
    """Hardware by column, of no design."""

    columns: dict[str, Any]
    platform: Platform
    bytes_per_element: float
    batch: int

    @property
    def device(self) -> Device:
        """As an operator model sees it."""
        return Device(self.platform, **self.columns, bytes_per_element=self.bytes_per_element, batch=self.batch)


@st.composite
def machines(draw: st.DrawFn, fits: bool = False) -> Machines:
    """One to six devices on one platform; unless everything fits, some have buffers too small for any tile."""
    kb = st.sampled_from([1, 2, 3, 8, 32, 64, 256, 2048])
    kb = kb if fits else kb | st.just(0)
    one = st.tuples(st.sampled_from(PROCESSORS), kb, kb, kb)
    drawn = draw(st.lists(one, min_size=1, max_size=6))
    processors, *buffers = zip(*drawn, strict=True)
    columns: dict[str, Any] = dict(zip(BUFFERS, map(np.array, buffers), strict=True))
    columns |= {
        "fpus": np.array([p.fpus for p in processors]),
        "mhz": np.array([float(p.mhz) for p in processors]),
        "pe_gbps": np.array([p.pe_gbps for p in processors]),
    }
    platform = Platform() if fits else draw(platforms())
    precision = draw(st.sampled_from(sorted(PRECISIONS.values())))
    return Machines(columns, platform, precision, draw(st.sampled_from([1, 2, 4, 16])))


DIMENSION = st.integers(1, 40) | st.integers(1, 5000) | st.sampled_from([128, 1024, 4096, 14336])
GEMMS = st.lists(
    st.tuples(st.integers(1, 9) | st.sampled_from([32, 128]), DIMENSION, DIMENSION, DIMENSION), min_size=1, max_size=6
)


def tables(gemms: list[tuple[int, int, int, int]]) -> list[Any]:
    """B, M, N, K as (operators, 1)."""
    return [np.array(values, dtype=np.int64)[:, None] for values in zip(*gemms, strict=True)]


@examples(90)
@given(GEMMS, machines(), constants(), st.data())
def test_nmp_operators(
    gemms: list[tuple[int, int, int, int]], on: Machines, known: Constants, data: st.DataObject
) -> None:
    """Any GEMMs on any devices side by side; NaN exactly where nothing fits the buffers."""
    devices = rows_of(on.columns)
    width = st.lists(st.integers(1, 8), min_size=len(devices), max_size=len(devices))
    channels = np.array([data.draw(width) for _ in gemms], dtype=np.int64)
    found = BufferedNmp(known).cost(*tables(gemms), channels, on.device)
    expected = [
        [
            nmp_cost(g, c, device, on.platform, known, on.bytes_per_element, on.batch)
            for c, device in zip(row, devices, strict=True)
        ]
        for g, row in zip(gemms, channels.tolist(), strict=True)
    ]
    latency, energy = np.moveaxis(np.array(expected), -1, 0)
    np.testing.assert_allclose(found.latency_s, latency, **EXACT)
    np.testing.assert_allclose(found.energy_j, energy, **EXACT)


@examples(60)
@given(GEMMS, machines(), constants(), st.lists(st.integers(1, 8), min_size=6, max_size=6))
def test_npu_operators(
    gemms: list[tuple[int, int, int, int]], on: Machines, known: Constants, width: list[int]
) -> None:
    """Any GEMMs on any number of channels; the latency is the roofline's to the last bit."""
    channels = np.array(width[: len(gemms)], dtype=np.int64)[:, None]
    found = MeteredNpu(known).cost(*tables(gemms), channels, on.device)
    expected = [
        npu_cost(g, c, on.platform, known, on.bytes_per_element)
        for g, c in zip(gemms, channels[:, 0].tolist(), strict=True)
    ]
    shape = found.latency_s.shape
    latency, energy = (np.broadcast_to(np.array(v)[:, None], shape) for v in zip(*expected, strict=True))
    np.testing.assert_allclose(found.latency_s, latency, **EXACT)
    np.testing.assert_allclose(np.broadcast_to(found.energy_j, shape), energy, **EXACT)
    roofline = NpuRoofline().cost(*tables(gemms), channels, on.device).latency_s
    assert np.array_equal(found.latency_s, np.broadcast_to(roofline, shape))


ZERO = Constants(**{field.name: 0.0 for field in fields(Constants)})
# 1 FPU of 400 MHz and 16 lanes, 12.8 GB/s a PE, 16 PEs a channel: 102.4 GMAC/s and 204.8 GB/s a channel.
PLAIN = {"fpus": 1, "mhz": 400.0, "pe_gbps": 12.8, "input_kb": 4, "weight_kb": 4, "output_kb": 1}


def by_hand(shape: tuple[int, int, int, int], known: Constants, **hardware: float) -> tuple[float, float]:
    """Seconds and joules of an fp16 operator on one NMP channel, the reference being of the same opinion."""
    design = PLAIN | hardware
    device = Device(
        Platform(), **{name: np.array([value]) for name, value in design.items()}, bytes_per_element=2.0, batch=1
    )
    found = BufferedNmp(known).cost(*tables([shape]), np.array([[1]]), device)
    answer = float(found.latency_s[0, 0]), float(found.energy_j[0, 0])
    assert nmp_cost(shape, 1, design, Platform(), known, 2.0, 1) == pytest.approx(answer, rel=1e-12, abs=0, nan_ok=True)
    return answer


def test_one_tile_by_hand() -> None:
    """(2, 64) x (64, 64): 128 of 1024 elements of input, 4 columns a PE of 8 sums of 4 bytes: all in one tile."""
    moved_in, moved_out, weights = 2 * 2 * 64, 2 * 2 * 64, 2 * 64 * 64
    stream, compute = (moved_in + weights) / 204.8e9, 2 * 64 * 64 / 102.4e9
    assert compute > stream
    latency, _ = by_hand((1, 2, 64, 64), ZERO)
    assert latency == pytest.approx((moved_in + moved_out) / 2**30 / 12.8 + compute, rel=1e-14, abs=0)
    parts = {
        "dram_array_pj_bit": weights * 8,
        "hybrid_bond_pj_bit": weights * 8,
        "channel_io_pj_bit": (moved_in + moved_out) * 8,
        "mac_fp16_pj": 2 * 64 * 64,
        "sram_pj_bit": 2 * 64 * 64 * 8 * (2 * math.sqrt(4 / 32) * (1 + 1 / 16) + 8 / 16 * math.sqrt(1 / 16 / 32))
        + 8 * (weights + moved_in) * math.sqrt(4 / 32),
    }
    for name, picojoules in parts.items():
        _, energy = by_hand((1, 2, 64, 64), replace(ZERO, **{name: 1.0}))
        assert energy == pytest.approx(1e-12 * picojoules, rel=1e-14, abs=0), name


def test_spilled_sums_or_reads_by_hand() -> None:
    """(8, 512) x (512, 256), 1 KB of input: 256 elements; sums of 8 a PE, of 16 columns.

    A tile of 8 rows: the sums of 1 column at a time, so 16 reads of the input; or 32 of the depth at a time, so that
    the sums are written and read back 15 times. 4 rows: 8 reads or 7 spills, but the weights twice. 2 rows: 4 reads
    or 3 spills, the weights four times. 1 row: 2 reads or 1 spill, eight times.
    """
    m, k, n = 8, 512, 256
    once, weights = 2 * m * k, 2 * k * n
    options = []
    for passes, tile_columns, spills in ((1, 1, 15), (2, 2, 7), (4, 4, 3), (8, 8, 1)):
        options.append((16 // tile_columns * once, passes * weights, 0))
        options.append((once, passes * weights, 8 * m * n * spills))
    compute = m * k * n / 102.4e9
    latencies = [
        (moved_in + 2 * m * n) / 2**30 / 12.8 + max(compute, (moved_in + w + spilled) / 204.8e9)
        for moved_in, w, spilled in options
    ]
    latency, energy = by_hand((1, m, n, k), replace(ZERO, dram_array_pj_bit=1.0), input_kb=1)
    assert latency == pytest.approx(min(latencies), rel=1e-14, abs=0)
    _, w, spilled = options[latencies.index(min(latencies))]
    assert energy == pytest.approx(8e-12 * (w + spilled), rel=1e-14, abs=0)


def test_a_tile_that_just_fits_by_hand() -> None:
    """(16, 512) x (512, 256), 1 KB of input: 16 rows of the smallest depth, 16, fill its 256 elements. PEs slow to
    read weights, at 0.5 GB/s, so that the largest tile is the fastest: 2 of 16 columns of sums at a time, 8 reads."""
    moved_in, moved_out, weights = 8 * 2 * 16 * 512, 2 * 16 * 256, 2 * 512 * 256
    latency, _ = by_hand((1, 16, 256, 512), ZERO, input_kb=1, output_kb=4, pe_gbps=0.5)
    expected = (moved_in + moved_out) / 2**30 / 12.8 + (moved_in + weights) / 8e9
    assert latency == pytest.approx(expected, rel=1e-14, abs=0)


def test_a_tie_takes_the_larger_tile() -> None:
    """Compute-bound with any tile: the same time, and the weights are read once only."""
    slow = {"mhz": 1.0, "input_kb": 64, "weight_kb": 64, "output_kb": 64}
    shape, device = (1, 8, 64, 64), PLAIN | slow
    choices = list(nmp_choices(shape, 1, device, Platform(), ZERO, 2.0, 1))
    assert len(choices) == 8 and len({cost.latency_s for cost, _ in choices}) == 1
    _, energy = by_hand(shape, replace(ZERO, dram_array_pj_bit=1.0), **slow)
    assert energy == pytest.approx(8e-12 * 2 * 64 * 64, rel=1e-14, abs=0)


def test_a_tie_takes_stationary_outputs() -> None:
    """Compute-bound with the largest tile both ways: the sums stay, so that nothing is spilled."""
    slow = {"mhz": 1.0, "input_kb": 64, "weight_kb": 1, "output_kb": 1}
    shape = (1, 8, 256, 512)
    first, second = list(nmp_choices(shape, 1, PLAIN | slow, Platform(), ZERO, 2.0, 1))[:2]
    assert first[0].latency_s == second[0].latency_s and second[1].spilled > first[1].spilled == 0
    _, energy = by_hand(shape, replace(ZERO, dram_array_pj_bit=1.0), **slow)
    assert energy == pytest.approx(8e-12 * 2 * 256 * 512, rel=1e-14, abs=0)


@pytest.mark.parametrize("buffer", BUFFERS)
def test_no_buffer_no_price(buffer: str) -> None:
    """Without one of its buffers an NMP channel runs nothing."""
    assert all(math.isnan(value) for value in by_hand((1, 2, 64, 64), ZERO, **{buffer: 0}))


def check(
    workload: Workload, platform: Platform, known: Constants, batch: Batch, nodes: int | None, feasible: bool = True
) -> None:
    """Every metric of every row is the reference's; a row that it cannot price is FAILED, with nothing else said."""
    evaluator = BufferedEvaluator(workload, platform, known, check_capacity=False, nodes=nodes)
    answer = evaluator.evaluate(batch, seed=0)
    assert set(answer.metrics) == set(METRICS)
    expected = [price(workload, platform, known, row, nodes) for row in rows_of(batch.columns)]
    for name in METRICS:
        want = np.array([row[name] for row in expected])
        np.testing.assert_allclose(answer.metrics[name], want, **EXACT, err_msg=name)
    failed = np.array([math.isnan(row["latency_s"]) for row in expected])
    assert np.array_equal(answer.status, np.where(failed, Status.FAILED, Status.OK))
    assert not (feasible and failed.any())


@dataclass(frozen=True)
class Problem:
    """A workload, a machine, and a space of designs for them."""

    workload: Workload
    platform: Platform
    choices: HardwareSpace
    specpim: bool = False

    def sample(self, rows: int, seed: int) -> Batch:
        """Random data-centric designs."""
        space = nmp_space(self.workload, self.platform, self.choices, self.specpim)
        return space.decode(space.sample(rows, np.random.default_rng(seed)))


@st.composite
def small_problems(draw: st.DrawFn) -> Problem:
    """A few operators out of order on a few channels; some of them span a context, as N or as K."""
    case = draw(cases(steps=9))
    prompt, generated = draw(st.integers(0, 400)), draw(st.integers(1, 60))
    most = draw(st.none() | st.integers(max(prompt, 2), prompt + generated + 9))
    context = min(most or prompt + generated, prompt + generated)
    operators = []
    for op in case.workload.operators:
        axis = draw(st.sampled_from(["", "N", "K"] if context > 1 else ["", "K"]))
        columns_are_cut = axis == "N" and op.decode.B == 1
        op = replace(op, context_axis=axis, granule=1 if columns_are_cut else op.granule)
        operators.append(replace(op, decode=op.decode_at(context)))
    workload = replace(case.workload, operators=tuple(operators), prompt=prompt, generated=generated, max_context=most)
    kb = st.lists(st.sampled_from([1, 2, 3, 8, 64, 512]), min_size=1, max_size=3, unique=True).map(tuple)
    choices = HardwareSpace((case.nmp,), PROCESSORS, draw(kb), draw(kb), draw(kb))
    return Problem(workload, draw(platforms(case.nmp + case.normal)), choices, case.specpim)


@examples(90)
@given(small_problems(), constants(), NODES, st.integers(0, 99))
def test_small_designs(problem: Problem, known: Constants, nodes: int | None, seed: int) -> None:
    """Random workloads, machines and data-centric designs; some need tiles that no buffer holds."""
    check(problem.workload, problem.platform, known, problem.sample(6, seed), nodes, feasible=False)


USAGE = st.fixed_dictionaries(
    {
        "batch": st.sampled_from([1, 1, 2, 4, 16]),
        "prompt": st.integers(1, 1500),
        "generated": st.integers(1, 300),
        "max_seq_len": st.sampled_from([1500, 1600, 2048, 8192]),
        "precision": st.sampled_from(sorted(PRECISIONS)),
        "free_attention_cut": st.booleans(),
    }
)
KB = ((1, 4, 32, 256), (1, 8, 64), (2, 16, 128))
BELOW_ALL = HardwareSpace((1, 2, 4, 6), PROCESSORS, *KB)  # NMP channels; at least two are left to the NPU


@examples(40)
@given(st.sampled_from(MODELS), USAGE, constants(), NODES, st.integers(0, 99))
def test_real_designs(model: str, usage: dict[str, Any], known: Constants, nodes: int | None, seed: int) -> None:
    """Shipped models; PaLM's attention at batch 1 is one GEMM, whose columns are the context and are cut."""
    workload = model_workload(model, **usage)
    choices = BELOW_ALL
    if all(op.steps > 1 for op in workload.operators):
        choices = replace(choices, nmp_channels=(1, 2, 4, 6, 8))
    check(workload, Platform(), known, Problem(workload, Platform(), choices).sample(5, seed), nodes)


@pytest.mark.parametrize("name", FIXED_DATAFLOWS)
@examples(8)
@given(st.sampled_from(MODELS), USAGE, constants(), NODES, st.integers(0, 99))
def test_fixed_dataflows(
    name: str, model: str, usage: dict[str, Any], known: Constants, nodes: int | None, seed: int
) -> None:
    """Every operator in all NMP channels, also where the NPU has it; shares that overlap by a column."""
    workload = model_workload(model, **usage)
    counts = (0,) if name in WITHOUT_NMP else (2, 6) if "splitting" in name else (2, 6, 8)
    space = FixedSpace(name, workload, Platform(), replace(BELOW_ALL, nmp_channels=counts))
    check(workload, Platform(), known, space.decode(space.sample(6, np.random.default_rng(seed))), nodes)


def wild(problem: Problem, rows: int, seed: int) -> Batch:
    """Designs that no space makes and no fault forbids: any place, any channels, any units that are all the work."""
    rng = np.random.default_rng(seed)
    batch = problem.sample(rows, seed)
    n, operators = batch.columns["nmp_channels"], len(problem.workload.operators)
    m = problem.platform.total_channels - n
    shape = (rows, operators)
    extent = np.array([op.extent for op in problem.workload.operators])
    channels, normal = rng.integers(0, 1 << n[:, None], shape), rng.integers(0, 2, shape)
    normal = np.where(channels == 0, 1, normal)
    channels = np.where((channels == 0) & (m[:, None] == 0), 1, channels)
    nmp_units = np.where(channels == 0, 0, rng.integers(0, extent + 1, shape))
    nmp_units = np.where((channels != 0) & (rng.random(shape) < 0.2), extent, nmp_units)
    npu_units = np.maximum(extent - nmp_units, np.where(rng.random(shape) < 0.5, rng.integers(0, extent + 1, shape), 0))
    columns = {
        "group": rng.integers(0, operators, shape).astype(np.int32),
        "part": rng.integers(0, operators, shape).astype(np.int32),
        "stratum": rng.integers(0, operators, shape).astype(np.int32),
        "channels": channels,
        "normal": normal.astype(np.int32),
        "nmp_units": nmp_units,
        "npu_units": npu_units,
    }
    return Batch(nmp_schema(problem.workload, problem.platform), dict(batch.columns) | columns)


@examples(90)
@given(small_problems(), constants(), NODES, st.integers(0, 99))
def test_wild_designs(problem: Problem, known: Constants, nodes: int | None, seed: int) -> None:
    """Whatever is sound has the reference's price, most of all an NPU that shares held channels with the NMP part."""
    check(problem.workload, problem.platform, known, wild(problem, 6, seed), nodes, feasible=False)


@pytest.mark.parametrize("name", ["normal", "nmp_channels"])
def test_a_mixed_operator_without_normal_channels(name: str) -> None:
    """Its NPU part reads from the channels that it holds, whether it may not use normal ones or there are none."""
    workload = model_workload("llama3-8b")
    batch = Problem(workload, Platform(), replace(BELOW_ALL, nmp_channels=(6,))).sample(30, 1)
    mixed = (batch.columns["nmp_units"] > 0) & (batch.columns["npu_units"] > 0)
    assert mixed.any()
    if name == "normal":
        columns = {"normal": np.where(mixed, 0, batch.columns["normal"]).astype(np.int32)}
    else:
        held = np.where(batch.columns["channels"] == 0, 1, batch.columns["channels"])
        columns = {"nmp_channels": np.full(len(batch), 8), "channels": held}
    for nodes in (None, 4):
        check(workload, Platform(), SOME, Batch(batch.schema, dict(batch.columns) | columns), nodes)


SOME = Constants(**{field.name: 0.25 * (place + 1) for place, field in enumerate(fields(Constants))})


@pytest.mark.parametrize("nodes", [None, 1, 4])
def test_nothing_generated(nodes: int | None) -> None:
    """Without a decode step there is prefill only, and the power that is drawn meanwhile."""
    workload = model_workload(generated=0)
    batch = Problem(workload, Platform(), BELOW_ALL).sample(10, 0)
    check(workload, Platform(), SOME, batch, nodes)
    answer = BufferedEvaluator(workload, Platform(), SOME, nodes=nodes).evaluate(batch, seed=0)
    assert (answer.metrics["decode_s"] == 0).all()


@pytest.mark.parametrize("batch_size", [1, 4])
def test_steps_beyond_the_longest_context(batch_size: int) -> None:
    """Past `max_context` every step costs the same: PaLM with room for 160 tokens, of which 157 are the prompt."""
    workload = model_workload("palm-8b", batch=batch_size, max_seq_len=160)
    choices = replace(BELOW_ALL, nmp_channels=(2, 6))
    for nodes in (None, 1, 2, 4, 67, 100):
        check(workload, Platform(), SOME, Problem(workload, Platform(), choices).sample(5, 2), nodes)


def test_capacity_is_the_roofline_s() -> None:
    """The same bytes find no room, whatever a design costs; and they may be left out."""
    workload, platform = model_workload(batch=16), Platform()
    batch = Problem(workload, platform, BELOW_ALL).sample(100, 0)
    ours = BufferedEvaluator(workload, platform, SOME).evaluate(batch, seed=0)
    theirs = RooflineEvaluator(workload, platform).evaluate(batch, seed=0)
    assert set(ours.status.tolist()) == {Status.OK, Status.INFEASIBLE}
    assert np.array_equal(ours.status, theirs.status) and np.array_equal(ours.reason, theirs.reason)
    assert set(ours.violation) == set(theirs.violation)
    assert all(np.array_equal(ours.violation[name], theirs.violation[name]) for name in ours.violation)
    free = BufferedEvaluator(workload, platform, SOME, check_capacity=False).evaluate(batch, seed=0)
    assert not free.violation and (free.status == Status.OK).all()
    assert all(np.array_equal(free.metrics[name], ours.metrics[name]) for name in METRICS)


def test_units_and_name() -> None:
    """What the answers are called, and what they are measured in."""
    evaluator = BufferedEvaluator(model_workload(), Platform(), SOME)
    assert evaluator.name == "buffered"
    assert evaluator.metrics == dict.fromkeys(METRICS[:3], "s") | {"energy_j": "J", "area_mm2": "mm2"}


SCALES = {"none": lambda _: 1.0, "energy": lambda ratio: ratio, "area": lambda ratio: ratio**2}


@pytest.mark.parametrize("case", ["low", "nominal", "high"])
def test_constants_of_the_file(case: str) -> None:
    """Every constant is its row of the file, brought from its own node to the one of the logic."""
    table = json.loads(TECHNOLOGY.read_text(encoding="utf-8"))
    rows = {row["name"]: row for row in table["rows"]}
    found = read_technology(TECHNOLOGY).constants(case)
    for field in fields(Constants):
        row = rows[field.name]
        scale = 1.0 if row["scaling"] == "none" else SCALES[row["scaling"]](table["logic_node_nm"] / row["node_nm"])
        value = row["value" if case == "nominal" else case]
        assert getattr(found, field.name) == pytest.approx(value * scale, rel=1e-12, abs=0), field.name


def rescaled(path: Path, node: int) -> Constants:
    """The nominal constants of the file's technology with its logic at another node."""
    table = json.loads(TECHNOLOGY.read_text(encoding="utf-8")) | {"logic_node_nm": node}
    path.write_text(json.dumps(table), encoding="utf-8")
    return read_technology(path).constants("nominal")


def test_scaling_between_nodes(tmp_path: Path) -> None:
    """Twice the feature size: energies that scale double, areas quadruple, the others stay; all three occur."""
    scaling = {row["name"]: row["scaling"] for row in json.loads(TECHNOLOGY.read_text(encoding="utf-8"))["rows"]}
    small, large = (rescaled(tmp_path / "technology.json", node) for node in (14, 28))
    factors = {"none": 1.0, "energy": 2.0, "area": 4.0}
    names = [field.name for field in fields(Constants)]
    assert {scaling[name] for name in names} == set(factors)
    for name in names:
        expected = getattr(small, name) * factors[scaling[name]]
        assert getattr(large, name) == pytest.approx(expected, rel=1e-12, abs=0), name


def test_constants_by_precision() -> None:
    """Each precision has its own multiply-accumulate."""
    for kind, e in (("fp16", 2.0), ("int8", 1.0), ("int4", 0.5)):
        assert SOME.mac_pj(e) == getattr(SOME, f"mac_{kind}_pj")
        assert SOME.mac_um2(e) == getattr(SOME, f"mac_{kind}_um2")
