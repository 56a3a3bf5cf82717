"""Gains of hypervolume against moocore's, by hypothesis; expectations over draws against one design at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moocore import hypervolume as exact

from design.core import Floats
from dse.active.acquisition import (
    Posterior,
    expected_hypervolume_improvement,
    hypervolume,
    hypervolume_improvement,
    reference_point,
)
from tests.cases import examples

CORNER = np.array([8.0, 8.0])
COORDINATE = st.one_of(st.integers(-2, 10).map(float), st.floats(-2, 10, width=16))  # ties, and beyond the corner


def points(least: int = 0, most: int = 12) -> st.SearchStrategy[Floats]:
    """(n, 2), with ties, dominated points and points beyond the corner."""
    rows = st.lists(st.tuples(COORDINATE, COORDINATE), min_size=least, max_size=most)
    return rows.map(lambda found: np.array(found, dtype=np.float64).reshape(-1, 2))


def volume(front: Floats, corner: Floats = CORNER) -> float:
    """Exact hypervolume; 0 of nothing."""
    return float(exact(front, ref=corner)) if len(front) else 0.0


def box(count: int, objectives: int, seed: int, low: float = 0.0) -> Floats:
    """Random points."""
    return np.random.default_rng(seed).uniform(low, 1.0, (count, objectives))


@examples(300)
@given(points(1), points())
def test_flat_gain_is_the_difference_of_hypervolumes(asked: Floats, front: Floats) -> None:
    """Whatever the front: empty, dominated in itself, with equal points, or outside of the corner."""
    before = volume(front)
    expected = [volume(np.concatenate([front, one[None]])) - before for one in asked]
    np.testing.assert_allclose(hypervolume_improvement(asked, front, CORNER), expected, atol=1e-9)
    assert hypervolume(front, CORNER) == pytest.approx(before, abs=1e-9)


@examples(100)
@given(st.lists(COORDINATE, min_size=1, max_size=6), st.lists(COORDINATE, max_size=6))
def test_gain_of_one_objective(asked: list[float], front: list[float]) -> None:
    """How far below the best, or the corner, a design is."""
    found = hypervolume_improvement(np.array(asked)[:, None], np.array(front).reshape(-1, 1), CORNER[:1])
    best = min([*front, CORNER[0]])
    np.testing.assert_allclose(found, [max(best - one, 0.0) for one in asked])
    assert hypervolume(np.array(front).reshape(-1, 1), CORNER[:1]) == pytest.approx(CORNER[0] - best)


@examples(60)
@given(st.integers(0, 2**30), st.integers(0, 8), st.sampled_from([3, 4]))
def test_measured_gain_laws(seed: int, count: int, objectives: int) -> None:
    """Nothing for what is dominated or outside; a better point gains no less; a larger front leaves no more."""
    front, asked, corner = box(count, objectives, seed), box(10, objectives, seed + 1), np.full(objectives, 0.9)
    found = hypervolume_improvement(asked, front, corner)
    dominated = [bool((front <= one).all(axis=1).any()) for one in asked]
    outside = (asked >= corner).any(axis=1)
    assert (found >= 0).all() and not found[dominated | outside].any()
    assert (hypervolume_improvement(asked - 0.1, front, corner) >= found).all()
    more = np.concatenate([front, box(3, objectives, seed + 2)])
    assert (hypervolume_improvement(asked, more, corner) <= found).all()
    if not count:
        assert np.array_equal(found > 0, ~outside)


@pytest.mark.parametrize("objectives", [3, 4])
def test_measured_gain_is_proportional_to_the_exact(objectives: int) -> None:
    """Ratios of large gains, and of fronts' hypervolumes, are those of exact hypervolume."""
    corner = np.ones(objectives)
    for seed in range(8):
        front, asked = box(6, objectives, seed, 0.4), box(6, objectives, seed + 50) * 0.5
        before = volume(front, corner)
        true = np.array([volume(np.concatenate([front, one[None]]), corner) - before for one in asked])
        found = hypervolume_improvement(asked, front, corner)
        np.testing.assert_allclose(found / found.max(), true / true[np.argmax(found)], rtol=0.2)
        whole = np.concatenate([front, asked])
        ratio = hypervolume(whole, corner) / hypervolume(front, corner)
        assert ratio == pytest.approx(volume(whole, corner) / before, rel=0.2)


def test_measured_gain_does_not_mix_up_objectives() -> None:
    """Of a box that is long in one objective each is twice as much worth as one half as long, whichever it is."""
    corner, empty = np.ones(3), np.empty((0, 3))
    sides = np.array([[0.4, 0.8, 0.8], [0.8, 0.4, 0.8], [0.8, 0.8, 0.4], [0.8, 0.8, 0.8]])
    found = hypervolume_improvement(1 - sides, empty, corner)
    np.testing.assert_allclose(found[:3] / found[3], 0.5, rtol=0.1)


