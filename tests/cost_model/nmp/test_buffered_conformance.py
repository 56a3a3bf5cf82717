"""The buffered evaluator keeps to the contract of all evaluators, and calls bad candidates what they are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cost_model.nmp.buffered import BufferedEvaluator
from cost_model.nmp.operators.base import OperatorCost
from cost_model.nmp.operators.buffered import BufferedNmp, MeteredNpu
from cost_model.nmp.operators.roofline import NmpRoofline
from design.conformance.evaluator import check_evaluator, check_other_process, check_spoiled
from design.core import Batch, Ints, Status
from design.nmp.device import Device, HardwareSpace, Platform
from dse.spaces.nmp.fixed import FIXED_DATAFLOWS, WITHOUT_NMP, FixedSpace
from tests.cases import PROCESSORS, model_workload, nmp_space
from tests.cost_model.nmp.spoiled import spoiled_nmp_designs
from tests.cost_model.nmp.test_buffered import SOME

OPERATORS = len(model_workload().operators)
CHOICES = HardwareSpace((2, 4, 6, 8), (PROCESSORS[0], PROCESSORS[4]), (1, 4, 64), (1, 32), (2, 64))


def buffered(rows: int = 60, nodes: int | None = 4, **usage: Any) -> tuple[BufferedEvaluator, Batch]:
    """OPT-6.7B on 2, 4, 6 or 8 NMP channels with buffers that bind, random designs of which some fit no memory."""
    workload, platform = model_workload(**usage), Platform()
    space = nmp_space(workload, platform, CHOICES)
    batch = space.decode(space.sample(rows, np.random.default_rng(3)))
    return BufferedEvaluator(workload, platform, SOME, nodes=nodes), batch


def sound(rows: int = 12) -> tuple[BufferedEvaluator, Batch]:
    """Designs of one NMP channel count, none of them bad."""
    workload, platform = model_workload(), Platform()
    space = nmp_space(workload, platform, replace(CHOICES, nmp_channels=(6,)))
    batch = space.decode(space.sample(rows, np.random.default_rng(3)))
    return BufferedEvaluator(workload, platform, SOME), batch


@pytest.mark.parametrize("nodes", [None, 1, 4])
def test_data_centric_designs(nodes: int | None) -> None:
    """Feasible and infeasible designs side by side; exact values have intervals of no width."""
    evaluator, batch = buffered(batch=16, nodes=nodes)
    check_evaluator(evaluator, batch)
    answer = evaluator.evaluate(batch, seed=0)
    assert set(answer.status.tolist()) == {Status.OK, Status.INFEASIBLE}
    for name, values in answer.metrics.items():
        assert np.array_equal(answer.interval[name], np.stack([values, values], axis=1)), name
    assert not answer.samples and evaluator.fidelity == 0


@pytest.mark.parametrize("model", ["llama3-8b", "palm-8b"])
@pytest.mark.parametrize("name", FIXED_DATAFLOWS)
def test_fixed_dataflows(name: str, model: str) -> None:
    """Overlapping shares and operators without NMP channels included, and at batch 1 a cut along the context."""
    workload, platform = model_workload(model, batch=1), Platform()
    choices = replace(CHOICES, nmp_channels=(0,) if name in WITHOUT_NMP else (2, 6))
    space = FixedSpace(name, workload, platform, choices)
    evaluator = BufferedEvaluator(workload, platform, SOME, check_capacity=False)
    batch = space.decode(space.sample(20, np.random.default_rng(0)))
    check_evaluator(evaluator, batch)
    assert (evaluator.evaluate(batch, seed=0).status == Status.OK).all()


def test_designs_cut_along_the_context() -> None:
    """PaLM's attention at batch 1: the units of a row at each context are its own, whatever the other rows are."""
    workload, platform = model_workload("palm-8b", batch=1), Platform()
    space = nmp_space(workload, platform, replace(CHOICES, nmp_channels=(2, 4, 6)))
    batch = space.decode(space.sample(40, np.random.default_rng(5)))
    check_evaluator(BufferedEvaluator(workload, platform, SOME), batch)


def test_failed_rows_in_the_batch() -> None:
    """The contract holds for a batch in which every third row is no design and every fourth has no input buffer."""
    evaluator, batch = buffered()
    row = np.arange(len(batch))
    columns = {
        "mhz": np.where(row % 3, batch.columns["mhz"], np.nan),
        "input_kb": np.where(row % 4, batch.columns["input_kb"], 0),
    }
    bad = Batch(batch.schema, dict(batch.columns) | columns)
    check_evaluator(evaluator, bad)
    failed = evaluator.evaluate(bad, seed=0).status == Status.FAILED
    assert np.array_equal(failed, (row % 3 == 0) | (row % 4 == 0))


