"""How unsure an evaluator is of each design, from what its answer says beside the number."""

from __future__ import annotations

import numpy as np

from design.core import Evaluation, Floats
from design.metrics import target as y_of

EASE = 2.0  # usual spreads that are added to a design's: one that seems certain may be wrong too


def difficulty(answer: Evaluation, metric: str) -> Floats:
    """(n,) in y: the spread of the samples of a metric, else half of its interval, else 0. Each row's is its own,
    whatever rows are beside it."""
    with np.errstate(all="ignore"):
        if metric in answer.samples:
            return _spread(y_of(metric, answer.samples[metric]))
        if metric in answer.interval:
            low, high = y_of(metric, answer.interval[metric]).T
            half: Floats = np.abs(high - low) / 2
            return np.where(np.isfinite(half), half, 0.0)
    return np.zeros(len(answer))


def relative(spread: Floats, usual: float) -> Floats:
    """(n,) how difficult designs are beside one of the `usual` spread (above 0), which is 1. The spread alone, without
    EASE, made intervals wider than none at all."""
    found: Floats = (spread + EASE * usual) / ((1 + EASE) * usual)
    return found


def _spread(y: Floats) -> Floats:
    """(n,) standard deviation of (n, k), of the numbers among them. Column by column: a sum along a row would be
    rounded by the shape of the whole."""
    known = np.isfinite(y)
    count = np.maximum(known.sum(axis=1), 1)
    y = np.where(known, y, 0.0)
    mean = sum(y.T, np.zeros(len(y))) / count
    square = sum(((column - mean) ** 2 * there for column, there in zip(y.T, known.T, strict=True)), np.zeros(len(y)))
    found: Floats = np.sqrt(square / count)
    return found
