"""Table models proper: a median, extremely randomised trees and gradient boosting, behind two small functions.

`fit` learns from the tables of other kernels; `adapt` from a few designs of the kernel asked: small models on those
alone, which are shown what the first model says of a design as further features. Measured against corrections of
the first model's errors and against learning all anew with the labels weighted up, this did best (docs/log.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from design.core import Bools, Floats, Ints

MEDIAN, TREES, BOOSTING = "median", "extra-trees", "boosting"
KINDS = (MEDIAN, TREES, BOOSTING)
FEW = 200  # rows: up to so many, models may follow each one
Regression = Callable[[Floats], Floats]  # features (n, width) -> targets (n, metrics)


@dataclass(frozen=True)
class TableModel:
    """`regression` gives targets (n, metrics), `validity` the probability that a design is valid (n,)."""

    kind: str
    regression: Regression
    validity: Callable[[Floats], Floats]


@dataclass(frozen=True)
class Examples:
    """Designs to learn from: features (n, width), targets (n, metrics) with NaN where there is none, valid (n,)."""

    features: Floats
    targets: Floats
    valid: Bools


def fit(kind: str, rows: Examples, seed: int, start: slice | None = None) -> TableModel:
    """A model of the given kind. Some of `rows` have targets. `start` are the features that hold an estimate of the
    targets: what is learned is the difference from it, which carries over to other kernels better."""
    known = np.isfinite(rows.targets).all(axis=1)
    x, y = rows.features[known], rows.targets[known]
    if kind == MEDIAN:
        share = float(rows.valid.mean())
        return TableModel(kind, _constant(y), lambda features: np.full(len(features), share))
    learn = _trees if kind == TREES else _boosting
    if start is None:
        return TableModel(kind, learn(x, y, seed), _validity(kind, rows, seed))
    where, difference = start, learn(x, y - x[:, start], seed)
    return TableModel(kind, lambda f: f[:, where] + difference(f), _validity(kind, rows, seed))


def adapt(model: TableModel, rows: Examples, seed: int) -> TableModel:
    """The model after it was shown a few designs of one kernel, all of them with targets. What is valid it knows as
    before: labels are designs that the tool finished, and few of those are not."""
    if model.kind == MEDIAN:
        return TableModel(model.kind, _constant(rows.targets), model.validity)
    first = model.regression

    def more(features: Floats) -> Floats:
        return np.concatenate([features, first(features)], axis=1)

    x = more(rows.features)
    second = _trees(x, rows.targets, seed) if model.kind == TREES else _boosting(x, rows.targets, seed)
    return TableModel(model.kind, lambda features: second(more(features)), model.validity)


def _constant(y: Floats) -> Regression:
    middle = np.median(y, axis=0)
    return lambda features: np.tile(middle, (len(features), 1))


def _trees(x: Floats, y: Floats, seed: int) -> Regression:
    from sklearn.ensemble import ExtraTreesRegressor

    leaf = 2 if len(x) > FEW else 1
    return _fitted(ExtraTreesRegressor(100, min_samples_leaf=leaf, max_features=0.5, random_state=seed, n_jobs=1), x, y)


def _boosting(x: Floats, y: Floats, seed: int) -> Regression:
    from sklearn.ensemble import HistGradientBoostingRegressor

    few = len(x) <= FEW
    kept = _telling(x) if few else np.arange(x.shape[1])
    x, models = x[:, kept], []
    for column in y.T:
        model = HistGradientBoostingRegressor(
            max_iter=60 if few else 100,
            learning_rate=0.1,
            min_samples_leaf=2 if few else 20,
            max_leaf_nodes=4 if few else 15,
            early_stopping=False,
            random_state=seed,
        )
        models.append(_fitted(model, x, column))
    return lambda features: np.stack([model(features[:, kept]) for model in models], axis=1)


def _telling(x: Floats) -> Ints:
    """Columns of (n, width) that are neither constant nor equal to an earlier one. Boosting takes the first of the best
    splits, so that without the others it learns the same, in half the time where rows are few."""
    _, first = np.unique(x, axis=1, return_index=True)
    found = np.sort(first[np.ptp(x[:, first], axis=0) > 0])
    return found if len(found) else np.arange(1)


def _validity(kind: str, rows: Examples, seed: int) -> Callable[[Floats], Floats]:
    from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier

    if rows.valid.all() or not rows.valid.any():
        share = float(rows.valid.mean())
        return lambda features: np.full(len(features), share)
    if kind == TREES:
        model: Any = ExtraTreesClassifier(60, min_samples_leaf=3, random_state=seed, n_jobs=1)
    else:
        model = HistGradientBoostingClassifier(max_iter=100, early_stopping=False, random_state=seed)
    model.fit(rows.features, rows.valid)
    return lambda features: model.predict_proba(features)[:, 1]


def _fitted(model: Any, x: Floats, y: Floats) -> Regression:
    model.fit(x, y)
    return lambda features: np.asarray(model.predict(features), dtype=np.float64)
