"""Which labels teach, where tools leave out some of what they could say; and what labels teach of validity."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cost_model.surrogates.tables.correction import telling
from cost_model.surrogates.tables.feasibility import PRIOR_LABELS, learn_validity
from design.core import Floats
from tests.cases import examples

CELL = st.one_of(st.just(np.nan), st.floats(-9, 9))


@examples(200)
@given(st.integers(0, 6).flatmap(lambda n: arrays(np.float64, (n, 3), elements=CELL)))
def test_telling(truth: Floats) -> None:
    """Row by row: one teaches if it has all that any label has; what none has is as it was said."""
    said = np.arange(truth.size, dtype=np.float64).reshape(truth.shape) + 100
    before = truth.copy()
    rows, told = telling(truth, said)
    there = [column for column in range(3) if any(not np.isnan(row[column]) for row in truth)]
    expected = [r for r, row in enumerate(truth) if there and not np.isnan(row[there]).any()]
    assert rows.tolist() == expected and told.shape == (len(expected), 3) and np.isfinite(told).all()
    for place, row in enumerate(expected):
        for column in range(3):
            assert told[place, column] == (truth if column in there else said)[row, column]
    np.testing.assert_array_equal(truth, before)


def test_one_label_with_everything_makes_all_others_need_it() -> None:
    """Where the tool can say a metric, a label without it teaches nothing."""
    truth = np.array([[1.0, np.nan], [2.0, 5.0]])
    assert telling(truth, np.zeros((2, 2)))[0].tolist() == [1]
    assert telling(truth[:1], np.zeros((1, 2)))[0].tolist() == [0]


@examples(12)
@given(st.integers(0, 2**20), st.integers(1, 12))
def test_validity_laws(seed: int, count: int) -> None:
    """Probabilities between 0 and 1, by row, no less where more was expected (all else equal), nothing for no rows."""
    rng = np.random.default_rng(seed)
    rows, valid = rng.integers(0, 3, (count, 2)).astype(float), rng.random(count) < 0.5
    expected = rng.random(count)
    learned = learn_validity(rows, expected, valid, 1)
    asked, hopes = rng.integers(0, 3, (9, 2)).astype(float), rng.random(9)
    found = learned(asked, hopes)
    assert ((found >= 0) & (found <= 1)).all() and len(learned(asked[:0], hopes[:0])) == 0
    order = rng.permutation(9)
    assert np.array_equal(learned(asked[order], hopes[order]), found[order])
    if valid.all() or not valid.any():
        share = (valid.sum() + 1) / (count + 2)
        np.testing.assert_allclose(found, (count * share + PRIOR_LABELS * hopes) / (count + PRIOR_LABELS))
        assert np.array_equal(np.argsort(found), np.argsort(hopes))


def test_many_labels_outweigh_what_was_expected() -> None:
    """However sure the model was; few do not."""
    sides = np.repeat([[0.0], [1.0]], 50, axis=0)
    learned = learn_validity(sides, np.full(100, 0.9), sides[:, 0] == 0, 0)
    good, bad = learned(np.array([[0.0], [1.0]]), np.array([0.9, 0.9]))
    assert good > 0.9 > 0.2 > bad
    few = learn_validity(sides[[0, -1]], np.full(2, 0.9), np.array([True, False]), 0)
    assert few(np.array([[1.0]]), np.array([0.9]))[0] > 0.5
