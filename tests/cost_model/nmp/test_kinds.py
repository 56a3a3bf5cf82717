"""Several kinds of layers in one workload: what holds between a model and the kinds that it is made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from cost_model.nmp.analysis.time_breakdown import accounts
from cost_model.nmp.buffered import BufferedEvaluator
from cost_model.nmp.evaluator import NmpEvaluator
from cost_model.nmp.operators.roofline import NpuRoofline
from cost_model.nmp.roofline import RooflineEvaluator
from design.core import Batch
from design.nmp.design import DATAFLOW, nmp_schema
from design.nmp.lowering import Speculation, Usage, model_workload
from design.nmp.model import Experts, LayerKind, Model, weight_operator
from design.nmp.workload import FFN, Gemm, Workload
from dse.spaces.nmp.fixed import FixedSpace
from dse.studies.nmp.exact.prove import prove
from tests.design.nmp.small_models import layer, model
from tests.dse.nmp.small import CONSTANTS, FAST, PLATFORM, devices, space_for

USE = Usage(batch=2, prompt=48, generated=8, max_seq_len=64)
MAKERS = (lambda w: RooflineEvaluator(w, PLATFORM), lambda w: BufferedEvaluator(w, PLATFORM, CONSTANTS))


def kinds() -> Model:
    """Three layers of one kind, two of a wider one whose attention has a window."""
    return Model("two", (layer("one", 3, 64), layer("two", 2, 128, window=20)))


def alone(whole: Model, number: int) -> Model:
    """A model of one of the kinds."""
    return Model(whole.kinds[number].name, (whole.kinds[number],))


def joined(parts: list[Batch], workload: Workload) -> Batch:
    """Dataflows of the kinds one after the other, on the hardware of the first."""
    columns = dict(parts[0].columns)
    for name, _, _ in DATAFLOW:
        columns[name] = np.concatenate([part.columns[name] for part in parts], axis=1)
    first = parts[0].columns["group"].shape[1]
    columns["group"] = columns["group"].copy()
    columns["group"][:, first:] += first
    return Batch(nmp_schema(workload, PLATFORM), columns)


@pytest.mark.parametrize("make", MAKERS)
def test_a_model_is_the_mean_of_its_layers(make: type[NmpEvaluator]) -> None:
    """Latency and energy of kinds explored apart, weighted by their layers, are those of the model."""
    whole = kinds()
    evaluator = make(model_workload(whole, USE))
    parts = [make(model_workload(alone(whole, number), USE)) for number in (0, 1)]
    spaces = [space_for(part, devices()) for part in parts]
    rng = np.random.default_rng(0)
    designs = [space.decode(space.sample(40, rng)) for space in spaces]
    found = evaluator.evaluate(joined(designs, evaluator.workload), seed=0)
    each = [part.evaluate(batch, seed=0) for part, batch in zip(parts, designs, strict=True)]
    for name in found.metrics:
        mean = (3 * each[0].metrics[name] + 2 * each[1].metrics[name]) / 5
        np.testing.assert_allclose(found.metrics[name], mean, rtol=1e-12)


@pytest.mark.parametrize("make", MAKERS)
def test_the_optimum_of_a_model_is_that_of_its_kinds(make: type[NmpEvaluator]) -> None:
    """With memory to spare the solver finds, for the whole, the weighted sum of what it finds for the parts."""
    whole = kinds()
    values = []
    for one in (whole, alone(whole, 0), alone(whole, 1)):
        evaluator = make(model_workload(one, USE))
        space = space_for(evaluator, devices(processors=(FAST,)))
        hardware = space.genes.decode(np.zeros((1, 5), dtype=np.int64))
        proof = prove(space, evaluator, hardware, "latency_s")
        assert proof.lower_bound is not None and proof.design is not None
        assert proof.value <= proof.lower_bound * (1 + 1e-6)
        values.append(proof.lower_bound)
    assert values[0] == pytest.approx((3 * values[1] + 2 * values[2]) / 5, rel=1e-9)


def test_groups_across_kinds_bring_nothing() -> None:
    """The solver takes groups of one kind only; told of no kinds it takes all groups, and finds no less."""
    workload = model_workload(kinds(), USE)
    bounds = []
    for one in (workload, replace(workload, sections=())):
        evaluator = RooflineEvaluator(one, PLATFORM)
        space = space_for(evaluator, devices())
        proof = prove(space, evaluator, space.genes.decode(np.zeros((1, 5), dtype=np.int64)), "latency_s")
        bounds.append(proof.lower_bound)
    assert bounds[0] == pytest.approx(bounds[1], rel=1e-12)


def test_equal_kinds_are_one() -> None:
    """Layers told apart by name only cost what they cost together, whatever the design."""
    one = RooflineEvaluator(model_workload(Model("one", (layer("one", 4),)), USE), PLATFORM)
    two = RooflineEvaluator(model_workload(model(3, 1), USE), PLATFORM)
    space = space_for(one, devices())
    designs = space.decode(space.sample(40, np.random.default_rng(1)))
    twice = joined([designs, designs], two.workload)
    found, known = two.evaluate(twice, seed=0), one.evaluate(designs, seed=0)
    np.testing.assert_allclose(found.metrics["latency_s"], known.metrics["latency_s"], rtol=1e-12)
    np.testing.assert_array_equal(found.status, known.status)


@pytest.mark.parametrize("make", MAKERS)
def test_accounts_add_up(make: type[NmpEvaluator]) -> None:
    """Over kinds, chunks, drafts and experts the accounts of the operators are the latency of the design."""
    experts = weight_operator("e1", FFN, 96, 64, Experts(8, 3))
    mixed = LayerKind("moe", 3, (*layer("x", 1, 64).operators, experts), ((0, 2), (1, 2), (2, 3)))
    use = replace(USE, chunk=20)
    evaluator = make(model_workload(Model("m", (mixed,)), use, Speculation(alone(kinds(), 1), 3, 0.7)))
    space = space_for(evaluator, devices())
    for row in space.sample(20, np.random.default_rng(2)):
        batch = space.decode(row[None, :])
        found = accounts(evaluator, batch)
        answer = evaluator.evaluate(batch, seed=0).metrics
        assert sum(op.prefill_s for op in found) == pytest.approx(answer["prefill_s"][0], rel=1e-12)
        assert sum(op.decode_s for op in found) == pytest.approx(answer["decode_s"][0], rel=1e-12)


def expert_gemms(workload: Workload) -> Iterator[tuple[int, Gemm]]:
    """How many GEMMs of how many rows a decode step of a mixture is."""
    (op,) = workload.operators
    yield op.decode.B - op.longer, op.decode._replace(B=1)
    yield op.longer, op.decode._replace(B=1, M=op.decode.M + 1)


@pytest.mark.parametrize("batch", [1, 2, 3, 7])
def test_uneven_experts_cost_their_sum_on_the_npu(batch: int) -> None:
    """On a processor that takes GEMMs one after another a mixture costs what its GEMMs cost one by one."""
    experts = weight_operator("e1", FFN, 512, 256, Experts(8, 3))
    use = replace(USE, batch=batch)
    workload = model_workload(Model("m", (LayerKind("layer", 1, (experts,), ()),)), use)
    evaluator = RooflineEvaluator(workload, PLATFORM, check_capacity=False)
    design = FixedSpace("npu_only", workload, PLATFORM, devices(nmp=(0,))).decode(np.zeros((1, 5), dtype=np.int64))
    device, channels = evaluator.device(evaluator.columns(design)), np.array([[PLATFORM.total_channels]])
    expected = 0.0
    for count, gemm in expert_gemms(workload):
        B, M, N, K = (np.array([[value]]) for value in gemm)
        expected += count * float(NpuRoofline().cost(B, M, N, K, channels, device).latency_s[0, 0])
    found = float(evaluator.evaluate(design, seed=0).metrics["decode_s"][0])
    assert found == pytest.approx(workload.generated * expected, rel=1e-12)
