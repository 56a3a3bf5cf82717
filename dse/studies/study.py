"""A study: a problem of one kind, how it is searched and bounded, and what there is to say of its designs.

`Study` itself is what holds for designs of any kind; `studies/` has one package a kind. `setup.py` lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from design.contracts import Evaluator, Space
from design.core import Batch, Evaluation, Objective
from design.metrics import METRICS
from dse.records.archive import Archive
from dse.records.outcome import Bound, Ending, Outcome
from dse.records.store import Store
from dse.search.engine import Search, make_search
from dse.studies.desk import Desk
from dse.studies.problem import Problem

if TYPE_CHECKING:
    from dse.active.loop import ActiveRun
    from dse.report.figures import Picture


@dataclass(frozen=True)
class Study:
    """`title` and `subject` say what is explored, in a word and in a line. `headings` are those of `cells`; `legend`
    says how to read a design's text, `note` what the figures are of."""

    problem: Problem
    title: str
    subject: str
    headings: tuple[str, ...] = ()
    legend: str = ""
    note: str = ""
    tools_alone: bool = False  # whether all that takes long runs in tools' own processes, which need no Ray
    template: str | None = None  # of the report's sections beyond front and convergence, below `studies/`

    def search(self, algorithm: str, candidates: int, facts: MutableMapping[str, Any]) -> Search:
        """A search of at most so many candidates; `facts` outlive a run that is cut short. Raises InputError for an
        algorithm that is unknown or cannot do it."""
        problem = self.problem
        return make_search(problem.space, problem.effort, algorithm, len(problem.objectives), candidates)

    def generations(self, algorithm: str, search: Search, asked: int) -> int:
        """For how many generations a search is asked at most."""
        return asked

    def check(self, algorithm: str, candidates: int) -> None:
        """Raise InputError where the algorithm cannot do what is asked, before anything is written."""
        self.search(algorithm, candidates, {})

    def quick_bound(self) -> float | None:
        """A lower bound of the first objective to watch a running search by, where there is one."""
        return None

    def bound(self, search: Search, archive: Archive, full: bool) -> Bound:
        """The lower bound that a finished run can state; dear ones only where the report is to be `full`."""
        first = self.problem.objectives[0]
        return enumerated(self.problem.space, first, archive) or Bound(None, f"no solver for {first.metric}")

    def judge(self, desk: Desk, rows: int) -> AbstractContextManager[Evaluator]:
        """The evaluator as the search asks it, about so many rows."""
        problem = self.problem
        needs = {need for o in problem.objectives for need in METRICS[o.metric].needs or (o.metric,)}
        return desk.guarded(problem.evaluator, sorted(needs), rows)

    def active(self, judge: Evaluator, store: Store, desk: Desk) -> ActiveRun | None:
        """Where a learned model searches and `judge` is a truth that is asked sparingly: the loop that does so."""
        return None

    def further(self, archive: Archive, desk: Desk, full: bool, say: Callable[[str], None]) -> Any:
        """What else is worth finding out about the designs found, fit for JSON; None where there is nothing.
        `full`: all that can be worked out is wanted; `say` shows what is going on."""
        return None

    def findings(self, archive: Archive, front: Batch, answers: Evaluation, end: Ending, store: Store) -> Any:
        """What there is to say of the front; None where it is empty."""
        return None

    def shown(self, metrics: Sequence[str]) -> list[str]:
        """Which of the answered metrics tables have, in which order."""
        return list(metrics)

    def cells(self, outcome: Outcome, row: int) -> list[str]:
        """A design of the front, under `headings`."""
        return []

    def cards(self, outcome: Outcome) -> list[tuple[str, str, str]]:
        """The figures that matter most: what, how much, and a word on it."""
        return []

    def words(self, outcome: Outcome) -> list[str]:
        """The best design in plain words, a paragraph each, for the report."""
        return []

    def context(self, outcome: Outcome) -> Mapping[str, Any]:
        """What the template wants to know."""
        return {}

    def pictures(self, outcome: Outcome, folder: Path) -> Iterator[Picture]:
        """Of the best design."""
        return iter(())

    def say(self, console: Console, outcome: Outcome) -> None:
        """The findings on the terminal."""

    def log(self, outcome: Outcome) -> str:
        """The first lines of `result.log`: the best design's metrics at full precision."""
        values = {name: float(values[0]) for name, values in outcome.answers.metrics.items()}
        return "".join(f"Best {name} is {value!r}.\n" for name, value in values.items())

    def summary(self, outcome: Outcome) -> dict[str, Any]:
        """What `summary.json` has beyond what every run has; "best" is added to the best design's entry."""
        return {}


def enumerated(space: Space, objective: Objective, archive: Archive) -> Bound | None:
    """The bound that follows from having evaluated every design of a space that can be counted; None for others."""
    if objective.sign < 0:
        return Bound(None, "the first objective is maximised")
    if space.size is None:
        return None
    if archive.candidates >= space.size and len(archive.values):
        return Bound(float(archive.values[0, 0]), "every design of the space was evaluated")
    none_fits = "" if archive.candidates < space.size else ", and none fits"
    return Bound(None, f"{archive.candidates} of {space.size} designs were evaluated{none_fits}")
