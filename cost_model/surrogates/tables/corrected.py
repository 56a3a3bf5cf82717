"""Surrogate `estimate` of domains without one of their own: the analytic reference, corrected by labels of the task."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np

from cost_model.surrogates.function_evaluator import FunctionEvaluator
from cost_model.surrogates.tables.correction import learn, telling
from cost_model.surrogates.tables.feasibility import learn_validity
from cost_model.views.plain import PlainView
from design.contracts import Dataset, Evaluator, Task, TrainingSet
from design.core import Batch, Floats, Status
from design.errors import InputError
from design.metrics import VALID, target_table, values_of

VERSION = "1"
SURE = 0.95  # how likely a design is feasible that the reference calls so


class CorrectedReference:
    """The reference of a task's view. Labels move its targets by their median error and by forests of what is left;
    which designs are feasible is learned from all of them. Without labels it answers as the reference does. A metric
    that the reference does not know is learned from labels only."""

    name, version, trained_on = "estimate", VERSION, TrainingSet()

    def __init__(self, view: PlainView) -> None:
        self._view = view

    def condition(self, task: Task, labels: Dataset | None, *, seed: int) -> Evaluator:
        """See `Surrogate`. Raises InputError for a task without a reference."""
        view, names, reference = self._view, task.metrics, self._view.reference(task)
        if reference is None:
            found = f"task {task.name} of {task.schema.name} has no analytic reference"
            raise InputError("--evaluator estimate", found, "another surrogate")

        def expected(batch: Batch) -> tuple[Floats, Floats]:
            """Targets (n, metrics) of the reference, NaN where it knows none, and how likely designs are feasible."""
            answer = reference.evaluate(batch, seed=seed)
            unknown = np.full(len(batch), np.nan)
            with np.errstate(all="ignore"):
                y = target_table({name: answer.metrics.get(name, unknown) for name in names}, names)
            likely = np.where(answer.status == Status.OK, SURE, 1 - SURE)
            return np.where(np.isfinite(y), y, np.nan), answer.metrics.get(VALID, likely)

        def as_it_is(batch: Batch) -> dict[str, Floats]:
            y, likely = expected(batch)
            return values_of(y, names) | {VALID: likely}

        labels = None if labels is None else labels.answered()
        if labels is None or not len(labels):
            return FunctionEvaluator(self.name, VERSION, task, view, as_it_is)
        start, likely = expected(labels.batch)
        start = np.nan_to_num(start)
        truth = target_table({name: labels.metric(name) for name in names}, names)
        rows, told = telling(truth, start)
        correction = learn(view, task, labels.batch.take(rows), start[rows], start[rows], told, seed)
        feasible = labels.feasible & np.isfinite(labels.metric(names[0]))
        validity = learn_validity(view.local(task, labels.batch), likely, feasible, seed)

        def corrected(batch: Batch) -> dict[str, Floats]:
            y, likely = expected(batch)
            start = np.nan_to_num(y)
            found = correction.targets(view, task, batch, start, start)
            known = np.isfinite(y).any(
                axis=1, keepdims=True
            )  # of a row that the reference cannot price nothing is known
            return values_of(np.where(known, found, np.nan), names) | {VALID: validity(view.local(task, batch), likely)}

        content = repr((seed, truth.tolist(), feasible.tolist(), view.features(task, labels.batch).tolist()))
        version = f"{VERSION}({len(labels)} labels {blake2b(content.encode(), digest_size=4).hexdigest()})"
        return FunctionEvaluator(self.name, version, task, view, corrected)
