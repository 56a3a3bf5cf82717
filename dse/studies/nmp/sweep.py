"""Several uses of a model in one run: each is explored on its own, and a table and a picture show how the best design
moves from one to the next."""

from __future__ import annotations

import csv
import io
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from design.errors import InputError
from design.metrics import metric_values
from design.nmp.design import HARDWARE
from dse.options import BY_NAME, Settings, read_settings
from dse.records.directory import write_whole
from dse.run.interrupt import OVER_TIME
from dse.run.resume import resumed_settings
from dse.run.run import Run
from dse.studies.nmp.tables import HARDWARE_HEADINGS, device_cells
from dse.studies.registry import study_of

Given = Mapping[str, tuple[str, str]]
SWEPT = (
    "input-seq-len",
    "max-gen-len",
    "max-batch-size",
    "max-seq-len",
    "prefill-chunk",
    "precision",
    "expert-load",
    "draft-len",
    "accept-rate",
)
MOST_POINTS = 1000
MODEL = ("ttft_s", "token_s", "tokens_per_s", "joule_per_token", "area_mm2")
TABLE = "sweep.csv"


@dataclass(frozen=True)
class SweepPoint:
    """One use: the values of the swept options, and the `summary.json` of its run; None where nothing was found."""

    values: tuple[str, ...]
    summary: Mapping[str, Any] | None


def sweep_as(given: Given, settings: Settings, folder: Path) -> int:
    """Explore every use that `--sweep` names, each in a directory of its own under `folder`. Returns an exit code.
    Raises InputError, before anything is written, where one of them cannot be explored."""
    axes = read_sweep(settings["sweep"])
    names, begin = tuple(axes), time.monotonic()
    points = list(product(*axes.values()))
    made = [(values, _settings_at(given, names, values, folder)) for values in points]
    studies = [study_of(one) for _, one in made]
    found: list[SweepPoint] = []
    code = 0
    for (values, one), study in zip(made, studies, strict=True):
        left = None if settings["time-limit"] is None else settings["time-limit"] - (time.monotonic() - begin)
        if left is not None and left <= 0:
            print(f"note: {OVER_TIME} after {len(found)} of {len(made)} uses; --resume goes on", file=sys.stderr)
            break
        if not settings["quiet"]:
            print(f"{len(found) + 1} of {len(made)}: {_words(names, values)}", file=sys.stderr)
        limited = Settings({**one.values, "time-limit": left}, one.text)
        code = max(code, Run(study, limited, Path(one["dse-output-dir"])).execute())
        found.append(SweepPoint(values, read_summary(Path(one["dse-output-dir"]))))
        _write(folder, names, found)
        if code == 130:
            break
    if not settings["quiet"]:
        _say(names, found, folder)
    return code


def read_sweep(text: str) -> dict[str, tuple[str, ...]]:
    """Option -> its values as text, from `OPTION=VALUE,..;OPTION=VALUE,..`. Raises InputError."""
    expected = f"OPTION=VALUE,..;OPTION=VALUE,.. with OPTION one of {', '.join(SWEPT)}"
    found: dict[str, tuple[str, ...]] = {}
    for part in text.split(";"):
        name, equals, values = (piece.strip() for piece in part.partition("="))
        name = name.removeprefix("--")
        if name not in SWEPT or not equals or name in found:
            raise InputError("--sweep", f"'{part.strip()[:60]}'", expected)
        listed = tuple(value.strip() for value in values.split(","))
        if not all(listed) or len(set(listed)) < len(listed):
            raise InputError("--sweep", f"'{part.strip()[:60]}' has an empty value or one twice", expected)
        for value in listed:
            BY_NAME[name].parse(f"--sweep, {name}", value)
        found[name] = listed
    count = 1
    for listed in found.values():
        count *= len(listed)
    if count > MOST_POINTS:
        raise InputError("--sweep", f"{count} uses", f"at most {MOST_POINTS}")
    return found


