"""What a run may claim of its best design, case by case; and the solver as a search over many devices."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest

from cost_model.nmp.evaluator import NmpEvaluator
from cost_model.nmp.operators.base import OperatorCost, OperatorModel
from cost_model.nmp.operators.roofline import NmpRoofline, NpuRoofline
from cost_model.nmp.roofline import RooflineEvaluator
from design.contracts import Space
from design.core import Batch, Ints, Objective, Status
from design.nmp.device import Device, HardwareSpace, Processors
from design.nmp.workload import FFN, Gemm, Operator, Workload, once
from dse.records.archive import Archive
from dse.search.engine import Effort, Search, make_search
from dse.search.explore import explore
from dse.spaces.nmp import NmpSpace
from dse.spaces.nmp.fixed import FixedSpace
from dse.studies.nmp.analysis.proof import Bound, bound_of_run
from dse.studies.nmp.exact.prove import Proof, prove
from dse.studies.nmp.exact.search import ExactSearch
from tests.cases import every_genome
from tests.dse.nmp.small import BUFFERED, EVALUATORS, FAST, LAYER, PLATFORM, ROOFLINE, SLOW, devices, sampled, space_for

LATENCY, DECODE, ENERGY = (Objective(name) for name in ("latency_s", "decode_s", "energy_j"))
TIGHT = replace(PLATFORM, bank_bytes=16)  # no design has room
BUFFERS = ("input_kb", "weight_kb", "output_kb")
FEW = Effort(population=4, topk=2, mutate_ratio=1.0, seed=0)
DEVICES = devices((1, 2), (FAST, SLOW), (1, 4))


def run(
    space: Space,
    evaluator: NmpEvaluator,
    *objectives: Objective,
    search: Search | None = None,
    generations: int = 1,
    full: bool = True,
) -> tuple[Bound, Archive]:
    """The bound of a short run."""
    goals = objectives or (LATENCY,)
    search = search or make_search(space, FEW, "auto", len(goals), FEW.population * generations)
    archive, _ = explore(search, evaluator, goals, generations, 0)
    return bound_of_run(space, evaluator, goals, search, archive, full), archive


def none_known(bound: Bound, why: str) -> bool:
    """Whether nothing is claimed, for that reason."""
    return bound.lower_bound is None and bound.better is None and why in bound.how


def solve(evaluator: NmpEvaluator, hardware: HardwareSpace, metric: str = "latency_s") -> list[Proof]:
    """All devices of a space, one by one, each from nothing."""
    space = space_for(evaluator, hardware)
    return [
        prove(space, evaluator, space.genes.decode(genes[None]), metric) for genes in every_genome(space.genes.bounds)
    ]


@pytest.mark.parametrize("objective", [LATENCY, ENERGY, Objective("edp")], ids=lambda o: o.metric)
@pytest.mark.parametrize("full", [True, False])
def test_every_design_was_evaluated(objective: Objective, full: bool) -> None:
    """A fixed dataflow, all of its hardware: the best is the optimum, for any objective, in any report."""
    space = FixedSpace("fc_offloading", LAYER, PLATFORM, DEVICES)
    bound, archive = run(space, BUFFERED, objective, generations=space.size or 0, full=full)
    assert archive.candidates == space.size == 8
    answers = BUFFERED.evaluate(space.decode(every_genome(space.bounds)), seed=0).metrics
    values = answers["energy_j"] * answers["latency_s"] if objective.metric == "edp" else answers[objective.metric]
    assert bound == Bound(float(values.min()), "every design of the space was evaluated")


@pytest.mark.parametrize("objective", [LATENCY, ENERGY], ids=lambda o: o.metric)
def test_not_every_design_was_evaluated(objective: Objective) -> None:
    """One generation of four is not all 8 designs."""
    space = FixedSpace("fc_offloading", LAYER, PLATFORM, DEVICES)
    bound, archive = run(space, BUFFERED, objective, search=make_search(space, FEW, "enumerate", 1, 8))
    assert archive.candidates == 4 and none_known(bound, "4 of 8 designs were evaluated")


def test_every_design_was_evaluated_and_none_fits() -> None:
    """Then there is no best to be proud of."""
    evaluator = RooflineEvaluator(LAYER, TIGHT)
    space = FixedSpace("fc_offloading", LAYER, TIGHT, DEVICES)
    bound, archive = run(space, evaluator, generations=4)
    assert archive.candidates == 8 and not len(archive.rows) and none_known(bound, "")


def test_a_maximised_objective() -> None:
    """Nothing is claimed, not even where every design was evaluated."""
    slowest = Objective("latency_s", -1)
    fixed = FixedSpace("fc_offloading", LAYER, PLATFORM, DEVICES)
    free = space_for(ROOFLINE, devices())
    for space in (fixed, free):
        bound, _ = run(space, ROOFLINE, slowest, generations=4)
        assert none_known(bound, "maximised")
    bound, archive = run(free, ROOFLINE, LATENCY, Objective("decode_s", -1))
    assert bound.lower_bound is not None and bound.lower_bound <= archive.values[0, 0]


@pytest.mark.parametrize("evaluator", EVALUATORS, ids=lambda e: e.name)
@pytest.mark.parametrize("objective", [LATENCY, DECODE], ids=lambda o: o.metric)
def test_a_fixed_device(evaluator: NmpEvaluator, objective: Objective) -> None:
    """The optimum of the device, and the design that has it, where the search found only a worse one."""
    space = space_for(evaluator, devices())
    bound, archive = run(space, evaluator, objective, search=make_search(space, FEW, "random", 1, 4))
    (proof,) = solve(evaluator, devices(), objective.metric)
    assert bound.lower_bound == pytest.approx(proof.value, rel=1e-9) and "this device" in bound.how
    assert bound.better is not None and len(bound.better) == 1
    better = evaluator.evaluate(bound.better, seed=0)
    assert better.status[0] == Status.OK
    assert better.metrics[objective.metric][0] == pytest.approx(bound.lower_bound, rel=1e-9)
    assert better.metrics[objective.metric][0] < archive.values[0, 0]
    others = evaluator.evaluate(sampled(space, 400), seed=0)
    assert (others.metrics[objective.metric] >= bound.lower_bound * (1 - 1e-12)).all()


def test_nothing_better_than_the_optimum() -> None:
    """A search that found it is told so, and is offered no other design of the same value."""
    space = space_for(ROOFLINE, devices())
    search = make_search(space, Effort(100, 50, 1.0, 0), "auto", 1, 1000)
    bound, archive = run(space, ROOFLINE, search=search, generations=10)
    assert bound.lower_bound == pytest.approx(archive.values[0, 0], rel=1e-9) and bound.better is None


def test_only_a_full_report_proves() -> None:
    """A brief one says how to get a proof."""
    bound, _ = run(space_for(ROOFLINE, devices()), ROOFLINE, full=False)
    assert none_known(bound, "--report full")


def test_several_devices() -> None:
    """A search over hardware says what would bound it."""
    bound, _ = run(space_for(ROOFLINE, DEVICES), ROOFLINE)
    assert none_known(bound, "--algorithm exact")


def test_an_energy() -> None:
    """There is no solver for it; as a second objective it is no hindrance."""
    space = space_for(BUFFERED, devices())
    bound, _ = run(space, BUFFERED, ENERGY)
    assert none_known(bound, "no solver for energy_j")
    bound, archive = run(space, BUFFERED, LATENCY, ENERGY)
    assert bound.lower_bound is not None and bound.lower_bound <= archive.values[0, 0]


@pytest.mark.parametrize("full", [True, False])
def test_nothing_feasible(full: bool) -> None:
    """A device on which nothing fits: no bound, no design."""
    evaluator = RooflineEvaluator(LAYER, TIGHT)
    bound, archive = run(space_for(evaluator, devices()), evaluator, full=full)
    assert archive.candidates == 4 and none_known(bound, "nothing feasible was found")


def test_too_many_operators() -> None:
    """Of 12 operators that depend on nothing any subset may come first: beyond the solver, and said so."""
    gemm = Gemm(1, 2, 64, 64)
    workload = Workload("wide", tuple(Operator(f"f{i}", FFN, once(gemm), gemm, 1.0) for i in range(12)), (), 1, 3, 2.0)
    evaluator = RooflineEvaluator(workload, PLATFORM)
    bound, _ = run(space_for(evaluator, devices()), evaluator)
    assert none_known(bound, "too many operators")


@pytest.mark.parametrize(("evaluator", "objective"), [(ROOFLINE, LATENCY), (BUFFERED, DECODE)])
def test_exact_search(evaluator: NmpEvaluator, objective: Objective) -> None:
    """Only the strongest devices are solved, and the optimum is that of all devices solved one by one."""
    space = space_for(evaluator, DEVICES)
    search = ExactSearch(space, evaluator, objective.metric)
    assert search.devices == 2 and space.genes.size == 8  # one for each number of channels
    bound, archive = run(space, evaluator, objective, search=search, generations=5)
    proofs = solve(evaluator, DEVICES, objective.metric)
    assert all(proof.lower_bound == pytest.approx(proof.value, rel=1e-9) for proof in proofs)
    least = min(proof.value for proof in proofs)
    assert archive.values[0, 0] == pytest.approx(least, rel=1e-12)
    assert bound.lower_bound == search.bound == pytest.approx(least, rel=1e-9)
    assert bound.lower_bound <= archive.values[0, 0] and bound.better is None
    assert "every device" in bound.how and archive.candidates <= 4


@pytest.mark.parametrize("evaluator", EVALUATORS, ids=lambda e: e.name)
def test_the_largest_buffers_are_solved(evaluator: NmpEvaluator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest of each list, wherever it stands, if they matter; then no smaller ones do for the same dataflow."""
    solved: list[tuple[int, ...]] = []

    def watched(*arguments: Any, **more: Any) -> Proof:
        solved.append(tuple(int(arguments[2][name][0]) for name in BUFFERS))
        return prove(*arguments, **more)

    monkeypatch.setattr("dse.studies.nmp.exact.search.prove", watched)
    choices = (4, 64, 2), (8, 4, 2), (1, 8)
    space = space_for(evaluator, devices((1,), (FAST,), *choices))
    candidates = ExactSearch(space, evaluator, "latency_s").ask()
    assert (
        solved == [(64, 8, 8) if evaluator is BUFFERED else (4, 8, 1)]
        and candidates is not None
        and len(candidates) == 1
    )
    design = candidates.batch
    assert evaluator.evaluate(design, seed=0).metrics["latency_s"][0] == pytest.approx(
        min(proof.value for proof in solve(evaluator, devices((1,), (FAST,), (64,), (8,), (8,)))), rel=1e-12
    )
    sizes = np.array(list(product(*choices)))
    columns = {name: np.repeat(values, len(sizes), axis=0) for name, values in design.columns.items()}
    other = Batch(design.schema, columns | dict(zip(BUFFERS, sizes.T, strict=True)))
    latency = evaluator.evaluate(other, seed=0).metrics["latency_s"]
    as_fast = latency <= latency.min() * (1 + 1e-12)
    area = sizes @ [1, PLATFORM.banks_per_channel, 1]
    least = sum(w * int(design.columns[name][0]) for name, w in zip(BUFFERS, (1, 16, 1), strict=True))
    assert least == area[as_fast].min() and (least < area.max())


