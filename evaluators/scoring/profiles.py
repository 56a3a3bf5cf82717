"""Figures with several places, of one kernel and one metric: digit by digit, and rank by rank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from design.contracts import Dataset
from design.core import Evaluation, Floats, Rows
from design.metrics import metric_of
from evaluators.scoring.digits import PLACES, rounded, share_right, share_right_in_any
from evaluators.scoring.figures import DRAWS
from evaluators.scoring.ranks import rank_shares

RIGHT, RIGHT_IN_5, RANKS = "right", "pass_at_5", "ranks"
PROFILES: dict[str, str] = {
    RIGHT: f"fraction of designs whose beginning is right, rounded to three digits: {', '.join(PLACES)}",
    RIGHT_IN_5: "the same of at least one of the first 5 samples",
    RANKS: "fraction of truths with 0, 1, .. 5 of the first 5 samples below, all of three digits, ties shared out",
}
Profile = dict[str, Floats | None]


def profiles_of(data: Dataset, answer: Evaluation, rows: Rows) -> dict[str, Profile]:
    """By metric that the answer has, PROFILES over the given rows of both whose truth is known; None where there are
    too few samples. Digits are those of whole numbers: metrics that are told in smaller parts have no profile."""
    found = {}
    for metric in data.task.metrics:
        known = rows[np.isfinite(data.metric(metric)[rows])]
        if metric in answer.metrics and len(known) and metric_of(metric).floor >= 1:
            samples = answer.samples.get(metric)
            drawn = None if samples is None or samples.shape[1] < DRAWS else samples[known, :DRAWS]
            found[metric] = profile(data.metric(metric)[known], answer.metrics[metric][known], drawn)
    return found


def profile(truth: Floats, predicted: Floats, samples: Floats | None) -> Profile:
    """PROFILES of n designs: truth and prediction (n,), samples (n, k) or None.

    Ranks are of numbers of three digits. Whoever speaks in three digits says numbers that no truth equals; a sharp and
    right answer would stand wholly above or below it.
    """
    found: Profile = {RIGHT: share_right(truth, predicted), RIGHT_IN_5: None, RANKS: None}
    if samples is not None:
        found[RIGHT_IN_5] = share_right_in_any(truth, samples)
        found[RANKS] = rank_shares(rounded(truth), rounded(samples))
    return found


def mean_profiles(several: Sequence[Mapping[str, Profile]]) -> dict[str, Profile]:
    """Metric by metric and place by place the mean of those that apply; None where none does."""
    found: dict[str, Profile] = {}
    for metric in dict.fromkeys(name for profiles in several for name in profiles):
        here = [profiles[metric] for profiles in several if metric in profiles]
        if here:
            parts = {name: [values for p in here if (values := p[name]) is not None] for name in PROFILES}
            found[metric] = {name: np.mean(some, axis=0) if some else None for name, some in parts.items()}
    return found
