"""Intervals that hold what they promise, around what any predictor says.

The labels of a kernel say how far the predictor is off there: each is asked of the predictor adapted to the others,
fold by fold. A prior says how far it is off on kernels that it has not seen; it makes intervals narrower where there
are labels, and is all there is where there are none. Half-widths are in y (`scoring/figures.py`), so that they are
factors of cycles, and of 1 + count of a resource. The arithmetic is in `cost_model/surrogates/conformal/`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from hashlib import blake2b

import numpy as np

from cost_model.surrogates.conformal.prior import Prior, width
from cost_model.surrogates.conformal.residuals import FOLDS, PLAIN, Terms, cross_fitted_residuals
from cost_model.views.plain import PlainView
from design.contracts import Dataset, Evaluator, Surrogate, Task, TrainingSet, together_of
from design.core import LEVEL, Batch, Evaluation, Floats, Rows
from design.errors import InputError
from design.metrics import VALID, metric_of

VERSION = "1"
WIDEST = 64.0  # in y, a factor of 2**128: wider than any number that tools give


class ConformalSurrogate:
    """A surrogate that answers as `inner` does, with intervals at `level` for the metrics of the task.

    A metric for which labels and prior are too few keeps the interval of `inner`, if it has one. `normalised`: within
    a kernel with labels, intervals are wider for designs on which `inner` is less sure (`difficulty.py`). Labels are
    left out in at most so many `folds`. Raises InputError for a prior that was made with another predictor or the
    other setting.
    """

    def __init__(
        self,
        inner: Surrogate,
        view: PlainView,
        prior: Prior | None = None,
        level: float = LEVEL,
        normalised: bool = False,
        folds: int = FOLDS,
    ) -> None:
        if prior is not None and prior.who != who(inner, normalised):
            raise InputError(f"prior of '{prior.who}'", "is not the surrogate's", f"one of '{who(inner, normalised)}'")
        self.inner, self.prior, self.level, self.normalised, self.folds = inner, prior, level, normalised, folds
        self.name, self._view = inner.name, view
        known = "" if prior is None else f",prior {_digest(repr(sorted(prior.shapes.items())))}"
        set_to = f"{level:g},{folds} folds{',normalised' if normalised else ''}"
        self.version = f"{inner.version}+conformal-{VERSION}({set_to}{known})"
        self.trained_on = inner.trained_on
        if prior is not None:
            self.trained_on = TrainingSet.union(inner.trained_on, TrainingSet(prior.families, prior.digests))

    def condition(self, task: Task, labels: Dataset | None, *, seed: int) -> Evaluator:
        """See `Surrogate`. Labels cost as many fits of `inner` as there are folds, beside its own."""
        labels = None if labels is None else labels.answered()
        evaluator, view = self.inner.condition(task, labels, seed=seed), self._view
        residuals, terms = cross_fitted_residuals(self.inner, task, labels, view, seed, self.normalised, self.folds)
        widths = {}
        for metric in task.metrics:
            if metric in evaluator.metrics:
                shape = None if self.prior is None else self.prior.shape(metric, len(residuals[metric]))
                widths[metric] = width(residuals[metric], self.level, shape)
        finite = {metric: half for metric, half in widths.items() if np.isfinite(half)}
        return ConformalEvaluator(evaluator, task, view, finite, self.level, terms) if finite else evaluator


class ConformalEvaluator:
    """Answers as `inner` does, with intervals of half-widths `widths` in y around the metrics of the task; intervals of
    metrics that follow from others go with those. A probability of validity has the interval 0 to 1: one design is
    valid or not. Other metrics keep their intervals if they are of the same level."""

    def __init__(
        self,
        inner: Evaluator,
        task: Task,
        view: PlainView,
        widths: Mapping[str, float],
        level: float,
        terms: Terms = PLAIN,
    ) -> None:
        self._inner, self._task, self._view, self._widths = inner, task, view, dict(sorted(widths.items()))
        self._level, self._terms = level, terms
        self._said = f"conformal-{VERSION} {_digest(repr((self._widths, level, terms)))}"
        self.name, self.version = inner.name, f"{inner.version}+{self._said}"
        self.metrics, self.fidelity = inner.metrics, inner.fidelity
        self.together = together_of(inner)

    def evaluate(self, batch: Batch, *, seed: int) -> Evaluation:
        """See `Evaluator`."""
        return self._with_intervals(self._inner.evaluate(batch, seed=seed))

    def stream(self, batch: Batch, *, seed: int) -> Iterator[tuple[Rows, Evaluation]]:
        """See `Evaluator`."""
        for rows, answer in self._inner.stream(batch, seed=seed):
            yield rows, self._with_intervals(answer)

    def _with_intervals(self, answer: Evaluation) -> Evaluation:
        kept = answer.interval if abs(answer.level - self._level) < 1e-9 else {}
        interval, source = dict(kept), dict(answer.source)
        for metric, half in self._widths.items():
            halves = half * self._terms.weight(answer, metric)
            interval[metric] = around(metric, answer.metrics[metric], halves, self._terms.least.get(metric, 0.0))
            source[metric] = np.char.add(answer.source[metric], f"+{self._said}")
        if VALID in answer.metrics:
            unknown = np.isnan(answer.metrics[VALID])[:, None]
            interval[VALID] = np.where(unknown, np.nan, [[0.0, 1.0]])
        self._view.derive_intervals(self._task, answer.metrics, interval)
        return replace(answer, interval=interval, source=source, level=self._level)


def who(inner: Surrogate, normalised: bool) -> str:
    """A prior holds for the predictor of this name and this way of weighing residuals."""
    return f"{inner.name}, normalised" if normalised else inner.name


def around(metric: str, values: Floats, half: float | Floats, least: float = 0.0) -> Floats:
    """(n, 2) the ends of intervals of half-widths `half`, (n,) or one for all, in y around `values` (n,). Cycles stay
    above 0, counts at 0 or above, and values lie within. Of counts nothing is reported between 0 and `least`: an
    interval that starts there starts at 0, and one that ends there has nothing above its value."""
    one = metric_of(metric).plus
    factor = np.exp2(2 * np.minimum(half, WIDEST))
    low, high = (one + values) / factor - one, (one + values) * factor - one
    low, high = np.where(low <= least, 0.0, low), np.where(high < least, values, high)
    return np.stack([np.minimum(np.maximum(low, 0.0), values), np.maximum(high, values)], axis=1)


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=3).hexdigest()