def posterior_of(draws: Floats, feasibility: Floats) -> Posterior:
    """With the median of draws as the mean."""
    return Posterior(draws, np.median(draws, axis=1), feasibility)


def posterior(count: int, draws: int, seed: int) -> Posterior:
    """Random draws in the unit square, and soundness."""
    rng = np.random.default_rng(seed)
    return posterior_of(rng.uniform(0, 1, (count, draws, 2)), rng.uniform(0, 1, count))


@examples(60)
@given(st.integers(0, 2**30), st.integers(0, 6), st.integers(0, 4), st.sampled_from([1, 5]))
def test_expected_gain_is_the_mean_over_draws(seed: int, there: int, on_the_way: int, draws: int) -> None:
    """One design and one draw at a time, by exact hypervolume, with those on their way that are sound in the draw."""
    asked, pending, front = posterior(5, draws, seed), posterior(on_the_way, draws, seed + 1), box(there, 2, seed + 2)
    corner = np.array([0.9, 1.1])
    found = expected_hypervolume_improvement(asked, front, pending, corner)
    for row in range(len(asked)):
        total = 0.0
        for draw in range(draws):
            sound = [
                p for p, q in zip(pending.draws[:, draw], pending.feasibility, strict=True) if q * draws > draw + 0.5
            ]
            known = np.array([*front, *sound]).reshape(-1, 2)
            total += volume(np.array([*known, asked.draws[row, draw]]), corner) - volume(known, corner)
        assert found[row] == pytest.approx(asked.feasibility[row] * total / draws, abs=1e-12)


@examples(40)
@given(st.integers(0, 2**30), st.sampled_from([2, 3]))
def test_expected_gain_laws(seed: int, objectives: int) -> None:
    """Nothing for what cannot be sound, linear in soundness, one answer whatever the order of rows."""
    rng = np.random.default_rng(seed)
    draws, sound = rng.uniform(0, 1, (6, 4, objectives)), rng.uniform(0.1, 1, 6)
    pending = posterior_of(rng.uniform(0.2, 1, (3, 4, objectives)), rng.uniform(0, 1, 3))
    front, corner = box(4, objectives, seed, 0.3), np.full(objectives, 1.1)
    found = expected_hypervolume_improvement(posterior_of(draws, sound), front, pending, corner)
    assert not expected_hypervolume_improvement(posterior_of(draws, np.zeros(6)), front, pending, corner).any()
    np.testing.assert_allclose(
        expected_hypervolume_improvement(posterior_of(draws, sound / 2), front, pending, corner), found / 2
    )
    order, other = rng.permutation(6), rng.permutation(3)
    turned = posterior_of(pending.draws[other], pending.feasibility[other])
    again = expected_hypervolume_improvement(
        posterior_of(draws[order], sound[order]), front[rng.permutation(4)], turned, corner
    )
    assert np.array_equal(again, found[order])


@examples(40)
@given(st.integers(0, 2**30))
def test_a_twin_on_its_way_is_worth_little(seed: int) -> None:
    """A design like one that is being labelled and is surely feasible gains nothing; the likelier that one is feasible
    the less."""
    rng = np.random.default_rng(seed)
    twin = posterior_of(rng.uniform(0, 1, (1, 8, 2)), np.ones(1))
    front, corner = np.empty((0, 2)), np.full(2, 1.1)
    gains = [
        expected_hypervolume_improvement(twin, front, posterior_of(twin.draws, np.array([sound])), corner)[0]
        for sound in (0.0, 0.3, 0.6, 1.0)
    ]
    assert gains[0] > gains[1] > gains[2] > gains[3] == 0


def test_the_reference_lies_beyond_all() -> None:
    """A tenth of the span; 0.1 where points do not span."""
    assert reference_point(np.array([[1.0, 5.0], [3.0, 5.0]])) == pytest.approx([3.2, 5.1])


def test_shrunk_beside_a_label() -> None:
    """Without doubt on the spot, as unsure as ever far from all; the mean stays."""
    some = posterior(3, 8, 1)
    found = some.shrunk(np.array([1.0, 0.0, 0.75]))
    np.testing.assert_allclose(found.draws[0], np.broadcast_to(some.mean[0], (8, 2)))
    np.testing.assert_allclose(found.draws[1], some.draws[1])
    np.testing.assert_allclose(found.draws[2] - some.mean[2], (some.draws[2] - some.mean[2]) / 2)
    assert np.array_equal(found.mean, some.mean) and np.array_equal(found.feasibility, some.feasibility)
