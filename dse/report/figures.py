"""The pictures of every report: what a run has, turned into the plain tables that `pictures/` draws."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from design.core import Floats
from design.metrics import metric_unit
from dse.records.archive import Progress, objective_values
from dse.report.intervals import shown_interval
from dse.report.pictures.convergence import convergence_picture
from dse.report.pictures.fronts import front_picture
from dse.studies.outcome import Outcome


@dataclass(frozen=True)
class Picture:
    """A drawing by name, and in words: what it shows, and what to read from it."""

    name: str
    svg: str
    label: str
    caption: str


def run_pictures(
    outcome: Outcome, history: Sequence[Progress], cloud: Floats, knee: int | None, folder: Path
) -> Iterator[Picture]:
    """Of the search: how it went and what it found. `cloud` is (n, 1 + objectives)."""
    labels, signs = [o.metric for o in outcome.objectives], [o.sign for o in outcome.objectives]
    units = [metric_unit(label) for label in labels]
    many = len(labels) > 1
    if many and len(outcome.front):
        values = objective_values(outcome.answers, outcome.objectives)
        interval = np.stack([shown_interval(outcome.answers, label) for label in labels], axis=1)
        svg = front_picture(values, cloud[:, 1:], labels, units, signs, knee, folder, interval)
        text = (
            "Every large dot is a design that no other design found beats in all objectives; small ones are other "
            "feasible designs."
        )
        if len(labels) > 2:
            text += " A dot that looks beaten in one panel is better in an objective that the panel does not show."
        if knee is not None:
            text += " The knee is where giving up a little of one objective stops buying much of another."
        if not np.isnan(interval).all():
            text += f" Thin bars are {outcome.answers.level:.0%} intervals, as far as they lie within the frame."
        yield Picture("front", svg, f"Pareto front of {', '.join(labels)}", text)
    if history:
        bound = outcome.bound.lower_bound
        svg = convergence_picture(
            [p.candidates for p in history],
            np.array([p.best for p in history]),
            labels,
            units,
            [np.nan if p.hypervolume is None else p.hypervolume for p in history] if many else None,
            cloud,
            bound,
            folder,
        )
        text = "The best value after each generation. A line that has been flat for long has little left to find."
        if many:
            text += (
                " The hypervolume is how much of the objectives' space the front dominates: it grows as the front does."
            )
        if bound is not None:
            text += " No design is below the proven lower bound."
        yield Picture("convergence", svg, f"Best {', '.join(labels)} so far against candidates evaluated", text)
