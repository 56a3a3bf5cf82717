"""Designs that a surrogate asks for stand for the others, and are asked for without a look at any result."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_model.corpus.label_draws import answered_rows, label_rows
from cost_model.hls.estimate import EstimateSurrogate
from cost_model.views.hls.view import HlsView
from design.contracts import Dataset
from evaluators.scoring.asking import asked, choice, scaled, standing_for
from evaluators.scoring.protocol import score_task
from frontends.hls_results.tables import read_results
from tests.cases_hls import usual


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
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


def test_asked(table: Dataset) -> None:
    """Distinct designs with cycles; the same in any order of the file, and whatever the results are."""
    surrogate, view = EstimateSurrogate(), HlsView()
    rows = asked(surrogate, table, 12, 0, view)
    assert len(set(rows.tolist())) == 12 and set(rows.tolist()) <= set(answered_rows(table).tolist())
    assert set(rows.tolist()) != set(label_rows(table, 12, 0).tolist())
    order = np.random.default_rng(3).permutation(len(table))
    assert np.array_equal(order[asked(surrogate, table.take(order), 12, 0, view)], rows)
    metrics = dict(table.evaluation.metrics) | {"cycles": 1e9 - table.metric("cycles")}
    other = replace(table, evaluation=replace(table.evaluation, metrics=metrics))
    assert np.array_equal(asked(surrogate, other, 12, 0, view), rows)
    assert not len(asked(surrogate, table, 0, 0, view))


def test_scores_by_choice(table: Dataset) -> None:
    """The scores are of the rows that were not asked for."""
    few = table.take(answered_rows(table))
    found = {n: score_task(EstimateSurrogate(), few, 8, 0, choice(n, HlsView())) for n in ("random", "asked")}
    assert found["random"].scored == found["asked"].scored == len(few) - 8
    assert found["random"].blocks["cycles"] != found["asked"].blocks["cycles"]


def test_scaled() -> None:
    """Columns weigh the same, and those that say nothing weigh nothing."""
    columns = np.stack([np.arange(9.0), 100 * np.arange(9.0)[::-1], np.full(9, 7.0)], axis=1)
    found = scaled(columns)
    np.testing.assert_allclose(found.var(axis=0), [0.5, 0.5, 0.0], atol=1e-12)
