"""Which intervals of a front are worth showing, and how they read."""

from __future__ import annotations

import numpy as np

from design.core import Evaluation, Floats
from design.metrics import metric_unit


def shown_interval(answers: Evaluation, metric: str) -> Floats:
    """(n, 2) low and high ends of a metric's intervals, NaN where there is none to show: where the value is exact,
    derived from others, or a probability, of which one design only ever shows 0 or 1."""
    nothing = np.full((len(answers), 2), np.nan)
    ends = answers.interval.get(metric)
    if ends is None or metric_unit(metric) == "probability":
        return nothing
    return np.where(ends[:, :1] < ends[:, 1:], ends, nothing)


def interval_text(ends: Floats) -> str:
    """Two ends as "LOW to HIGH" in three digits; "" where there is no interval."""
    if np.isnan(ends).any():
        return ""
    low, high = (f"{float(f'{end:.3g}'):.6g}" for end in ends.tolist())  # 438000, not 4.38e+05
    return f"{low} to {high}"
