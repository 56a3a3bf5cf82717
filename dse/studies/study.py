"""A study: a task with its space, evaluators and truth, how it is searched and bounded, and what its report has to say.

`Study` itself is what holds for designs of any kind, the active loop and the validation of a front by a truth among it;
`studies/` has one package a kind, and `registry.py` lists them.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from design.contracts import Evaluator, Space, Surrogate, Task, Truth
from design.core import Batch, Evaluation, Objective
from design.metrics import METRICS
from dse.active.acquired import Acquired, acquired_of
from dse.active.labels_file import LABELS, LabelsFile
from dse.active.loop import ActiveRun, LabelsWriter
from dse.active.policy import ActivePolicy, Plan
from dse.active.validation import Validation, chosen, noted, recalled
from dse.records.archive import Archive
from dse.records.store import Store
from dse.search.engine import Effort, Search, make_search
from dse.studies.outcome import Bound, Ending, Outcome
from evaluators.execution.fault_tolerant import Guarded
from evaluators.execution.threads import Threads
from evaluators.execution.workers import Workers
from evaluators.truth.cached import CachedTruth
from evaluators.truth.ledger import Ledger

if TYPE_CHECKING:
    from dse.report.figures import Picture

CALLS = "calls.sqlite"  # in a run's directory; outlives its runs


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What the search needs to know. Kinds of problems add what else they are made of.

    `truth` may answer about `checks` designs of the front at most. With a `surrogate` (made when it is first asked
    for), `evaluator` is the truth, asked about `budget` designs that the surrogate chooses by `plan`; `call_limit_s`
    are the seconds of a call, further tries included.
    """

    task: Task
    space: Space
    evaluator: Evaluator
    objectives: tuple[Objective, ...]
    effort: Effort
    truth: Truth | None = None
    checks: int = 0
    call_limit_s: float = 3600.0
    surrogate: Callable[[], Surrogate] | None = None
    plan: Plan = field(default_factory=Plan)
    budget: int = 0


