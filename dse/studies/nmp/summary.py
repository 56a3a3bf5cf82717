"""What `summary.json` and `result.log` say of a near-memory study."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from design.core import Batch
from design.nmp.design import DATAFLOW, HARDWARE
from design.nmp.workload import Workload
from dse.studies.nmp.analysis.constant_corners import Corner
from dse.studies.nmp.findings import Findings
from dse.studies.nmp.problem import NmpProblem
from dse.studies.outcome import Outcome


def further(problem: NmpProblem, outcome: Outcome) -> dict[str, Any]:
    """See `Study.summary`."""
    found: Findings | None = outcome.findings
    told: dict[str, Any] = {
        "model": None if found is None else asdict(found.model) | {"energy_and_area_by": found.physics},
        "model_by_buffered": None if found is None or found.second is None else asdict(found.second),
        "kinds": [] if found is None else [asdict(kind) for kind in found.kinds],
        "gap": None if found is None else found.gap,
        "sensitivity": [] if found is None else [asdict(step) for step in found.steps],
        "constants": [] if found is None else [_corner(corner) for corner in found.corners],
    }
    if len(outcome.front):
        told["best"] = {
            "hardware": {c.name: outcome.front.columns[c.name][0].item() for c in HARDWARE},
            "dataflow": _dataflow(outcome.front, 0, problem.workload),
        }
    if found is not None:
        told["best"] |= {"description": found.description, "operators": [asdict(op) for op in found.operators]}
    return told


def log(outcome: Outcome) -> str:
    """The published program's three lines, at full precision."""
    metrics = {name: float(values[0]) for name, values in outcome.answers.metrics.items()}
    return (
        f"Best idv latency is {metrics['latency_s']!r} (per layer).\n"
        f"Prefill latency is {metrics['prefill_s']!r} (per layer).\n"
        f"Decoding latency is {metrics['decode_s']!r} (per layer).\n"
    )


def _corner(corner: Corner) -> dict[str, Any]:
    """How the front fares at one end of the constants."""
    front, kept = len(corner.kept), int(corner.kept.sum())
    return {"end": corner.name, "designs": front, "still_on_the_front": kept, "front": len(corner.rows)}


def _dataflow(batch: Batch, row: int, workload: Workload) -> list[dict[str, Any]]:
    columns = {name: batch.columns[name][row] for name, _, _ in DATAFLOW}
    operators = []
    for i, operator in enumerate(workload.operators):
        entry: dict[str, Any] = {"operator": operator.name}
        entry |= {name: values[i].item() for name, values in columns.items()}
        held = entry["channels"]
        entry["channels"] = [bit for bit in range(held.bit_length()) if held >> bit & 1]
        entry["normal"] = bool(entry["normal"])
        operators.append(entry)
    return operators
