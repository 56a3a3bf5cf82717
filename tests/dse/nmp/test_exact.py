"""The solver against the enumerator: on small problems its bound and its design are the optimum, its parts bound it.

Roofline and buffered evaluator, both spaces, memory with room, just enough and too little.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import assume, event, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cost_model.nmp.buffered import BufferedEvaluator
from cost_model.nmp.evaluator import NmpEvaluator
from cost_model.nmp.roofline import RooflineEvaluator
from cost_model.nmp.technology import Constants, read_technology
from design.core import Batch, Objective, Status
from design.nmp.design import HARDWARE
from design.nmp.device import HardwareSpace, Platform, Processors
from design.nmp.workload import PROJECTION, Gemm, Operator, Workload, once
from dse.spaces.nmp import NmpSpace
from dse.studies.nmp.exact.exhaustive import Exhaustive, TooMany
from dse.studies.nmp.exact.fill import fill
from dse.studies.nmp.exact.memory import MemoryBound
from dse.studies.nmp.exact.plan import Plan, plan_batch
from dse.studies.nmp.exact.priced import Limit, Priced, Views, all_channels, channel_of
from dse.studies.nmp.exact.prove import PHASES, Proof, provable, prove
from dse.studies.nmp.exact.realise import Realiser
from dse.studies.nmp.exact.relaxation import CountedPlan, Relaxation
from dse.studies.nmp.exact.sets import OperatorSets
from dse.studies.nmp.exact.tables import Tables, operator_tables
from tests.cases import PROCESSORS, ROOT, Case, cases, designs_of, examples, hardware, model_workload, nmp_space

METRICS = tuple(PHASES)
REL = 1e-9  # two ways to add up the same seconds
MOST = 2500  # designs of a case that are all priced


@cache
def constants() -> Constants:
    """Of the shipped technology."""
    return read_technology(ROOT / "config" / "technology" / "hybrid-bonding.json").constants()


@dataclass(frozen=True)
class ContextCase(Case):
    """A case for evaluator buffered: its buffers (KiB: input, weight, output), and how many contexts are priced."""

    buffers: tuple[int, int, int] = (32, 32, 64)
    nodes: int | None = 4

    @property
    def space(self) -> NmpSpace:
        """See `Case`."""
        kb = self.buffers
        choices = HardwareSpace((self.nmp,), (self.processors,), (kb[0],), (kb[1],), (kb[2],))
        return nmp_space(self.workload, self.platform, choices, self.specpim)


def evaluator_of(case: Case, check_capacity: bool = True) -> NmpEvaluator:
    """The evaluator that the case is about."""
    if isinstance(case, ContextCase):
        return BufferedEvaluator(
            case.workload, case.platform, constants(), check_capacity=check_capacity, nodes=case.nodes
        )
    return RooflineEvaluator(case.workload, case.platform, check_capacity=check_capacity)


def sized(draw: st.DrawFn, stored: float, channels: int) -> int:
    """Bytes of a bank so that all channels together hold 1.0 to 1.6 times what is stored."""
    factor = draw(st.sampled_from([1.0, 1.01, 1.05]) | st.floats(1.0, 1.6))
    return max(int(np.ceil(stored * factor / 16 / channels)), 1)


@st.composite
def tight_cases(draw: st.DrawFn) -> Case:
    """Mixed or SpecPIM, cut finely enough to fit, its memory between just enough and 1.6 times what is stored."""
    specpim = draw(st.sampled_from([False, False, False, True]))
    count = draw(st.sampled_from([2, 3, 3] if specpim else [1, 2, 2, 2, 2, 3]))
    nmp, normal = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    order = draw(st.permutations(range(count)))
    pairs = [(order[i], order[j]) for i in range(count) for j in range(i + 1, count)]
    edges = tuple(pair for pair in pairs if draw(st.booleans()))
    unit = draw(st.sampled_from([7.0, 1000.0, 2.0**30 / 3]))
    size = st.sampled_from([1, 2, 7, 16, 60, 128, 1000, 4096])
    made = []
    for number in range(count):
        granule, steps = draw(st.sampled_from([1, 1, 2, 3])), draw(st.integers(2, {1: 40, 2: 10, 3: 4}[count]))
        extent, rows, inner = granule * steps, draw(size), draw(size)
        decode = Gemm(extent, rows, draw(size), inner) if draw(st.booleans()) else Gemm(1, rows, extent, inner)
        prefill = Gemm(draw(st.integers(1, 4)), draw(size), draw(size), draw(size))
        made.append(Operator(f"op{number}", PROJECTION, once(prefill), decode, unit * draw(st.integers(1, 9)), granule))
    workload = Workload("small", tuple(made), edges, draw(st.sampled_from([1, 4, 16])), 40, 2.0)
    bank_bytes = sized(draw, sum(op.stored_bytes for op in made), nmp + normal)
    return Case(workload, nmp, normal, draw(st.sampled_from(PROCESSORS)), bank_bytes, specpim)


@st.composite
def context_cases(draw: st.DrawFn, nodes: tuple[int, ...] = (1, 2, 3, 4)) -> ContextCase:
    """Operators that grow with the context along their columns or their depth, and some that do not; memory just
    enough or to spare. Mostly on both sorts of channels, so that the best cut moves as the context grows."""
    count = draw(st.sampled_from([1, 2, 2, 2, 3]))
    nmp, normal = draw(st.sampled_from([(1, 1), (2, 1), (1, 2), (3, 1), (2, 2), (2, 0), (0, 2)]))
    specpim = normal > 0 and draw(st.sampled_from([False, False, False, True]))
    prompt, generated = draw(st.sampled_from([0, 1, 3, 10])), draw(st.integers(2, 30))
    context = prompt + generated
    order = draw(st.permutations(range(count)))
    pairs = [(order[i], order[j]) for i in range(count) for j in range(i + 1, count)]
    edges = tuple(pair for pair in pairs if draw(st.booleans()))
    size, most = st.sampled_from([1, 2, 7, 16, 60, 128, 1000, 4096]), {1: 40, 2: 10, 3: 4}[count]
    made = []
    for number in range(count):
        axis = draw(st.sampled_from(["", "N", "N", "K", "K"]))
        batched = draw(st.booleans())
        columns = context if axis == "N" else draw(size) if batched else draw(st.integers(2, most))
        granule = next(g for g in range(1, columns + 1) if columns % g == 0 and columns // g <= most)
        if batched or columns == granule:
            batched, granule = True, 1
        inner = context if axis == "K" else draw(size)
        decode = Gemm(draw(st.integers(2, most)) if batched else 1, draw(size), columns, inner)
        prefill = Gemm(draw(st.integers(1, 4)), draw(size), draw(size), draw(size))
        stored = 1000.0 * draw(st.integers(1, 9))
        made.append(Operator(f"op{number}", PROJECTION, once(prefill), decode, stored, granule, axis))
    batch, precision = draw(st.sampled_from([1, 4, 16])), draw(st.sampled_from([2.0, 1.0, 0.5]))
    workload = Workload("small", tuple(made), edges, batch, generated, precision, prompt=prompt)
    bank_bytes = sized(draw, sum(op.stored_bytes for op in made), nmp + normal) if draw(st.booleans()) else 2**20
    processors, kb = draw(st.sampled_from(PROCESSORS)), draw(st.sampled_from([(32, 32, 64), (1, 1, 1), (2, 8, 1)]))
    return ContextCase(workload, nmp, normal, processors, bank_bytes, specpim, kb, draw(st.sampled_from(nodes)))


class Listed(NamedTuple):
    """All designs of a case and the best of them, by metric: those that fit, and memory left aside."""

    best: dict[str, float]
    free: dict[str, float]


def listed(case: Case) -> Listed:
    """The enumerator's word; a case with too many designs is passed over."""
    designs = case.designs(MOST + 1)
    assume(len(designs) <= MOST)
    found = evaluator_of(case).evaluate(case.batch(designs), seed=0)
    assert (found.status != Status.FAILED).all()
    fits = found.status == Status.OK
    best = {m: float(np.min(found.metrics[m][fits], initial=np.inf)) for m in METRICS}
    free = {m: float(np.min(found.metrics[m], initial=np.inf)) for m in METRICS}
    return Listed(best, free)