def test_exact_search_that_was_stopped() -> None:
    """Most bandwidth first; while devices are left there is no bound."""
    space = space_for(ROOFLINE, DEVICES)
    search = ExactSearch(space, ROOFLINE, "latency_s")
    assert search.bound is None
    bound, archive = run(space, ROOFLINE, search=search)
    assert search.bound is None and none_known(bound, "not all devices")
    assert archive.genomes is not None
    c = space.decode(archive.genomes).columns
    assert (c["nmp_channels"][0], c["pe_gbps"][0]) == (2, FAST.pe_gbps)


def test_exact_search_where_nothing_fits() -> None:
    """Every device is solved, and none has a design."""
    evaluator = RooflineEvaluator(replace(LAYER, operators=LAYER.operators[:1], edges=()), TIGHT)
    space = space_for(evaluator, devices((1, 2)))
    search = ExactSearch(space, evaluator, "latency_s")
    bound, archive = run(space, evaluator, search=search, generations=3)
    assert search.ask() is None and archive.genomes is None and bound.better is None
    assert bound.lower_bound is None or bound.lower_bound > 0


class Unpromising(NmpRoofline):
    """A model that promises nothing of its devices, and is faster with small buffers."""

    name, version = "small-is-beautiful", "1"
    strengths = None

    def cost(self, B: Ints, M: Ints, N: Ints, K: Ints, channels: Ints, device: Device) -> OperatorCost:
        """See `OperatorModel`."""
        latency, energy = super().cost(B, M, N, K, channels, device)
        return OperatorCost(latency * (1 + device.input_kb / 16), energy)


