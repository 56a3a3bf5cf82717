"""How models of loop directives learn from what was bought."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cost_model.surrogates.predictor import METRICS, Labelled, Predictor
from design.contracts import Evaluator
from design.core import Batch, Evaluation, Status
from design.hls.design import Target
from design.hls.loop_nest import Kernel


@dataclass(frozen=True)
class HlsLearner:
    """A predictor for one kernel and target. See `Learner`."""

    predictor: Predictor
    kernel: Kernel
    target: Target
    seed: int

    def learned(self, designs: Batch | None, answers: Evaluation | None) -> Evaluator:
        """See `Learner`."""
        labels = None if designs is None or answers is None else labelled(designs, answers)
        return self.predictor.fitted(self.kernel, self.target, labels, self.seed)


def labelled(designs: Batch, answers: Evaluation) -> Labelled | None:
    """What a truth said of designs, as predictors are shown it; None where it said nothing of any. A design that FAILED
    says nothing."""
    rows = np.flatnonzero(answers.status != Status.FAILED)
    if not len(rows):
        return None
    unknown = np.full(len(answers), np.nan)
    truth = {metric: answers.metrics.get(metric, unknown)[rows] for metric in METRICS}
    return Labelled(designs.take(rows), truth, (answers.status == Status.OK)[rows])
