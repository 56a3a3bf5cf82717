"""Evaluator `cascade`: a learned model where it is sure enough, the estimate where it is not.

For each design and metric the model's word is taken where its calibrated interval is narrow, else the estimate's. Which
it was stands in `source`. Whether a design is valid the model foresees no better, so that is the estimate's word. The
gate is a pure function of a row and of the versions of both; what a search buys and learns is not its business, a
recalibrated model is another cascade.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from cost_model.hls.adapt import features
from cost_model.hls.rows import UTILISATION, add_shares, answered, faults
from cost_model.surrogates.predictor import METRICS, VALID, FittedOn, Labelled, Predictor
from cost_model.surrogates.tables.feasibility import Validity, learn_validity
from design.contracts import LEARNED, Evaluator, together_of
from design.core import Batch, Bools, Evaluation, Floats, Rows
from design.errors import InputError
from design.hls.design import Target
from design.hls.loop_nest import Kernel
from design.metrics import METRICS as KNOWN
from design.metrics import target as y_of

VERSION = "1"
LOG = logging.getLogger("tilewright")
Texts = NDArray[np.str_]
WIDEST = 2.0  # half an interval in y, where 1 is a factor of 4: beyond, the estimate is at least as good


class Cascade:
    """Answers about one kernel's designs from `model` and `estimate`, both evaluators of them; `model` None: from the
    estimate alone, for the reason `why`. `validity` says how likely a design is valid, given what was expected.

    A design whose median takes more than the device's usable share is INFEASIBLE by as much; a directive that its loop
    cannot have is FAILED. Samples are the model's, NaN where the estimate speaks.
    """

    name = "cascade"
    fidelity = LEARNED

    def __init__(
        self,
        kernel: Kernel,
        target: Target,
        model: Evaluator | None,
        estimate: Evaluator,
        validity: LearnedValidity | None = None,
        widest: float = WIDEST,
        why: str = "",
    ) -> None:
        self.kernel, self.target, self.model, self.estimate, self.why = kernel, target, model, estimate, why
        self._validity, self._widest = validity, widest
        shares = [f"{name}_share" for name in target.device.resources]
        self.metrics: Mapping[str, str] = {n: KNOWN[n].unit for n in (*METRICS, *shares, UTILISATION, VALID)}
        self.together = 1 if model is None else together_of(model)
        said = [repr(widest), estimate.version, *([] if model is None else [model.name, model.version])]
        said += [] if validity is None else [validity.digest]
        self.version = f"{VERSION}({_digest(' '.join(said))})"

    def evaluate(self, batch: Batch, *, seed: int) -> Evaluation:
        """See `Evaluator`."""
        begin = time.process_time()
        high = None if self.model is None else self.model.evaluate(batch, seed=seed)
        sure = {metric: self._sure(high, metric, len(batch)) for metric in METRICS}
        low = self.estimate.evaluate(batch, seed=seed)
        high = low if high is None else high
        values = {m: np.where(sure[m], high.metrics[m], low.metrics[m]) for m in METRICS}
        interval = {m: np.where(sure[m][:, None], high.interval[m], low.interval[m]) for m in METRICS}
        samples = {m: np.where(sure[m][:, None], s, np.nan) for m, s in high.samples.items() if m in METRICS}
        source = {m: np.where(sure[m], high.source[m], low.source[m]) for m in METRICS}
        add_shares(values, interval, self.target.device)
        values[VALID], source[VALID] = low.metrics[VALID], low.source[VALID]
        if self._validity is not None:
            values[VALID] = self._validity.probability(self.kernel, batch, low.metrics[VALID])
            source[VALID] = np.full(len(batch), f"{self.name}/{self.version}")
        values[VALID] = values[VALID] * fitting(values[UTILISATION], interval[UTILISATION], self.target, high.level)
        interval[VALID] = np.tile([0.0, 1.0], (len(batch), 1))  # one design is valid or not
        fault = faults(self.kernel, batch.columns)
        spent = time.process_time() - begin
        answer = answered(values, interval, samples, fault, self.target, "predicted", "", high.level, spent)
        return replace(answer, source=source | self._shares(values, source))

    def stream(self, batch: Batch, *, seed: int) -> Iterator[tuple[Rows, Evaluation]]:
        """See `Evaluator`."""
        yield np.arange(len(batch)), self.evaluate(batch, seed=seed)

    def _sure(self, answer: Evaluation | None, metric: str, rows: int) -> Bools:
        """(n,) where the model's word on a metric is taken."""
        if answer is None or not {metric} <= set(answer.interval) & set(answer.metrics):
            return np.zeros(rows, dtype=bool)
        with np.errstate(all="ignore"):
            low, high = y_of(metric, answer.interval[metric]).T
            half = np.abs(high - low) / 2
        found: Bools = np.isfinite(answer.metrics[metric]) & (half <= self._widest)
        return found

    def _shares(self, values: Mapping[str, Floats], source: Mapping[str, Texts]) -> dict[str, Texts]:
        """Shares are said by who said the counts, the largest by who said that one."""
        names = list(self.target.device.resources)
        table = np.nan_to_num(np.stack([values[f"{name}_share"] for name in names]))
        most = np.choose(np.argmax(table, axis=0), [source[name] for name in names]) if table.size else source[names[0]]
        return {f"{name}_share": source[name] for name in names} | {UTILISATION: most}


