"""From result tables to rows that table models learn from, with the features of either kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from cost_model.surrogates.tables.models import Examples
from cost_model.surrogates.tables.targets import METRICS, targets
from cost_model.views.hls.directive_features import directive_features
from cost_model.views.hls.estimate_features import estimate_features
from cost_model.views.hls.nest_features import nest_features
from design.core import Batch, Bools, Floats
from design.hls.design import Target
from design.hls.loop_nest import Kernel
from frontends.hls_results.tables import KernelTable

Features = Callable[[Kernel, Target, Batch], Floats]  # (n, width)


def directives_alone(kernel: Kernel, target: Target, batch: Batch) -> Floats:
    """The values of the directives, with no look at the program."""
    return directive_features(kernel, target, batch.columns)


def with_program(kernel: Kernel, target: Target, batch: Batch) -> Floats:
    """The analytic estimate, the directives' values, and what they do to the loop nest."""
    parts = [
        estimate_features(kernel, target, batch.columns),
        directive_features(kernel, target, batch.columns),
        nest_features(kernel, batch.columns),
    ]
    return np.concatenate(parts, axis=1)


FEATURES: dict[str, Features] = {"directives": directives_alone, "nest": with_program}
STARTS: dict[str, slice | None] = {"directives": None, "nest": slice(0, len(METRICS))}  # the estimate's columns


def rows_of(
    features: Features, kernel: Kernel, target: Target, batch: Batch, truth: Mapping[str, Floats], valid: Bools
) -> Examples:
    """Designs of one kernel with their answers, `truth` by metric (n,), as rows to learn from."""
    known = {metric: truth[metric] for metric in METRICS}
    return Examples(features(kernel, target, batch), targets(known), valid)


def training_rows(features: Features, tables: Sequence[KernelTable]) -> Examples:
    """All designs of some tables, at least one."""
    pieces = [
        rows_of(features, t.kernel, t.target, t.batch, {"cycles": t.cycles, **t.counts}, t.valid)
        for t in tables
        if len(t)
    ]
    return Examples(
        np.concatenate([piece.features for piece in pieces]),
        np.concatenate([piece.targets for piece in pieces]),
        np.concatenate([piece.valid for piece in pieces]),
    )
