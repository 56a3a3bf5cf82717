"""The result files of a run: `result.log`, `summary.json`, `front.csv`, `front.json`."""

from __future__ import annotations

import json
import platform as host
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from design.core import Evaluation
from dse.active.acquired import acquired_summary
from dse.records.directory import write_whole
from dse.records.export import design_table, interval_table, known, write_table
from dse.report.repeat import revision
from dse.report.validation import validation_summary
from dse.studies.outcome import Outcome
from dse.studies.study import Study

VERSION = "0.1.0"


def write_results(folder: Path, study: Study, outcome: Outcome) -> None:
    """Write all result files; each is whole at any moment."""
    write_whole(folder / "summary.json", json.dumps(summary(study, outcome), indent=2, allow_nan=False) + "\n")
    write_whole(folder / "result.log", result_log(study, outcome))
    table: dict[str, list[Any]] = {"id": list(outcome.front_ids)}
    table |= {name: values.tolist() for name, values in outcome.answers.metrics.items()}
    table |= (interval_table(outcome.answers) if len(outcome.front) else {}) | design_table(outcome.front)
    for suffix in ("csv", "json"):
        write_table(table, folder / f"front.{suffix}")


def result_log(study: Study, outcome: Outcome) -> str:
    """The best design's metrics at full precision, then the design they belong to."""
    if not len(outcome.front):
        return "No feasible design was found.\n"
    return study.log(outcome) + f"Design: {outcome.front.schema.text(outcome.front, 0)}\n"


def summary(study: Study, outcome: Outcome) -> dict[str, Any]:
    """Everything of a run that fits on a page, for programs."""
    rows, further = range(len(outcome.front)), study.summary(outcome)
    if outcome.validation is not None:
        further["checked"] = validation_summary(outcome.validation, outcome.front_ids)
    if outcome.acquired is not None:
        further["bought"] = acquired_summary(outcome.acquired)
    front = [
        {"id": int(outcome.front_ids[row]), "metrics": _metrics(outcome, row)}
        | _spread(outcome.answers, row)
        | {"design": outcome.front.schema.text(outcome.front, row)}
        for row in rows
    ]
    best = front[0] | further.pop("best", {}) if front else None
    return {
        "best": best,
        "lower_bound": outcome.bound.lower_bound,
        "bound": outcome.bound.how,
        **further,
        "front": front,
        **({"level": outcome.answers.level} if any("interval" in design for design in front) else {}),
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
    return {name: known(v[row : row + 1])[0] for name, v in outcome.answers.metrics.items()}


def _spread(answers: Evaluation, row: int) -> dict[str, dict[str, list[float | None]]]:
    """The intervals and the samples of a design, without metrics of which nothing is known."""
    found = {
        "interval": {name: known(ends[row]) for name, ends in answers.interval.items()},
        "samples": {name: known(drawn[row]) for name, drawn in answers.samples.items()},
    }
    for field in found:
        found[field] = {name: values for name, values in found[field].items() if any(v is not None for v in values)}
    return {field: named for field, named in found.items() if named}
