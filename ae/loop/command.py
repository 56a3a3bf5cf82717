"""The race of loops as the command line states it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from ae.loop.points import Race, run_race
from ae.loop.race import METHODS
from ae.loop.table import curves_of, draw, show, summary, write_points
from cost_model.corpus.split import read_split
from design.errors import InputError
from design.hls.design import TARGETS
from design.hls.task import family_of
from dse.options import whole
from dse.records.directory import write_whole
from frontends.hls_results.tables import result_names


def add_options(parser: argparse.ArgumentParser) -> None:
    """Those of the race alone."""
    group = parser.add_argument_group("loop")
    group.add_argument("--data", type=Path, help="results of HLS tools: folder or .tar.gz")
    group.add_argument("--tool-version", choices=list(TARGETS), default="v18")
    group.add_argument("--kernels", help="comma-separated; default: all of the families that no model has seen")
    group.add_argument("--methods", help=f"separated by semicolons, of: {'; '.join(METHODS)}; default: all")
    group.add_argument("--budget", default="60", help="tool runs of a method on a kernel")
    group.add_argument("--checkpoint", help="language model that races, with its kernels unseen (default: shipped)")


def race_of(given: argparse.Namespace) -> Race:
    """The race that the command line states. Raises InputError where it states none."""
    if given.data is None:
        raise InputError("--data", "is missing", "a folder or .tar.gz with sources/ and designs/TOOL/")
    there = result_names(given.data).get(given.tool_version, ())
    families = read_split().families
    kernels = given.kernels.split(",") if given.kernels else [name for name in there if family_of(name) in families]
    if odd := [name for name in kernels if name not in there] or ([] if kernels else ["none"]):
        raise InputError("--kernels", f"{odd[0]} has no results of {given.tool_version}", ", ".join(there) or "others")
    methods = given.methods.split(";") if given.methods else list(METHODS)
    if odd := [name for name in methods if name not in METHODS]:
        raise InputError("--methods", f"'{odd[0]}' is unknown", "; ".join(METHODS))
    seeds = whole(1, 1000)("--seeds", given.seeds)
    budget = whole(1, 10**6)("--budget", given.budget)
    return Race(
        data=given.data.resolve(),  # workers are elsewhere
        tool=given.tool_version,
        kernels=tuple(dict.fromkeys(kernels)),
        methods=tuple(dict.fromkeys(methods)),
        seeds=tuple(range(seeds)),
        budget=budget,
        out=given.out / f"loop-{given.tool_version}",
        checkpoint=given.checkpoint and str(Path(given.checkpoint).resolve()),
    )


def race_through(race: Race, workers: int, say: Callable[[str], None]) -> int:
    """Run it; its table is printed, its points, table and figure are written. Returns the exit code."""
    points = run_race(race, workers, say)
    if not points:
        raise InputError("the race", "has no point that went well", "the reasons above")
    curves = curves_of(points, race.budget)
    rows = summary(curves, race.budget)
    write_points(points, race.out / "loop.csv")
    write_whole(race.out / "loop.json", json.dumps(rows, indent=1) + "\n")
    draw(curves, race)
    show(rows, race)
    print(f"Points, table and figure are in {race.out}")
    return 0
