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

EXPECTED = "recorded answers as .jsonl or .parquet (docs/truth.md)"
PARTS = ("design", "given", "metrics")
NUMBERS = {"i": (int,), "f": (int, float)}


def read_recorded(path: Path, task: Task) -> Dataset:
    """The answers of a file about designs of a task; those of other tasks are passed over. Raises InputError, naming
    file and line, for a file that cannot be read, designs of other columns, a metric that the task has not, and where
    none is of the task."""
    rows, others = list[Mapping[str, Any]](), set[str]()
    places = list[str]()
    for where, row in _rows(path):
        if not _is_of(row, task):
            digest = f" of digest {str(row['digest'])[:40]}" if row.get("task") == task.name else ""
            others.add(f"{str(row.get('task'))[:60]}{digest}")
            continue
        rows.append(row)
        places.append(where)
    if not rows:
        there = "; ".join(sorted(others)[:5]) or "nothing"
        raise InputError(str(path), f"has no answers about the task {task.name} (it has {there})", "its designs")
    values = {c.name: [_value(c, row, at) for row, at in zip(rows, places, strict=True)] for c in task.schema.columns}
    batch = Batch(task.schema, {c.name: np.array(values[c.name], dtype=c.dtype) for c in task.schema.columns})
    fidelities = {str(row.get("fidelity", TOOL)) for row in rows}
    if odd := sorted(fidelities - {TOOL, ESTIMATE}) or (["both"] if len(fidelities) > 1 else []):
        raise InputError(str(path), f"has fidelity {odd[0][:40]}", f"{TOOL} or {ESTIMATE}, one a file")
    metrics = {
        name: np.array([_number(row, name, at) for row, at in zip(rows, places, strict=True)]) for name in task.metrics
    }
    for row, at in zip(rows, places, strict=True):
        if odd := sorted(set(row.get("metrics", {})) - set(task.metrics)):
            raise InputError(at, f"has the metric {odd[0][:40]}", f"some of {', '.join(task.metrics)}")
    status = [_status(row, at) for row, at in zip(rows, places, strict=True)]
    bad = np.array([one != Status.OK for one in status])
    evaluation = Evaluation(
        metrics=metrics,
        violation={"tool": bad.astype(np.float64)},
        status=np.array(status, dtype=np.int8),
        reason=np.array([str(row.get("reason", ""))[:160] for row in rows], dtype=str),
        cost_s=np.zeros(len(rows)),
        source=dict.fromkeys(metrics, np.full(len(rows), "recorded")),
    )
    return Dataset(task, batch, evaluation, fidelities.pop(), Provenance(str(path)))


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
                    row[part][inner] = value
                else:
                    row[name] = value
            yield f"{path}, row {number + 1}", row
        return
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError.unreadable(str(path), error, EXPECTED) from None
    for number, line in enumerate(text.splitlines(), start=1):
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
    kinds = NUMBERS["f" if column.dtype.lstrip("<>").startswith("f") else "i"]
    fine = all(isinstance(one, kinds) and not isinstance(one, bool) and abs(one) < 2**63 for one in listed)
    if not fine or isinstance(found, list) != bool(column.width) or len(listed) != max(column.width, 1):
        expected = f"{column.width} numbers" if column.width else f"a number ({column.unit or column.dtype})"
        raise InputError(f"{where}, {part}", f"has {column.name} = {json.dumps(found)[:40]}", expected)
    return found


def _number(row: Mapping[str, Any], name: str, where: str) -> float:
    value = row.get("metrics", {}).get(name)
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 2**63:
        raise InputError(
            f"{where}, metrics", f"has {name} = {json.dumps(value)[:40]}", "a number of at least 0, or null"
        )
    return float(value)


def _status(row: Mapping[str, Any], where: str) -> Status:
    name = row.get("status", Status.OK.name)
    if not isinstance(name, str) or name not in Status.__members__:
        raise InputError(f"{where}, status", f"is {str(name)[:40]}", ", ".join(Status.__members__))
    return Status[name]
