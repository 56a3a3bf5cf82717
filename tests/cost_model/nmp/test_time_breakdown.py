"""The accounts of a design add up to what the evaluator says, and so do the parts of an operator model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_model.nmp.analysis.time_breakdown import CAUSES, UNKNOWN, accounts, waited
from cost_model.nmp.buffered import BufferedEvaluator
from cost_model.nmp.evaluator import NmpEvaluator
from cost_model.nmp.operators.base import Explained, OperatorCost, OperatorModel
from cost_model.nmp.operators.plugins import NMP_MODELS, NPU_MODELS
from cost_model.nmp.operators.roofline import NmpRoofline, NpuRoofline
from cost_model.nmp.roofline import RooflineEvaluator
from cost_model.nmp.technology import Constants
from design.core import Batch, Floats, Ints, Status
from design.nmp.design import channel_text
from design.nmp.device import Device, HardwareSpace, Platform, Processors
from design.nmp.workload import FFN, Gemm, Operator, Workload, once
from dse.spaces.nmp.fixed import FIXED_DATAFLOWS, WITHOUT_NMP, FixedSpace
from tests.cases import MODELS, examples, model_workload
from tests.cost_model.nmp.test_buffered import (
    BELOW_ALL,
    GEMMS,
    NODES,
    SOME,
    USAGE,
    Machines,
    Problem,
    machines,
    small_problems,
    tables,
    wild,
)

HUGE = 2**30  # KB, more than any operator needs
SHIPPED: dict[str, Callable[[Constants], OperatorModel]] = {
    **{f"NPU {name}": make for name, make in NPU_MODELS.items()},
    **{f"NMP {name}": make for name, make in NMP_MODELS.items()},
}
KNOWN = {cause for causes in CAUSES.values() for cause in causes.values()}


def evaluators(workload: Workload, platform: Platform, nodes: int | None = 4) -> list[NmpEvaluator]:
    """Both, without a limit on memory."""
    buffered = BufferedEvaluator(workload, platform, SOME, check_capacity=False, nodes=nodes)
    return [RooflineEvaluator(workload, platform, check_capacity=False), buffered]


def check(evaluator: NmpEvaluator, batch: Batch) -> int:
    """One account an operator, none negative, that add up in either phase. Returns how many rows had a price."""
    found = evaluator.evaluate(batch, seed=0)
    rows = np.flatnonzero(found.status != Status.FAILED)
    for row in rows.tolist():
        told = accounts(evaluator, batch.take(np.array([row])))
        c = {name: values[row] for name, values in batch.columns.items()}
        assert [one.operator for one in told] == [op.name for op in evaluator.workload.operators]
        for i, (one, op) in enumerate(zip(told, evaluator.workload.operators, strict=True)):
            assert one.prefill_s > 0 and one.decode_s >= 0
            assert one.channels == channel_text(int(c["channels"][i])) and one.normal == bool(c["normal"][i])
            assert one.nmp_share == c["nmp_units"][i] / op.extent
            assert one.prefill_bound in KNOWN and one.decode_bound in KNOWN
            if not (c["nmp_units"][i] and c["npu_units"][i]):
                assert one.side == ("NMP" if c["nmp_units"][i] else "NPU")
        for name in ("prefill_s", "decode_s"):
            total = sum(getattr(one, name) for one in told)
            assert total == pytest.approx(found.metrics[name][row], rel=1e-12, abs=0), name
    return len(rows)


@examples(12)
@given(small_problems(), NODES, st.integers(0, 99))
def test_small_designs(problem: Problem, nodes: int | None, seed: int) -> None:
    """Random workloads and machines; data-centric designs, and any that are sound."""
    for evaluator in evaluators(problem.workload, problem.platform, nodes):
        check(evaluator, problem.sample(4, seed))
        check(evaluator, wild(problem, 4, seed))


@examples(12)
@given(st.sampled_from(MODELS), USAGE, NODES, st.integers(0, 99))
def test_real_designs(model: str, usage: dict[str, Any], nodes: int | None, seed: int) -> None:
    """Shipped models, and designs that all have a price."""
    workload = model_workload(model, **usage)
    batch = Problem(workload, Platform(), BELOW_ALL).sample(5, seed)
    for evaluator in evaluators(workload, Platform(), nodes):
        assert check(evaluator, batch) == len(batch)


@pytest.mark.parametrize("name", FIXED_DATAFLOWS)
@examples(5)
@given(st.sampled_from(MODELS), USAGE, st.integers(0, 99))
def test_fixed_dataflows(name: str, model: str, usage: dict[str, Any], seed: int) -> None:
    """Operators of the NPU that hold NMP channels, and shares that overlap."""
    workload = model_workload(model, **usage)
    counts = (0,) if name in WITHOUT_NMP else (2, 6)
    space = FixedSpace(name, workload, Platform(), replace(BELOW_ALL, nmp_channels=counts))
    batch = space.decode(space.sample(4, np.random.default_rng(seed)))
    for evaluator in evaluators(workload, Platform()):
        assert check(evaluator, batch) == len(batch)


def test_nothing_generated() -> None:
    """Without a decode step no operator is waited for."""
    workload = model_workload(generated=0)
    batch = Problem(workload, Platform(), BELOW_ALL).sample(3, 0)
    for evaluator in evaluators(workload, Platform()):
        assert check(evaluator, batch) == len(batch)
        assert all(one.decode_s == 0 for one in accounts(evaluator, batch.take(slice(0, 1))))


def test_waiting_by_hand() -> None:
    """Group 0: a part of 3 s (two NMP operators side by side, 3 and 1 s, the NPU 1 + 1 s) hides one of 2 + 0.5 s.
    Group 1: the NPU's turns of 1 + 1.5 s outlast 2 s on NMP, and then a stratum of 0.25 s follows."""
    places = {"group": [0, 0, 0, 0, 1, 1, 1], "part": [0, 0, 1, 1, 0, 0, 0], "stratum": [0, 0, 0, 1, 0, 0, 1]}
    c = {name: np.array(values)[:, None] for name, values in places.items()}
    nmp = np.array([3.0, 1.0, 0.0, 0.5, 2.0, 1.0, 0.25])
    npu = np.array([1.0, 1.0, 2.0, 0.0, 1.0, 1.5, 0.0])
    assert waited(c, nmp, npu).tolist() == [3.0, 0.0, 0.0, 0.0, 1.0, 1.5, 0.25]


