"""What came of a race: one table, one file of all points, one figure."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE
from rich.table import Table

from ae.loop.points import Point, Race
from design.core import Floats
from dse.records.directory import write_whole
from dse.report.terminal import terminal

GOAL = 0.02
NEAR = (0.10, 0.05, GOAL)  # ADRS whose runs are counted
AT = (10, 20, 40)  # runs at which ADRS is told, beside the last
EVOLVED = "nsga-ii"


@dataclass(frozen=True)
class Curves:
    """Of one kernel and method, after each of `budget` runs: ADRS, at most 1, and hypervolume, (seeds, budget) each."""

    adrs: Floats
    hypervolume: Floats
    cpu_s: float


def curves_of(points: Sequence[Point], budget: int) -> dict[str, dict[str, Curves]]:
    """By kernel and method. A method that had every design before the budget was spent stays where it was."""
    found: dict[str, dict[str, Curves]] = {}
    keys = dict.fromkeys((point["kernel"], point["method"]) for point in points)
    for kernel, method in keys:
        some = [point for point in points if (point["kernel"], point["method"]) == (kernel, method)]
        adrs = [[1.0 if a is None else min(a, 1.0) for a in point["adrs"]] for point in some]
        found.setdefault(kernel, {})[method] = Curves(
            np.array([_to(row, budget) for row in adrs]),
            np.array([_to(point["hypervolume"], budget) for point in some]),
            float(np.mean([point["cpu_seconds"] for point in some])),
        )
    return found


def _to(row: Sequence[float], budget: int) -> list[float]:
    return [*row, *[row[-1]] * (budget - len(row))]


def runs_to(adrs: Floats, goal: float) -> float:
    """Median over seeds of the runs until ADRS (seeds, budget) is at most the goal; infinite where half never is."""
    near = adrs <= goal
    first = np.where(near.any(axis=1), near.argmax(axis=1) + 1.0, np.inf)
    return float(np.median(first))


def summary(curves: dict[str, dict[str, Curves]], budget: int) -> list[dict[str, Any]]:
    """A row a method: means over kernels of medians over seeds. `runs_to` counts a kernel that was not brought so near
    as the whole budget, `reached` how many kernels were."""
    rows = []
    for method in dict.fromkeys(method for of_kernel in curves.values() for method in of_kernel):
        each = {kernel: of_kernel[method] for kernel, of_kernel in curves.items() if method in of_kernel}
        middle = np.mean([np.median(c.adrs, axis=0) for c in each.values()], axis=0)
        row: dict[str, Any] = {"method": method, "kernels": len(each)}
        row |= {f"adrs_{at}": float(middle[at - 1]) for at in (*AT, budget) if at <= budget}
        for goal in NEAR:
            runs = [runs_to(c.adrs, goal) for c in each.values()]
            row[f"runs_to_{goal:.0%}"] = float(np.mean([min(r, budget) for r in runs]))
            row[f"reached_{goal:.0%}"] = sum(r < math.inf for r in runs)
        evolved = [of[EVOLVED] for of in curves.values() if method in of and EVOLVED in of]
        if len(evolved) == len(each):
            ends = [float(np.median(c.adrs[:, -1])) for c in evolved]
            # Where it found nothing there is nothing to come as near as.
            runs = [runs_to(c.adrs, end) for c, end in zip(each.values(), ends, strict=True) if end < 1]
            row["runs_to_nsga"] = float(np.mean([min(r, budget) for r in runs])) if runs else None
            row["reached_nsga"], row["kernels_nsga"] = sum(r < math.inf for r in runs), len(runs)
        row["hypervolume"] = float(np.mean([np.median(c.hypervolume[:, -1]) for c in each.values()]))
        row["spread"] = float(np.mean([np.subtract(*np.quantile(c.adrs[:, -1], [0.75, 0.25])) for c in each.values()]))
        row["cpu_s"] = float(np.mean([c.cpu_s for c in each.values()]))
        rows.append(row)
    return rows


def write_points(points: Sequence[Point], path: Path) -> None:
    """All points as one tidy table, a line a tool run."""
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(["tool", "kernel", "method", "seed", "run", "adrs", "hypervolume"])
    for p in points:
        for run, (adrs, share) in enumerate(zip(p["adrs"], p["hypervolume"], strict=True), start=1):
            known = "" if adrs is None else f"{adrs:.6g}"
            table.writerow([p["tool"], p["kernel"], p["method"], p["seed"], run, known, f"{share:.6g}"])
    write_whole(path, text.getvalue())


def draw(curves: dict[str, dict[str, Curves]], race: Race) -> None:
    """`loop.png` and `loop.svg`: both measures against tool runs, with their spread over seeds."""
    from dse.report.pictures.active.race import loop_race_picture

    blocks = {
        "ADRS": {kernel: {method: c.adrs for method, c in of.items()} for kernel, of in curves.items()},
        "hypervolume": {kernel: {method: c.hypervolume for method, c in of.items()} for kernel, of in curves.items()},
    }
    loop_race_picture(blocks, np.arange(1, race.budget + 1), {}, GOAL, race.out)


def show(rows: Sequence[dict[str, Any]], race: Race) -> None:
    """The table on the terminal."""
    console = terminal(150)
    print(
        f"{race.tool}: means over {', '.join(race.kernels)} of medians over {len(race.seeds)} seeds, at most "
        f"{race.budget} tool runs"
    )
    table = Table(box=SIMPLE, header_style="bold")
    table.add_column("method", no_wrap=True)
    at = [a for a in (*AT, race.budget) if f"adrs_{a}" in rows[0]]
    headings = [f"ADRS, {a} runs" for a in at] + [f"runs to {goal:.0%}" for goal in NEAR]
    for heading in (*headings, "to NSGA-II's last", "hypervolume", "quartiles apart", "CPU-s"):
        table.add_column(heading, justify="right")
    for row in rows:
        cells = [f"{row[f'adrs_{a}']:.1%}" for a in at]
        cells += [_runs(row, f"{goal:.0%}", race.budget) for goal in NEAR]
        cells.append(_runs(row, "nsga", race.budget) if row.get("runs_to_nsga") is not None else "-")
        cells += [f"{row['hypervolume']:.1%}", f"{row['spread']:.1%}", f"{row['cpu_s']:.1f}"]
        table.add_row(row["method"], *cells)
    console.print(table)
    print(
        "Runs to an ADRS: a kernel on which the median seed does not get there counts as the whole budget; in brackets "
        "on how many it does. Quartiles: of ADRS at the end, over seeds."
    )


def _runs(row: dict[str, Any], goal: str, budget: int) -> str:
    reached, kernels = row[f"reached_{goal}"], row.get(f"kernels_{goal}", row["kernels"])
    least = "" if reached == kernels else ">"
    return f"{least}{row[f'runs_to_{goal}']:.0f} ({reached}/{kernels})"
