"""The contracts between the rooms: what a candidate is, what is asked of it, what is answered.

A `Schema` names the columns of one kind of candidate, a `Batch` holds many candidates by column, an
`Evaluation` answers for the same rows in the same order, and an `Objective` says which answer to improve.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Rows = NDArray[np.int64]  # row numbers of a batch
Genomes = NDArray[np.int64]  # (count, genes)
Keys = NDArray[np.uint8]  # (count, 16)

LEVEL = 0.9  # of the intervals that are stated, unless an evaluation says otherwise


@dataclass(frozen=True)
class Column:
    """One decision of a candidate: `width` 0 is one value a row, k > 0 is k values a row. What varies and is not chosen
    (an input set, a shape, a traffic) is `given`."""

    name: str
    unit: str
    dtype: str
    width: int = 0
    given: bool = False

    @property
    def labels(self) -> tuple[str, ...]:
        """One heading per stored value, for tables."""
        return (self.name,) if not self.width else tuple(f"{self.name}_{i}" for i in range(self.width))


@dataclass(frozen=True)
class Schema:
    """One kind of candidate.

    `context` is what a candidate means beside its columns (workload, platform): equal columns under another
    context are another candidate. `render` turns one row into canonical text: equal text, equal candidate.
    """

    name: str
    columns: tuple[Column, ...]
    context: str
    render: Callable[[Batch, int], str] = field(compare=False, repr=False)

    def text(self, batch: Batch, row: int) -> str:
        """Canonical text of one row."""
        return self.render(batch, row)

    def key(self, batch: Batch) -> Keys:
        """(n, 16) bytes that identify each candidate: BLAKE2b of its columns and of the context."""
        parts = []
        for column in self.columns:
            values = np.asarray(batch.columns[column.name], dtype=column.dtype)
            values = np.ascontiguousarray(values.reshape(len(batch), max(column.width, 1)))
            parts.append(values.view(np.uint8))
        table = np.concatenate(parts, axis=1)
        salt = blake2b(f"{self.name}\n{self.context}".encode(), digest_size=32).digest()
        # One hash object holds the salt; a copy per row is cheaper than hashing the salt again. A row costs
        # about a microsecond, which no vectorised hash of this strength in numpy undercuts.
        start, width, data = blake2b(salt, digest_size=16), table.shape[1], memoryview(table.tobytes())
        digests = []
        for row in range(len(batch)):
            state = start.copy()
            state.update(data[row * width : (row + 1) * width])
            digests.append(state.digest())
        return np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(len(batch), 16)


def key_bytes(keys: Keys) -> list[bytes]:
    """The keys as one bytes object a row, for sets and stores."""
    found: list[bytes] = np.ascontiguousarray(keys).view("V16").ravel().tolist()
    return found


@dataclass(frozen=True)
class Batch:
    """Many candidates, by column: `columns[name]` has shape (n,) or (n, k). Treat the arrays as read-only."""

    schema: Schema
    columns: Mapping[str, NDArray[Any]]

    def __post_init__(self) -> None:
        names = [column.name for column in self.schema.columns]
        if sorted(names) != sorted(self.columns):
            raise ValueError(f"schema {self.schema.name} has columns {names}, given {sorted(self.columns)}")
        rows = len(self)
        for column in self.schema.columns:
            shape = (rows, column.width) if column.width else (rows,)
            if self.columns[column.name].shape != shape:
                found = self.columns[column.name].shape
                raise ValueError(f"column {column.name} of {self.schema.name} has shape {found}, not {shape}")

    def __len__(self) -> int:
        return len(self.columns[self.schema.columns[0].name])

    def take(self, rows: Rows | slice) -> Batch:
        """The given rows, in the given order."""
        return Batch(self.schema, {name: values[rows] for name, values in self.columns.items()})

    @staticmethod
    def concat(batches: Sequence[Batch]) -> Batch:
        """Rows of all batches (at least one, of one schema), in order."""
        names = batches[0].columns
        return Batch(batches[0].schema, {name: np.concatenate([b.columns[name] for b in batches]) for name in names})


class Status(IntEnum):
    """What became of a candidate. Infeasible is an answer; failed is the absence of one."""

    OK = 0
    INFEASIBLE = 1
    FAILED = 2


@dataclass(frozen=True)
class Evaluation:
    """The evaluator's answer: the n rows of the batch in the same order.

    metrics:   name -> (n,), units in the name; NaN is unknown, never 0.
    interval:  name -> (n, 2), central prediction interval at `level`; exact values have zero width.
    samples:   name -> (n, k), joint draws where the evaluator has them.
    violation: constraint -> (n,), the amount >= 0 by which it is broken.
    status:    (n,) of `Status`; `reason` says why a row is not OK ("" where it is).
    cost_s:    (n,) seconds this answer cost.
    source:    metric -> (n,) "evaluator/version" that said so.
    """

    metrics: Mapping[str, Floats]
    violation: Mapping[str, Floats]
    status: NDArray[np.int8]
    reason: NDArray[np.str_]
    cost_s: Floats
    source: Mapping[str, NDArray[np.str_]]
    interval: Mapping[str, Floats] = field(default_factory=dict)
    samples: Mapping[str, Floats] = field(default_factory=dict)
    level: float = LEVEL

    def __len__(self) -> int:
        return len(self.status)

    def per_row(self) -> dict[str, dict[str, NDArray[Any]]]:
        """Every array of the answer as field -> name -> values; the fields without names use ""."""
        return {
            "metrics": dict(self.metrics),
            "violation": dict(self.violation),
            "status": {"": self.status},
            "reason": {"": self.reason},
            "cost_s": {"": self.cost_s},
            "source": dict(self.source),
            "interval": dict(self.interval),
            "samples": dict(self.samples),
        }

    @staticmethod
    def from_rows(fields: Mapping[str, Mapping[str, NDArray[Any]]], level: float) -> Evaluation:
        """The inverse of `per_row`."""
        single = {name: fields[name][""] for name in ("status", "reason", "cost_s")}
        return Evaluation(
            metrics=fields["metrics"],
            violation=fields["violation"],
            source=fields["source"],
            interval=fields["interval"],
            samples=fields["samples"],
            level=level,
            **single,
        )

    def take(self, rows: Rows | slice) -> Evaluation:
        """The answers of the given rows, in the given order."""
        fields = {f: {k: v[rows] for k, v in named.items()} for f, named in self.per_row().items()}
        return Evaluation.from_rows(fields, self.level)


def gather(pieces: Sequence[tuple[Rows, Evaluation]], count: int) -> Evaluation:
    """One evaluation of `count` rows from pieces that came in any order.

    What only some pieces answer is unknown in the others; a constraint that a piece does not name is kept by its
    rows, unless they FAILED. The level is that of a piece with answers. Raises ValueError unless the pieces cover
    every row exactly once.
    """
    for rows, piece in pieces:
        if len(rows) != len(piece):
            raise ValueError(f"an evaluator answered {len(piece)} rows for {len(rows)} row numbers")
    order = np.concatenate([rows for rows, _ in pieces]) if pieces else np.empty(0, dtype=np.int64)
    if not pieces or not np.array_equal(np.sort(order), np.arange(count)):
        raise ValueError(f"an evaluator answered {len(order)} rows for {count}; every row wants one answer")
    back, tables = np.argsort(order, kind="stable"), [piece.per_row() for _, piece in pieces]
    fields = {
        f: {
            name: np.concatenate([_column(table, f, name, like) for table in tables])[back]
            for name, like in {k: v for table in tables for k, v in table[f].items()}.items()
        }
        for f in tables[0]
    }
    levels = [piece.level for _, piece in pieces if (piece.status != Status.FAILED).any()]
    return Evaluation.from_rows(fields, levels[0] if levels else pieces[0][1].level)


def _column(
    table: Mapping[str, Mapping[str, NDArray[Any]]], field_name: str, name: str, like: NDArray[Any]
) -> NDArray[Any]:
    """A column of a piece's table; where the piece does not have it, what its rows are taken to say."""
    found = table[field_name].get(name)
    if found is not None:
        return found
    status = table["status"][""]
    if field_name == "violation":
        return np.where(status == Status.FAILED, np.nan, 0.0)
    blank: NDArray[Any] = np.full((len(status), *like.shape[1:]), "" if like.dtype.kind == "U" else np.nan)
    return blank


@dataclass(frozen=True)
class Objective:
    """A metric to improve. `sign` is +1 to minimise, -1 to maximise."""

    metric: str
    sign: int = 1

    @property
    def goal(self) -> str:
        """'min' or 'max'."""
        return "min" if self.sign > 0 else "max"
