"""Which designs' labels are known: drawn at random, or those that a predictor asks for before it has seen any.

A predictor asks for designs that stand for the others, in directives and in what it expects of them, those most of
which it is unsure: greedily the next one by which the distances of all designs to the nearest one asked for, weighed
by doubt, fall most (facility location; Nemhauser, Wolsey and Fisher, 1978). It sees no result in doing so.
"""

from __future__ import annotations

import numpy as np

from cost_model.corpus.hls.label_draws import with_cycles
from cost_model.surrogates.conformal.predictive_spread import difficulty, relative
from cost_model.surrogates.predictor import METRICS, Predictor
from cost_model.views.hls.directive_features import directive_features
from design.core import Evaluation, Floats, Rows, key_bytes
from design.metrics import CYCLES
from design.metrics import target as y_of
from evaluators.scoring.protocol import Choose, drawn
from frontends.hls_results.tables import KernelTable


def asked(predictor: Predictor, table: KernelTable, count: int, seed: int) -> Rows:
    """`count` rows with cycles that the predictor asks for."""
    rows = with_cycles(table)
    if not count:
        return rows[:0]
    keys = key_bytes(table.batch.schema.key(table.batch.take(rows)))
    rows = rows[np.array(sorted(range(len(rows)), key=keys.__getitem__), dtype=np.int64)]
    batch = table.batch.take(rows)
    answer = predictor.fitted(table.kernel, table.target, None, seed).evaluate(batch, seed=seed)
    places = np.concatenate(
        [scaled(directive_features(table.kernel, table.target, batch.columns)), scaled(expected(answer))], axis=1
    )
    return rows[standing_for(places, doubt(answer), min(count, len(rows)))]


CHOICES: dict[str, Choose] = {"random": drawn, "asked": asked}


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


def expected(answer: Evaluation) -> Floats:
    """(n, metrics) predictions in y; of those that are no numbers the mean of the others."""
    columns = []
    for metric in METRICS:
        if metric in answer.metrics:
            y = y_of(metric, answer.metrics[metric])
            columns.append(np.where(np.isfinite(y), y, np.mean(y[np.isfinite(y)]) if np.isfinite(y).any() else 0.0))
    return np.stack(columns, axis=1)


def doubt(answer: Evaluation) -> Floats:
    """(n,) how unsure cycles are beside the kernel's usual; 1 of a predictor that does not say."""
    spread = difficulty(answer, CYCLES)
    usual = float(np.median(spread))
    return relative(spread, usual) if usual > 0 else np.ones(len(spread))


def scaled(columns: Floats) -> Floats:
    """(n, k) of variance 1 a column, and all together of the variance of one; constant ones stay 0."""
    spread = columns.std(axis=0)
    found: Floats = (columns - columns.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return found / np.sqrt(max(int((spread > 0).sum()), 1))
