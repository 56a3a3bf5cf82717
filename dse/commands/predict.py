"""Execution type `predict`: what a surrogate says of one design, and of a language model digit by digit."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from design.errors import InputError
from dse.options import Settings
from dse.records.directory import write_whole
from dse.studies.registry import learning_of
from dse.studies.surrogates import SURROGATES

FILE = "prediction.json"


def predict_as(settings: Settings, out: Path) -> int:
    """Predicts the design that --set names, prints it and writes `prediction.json`. Returns an exit code. Raises
    InputError for an unusable task, design, evaluator or checkpoint."""
    learning = learning_of(settings)
    task, seed = learning.read_task(), settings["seed"]
    batch = learning.design(task)
    name = learning.default["predict"] if settings["evaluator"] == "auto" else settings["evaluator"]
    if name not in SURROGATES:
        raise InputError("--evaluator", f"{name} with --execution-type predict", f"one of {', '.join(SURROGATES)}")
    surrogate = SURROGATES[name](learning.domain)
    labels = learning.read_labels(task)
    answer = surrogate.condition(task, labels, seed=seed).evaluate(batch, seed=seed)
    first = task.metrics[0]
    model = getattr(surrogate, "inner", surrogate).condition(task, None, seed=seed)
    digits = model.digits(batch) if hasattr(model, "digits") else {}
    names = list(answer.samples) or [name for name in task.metrics if name in answer.metrics]
    target = getattr(task, "target", None)
    found: dict[str, Any] = {
        "kernel": getattr(task, "kernel", task).name,
        "tool": None if target is None else target.tool,
        "design": batch.schema.text(batch, 0),
        "by": str(answer.source[first][0]),
        "metrics": {
            metric: {
                "median": _number_or_null(float(answer.metrics[metric][0])),
                "interval": answer.interval[metric][0].tolist() if metric in answer.interval else None,
                "samples": answer.samples[metric][0].tolist() if metric in answer.samples else [],
                "digits": digits.get(metric, []),
            }
            for metric in names
        },
    }
    if "valid_probability" in answer.metrics:
        found["valid_probability"] = float(answer.metrics["valid_probability"][0])
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_whole(out / FILE, json.dumps(found, indent=1) + "\n")
    except OSError as error:
        raise InputError(str(error.filename or out), f"cannot be written ({error.strerror})", "a directory") from None
    if not settings["quiet"]:
        _show(found)
    return 0


def _show(found: dict[str, Any]) -> None:
    console, metrics = Console(), found["metrics"]
    tool = "" if found["tool"] is None else f" by {found['tool']}"
    print(f"{found['kernel']}{tool}: {found['design']}")
    table = Table(box=None, padding=(0, 1))
    for heading, side in (("metric", "left"), ("median", "right"), ("90 % interval", "right"), ("digits", "left")):
        table.add_column(heading, justify=side)  # type: ignore[arg-type]
    for metric, one in metrics.items():
        digits = "  ".join(f"{token} {share:.0%}" for token, share in one["digits"])
        ends = "" if one["interval"] is None else " to ".join(map(_number, one["interval"]))
        table.add_row(metric, _number(one["median"]), ends, digits)
    console.print(table)
    valid = "" if "valid_probability" not in found else f"valid with probability {found['valid_probability']:.0%}; "
    print(f"{valid}by {found['by']}")


def _number(value: float | None) -> str:
    """Counts whole, watts and the like to three digits."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 or value == round(value) else f"{value:.3g}"


def _number_or_null(value: float) -> float | None:
    return value if math.isfinite(value) else None
