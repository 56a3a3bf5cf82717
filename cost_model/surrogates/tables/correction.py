"""What labels of the kernel asked add to a model that was trained on other kernels.

Two small forests learn from them. One learns what is left of the error, after its median, from the directives and both
answers; on families that the model had not seen it is best on cycles. The other learns the targets anew, from all that
table models see and both answers; the mean of the two is best on resources.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cost_model.hls.adapt import FEWEST, PRIOR_LABELS, features
from cost_model.surrogates.tables.models import TREES, Examples, TableModel, adapt
from cost_model.surrogates.tables.residual_forest import Regression, residual_forest
from cost_model.surrogates.tables.targets import METRICS, values
from cost_model.views.hls.directive_features import directive_features
from cost_model.views.hls.nest_features import nest_features
from design.core import Bools, Floats, Ints
from design.hls.design import Target
from design.hls.loop_nest import Kernel

CYCLES = METRICS.index("cycles")


@dataclass(frozen=True)
class Correction:
    """Learned from labels of one kernel: `shift` (metrics,) of all targets, the forest of what `errors` remain, and the
    model of targets learned `anew`; None where labels are too few for more than a shift. Of a metric of which the
    trained model was `right` (metrics,) on all labels, which is how those that no label has are told, nothing is
    learned."""

    shift: Floats
    errors: Regression | None = None
    anew: TableModel | None = None
    right: Bools | None = None

    def targets(
        self, kernel: Kernel, target: Target, columns: Mapping[str, Ints], y: Floats, estimate: Floats
    ) -> Floats:
        """(n, metrics) of designs for which the trained model says `y` (n, metrics), as it was shown an `estimate`
        (n, width) whose first columns are the targets of the estimate."""
        found: Floats = y + self.shift
        if self.errors is None or self.anew is None or not len(y):
            return found
        found = found + self.errors.predict(_directives(kernel, columns, y, estimate))
        other = self.anew.regression(_program(kernel, target, columns, y, estimate))
        mean = (found + other) / 2
        mean[:, CYCLES] = found[:, CYCLES]
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
    kernel: Kernel, target: Target, columns: Mapping[str, Ints], y: Floats, estimate: Floats, truth: Floats, seed: int
) -> Correction:
    """From n designs with true targets `truth` (n, metrics), none NaN."""
    error = truth - y
    if not len(error):
        return Correction(np.zeros(len(METRICS)))
    shift: Floats = np.median(error, axis=0) * len(error) / (len(error) + PRIOR_LABELS)
    if len(error) < FEWEST:
        return Correction(shift)
    errors = residual_forest(_directives(kernel, columns, y, estimate), error - shift, seed)
    rows = Examples(_program(kernel, target, columns, y, estimate), truth, np.ones(len(truth), dtype=bool))
    first = TableModel(TREES, lambda rows: rows[:, : len(METRICS)], lambda rows: np.ones(len(rows)))
    return Correction(shift, errors, adapt(first, rows, seed), (error == 0).all(axis=0))


def _directives(kernel: Kernel, columns: Mapping[str, Ints], y: Floats, estimate: Floats) -> Floats:
    """The directives beside cycles and LUT as the trained model and as the estimate have them."""
    start = values(estimate[:, : len(METRICS)])
    other = [np.log2(np.maximum(start[name], 1.0)) for name in ("cycles", "lut")]
    return np.concatenate([features(kernel, columns, values(y)), np.stack(other, axis=1)], axis=1)


def _program(kernel: Kernel, target: Target, columns: Mapping[str, Ints], y: Floats, estimate: Floats) -> Floats:
    """The trained model's targets first, then the estimate, the directives and what they do to the loop nest."""
    parts = [y, estimate, directive_features(kernel, target, columns), nest_features(kernel, columns)]
    return np.concatenate(parts, axis=1)
