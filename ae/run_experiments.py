"""Run an experiment, all of it by one command; what is done is not done again.

    python ae/run_experiments.py --experiment-type loop --data hlsyn.tar.gz --budget 60

`loop` races the active loop against other ways to choose which designs the tool is run on, on recorded results. The
table is printed; all points, the table and the figure are in --out.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, from anywhere

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy: work here is many small pieces
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from ae.loop import Race, run_race
from ae.loop_table import curves_of, draw, show, summary, write_points
from ae.race import METHODS
from cost_model.corpus.split import read_split
from design.errors import InputError
from design.hls import TARGETS
from dse.run_directory import write_whole
from dse.settings import whole
from frontends.hls_results import family_of, result_names


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
        data=given.data,
        tool=given.tool_version,
        kernels=tuple(dict.fromkeys(kernels)),
        methods=tuple(dict.fromkeys(methods)),
        seeds=tuple(range(seeds)),
        budget=budget,
        out=given.out / f"loop-{given.tool_version}",
        checkpoint=given.checkpoint,
    )


def main(arguments: list[str]) -> int:
    """Run the command line. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="ae/run_experiments.py", description="Run an experiment.")
    parser.add_argument("--experiment-type", choices=["loop"], required=True)
    parser.add_argument("--data", type=Path, help="results of HLS tools: folder or .tar.gz")
    parser.add_argument("--tool-version", choices=list(TARGETS), default="v18")
    parser.add_argument("--kernels", help="comma-separated; default: all of the families that no model has seen")
    parser.add_argument("--methods", help=f"separated by semicolons, of: {'; '.join(METHODS)}; default: all")
    parser.add_argument("--budget", default="60", help="tool runs of a method on a kernel")
    parser.add_argument("--seeds", default="10")
    parser.add_argument("--checkpoint", help="language model that races, with its kernels unseen (default: shipped)")
    parser.add_argument("--workers", default="2", help="processes")
    parser.add_argument("--out", type=Path, default=Path("ae/results"))
    given = parser.parse_args(arguments)
    try:
        race = race_of(given)
        workers = whole(1, 1024)("--workers", given.workers)
        points = run_race(race, workers, lambda line: print(line, file=sys.stderr, flush=True))
        if not points:
            raise InputError("the race", "has no point that went well", "the reasons above")
        curves = curves_of(points, race.budget)
        rows = summary(curves, race.budget)
        write_points(points, race.out / "loop.csv")
        write_whole(race.out / "loop.json", json.dumps(rows, indent=1) + "\n")
        draw(curves, race)
        show(rows, race)
        print(f"Points, table and figure are in {race.out}")
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; what is done is kept", file=sys.stderr)
        return 130
    except OSError as error:
        print(f"error: {error.filename or 'output'}: {error.strerror or error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
