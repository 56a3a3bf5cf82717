"""What bought designs teach about which others of their kernel a tool can make at all.

A forest over the directives and what was expected of a design says how likely it is; what was expected beforehand
counts as much as a few labels. It needs labels of designs that failed as well, so labels must not be chosen among
designs that did not.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from design.core import Bools, Floats

PRIOR_LABELS = 5.0  # that the expectation is worth
TREES = 100
Validity = Callable[[Floats, Floats], Floats]  # features (n, k) and expectations (n,) -> probabilities (n,)


def learn_validity(rows: Floats, expected: Floats, valid: Bools, seed: int) -> Validity:
    """From at least one label: features (n, k), the probability `expected` of each beforehand, and what came out."""
    count = len(valid)
    if valid.all() or not valid.any():
        share = (float(valid.sum()) + 1) / (count + 2)
        return lambda _, before: _weighed(np.full(len(before), share), before, count)
    from sklearn.ensemble import ExtraTreesClassifier

    forest = ExtraTreesClassifier(TREES, random_state=seed, n_jobs=1)
    forest.fit(np.column_stack([rows, expected]), valid)

    def probability(features: Floats, before: Floats) -> Floats:
        if not len(before):
            return before
        return _weighed(forest.predict_proba(np.column_stack([features, before]))[:, 1], before, count)

    return probability


def _weighed(said: Floats, before: Floats, labels: int) -> Floats:
    found: Floats = (labels * said + PRIOR_LABELS * before) / (labels + PRIOR_LABELS)
    return found
