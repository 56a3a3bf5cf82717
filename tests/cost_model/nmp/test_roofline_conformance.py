"""The roofline evaluator keeps to the contract of all evaluators, and calls bad candidates what they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cost_model.nmp.operators.base import OperatorCost, OperatorModel
from cost_model.nmp.operators.roofline import NmpRoofline, NpuRoofline
from cost_model.nmp.roofline import RooflineEvaluator
from design.conformance.evaluator import check_evaluator, check_other_process, check_spoiled
from design.core import Batch, Ints, Status
from design.nmp.device import Device, Platform
from dse.spaces.nmp.fixed import FIXED_DATAFLOWS, WITHOUT_NMP, FixedSpace
from tests.cases import hardware, model_workload, nmp_space
from tests.cost_model.nmp.spoiled import spoiled_nmp_designs

OPERATORS = len(model_workload().operators)


def roofline(rows: int = 60, **usage: Any) -> tuple[RooflineEvaluator, Batch]:
    """OPT-6.7B on 2, 4, 6 or 8 NMP channels, random designs of which some fit no memory."""
    workload, platform = model_workload(**usage), Platform()
    space = nmp_space(workload, platform, hardware((2, 4, 6, 8)))
    return RooflineEvaluator(workload, platform), space.decode(space.sample(rows, np.random.default_rng(3)))


def sound(rows: int = 12) -> tuple[RooflineEvaluator, Batch]:
    """Designs of one NMP channel count, none of them bad."""
    workload, platform = model_workload(), Platform()
    space = nmp_space(workload, platform, hardware((6,)))
    return RooflineEvaluator(workload, platform), space.decode(space.sample(rows, np.random.default_rng(3)))


def test_data_centric_designs() -> None:
    """Feasible and infeasible designs side by side; exact values have intervals of no width."""
    evaluator, batch = roofline(batch=16)
    check_evaluator(evaluator, batch)
    answer = evaluator.evaluate(batch, seed=0)
    assert set(answer.status.tolist()) == {Status.OK, Status.INFEASIBLE}
    for name, values in answer.metrics.items():
        assert np.array_equal(answer.interval[name], np.stack([values, values], axis=1)), name
    assert not answer.samples and evaluator.fidelity == 0 and evaluator.metrics["latency_s"] == "s"


@pytest.mark.parametrize("name", FIXED_DATAFLOWS)
def test_fixed_dataflows(name: str) -> None:
    """Overlapping shares and operators without NMP channels included."""
    workload, platform = model_workload("llama3-8b"), Platform()
    choices = hardware((0,) if name in WITHOUT_NMP else (2, 6))
    space = FixedSpace(name, workload, platform, choices)
    evaluator = RooflineEvaluator(workload, platform, check_capacity=False)
    batch = space.decode(space.starts())
    check_evaluator(evaluator, batch)
    assert (evaluator.evaluate(batch, seed=0).status == Status.OK).all()


def test_failed_rows_in_the_batch() -> None:
    """The contract holds for a batch in which every third row is bad."""
    evaluator, batch = roofline()
    columns = dict(batch.columns) | {"mhz": np.where(np.arange(len(batch)) % 3, batch.columns["mhz"], np.nan)}
    check_evaluator(evaluator, Batch(batch.schema, columns))


def test_same_answer_in_another_process() -> None:
    """Keys and answers do not depend on the process or on its hash seed."""
    check_other_process(f"{__name__}:{roofline.__name__}")


SPOILED = spoiled_nmp_designs(OPERATORS)


@pytest.mark.parametrize("spoiled", SPOILED, ids=str)
@pytest.mark.filterwarnings("error")
def test_a_bad_candidate_is_a_status(spoiled: dict[str, Any]) -> None:
    """Hardware, places, channels and shares that no design has: FAILED, without a warning, the others unchanged."""
    check_spoiled(*sound(), spoiled)


@pytest.mark.filterwarnings("ignore:divide by zero")
def test_a_processor_too_slow_to_price_is_a_status() -> None:
    """Positive, and so slow that an operator takes infinitely long: FAILED, the others unchanged."""
    check_spoiled(*sound(), {"mhz": 5e-324, "pe_gbps": 5e-324})


class Unsure(NmpRoofline):
    """An operator model that gives up on operators of two channels."""

    name = "unsure"

    def cost(self, B: Ints, M: Ints, N: Ints, K: Ints, channels: Ints, device: Device) -> OperatorCost:
        """NaN where it gives up."""
        found = super().cost(B, M, N, K, channels, device)
        return OperatorCost(np.where(channels == 2, np.nan, found.latency_s), found.energy_j)


class PerMac:
    """Another model's latency, and a picojoule a multiply-accumulate."""

    def __init__(self, model: OperatorModel) -> None:
        self.model, self.name, self.version = model, f"{model.name}-per-mac", "1"

    def cost(self, B: Ints, M: Ints, N: Ints, K: Ints, channels: Ints, device: Device) -> OperatorCost:
        """Energy is B M N K picojoules."""
        latency = self.model.cost(B, M, N, K, channels, device).latency_s
        return OperatorCost(latency, np.broadcast_to(1e-12 * B * M * N * K, latency.shape))


def test_an_operator_model_may_give_up() -> None:
    """Rows that a user's model does not price are FAILED, the others keep to the contract."""
    sure, batch = roofline()
    evaluator = RooflineEvaluator(sure.workload, sure.platform, nmp=Unsure())
    check_evaluator(evaluator, batch)
    assert set(evaluator.evaluate(batch, seed=0).status.tolist()) == {Status.OK, Status.INFEASIBLE, Status.FAILED}
    assert evaluator.version != sure.version


def test_energy_is_answered_where_it_is_known() -> None:
    """`energy_j` only where both models know it; whatever the cut, each multiply-accumulate is counted once."""
    sure, batch = roofline()
    npu, nmp = PerMac(NpuRoofline()), PerMac(NmpRoofline())
    half_known = (
        RooflineEvaluator(sure.workload, sure.platform, npu=npu),
        RooflineEvaluator(sure.workload, sure.platform, nmp=nmp),
    )
    for evaluator in (sure, *half_known):
        assert "energy_j" not in evaluator.metrics and "energy_j" not in evaluator.evaluate(batch, seed=0).metrics
    evaluator = RooflineEvaluator(sure.workload, sure.platform, npu, nmp)
    check_evaluator(evaluator, batch)
    macs = sum(op.prefill[0].gemm.macs + sure.workload.generated * op.decode.macs for op in sure.workload.operators)
    np.testing.assert_allclose(evaluator.evaluate(batch, seed=0).metrics["energy_j"], 1e-12 * macs, rtol=1e-12)