def fitting(share: Floats, interval: Floats, target: Target, level: float) -> Floats:
    """(n,) how likely designs are to take less than is usable of the device, given the median of their largest `share`
    and its interval (n, 2): normal in the logarithm on either side. 1 where the share is unknown."""
    from scipy.special import ndtr

    usable = target.device.usable
    with np.errstate(all="ignore"):
        way, room = np.log(interval / share[:, None]), np.log(usable / share)
    side = np.where(room > 0, way[:, 1], -way[:, 0]) / NormalDist().inv_cdf((1 + level) / 2)
    with np.errstate(all="ignore"):
        scores = np.where(side > 0, room / side, np.sign(room) * np.inf)
    likely = np.maximum(ndtr(scores), 1e-3)  # nothing is certain
    found: Floats = np.where(np.isfinite(share) & (share > 0), likely, 1.0)
    return found


def rows_of(kernel: Kernel, batch: Batch, estimated: Evaluation) -> Floats:
    """Designs as rows from which validity is learned, (n, k): directives, and cycles and resources as estimated."""
    known = {name: np.nan_to_num(estimated.metrics[name]) for name in ("cycles", "lut", UTILISATION)}
    share = np.log2(np.maximum(known[UTILISATION], 1e-4))
    return np.column_stack([features(kernel, batch.columns, known), share])


class CascadePredictor:
    """A cascade of `model` and `estimate`, both shown the labels. Labels of which the tool had no result for some also
    teach which designs are valid; if it had one for each, they were chosen so. A kernel that the model cannot read is
    the estimate's alone; so is every one where `model` is None."""

    name = "cascade"

    def __init__(self, model: Predictor | None, estimate: Predictor, widest: float = WIDEST) -> None:
        self.model, self.estimate, self.widest = model, estimate, widest
        who = "" if model is None else f"{model.name} {model.version}"
        self.version = f"{VERSION}-{_digest(f'{widest!r} {who} {estimate.version}')}"
        seen = (FittedOn() if model is None else model.fitted_on), estimate.fitted_on
        families, digests = seen[0].families | seen[1].families, seen[0].digests | seen[1].digests
        self.fitted_on: FittedOn = Either(families, digests, seen)

    def fitted(self, kernel: Kernel, target: Target, labels: Labelled | None, seed: int) -> Cascade:
        """See `Predictor`."""
        estimate = self.estimate.fitted(kernel, target, labels, seed)
        model, why = None, "no model"
        if self.model is not None:
            try:
                model, why = self.model.fitted(kernel, target, labels, seed), ""
            except InputError as error:
                why = str(error)
                LOG.info("%s is the estimate's alone: %s", kernel.name, why)
        found = Cascade(kernel, target, model, estimate, None, self.widest, why)
        if labels is None or not np.isnan(labels.truth["cycles"]).any():
            return found
        expected = found.evaluate(labels.batch, seed=seed).metrics[VALID]
        plain = self.estimate.fitted(kernel, target, None, seed)
        valid = labels.valid & np.isfinite(labels.truth["cycles"])
        rows = rows_of(kernel, labels.batch, plain.evaluate(labels.batch, seed=seed))
        learned = learn_validity(rows, np.nan_to_num(expected), valid, seed)
        validity = LearnedValidity(plain, learned, f"{len(labels)} labels {_digest(_told(labels, seed))}")
        return Cascade(kernel, target, model, estimate, validity, self.widest, why)


@dataclass(frozen=True)
class LearnedValidity:
    """What labels, whose number and content `digest` tells, teach of validity, from designs as `plain` estimates them:
    the estimate without labels, which sees those that were labelled as it sees the others."""

    plain: Evaluator
    learned: Validity
    digest: str

    def probability(self, kernel: Kernel, batch: Batch, expected: Floats) -> Floats:
        """(n,) given what was expected."""
        return self.learned(rows_of(kernel, batch, self.plain.evaluate(batch, seed=0)), np.nan_to_num(expected))


@dataclass(frozen=True)
class Either(FittedOn):
    """What two predictors have seen between them; `families` and `digests` are of both."""

    parts: tuple[FittedOn, FittedOn] = (FittedOn(), FittedOn())

    def saw(self, family: str, digest: str) -> bool:
        """Whether a kernel, or one of its family, was among either."""
        return any(part.saw(family, digest) for part in self.parts)


def _told(labels: Labelled, seed: int) -> str:
    """All that labels say."""
    columns = sorted((name, values.tolist()) for name, values in labels.batch.columns.items())
    truth = sorted((name, values.tolist()) for name, values in labels.truth.items())
    return repr((seed, columns, truth, labels.valid.tolist()))


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=4).hexdigest()
