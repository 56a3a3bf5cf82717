"""Result tables as what is learned from: tokens, targets, validity, and the batches that are drawn of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cost_model.views.hls.matrices import WIDTHS, KernelTokens
from cost_model.views.hls.matrix_input import (
    BLOCKS,
    DIRECTIVES,
    ESTIMATE,
    DesignInput,
    DesignTokens,
    KernelInput,
    Scaling,
    design_input,
    design_matrices,
    kernel_input,
    kernel_matrices,
    scaling_of,
)
from design.contracts import Dataset
from design.core import Bools, Floats, Rows
from design.errors import InputError
from design.metrics import HLS_METRICS, target_table

MOST = 200  # designs of a table that scaling looks at


@dataclass(frozen=True)
class TrainingTable:
    """The n designs of a table: `y` (n, metrics) the targets, NaN where unknown, `valid` (n,)."""

    name: str
    family: str
    digest: str
    kernel: KernelTokens
    designs: DesignTokens
    y: Floats
    valid: Bools

    @property
    def known(self) -> Bools:
        """(n,) which designs have a target at all."""
        return np.asarray(np.isfinite(self.y).any(axis=1))


@dataclass(frozen=True)
class Scaled:
    """A lesson as the model reads it; `y` (n, targets) in units of the model's output, `valid` (n,)."""

    kernel: KernelInput
    designs: DesignInput
    y: Floats
    valid: Bools
    known: Bools


@dataclass(frozen=True)
class Outputs:
    """How outputs become targets: `metrics` names them, y = output * spread + center, with `difference` counted from
    the estimate's. What was learned is then believed as far as `trust` says, 0 .. 1, and the estimate for the rest."""

    metrics: tuple[str, ...]
    center: Floats
    spread: Floats
    difference: bool
    trust: Floats

    @property
    def places(self) -> list[int]:
        """Of the metrics among METRICS."""
        return [HLS_METRICS.index(metric) for metric in self.metrics]

    def outputs(self, start: Floats, y: Floats) -> Floats:
        """(n, targets) what the model should say, from the estimate's targets and the true ones, (n, METRICS) each."""
        first = start[:, self.places] * float(self.difference) + self.center
        found: Floats = (y[:, self.places] - first) / self.spread
        return found

    def change(self, start: Floats, outputs: Floats) -> Floats:
        """(n, targets) how far the model wants to go from the estimate."""
        found: Floats = outputs * self.spread + self.center
        return found if self.difference else found - start[:, self.places]

    def targets(self, start: Floats, outputs: Floats) -> Floats:
        """(n, targets) in y."""
        return start[:, self.places] + self.trust * self.change(start, outputs)


def lessons_of(tables: Sequence[Dataset]) -> list[TrainingTable]:
    """Of all tables with a design. Raises InputError where no design has cycles."""
    found = []
    for table in tables:
        if len(table):
            task = table.task
            y = target_table({name: table.metric(name) for name in HLS_METRICS}, HLS_METRICS)
            designs = design_matrices(task, table.batch.columns)
            one = (task.name, task.family, task.digest, kernel_matrices(task), designs, y)
            found.append(TrainingTable(*one, table.feasible))
    if not any(np.isfinite(lesson.y[:, 0]).any() for lesson in found):
        raise InputError("training data", "holds no design with cycles", "results of some kernels to learn from")
    return found


def scaling_from(lessons: Sequence[TrainingTable]) -> Scaling:
    """Over the tokens of each kernel once and the designs of each table, MOST of each at even distances."""
    kernels = {lesson.digest: lesson.kernel for lesson in lessons}
    rows = {kind: np.concatenate([kernel.rows[kind] for kernel in kernels.values()]) for kind in WIDTHS}
    rows = {kind: values if len(values) else np.zeros((1, WIDTHS[kind])) for kind, values in rows.items()}
    picked = [(lesson, _even(np.arange(len(lesson.y)))) for lesson in lessons]
    told = [lesson.designs.directives[some].reshape(-1, BLOCKS[DIRECTIVES]) for lesson, some in picked]
    rows[DIRECTIVES] = np.concatenate(told)
    rows[ESTIMATE] = np.concatenate([lesson.designs.estimate[some] for lesson, some in picked])
    return scaling_of(rows)


def outputs_from(lessons: Sequence[TrainingTable], metrics: tuple[str, ...], difference: bool) -> Outputs:
    """Center and spread over the known designs of each table, MOST of each. Raises InputError for a metric that
    tables do not have, or of which no design is known."""
    if odd := [metric for metric in metrics if metric not in HLS_METRICS] or ([] if metrics else ["nothing"]):
        raise InputError("targets", f"include {odd[0]}", f"some of {', '.join(HLS_METRICS)}")
    nothing, one = np.zeros(len(metrics)), np.ones(len(metrics))
    plain = Outputs(metrics, nothing, one, difference, one)
    pieces = []
    for lesson in lessons:
        some = _even(np.flatnonzero(lesson.known))
        pieces.append(plain.outputs(lesson.designs.start[some], lesson.y[some]))
    rows = np.concatenate(pieces)
    if blank := [metric for metric, column in zip(metrics, rows.T, strict=True) if np.isnan(column).all()]:
        raise InputError("targets", f"include {blank[0]}, which no design has", "those that the data have")
    return Outputs(metrics, np.nanmedian(rows, axis=0), np.maximum(np.nanstd(rows, axis=0), 0.05), difference, one)


def scaled(lesson: TrainingTable, scaling: Scaling, outputs: Outputs) -> Scaled:
    """A lesson with everything in units of the model."""
    return Scaled(
        kernel_input(lesson.kernel, scaling),
        design_input(lesson.kernel, lesson.designs, scaling),
        outputs.outputs(lesson.designs.start, lesson.y),
        lesson.valid,
        lesson.known,
    )


def _even(rows: Rows) -> Rows:
    return rows if len(rows) <= MOST else rows[np.linspace(0, len(rows) - 1, MOST).astype(np.int64)]
