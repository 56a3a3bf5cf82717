"""The race of methods against recorded results: distances by hand and by brute force, and what methods may name."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ae.loop.race import FIRST, METHODS, OBJECTIVES, Course, Looped, Method, distances, raced
from cost_model.hls.estimate import EstimateSurrogate
from cost_model.surrogates.tables.from_scratch import TaskOnlySurrogate
from cost_model.surrogates.tables.task_only import KINDS
from cost_model.views.hls.view import HlsView
from design.contracts import Dataset, Surrogate
from design.core import Status
from design.errors import InputError
from design.hls.task import hls_task_of
from design.metrics import RESOURCES
from dse.active.policy import Plan
from frontends.hls_results.tables import hls_dataset, read_results
from tests.cases import examples
from tests.cases_hls import usual

QUICK = [name for name, method in METHODS.items() if method.surrogate != "lm"]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Dataset]:
    """By name."""
    return {table.task.name: table for table in read_results(usual(tmp_path_factory.mktemp("data")), "v18")}


@pytest.fixture(scope="module")
def course(tables: dict[str, Dataset]) -> Course:
    """Of 27 designs, of which some do not count."""
    return Course.of(tables["dot"])


@lru_cache
def surrogate(name: str) -> Surrogate | None:
    """That a method learns with."""
    if not name:
        return None
    return TaskOnlySurrogate(name, HlsView()) if name in KINDS else EstimateSurrogate()


def made_up(course: Course, cycles: list[float], shares: list[float]) -> Course:
    """The same with other values, NaN of designs that do not count."""
    values = np.array([cycles, shares]).T
    table, answers = course.table.take(np.arange(len(values))), course.answers.take(np.arange(len(values)))
    return replace(course, table=table, values=values, answers=answers, front=brute_force_front(values))


def brute_force_front(values: np.ndarray) -> np.ndarray:
    """Distinct points that no other one dominates."""
    points = {tuple(row) for row in values.tolist() if np.isfinite(row).all()}
    return np.array(sorted(p for p in points if not any(q != p and q[0] <= p[0] and q[1] <= p[1] for q in points)))


def test_the_course_of_a_table(tables: dict[str, Dataset]) -> None:
    """Designs that count are those with cycles, valid, with resources that fit; the front is by brute force."""
    for table in tables.values():
        found = Course.of(table)
        counts = found.answers.status == Status.OK
        assert np.array_equal(np.isfinite(found.values).all(axis=1), counts) and 0 < counts.sum() < len(table)
        assert np.array_equal(found.values[counts, 0], table.metric("cycles")[counts])
        assert table.feasible[counts].all()
        most = np.max([table.metric(f"{name}_share") for name in RESOURCES], axis=0)
        np.testing.assert_array_equal(found.values[counts, 1], most[counts])
        np.testing.assert_array_equal(found.front, brute_force_front(found.values))
        assert found.space.size == len(table)


def test_no_design_counts(tables: dict[str, Dataset]) -> None:
    """Refused in one line."""
    table = tables["dot"]
    nothing = np.zeros(len(table), dtype=bool)
    with pytest.raises(InputError, match="no valid design"):
        Course.of(hls_dataset(hls_task_of(table), table.batch, table.evaluation.metrics, nothing, "here"))


def test_distances_by_hand(course: Course) -> None:
    """A front of (100, 0.4) and (400, 0.1); first a design that does not count, then one off, then both of it."""
    nan = float("nan")
    small = made_up(course, [nan, 200.0, 100.0, 400.0], [nan, 0.2, 0.4, 0.1])
    small = replace(small, front=np.array([[100.0, 0.4], [400.0, 0.1]]))
    adrs, share = distances(small, [0, 1, 2, 3])
    # (200, 0.2): to the first twice the cycles, 1; to the second twice the share, 1. With (100, 0.4) 0 and 1.
    assert adrs.tolist() == pytest.approx([np.inf, 1.0, 0.5, 0.0])
    # In log2 from the corner, which is a tenth of the span of 2 beyond: sides 1.2 by 1.2, then 2.2 by 0.2 more of it.
    whole = 2.2 * 0.2 * 2 - 0.2**2
    assert share.tolist() == pytest.approx(np.array([0.0, 1.44, 1.44 + 0.2, 1.44 + 0.4]) / whole)


VALUE = st.integers(1, 40).map(float)


@examples(80)
@given(
    st.lists(st.tuples(VALUE, VALUE, st.booleans()), min_size=2, max_size=12).filter(lambda d: any(ok for *_, ok in d)),
    st.randoms(use_true_random=False),
)
def test_distances_by_brute_force(course: Course, drawn: list[tuple[float, float, bool]], lot: object) -> None:
    """ADRS as its definition says; never worse with more runs; 0, and all of the hypervolume, with all runs."""
    nan = float("nan")
    found = made_up(course, [c if ok else nan for c, _, ok in drawn], [s / 64 if ok else nan for _, s, ok in drawn])
    rows = list(range(len(drawn)))
    lot.shuffle(rows)  # type: ignore[attr-defined]
    adrs, share = distances(found, rows)
    for runs in range(1, len(rows) + 1):
        seen = [found.values[row] for row in rows[:runs] if np.isfinite(found.values[row]).all()]
        nearest = [
            min((max(0.0, *(p / q - 1 for p, q in zip(point, goal, strict=True))) for point in seen), default=np.inf)
            for goal in found.front
        ]
        assert adrs[runs - 1] == pytest.approx(np.mean(nearest))
        assert (share[runs - 1] > 0) == bool(seen)
        on_front = {tuple(goal) for goal in found.front} <= {tuple(point) for point in seen}
        assert (adrs[runs - 1] == 0) == on_front == (share[runs - 1] > 1 - 1e-9)
    assert (np.diff(adrs[np.isfinite(adrs)]) <= 0).all() and (np.diff(share) >= -1e-12).all()
    assert adrs[-1] == 0 and share[-1] == pytest.approx(1.0)


@pytest.mark.parametrize("name", QUICK)
def test_methods_name_designs_of_the_table_once(name: str, course: Course) -> None:
    """Each at most once, all of them in the end, the same again from the same seed, no more than the budget."""
    method, learns = METHODS[name], surrogate(METHODS[name].surrogate)
    rows = raced(course, method, 3, 10**6, learns)
    assert sorted(rows) == list(range(len(course.table)))
    few = raced(course, method, 3, 12, learns)
    assert few == rows[:12] and raced(course, method, 3, 0, learns) == []
    if name != "estimate loop":
        assert raced(course, method, 4, 12, learns) != few
    adrs, share = distances(course, rows)
    assert adrs[-1] == 0 and share[-1] == pytest.approx(1.0)


def test_a_loop_that_does_not_hear_is_told_nothing(course: Course) -> None:
    """Its rows are the same whatever the tool says; those of a loop that hears are not."""
    turned = replace(course, answers=course.answers.take(np.arange(len(course.table))[::-1]))
    deaf, hears = (Method(Looped(Plan(every=every), hears)) for every, hears in ((0, False), (5, True)))
    rows = [[raced(one, method, 0, 20, EstimateSurrogate()) for one in (course, turned)] for method in (deaf, hears)]
    assert rows[0][0] == rows[0][1] and rows[1][0] != rows[1][1]
    assert sorted(raced(course, deaf, 0, 10**6, EstimateSurrogate())) == list(range(len(course.table)))


def test_loops_without_a_prior_begin_at_random(course: Course) -> None:
    """The first rows do not follow from the model, and both kinds begin alike."""
    forest, process = (raced(course, METHODS[f"{kind} loop"], 1, FIRST + 4, surrogate(kind)) for kind in KINDS)
    assert forest[:FIRST] == process[:FIRST] and forest != process


def test_a_model_that_knows_beats_chance(tables: dict[str, Dataset]) -> None:
    """After 20 of 90 designs the loop of the estimate is nearer to the front than random runs are in the mean."""
    course = Course.of(tables["scale"])
    loop = distances(course, raced(course, METHODS["estimate loop"], 0, 20, EstimateSurrogate()))[1][-1]
    random = [distances(course, raced(course, METHODS["random"], seed, 20, None))[1][-1] for seed in range(20)]
    assert loop > np.mean(random)


def test_objectives() -> None:
    """Both are to be made small: distances take that for granted."""
    assert all(objective.sign == 1 for objective in OBJECTIVES)
