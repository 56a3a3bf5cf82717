"""The study of near-memory designs for LLM inference."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from design.core import Batch, Evaluation
from design.errors import InputError
from design.nmp.model import HEAD
from design.nmp.workload import Workload
from dse.options import Settings
from dse.records.archive import Archive
from dse.records.store import Store
from dse.search.engine import Search, make_search
from dse.spaces.nmp import NmpSpace
from dse.spaces.nmp.fixed import FixedSpace
from dse.studies.nmp.analysis.proof import bound_of_run, quick_bound
from dse.studies.nmp.analysis.sensitivity import Sensitivity, Step, sensitivity
from dse.studies.nmp.console import print_findings
from dse.studies.nmp.exact.prove import provable
from dse.studies.nmp.exact.search import ExactSearch
from dse.studies.nmp.findings import findings, pool_of
from dse.studies.nmp.problem import NmpProblem, build
from dse.studies.nmp.summary import further, log
from dse.studies.nmp.tables import (
    HARDWARE_HEADINGS,
    KIND_HEADINGS,
    hardware_cells,
    headline,
    kind_rows,
    operator_rows,
    step_table,
)
from dse.studies.outcome import Bound, Ending, Outcome
from dse.studies.study import RunContext, Study

if TYPE_CHECKING:
    from dse.report.figures import Picture

LEGEND = (
    "Each {…} is a group; groups follow each other. “ / ” parts a group into what runs side by side, “ > ” parts "
    "strata that follow each other, “ + ” joins operators of one stratum. After the colon: units of work on NMP / on "
    "the NPU."
)
NOTE = "The figures above are of the whole model; times, energy and area of the table and the pictures are per layer. "
WITHOUT_HEAD = "Embedding and output head are not part of the workload."
WITH_HEAD = "The output head has its share of them, the embedding its place in memory."
SEVERAL = (
    "The model has several kinds of layers: a layer is the mean of all, in which each kind counts by its number of "
    "layers (a draft model's and its target's by the steps they take for a token). "
)


def near_memory(settings: Settings) -> NmpStudy:
    """The study that the settings state. Raises InputError where they or the files they name are unusable."""
    problem = build(settings)
    w = problem.workload
    subject = f"{w.layers} layers, batch {w.batch}, {w.prompt} prompt and {w.generated} generated tokens"
    if len(w.sections) > 1:
        subject += f" ({', '.join(f'{section.layers} {section.name}' for section in w.sections)})"
    if (speculation := problem.speculation) is not None:
        subject += f"; {speculation.draft.name} drafts {speculation.length} tokens a round, which brings "
        subject += f"{speculation.tokens:.3g} on average at {speculation.accept:.0%} accepted"
    note = NOTE + SEVERAL * (len(w.sections) > 1) + (WITH_HEAD if has_head(w) else WITHOUT_HEAD)
    tools_only = problem.truth is not None and settings["ray-address"] is None
    return NmpStudy(problem, w.name, subject, HARDWARE_HEADINGS, LEGEND, note, tools_only, "nmp/sections.html")


def has_head(workload: Workload) -> bool:
    """Whether the output head takes part."""
    return any(section.name.rpartition("/")[2] == HEAD for section in workload.sections)


@dataclass(frozen=True)
class NmpStudy(Study):
    """See `Study`. One device has a proven optimum; what is found out further are steps of the hardware."""

    problem: NmpProblem

    def search(self, algorithm: str, candidates: int, facts: MutableMapping[str, Any]) -> Search:
        """See `Study`; `exact` solves every device."""
        problem = self.problem
        if algorithm != "exact":
            return super().search(algorithm, candidates, facts)
        objective = problem.objectives[0]
        if problem.evaluator is not problem.analytic:
            raise InputError("--algorithm", f"exact with evaluator {problem.evaluator.name}", "roofline or buffered")
        if len(problem.objectives) > 1 or not (isinstance(problem.space, FixedSpace) or provable(objective)):
            found = f"exact with {','.join('max:' * (o.sign < 0) + o.metric for o in problem.objectives)}"
            raise InputError("--algorithm", found, "one of latency_s, prefill_s, decode_s as the only objective")
        if not isinstance(problem.space, NmpSpace):
            return make_search(problem.space, problem.effort, "enumerate", 1, problem.space.size or 1)
        return ExactSearch(problem.space, problem.analytic, objective.metric, facts)

    def generations(self, algorithm: str, search: Search, asked: int) -> int:
        """See `Study`."""
        if isinstance(search, ExactSearch):
            return search.devices + 1
        if algorithm == "exact":
            return -(-(self.problem.space.size or 1) // self.problem.effort.population)
        return asked

    def quick_bound(self) -> float | None:
        """See `Study`."""
        problem = self.problem
        if problem.evaluator is not problem.analytic:
            return None
        return quick_bound(problem.space, problem.analytic, problem.objectives[0])

    def bound(self, search: Search, archive: Archive, full: bool) -> Bound:
        """See `Study`."""
        problem = self.problem
        if problem.evaluator is not problem.analytic:
            return super().bound(search, archive, full)
        return bound_of_run(problem.space, problem.analytic, problem.objectives, search, archive, full)

    def further(self, archive: Archive, context: RunContext, full: bool, say: Callable[[str], None]) -> Any:
        """What a step of the hardware would change, from the best design found."""
        problem = self.problem
        analytic = problem.evaluator is problem.analytic
        if not full or not analytic or archive.genomes is None or not len(archive.genomes):
            return None
        say("trying one step in each hardware parameter")
        best, first = problem.space.decode(archive.genomes[:1]), problem.objectives[0]
        return asdict(sensitivity(problem.make_space, problem.hardware, problem.analytic, first, best, context.stop))

    def findings(self, archive: Archive, front: Batch, answers: Evaluation, end: Ending, store: Store) -> Any:
        """See `Study`."""
        problem, steps = self.problem, None
        pool = pool_of(problem, store, front) if end.full else None
        if end.further is not None:
            steps = Sensitivity(end.further["base"], [Step(**step) for step in end.further["steps"]])
        return findings(problem, archive, front, answers, end.bound, pool, steps)

    def cells(self, outcome: Outcome, row: int) -> list[str]:
        """See `Study`."""
        return hardware_cells(outcome, row)

    def cards(self, outcome: Outcome) -> list[tuple[str, str, str]]:
        """See `Study`."""
        return headline(outcome)

    def words(self, outcome: Outcome) -> list[str]:
        """See `Study`."""
        return [] if outcome.findings is None else [outcome.findings.description]

    def context(self, outcome: Outcome) -> Mapping[str, Any]:
        """See `Study`."""
        found = outcome.findings
        kinds = (KIND_HEADINGS, kind_rows(found))
        return {"operators": operator_rows(found), "steps": step_table(found), "kinds": kinds}

    def pictures(self, outcome: Outcome, folder: Path) -> Iterator[Picture]:
        """See `Study`."""
        from dse.studies.nmp.figures import best_pictures

        best = outcome.front.take(np.array([0]))
        return best_pictures(self.problem, outcome, best, outcome.findings, folder)

    def say(self, console: Console, outcome: Outcome) -> None:
        """See `Study`."""
        if outcome.findings is not None:
            print_findings(console, self.problem, outcome, outcome.findings)

    def say_words(self, outcome: Outcome) -> None:
        """See `Study`."""
        if self.words(outcome):
            print()  # behind tables
        super().say_words(outcome)

    def log(self, outcome: Outcome) -> str:
        """See `Study`."""
        return log(outcome)

    def summary(self, outcome: Outcome) -> dict[str, Any]:
        """See `Study`."""
        return further(self.problem, outcome)