def hardware_of(space: NmpSpace) -> dict[str, NDArray]:
    """The one device of a space."""
    one = space.decode(space.bounds[None, :, 0])
    return {column.name: one.columns[column.name] for column in HARDWARE}


class Parts(NamedTuple):
    """What `prove` is made of, for one case and metric."""

    tables: Tables
    sets: OperatorSets
    relaxation: Relaxation


def parts_of(case: Case, metric: str) -> Parts:
    """The parts on the device of a case."""
    space, sets = case.space, OperatorSets(case.workload)
    tables = operator_tables(evaluator_of(case), hardware_of(space), *PHASES[metric])
    return Parts(tables, sets, Relaxation(tables, sets, space.specpim))


def batch_of(case: Case, plan: Plan) -> Batch:
    """A plan as a design, which has to be legal; its parts are numbered as the reference numbers them."""
    space = case.space
    batch = plan_batch([plan], space.schema, case.workload, hardware_of(space))
    assert case.is_legal(designs_of(batch)[0])
    return batch


def assert_sound(case: Case, metric: str, optimum: float, proof: Proof) -> bool:
    """Bound <= optimum <= value, and the design is legal and worth its value. Returns whether nothing is left open."""
    assert proof.lower_bound is not None
    assert proof.lower_bound <= optimum * (1 + REL) and optimum <= proof.value * (1 + REL)
    assert (proof.design is None) == (proof.value == np.inf)
    if proof.design is not None:
        assert all(case.is_legal(design) for design in designs_of(proof.design))
        found = evaluator_of(case).evaluate(proof.design, seed=0)
        assert found.status.tolist() == [Status.OK]
        assert found.metrics[metric].tolist() == pytest.approx([proof.value], rel=1e-12, abs=0)
    return proof.value <= optimum * (1 + REL) and optimum <= proof.lower_bound * (1 + REL)


