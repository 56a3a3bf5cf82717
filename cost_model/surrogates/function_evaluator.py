"""Evaluators of one task's designs from a plain function: a batch in, metrics out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np

from cost_model.views.plain import PlainView, completed
from design.contracts import LEARNED, AtOnce, Prediction, Task
from design.core import LEVEL, Batch, Evaluation, Floats
from design.metrics import VALID, metric_unit

Answers = Callable[[Batch], dict[str, Floats]]


class FunctionEvaluator(AtOnce):
    """Answers with `metrics_of(batch)`, {metric: (n,)}; NaN is unknown. It states no intervals. A design is never
    infeasible by itself: the probability of validity is a metric, where there is a `validity`. A row that is no design
    is FAILED."""

    fidelity = LEARNED

    def __init__(
        self, name: str, version: str, task: Task, view: PlainView, metrics_of: Answers, validity: bool = True
    ) -> None:
        self.name, self.version, self._task, self._view = name, version, task, view
        names = (*task.metrics, VALID) if validity else task.metrics
        self.metrics: Mapping[str, str] = {name: metric_unit(name) for name in names}
        self._metrics_of = metrics_of

    def evaluate(self, batch: Batch, *, seed: int) -> Evaluation:
        """See `Evaluator`."""
        began, fault = time.perf_counter(), self._view.faults(self._task, batch)
        whole = self._view.sound(self._task, batch, fault == "")
        metrics = self._metrics_of(whole) if len(batch) else dict.fromkeys(self.metrics, np.empty(0))
        source, cost = f"{self.name}/{self.version}", time.perf_counter() - began
        return completed(Prediction(metrics, {}, {}, fault, source, LEVEL, cost))
