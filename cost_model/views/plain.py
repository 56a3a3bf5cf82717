"""What can be seen of designs of any kind by their schema alone; views of a domain derive from it and show more.

Surrogates know a domain through these methods only. A new domain begins with `PlainView()` and overrides what it knows
better: features that mean something, an analytic reference, metrics that follow from others, constraints.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from design.contracts import Evaluator, Prediction, Task
from design.core import Batch, Bools, Evaluation, Floats, Ints, Status
from design.errors import InputError
from design.metrics import VALID, metric_of, metric_unit, target_table

Texts = NDArray[np.str_]


class Prompts(Protocol):
    """A task as a language model reads it. `version` says what the numbers in the text were made with."""

    program: Ints
    version: str

    def designs(self, batch: Batch) -> tuple[Ints, Ints, Mapping[str, Floats]]:
        """Tokens (n, width) of designs, padded on the right, their lengths (n,), and the reference's numbers in
        them."""
        ...

    def units(self, reference: Mapping[str, Floats]) -> Floats:
        """(n, metrics) what a relative answer of 1 stands for: the reference, or the least that a tool reports."""
        ...


class PlainView:
    """See `View`."""

    def features(self, task: Task, batch: Batch) -> Floats:
        """(n, width) of designs: every stored value, by sign and size in log2."""
        columns = [np.asarray(batch.columns[column.name]).reshape(len(batch), -1) for column in task.schema.columns]
        table = np.concatenate(columns, axis=1).astype(np.float64)
        found: Floats = np.sign(table) * np.log2(1.0 + np.abs(table))
        return found

    def structure(self, task: Task, batch: Batch) -> Floats:
        """(n, width) of what designs make of the task's program, the width the same for all tasks."""
        return np.empty((len(batch), 0))

    def local(self, task: Task, batch: Batch) -> Floats:
        """(n, width) of designs beside others of the same task; the width may be the task's own."""
        return self.features(task, batch)

    def reference(self, task: Task) -> Evaluator | None:
        """The analytic prior of a task; None where a domain has none."""
        return None

    def reference_features(self, task: Task, batch: Batch) -> Floats:
        """(n, width) of what the reference says, the targets of the task's metrics first; of no width without one. It
        must not have learned from results of the task."""
        evaluator = self.reference(task)
        if evaluator is None:
            return np.empty((len(batch), 0))
        answer = evaluator.evaluate(batch, seed=0)
        with np.errstate(all="ignore"):
            return np.nan_to_num(target_table({name: answer.metrics[name] for name in task.metrics}, task.metrics))

    def prompts(self, task: Task, ancestor: str | None = None) -> Prompts:
        """What a language model reads; `ancestor` is the digest of the task that this one is a copy of in other words.
        Raises InputError for a domain without a text."""
        raise InputError(f"task {task.name}", f"has no text that a language model reads ({task.schema.name})", "hls")

    def metrics(self, task: Task) -> dict[str, str]:
        """Units by metric of what `complete` answers."""
        return {name: metric_unit(name) for name in (*task.metrics, VALID)}

    def faults(self, task: Task, batch: Batch) -> Texts:
        """(n,) why a row is no design, "" where it is one."""
        return np.full(len(batch), "")

    def sound(self, task: Task, batch: Batch, sound: Bools) -> Batch:
        """The batch with some design of the task in place of rows that are none."""
        return batch

    def least_reported(self, task: Task) -> dict[str, float]:
        """By metric the least value that tools report, where they report 0 for what lies below."""
        return {}

    def derive(self, task: Task, values: dict[str, Floats], interval: dict[str, Floats]) -> None:
        """Add metrics that follow from others to `values` (n,) and `interval` (n, 2)."""

    def derive_intervals(self, task: Task, metrics: Mapping[str, Floats], interval: dict[str, Floats]) -> None:
        """Add the intervals of answered `metrics` that follow from others' intervals."""

    def derived_sources(
        self, task: Task, values: Mapping[str, Floats], source: Mapping[str, Texts]
    ) -> dict[str, Texts]:
        """By metric that follows from others, who said what it follows from."""
        return {}

    def fits(self, task: Task, values: Mapping[str, Floats], interval: Mapping[str, Floats], level: float) -> Floats:
        """(n,) how likely designs are to keep the task's constraints, given medians and intervals."""
        return np.ones(len(next(iter(values.values()))))

    def feasibility_features(self, task: Task, batch: Batch, estimated: Evaluation) -> Floats:
        """(n, width) from which feasibility is learned: designs, and what was expected of them."""
        return np.concatenate([logs(task, estimated.metrics), self.local(task, batch)], axis=1)

    def complete(self, task: Task, prediction: Prediction) -> Evaluation:
        """See `View`. Rows with a fault are FAILED and unknown in all."""
        return completed(prediction)


def logs(task: Task, values: Mapping[str, Floats]) -> Floats:
    """(n, 2) log2 of the two metrics of a task that matter most, by which designs are told apart."""
    columns = [np.log2(np.maximum(np.nan_to_num(values[name]), metric_of(name).floor)) for name in task.metrics[:2]]
    return np.stack(columns, axis=1)


def completed(prediction: Prediction) -> Evaluation:
    """The answer of n rows as it was predicted; those with a fault FAILED and unknown in all, the others OK."""
    sound, count = prediction.fault == "", len(prediction.fault)
    known = [
        {name: np.where(sound.reshape(-1, *[1] * (values.ndim - 1)), values, np.nan) for name, values in part.items()}
        for part in (prediction.metrics, prediction.interval, prediction.samples)
    ]
    return Evaluation(
        metrics=known[0],
        violation={},
        status=np.where(sound, Status.OK, Status.FAILED).astype(np.int8),
        reason=prediction.fault.astype(str),
        cost_s=np.full(count, prediction.cost_s / max(count, 1)),
        source=dict.fromkeys(prediction.metrics, np.broadcast_to(np.array(prediction.source), count)),
        interval=known[1],
        samples=known[2],
        level=prediction.level,
    )
