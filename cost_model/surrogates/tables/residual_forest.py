"""A forest of residuals: many small regressions of several numbers at once, from few rows."""

from __future__ import annotations

from typing import Protocol

from design.core import Floats

TREES = 100
PRIOR_LABELS = 2.0  # labels that the absence of an offset is worth
FEWEST = 4  # labels; fewer give an offset only


class Regression(Protocol):
    """What was learned: rows (n, k) to values (n, m)."""

    def predict(self, rows: Floats) -> Floats:
        """Of each row, whatever others are asked about."""
        ...


def residual_forest(rows: Floats, values: Floats, seed: int) -> Regression:
    """Extremely randomised trees on `rows` (n, k) for `values` (n, m). One job: a prediction must not depend on the
    order in which trees are summed."""
    from sklearn.ensemble import ExtraTreesRegressor

    found: Regression = ExtraTreesRegressor(TREES, random_state=seed, n_jobs=1).fit(rows, values)
    return found
