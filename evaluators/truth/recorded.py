"""Truth from recorded results: a design is looked up, at the cost of a call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from design.contracts import TRUE, AtOnce, Dataset
from design.core import Batch, Bools, Evaluation, Ints, Status, gather, key_bytes
from design.errors import InputError
from design.metrics import metric_unit
from evaluators.execution.faults import failed

NOT_RECORDED = "not recorded"


class Recorded(AtOnce):
    """The results of one task: `data` as a truth answers.

    A design that is not there is FAILED, "not recorded", at no cost: it is no call, and not infeasible. So is one that
    is recorded as failed, for the reason recorded. `call_s` are the seconds that a call is taken to have cost; tables
    do not record them. Name and version are those of the source
    that the data name, else a digest of them. Raises InputError where there is no design, or a design is recorded with
    two answers.
    """

    fidelity = TRUE

    def __init__(self, data: Dataset, call_cost: float = 1.0, call_s: float = 0.0) -> None:
        if not len(data):
            raise InputError(data.provenance.where, "has no designs", "results to look up")
        self.data, self.call_cost, self._schema = data, call_cost, data.batch.schema
        answers = data.evaluation
        self.metrics: Mapping[str, str] = {name: metric_unit(name) for name in answers.metrics}
        keys = key_bytes(data.batch.schema.key(data.batch))
        self._row = {key: row for row, key in reversed(list(enumerate(keys)))}
        columns: list[NDArray[Any]] = [answers.status, *answers.metrics.values()]
        for row, key in enumerate(keys):
            first = self._row[key]
            if first != row and any(not np.array_equal(c[first], c[row], equal_nan=True) for c in columns):
                text = self._schema.text(data.batch, row)
                name = data.task.metrics[0]
                both = f"{data.metric(name)[row]:g} and {data.metric(name)[first]:g} {name} or other metrics"
                what = f"is recorded twice, with {both}"
                raise InputError(f"{data.provenance.where}, {text}", what, "one answer for a design")
        if data.provenance.sources:
            self.name, _, self.version = data.provenance.sources[0].partition("/")
        else:
            state = blake2b(self._schema.context.encode(), digest_size=4)
            for array in (*data.batch.columns.values(), *columns):
                state.update(np.ascontiguousarray(array).tobytes())
            self.name, self.version = "recorded", state.hexdigest()
        source = np.full(len(data), f"{self.name}/{self.version}")
        self._answers = replace(
            answers,
            cost_s=np.where(answers.status == Status.FAILED, 0.0, call_s),
            source=dict.fromkeys(answers.metrics, source),
            interval={name: np.stack([values, values], axis=1) for name, values in answers.metrics.items()},
            samples={},
        )

    def rows_of(self, batch: Batch) -> Ints:
        """(n,): where each design is in the data, -1 where it is not. Raises ValueError for designs of another task."""
        if batch.schema != self._schema:
            raise ValueError(f"{self.name} has results of another task than the designs asked for")
        keys = key_bytes(batch.schema.key(batch)) if len(batch) else []
        return np.array([self._row.get(key, -1) for key in keys], dtype=np.int64)

    def accepts(self, batch: Batch) -> Bools:
        """See `Truth`."""
        row = self.rows_of(batch)
        found: Bools = (row >= 0) & (self._answers.status[row] != Status.FAILED)
        return found

    def cancel(self) -> None:
        """See `Truth`. Nothing takes long here."""

    def evaluate(self, batch: Batch, *, seed: int) -> Evaluation:
        """See `Evaluator`."""
        row = self.rows_of(batch)
        there, absent = np.flatnonzero(row >= 0), np.flatnonzero(row < 0)
        pieces = [(there, self._answers.take(row[there])), (absent, failed(self, len(absent), NOT_RECORDED, 0.0))]
        return gather(pieces, len(batch))
