"""Schedule, roofline and energy of a design agree with what the evaluator says of it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_model.nmp.analysis.energy import energy_account
from cost_model.nmp.analysis.operator_roofline import ON_NMP, ON_NPU, PREFILL, roofline
from cost_model.nmp.analysis.timeline import NPU, decode_timeline, prefill_timeline
from cost_model.nmp.evaluator import NmpEvaluator
from cost_model.nmp.layer_latency import LayerClock
from cost_model.nmp.operators.base import OperatorCost
from cost_model.nmp.operators.roofline import NmpRoofline
from cost_model.nmp.roofline import RooflineEvaluator
from design.core import Batch, Ints, Status
from design.nmp.device import Device, Platform
from dse.spaces.nmp.fixed import FIXED_DATAFLOWS, WITHOUT_NMP, FixedSpace
from tests.cases import MODELS, examples, model_workload
from tests.cost_model.nmp.test_buffered import BELOW_ALL, NODES, USAGE, Problem, small_problems, wild
from tests.cost_model.nmp.test_time_breakdown import evaluators

CLOSE = 1e-12


def sound(evaluator: NmpEvaluator, batch: Batch) -> list[Batch]:
    """The rows that have a price, one by one."""
    status = evaluator.evaluate(batch, seed=0).status
    return [batch.take(np.array([row])) for row in np.flatnonzero(status != Status.FAILED)]


def check_timeline(evaluator: NmpEvaluator, one: Batch, legal: bool) -> None:
    """It ends when the clock says; strata follow each other inside their groups; each bar lies in its stratum, as
    long as its operator's cost, on its operator's lanes; no two share a lane where the design is `legal`."""
    line, c = decode_timeline(evaluator, one), {k: v.T if v.ndim == 2 else v for k, v in one.columns.items()}
    held = np.bitwise_count(c["channels"]).astype(np.int64)
    rows = evaluator.decode.rows[evaluator.decode.middle]
    nmp, npu = (cost.latency_s[rows] for cost in evaluator.decode_costs(c, held, evaluator.device(c)))
    if evaluator.workload.generated:
        assert line.seconds == LayerClock(c).latency(nmp, npu)[0]
        assert max(bar.end_s for bar in line.bars) == pytest.approx(line.seconds, rel=CLOSE, abs=0)
    assert line.groups[0][0] == 0 and all(a[1] == b[0] for a, b in pairwise(line.groups))
    assert line.groups[-1][1] == pytest.approx(line.seconds or line.groups[-1][1], rel=CLOSE, abs=0)
    for before, after in pairwise(line.strata):
        if (before.group, before.part) == (after.group, after.part):
            assert before.stratum < after.stratum and before.end_s == after.start_s
    place = {(s.group, s.part, s.stratum): s for s in line.strata}
    expected = []
    for i, op in enumerate(evaluator.workload.operators):
        word = int(c["channels"][i, 0])
        stratum = place[tuple(int(c[name][i, 0]) for name in ("group", "part", "stratum"))]
        own = [bar for bar in line.bars if bar.operator == op.name]
        for bar in own:
            seconds = (npu if bar.lane == NPU else nmp)[i, 0]
            assert bar.end_s - bar.start_s == pytest.approx(seconds, rel=1e-9, abs=1e-9 * line.groups[-1][1])
            assert stratum.start_s <= bar.start_s and bar.end_s <= stratum.end_s and bar.lane in stratum.lanes
        lanes = [bit for bit in range(word.bit_length()) if word >> bit & 1] * bool(nmp[i, 0] > 0)
        assert sorted(bar.lane for bar in own) == [NPU] * bool(npu[i, 0] > 0) + lanes
        expected.append(stratum.start_s)
    for a, b in evaluator.workload.edges:
        assert not legal or expected[a] <= expected[b]
    for lane in line.lanes if legal else ():
        mine = sorted((bar for bar in line.bars if bar.lane == lane), key=lambda bar: bar.start_s)
        assert all(x.end_s <= y.start_s for x, y in pairwise(mine))


def check_prefill(evaluator: NmpEvaluator, one: Batch) -> None:
    """One operator after another, to the evaluator's prefill."""
    bars = prefill_timeline(evaluator, one)
    assert [bar.operator for bar in bars] == [evaluator.workload.operators[i].name for i in evaluator.workload.order()]
    assert bars[0].start_s == 0 and all(a.end_s == b.start_s for a, b in pairwise(bars))
    total = evaluator.evaluate(one, seed=0).metrics["prefill_s"][0]
    assert bars[-1].end_s == pytest.approx(total, rel=CLOSE, abs=0)


def check_roofline(evaluator: NmpEvaluator, one: Batch) -> None:
    """A point for each operator in prefill and on each processor in decode, none above its roof, and no roof of a
    point above those drawn."""
    found, c = roofline(evaluator, one), {k: v[0] for k, v in one.columns.items()}
    names = [op.name for op in evaluator.workload.operators]
    kinds = {kind: [p.operator for p in found.points if p.kind == kind] for kind in (PREFILL, ON_NMP, ON_NPU)}
    assert kinds[PREFILL] == names
    assert set(kinds[ON_NMP]) == {name for name, units in zip(names, c["nmp_units"], strict=True) if units}
    assert set(kinds[ON_NPU]) <= {name for name, units in zip(names, c["npu_units"], strict=True) if units}
    for point in found.points:
        assert 0 < point.gflops <= point.roof.at(point.intensity) * (1 + 1e-9)
        drawn = [r for r in found.roofs if r.processor == point.roof.processor]
        assert any(point.roof.at(point.intensity) <= roof.at(point.intensity) * (1 + 1e-9) for roof in drawn)


