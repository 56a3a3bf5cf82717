"""Execution type `predict`: what a trained model says of one design, digit by digit, with its confidence in each."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from cost_model.surrogates.checkpoints import language_model, with_intervals
from design.core import Batch
from design.errors import InputError
from design.hls.design import TARGETS, batch_of, hls_schema
from design.hls.directives import broken
from design.hls.loop_nest import PIPELINE, Kernel
from dse.options import Settings
from dse.records.directory import write_whole
from frontends.c_kernel import read_kernel

FILE = "prediction.json"


def predict_as(settings: Settings, out: Path) -> int:
    """Predicts the design that --set names, prints it and writes `prediction.json`. Returns an exit code. Raises
    InputError for an unusable kernel, design or checkpoint."""
    if settings["kernel"] is None:
        raise InputError("--kernel", "is missing", "a C file with loop directives")
    kernel = read_kernel(Path(settings["kernel"]))
    batch = chosen(kernel, settings["tool-version"], settings["set"] or ())
    model = language_model(settings["checkpoint"], settings["base-model"])
    target, seed = TARGETS[settings["tool-version"]], settings["seed"]
    evaluator = with_intervals(model, settings["checkpoint"]).fitted(kernel, target, None, seed)
    answer = evaluator.evaluate(batch, seed=seed)
    digits = model.fitted(kernel, target, None, seed).digits(batch)
    found = {
        "kernel": kernel.name,
        "tool": settings["tool-version"],
        "design": batch.schema.text(batch, 0),
        "by": str(answer.source["cycles"][0]),
        "metrics": {
            metric: {
                "median": float(answer.metrics[metric][0]),
                "interval": answer.interval[metric][0].tolist(),
                "samples": answer.samples[metric][0].tolist(),
                "digits": digits[metric],
            }
            for metric in answer.samples
        },
        "valid_probability": float(answer.metrics["valid_probability"][0]),
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_whole(out / FILE, json.dumps(found, indent=1) + "\n")
    except OSError as error:
        raise InputError(str(error.filename or out), f"cannot be written ({error.strerror})", "a directory") from None
    if not settings["quiet"]:
        _show(found)
    return 0


def chosen(kernel: Kernel, tool: str, pairs: tuple[str, ...]) -> Batch:
    """The one design that NAME=VALUE pairs say; what they leave out is off, or a factor of 1. Raises InputError for a
    parameter that is not there or comes twice, and for a value outside its range."""
    if not kernel.parameters:
        raise InputError(f"kernel {kernel.name}", "has no parameters", "auto{NAME} in its directives")
    point: dict[str, str | int] = {p.name: "off" if p.kind == PIPELINE else 1 for p in kernel.parameters}
    seen: set[str] = set()
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or name not in point:
            raise InputError("--set", f"'{pair[:60]}' names no parameter", f"NAME=VALUE of {', '.join(point)}")
        if name in seen:
            raise InputError("--set", f"{name} comes twice", "each parameter once")
        seen.add(name)
        point[name] = int(value) if value.isdigit() and len(value) < 10 else value
    batch = batch_of(kernel, hls_schema(kernel, TARGETS[tool]), [point], "--set")
    for reason in broken(kernel, batch.columns):
        raise InputError("--set", reason, "a design that the tool can make")
    return batch


def _show(found: dict[str, object]) -> None:
    console, metrics = Console(), found["metrics"]
    assert isinstance(metrics, dict)
    print(f"{found['kernel']} by {found['tool']}: {found['design']}")
    table = Table(box=None, padding=(0, 1))
    for heading, side in (("metric", "left"), ("median", "right"), ("90 % interval", "right"), ("digits", "left")):
        table.add_column(heading, justify=side)  # type: ignore[arg-type]
    for metric, said in metrics.items():
        low, high = said["interval"]
        digits = "  ".join(f"{token} {share:.0%}" for token, share in said["digits"])
        table.add_row(metric, _number(said["median"]), f"{_number(low)} to {_number(high)}", digits)
    console.print(table)
    print(f"valid with probability {found['valid_probability']:.0%}; by {found['by']}")


def _number(value: float) -> str:
    """Counts whole, watts and the like to three digits."""
    return f"{value:,.0f}" if value >= 100 or value == round(value) else f"{value:.3g}"
