"""From an evaluator's answer to a posterior: joint draws of the objectives, and feasibility."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from design.core import Batch, Evaluation, Floats, Objective, Status, key_bytes
from design.metrics import VALID, metric_of, metric_values
from dse.active.acquisition import Posterior

DRAWS = 16
UNLIKELY = 0.25  # times as likely feasible is a design whose median breaks a constraint


def logarithms(values: Floats, objectives: Sequence[Objective]) -> Floats:
    """(n, objectives) values as log2, to minimise; NaN where there is no value."""
    found = []
    for column, objective in zip(values.T, objectives, strict=True):
        found.append(objective.sign * np.log2(np.maximum(column, metric_of(objective.metric).floor)))
    return np.stack(found, axis=1)


def posterior_of(answer: Evaluation, batch: Batch, objectives: Sequence[Objective], seed: int) -> Posterior:
    """Of n designs. A design that has no finite value of an objective is not feasible. Draws are a design's own,
    whatever its company: normal in the logarithm, as wide as its interval says, around its median.

    The draws of pass@k are not used as they are: intervals have been calibrated on labels, and samples have not.
    """
    columns = [metric_values(o.metric, answer.metrics) for o in objectives]
    middle = logarithms(np.stack(columns, axis=1), objectives)
    known = np.isfinite(middle.sum(axis=1))
    middle = np.where(known[:, None], middle, 0.0)
    wide = np.stack([_spread(answer, objective) for objective in objectives], axis=1)
    draws = middle[:, None] + wide[:, None] * _normals(batch, seed, len(objectives))
    sound = np.where(known & (answer.status != Status.FAILED), answer.metrics.get(VALID, np.ones(len(answer))), 0.0)
    sound = np.where(answer.status == Status.INFEASIBLE, UNLIKELY * sound, sound)
    return Posterior(draws, middle, np.nan_to_num(sound))


def _spread(answer: Evaluation, objective: Objective) -> Floats:
    """(n,) standard deviation in log2, from the interval; 0 where there is none."""
    if objective.metric not in answer.interval:
        return np.zeros(len(answer))
    low, high = (logarithms(end[:, None], [objective])[:, 0] for end in answer.interval[objective.metric].T)
    found: Floats = np.abs(high - low) / (2 * NormalDist().inv_cdf((1 + answer.level) / 2))
    return np.where(np.isfinite(found), found, 0.0)


def _normals(batch: Batch, seed: int, objectives: int) -> Floats:
    """(n, DRAWS, objectives)"""
    keys = key_bytes(batch.schema.key(batch))
    rngs = (np.random.default_rng([seed, *np.frombuffer(key, dtype=np.uint32).tolist()]) for key in keys)
    found = [rng.standard_normal((DRAWS, objectives)) for rng in rngs]
    return np.array(found).reshape(len(keys), DRAWS, objectives)
