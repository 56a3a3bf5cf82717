"""What labels of the task asked add to a model that was trained on other tasks.

Two small forests learn from them. One learns what is left of the error, after its median, from the directives and both
answers; on families that the model had not seen it is best on cycles. The other learns the targets anew, from all that
table models see and both answers; the mean of the two is best on resources.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cost_model.surrogates.tables.models import TREES, Examples, TableModel, adapt
from cost_model.surrogates.tables.residual_forest import FEWEST, PRIOR_LABELS, Regression, residual_forest
from cost_model.views.plain import PlainView, logs
from design.contracts import Task
from design.core import Batch, Bools, Floats, Ints
from design.metrics import values_of


@dataclass(frozen=True)
class Correction:
    """Learned from labels of one task: `shift` (metrics,) of all targets, the forest of what `errors` remain, and the
    model of targets learned `anew`; None where labels are too few for more than a shift. Of a metric of which the
    trained model was `right` (metrics,) on all labels, which is how those that no label has are told, nothing is
    learned."""

    shift: Floats
    errors: Regression | None = None
    anew: TableModel | None = None
    right: Bools | None = None

    def targets(self, view: PlainView, task: Task, batch: Batch, y: Floats, estimate: Floats) -> Floats:
        """(n, metrics) of designs for which the trained model says `y` (n, metrics), as it was shown an `estimate`
        (n, width) whose first columns are the targets of the estimate."""
        found: Floats = y + self.shift
        if self.errors is None or self.anew is None or not len(y):
            return found
        found = found + self.errors.predict(_designs(view, task, batch, y, estimate))
        other = self.anew.regression(_program(view, task, batch, y, estimate))
        mean = (found + other) / 2
        mean[:, 0] = found[:, 0]
        return mean if self.right is None else np.where(self.right, y, mean)


def telling(truth: Floats, said: Floats) -> tuple[Ints, Floats]:
    """Of labels with targets `truth` (n, metrics) the rows that teach something, (m,), and their targets (m, metrics).
    A metric that no label has, because the tool does not report it, is taken as it was `said` (n, metrics): nothing is
    learned of it. Other rows that lack a metric are left out."""
    absent = np.isnan(truth).all(axis=0) if len(truth) else np.ones(truth.shape[1], dtype=bool)
    filled = np.where(absent, said, truth)
    rows = np.flatnonzero(np.isfinite(filled).all(axis=1)) if not absent.all() else np.arange(0)
    return rows, filled[rows]


def learn(
    view: PlainView, task: Task, batch: Batch, y: Floats, estimate: Floats, truth: Floats, seed: int
) -> Correction:
    """From n designs with true targets `truth` (n, metrics), none NaN."""
    error = truth - y
    if not len(error):
        return Correction(np.zeros(len(task.metrics)))
    shift: Floats = np.median(error, axis=0) * len(error) / (len(error) + PRIOR_LABELS)
    if len(error) < FEWEST:
        return Correction(shift)
    errors = residual_forest(_designs(view, task, batch, y, estimate), error - shift, seed)
    rows = Examples(_program(view, task, batch, y, estimate), truth, np.ones(len(truth), dtype=bool))
    first = TableModel(TREES, lambda rows: rows[:, : len(task.metrics)], lambda rows: np.ones(len(rows)))
    return Correction(shift, errors, adapt(first, rows, seed), (error == 0).all(axis=0))


def _designs(view: PlainView, task: Task, batch: Batch, y: Floats, estimate: Floats) -> Floats:
    """The designs beside the two metrics that matter most, as the trained model and as the estimate have them."""
    said, start = (values_of(part, task.metrics) for part in (y, estimate[:, : len(task.metrics)]))
    return np.concatenate([logs(task, said), view.local(task, batch), logs(task, start)], axis=1)


def _program(view: PlainView, task: Task, batch: Batch, y: Floats, estimate: Floats) -> Floats:
    """The trained model's targets first, then the estimate, the designs and what they make of the program."""
    return np.concatenate([y, estimate, view.features(task, batch), view.structure(task, batch)], axis=1)