def proofs(case: Case) -> list[bool]:
    """Every metric of a case: sound. Returns of each whether it was solved exactly."""
    best, space = listed(case).best, case.space
    return [
        assert_sound(case, metric, best[metric], prove(space, evaluator_of(case), hardware_of(space), metric))
        for metric in METRICS
    ]


@examples(80)
@given(cases())
def test_roofline_is_solved(case: Case) -> None:
    """Small cases of every sort are solved exactly, those in which nothing fits included."""
    assert all(proofs(case))


def test_roofline_is_solved_where_memory_binds() -> None:
    """The same with memory that is just enough: of one case in five at least, the optimum is dearer than it would be
    with memory to spare."""
    binds = []

    @examples(100)
    @given(tight_cases())
    def check(case: Case) -> None:
        found = listed(case)
        binds.append(found.free["latency_s"] * (1 + REL) < found.best["latency_s"] < np.inf)
        assert all(proofs(case))

    check()
    assert np.mean(binds) >= 0.2, np.mean(binds)


def test_buffered_is_bounded() -> None:
    """A context that grows: always sound, exact where there is one context; of the others nine in ten are exact."""
    solved = []

    @examples(80)
    @given(context_cases())
    def check(case: ContextCase) -> None:
        exact = proofs(case)
        assert case.nodes != 1 or all(exact)
        solved.extend(exact)

    check()
    assert np.mean(solved) >= 0.9, np.mean(solved)


