"""Several runs side by side, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.box import SIMPLE
from rich.table import Table

from design.core import Objective
from dse.report.pictures.compare import ComparedRun
from dse.report.terminal import terminal


@dataclass(frozen=True)
class Compared:
    """A run: how it fares (`curve`), and what it is. `volume` is the hypervolume of its front in a box that all runs
    share; None with one objective."""

    curve: ComparedRun
    objectives: tuple[Objective, ...]
    workload: str
    evaluator: str
    seed: int
    seconds: float
    lower_bound: float | None
    volume: float | None
    ended: str


def print_comparison(runs: Sequence[Compared]) -> None:
    """A column for each run; a note where they are not about the same thing."""
    console = terminal(120)
    table = Table(header_style="bold", box=SIMPLE)
    table.add_column("")
    for run in runs:
        table.add_column(run.curve.name, justify="right", overflow="fold")
    for label, texts in _rows(runs):
        table.add_row(label, *texts)
    console.print(table)
    for what in ("workload", "evaluator"):
        if len({getattr(run, what) for run in runs}) > 1:
            print(f"note: the runs differ in {what}: their figures are of different things")


def _rows(runs: Sequence[Compared]) -> list[tuple[str, list[str]]]:
    rows = [("workload", [run.workload for run in runs]), ("evaluator", [run.evaluator for run in runs])]
    for i, objective in enumerate(runs[0].objectives):
        best = [run.curve.best[-1, i] if len(run.curve.best) else float("nan") for run in runs]
        rows.append((f"best {objective.metric}", [f"{value:.6g}" for value in best]))
    if runs[0].volume is not None:
        rows.append(("designs on the front", [str(len(run.curve.front)) for run in runs]))
        rows.append(("hypervolume (shared box)", [f"{run.volume:.5g}" for run in runs]))
    rows.append(("lower bound", ["-" if run.lower_bound is None else f"{run.lower_bound:.6g}" for run in runs]))
    rows.append(("candidates", [str(run.curve.candidates[-1] if len(run.curve.candidates) else 0) for run in runs]))
    rows.append(("seconds of search", [f"{run.seconds:.2f}" for run in runs]))
    rows.append(("seed", [str(run.seed) for run in runs]))
    rows.append(("ended", [run.ended for run in runs]))
    return rows
