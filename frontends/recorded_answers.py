"""Recorded answers of any space, from JSONL or Parquet: designs by column, metrics, status, reason, fidelity.

A line of JSONL is {"task", "design": {column: value}, "given", "metrics": {name: number or null}, "status", "reason",
"fidelity"}; a Parquet file has the columns task, design.NAME, given.NAME, metrics.NAME, status, reason, fidelity. What
runs write as labels.jsonl is of this form.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from design.contracts import ESTIMATE, TOOL, Dataset, Provenance, Task
from design.core import Batch, Column, Evaluation, Status
from design.errors import InputError
from design.tool_form import NOT_VALID, is_number, one_line

EXPECTED = "recorded answers as .jsonl or .parquet (docs/truth.md)"
PARTS = ("design", "given", "metrics")
FAILED = "recorded as failed"  # in place of a reason that is missing


def read_recorded(path: Path, task: Task) -> Dataset:
    """The answers of a file about designs of a task; those of other tasks are passed over: of another digest, or where
    a row has none, of another name. Raises InputError, naming file and line, for a file that cannot be read, designs of
    other columns, a metric that the task has not, and where none is of the task."""
    rows, others = list[Mapping[str, Any]](), set[str]()
    places = list[str]()
    for where, row in _rows(path):
        if not _is_of(row, task):
            digest = f" of digest {one_line(str(row['digest']))[:40]}" if row.get("task") == task.name else ""
            others.add(f"{one_line(str(row.get('task')))[:60]}{digest}")
            continue
        rows.append(row)
        places.append(where)
    if not rows:
        there = "; ".join(sorted(others)[:5]) or "nothing"
        raise InputError(str(path), f"has no answers about the task {task.name} (it has {there})", "its designs")
    for row, at in zip(rows, places, strict=True):
        _check_names(task, row, at)
    values = {c.name: [_value(c, row, at) for row, at in zip(rows, places, strict=True)] for c in task.schema.columns}
    batch = Batch(task.schema, {c.name: np.array(values[c.name], dtype=c.dtype) for c in task.schema.columns})
    fidelity = _fidelity(rows[0], places[0])
    for row, at in zip(rows, places, strict=True):
        if _fidelity(row, at) != fidelity:
            raise InputError(f"{at}, fidelity", f"is not {fidelity}, as that of rows before", "one a file")
    status = np.array([_status(row, at) for row, at in zip(rows, places, strict=True)], dtype=np.int8)
    failed = status == Status.FAILED
    numbers = {n: np.array([_number(row, n, at) for row, at in zip(rows, places, strict=True)]) for n in task.metrics}
    metrics = {name: np.where(failed, np.nan, column) for name, column in numbers.items()}
    evaluation = Evaluation(
        metrics=metrics,
        violation={"tool": np.where(failed, np.nan, (status != Status.OK).astype(np.float64))},
        status=status,
        reason=np.array([_reason(row, one) for row, one in zip(rows, status.tolist(), strict=True)], dtype=str),
        cost_s=np.zeros(len(rows)),
        source=dict.fromkeys(metrics, np.full(len(rows), "recorded")),
    )
    return Dataset(task, batch, evaluation, fidelity, Provenance(str(path)))


def _rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(where, row) of a file."""
    if path.suffix == ".parquet":
        from pyarrow import ArrowException, parquet

        try:
            table = parquet.read_table(path).to_pylist()
        except (OSError, ArrowException) as error:
            raise InputError(str(path), f"cannot be read ({' '.join(str(error).split())[:100]})", EXPECTED) from None
        for number, flat in enumerate(table):
            row: dict[str, Any] = {part: {} for part in PARTS}
            for name, value in flat.items():
                part, dot, inner = name.partition(".")
                if dot and part in PARTS:
                    row[part] |= {} if value is None else {inner: value}
                else:
                    row[name] = value
            yield f"{path}, row {number + 1}", row
        return
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError.unreadable(str(path), error, EXPECTED) from None
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            raise InputError(where, "is not JSON", EXPECTED) from None
        if not isinstance(row, dict) or not all(isinstance(row.get(part, {}), dict) for part in PARTS):
            raise InputError(where, "is no object with design and metrics", EXPECTED)
        yield where, row


def _check_names(task: Task, row: Mapping[str, Any], where: str) -> None:
    """Raises InputError for a column or a metric that the task has not."""
    columns = task.schema.columns
    names = {
        "design": [column.name for column in columns if not column.given],
        "given": [column.name for column in columns if column.given],
        "metrics": list(task.metrics),
    }
    for part, known in names.items():
        if odd := sorted(set(row.get(part, {})) - set(known)):
            raise InputError(f"{where}, {part}", f"has {one_line(odd[0])[:40]}", f"some of {', '.join(known)}")


def _is_of(row: Mapping[str, Any], task: Task) -> bool:
    """Whether a row is about the task: by its digest where there is one, as two platforms may have one name."""
    if row.get("digest") is not None:
        return bool(row["digest"] == task.digest)
    return row.get("task") in (task.name, task.digest)


def _value(column: Column, row: Mapping[str, Any], where: str) -> Any:
    """A design's value of a column."""
    part = "given" if column.given else "design"
    found = row.get(part, {}).get(column.name)
    listed = found if isinstance(found, list) else [found]
    fine = all(_fits(one, np.dtype(column.dtype)) for one in listed)
    if not fine or isinstance(found, list) != bool(column.width) or len(listed) != max(column.width, 1):
        expected = f"{column.width} numbers" if column.width else f"a number ({column.unit or column.dtype})"
        raise InputError(f"{where}, {part}", f"has {column.name} = {_shown(found)}", expected)
    return found


def _fits(value: Any, dtype: np.dtype[Any]) -> bool:
    """Whether a column of this type can hold a value as it is."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    if dtype.kind == "f":
        return abs(value) <= float(np.finfo(dtype).max)  # not NaN
    return isinstance(value, int) and np.iinfo(dtype).min <= value <= np.iinfo(dtype).max


def _number(row: Mapping[str, Any], name: str, where: str) -> float:
    value = row.get("metrics", {}).get(name)
    if value is None:
        return math.nan
    if not is_number(value):
        raise InputError(f"{where}, metrics", f"has {name} = {_shown(value)}", "a number of at least 0, or null")
    return float(value)


def _status(row: Mapping[str, Any], where: str) -> Status:
    name = row.get("status")
    if name is not None and str(name) not in Status.__members__:
        raise InputError(f"{where}, status", f"is {_shown(name)}", ", ".join(Status.__members__))
    return Status.OK if name is None else Status[name]


def _fidelity(row: Mapping[str, Any], where: str) -> str:
    name = row.get("fidelity")
    if name is not None and str(name) not in (TOOL, ESTIMATE):
        raise InputError(f"{where}, fidelity", f"is {_shown(name)}", f"{TOOL} or {ESTIMATE}")
    return TOOL if name is None else str(name)


def _reason(row: Mapping[str, Any], status: int) -> str:
    """Why a row is not OK, "" where it is."""
    if status == Status.OK:
        return ""
    found = row.get("reason")
    default = FAILED if status == Status.FAILED else NOT_VALID
    return one_line("" if found is None else str(found))[:160] or default


def _shown(value: Any) -> str:
    return one_line(json.dumps(value, default=str))[:40]
