"""Evaluators of one kernel's designs from a plain function: columns of directives in, metrics out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np

from design.core import Batch, Evaluation, Floats, Status
from evaluators.base import AtOnce
from evaluators.predictor import METRICS, VALID

Answers = Callable[[Batch], dict[str, Floats]]


class Predicted(AtOnce):
    """Answers with `metrics_of(batch)`, {metric: (n,)}; NaN is unknown. A design is never infeasible by itself: the
    probability of validity is a metric."""

    def __init__(self, name: str, version: str, fidelity: int, metrics_of: Answers, validity: bool) -> None:
        self.name, self.version, self.fidelity = name, version, fidelity
        self.metrics: Mapping[str, str] = METRICS | ({VALID: ""} if validity else {})
        self._metrics_of = metrics_of

    def evaluate(self, batch: Batch, *, seed: int) -> Evaluation:
        """See `Evaluator`."""
        began, count = time.perf_counter(), len(batch)
        metrics = self._metrics_of(batch)
        cost = (time.perf_counter() - began) / max(count, 1)
        said = np.full(count, f"{self.name}/{self.version}")
        return Evaluation(
            metrics=metrics,
            violation={},
            status=np.full(count, Status.OK, dtype=np.int8),
            reason=np.full(count, ""),
            cost_s=np.full(count, cost),
            source=dict.fromkeys(metrics, said),
        )
