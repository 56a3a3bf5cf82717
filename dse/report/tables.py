"""The tables of a report as text: what stands in which cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from design.core import Floats
from design.metrics import metric_values
from dse.report.intervals import interval_text, shown_interval
from dse.studies.outcome import Outcome
from dse.studies.study import Study

MOST_ROWS = 100  # of a front; of a larger one an even choice


@dataclass(frozen=True)
class FrontRow:
    """One design: its place on the front (from 1), what is special about it, its cells with the interval of each,
    "" where there is none, and it as text."""

    place: int
    mark: str
    cells: list[tuple[str, str]]
    text: str


@dataclass(frozen=True)
class FrontTable:
    """`headings` of the cells; `left_out` counts designs that are not shown; `level` is that of the intervals, None
    where there are none."""

    headings: list[str]
    rows: list[FrontRow]
    left_out: int
    level: float | None


def front_table(study: Study, outcome: Outcome, knee: int | None) -> FrontTable:
    """The front's designs, the best and the knee among them in any case."""
    count, metrics = len(outcome.front), outcome.answers.metrics
    shown = set(np.linspace(0, count - 1, min(count, MOST_ROWS)).round().astype(int).tolist())
    shown |= {0} if count else set()
    shown |= set() if knee is None else {knee}
    columns: dict[str, Floats] = {name: metrics[name] for name in study.shown(list(metrics))}
    columns |= {
        o.metric: metric_values(o.metric, metrics) for o in outcome.objectives if count and o.metric not in metrics
    }
    ends = [shown_interval(outcome.answers, name) for name in columns]
    rows = []
    for row in sorted(shown):
        marks = ["best"] * (row == 0) + ["knee"] * (row == knee)
        cells = [(f"{v[row]:.6g}", interval_text(e[row])) for v, e in zip(columns.values(), ends, strict=True)]
        cells += [(cell, "") for cell in study.cells(outcome, row)]
        rows.append(FrontRow(row + 1, ", ".join(marks), cells, outcome.front.schema.text(outcome.front, row)))
    headings = [*columns, *study.headings]
    some = any(interval for row in rows for _, interval in row.cells)
    return FrontTable(headings, rows, count - len(rows), outcome.answers.level if some else None)


def said_by(outcome: Outcome) -> dict[str, list[str]]:
    """Evaluator and version -> the metrics that it said."""
    found: dict[str, list[str]] = {}
    for name, said in outcome.answers.source.items():
        if len(said):
            found.setdefault(str(said[0]), []).append(name)
    return found
