"""The labels of a run as one file: recorded answers of any space, which `--truth recorded --data` reads again."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from design.contracts import TOOL, Task, labelled
from design.core import Batch, Evaluation, Status
from dse.active.policy import Query
from dse.records.directory import write_whole

LABELS = "labels.jsonl"


class LabelsFile:
    """Writes `path` anew after each label, so that it is whole at any moment. A design that FAILED is no label."""

    def __init__(self, path: Path, task: Task) -> None:
        self._path, self._task = path, task

    def write(self, queries: Sequence[Query], answers: Evaluation) -> None:
        """All labels so far, in the order in which they came. Raises OSError where the file cannot be written."""
        rows = np.flatnonzero(labelled(answers)).tolist()
        if not rows:
            return
        batch = Batch.concat([queries[row].batch for row in rows])
        lines = recorded_lines(self._task, batch, answers.take(np.array(rows)))
        for line, row in zip(lines, rows, strict=True):
            line["provenance"] = dict(queries[row].provenance)
        write_whole(self._path, "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines))


def recorded_lines(task: Task, batch: Batch, answers: Evaluation) -> list[dict[str, Any]]:
    """Designs with answers as recorded answers, one object a design: {"task", "design": {column: value}, "given",
    "metrics", "status", "reason", "fidelity"}. Metrics are those of the task: what else a truth answers follows."""
    found = []
    for row in range(len(batch)):
        values = {column.name: batch.columns[column.name][row].tolist() for column in task.schema.columns}
        given = {column.name for column in task.schema.columns if column.given}
        numbers = {name: float(answers.metrics[name][row]) for name in task.metrics if name in answers.metrics}
        found.append(
            {
                "task": task.name,
                "digest": task.digest,
                "design": {name: value for name, value in values.items() if name not in given},
                "given": {name: value for name, value in values.items() if name in given},
                "metrics": {name: value if math.isfinite(value) else None for name, value in numbers.items()},
                "status": Status(int(answers.status[row])).name,
                "reason": str(answers.reason[row]),
                "fidelity": TOOL,
            }
        )
    return found
