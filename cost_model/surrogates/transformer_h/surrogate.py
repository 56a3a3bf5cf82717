"""Surrogate `transformer-h`: a small transformer that has read other kernels and their results."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cost_model.surrogates.function_evaluator import FunctionEvaluator
from cost_model.views.plain import PlainView
from design.contracts import Dataset, Evaluator, Task, TrainingSet
from design.core import Batch, Floats
from design.errors import InputError
from design.metrics import HLS_METRICS, VALID, target_table, values_of

if TYPE_CHECKING:  # torch is loaded by whoever has a trained model
    from cost_model.surrogates.transformer_h.recipe import Recipe
    from cost_model.surrogates.transformer_h.trained import Ensemble
    from cost_model.training.checkpoint import Checkpoint

VERSION = "1"


class TransformerHSurrogate:
    """A trained Transformer-H. Labels are learned by forests beside it, see `surrogates/tables/correction.py`."""

    name = "transformer-h"

    def __init__(self, checkpoint: Checkpoint[Recipe, Ensemble], view: PlainView) -> None:
        """Raises InputError for a model of other targets than are scored."""
        metrics = tuple(checkpoint.recipe.metrics)
        if metrics != HLS_METRICS:
            raise InputError(self.name, f"predicts {', '.join(metrics)}", ", ".join(HLS_METRICS))
        self._ensemble, self._view = checkpoint.model, view
        self.version = f"{VERSION}-{checkpoint.digest[:8]}"
        self.trained_on = TrainingSet(frozenset(checkpoint.learned.families), frozenset(checkpoint.learned.digests))

    def condition(self, task: Task, labels: Dataset | None, *, seed: int) -> Evaluator:
        """See `Surrogate`. Labels without cycles or resources teach nothing, and none teaches what is valid. Raises
        InputError for a task of other metrics."""
        from cost_model.surrogates.tables.correction import Correction, learn

        if task.metrics != HLS_METRICS:
            refused = f"is of {task.schema.name} and its {', '.join(task.metrics)}, which {self.name} does not predict"
            raise InputError(f"task {task.name}", refused, "hls")
        model, view = self._ensemble.of(task), self._view
        correction = Correction(np.zeros(len(task.metrics)))
        if labels is not None:
            truth = target_table({metric: labels.metric(metric) for metric in task.metrics}, task.metrics)
            known = np.flatnonzero(np.isfinite(truth).all(axis=1))
            batch = labels.batch.take(known)
            if len(known):
                found = model.predict(batch.columns)
                correction = learn(view, task, batch, found.y, found.estimate, truth[known], seed)

        def metrics_of(batch: Batch) -> dict[str, Floats]:
            found = model.predict(batch.columns)
            y = correction.targets(view, task, batch, found.y, found.estimate)
            return values_of(y, task.metrics) | {VALID: found.valid}

        return FunctionEvaluator(self.name, self.version, task, view, metrics_of)
