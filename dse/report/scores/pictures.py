"""The pictures of scores, from the content of metrics.json and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from design.core import LEVEL
from dse.report.pictures.scores.digits import Begun, digits_picture
from dse.report.pictures.scores.distance import distance_picture
from dse.report.pictures.scores.reliability import Held, reliability_picture
from evaluators.scoring.digits import PLACES
from evaluators.scoring.profiles import RIGHT, RIGHT_IN_5

Result = Mapping[str, Any]


def draw_scores(result: Result, headings: Sequence[str], folder: Path) -> None:
    """Writes `reliability`, `digits` and `distance` to a folder, .png and .svg each, those of them that have something
    to show."""
    panels = {_title(result, name): name for name in headings}
    held = {title: reliability_of(result, name) for title, name in panels.items()}
    if any(one.coverage or one.ranks for rows in held.values() for one in rows.values()):
        reliability_picture(held, LEVEL, folder)
    digits_picture({title: digits_of(result, name) for title, name in panels.items()}, PLACES, folder)
    near = {kernel: there["distance"] for kernel, there in result.get("distance", {}).items() if there}
    if near:
        distance_picture({title: errors_of(result, name) for title, name in panels.items()}, near, folder)


def reliability_of(result: Result, heading: str) -> dict[str, Held]:
    """By predictor, what its intervals and samples held; those of cycles kernel by kernel."""
    found, first = {}, result["metrics"][0]
    for name, block in _blocks(result, heading).items():
        kernels = block["kernels"].values()
        ranks = result["ranks"][name][heading]
        found[name] = Held(
            coverage=[k[first]["coverage_90"] for k in kernels if k[first]["coverage_90"] is not None],
            width=[k[first]["width_90"] for k in kernels if k[first]["width_90"] is not None],
            others={
                metric: (block[metric]["coverage_90"], block[metric]["width_90"])
                for metric in result["metrics"][1:]
                if block[metric]["coverage_90"] is not None
            },
            ranks={metric: shares for metric, shares in ranks.items() if shares is not None},
        )
    return found


def digits_of(result: Result, heading: str) -> dict[str, dict[str, Begun]]:
    """By metric and predictor, which share of designs has the right beginning."""
    return {
        metric: {
            name: Begun(places[heading][metric][RIGHT], places[heading][metric][RIGHT_IN_5])
            for name, places in result["digits"].items()
            if metric in places[heading]
        }
        for metric in result["metrics"]
    }


def errors_of(result: Result, heading: str) -> dict[str, dict[str, float]]:
    """By predictor and task, RMSE(y) of the first metric."""
    first = result["metrics"][0]
    return {
        name: {k: v[first]["rmse_y"] for k, v in block["kernels"].items() if v[first]["rmse_y"] is not None}
        for name, block in _blocks(result, heading).items()
    }


def _blocks(result: Result, heading: str) -> dict[str, Any]:
    rivals = {name: table[heading] for name, table in (result["baselines"] or {}).items()}
    return {result["evaluator"]: result[heading], **rivals}


def _title(result: Result, heading: str) -> str:
    count = heading.partition("=")[2]
    return f"{result['tool_version']}, {'no' if count == '0' else count} label{'' if count == '1' else 's'}"