def _settings_at(given: Given, names: Sequence[str], values: Sequence[str], folder: Path) -> Settings:
    """The settings of one use; where its run is to be gone on with, those it was begun with."""
    own = {name: said for name, said in given.items() if name not in ("sweep", "quiet")}
    own |= {name: ("--sweep", value) for name, value in zip(names, values, strict=True)}
    place = folder / ",".join(f"{name}={value}" for name, value in zip(names, values, strict=True))
    own |= {"dse-output-dir": ("--dse-output-dir", str(place)), "quiet": ("--sweep", "true")}
    settings = read_settings(own)
    return resumed_settings(own, settings) if settings["resume"] else settings


def read_summary(folder: Path) -> Mapping[str, Any] | None:
    """What a run found; None where that is no design."""
    found = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return found if found.get("best") and found.get("model") else None


def _write(folder: Path, names: Sequence[str], points: Sequence[SweepPoint]) -> None:
    """The table and the picture of the uses explored so far."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    objective = next((p.summary["objectives"][0]["metric"] for p in points if p.summary), "latency_s")
    headings = [f"best_{objective}", *MODEL, *(column.name for column in HARDWARE), "design"]
    rows.writerow([*names, *headings])
    for point in points:
        cells = [""] * len(headings) if point.summary is None else _cells(point.summary, objective)
        rows.writerow([*point.values, *cells])
    write_whole(folder / TABLE, text.getvalue())
    from dse.report.pictures.nmp.sweep import Column, sweep_picture

    columns = [
        Column(point.values, point.summary["model"], point.summary["best"]["hardware"], _shares(point.summary))
        for point in points
        if point.summary is not None
    ]
    if columns:
        sweep_picture(names, columns, _device_title(points, objective), folder / "pictures")


def _device_title(points: Sequence[SweepPoint], objective: str) -> str:
    """Who chose the devices, and what that evaluator does not see."""
    said = next(iter(p.summary["evaluator"].values() for p in points if p.summary))
    name = next(iter(said)).partition("/")[0]
    blind = "; buffers are all the same to it" if name == "roofline" else ""
    return f"device of the best design for {objective}, by {name}{blind}"


def _cells(summary: Mapping[str, Any], objective: str) -> list[Any]:
    best, model = summary["best"], summary["model"]
    metrics = {name: np.array([value]) for name, value in best["metrics"].items()}
    figures = [float(metric_values(objective, metrics)[0]), *(model[name] for name in MODEL)]
    return [*figures, *(best["hardware"][column.name] for column in HARDWARE), best["design"]]


def _shares(summary: Mapping[str, Any]) -> dict[str, float]:
    """Of each operator, the share that the best design does on NMP in decode."""
    return {op["operator"]: op["nmp_share"] for op in summary["best"].get("operators", [])}


def _words(names: Sequence[str], values: Sequence[str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in zip(names, values, strict=True))


def _say(names: Sequence[str], points: Sequence[SweepPoint], folder: Path) -> None:
    """The table on the terminal."""
    from rich.box import SIMPLE
    from rich.table import Table

    from dse.report.terminal import terminal

    table = Table(header_style="bold", box=SIMPLE)
    for heading in (*names, "first token", "per token", "tokens/s", "J/token", *HARDWARE_HEADINGS):
        table.add_column(heading, justify="right", no_wrap=True)
    for point in points:
        if point.summary is None:
            table.add_row(*point.values, "nothing fits")
            continue
        model = point.summary["model"]
        joule = model["joule_per_token"]
        table.add_row(
            *point.values,
            f"{model['ttft_s']:.4g} s",
            f"{model['token_s'] * 1e3:.4g} ms",
            f"{model['tokens_per_s']:.4g}",
            "-" if joule is None else f"{joule:.4g}",
            *device_cells(point.summary["best"]["hardware"]),
        )
    terminal(140).print(table)
    print(f"{folder}: {TABLE}, pictures/sweep.png, and a run in a directory of its own for each use")
