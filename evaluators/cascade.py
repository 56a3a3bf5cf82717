"""Evaluator `cascade`: a learned model where it is sure enough, the analytic reference where it is not.

For each design and metric the model's prediction is taken where its calibrated interval is narrow, else the
reference's. Which it was stands in `source`. Whether a design is feasible the model foresees no better, so that is the
reference's answer. The gate is a pure function of a row and of the versions of both; what a search queries and learns
is not its business, a recalibrated model is another cascade.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np

from cost_model.surrogates.tables.feasibility import Validity, learn_validity
from cost_model.views.plain import PlainView
from design.contracts import LEARNED, Dataset, Evaluator, Prediction, Surrogate, Task, TrainingSet, together_of
from design.core import Batch, Bools, Evaluation, Floats, Rows
from design.errors import InputError
from design.metrics import VALID
from design.metrics import target as y_of

VERSION = "1"
LOG = logging.getLogger("tilewright")
WIDEST = 2.0  # half an interval in y, where 1 is a factor of 4: beyond, the reference is at least as good


class Cascade:
    """Answers about one task's designs from `model` and `reference`, both evaluators of them; `model` None: from the
    reference only, for the reason `why`. `feasibility` says how likely a design counts, given what was expected.

    Constraints and rows that are no designs are as the domain's view has them. Samples are the model's, NaN where the
    reference answers.
    """

    name = "cascade"
    fidelity = LEARNED

    def __init__(
        self,
        task: Task,
        view: PlainView,
        model: Evaluator | None,
        reference: Evaluator,
        feasibility: LearnedFeasibility | None = None,
        widest: float = WIDEST,
        why: str = "",
    ) -> None:
        self.task, self.view, self.model, self.reference, self.why = task, view, model, reference, why
        self._feasibility, self._widest = feasibility, widest
        self.metrics: Mapping[str, str] = view.metrics(task)
        self.together = 1 if model is None else together_of(model)
        parts = [repr(widest), reference.version, *([] if model is None else [model.name, model.version])]
        parts += [] if feasibility is None else [feasibility.digest]
        self.version = f"{VERSION}({_digest(' '.join(parts))})"

    def evaluate(self, batch: Batch, *, seed: int) -> Evaluation:
        """See `Evaluator`."""
        task, view, count = self.task, self.view, len(batch)
        begin = time.process_time()
        high = None if self.model is None else self.model.evaluate(batch, seed=seed)
        sure = {metric: self._sure(high, metric, count) for metric in task.metrics}
        low = self.reference.evaluate(batch, seed=seed)
        high = low if high is None else high
        values = {m: np.where(sure[m], high.metrics[m], low.metrics[m]) for m in task.metrics}
        stated = [m for m in task.metrics if m in high.interval or m in low.interval]
        interval = {m: np.where(sure[m][:, None], _ends(high, m), _ends(low, m)) for m in stated}
        samples = {m: np.where(sure[m][:, None], s, np.nan) for m, s in high.samples.items() if m in task.metrics}
        source = {m: np.where(sure[m], high.source[m], low.source[m]) for m in task.metrics}
        view.derive(task, values, interval)
        values[VALID] = low.metrics.get(VALID, np.ones(count))
        source[VALID] = low.source.get(VALID, low.source[task.metrics[0]])
        if self._feasibility is not None:
            values[VALID] = self._feasibility.probability(batch, values[VALID])
            source[VALID] = np.full(count, f"{self.name}/{self.version}")
        values[VALID] = values[VALID] * view.fits(task, values, interval, high.level)
        interval[VALID] = np.tile([0.0, 1.0], (count, 1))  # one design is valid or not
        fault, spent = view.faults(task, batch), time.process_time() - begin
        answer = view.complete(task, Prediction(values, interval, samples, fault, "", high.level, spent))
        return replace(answer, source=source | view.derived_sources(task, values, source))

    def stream(self, batch: Batch, *, seed: int) -> Iterator[tuple[Rows, Evaluation]]:
        """See `Evaluator`."""
        yield np.arange(len(batch)), self.evaluate(batch, seed=seed)

    def _sure(self, answer: Evaluation | None, metric: str, rows: int) -> Bools:
        """(n,) where the model's prediction of a metric is taken."""
        if answer is None or not {metric} <= set(answer.interval) & set(answer.metrics):
            return np.zeros(rows, dtype=bool)
        with np.errstate(all="ignore"):
            low, high = y_of(metric, answer.interval[metric]).T
            half = np.abs(high - low) / 2
        found: Bools = np.isfinite(answer.metrics[metric]) & (half <= self._widest)
        return found


