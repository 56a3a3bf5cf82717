"""Truth from recorded results of a tool: a design is looked up, at the price of a call."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

import numpy as np

from cost_model.hls.tool_answer import RESOURCES, UNITS, Said, hls_evaluation
from design.contracts import TRUE, AtOnce
from design.core import Batch, Bools, Evaluation, Ints
from design.errors import InputError
from frontends.hls_results.tables import KernelTable

NOT_RECORDED = "not recorded"


class Recorded(AtOnce):
    """The results of one kernel and tool.

    A design that is not in the table is FAILED, "not recorded", at no cost: it is no call, and not infeasible. One
    that the tool gave no cycles for, or did not call valid, is a call and INFEASIBLE. `call_s` are the seconds that a
    call is taken to have cost; tables do not record them. Raises InputError where a design is recorded with two
    answers.
    """

    fidelity = TRUE
    metrics: Mapping[str, str] = UNITS

    def __init__(self, table: KernelTable, call_cost: float = 1.0, call_s: float = 0.0) -> None:
        if not len(table.batch):
            raise InputError(table.where, "has no designs", "results to look up")
        self.call_cost = call_cost
        self._schema, self._device, self._call_s = table.batch.schema, table.target.device, call_s
        self._row = {key: row for row, key in enumerate(self._keys(table.batch))}
        # A design with cycles and none of any resource was not reported on.
        silent = np.all([np.nan_to_num(table.counts[name]) == 0 for name in RESOURCES], axis=0)
        self._cycles, self._valid = table.cycles, table.valid
        self._counts = {name: np.where(silent, np.nan, table.counts[name]) for name in RESOURCES}
        self._shares = {name: np.where(silent, np.nan, table.shares[name]) for name in RESOURCES}
        columns = [self._cycles, self._valid, *self._counts.values(), *self._shares.values()]
        for row, key in enumerate(self._keys(table.batch)):
            first = self._row[key]
            if first != row and any(not np.array_equal(c[first], c[row], equal_nan=True) for c in columns):
                text = self._schema.text(table.batch, row)
                raise InputError(f"{table.where}, {text}", self._both(row, first), "one answer for a design")
        state = blake2b(f"{self._schema.context}\n{self._device}".encode(), digest_size=4)
        for array in (*table.batch.columns.values(), *columns):
            state.update(np.ascontiguousarray(array).tobytes())
        self.name, self.version = f"recorded-{table.target.tool}", state.hexdigest()

    def _both(self, row: int, other: int) -> str:
        return f"is recorded twice, with {self._cycles[row]:g} and {self._cycles[other]:g} cycles or other resources"

    @staticmethod
    def _keys(batch: Batch) -> list[bytes]:
        """The columns' values of each row, as bytes."""
        table = np.stack([batch.columns[column.name] for column in batch.schema.columns], axis=1)
        table = np.ascontiguousarray(table, dtype=np.int64)
        found: list[bytes] = table.view(f"V{table.shape[1] * 8}").ravel().tolist()
        return found

    def rows_of(self, batch: Batch) -> Ints:
        """(n,): where each design is in the table, -1 where it is not. Raises ValueError for designs of another kernel,
        tool or device."""
        if batch.schema != self._schema:
            raise ValueError(f"{self.name} has results of another kernel or tool than the designs asked for")
        keys = self._keys(batch) if len(batch) else []
        return np.array([self._row.get(key, -1) for key in keys], dtype=np.int64)

    def accepts(self, batch: Batch) -> Bools:
        """See `Truth`."""
        return self.rows_of(batch) >= 0

    def cancel(self) -> None:
        """See `Truth`. Nothing takes long here."""

    def evaluate(self, batch: Batch, *, seed: int) -> Evaluation:
        """See `Evaluator`."""
        row = self.rows_of(batch)
        there = row >= 0
        cycles = np.where(there, self._cycles[row], np.nan)
        said = Said(
            cycles=cycles,
            counts={name: np.where(there, values[row], np.nan) for name, values in self._counts.items()},
            shares={name: np.where(there, values[row], np.nan) for name, values in self._shares.items()},
            valid=there & self._valid[row],
            none=there & np.isnan(cycles),
            reason=np.full(len(row), ""),
            fault=np.where(there, "", NOT_RECORDED),
            cost_s=np.where(there, self._call_s, 0.0),
        )
        return hls_evaluation(said, self._device, f"{self.name}/{self.version}")