def test_same_answer_in_another_process() -> None:
    """Keys and answers do not depend on the process or on its hash seed."""
    check_other_process(f"{__name__}:{buffered.__name__}")


SPOILED = [
    *spoiled_nmp_designs(OPERATORS),
    *({name: kb} for name in ("input_kb", "weight_kb", "output_kb") for kb in (0, -1, -1024)),
]


@pytest.mark.parametrize("spoiled", SPOILED, ids=str)
@pytest.mark.filterwarnings("error")
def test_a_bad_candidate_is_a_status(spoiled: dict[str, Any]) -> None:
    """Hardware, buffers, places, channels and shares that no design has: FAILED, without a warning, the others
    unchanged."""
    check_spoiled(*sound(), spoiled)


@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:overflow")
def test_a_processor_too_slow_to_price_is_a_status() -> None:
    """Positive, and so slow that an operator takes infinitely long: FAILED, the others unchanged."""
    check_spoiled(*sound(), {"mhz": 5e-324, "pe_gbps": 5e-324})


@pytest.mark.filterwarnings("error")
def test_buffers_without_end_are_priced() -> None:
    """Buffers of a petabyte: an answer, without a warning, and the latency of all that need no more than a gigabyte."""
    evaluator, batch = sound()
    found = []
    for kb in (2**20, 2**40):
        columns = dict.fromkeys(("input_kb", "weight_kb", "output_kb"), np.full(len(batch), kb))
        found.append(evaluator.evaluate(Batch(batch.schema, dict(batch.columns) | columns), seed=0))
    assert (found[1].status == Status.OK).all()
    assert np.array_equal(found[0].metrics["latency_s"], found[1].metrics["latency_s"])


class Unsure(BufferedNmp):
    """An operator model that gives up on operators of two channels."""

    name = "unsure"

    def cost(self, B: Ints, M: Ints, N: Ints, K: Ints, channels: Ints, device: Device) -> OperatorCost:
        """NaN where it gives up."""
        found = super().cost(B, M, N, K, channels, device)
        return OperatorCost(np.where(channels == 2, np.nan, found.latency_s), found.energy_j)


def test_an_operator_model_may_give_up() -> None:
    """Rows that a user's model does not price are FAILED, the others keep to the contract."""
    sure, batch = buffered()
    evaluator = BufferedEvaluator(sure.workload, sure.platform, SOME, nmp=Unsure(SOME))
    check_evaluator(evaluator, batch)
    assert set(evaluator.evaluate(batch, seed=0).status.tolist()) == {Status.OK, Status.INFEASIBLE, Status.FAILED}
    assert evaluator.version != sure.version


def test_models_are_the_ones_of_the_constants() -> None:
    """Left out or given, the operator models of the evaluator's own constants answer the same."""
    evaluator, batch = buffered()
    given = BufferedEvaluator(evaluator.workload, evaluator.platform, SOME, MeteredNpu(SOME), BufferedNmp(SOME))
    ours, theirs = (one.evaluate(batch, seed=0).metrics for one in (evaluator, given))
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)
    assert given.version == evaluator.version


def test_energy_is_answered_where_it_is_known() -> None:
    """`energy_j` only where both models know it; area is the evaluator's own."""
    sure, batch = buffered()
    evaluator = BufferedEvaluator(sure.workload, sure.platform, SOME, nmp=NmpRoofline())
    check_evaluator(evaluator, batch)
    answer = evaluator.evaluate(batch, seed=0)
    assert "energy_j" not in evaluator.metrics and "energy_j" not in answer.metrics
    assert np.array_equal(answer.metrics["area_mm2"], sure.evaluate(batch, seed=0).metrics["area_mm2"])


def test_other_prices_are_another_version() -> None:
    """What an answer depends on beside workload, platform and design is in the version that it is stored under."""
    workload, platform = model_workload(), Platform()
    dearer = replace(SOME, mac_fp16_pj=9.0)
    versions = {
        BufferedEvaluator(workload, platform, known, nodes=n).version for known in (SOME, dearer) for n in (2, 4)
    }
    assert len(versions) == 4