class CascadeSurrogate:
    """A cascade of `model` and `reference`, both shown the labels. Labels of which the truth had no result for some
    also teach which designs are feasible; if it had one for each, they were chosen so. A task that the model cannot
    read is the reference's only; so is every one where `model` is None."""

    name = "cascade"

    def __init__(self, model: Surrogate | None, reference: Surrogate, view: PlainView, widest: float = WIDEST) -> None:
        self.model, self.reference, self.view, self.widest = model, reference, view, widest
        who = "" if model is None else f"{model.name} {model.version}"
        self.version = f"{VERSION}-{_digest(f'{widest!r} {who} {reference.version}')}"
        self.trained_on = TrainingSet.union(TrainingSet() if model is None else model.trained_on, reference.trained_on)

    def condition(self, task: Task, labels: Dataset | None, *, seed: int) -> Cascade:
        """See `Surrogate`."""
        labels = None if labels is None else labels.answered()
        reference, view = self.reference.condition(task, labels, seed=seed), self.view
        model, why = None, "no model"
        if self.model is not None:
            try:
                model, why = self.model.condition(task, labels, seed=seed), ""
            except InputError as error:
                why = str(error)
                LOG.info("%s is answered by the reference only: %s", task.name, why)
        found = Cascade(task, view, model, reference, None, self.widest, why)
        first = task.metrics[0]
        if labels is None or not np.isnan(labels.metric(first)).any():
            return found
        expected = found.evaluate(labels.batch, seed=seed).metrics[VALID]
        plain = self.reference.condition(task, None, seed=seed)
        feasible = labels.feasible & np.isfinite(labels.metric(first))
        rows = view.feasibility_features(task, labels.batch, plain.evaluate(labels.batch, seed=seed))
        learned = learn_validity(rows, np.nan_to_num(expected), feasible, seed)
        digest = f"{len(labels)} labels {_digest(_content(labels, seed))}"
        feasibility = LearnedFeasibility(task, view, plain, learned, digest)
        return Cascade(task, view, model, reference, feasibility, self.widest, why)


@dataclass(frozen=True)
class LearnedFeasibility:
    """What labels, whose number and content `digest` tells, teach of feasibility, from designs as `plain` estimates
    them: the reference without labels, which sees those that were labelled as it sees the others."""

    task: Task
    view: PlainView
    plain: Evaluator
    learned: Validity
    digest: str

    def probability(self, batch: Batch, expected: Floats) -> Floats:
        """(n,) given what was expected."""
        rows = self.view.feasibility_features(self.task, batch, self.plain.evaluate(batch, seed=0))
        return self.learned(rows, np.nan_to_num(expected))


def _ends(answer: Evaluation, metric: str) -> Floats:
    """(n, 2) the interval of a metric; without an end where none is stated."""
    found = answer.interval.get(metric)
    if found is not None:
        return found
    known = np.isfinite(answer.metrics[metric])[:, None]
    return np.where(known, [[0.0, np.inf]], np.nan)


def _content(labels: Dataset, seed: int) -> str:
    """All that labels say."""
    columns = sorted((name, values.tolist()) for name, values in labels.batch.columns.items())
    truth = sorted((name, labels.metric(name).tolist()) for name in labels.task.metrics)
    return repr((seed, columns, truth, labels.feasible.tolist()))


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=4).hexdigest()
