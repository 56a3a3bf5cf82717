"""Figures of one kernel and one metric: what was predicted against the truth, row by row, on one page.

Errors "in y" are errors of the published target: y = log2(1e7 / cycles) / 2 for cycles and y = log2(1 + count) / 2
for resources, so 1 in y is a factor of 4. An absolute percentage error (APE) is a fraction, 0.25 for 25 %: |predicted -
truth| over the truth, for resources over the truth or 1.
"""

from __future__ import annotations

import numpy as np

from design.core import LEVEL, Bools, Floats
from design.errors import InputError
from design.metrics import metric_of, target

DRAWS = 5  # samples that are scored, the first ones
# The threshold that makes F1 largest is half of that F1 (Lipton, Elkan and Narayanaswamy, "Optimal thresholding of
# classifiers to maximize F1 measure", ECML PKDD 2014), and calling every design valid already gives about 0.6.
CALLED_VALID = 0.3
CLOSE = 0.1  # the APE of "within 10 %"
FIELDS: dict[str, str] = {  # and their units
    "rmse_y": "root mean square error in y (1 is a factor of 4)",
    "spearman": "rank correlation, -1 .. 1; 0 for a constant prediction, null for a constant truth",
    "median_ape": "fraction",
    "mape": "fraction",
    "mse": "mean square error in y, the square of rmse_y on each kernel",
    "within_10": "fraction of rows with an APE of at most 0.1",
    "pass_at_5": "fraction of rows with one of the first 5 samples within 10 %",
    "mape_median5": "fraction, of the median of the first 5 samples",
    "mape_majority5": "fraction, of the most frequent of the first 5 samples, on a tie the one drawn first",
    "coverage_90": "fraction of truths inside the stated 90 % interval",
    "width_90": "mean log2 of upper over lower end, for resources of 1 + each",
}
Fields = dict[str, float | None]


def figures(
    metric: str,
    truth: Floats,
    predicted: Floats,
    interval: Floats | None = None,
    samples: Floats | None = None,
    level: float = LEVEL,
    who: str = "the predictor",
) -> Fields:
    """All FIELDS of n rows: truth and prediction (n,), interval (n, 2) or None, samples (n, k) or None.

    What does not apply is None. A sample that is no number is a miss; median and most frequent are taken of the
    others, and are the prediction where there are none. Raises InputError where a prediction or the end of an
    interval is no number that the metric can have: a row left out could not be told from a row done well.
    """
    _numbers(metric, predicted, who, "prediction")
    error = target(metric, predicted) - target(metric, truth)
    ape = _ape(metric, truth, predicted)
    found: Fields = dict.fromkeys(FIELDS)
    found |= {
        "rmse_y": float(np.sqrt(np.mean(error**2))),
        "spearman": spearman(truth, predicted),
        "median_ape": float(np.median(ape)),
        "mape": float(np.mean(ape)),
        "mse": float(np.mean(error**2)),
        "within_10": float(np.mean(ape <= CLOSE)),
    }
    if samples is not None and samples.shape[1] >= DRAWS:
        found |= _of_samples(metric, truth, predicted, samples[:, :DRAWS])
    if interval is not None and np.array_equal(interval[:, 0], interval[:, 1]):
        interval = None  # zero width everywhere is how an evaluator without a notion of its error answers
    if interval is not None and abs(level - LEVEL) < 1e-9:
        _numbers(metric, interval, who, "interval")
        low, high = interval[:, 0], interval[:, 1]
        one = metric_of(metric).plus
        found["coverage_90"] = float(np.mean((low <= truth) & (truth <= high)))
        found["width_90"] = float(np.mean(np.log2((one + high) / (one + low))))
    return found


def spearman(truth: Floats, predicted: Floats) -> float | None:
    """Rank correlation, ties at their mean rank. None where the truth is constant, and there is nothing to rank; 0
    where the prediction is, and says nothing of it."""
    if np.ptp(truth) == 0:
        return None
    if np.ptp(predicted) == 0:
        return 0.0
    return float(np.corrcoef(_ranks(truth), _ranks(predicted))[0, 1])


def _ranks(values: Floats) -> Floats:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Floats = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return ranks


def f1(truth: Bools, probability: Floats, who: str = "the predictor") -> float | None:
    """F1 of 'valid' where its probability is at least CALLED_VALID. None where no design is valid."""
    if not np.isfinite(probability).all():
        raise InputError(who, "has a probability of validity that is no number", "a number for every design")
    said = probability >= CALLED_VALID
    if not truth.any():
        return None
    return float(2 * np.sum(said & truth) / (np.sum(said) + np.sum(truth)))


def _ape(metric: str, truth: Floats, predicted: Floats) -> Floats:
    return np.abs(predicted - truth) / (truth if metric_of(metric).plus == 0 else np.maximum(truth, 1.0))


def _of_samples(metric: str, truth: Floats, predicted: Floats, samples: Floats) -> Fields:
    known = np.isfinite(samples)
    close = known & (_ape(metric, truth[:, None], np.where(known, samples, 0.0)) <= CLOSE)
    median, most = predicted.copy(), predicted.copy()
    for row in np.flatnonzero(known.any(axis=1)):
        drawn = samples[row, known[row]]
        median[row] = np.median(drawn)
        most[row] = drawn[np.argmax((drawn[:, None] == drawn).sum(axis=1))]  # argmax: the first of equals
    return {
        "pass_at_5": float(np.mean(close.any(axis=1))),
        "mape_median5": float(np.mean(_ape(metric, truth, median))),
        "mape_majority5": float(np.mean(_ape(metric, truth, most))),
    }


def _numbers(metric: str, values: Floats, who: str, what: str) -> None:
    above = metric_of(metric).plus == 0
    good = np.isfinite(values) & ((values > 0) if above else (values >= 0))
    if not good.all():
        bad = int(np.sum(~good.reshape(len(good), -1).all(axis=1)))
        expected = f"a number {'above' if above else 'of at least'} 0 for every design with known cycles"
        raise InputError(who, f"has no usable {what} of {metric} for {bad} of {len(values)} designs", expected)
