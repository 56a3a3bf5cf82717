"""The archive against comparing every candidate with every other, and its history."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from design.core import Evaluation, Objective, Status
from dse.records.archive import Archive, objective_values
from tests.cases import examples

NAMES = ("latency_s", "prefill_s", "decode_s")
Candidate = tuple[tuple[float, ...], Status]


def evaluation(candidates: list[Candidate]) -> Evaluation:
    """Answers with three metrics."""
    table = np.array([values for values, _ in candidates], dtype=np.float64).reshape(len(candidates), len(NAMES))
    status = np.array([status for _, status in candidates], dtype=np.int8)
    return Evaluation(
        metrics={name: table[:, i] for i, name in enumerate(NAMES)},
        violation={},
        status=status,
        reason=np.where(status > 0, "no", ""),
        cost_s=np.zeros(len(candidates)),
        source={name: np.full(len(candidates), "toy/1") for name in NAMES},
    )


def fill(archive: Archive, generations: list[list[Candidate]]) -> None:
    """Shows the generations one after another; the genome of a candidate is its number, twice."""
    shown = 0
    for generation in generations:
        numbers = np.arange(shown, shown + len(generation))
        archive.add(numbers, np.stack([numbers, numbers], axis=1), evaluation(generation), float(shown))
        shown += len(generation)


def front(candidates: list[Candidate], objectives: tuple[Objective, ...]) -> list[int]:
    """Numbers of the candidates that none is better than, one for each point, in order of the values to minimise."""
    points = [
        tuple(o.sign * values[NAMES.index(o.metric)] for o in objectives) if status == Status.OK else (math.nan,)
        for values, status in candidates
    ]
    sound = [i for i, point in enumerate(points) if all(map(math.isfinite, point))]

    def beaten(i: int) -> bool:
        ours = points[i]
        for j in sound:
            theirs = points[j]
            if all(b <= a for a, b in zip(ours, theirs, strict=True)) and (theirs != ours or j < i):
                return True
        return False

    if len(objectives) == 1:
        return sorted(sound, key=lambda i: (points[i], i))[:1]
    return sorted((i for i in sound if not beaten(i)), key=lambda i: points[i])


# Few distinct values, so that there are ties in one objective and in all.
VALUE = st.integers(0, 6).map(float) | st.sampled_from([math.nan, 0.1, 1e-9, 1e6])
STATUS = st.sampled_from([Status.OK] * 5 + [Status.INFEASIBLE, Status.FAILED])
CANDIDATE = st.tuples(st.tuples(VALUE, VALUE, VALUE), STATUS)
GENERATIONS = st.lists(st.lists(CANDIDATE, max_size=12), min_size=1, max_size=5)
OBJECTIVES = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True).flatmap(
    lambda names: st.tuples(*(st.builds(Objective, st.just(name), st.sampled_from([1, -1])) for name in names))
)


@examples(150)
@given(GENERATIONS, OBJECTIVES)
def test_front(generations: list[list[Candidate]], objectives: tuple[Objective, ...]) -> None:
    """The rows kept are those that no feasible row with known values beats, the first of equals, the best first;
    values are as evaluated, genomes those of the rows."""
    archive = Archive(objectives)
    fill(archive, generations)
    candidates = [candidate for generation in generations for candidate in generation]
    assert archive.rows.tolist() == front(candidates, objectives)
    assert archive.candidates == len(candidates)
    kept = evaluation(candidates).take(archive.rows)
    assert np.array_equal(archive.values, objective_values(kept, objectives))
    assert archive.genomes is not None and archive.genomes.tolist() == [[row, row] for row in archive.rows.tolist()]


@examples(150)
@given(GENERATIONS, OBJECTIVES)
def test_history(generations: list[list[Candidate]], objectives: tuple[Objective, ...]) -> None:
    """After each generation: the best of each objective so far, and a hypervolume that never falls."""
    archive = Archive(objectives)
    fill(archive, generations)
    assert len(archive.history) == len(generations)
    for number, progress in enumerate(archive.history):
        candidates = [candidate for generation in generations[: number + 1] for candidate in generation]
        seen = [candidates[i][0] for i in front(candidates, objectives)]
        for objective, best in zip(objectives, progress.best, strict=True):
            values = [objective.sign * point[NAMES.index(objective.metric)] for point in seen]
            assert best == objective.sign * min(values) if values else math.isnan(best)
        assert progress.candidates == len(candidates)
        assert (progress.hypervolume is None) == (len(objectives) == 1 or not seen)
    known = [progress.hypervolume for progress in archive.history if progress.hypervolume is not None]
    assert all(value > 0 for value in known)
    assert all(after >= before * (1 - 1e-12) for before, after in pairwise(known))


def ok(*points: tuple[float, float]) -> list[Candidate]:
    """Feasible candidates by latency and prefill."""
    return [((*point, 0.0), Status.OK) for point in points]


def test_hypervolume_by_hand() -> None:
    """In units of the box of the first front, up to 10 % beyond its worst corner; a new point adds what it covers."""
    archive = Archive((Objective("latency_s"), Objective("prefill_s")))
    fill(archive, [ok((1, 4), (3, 2)), ok((2, 3)), ok((3, 4), (9, 9)), ok((1, 2))])
    assert [p.hypervolume for p in archive.history] == pytest.approx([0.21, 0.46, 0.46, 1.21], rel=1e-12)


def test_hypervolume_of_a_maximum() -> None:
    """Larger is better where that is the goal: the mirror image has the same hypervolume."""
    archive = Archive((Objective("latency_s", -1), Objective("prefill_s")))
    fill(archive, [ok((-1, 4), (-3, 2)), ok((-2, 3))])
    assert [p.hypervolume for p in archive.history] == pytest.approx([0.21, 0.46], rel=1e-12)
    assert archive.rows.tolist() == [0, 2, 1] and archive.history[-1].best == (-1.0, 2.0)


def test_nothing_feasible() -> None:
    """No row, no best, no hypervolume; and the first feasible candidate is the front."""
    archive = Archive((Objective("latency_s"), Objective("prefill_s")))
    fill(archive, [[((1.0, 1.0, 1.0), Status.INFEASIBLE), ((math.nan,) * 3, Status.FAILED)], ok((5, 5))])
    assert archive.history[0].hypervolume is None and np.isnan(archive.history[0].best).all()
    assert archive.rows.tolist() == [2] and archive.history[1].best == (5.0, 5.0)