class Wrapped:
    """A user's model, which has not heard of the promise."""

    name, version = "wrapped", "1"

    def __init__(self, model: OperatorModel) -> None:
        self._model = model

    def cost(self, B: Ints, M: Ints, N: Ints, K: Ints, channels: Ints, device: Device) -> OperatorCost:
        """See `OperatorModel`."""
        return self._model.cost(B, M, N, K, channels, device)


def test_models_without_the_promise() -> None:
    """All devices are looked at unless both models promise; so the best ones are found."""
    hardware = devices((2,), (FAST,), (4, 64, 1))

    def search(npu: OperatorModel, nmp: OperatorModel) -> tuple[ExactSearch, NmpSpace, NmpEvaluator]:
        evaluator = RooflineEvaluator(LAYER, PLATFORM, npu, nmp)
        space = space_for(evaluator, hardware)
        return ExactSearch(space, evaluator, "latency_s"), space, evaluator

    assert search(NpuRoofline(), NmpRoofline())[0].devices == 1
    assert search(Wrapped(NpuRoofline()), NmpRoofline())[0].devices == 3
    assert search(NpuRoofline(), Wrapped(NmpRoofline()))[0].devices == 3
    exact, space, evaluator = search(NpuRoofline(), Unpromising())
    assert exact.devices == 3
    bound, archive = run(space, evaluator, search=exact, generations=4)
    proofs = solve(evaluator, hardware)
    assert archive.values[0, 0] == pytest.approx(min(proof.value for proof in proofs), rel=1e-12)
    assert bound.lower_bound == pytest.approx(archive.values[0, 0], rel=1e-9)
    assert archive.genomes is not None and space.decode(archive.genomes).columns["input_kb"][0] == 1
    assert np.argmin([proof.value for proof in proofs]) == 2