@pytest.mark.parametrize("name", SHIPPED)
@examples(30)
@given(GEMMS, machines(), st.data())
def test_parts_add_up(name: str, gemms: list[tuple[int, int, int, int]], on: Machines, data: st.DataObject) -> None:
    """Any GEMMs on any devices: the parts are the latency, none negative but by rounding; NaN where nothing fits."""
    model = SHIPPED[name](SOME)
    assert isinstance(model, Explained)
    width = st.lists(st.integers(1, 8), min_size=len(gemms), max_size=len(gemms))
    channels = np.array(data.draw(width), dtype=np.int64)[:, None]
    latency = model.cost(*tables(gemms), channels, on.device).latency_s
    parts = model.parts(*tables(gemms), channels, on.device)
    assert set(parts) <= set(CAUSES[name.split()[0]])
    total = np.broadcast_to(np.sum(list(parts.values()), axis=0), latency.shape)
    np.testing.assert_allclose(total, latency, rtol=1e-9, atol=0)
    for part in parts.values():
        assert not (part < -1e-12 * latency).any()


@examples(30)
@given(GEMMS, machines(), st.integers(1, 8))
def test_very_large_buffers_cost_nothing(gemms: list[tuple[int, int, int, int]], on: Machines, channels: int) -> None:
    """Their part of the time is rounding, and small ones' is no less."""
    model = NMP_MODELS["buffered"](SOME)
    assert isinstance(model, Explained)
    held = np.full((len(gemms), 1), channels)
    wide = {name: np.full(len(on.columns["fpus"]), HUGE) for name in ("input_kb", "weight_kb", "output_kb")}
    large = replace(on, columns=on.columns | wide).device
    latency = model.cost(*tables(gemms), held, large).latency_s
    none = model.parts(*tables(gemms), held, large)["buffer"]
    assert (np.abs(none) <= 1e-12 * latency).all()
    some = model.parts(*tables(gemms), held, on.device)["buffer"]
    assert not (some < -1e-12 * latency).any()


# One GEMM (M, 4096) x (4096, 4096) on one channel; each machine is short of one thing.
SHORT: dict[str, tuple[int, dict[str, float], Platform]] = {
    "PE compute": (4, {"mhz": 0.01}, Platform(total_channels=2)),
    "bank bandwidth": (4, {"pe_gbps": 0.01}, Platform(total_channels=2)),
    "transfer": (4, {}, Platform(total_channels=2, channel_gbps=1e-3)),
    "buffers": (256, {"input_kb": 1, "output_kb": 1, "mhz": 1e5}, Platform(total_channels=2)),
}


def one_operator(side: str, rows: int, hardware: Mapping[str, float], platform: Platform) -> tuple[Workload, Batch]:
    """One operator on one processor of a machine with one NMP channel."""
    gemm = Gemm(1, rows, 4096, 4096)
    workload = Workload("one", (Operator("f1", FFN, once(gemm), gemm, 1.0),), (), 1, 5, 2.0)
    on = {"mhz": 600, "pe_gbps": 25.6, "input_kb": HUGE, "output_kb": HUGE} | hardware
    choices = HardwareSpace(
        (1,), (Processors(8, on["mhz"], on["pe_gbps"]),), (int(on["input_kb"]),), (HUGE,), (int(on["output_kb"]),)
    )
    space = FixedSpace("fc_offloading" if side == "NMP" else "attention_offloading", workload, platform, choices)
    return workload, space.decode(space.starts())


