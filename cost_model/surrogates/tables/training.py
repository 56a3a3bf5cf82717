"""From data sets to rows that table models learn from, with the features of either kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from cost_model.surrogates.tables.models import Examples
from cost_model.views.plain import PlainView
from design.contracts import Dataset, Task
from design.core import Batch, Floats
from design.metrics import target_table

Features = Callable[[PlainView, Task, Batch], Floats]  # (n, width)


def designs_only(view: PlainView, task: Task, batch: Batch) -> Floats:
    """The designs, with no look at the program."""
    return view.features(task, batch)


def with_program(view: PlainView, task: Task, batch: Batch) -> Floats:
    """The analytic reference, the designs, and what they make of the program."""
    parts = [view.reference_features(task, batch), view.features(task, batch), view.structure(task, batch)]
    return np.concatenate(parts, axis=1)


FEATURES: dict[str, Features] = {"directives": designs_only, "nest": with_program}


def start_of(features: str, metrics: int) -> slice | None:
    """The columns of features that hold the reference's targets; None where there are none."""
    return slice(0, metrics) if features == "nest" else None


def rows_of(features: Features, view: PlainView, data: Dataset) -> Examples:
    """Designs of one task with their answers, as rows to learn from."""
    names = data.task.metrics
    truth = target_table({name: data.metric(name) for name in names}, names)
    return Examples(features(view, data.task, data.batch), truth, data.feasible)


def training_rows(features: Features, view: PlainView, tables: Sequence[Dataset]) -> Examples:
    """All designs of some data sets, at least one."""
    pieces = [rows_of(features, view, data) for data in tables if len(data)]
    return Examples(
        np.concatenate([piece.features for piece in pieces]),
        np.concatenate([piece.targets for piece in pieces]),
        np.concatenate([piece.valid for piece in pieces]),
    )