def check_energy(evaluator: NmpEvaluator, one: Batch) -> None:
    """The account adds up to the evaluator's energy, and has nothing on a processor that does nothing."""
    account = energy_account(evaluator, one)
    if "energy_j" not in evaluator.metrics:
        assert account is None
        return
    assert account is not None
    energy = evaluator.evaluate(one, seed=0).metrics["energy_j"][0]
    assert account.total_j == pytest.approx(energy, rel=CLOSE, abs=0)
    for i, op in enumerate(account.operators):
        assert (op.decode_nmp_j == 0) or one.columns["nmp_units"][0, i] > 0
        assert (op.decode_npu_j == 0) or one.columns["npu_units"][0, i] > 0
    assert min(account.standby.values()) >= -CLOSE * energy


def check(evaluator: NmpEvaluator, batch: Batch, legal: bool = True) -> int:
    """All of it; returns how many rows had a price."""
    rows = sound(evaluator, batch)
    for one in rows:
        check_timeline(evaluator, one, legal)
        check_prefill(evaluator, one)
        check_roofline(evaluator, one)
        check_energy(evaluator, one)
    return len(rows)


@examples(15)
@given(small_problems(), NODES, st.integers(0, 99))
def test_small_designs(problem: Problem, nodes: int | None, seed: int) -> None:
    """Random workloads and machines; data-centric designs, and any that are sound."""
    for evaluator in evaluators(problem.workload, problem.platform, nodes):
        check(evaluator, problem.sample(4, seed))
        check(evaluator, wild(problem, 4, seed), legal=False)


@examples(12)
@given(st.sampled_from(MODELS), USAGE, NODES, st.integers(0, 99))
def test_real_designs(model: str, usage: dict[str, Any], nodes: int | None, seed: int) -> None:
    """Shipped models, and designs that all have a price."""
    workload = model_workload(model, **usage)
    batch = Problem(workload, Platform(), BELOW_ALL).sample(5, seed)
    for evaluator in evaluators(workload, Platform(), nodes):
        assert check(evaluator, batch) == len(batch)


@pytest.mark.parametrize("name", FIXED_DATAFLOWS)
def test_fixed_dataflows(name: str) -> None:
    """No NMP channels at all, operators of the NPU that hold NMP channels, and shares that overlap."""
    workload = model_workload("llama3-8b")
    counts = (0,) if name in WITHOUT_NMP else (2, 6)
    space = FixedSpace(name, workload, Platform(), replace(BELOW_ALL, nmp_channels=counts))
    batch = space.decode(space.sample(4, np.random.default_rng(0)))
    for evaluator in evaluators(workload, Platform()):
        assert check(evaluator, batch) == len(batch)
        roofs = roofline(evaluator, batch.take(slice(0, 1))).roofs
        assert {roof.processor for roof in roofs} == ({"NPU"} if name in WITHOUT_NMP else {"NPU", "NMP"})


def test_nothing_generated() -> None:
    """No decode step: the timeline takes no time and names no context."""
    workload = model_workload(generated=0)
    batch = Problem(workload, Platform(), BELOW_ALL).sample(3, 0)
    for evaluator in evaluators(workload, Platform()):
        assert check(evaluator, batch) == len(batch)
        line = decode_timeline(evaluator, batch.take(slice(0, 1)))
        assert line.seconds == 0 and line.context is None


def test_a_roof_by_hand() -> None:
    """2 channels of 16 banks, PEs of 8 FPUs of 16 lanes at 600 MHz and 25.6 GB/s; the NPU on the 6 others."""
    workload = model_workload()
    space = Problem(workload, Platform(), replace(BELOW_ALL, nmp_channels=(2,)))
    batch = space.sample(1, 0)
    columns = dict(batch.columns) | {"fpus": np.array([8]), "mhz": np.array([600.0]), "pe_gbps": np.array([25.6])}
    found = roofline(RooflineEvaluator(workload, Platform()), Batch(batch.schema, columns))
    nmp = next(roof for roof in found.roofs if roof.processor == "NMP")
    assert nmp.gflops == pytest.approx(2 * 2 * 16 * 8 * 16 * 0.6) and nmp.gbps == pytest.approx(2 * 16 * 25.6)
    assert nmp.at(0.5) == pytest.approx(0.5 * nmp.gbps) and nmp.at(1e9) == nmp.gflops
    npu = next(roof for roof in found.roofs if roof.processor == "NPU")
    assert npu.gflops == pytest.approx(2 * 0.7 * 128e3) and npu.gbps == pytest.approx(0.7 * 12.8 * npu.channels)


class Fast:
    """A user's model, a thousand times as fast as any roof allows, that says nothing else."""

    name, version = "fast", "1"

    def cost(self, B: Ints, M: Ints, N: Ints, K: Ints, channels: Ints, device: Device) -> OperatorCost:
        """See `OperatorModel`."""
        base = NmpRoofline().cost(B, M, N, K, channels, device)
        return OperatorCost(base.latency_s / 1e3, base.energy_j)


def test_a_users_model_may_lie_anywhere() -> None:
    """Its points are where it says, above the roof too."""
    workload = model_workload()
    batch = Problem(workload, Platform(), BELOW_ALL).sample(4, 1)
    evaluator = RooflineEvaluator(workload, Platform(), nmp=Fast(), check_capacity=False)
    points = [p for one in sound(evaluator, batch) for p in roofline(evaluator, one).points if p.kind == ON_NMP]
    assert points and any(p.gflops > p.roof.at(p.intensity) for p in points)