def test_without_listing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Relaxation and branching alone, as for layers too large to be listed: sound, and often exact all the same."""
    monkeypatch.setattr("dse.studies.nmp.exact.prove.LISTED", 0)
    solved = []

    @examples(40)
    @given(tight_cases() | context_cases())
    def check(case: Case) -> None:
        best = listed(case).best["latency_s"]
        assume(best < np.inf)
        proof = prove(case.space, evaluator_of(case), hardware_of(case.space), "latency_s")
        solved.append(assert_sound(case, "latency_s", best, proof))

    check()
    assert np.mean(solved) >= 0.5, np.mean(solved)


@examples(60)
@given(cases() | tight_cases() | context_cases())
def test_relaxation(case: Case) -> None:
    """With memory left aside: at most the optimum, equal to it where cuts need not follow a context; the plan becomes
    a legal design of that value."""
    free = listed(case).free
    for metric in METRICS:
        parts = parts_of(case, metric)
        bound, plan = parts.relaxation.solve()
        batch = batch_of(case, Realiser(parts.tables, case.specpim).design(plan))
        reached = evaluator_of(case, check_capacity=False).evaluate(batch, seed=0)
        assert reached.status.tolist() == [Status.OK]
        assert bound <= free[metric] * (1 + REL) and free[metric] <= reached.metrics[metric][0] * (1 + REL)
        if len(parts.tables.weight) == 1:
            assert bound == pytest.approx(free[metric], rel=REL, abs=0)
            assert reached.metrics[metric][0] == pytest.approx(bound, rel=REL, abs=0)


@examples(20)
@given(tight_cases() | context_cases())
def test_memory_bound(case: Case) -> None:
    """Never above the optimum, whatever is known of it, and no lower for more nodes; what is offered is legal."""
    best = listed(case).best["latency_s"]
    assume(best < np.inf)
    parts = parts_of(case, "latency_s")
    realiser = Realiser(parts.tables, case.specpim)
    for known, counts in ((best, (1, 5, 20)), (np.inf, (8,))):

        def offer(plans: list[CountedPlan], known: float = known) -> float:
            for plan in plans:
                if plan:  # none where the ranges of a node leave nothing
                    batch_of(case, realiser.design(plan))
            return known

        bounds = [
            MemoryBound(parts.tables, parts.sets, parts.relaxation.strata, offer).solve(nodes, 0.0) for nodes in counts
        ]
        assert all(bound <= best * (1 + REL) for bound in bounds)
        assert all(more >= fewer * (1 - 1e-12) for fewer, more in pairwise(bounds))


def test_memory_that_is_exactly_full() -> None:
    """Two granules on NMP leave the normal channels full to the last byte, in numbers that round: that fits."""
    one, third = Gemm(1, 1, 1, 1), 2.0**30 / 3
    operators = tuple(
        Operator(f"op{i}", PROJECTION, once(one), Gemm(1, 1, extent, 1), stored * third)
        for i, (extent, stored) in enumerate([(8, 8), (2, 7)])
    )
    workload = Workload("small", operators, (), batch=1, generated=40, bytes_per_element=2.0)
    case = Case(workload, 1, 2, Processors(1, 1000, 6.4), bank_bytes=7 * 2**24)
    found, parts = case.evaluator.evaluate(case.batch(case.designs(MOST)), seed=0), parts_of(case, "latency_s")
    best = float(found.metrics["latency_s"][found.status == Status.OK].min())
    memory = MemoryBound(parts.tables, parts.sets, parts.relaxation.strata, lambda plans: np.inf)
    assert memory.solve(8, 0.0) <= best * (1 + REL)


@examples(60)
@given(cases() | tight_cases() | context_cases())
def test_lines_below_the_tables(case: Case) -> None:
    """What branching takes for the seconds of a mixed operator is never more than any cut of it takes."""
    parts = parts_of(case, "latency_s")
    tables, held = parts.tables, np.arange(1, parts.tables.nmp + 1)
    for i, line in enumerate(Views(tables, parts.relaxation.strata).linear):
        cuts = np.arange(1, tables.steps[i])
        for seconds, table in zip(line.at(held, cuts, tables.steps[i]), (tables.on_nmp, tables.on_npu), strict=True):
            assert (seconds <= (table[i][1:, 1:-1] @ tables.weight) * (1 + REL)).all()


@examples(60)
@given(cases() | tight_cases() | context_cases(), st.sampled_from([0.01, 0.1, 0.3, 1.0, 3.0]))
def test_priced_memory(case: Case, dear: float) -> None:
    """Whatever a byte costs, no design has less of latency and price together: with the bytes of all NMP channels
    priced up or down, or those of a channel that some operator holds (of any channel, where it holds none)."""
    designs = case.designs(MOST + 1)
    assume(len(designs) <= MOST and case.nmp)
    batch = case.batch(designs)
    seconds = evaluator_of(case, check_capacity=False).evaluate(batch, seed=0).metrics["latency_s"]
    stored = np.array([op.stored_bytes / op.extent for op in case.workload.operators])
    held = batch.columns["channels"][:, :, None] >> np.arange(case.nmp) & 1
    each = stored * batch.columns["nmp_units"] / np.maximum(held.sum(axis=2), 1)
    loads = (each[:, :, None] * held).sum(axis=1)
    parts = parts_of(case, "latency_s")
    views = Views(parts.tables, parts.relaxation.strata)
    ranges = tuple((0, op.steps) for op in case.workload.operators)
    price = dear * float(seconds.min()) / sum(op.stored_bytes for op in case.workload.operators)

    def priced(limit: Limit, price: float) -> float:
        return Priced(parts.sets, views, limit, price, ranges).solve()[0]

    for sign in (1, -1):
        least = float((seconds + sign * price * loads.sum(axis=1)).min())
        assert priced(all_channels(parts.tables), sign * price) <= least + REL * float(seconds.min())
    for target in range(len(case.workload.operators)):
        on = held[:, target].astype(bool)
        lightest = np.where(on, loads, np.inf).min(axis=1)
        load = np.where(on.any(axis=1), lightest, loads.max(axis=1))
        assert priced(channel_of(parts.tables, target), price) <= float((seconds + price * load).min()) * (1 + REL)


@examples(60)
@given(cases() | tight_cases() | context_cases(), st.sampled_from([np.inf, 1.05, 1.0]))
def test_exhaustive(case: Case, known: float) -> None:
    """Told nothing, or some latency that can be reached: with all channels as one at most the optimum, with each
    apart the optimum and a design of it."""
    best = listed(case).best["latency_s"]
    parts = parts_of(case, "latency_s")
    for apart in (False, True):
        try:
            bound, plan = Exhaustive(*parts, best * known, apart, 20_000).solve()
        except TooMany:
            event("too many")
            return
        assert bound <= best * (1 + REL)
    assert bound == pytest.approx(best, rel=REL, abs=0)
    assert (plan is None) == (best == np.inf)
    if plan is not None:
        answer = evaluator_of(case).evaluate(batch_of(case, plan), seed=0)
        assert answer.status.tolist() == [Status.OK]
        assert answer.metrics["latency_s"][0] == pytest.approx(best, rel=REL, abs=0)


@examples(70)
@given(tight_cases() | context_cases(), st.integers(0, 2**32 - 1), st.sampled_from(METRICS))
def test_fill(case: Case, seed: int, metric: str) -> None:
    """Only the cuts change, to legal ones; a design that fits is never made slower, nor to one that does not fit."""
    space, evaluator = case.space, evaluator_of(case)
    batch = space.decode(space.sample(6, np.random.default_rng(seed)))
    before = evaluator.evaluate(batch, seed=0)
    for row in range(len(batch)):
        filled = fill(batch.take(np.array([row])), evaluator, case.workload, metric)
        assert all(case.is_legal(design) for design in designs_of(filled))
        for name in set(batch.columns) - {"nmp_units", "npu_units"}:
            assert np.array_equal(filled.columns[name], batch.columns[name][row : row + 1])
        after = evaluator.evaluate(filled, seed=0)
        if before.status[row] == Status.OK:
            assert after.status.tolist() == [Status.OK]
            assert after.metrics[metric][0] <= before.metrics[metric][row] * (1 + 1e-12)


# What the solver found when it was new, for one layer of a real model: H2-LLM's dataflows on NMP and normal channels,
# SpecPIM's on the same device, and a device of NMP channels alone.
ANCHORS = (
    (6, Processors(8, 600, 25.6), False, 0.057429520284867246),
    (6, Processors(8, 600, 25.6), True, 0.060287268359632544),
    (8, Processors(1, 200, 6.4), False, 0.6686716676239921),
)


@pytest.mark.parametrize(("nmp", "processors", "specpim", "seconds"), ANCHORS, ids=["H2-LLM", "SpecPIM", "ID-NMP"])
def test_real_layer(nmp: int, processors: Processors, specpim: bool, seconds: float) -> None:
    """LLaMA3-8B, 4 sequences of 783 prompt and 209 generated tokens: optimum and bound meet, and are as they were."""
    workload, platform = model_workload("llama3-8b", batch=4, prompt=783, generated=209), Platform()
    space = nmp_space(workload, platform, hardware((nmp,), (processors,)), specpim)
    proof = prove(space, RooflineEvaluator(workload, platform), hardware_of(space), "latency_s")
    assert (proof.lower_bound, proof.value) == pytest.approx((seconds, seconds), rel=REL, abs=0)


def test_what_can_be_proved() -> None:
    """Latencies that are to be small, nothing else."""
    assert all(provable(Objective(metric, 1)) for metric in METRICS)
    assert not provable(Objective("latency_s", -1)) and not provable(Objective("energy_j", 1))


def test_what_cannot_be_stored_is_not_solved() -> None:
    """Weights that all channels together cannot hold: infeasible without a search, and without a bound to state."""
    case = case_of_bytes(stored=100.0, bank_bytes=1)
    proof = prove(case.space, case.evaluator, hardware_of(case.space), "latency_s")
    assert proof.design is None and proof.lower_bound == np.inf
    roomy = case_of_bytes(stored=10.0, bank_bytes=1)
    assert prove(roomy.space, roomy.evaluator, hardware_of(roomy.space), "latency_s").design is not None


def case_of_bytes(stored: float, bank_bytes: int) -> Case:
    """One operator on one NMP channel beside one normal channel, 16 banks each."""
    operator = Operator("op0", PROJECTION, once(Gemm(1, 1, 1, 1)), Gemm(1, 1, 8, 1), stored)
    workload = Workload("small", (operator,), (), batch=1, generated=4, bytes_per_element=2.0)
    return Case(workload, 1, 1, Processors(8, 600, 25.6), bank_bytes)
