"""How unsure an evaluator is of each design, from what its answer says beside the number."""

from __future__ import annotations

import numpy as np

from design.core import Evaluation, Floats
from evaluators.scoring.figures import target as y_of

LEAST = 0.05  # in y: nobody is surer than that


def difficulty(answer: Evaluation, metric: str) -> Floats:
    """(n,) in y, at least LEAST: the spread of the samples of a metric, else half of its interval, else 1 throughout.
    Each row's is its own, whatever rows are beside it."""
    with np.errstate(all="ignore"):
        if metric in answer.samples:
            return _spread(y_of(metric, answer.samples[metric]))
        if metric in answer.interval:
            low, high = y_of(metric, answer.interval[metric]).T
            return _at_least(np.abs(high - low) / 2)
    return np.ones(len(answer))


def _spread(y: Floats) -> Floats:
    """(n,) standard deviation of (n, k), of the numbers among them. Column by column: a sum along a row would be
    rounded by the shape of the whole."""
    known = np.isfinite(y)
    count = np.maximum(known.sum(axis=1), 1)
    y = np.where(known, y, 0.0)
    mean = sum(y.T, np.zeros(len(y))) / count
    square = sum(((column - mean) ** 2 * there for column, there in zip(y.T, known.T, strict=True)), np.zeros(len(y)))
    return _at_least(np.sqrt(square / count))


def _at_least(sizes: Floats) -> Floats:
    return np.maximum(np.where(np.isfinite(sizes), sizes, LEAST), LEAST)
