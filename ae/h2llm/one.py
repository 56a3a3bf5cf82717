"""One point: explored in a run directory of its own, in this process, and told as a row of the table."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

from ae.h2llm.points import DATA_SETS, Point
from design.errors import InputError
from dse.records.directory import write_whole
from dse.report.repeat import revision
from dse.run.run import Run
from dse.studies.registry import study_of

ROW = "point.json"  # in the point's run directory, written last: where it is there, the point is done
COLUMNS = (
    "design",
    "model",
    "data_set",
    "batch",
    "latency",
    "prefill",
    "decode",
    "energy",
    "lower_bound",
    "gap",
    "candidates",
    "cpu_seconds",
    "seed",
    "commit",
    "evaluator",
    "hardware",
)
Row = dict[str, Any]  # by COLUMNS


def done(point: Point, folder: Path) -> Row | None:
    """The row of a point that was done before; None of one that was not."""
    path = folder / point.name / ROW
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return row if isinstance(row, dict) and set(row) == set(COLUMNS) else None


def explored(point: Point, folder: Path, evaluator: str, seed: int) -> Row:
    """Explore a point, or go on with it. Raises InputError where it cannot be, or has no design, and KeyboardInterrupt
    where it was interrupted."""
    place, begin = folder / point.name, time.process_time()
    settings = point.settings(evaluator, seed, place)
    code = Run(study_of(settings), settings, place).execute()
    if code == 130:
        raise KeyboardInterrupt
    summary = json.loads((place / "summary.json").read_text(encoding="utf-8"))
    if code or summary["best"] is None:
        raise InputError(point.name, f"has no design ({summary['ended']})", f"one in {place}")
    row = _row(point, summary, evaluator, seed) | {"cpu_seconds": round(time.process_time() - begin, 3)}
    row = {name: row[name] for name in COLUMNS}
    write_whole(place / ROW, json.dumps(row) + "\n")
    return row


def _row(point: Point, summary: dict[str, Any], evaluator: str, seed: int) -> Row:
    """Seconds and joules are a layer's. The roofline knows no energy: then it is that of `buffered` for the design."""
    best, model = summary["best"], summary["model"]
    value, bound = best["metrics"]["latency_s"], summary["lower_bound"]
    tokens = DATA_SETS[point.data_set][1] * point.batch
    joule = None if model is None else model["joule_per_token"]
    return {
        "design": point.design,
        "model": point.model,
        "data_set": point.data_set,
        "batch": point.batch,
        "latency": value,
        "prefill": best["metrics"]["prefill_s"],
        "decode": best["metrics"]["decode_s"],
        "energy": None if joule is None or not math.isfinite(joule) else joule * tokens / model["layers"],
        "lower_bound": bound,
        "gap": None if bound is None else max(value / bound - 1, 0.0),
        "candidates": summary["candidates"],
        "seed": seed,
        "commit": revision(),
        "evaluator": evaluator,
        "hardware": "/".join(f"{figure:g}" for figure in best["hardware"].values()),
    }
