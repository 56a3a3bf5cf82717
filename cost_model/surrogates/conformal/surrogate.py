"""Intervals that hold what they promise, around what any predictor says.

The labels of a kernel say how far the predictor is off there: each is asked of the predictor adapted to the others,
fold by fold. A prior says how far it is off on kernels that it has not seen; it makes intervals narrower where there
are labels, and is all there is where there are none. Half-widths are in y (`scoring/figures.py`), so that they are
factors of cycles, and of 1 + count of a resource. The arithmetic is in `cost_model/surrogates/conformal/`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np

from cost_model.hls.rows import UTILISATION
from cost_model.surrogates.conformal.prior import Prior, width
from cost_model.surrogates.conformal.residuals import FOLDS, PLAIN, Terms, left_out
from cost_model.surrogates.predictor import METRICS, VALID, FittedOn, Labelled, Predictor
from design.contracts import Evaluator, together_of
from design.core import LEVEL, Batch, Evaluation, Floats, Rows
from design.errors import InputError
from design.hls.design import Target
from design.hls.loop_nest import Kernel
from design.metrics import CYCLES

VERSION = "1"
WIDEST = 64.0  # in y, a factor of 2**128: wider than any number that tools give
NOTHING = FittedOn()


@dataclass(frozen=True)
class WithPrior(FittedOn):
    """What the predictor `inner` learned from, and the kernels of a prior; `families` and `digests` are of both."""

    inner: FittedOn = NOTHING
    prior_families: frozenset[str] = frozenset()
    prior_digests: frozenset[str] = frozenset()

    def saw(self, family: str, digest: str) -> bool:
        """Whether a kernel, or one of its family, was among either."""
        return self.inner.saw(family, digest) or family in self.prior_families or digest in self.prior_digests


class ConformalPredictor:
    """A predictor that answers as `inner` does, with intervals at `level` for METRICS.

    A metric for which labels and prior are too few keeps the interval of `inner`, if it has one. `normalised`: within
    a kernel with labels, intervals are wider for designs on which `inner` is less sure (`difficulty.py`). Labels are
    left out in at most so many `folds`. Raises InputError for a prior that was made with another predictor or the
    other setting.
    """

    def __init__(
        self,
        inner: Predictor,
        prior: Prior | None = None,
        level: float = LEVEL,
        normalised: bool = False,
        folds: int = FOLDS,
    ) -> None:
        if prior is not None and prior.who != who(inner, normalised):
            raise InputError(f"prior of '{prior.who}'", "is not the predictor's", f"one of '{who(inner, normalised)}'")
        self.inner, self.prior, self.level, self.normalised, self.folds = inner, prior, level, normalised, folds
        self.name = inner.name
        known = "" if prior is None else f",prior {_digest(repr(sorted(prior.shapes.items())))}"
        set_to = f"{level:g},{folds} folds{',normalised' if normalised else ''}"
        self.version = f"{inner.version}+conformal-{VERSION}({set_to}{known})"
        self.fitted_on = inner.fitted_on
        if prior is not None:
            self.fitted_on = WithPrior(
                inner.fitted_on.families | prior.families,
                inner.fitted_on.digests | prior.digests,
                inner.fitted_on,
                prior.families,
                prior.digests,
            )

    def fitted(self, kernel: Kernel, target: Target, labels: Labelled | None, seed: int) -> Evaluator:
        """See `Predictor`. Labels cost as many fits of `inner` as there are folds, beside its own."""
        evaluator = self.inner.fitted(kernel, target, labels, seed)
        residuals, terms = left_out(self.inner, kernel, target, labels, seed, self.normalised, self.folds)
        widths = {}
        for metric in METRICS:
            if metric in evaluator.metrics:
                shape = None if self.prior is None else self.prior.shape(metric, len(residuals[metric]))
                widths[metric] = width(residuals[metric], self.level, shape)
        finite = {metric: half for metric, half in widths.items() if np.isfinite(half)}
        return ConformalEvaluator(evaluator, target, finite, self.level, terms) if finite else evaluator


class ConformalEvaluator:
    """Answers as `inner` does, with intervals of half-widths `widths` in y around METRICS; intervals of shares of the
    device go with those of counts. A probability of validity has the interval 0 to 1: one design is valid or not.
    Other metrics keep their intervals if they are of the same level."""

    def __init__(
        self, inner: Evaluator, target: Target, widths: Mapping[str, float], level: float, terms: Terms = PLAIN
    ) -> None:
        self._inner, self._target, self._widths = inner, target, dict(sorted(widths.items()))
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


def around(metric: str, values: Floats, half: float | Floats, least: float = 0.0) -> Floats:
    """(n, 2) the ends of intervals of half-widths `half`, (n,) or one for all, in y around `values` (n,). Cycles stay
    above 0, counts at 0 or above, and values lie within. Of counts nothing is reported between 0 and `least`: an
    interval that starts there starts at 0, and one that ends there has nothing above its value."""
    one = 0.0 if metric == CYCLES else 1.0
    factor = np.exp2(2 * np.minimum(half, WIDEST))
    low, high = (one + values) / factor - one, (one + values) * factor - one
    low, high = np.where(low <= least, 0.0, low), np.where(high < least, values, high)
    return np.stack([np.minimum(np.maximum(low, 0.0), values), np.maximum(high, values)], axis=1)


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=3).hexdigest()
