"""The knee is a property of a front, not of its units or its order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dse.report.knee import knee
from tests.cases import examples

WHOLE = st.integers(0, 40)


def fronts(objectives: int) -> st.SearchStrategy[np.ndarray]:
    """Points in any place, equal ones too, as whole numbers so that scaling by powers of two is exact."""
    rows = st.lists(st.tuples(*[WHOLE] * objectives), min_size=1, max_size=12)
    return rows.map(lambda points: np.array(points, dtype=np.float64))


@examples(200)
@given(st.integers(2, 4).flatmap(fronts), st.data())
def test_units_and_order_do_not_matter(points: np.ndarray, data: st.DataObject) -> None:
    """Other units, another zero, more instead of less, another order: the same point."""
    count = points.shape[1]
    found = knee(points, [1] * count)
    signs = data.draw(st.lists(st.sampled_from([1, -1]), min_size=count, max_size=count))
    scale = 2.0 ** np.array(data.draw(st.lists(st.integers(-20, 20), min_size=count, max_size=count)))
    order = data.draw(st.permutations(range(len(points))))
    other = knee((points * scale * signs)[order], signs)
    assert (found is None) == (other is None)
    if found is not None and other is not None:
        assert np.array_equal(points[found], points[order[other]])


@examples(60)
@given(st.lists(st.floats(0.02, 1.55), min_size=1, max_size=15, unique=True))
def test_a_convex_front(angles: list[float]) -> None:
    """On a quarter circle that bulges to the origin: the point nearest to its middle, as Das has it."""
    angle = np.array([0.0, *angles, np.pi / 2])
    points = 1 - np.stack([np.cos(angle), np.sin(angle)], axis=1)
    found = knee(points, [1, 1])
    assert found is not None
    assert abs(angle[found] - np.pi / 4) <= np.abs(angle - np.pi / 4).min() + 1e-6


def test_the_corner_of_a_bend() -> None:
    """In three objectives too; the extreme points themselves are never the knee of such a front."""
    points = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0], [0.2, 0.2, 0.2], [0.5, 0.3, 0.4]])
    assert knee(points * [1e-3, 5, 1e6], [1, 1, 1]) == 3


@pytest.mark.parametrize(
    "points",
    [
        np.empty((0, 2)),
        [[0.0, 1.0], [1.0, 0.0]],  # two points
        [[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]],  # on the line
        [[0.0, 1.0], [0.9, 0.9], [1.0, 0.0]],  # above it
        [[3.0, 1.0], [3.0, 0.5], [3.0, 0.0]],  # nothing to trade
        [[3.0, 1.0], [3.0, 1.0], [3.0, 1.0]],  # one design thrice
        [[1.0], [2.0], [3.0]],  # one objective
    ],
)
def test_no_knee(points: list[list[float]]) -> None:
    """Where nothing bends there is none."""
    points = np.array(points)
    assert knee(points, [1] * points.shape[1]) is None


def test_an_objective_that_does_not_vary_is_left_out() -> None:
    """The knee is that of the others."""
    two = np.array([[0.0, 1.0], [0.3, 0.1], [0.1, 0.8], [1.0, 0.0]])
    three = np.insert(two, 1, 7.0, axis=1)
    assert knee(two, [1, 1]) == knee(three, [1, 1, 1]) == 1


def test_one_point_best_in_two_objectives() -> None:
    """The extreme points are two, no plane: the corners of the box stand in."""
    points = np.array([[0.0, 0.0, 1.0], [0.1, 0.2, 0.1], [1.0, 1.0, 0.0], [0.5, 0.5, 0.05]])
    assert knee(points, [1, 1, 1]) == 1
