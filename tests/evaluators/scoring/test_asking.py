"""Designs that a predictor asks for stand for the others, and are asked for without a look at any result."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_model.corpus.label_draws import answered_rows, label_rows
from cost_model.hls.estimate import EstimatePredictor
from evaluators.scoring.asking import CHOICES, asked, scaled, standing_for
from evaluators.scoring.protocol import score_kernel
from frontends.hls_results.tables import KernelTable, read_results
from tests.cases_hls import usual


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> KernelTable:
    """Of a small data set, the largest."""
    tables = read_results(usual(tmp_path_factory.mktemp("data")), "v20")
    return max(tables, key=lambda table: len(answered_rows(table)))


@given(st.integers(0, 10**6), st.integers(2, 12), st.integers(1, 4))
def test_each_lowers_the_distance_most(seed: int, count: int, asked_for: int) -> None:
    """Against trying every design at every step."""
    rng = np.random.default_rng(seed)
    places, weight = rng.normal(size=(count, 3)), rng.uniform(0.5, 2, count)
    found = standing_for(places, weight, min(asked_for, count))
    away = np.sqrt(((places[:, None] - places[None]) ** 2).sum(axis=2))
    for step, one in enumerate(found):
        before = found[:step].tolist()
        cost = {
            other: (weight * away[:, [*before, other]].min(axis=1)).sum()
            for other in range(count)
            if other not in before
        }
        assert cost[int(one)] == pytest.approx(min(cost.values()), rel=1e-6)


def test_asked(table: KernelTable) -> None:
    """Distinct designs with cycles; the same in any order of the file, and whatever the results are."""
    predictor = EstimatePredictor()
    rows = asked(predictor, table, 12, 0)
    assert len(set(rows.tolist())) == 12 and set(rows.tolist()) <= set(answered_rows(table).tolist())
    assert set(rows.tolist()) != set(label_rows(table, 12, 0).tolist())
    order = np.random.default_rng(3).permutation(len(table))
    assert np.array_equal(order[asked(predictor, table.take(order), 12, 0)], rows)
    other = replace(table, cycles=1e9 - table.cycles)
    assert np.array_equal(asked(predictor, other, 12, 0), rows)
    assert not len(asked(predictor, table, 0, 0))


def test_scores_by_choice(table: KernelTable) -> None:
    """The scores are of the rows that were not asked for."""
    few = table.take(answered_rows(table))
    found = {name: score_kernel(EstimatePredictor(), few, 8, 0, choose) for name, choose in CHOICES.items()}
    assert found["random"].scored == found["asked"].scored == len(few) - 8
    assert found["random"].blocks["cycles"] != found["asked"].blocks["cycles"]


def test_scaled() -> None:
    """Columns weigh the same, and those that say nothing weigh nothing."""
    columns = np.stack([np.arange(9.0), 100 * np.arange(9.0)[::-1], np.full(9, 7.0)], axis=1)
    found = scaled(columns)
    np.testing.assert_allclose(found.var(axis=0), [0.5, 0.5, 0.0], atol=1e-12)
