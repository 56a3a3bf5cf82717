"""Surrogates made of table models: what every other one is compared with, in the same run.

They learn from the tasks that are not judged, of no family that is, by all tools at once. One fit serves all judged
tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from cost_model.corpus.leaks import apart
from cost_model.surrogates.function_evaluator import FunctionEvaluator
from cost_model.surrogates.tables.models import BOOSTING, MEDIAN, TREES, Examples, TableModel, adapt, fit
from cost_model.surrogates.tables.training import FEATURES, rows_of, start_of, training_rows
from cost_model.views.plain import PlainView
from design.contracts import Dataset, Evaluator, Task, TrainingSet
from design.core import Batch, Floats
from design.errors import InputError
from design.metrics import VALID, values_of

VERSION = "1"
BASELINES: dict[str, tuple[str, str]] = {  # name -> (kind of model, features)
    "train-median": (MEDIAN, "directives"),
    "extra-trees": (TREES, "directives"),
    "boosting": (BOOSTING, "directives"),
    "extra-trees+nest": (TREES, "nest"),
    "boosting+nest": (BOOSTING, "nest"),
}


class TransferSurrogate:
    """A table model of other tasks' results that can be shown labels of the task asked."""

    version = VERSION

    def __init__(self, name: str, features: str, model: TableModel, trained_on: TrainingSet, view: PlainView) -> None:
        self.name, self.trained_on, self._view = name, trained_on, view
        self._features, self._model = FEATURES[features], model

    def condition(self, task: Task, labels: Dataset | None, *, seed: int) -> Evaluator:
        """See `Surrogate`. Labels that lack a metric teach nothing here."""
        model = self._model
        if labels is not None:
            rows = rows_of(self._features, self._view, labels.answered())
            known = np.isfinite(rows.targets).all(axis=1)
            if known.any():
                model = adapt(model, Examples(rows.features[known], rows.targets[known], rows.valid[known]), seed)

        def metrics_of(batch: Batch) -> dict[str, Floats]:
            features = self._features(self._view, task, batch)
            return values_of(model.regression(features), task.metrics) | {VALID: model.validity(features)}

        return FunctionEvaluator(self.name, self.version, task, self._view, metrics_of)


def baselines(
    training: Sequence[Dataset],
    judged: Sequence[Dataset],
    view: PlainView,
    seed: int,
    progress: Callable[[str], None] = lambda line: None,
    names: Sequence[str] = tuple(BASELINES),
) -> list[TransferSurrogate]:
    """Those of BASELINES, fitted on the training data that share no family and no content with a judged one.

    Raises InputError where no design with an answer is left to learn from.
    """
    tables = apart(training, judged)
    known = int(sum(np.isfinite(data.metric(data.task.metrics[0])).sum() for data in tables))
    if not known:
        metric = judged[0].task.metrics[0]
        what = f"{len(tables)} tables without the judged families hold no design with {metric}"
        raise InputError("baselines", what, "results of other kernels to learn from (--train-data)")
    trained_on = TrainingSet(frozenset(t.task.family for t in tables), frozenset(t.task.digest for t in tables))
    rows = {name: training_rows(features, view, tables) for name, features in FEATURES.items()}
    found = []
    for name in names:
        kind, features = BASELINES[name]
        progress(f"fitting {name} on {known} designs of {len(trained_on.families)} families")
        start = start_of(features, len(tables[0].task.metrics))
        model = fit(kind, rows[features], seed, start)
        found.append(TransferSurrogate(name, features, model, trained_on, view))
    return found
