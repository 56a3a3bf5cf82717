"""An evaluation as columns of a table, one value a row in each, and back.

A metric's column has its name. Beside it stand, with a prefix as constraints have one, the ends of its interval as
numbers and its samples as bytes (little-endian doubles, as genomes are bytes): as text they would be twice as long and
could not say "unknown", as a column each they would meet SQLite's limits. Unknown numbers are NULL.

What is exact costs nothing: a metric has columns for its interval once an answer is not its own interval, samples once
an answer has any. A value that comes without an interval, where others of its metric have one, counts as exact.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from design.core import Evaluation, Floats
from design.errors import InputError

VIOLATION, LOW, HIGH, SAMPLES = "violation_", "interval_low_", "interval_high_", "samples_"
# Prefixes rather than endings, and long ones: "peak_low" and "low_power_w" stay names that a metric may have.
PREFIXES = (VIOLATION, LOW, HIGH, SAMPLES)
Named = dict[str, Floats]


def columns_of(evaluation: Evaluation, present: Collection[str]) -> dict[str, list[Any]]:
    """Column -> n values, of what n rows have to say where the table has the columns `present` already. Raises
    InputError for a metric with the name of another column."""
    found: dict[str, list[Any]] = {}
    for name, value in evaluation.metrics.items():
        if name.startswith(PREFIXES):
            beside = ", ".join(PREFIXES)
            raise InputError(f"metric '{name}'", "is named like a column beside metrics", f"a name without {beside}")
        found[name] = value.tolist()
    found |= {VIOLATION + name: value.tolist() for name, value in evaluation.violation.items()}
    for name, value in evaluation.metrics.items():
        ends = evaluation.interval.get(name)
        if ends is not None and not _exact(ends, value):
            found[LOW + name], found[HIGH + name] = ends.T.tolist()
        elif LOW + name in present:
            found[LOW + name] = found[HIGH + name] = found[name]
        drawn = evaluation.samples.get(name)
        if drawn is not None and not np.isnan(drawn).all():
            cells: list[bytes | None] = [*row_bytes(drawn, "<f8")]
            for row in np.flatnonzero(np.isnan(drawn).all(axis=1)):
                cells[row] = None
            found[SAMPLES + name] = cells
    return found


def _exact(ends: Floats, value: Floats) -> bool:
    """Whether (n, 2) intervals are no wider than their values, (n,)."""
    same = ends == value[:, None]
    return bool(same.all() or (same | (np.isnan(ends) & np.isnan(value)[:, None])).all())


def row_bytes(rows: NDArray[Any], kind: str) -> list[bytes]:
    """The n rows of (n, k) numbers as bytes of that type, 8 bytes a number."""
    width, data = rows.shape[1] * 8, np.ascontiguousarray(rows, dtype=kind).tobytes()
    return [data[i * width : (i + 1) * width] for i in range(len(rows))]


def kind_of(column: str) -> str:
    """The type of a column in SQL."""
    return "BLOB" if column.startswith(SAMPLES) else "REAL"


def in_order(columns: Collection[str]) -> list[str]:
    """The columns in an order that does not depend on which answers came first: metrics, constraints, intervals,
    samples."""
    metrics = [name for name in columns if not name.startswith(PREFIXES)]
    violation = [name for name in columns if name.startswith(VIOLATION)]
    further = [end + name for name in metrics for end in (LOW, HIGH)] + [SAMPLES + name for name in metrics]
    return [*metrics, *violation, *(name for name in further if name in columns)]


def answers_in(columns: Mapping[str, Sequence[Any]]) -> tuple[Named, Named, Named, Named]:
    """Metrics, violations, intervals and samples of an evaluation, from its columns. A metric of which no row has
    samples has none."""
    metrics, violation, interval, samples = Named(), Named(), Named(), Named()
    for column, values in columns.items():
        if column.startswith(SAMPLES):
            if (drawn := draws(values)) is not None:
                samples[column.removeprefix(SAMPLES)] = drawn
            continue
        numbers = np.array(values, dtype=np.float64)
        if column.startswith(VIOLATION):
            violation[column.removeprefix(VIOLATION)] = numbers
        elif column.startswith((LOW, HIGH)):
            name, end = (column.removeprefix(LOW), 0) if column.startswith(LOW) else (column.removeprefix(HIGH), 1)
            interval.setdefault(name, np.empty((len(numbers), 2)))[:, end] = numbers
        else:
            metrics[column] = numbers
    return metrics, violation, interval, samples


def draws(values: Sequence[bytes | None]) -> Floats | None:
    """(n, k) samples from their bytes, NaN in rows that have none; None where no row has any."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    blank = np.full(len(known[0]) // 8, np.nan, dtype="<f8").tobytes()
    data = b"".join(blank if value is None else value for value in values)
    return np.frombuffer(data, dtype="<f8").reshape(len(values), -1).astype(np.float64)
