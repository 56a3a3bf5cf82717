"""Intervals that hold what they promise, around what any predictor says.

The labels of a kernel say how far the predictor is off there: each is asked of the predictor adapted to the others,
fold by fold. A prior says how far it is off on kernels that it has not seen; it makes intervals narrower where there
are labels, and is all there is where there are none. Half-widths are in y (`scoring/figures.py`), so that they are
factors of cycles, and of 1 + count of a resource. The arithmetic is in `cost_model/conformal/`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np

from cost_model.conformal.prior import Prior, width
from design.core import Batch, Evaluation, Floats, Rows
from design.errors import InputError
from design.hls import Target
from design.loop_nest import Kernel
from evaluators.base import Evaluator
from evaluators.difficulty import difficulty
from evaluators.estimate import UTILISATION
from evaluators.predictor import METRICS, VALID, FittedOn, Labelled, Predictor
from evaluators.scoring.figures import CYCLES, LEVEL
from evaluators.scoring.figures import target as y_of

VERSION = "1"
FOLDS = 5  # at most; with fewer labels each is a fold
WIDEST = 64.0  # in y, a factor of 2**128: wider than any number that tools give
NOTHING = FittedOn()


@dataclass(frozen=True)
class WithPrior(FittedOn):
    """What the predictor `inner` learned from, and the kernels of a prior."""

    inner: FittedOn = NOTHING

    def saw(self, family: str, digest: str) -> bool:
        """Whether a kernel, or one of its family, was among either."""
        return self.inner.saw(family, digest) or family in self.families or digest in self.digests


class ConformalPredictor:
    """A predictor that answers as `inner` does, with intervals at `level` for METRICS.

    A metric for which labels and prior are too few keeps the interval of `inner`, if it has one. `normalised`: within
    a kernel, intervals are wider for designs on which `inner` is less sure (`difficulty.py`). Raises InputError for a
    prior that was made with another predictor or the other setting.
    """

    def __init__(
        self, inner: Predictor, prior: Prior | None = None, level: float = LEVEL, normalised: bool = False
    ) -> None:
        if prior is not None and prior.who != who(inner, normalised):
            raise InputError(f"prior of '{prior.who}'", "is not the predictor's", f"one of '{who(inner, normalised)}'")
        self.inner, self.prior, self.level, self.normalised = inner, prior, level, normalised
        self.name = inner.name
        known = "" if prior is None else f",prior {_digest(repr(sorted(prior.shapes.items())))}"
        self.version = f"{inner.version}+conformal-{VERSION}({level:g}{',normalised' if normalised else ''}{known})"
        self.fitted_on = inner.fitted_on
        if prior is not None:
            self.fitted_on = WithPrior(
                inner.fitted_on.families | prior.families,
                inner.fitted_on.digests | prior.digests,
                inner.fitted_on,
            )

    def fitted(self, kernel: Kernel, target: Target, labels: Labelled | None, seed: int) -> Evaluator:
        """See `Predictor`. Labels cost as many fits of `inner` as there are folds, beside its own."""
        evaluator = self.inner.fitted(kernel, target, labels, seed)
        residuals: Mapping[str, Floats] = dict.fromkeys(METRICS, np.empty(0))
        if labels is not None:
            residuals = left_out(self.inner, kernel, target, labels, seed, self.normalised)
        widths = {}
        for metric in METRICS:
            if metric in evaluator.metrics:
                shape = None if self.prior is None else self.prior.shape(metric, len(residuals[metric]))
                widths[metric] = width(residuals[metric], self.level, shape)
        finite = {metric: half for metric, half in widths.items() if np.isfinite(half)}
        return ConformalEvaluator(evaluator, target, finite, self.level, self.normalised) if finite else evaluator


class ConformalEvaluator:
    """Answers as `inner` does, with intervals of half-widths `widths` in y around METRICS; intervals of shares of the
    device go with those of counts. A probability of validity has the interval 0 to 1: one design is valid or not.
    Other metrics keep their intervals if they are of the same level."""

    def __init__(
        self, inner: Evaluator, target: Target, widths: Mapping[str, float], level: float, normalised: bool = False
    ) -> None:
        self._inner, self._target, self._widths = inner, target, dict(sorted(widths.items()))
        self._level, self._normalised = level, normalised
        self._said = f"conformal-{VERSION} {_digest(repr((self._widths, level, normalised)))}"
        self.name, self.version = inner.name, f"{inner.version}+{self._said}"
        self.metrics, self.fidelity = inner.metrics, inner.fidelity

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
            sigma = difficulty(answer, metric) if self._normalised else 1.0
            interval[metric] = around(metric, answer.metrics[metric], half * sigma)
            source[metric] = np.char.add(answer.source[metric], f"+{self._said}")
        if VALID in answer.metrics:
            unknown = np.isnan(answer.metrics[VALID])[:, None]
            interval[VALID] = np.where(unknown, np.nan, [[0.0, 1.0]])
        self._shares(answer, interval)
        return replace(answer, interval=interval, source=source, level=self._level)

    def _shares(self, answer: Evaluation, interval: dict[str, Floats]) -> None:
        """Shares of the device and the largest of them, where the answer has them, as the counts say."""
        shares = {f"{name}_share": name for name in self._target.device.resources}
        for share, name in shares.items():
            if share in answer.metrics and name in self._widths:
                interval[share] = interval[name] / self._target.device.resources[name]
        if UTILISATION in answer.metrics and set(shares) <= set(interval):
            interval[UTILISATION] = np.max([interval[share] for share in shares], axis=0)


def who(inner: Predictor, normalised: bool) -> str:
    """A prior holds for the predictor of this name and this way of weighing residuals."""
    return f"{inner.name}, normalised" if normalised else inner.name


def around(metric: str, values: Floats, half: float | Floats) -> Floats:
    """(n, 2) the ends of intervals of half-widths `half`, (n,) or one for all, in y around `values` (n,). Cycles stay
    above 0, counts at 0 or above, and values lie within."""
    one = 0.0 if metric == CYCLES else 1.0
    factor = np.exp2(2 * np.minimum(half, WIDEST))
    low, high = (one + values) / factor - one, (one + values) * factor - one
    return np.stack([np.minimum(np.maximum(low, 0.0), values), np.maximum(high, values)], axis=1)


def residuals_of(evaluator: Evaluator, designs: Labelled, normalised: bool, seed: int) -> dict[str, Floats]:
    """Truth less prediction in y by metric, (n,), over the difficulty if `normalised`; NaN where either is unknown."""
    answer, found = evaluator.evaluate(designs.batch, seed=seed), {}
    for metric in METRICS:
        found[metric] = np.full(len(designs), np.nan)
        if metric in answer.metrics:
            sigma = difficulty(answer, metric) if normalised else 1.0
            found[metric] = (y_of(metric, designs.truth[metric]) - y_of(metric, answer.metrics[metric])) / sigma
    return found


def left_out(
    inner: Predictor, kernel: Kernel, target: Target, labels: Labelled, seed: int, normalised: bool
) -> dict[str, Floats]:
    """Residuals of labels by metric, (m,), each by a predictor adapted to the labels of the other folds. Labels without
    an answer are left out, and all of them if there is but one."""
    count = len(labels)
    found = {metric: np.full(count, np.nan) for metric in METRICS}
    folds = min(FOLDS, count)
    place = np.random.default_rng(seed).permutation(count) % max(folds, 1)
    for number in range(folds if folds > 1 else 0):
        out = np.flatnonzero(place == number)
        evaluator = inner.fitted(kernel, target, some(labels, np.flatnonzero(place != number)), seed)
        for metric, values in residuals_of(evaluator, some(labels, out), normalised, seed).items():
            found[metric][out] = values
    return {metric: values[np.isfinite(values)] for metric, values in found.items()}


def some(labels: Labelled, rows: Rows) -> Labelled:
    """The labels of the given rows."""
    truth = {metric: values[rows] for metric, values in labels.truth.items()}
    return Labelled(labels.batch.take(rows), truth, labels.valid[rows])


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=3).hexdigest()