@pytest.mark.parametrize("evaluator", EVALUATORS, ids=lambda e: e.name)
def test_the_least_engines_that_are_as_fast(evaluator: NmpEvaluator) -> None:
    """Of engines that are as fast with the best dataflow, the weakest; no device is faster than the one proposed."""
    engines = (Processors(8, 600, 0.4), Processors(8, 600, 6.4), Processors(16, 600, 6.4), Processors(8, 300, 6.4))
    hardware = devices((1,), engines, (4,), (4,), (4,))
    space = space_for(evaluator, hardware)
    search = ExactSearch(space, evaluator, "latency_s")
    assert search.devices == 1  # 16 FPUs at the higher bandwidth are never slower
    candidates = search.ask()
    assert candidates is not None
    columns, count = candidates.batch.columns, len(engines)
    other = {name: np.repeat(values, count, axis=0) for name, values in columns.items()}
    for name in ("fpus", "mhz", "pe_gbps"):
        other[name] = np.array([getattr(engine, name) for engine in engines], dtype=columns[name].dtype)
    latency = evaluator.evaluate(Batch(candidates.batch.schema, other), seed=0).metrics["latency_s"]
    as_fast = latency <= latency.min() * (1 + 1e-12)
    compute = other["fpus"] * other["mhz"]
    assert (columns["fpus"] * columns["mhz"])[0] == compute[as_fast].min()
    least = min(proof.value for proof in solve(evaluator, hardware))
    assert latency.min() == pytest.approx(least, rel=1e-12)


def test_no_design_is_proposed_twice() -> None:
    """Where all buffers are looked at, a design that is as fast with smaller ones is still shown once."""
    evaluator = RooflineEvaluator(LAYER, PLATFORM, Wrapped(NpuRoofline()), NmpRoofline())
    space = space_for(evaluator, devices((2,), (FAST,), (4, 64, 1)))
    search = ExactSearch(space, evaluator, "latency_s")
    keys: list[bytes] = []
    while (candidates := search.ask()) is not None:
        keys += candidates.keys
    assert search.bound is not None and len(set(keys)) == len(keys) > 0
