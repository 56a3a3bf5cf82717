"""The conformal quantile: how large a share `level` of residuals like those seen is at most.

Where a new residual is exchangeable with n seen ones, the ceil(level (n + 1))-th smallest size is at least as large as
its own with a probability of `level` or more, whatever their distribution (Vovk, Gammerman and Shafer, "Algorithmic
Learning in a Random World", 2005).
"""

from __future__ import annotations

import math
import warnings

import numpy as np

from design.core import Floats

SLACK = 1e-9  # off the level: (1 - 0.9) * 10 is just below 1 in floats, and crepes rounds it down


def fewest(level: float) -> int:
    """Residuals that a finite answer at `level` (between 0 and 1) needs: 9 at 0.9."""
    return math.ceil(level / (1 - level) - SLACK)


def half_width(residuals: Floats, level: float) -> float:
    """Of `residuals` (n,), finite, whose signs do not matter, and in their unit. Infinite where there are fewer than
    `fewest(level)`."""
    if len(residuals) < fewest(level):
        return math.inf
    with warnings.catch_warnings():  # importing it sets a filter of warnings for the whole process
        from crepes import ConformalRegressor

    regressor = ConformalRegressor().fit(residuals)
    return float(regressor.predict_int(np.zeros(1), confidence=level - SLACK)[0, 1])
