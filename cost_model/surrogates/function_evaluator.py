"""Evaluators of one kernel's designs from a plain function: columns of directives in, metrics out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np

from cost_model.surrogates.predictor import METRICS, VALID
from design.contracts import AtOnce
from design.core import Batch, Column, Evaluation, Floats, Status
from design.hls.design import FLATTEN, OFF

MOST_FACTOR = 2**31 - 1
Answers = Callable[[Batch], dict[str, Floats]]


class Predicted(AtOnce):
    """Answers with `metrics_of(batch)`, {metric: (n,)}; NaN is unknown. It states no intervals. A design is never
    infeasible by itself: the probability of validity is a metric. A value that is no directive's is FAILED."""

    def __init__(self, name: str, version: str, fidelity: int, metrics_of: Answers, validity: bool) -> None:
        self.name, self.version, self.fidelity = name, version, fidelity
        self.metrics: Mapping[str, str] = METRICS | ({VALID: "probability"} if validity else {})
        self._metrics_of = metrics_of

    def evaluate(self, batch: Batch, *, seed: int) -> Evaluation:
        """See `Evaluator`."""
        began, count = time.perf_counter(), len(batch)
        failed = np.zeros(count, dtype=bool)
        columns = {}
        for column in batch.schema.columns:
            given, least, most = batch.columns[column.name], *_range(column)
            failed |= (given < least) | (given > most)
            columns[column.name] = np.clip(given, least, most)
        metrics = self._metrics_of(Batch(batch.schema, columns)) if count else dict.fromkeys(self.metrics, np.empty(0))
        cost = (time.perf_counter() - began) / max(count, 1)
        said = np.full(count, f"{self.name}/{self.version}")
        return Evaluation(
            metrics={name: np.where(failed, np.nan, values) for name, values in metrics.items()},
            violation={},
            status=np.where(failed, Status.FAILED, Status.OK).astype(np.int8),
            reason=np.where(failed, "a directive has a value that none can have", ""),
            cost_s=np.full(count, cost),
            source=dict.fromkeys(metrics, said),
        )


def _range(column: Column) -> tuple[int, int]:
    """Least and most value of a directive's column: factors have a unit, ways of pipelining none."""
    return (1, MOST_FACTOR) if column.unit else (OFF, FLATTEN)
