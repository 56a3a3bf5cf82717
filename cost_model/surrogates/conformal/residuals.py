"""How far a predictor lies off: on the labels of a kernel, each judged by who was not shown it, and on other designs.

Residuals are truth less prediction in y (`scoring/figures.py`), with two refinements. Tools leave out counts below a
share of the device, so where a label of a resource is 0, a truth of 0 is as far off as the prediction lies above that
share. And where a predictor is less sure of some designs of a kernel than of others, residuals count in proportion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from cost_model.surrogates.conformal.predictive_spread import difficulty, relative
from cost_model.views.plain import PlainView
from design.contracts import Dataset, Evaluator, Surrogate, Task
from design.core import Evaluation, Floats
from design.metrics import target as y_of

FOLDS = 5  # at most; of fewer labels each is a fold


@dataclass(frozen=True)
class Terms:
    """In what terms residuals of a kernel are told: by resource the `least` count that its tool reports, where it
    leaves out smaller ones, and by metric the `usual` spread of a predictor that says how unsure it is (absent where
    all designs are alike)."""

    least: Mapping[str, float] = field(default_factory=dict)
    usual: Mapping[str, float] = field(default_factory=dict)

    def weight(self, answer: Evaluation, metric: str) -> Floats:
        """(n,) how much further off than usual a design may be."""
        if metric not in self.usual:
            return np.ones(len(answer))
        return relative(difficulty(answer, metric), self.usual[metric])


PLAIN = Terms()


def least_reported(labels: Dataset, view: PlainView) -> dict[str, float]:
    """Of metrics with a label of 0, the least value that the tool would not have left out."""
    every = view.least_reported(labels.task)
    return {name: least for name, least in every.items() if (labels.metric(name) == 0).any()}


def residuals_of(evaluator: Evaluator, designs: Dataset, terms: Terms, seed: int) -> dict[str, Floats]:
    """By metric (n,), in y; NaN where truth or prediction is unknown."""
    answer = evaluator.evaluate(designs.batch, seed=seed)
    return {metric: _residual(answer, metric, designs.metric(metric), terms) for metric in designs.task.metrics}


def _residual(answer: Evaluation, metric: str, truth: Floats, terms: Terms) -> Floats:
    if metric not in answer.metrics:
        return np.full(len(answer), np.nan)
    said = y_of(metric, answer.metrics[metric])
    off = y_of(metric, truth) - said
    if metric in terms.least:
        above = y_of(metric, np.array([terms.least[metric]])) - said
        off = np.where(truth == 0, np.minimum(above, 0.0), off)
    found: Floats = off / terms.weight(answer, metric)
    return found


def cross_fitted_residuals(
    inner: Surrogate,
    task: Task,
    labels: Dataset | None,
    view: PlainView,
    seed: int,
    normalised: bool = False,
    folds: int = FOLDS,
) -> tuple[dict[str, Floats], Terms]:
    """Residuals of labels by metric, (m,), each by a surrogate conditioned on the labels of the other folds, and their
    terms. Labels without an answer are left out, and all of them if there is but one."""
    count = 0 if labels is None else len(labels)
    if labels is None or count < 2:
        return dict.fromkeys(task.metrics, np.empty(0)), PLAIN
    folds = min(folds, count)
    place = np.random.default_rng(seed).permutation(count) % folds
    pieces = []
    for number in range(folds):
        evaluator = inner.condition(task, labels.take(np.flatnonzero(place != number)), seed=seed)
        designs = labels.take(np.flatnonzero(place == number))
        pieces.append((designs, evaluator.evaluate(designs.batch, seed=seed)))
    usual = _usual([answer for _, answer in pieces], task.metrics) if normalised else {}
    terms = Terms(least_reported(labels, view), usual)
    found = {}
    for metric in task.metrics:
        parts = [_residual(answer, metric, designs.metric(metric), terms) for designs, answer in pieces]
        values = np.concatenate(parts)
        found[metric] = values[np.isfinite(values)]
    return found, terms


def _usual(answers: list[Evaluation], metrics: Sequence[str]) -> dict[str, float]:
    """By metric the median spread, where there is one."""
    found = {}
    for metric in metrics:
        spreads = np.concatenate([difficulty(answer, metric) for answer in answers])
        if np.median(spreads) > 0:
            found[metric] = float(np.median(spreads))
    return found
