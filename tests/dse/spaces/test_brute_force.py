"""The NMP space and the roofline evaluator against the scalar reference, on random small problems.

The space makes only legal designs, reaches every legal design, and the evaluator prices each as the formulas do.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cost_model.nmp.evaluator import NMP_CAPACITY, NORMAL_CAPACITY
from design.core import Batch, Status, key_bytes
from design.errors import InputError
from design.nmp.device import Processors
from design.nmp.workload import PROJECTION, Gemm, Operator, Workload, once
from dse.search.engine import Effort, make_search
from tests.cases import (
    Case,
    all_equal,
    cases,
    designs_of,
    every_genome,
    examples,
    genome_count,
    genomes,
    hardware,
    nameless,
    nmp_space,
    tiny_cases,
)
from tests.reference import brute_force

SEEDS = st.integers(0, 2**32 - 1)


def assert_sound(case: Case, batch: Batch) -> None:
    """Every row is legal and its two shares are exactly the work."""
    extent = np.array([op.extent for op in case.workload.operators])
    assert np.array_equal(
        batch.columns["nmp_units"] + batch.columns["npu_units"], np.broadcast_to(extent, (len(batch), len(extent)))
    )
    for design in designs_of(batch):
        assert case.is_legal(design), design


@examples(60)
@given(cases(), SEEDS)
def test_samples_and_children_are_legal(case: Case, seed: int) -> None:
    """Soundness: what sample makes, starts hold and vary makes of both, three times over, decodes to legal designs."""
    space, rng = case.space, np.random.default_rng(seed)
    parents = np.concatenate([space.starts(), space.sample(60, rng)])
    for _ in range(4):
        assert_sound(case, space.decode(parents))
        parents = space.vary(parents, rng)


@examples(150)
@given(cases(), st.data())
def test_any_genes_are_legal(case: Case, data: st.DataObject) -> None:
    """Soundness: any genes within the bounds decode to legal designs."""
    assert_sound(case, case.space.decode(data.draw(genomes(case.space.bounds))))


@examples(150)
@given(cases(), st.data())
def test_decoding_again_changes_nothing(case: Case, data: st.DataObject) -> None:
    """decode(encode(decode(g))) = decode(g), and the encoded genes lie within the bounds."""
    space = case.space
    batch = space.decode(data.draw(genomes(space.bounds)))
    encoded = space.encode(batch)
    assert (encoded >= space.bounds[:, 0]).all() and (encoded <= space.bounds[:, 1]).all()
    assert all_equal(space.decode(encoded), batch)


@examples(60)
@given(cases())
def test_every_legal_design_is_reached(case: Case) -> None:
    """Completeness: a legal design, encoded and decoded, is itself but for the names of channels; and designs
    share a key exactly where they differ in those names only."""
    designs = case.designs(3000)
    back = case.space.decode(case.space.encode(case.batch(designs)))
    classes = [nameless(design) for design in designs]
    assert [nameless(design) for design in designs_of(back)] == classes
    keys = key_bytes(case.space.schema.key(back))
    assert len(set(keys)) == len(set(classes)) == len(set(zip(keys, classes, strict=True)))


@examples(60)
@given(cases())
def test_prices_are_the_formulas(case: Case) -> None:
    """Latency, prefill and decode to 1e-12 relative; bytes without room to 1e-6; infeasible where there are any."""
    ops, device, e = case.operators, case.device, case.workload.bytes_per_element
    batch, generated = case.workload.batch, case.workload.generated
    designs = case.designs(20_000)
    designs = designs[:: len(designs) // 1500 + 1]
    answer = case.evaluator.evaluate(case.batch(designs), seed=0)
    decode = [brute_force.decode_latency(d, ops, device, e, batch) * generated for d in designs]
    prefill = [brute_force.prefill_latency(d, ops, device, e) for d in designs]
    total = [brute_force.latency(d, ops, device, e, batch, generated) for d in designs]
    for name, expected in (("decode_s", decode), ("prefill_s", prefill), ("latency_s", total)):
        np.testing.assert_allclose(answer.metrics[name], expected, rtol=1e-12, atol=0)
    missing = np.array([brute_force.capacity_violation(d, ops, device) for d in designs])
    found = np.stack([answer.violation[NMP_CAPACITY], answer.violation[NORMAL_CAPACITY]], axis=1)
    np.testing.assert_allclose(found, missing, rtol=1e-12, atol=1e-6)
    assert np.array_equal(answer.status == Status.INFEASIBLE, (missing > 0).any(axis=1))
    assert not (answer.status == Status.FAILED).any()


def test_memory_that_is_exactly_full_is_enough() -> None:
    """A third of 3 and of 69 bytes on NMP leaves 48 for the normal channel, which holds 48: nothing is missing."""
    case = case_of((3, 3), ((0, 1),), 1, 1, False)
    first, second = case.workload.operators
    operators = (replace(first, stored_bytes=3.0), replace(second, stored_bytes=69.0))
    case = replace(case, workload=replace(case.workload, operators=operators), bank_bytes=3)
    design = tuple(brute_force.Placed(i, 0, 0, frozenset([0]), True, 1) for i in range(2))
    assert brute_force.capacity_violation(design, case.operators, case.device) == (0, 0)
    assert case.evaluator.evaluate(case.batch([design]), seed=0).status.tolist() == [Status.OK]


def best_feasible(case: Case, batch: Batch) -> float:
    """Lowest latency that fits; infinite where nothing does."""
    answer = case.evaluator.evaluate(batch, seed=0)
    return float(np.min(answer.metrics["latency_s"][answer.status == Status.OK], initial=np.inf))


def reached(case: Case) -> Batch:
    """One candidate for each key that any genome of the space decodes to."""
    space = case.space
    found: dict[bytes, int] = {}
    everything = every_genome(space.bounds)
    for begin in range(0, len(everything), 100_000):
        part = everything[begin : begin + 100_000]
        for row, key in enumerate(key_bytes(space.schema.key(space.decode(part)))):
            found.setdefault(key, begin + row)
    return space.decode(everything[list(found.values())])


def assert_space_is_the_enumeration(case: Case) -> None:
    """All genomes together decode to the enumerated designs, no more and no fewer, with the same optimum."""
    designs, batch = case.designs(20_000), reached(case)
    rows = designs_of(batch)
    assert {nameless(design) for design in rows} == {nameless(design) for design in designs}
    assert len(rows) == len({nameless(design) for design in rows})
    assert best_feasible(case, batch) == pytest.approx(best_feasible(case, case.batch(designs)), rel=1e-12, abs=0)


@examples(30)
@given(tiny_cases(200_000))
def test_the_space_is_the_enumeration(case: Case) -> None:
    """Soundness and completeness at once: every genome of a tiny space is decoded."""
    assert_space_is_the_enumeration(case)


def case_of(extents: tuple[int, ...], edges: tuple[tuple[int, int], ...], nmp: int, normal: int, specpim: bool) -> Case:
    """Operators of one GEMM of the given numbers of columns; the memory is a third larger than what is stored."""
    operators = tuple(
        Operator(f"op{i}", PROJECTION, once(Gemm(1, 8, 64, 64)), Gemm(1, 2 + i, extent, 32), 100.0 + i)
        for i, extent in enumerate(extents)
    )
    bank_bytes = round(1.3 * 100 * len(extents) / 16 / (nmp + normal)) + 1
    workload = Workload("small", operators, edges, batch=4, generated=3, bytes_per_element=2.0)
    return Case(workload, nmp, normal, Processors(8, 600, 25.6), bank_bytes, specpim)


@pytest.mark.parametrize(
    ("extents", "edges", "nmp", "normal", "specpim"),
    [
        ((3, 4), ((0, 1),), 3, 1, False),
        ((4, 3), (), 3, 2, False),
        ((4, 4), (), 3, 0, False),
        ((3, 3), (), 3, 1, True),
        ((2, 2, 2), ((0, 2), (1, 2)), 1, 1, False),
        ((1, 1, 1), ((2, 0), (1, 0)), 2, 0, False),
        ((1, 1, 1), ((2, 0), (1, 0)), 1, 0, False),
        ((1, 1, 1), ((2, 1),), 2, 1, True),
    ],
)
def test_tiny_spaces_of_every_sort(
    extents: tuple[int, ...], edges: tuple[tuple[int, int], ...], nmp: int, normal: int, specpim: bool
) -> None:
    """The same for chosen problems: chains, joins, forks and independent operators, with and without the NPU."""
    case = case_of(extents, edges, nmp, normal, specpim)
    assert genome_count(case.space.bounds) < 2_000_000
    assert_space_is_the_enumeration(case)


@pytest.mark.parametrize("nmp", [1, 2, 3])
def test_strata_wider_than_their_channels(nmp: int) -> None:
    """Four operators that feed a fifth, and no NPU: at most `nmp` of them side by side, in every way."""
    case = case_of((1,) * 5, tuple((i, 4) for i in range(4)), nmp, 0, False)
    space, rng = case.space, np.random.default_rng(nmp)
    genes = rng.integers(space.bounds[:, 0], space.bounds[:, 1] + 1, (2000, len(space.bounds)))
    genes[::2, 5:10] = 0  # all in one group
    assert_sound(case, space.decode(genes))
    designs = case.designs(4000)
    back = space.decode(space.encode(case.batch(designs)))
    assert [nameless(design) for design in designs_of(back)] == [nameless(design) for design in designs]


@examples(40)
@given(cases(nmp=2, steps=4), SEEDS)
def test_search_finds_the_optimum(case: Case, seed: int) -> None:
    """`auto` reaches the lowest feasible latency of a space of up to 200 designs within 400 candidates."""
    designs = case.designs(20_000)
    assume(len({nameless(design) for design in designs}) <= 200)
    search = make_search(case.space, Effort(40, 20, 0.8, seed), "auto", 1, 400)
    evaluator, best, asked = case.evaluator, np.inf, 0
    while asked < 400 and (found := search.ask()) is not None:
        asked += len(found)
        best = min(best, best_feasible(case, found.batch))
        answer = evaluator.evaluate(found.batch, seed=0)
        violation = np.stack(list(answer.violation.values()), axis=1)
        search.tell(found.genomes, answer.metrics["latency_s"][:, None], violation)
    assert best == pytest.approx(best_feasible(case, case.batch(designs)), rel=1e-12, abs=0)


def test_operators_that_cannot_be_cut_are_refused() -> None:
    """One granule can not be shared between NMP and NPU: refused where both exist, allowed where only one does."""
    case = case_of((1, 3), (), 2, 1, False)
    with pytest.raises(InputError, match="operator op0: can not be cut"):
        nmp_space(case.workload, case.platform, hardware((2,)))
    for nmp in (0, 3):
        assert len(nmp_space(case.workload, case.platform, hardware((nmp,))).starts())


def test_the_reference_agrees_with_itself() -> None:
    """Of all placements of two operators on two channels, those called legal are those that are enumerated."""
    for edges, specpim in product([(), ((0, 1),), ((1, 0),)], [False, True]):
        case = case_of((2, 3), edges, 2, 1, specpim)
        sets = [frozenset(c for c in range(2) if bits >> c & 1) for bits in range(4)]
        places = [
            [brute_force.Placed(*p) for p in product((0, 1), (0, 1), (0, 1), sets, (False, True), range(extent + 1))]
            for extent in (2, 3)
        ]
        legal = [design for design in product(*places) if case.is_legal(design)]
        assert sorted(map(repr, legal)) == sorted(map(repr, case.designs(20_000)))
