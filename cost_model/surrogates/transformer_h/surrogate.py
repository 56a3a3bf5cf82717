"""Predictor `transformer-h`: a small transformer that has read other kernels and their results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cost_model.surrogates.function_evaluator import Predicted
from cost_model.surrogates.predictor import VALID, FittedOn, Labelled
from cost_model.surrogates.tables.targets import METRICS as TARGETS
from cost_model.surrogates.tables.targets import targets, values
from design.contracts import LEARNED, Evaluator
from design.core import Batch, Floats
from design.errors import InputError
from design.hls.design import Target
from design.hls.loop_nest import Kernel

if TYPE_CHECKING:  # torch is loaded by whoever has a trained model
    from cost_model.surrogates.transformer_h.trained import Trained

VERSION = "1"


class TransformerHPredictor:
    """A trained Transformer-H. Labels are learned by forests beside it, see
    `cost_model/surrogates/tables/correction.py`."""

    name = "transformer-h"

    def __init__(self, trained: Trained) -> None:
        """Raises InputError for a model of other targets than are scored."""
        metrics = trained.members[0].outputs.metrics
        if metrics != TARGETS:
            raise InputError(self.name, f"predicts {', '.join(metrics)}", ", ".join(TARGETS))
        self._trained = trained
        self.version = f"{VERSION}-{trained.digest[:8] or 'unstored'}"
        self.fitted_on = FittedOn(frozenset(trained.card.families), frozenset(trained.card.digests))

    @classmethod
    def read(cls, path: Path) -> TransformerHPredictor:
        """From the file of weights, its card beside it. Raises InputError as `read_trained` does."""
        from cost_model.surrogates.transformer_h.store import read_trained

        return cls(read_trained(path))

    def fitted(self, kernel: Kernel, target: Target, labels: Labelled | None, seed: int) -> Evaluator:
        """See `Predictor`. Labels without cycles or resources teach nothing, and none teaches what is valid."""
        from cost_model.surrogates.tables.correction import Correction, learn

        model = self._trained.of(kernel)
        correction = Correction(np.zeros(len(TARGETS)))
        if labels is not None:
            truth = targets({metric: labels.truth[metric] for metric in TARGETS})
            known = np.flatnonzero(np.isfinite(truth).all(axis=1))
            columns = labels.batch.take(known).columns
            if len(known):
                said = model.predict(target, columns)
                correction = learn(kernel, target, columns, said.y, said.estimate, truth[known], seed)

        def metrics_of(batch: Batch) -> dict[str, Floats]:
            said = model.predict(target, batch.columns)
            return values(correction.targets(kernel, target, batch.columns, said.y, said.estimate)) | {
                VALID: said.valid
            }

        return Predicted(self.name, self.version, LEARNED, metrics_of, validity=True)
