"""The result files of a run: `result.log`, `summary.json`, `front.csv`, `front.json`."""

from __future__ import annotations

import json
import math
import platform as host
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from design.core import Batch, Evaluation, Objective
from design.nmp import DATAFLOW, HARDWARE
from design.workload import Workload
from dse.corners import Corner
from dse.export import design_table, write_table
from dse.findings import Findings
from dse.proof import Bound
from dse.report.repeat import revision
from dse.run_directory import write_whole

VERSION = "0.1.0"


@dataclass(frozen=True)
class Outcome:
    """A run as far as it got. `front` and `answers` hold the front's designs, the best one first."""

    workload: Workload
    objectives: Sequence[Objective]
    front: Batch
    answers: Evaluation
    front_ids: Sequence[int]
    candidates: int
    failed: Mapping[str, int]  # reason -> how many
    cpu_seconds: float
    wall_seconds: float
    seed: int
    ended: str
    settings: Mapping[str, str]
    versions: Mapping[str, str]
    bound: Bound
    findings: Findings | None


def write_results(folder: Path, outcome: Outcome) -> None:
    """Write all result files; each is whole at any moment."""
    write_whole(folder / "summary.json", json.dumps(summary(outcome), indent=2, allow_nan=False) + "\n")
    write_whole(folder / "result.log", result_log(outcome))
    table: dict[str, list[Any]] = {"id": list(outcome.front_ids)}
    table |= {name: values.tolist() for name, values in outcome.answers.metrics.items()}
    table |= design_table(outcome.front)
    for suffix in ("csv", "json"):
        write_table(table, folder / f"front.{suffix}")


def result_log(outcome: Outcome) -> str:
    """The published program's three lines, at full precision, then the design they belong to."""
    if not len(outcome.front):
        return "No feasible design was found.\n"
    metrics = {name: float(values[0]) for name, values in outcome.answers.metrics.items()}
    return (
        f"Best idv latency is {metrics['latency_s']!r} (per layer).\n"
        f"Prefill latency is {metrics['prefill_s']!r} (per layer).\n"
        f"Decoding latency is {metrics['decode_s']!r} (per layer).\n"
        f"Design: {outcome.front.schema.text(outcome.front, 0)}\n"
    )


def summary(outcome: Outcome) -> dict[str, Any]:
    """Everything of a run that fits on a page, for programs."""
    rows, found = range(len(outcome.front)), outcome.findings
    front = [
        {"id": int(outcome.front_ids[row]), "metrics": _metrics(outcome, row)}
        | {"design": outcome.front.schema.text(outcome.front, row)}
        for row in rows
    ]
    best = None
    if front:
        best = front[0] | {
            "hardware": {c.name: _plain(outcome.front.columns[c.name][0]) for c in HARDWARE},
            "dataflow": _dataflow(outcome.front, 0, outcome.workload),
        }
    if best is not None and found is not None:
        best |= {"description": found.description, "operators": [asdict(op) for op in found.operators]}
    return {
        "best": best,
        "model": None if found is None else asdict(found.model) | {"energy_and_area_by": found.physics},
        "model_by_buffered": None if found is None or found.second is None else asdict(found.second),
        "lower_bound": outcome.bound.lower_bound,
        "gap": None if found is None else found.gap,
        "bound": outcome.bound.how,
        "sensitivity": [] if found is None else [asdict(step) for step in found.steps],
        "constants": [] if found is None else [_corner(corner) for corner in found.corners],
        "front": front,
        "objectives": [{"metric": o.metric, "goal": o.goal} for o in outcome.objectives],
        "candidates": outcome.candidates,
        "failed": dict(outcome.failed),
        "cpu_seconds": round(outcome.cpu_seconds, 3),
        "wall_seconds": round(outcome.wall_seconds, 3),
        "seed": outcome.seed,
        "ended": outcome.ended,
        "evaluator": {name: str(said[0]) for name, said in outcome.answers.source.items() if len(said)},
        "settings": dict(outcome.settings),
        "versions": dict(outcome.versions),
    }


def _corner(corner: Corner) -> dict[str, Any]:
    """How the front fares at one end of the constants."""
    front, kept = len(corner.kept), int(corner.kept.sum())
    return {"end": corner.name, "designs": front, "still_on_the_front": kept, "front": len(corner.rows)}


def versions() -> dict[str, str]:
    """Of this program and of everything that a result may depend on."""
    found = {"tilewright": VERSION, "python": host.python_version()}
    for package in ("numpy", "pymoo", "moocore"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # an algorithm without it may still run
            found[package] = "absent"
    if (commit := revision()) is not None:
        found["revision"] = commit
    return found


def _metrics(outcome: Outcome, row: int) -> dict[str, float | None]:
    values = {name: float(v[row]) for name, v in outcome.answers.metrics.items()}
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def _dataflow(batch: Batch, row: int, workload: Workload) -> list[dict[str, Any]]:
    columns = {name: batch.columns[name][row] for name, _, _ in DATAFLOW}
    operators = []
    for i, operator in enumerate(workload.operators):
        entry: dict[str, Any] = {"operator": operator.name}
        entry |= {name: _plain(values[i]) for name, values in columns.items()}
        held = entry["channels"]
        entry["channels"] = [bit for bit in range(held.bit_length()) if held >> bit & 1]
        entry["normal"] = bool(entry["normal"])
        operators.append(entry)
    return operators


def _plain(value: Any) -> Any:
    return value.item()
