"""Which designs' labels are known: drawn at random, or those that a surrogate asks for before it has seen any.

A surrogate asks for designs that stand for the others, in directives and in what it expects of them, those most of
which it is unsure: greedily the next one by which the distances of all designs to the nearest one asked for, weighed
by doubt, fall most (facility location; Nemhauser, Wolsey and Fisher, 1978). It sees no result in doing so.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from cost_model.corpus.label_draws import answered_rows
from cost_model.surrogates.conformal.predictive_spread import difficulty, relative
from cost_model.views.plain import PlainView
from design.contracts import Dataset, Surrogate
from design.core import Evaluation, Floats, Rows, key_bytes
from design.metrics import target as y_of
from evaluators.scoring.protocol import Choose, drawn


def asked(surrogate: Surrogate, table: Dataset, count: int, seed: int, view: PlainView) -> Rows:
    """`count` rows with an answer that the surrogate asks for."""
    rows = answered_rows(table)
    if not count:
        return rows[:0]
    keys = key_bytes(table.batch.schema.key(table.batch.take(rows)))
    rows = rows[np.array(sorted(range(len(rows)), key=keys.__getitem__), dtype=np.int64)]
    batch = table.batch.take(rows)
    answer = surrogate.condition(table.task, None, seed=seed).evaluate(batch, seed=seed)
    metrics = table.task.metrics
    places = np.concatenate([scaled(view.features(table.task, batch)), scaled(expected(answer, metrics))], axis=1)
    return rows[standing_for(places, doubt(answer, metrics[0]), min(count, len(rows)))]


def choice(name: str, view: PlainView) -> Choose:
    """How labels are chosen: `random`, or those that a surrogate has `asked` for."""
    return drawn if name == "random" else partial(asked, view=view)


def standing_for(places: Floats, weight: Floats, count: int) -> Rows:
    """`count` of n places (n, k), in the order in which they lower the sum over all of `weight` (n,) times the distance
    to the nearest of them the most."""
    squares = (places**2).sum(axis=1)
    away = np.sqrt(np.maximum(squares[:, None] + squares - 2 * places @ places.T, 0.0))
    nearest, found = away.max(axis=1), list[int]()
    for _ in range(count):
        left = weight @ np.minimum(nearest[:, None], away)
        left[found] = np.inf
        found.append(int(np.argmin(left)))
        nearest = np.minimum(nearest, away[:, found[-1]])
    return np.array(found, dtype=np.int64)


def expected(answer: Evaluation, metrics: Sequence[str]) -> Floats:
    """(n, metrics) predictions in y; of those that are no numbers the mean of the others."""
    columns = []
    for metric in metrics:
        if metric in answer.metrics:
            y = y_of(metric, answer.metrics[metric])
            columns.append(np.where(np.isfinite(y), y, np.mean(y[np.isfinite(y)]) if np.isfinite(y).any() else 0.0))
    return np.stack(columns, axis=1)


def doubt(answer: Evaluation, metric: str) -> Floats:
    """(n,) how unsure a metric is beside the kernel's usual; 1 of a surrogate that does not say."""
    spread = difficulty(answer, metric)
    usual = float(np.median(spread))
    return relative(spread, usual) if usual > 0 else np.ones(len(spread))


def scaled(columns: Floats) -> Floats:
    """(n, k) of variance 1 a column, and all together of the variance of one; constant ones stay 0."""
    spread = columns.std(axis=0)
    found: Floats = (columns - columns.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return found / np.sqrt(max(int((spread > 0).sum()), 1))
