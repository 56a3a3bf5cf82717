"""What the terminal shows at the end of a run: the best design or the front, and what there is to say about it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from rich.box import SIMPLE
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from dse.report.acquired import acquired_words
from dse.report.intervals import interval_text, shown_interval
from dse.report.terminal import plain_table, terminal
from dse.report.validation import validation_table
from dse.studies.outcome import Outcome
from dse.studies.study import Study

MOST_COLUMNS = 118  # of a table with intervals; where it would be wider only objectives have them, or nothing has


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
    endless = console.options.update(width=10 * MOST_COLUMNS)
    for stated in (list(outcome.answers.metrics), [objective.metric for objective in outcome.objectives], []):
        table = _table(study, outcome, stated)
        if Measurement.get(console, endless, table).maximum <= MOST_COLUMNS:
            break
    console.print(table)
    print(f"Best: {outcome.front.schema.text(outcome.front, 0)}")
    study.say(console, outcome)
    if outcome.findings is not None:
        _say_truth(console, outcome)
        study.say_words(outcome)
    print(f"Results are in {folder}")


def _say_truth(console: Console, outcome: Outcome) -> None:
    """What a truth answered: about designs of the front, and about those that an active loop chose."""
    if (checked := outcome.validation) is not None:
        calls = f"{checked.calls} call{'s' * (checked.calls != 1)}"
        print(f"Designs of the front checked by {checked.source} ({calls}):")
        console.print(plain_table(validation_table(checked), ("status",)))
        if checked.error is not None:
            print(f"Median error of the estimated {checked.metric}: {checked.error:.1%}")
    if outcome.acquired is not None:
        print("\n".join(textwrap.fill(words, MOST_COLUMNS) for words in acquired_words(outcome.acquired)))


def _table(study: Study, outcome: Outcome, stated: Sequence[str]) -> Table:
    """At most ten designs of the front; below values of the `stated` metrics their intervals, where there are any."""
    count, answers = len(outcome.front), outcome.answers
    metrics = study.shown(list(answers.metrics))
    nothing = np.full((count, 2), np.nan)
    ends = [shown_interval(answers, name) if name in stated else nothing for name in metrics]
    some = not np.isnan(ends).all()
    title = "Best design" if len(outcome.objectives) == 1 else f"Pareto front: {min(count, 10)} of {count} designs"
    title += f", with {answers.level:.0%} intervals" if some else ""
    table = Table(title=title, title_justify="left", header_style="bold", box=SIMPLE)
    for name in (*metrics, *study.headings):
        table.add_column(name, justify="right", no_wrap=True)
    shown = sorted({round(i * (count - 1) / 9) for i in range(10)}) if count > 10 else range(count)
    for row in shown:
        cells = [f"{answers.metrics[name][row]:.6g}" for name in metrics]
        table.add_row(*cells, *study.cells(outcome, row))
        if some:
            table.add_row(*(interval_text(known[row]) for known in ends), style="dim")
    return table