@dataclass(frozen=True)
class RunContext:
    """What a run lends its study. `workers` are wanted at once, of the Ray cluster at `address` if there is one; `stop`
    says whether the run is to end, and `halt` why, None where it is not; so many failures in a row are too many,
    `most_failures`; `cpu_s` is the clock of work done. `guarded(evaluator, needs, rows)` guards an evaluator whose
    sound rows have the metrics `needs`, for so many rows, on workers where they pay."""

    folder: Path
    workers: int
    address: str | None
    stop: Callable[[], bool]
    halt: Callable[[], str | None]
    most_failures: int | None
    cpu_s: Callable[[], float]
    guarded: Callable[[Evaluator, list[str], int], Guarded]


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
    tools_only: bool = False  # whether all that takes long runs in tools' own processes, which need no Ray
    template: str | None = None  # of the report's sections beyond front and convergence, below `studies/`
    labels: str = LABELS  # the file of acquired labels in a run's directory
    labels_for: str = "--truth recorded --data"  # which takes that file

    def search(self, algorithm: str, candidates: int, facts: MutableMapping[str, Any]) -> Search:
        """A search of at most so many candidates; `facts` outlive a run that is cut short. Raises InputError for an
        algorithm that is unknown or cannot do it."""
        problem = self.problem
        return make_search(problem.space, problem.effort, algorithm, len(problem.objectives), candidates)

    def generations(self, algorithm: str, search: Search, asked: int) -> int:
        """For how many generations a search is asked at most."""
        return asked

    def check(self, algorithm: str, candidates: int) -> None:
        """Raise InputError where the algorithm cannot do what is asked or a model cannot be read, before anything is
        written."""
        self.search(algorithm, candidates, {})
        if self.problem.surrogate is not None:
            self.problem.surrogate()

    def quick_bound(self) -> float | None:
        """A lower bound of the first objective to watch a running search by, where there is one."""
        return None

    def bound(self, search: Search, archive: Archive, full: bool) -> Bound:
        """The lower bound that a finished run can state; dear ones only where the report is to be `full`."""
        first = self.problem.objectives[0]
        return enumerated(self.problem.space, first, archive) or Bound(None, f"no solver for {first.metric}")

    def judge(self, context: RunContext, rows: int) -> AbstractContextManager[Evaluator]:
        """The evaluator as the search asks it, about so many rows; answers of a truth are kept in a ledger."""
        problem = self.problem
        if problem.evaluator is problem.truth:
            return self._cached_truth(context)
        needs = {need for o in problem.objectives for need in METRICS[o.metric].needs or (o.metric,)}
        return context.guarded(problem.evaluator, sorted(needs), rows)

    @contextmanager
    def _cached_truth(self, context: RunContext) -> Iterator[CachedTruth]:
        truth = self.problem.truth
        assert truth is not None

        def workers() -> Workers:
            if context.address is None:
                return Threads(truth, context.workers)
            from evaluators.execution.ray_workers import RayWorkers

            return RayWorkers(truth, context.workers, context.address, self.problem.call_limit_s)

        ledger = Ledger(context.folder / CALLS, str(context.folder))
        try:
            with CachedTruth(truth, ledger, workers, stop=context.stop) as cached:
                yield cached
        finally:
            ledger.close()

    def active(self, judge: Evaluator, store: Store, context: RunContext) -> ActiveRun | None:
        """Where a surrogate searches and `judge` is a truth that is asked sparingly: the loop that does so."""
        problem = self.problem
        if problem.surrogate is None or not isinstance(judge, CachedTruth):
            return None
        needs = [objective.metric for objective in problem.objectives]
        policy = ActivePolicy(
            problem.task,
            problem.space,
            problem.surrogate(),
            problem.objectives,
            problem.effort,
            problem.plan,
            lambda evaluator: context.guarded(evaluator, needs, 0),
        )
        writer = self.labels_writer(context.folder, f"{judge.name}/{judge.version}")
        budget, failures = problem.budget, context.most_failures
        return ActiveRun(policy, judge, store, budget, context.halt, failures, context.cpu_s, writer)

    def labels_writer(self, folder: Path, truth: str) -> LabelsWriter:
        """What writes all labels to a file after each of them; `truth` is the name and version of who answers."""
        return LabelsFile(folder / LABELS, self.problem.task).write

    def validate(self, archive: Archive, context: RunContext, say: Callable[[str], None]) -> Any:
        """What the truth answers about designs of the front that another evaluator found, fit for JSON; None where none
        is asked."""
        problem = self.problem
        if problem.truth is None or problem.evaluator is problem.truth or not len(archive.rows) or not problem.checks:
            return None
        assert archive.genomes is not None
        say("checking designs of the front")
        rows = chosen(len(archive.rows), problem.checks)
        designs = problem.space.decode(archive.genomes[rows])
        with self._cached_truth(context) as cached:
            before = cached.ledger.calls().begun
            answers = cached.evaluate(designs, seed=problem.effort.seed)
            return noted(archive.rows[rows], answers, cached.ledger.calls().begun - before)

    def validation(self, archive: Archive, answers: Evaluation, end: Ending) -> Validation | None:
        """What was validated of a front, `answers` being what the search was told of it."""
        return None if end.checked is None else recalled(end.checked, archive.rows, answers, self.problem.task.metrics)

    def acquired(self, store: Store) -> Acquired | None:
        """The labels that an active loop acquired; None where there was none."""
        if self.problem.surrogate is None:
            return None
        return acquired_of(store, self.problem.objectives, self.problem.space.decode)

    def further(self, archive: Archive, context: RunContext, full: bool, say: Callable[[str], None]) -> Any:
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
        """The findings on the terminal, but for those in words."""

    def say_words(self, outcome: Outcome) -> None:
        """The best design in words on the terminal, after what a truth answered."""
        for paragraph in self.words(outcome):
            print(f"{textwrap.fill(paragraph, 118)}\n")

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
