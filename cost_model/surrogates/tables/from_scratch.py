"""Surrogates that learn from a task's own labels and nothing else: the loops that every other loop is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

import numpy as np

from cost_model.surrogates.tables.correction import telling
from cost_model.surrogates.tables.feasibility import learn_validity
from cost_model.surrogates.tables.task_only import FEWEST, fit_alone
from cost_model.views.plain import PlainView
from design.contracts import LEARNED, AtOnce, Dataset, Evaluator, Prediction, Task, TrainingSet
from design.core import LEVEL, Batch, Bools, Evaluation, Floats
from design.metrics import VALID, target_table, values_of

VERSION = "1"
WIDE = 1.6448536269514722  # standard deviations on either side of the mean hold LEVEL of a normal distribution
KNOWS_NOTHING = 3.0, 3.0  # mean and deviation of targets where there are no labels: cycles from 2 to 1e7


class TaskOnlySurrogate:
    """Models of `kind` (`task_only.py`) on a task's features. The seed is that of the model. Labels that lack a metric
    that others have teach what is feasible only."""

    version, trained_on = VERSION, TrainingSet()

    def __init__(self, kind: str, view: PlainView) -> None:
        self.name, self._view = kind, view

    def condition(self, task: Task, labels: Dataset | None, *, seed: int) -> Evaluator:
        """See `Surrogate`."""
        return TaskOnlyEvaluator(self.name, task, self._view, labels, seed)


class TaskOnlyEvaluator(AtOnce):
    """Answers for one task's designs, each with the central 90 % of what the model holds possible."""

    fidelity = LEARNED

    def __init__(self, kind: str, task: Task, view: PlainView, labels: Dataset | None, seed: int) -> None:
        self.name, self._task, self._view = kind, task, view
        self.metrics: Mapping[str, str] = view.metrics(task)
        self.version = VERSION
        self._model = self._feasible = None
        self._absent: Bools = np.ones(len(task.metrics), dtype=bool)  # of which no label says anything
        labels = None if labels is None else labels.answered()
        if labels is None or not len(labels):
            return
        sound = view.faults(task, labels.batch) == ""
        truth = target_table({metric: labels.metric(metric) for metric in task.metrics}, task.metrics)
        rows = view.features(task, labels.batch)
        places = np.flatnonzero(sound)
        known, told_of = telling(truth[places], np.full((len(places), len(task.metrics)), KNOWS_NOTHING[0]))
        self._absent = np.array(np.isnan(truth[places]).all(axis=0))
        if len(known) >= FEWEST:
            self._model = fit_alone(kind, rows[places[known]], told_of, seed)
        feasible = labels.feasible & np.isfinite(labels.metric(task.metrics[0]))
        self._feasible = learn_validity(rows, np.full(len(labels), 0.5), feasible, seed)
        told = repr((seed, truth.tolist(), feasible.tolist(), rows.tolist()))
        self.version += f"({len(labels)} labels {blake2b(told.encode(), digest_size=4).hexdigest()})"

    def evaluate(self, batch: Batch, *, seed: int) -> Evaluation:
        """See `Evaluator`."""
        task, view, count = self._task, self._view, len(batch)
        fault = view.faults(task, batch)
        rows = view.features(task, view.sound(task, batch, fault == ""))
        mean, spread = (np.full((count, len(task.metrics)), number) for number in KNOWS_NOTHING)
        if self._model is not None and count:
            found = self._model(rows)
            mean, spread = np.where(self._absent, mean, found.mean), np.where(self._absent, spread, found.spread)
        ends = [values_of(mean + side * WIDE * spread, task.metrics) for side in (-1, 1)]
        medians = values_of(mean, task.metrics)
        interval = {m: np.sort(np.stack([end[m] for end in ends], axis=1), axis=1) for m in task.metrics}
        view.derive(task, medians, interval)
        likely: Floats = np.full(count, 0.5)
        medians[VALID] = likely if self._feasible is None else self._feasible(rows, likely)
        interval[VALID] = np.tile([0.0, 1.0], (count, 1))
        source = f"{self.name}/{self.version}"
        return view.complete(task, Prediction(medians, interval, {}, fault, source, LEVEL))
