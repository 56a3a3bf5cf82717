"""Predictors made of table models: what every other predictor is compared with, in the same run.

They learn from the kernels that are not judged, of no family that is, in both tool versions at once. One fit serves all
judged kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from cost_model.corpus.hls.leaks import apart
from cost_model.surrogates.function_evaluator import Predicted
from cost_model.surrogates.predictor import VALID, FittedOn, Labelled
from cost_model.surrogates.tables.models import BOOSTING, MEDIAN, TREES, Examples, TableModel, adapt, fit
from cost_model.surrogates.tables.targets import values
from cost_model.surrogates.tables.training import FEATURES, STARTS, rows_of, training_rows
from design.contracts import LEARNED, Evaluator
from design.core import Batch, Floats
from design.errors import InputError
from design.hls.design import Target
from design.hls.loop_nest import Kernel
from frontends.hls_results.tables import KernelTable

VERSION = "1"
BASELINES: dict[str, tuple[str, str]] = {  # name -> (kind of model, features)
    "train-median": (MEDIAN, "directives"),
    "extra-trees": (TREES, "directives"),
    "boosting": (BOOSTING, "directives"),
    "extra-trees+nest": (TREES, "nest"),
    "boosting+nest": (BOOSTING, "nest"),
}


class TablePredictor:
    """A table model of other kernels' results that can be shown labels of the kernel asked."""

    version = VERSION

    def __init__(self, name: str, features: str, model: TableModel, fitted_on: FittedOn) -> None:
        self.name, self.fitted_on = name, fitted_on
        self._features, self._model = FEATURES[features], model

    def fitted(self, kernel: Kernel, target: Target, labels: Labelled | None, seed: int) -> Evaluator:
        """See `Predictor`. Labels without cycles teach nothing here."""
        model = self._model
        if labels is not None:
            rows = rows_of(self._features, kernel, target, labels.batch, labels.truth, labels.valid)
            known = np.isfinite(rows.targets).all(axis=1)
            if known.any():
                model = adapt(model, Examples(rows.features[known], rows.targets[known], rows.valid[known]), seed)

        def metrics_of(batch: Batch) -> dict[str, Floats]:
            features = self._features(kernel, target, batch)
            return values(model.regression(features)) | {VALID: model.validity(features)}

        return Predicted(self.name, self.version, LEARNED, metrics_of, validity=True)


def baselines(
    training: Sequence[KernelTable],
    judged: Sequence[KernelTable],
    seed: int,
    progress: Callable[[str], None] = lambda line: None,
    names: Sequence[str] = tuple(BASELINES),
) -> list[TablePredictor]:
    """Those of BASELINES, fitted on the training tables that share no family and no content with a judged one.

    Raises InputError where no design with cycles is left to learn from.
    """
    tables = apart(training, judged)
    known = int(sum(np.isfinite(table.cycles).sum() for table in tables))
    if not known:
        what = f"{len(tables)} tables without the judged families hold no design with cycles"
        raise InputError("baselines", what, "results of other kernels to learn from (--train-data)")
    fitted_on = FittedOn(frozenset(t.family for t in tables), frozenset(t.kernel.digest for t in tables))
    rows = {name: training_rows(features, tables) for name, features in FEATURES.items()}
    found = []
    for name in names:
        kind, features = BASELINES[name]
        progress(f"fitting {name} on {known} designs of {len(fitted_on.families)} families")
        found.append(TablePredictor(name, features, fit(kind, rows[features], seed, STARTS[features]), fitted_on))
    return found