@pytest.mark.parametrize("bound", SHORT)
def test_what_limits_an_nmp_operator(bound: str) -> None:
    """What the machine is short of is named; the roofline, which knows no buffers, names the transfer then."""
    rows, hardware, platform = SHORT[bound]
    workload, batch = one_operator("NMP", rows, hardware, platform)
    roofline, buffered = (accounts(evaluator, batch)[0] for evaluator in evaluators(workload, platform))
    assert buffered.side == roofline.side == "NMP" and buffered.nmp_share == 1.0
    assert buffered.decode_bound == bound
    assert roofline.decode_bound == ("transfer" if bound == "buffers" else bound)


def test_parts_between_two_limits() -> None:
    """Small buffers at any clock: from bound by the stream to bound by the PEs, which without the extra traffic they
    would be sooner. The parts add up everywhere, and name what would be left with large buffers."""
    model = NMP_MODELS["buffered"](SOME)
    assert isinstance(model, Explained)
    mhz = np.geomspace(50, 5e4, 60)
    columns = {"fpus": 8, "pe_gbps": 25.6, "input_kb": 1, "weight_kb": 4, "output_kb": 1}
    wide = {name: np.full(60, value) for name, value in columns.items()}
    device = Device(Platform(), **wide, mhz=mhz, bytes_per_element=2.0, batch=4)
    gemm = [*tables([(1, 256, 512, 512)]), np.array([[1]])]
    latency, parts = model.cost(*gemm, device).latency_s[0], model.parts(*gemm, device)
    np.testing.assert_allclose(sum(parts.values())[0], latency, rtol=1e-9, atol=0)
    large = replace(device, **{name: np.full(60, HUGE) for name in ("input_kb", "weight_kb", "output_kb")})
    for name, part in model.parts(*gemm, large).items():
        if name != "buffer":
            np.testing.assert_allclose(parts[name], part, rtol=1e-9, atol=0)
    computing, waiting = parts["compute"][0] > 0, parts["buffer"][0] > 1e-6 * latency
    assert (computing & waiting).any() and (~computing & waiting).any()


@pytest.mark.parametrize(("gmacs", "bound"), [(1e-3, "NPU compute"), (128e3, "channel bandwidth")])
def test_what_limits_an_npu_operator(gmacs: float, bound: str) -> None:
    """A slow NPU computes all the time, a fast one waits for its channels; prefill is the same GEMM."""
    platform = Platform(total_channels=2, npu_gmacs=gmacs)
    workload, batch = one_operator("NPU", 4, {}, platform)
    for evaluator in evaluators(workload, platform):
        (found,) = accounts(evaluator, batch)
        assert (found.side, found.decode_bound, found.prefill_bound) == ("NPU", bound, bound)


class Silent:
    """A user's operator model that says seconds and nothing else."""

    name, version = "silent", "1"

    def __init__(self, model: OperatorModel) -> None:
        self._model = model

    def cost(self, B: Ints, M: Ints, N: Ints, K: Ints, channels: Ints, device: Device) -> OperatorCost:
        """See `OperatorModel`."""
        return self._model.cost(B, M, N, K, channels, device)


class Wordy(Silent):
    """One that has a word of its own for where the time goes."""

    def parts(self, B: Ints, M: Ints, N: Ints, K: Ints, channels: Ints, device: Device) -> Mapping[str, Floats]:
        """See `Explained`."""
        latency = self._model.cost(B, M, N, K, channels, device).latency_s
        return {"compute": 0.25 * latency, "handshakes": 0.75 * latency}


@pytest.mark.parametrize(("kind", "said"), [(Silent, UNKNOWN), (Wordy, "handshakes")])
@pytest.mark.parametrize("side", ["NPU", "NMP"])
def test_models_of_a_user(side: str, kind: type[Silent], said: str) -> None:
    """The model of one processor says nothing, or its own word, where that processor decides; the times add up."""
    workload, platform = model_workload("llama3-8b"), Platform()
    batch = Problem(workload, platform, BELOW_ALL).sample(8, 3)
    models = {side.lower(): kind(NpuRoofline() if side == "NPU" else NmpRoofline())}
    theirs = RooflineEvaluator(workload, platform, check_capacity=False, **models)
    ours = RooflineEvaluator(workload, platform, check_capacity=False)
    sides = set()
    for row in range(len(batch)):
        one = batch.take(np.array([row]))
        for told, known in zip(accounts(theirs, one), accounts(ours, one), strict=True):
            sides.add(told.side)
            assert known.decode_bound in KNOWN and known.prefill_bound in KNOWN
            assert told.decode_bound == (said if told.side == side else known.decode_bound)
            assert told.prefill_bound == (said if side == "NPU" else known.prefill_bound)
            assert (told.prefill_s, told.decode_s) == (known.prefill_s, known.decode_s)
    assert sides == {"NPU", "NMP"} and UNKNOWN == "not said by its model"
