"""What the terminal shows at the end of a run: the best design or the front, and what there is to say about it."""

from __future__ import annotations

from rich.box import SIMPLE
from rich.table import Table

from dse.records.outcome import Outcome
from dse.report.terminal import terminal
from dse.studies.study import Study


def print_outcome(study: Study, outcome: Outcome, folder: str) -> None:
    """The table at the end: the best design, or the first designs of the front."""
    console = terminal(120)
    count = len(outcome.front)
    rate = outcome.candidates / max(outcome.wall_seconds, 1e-9)
    print(
        f"{outcome.candidates} candidates in {outcome.wall_seconds:.2f} s ({rate:,.0f}/s, "
        f"{outcome.cpu_seconds:.2f} CPU-s), {outcome.ended}"
    )
    if outcome.failed:
        most, times = next(iter(outcome.failed.items()))
        share = f", {times} of them" if len(outcome.failed) > 1 else ""
        print(f"{sum(outcome.failed.values())} designs failed{share}: {most}")
    if not count:
        print("No feasible design was found; the store has the reason for every candidate.")
        return
    title = "Best design" if len(outcome.objectives) == 1 else f"Pareto front: {min(count, 10)} of {count} designs"
    table = Table(title=title, title_justify="left", header_style="bold", box=SIMPLE)
    metrics = study.shown(list(outcome.answers.metrics))
    for name in metrics:
        table.add_column(name, justify="right", no_wrap=True)
    for name in study.headings:
        table.add_column(name, justify="right", no_wrap=True)
    shown = sorted({round(i * (count - 1) / 9) for i in range(10)}) if count > 10 else range(count)
    for row in shown:
        table.add_row(*(f"{outcome.answers.metrics[name][row]:.6g}" for name in metrics), *study.cells(outcome, row))
    console.print(table)
    print(f"Best: {outcome.front.schema.text(outcome.front, 0)}")
    study.say(console, outcome)
    print(f"Results are in {folder}")
