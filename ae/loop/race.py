"""One method against one kernel's recorded results: which designs it runs the tool on, and how near to the true front
it is after each run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from cost_model.hls.tool_form import recorded_truth
from cost_model.surrogates.tables.task_only import FOREST, PROCESS
from design.contracts import Dataset, Surrogate
from design.core import Evaluation, Floats, Objective, Status
from design.errors import InputError
from dse.active.acquisition import hypervolume, reference_point
from dse.active.policy import ActivePolicy, Plan
from dse.active.posterior import logarithms
from dse.records.archive import objective_values
from dse.search.engine import Effort, make_search
from dse.search.explore import tell
from dse.spaces.listed import ListedSpace
from evaluators.truth.recorded import Recorded

OBJECTIVES = (Objective("cycles", 1), Objective("utilisation", 1))
FIRST = 10  # random designs that loops without a prior begin with
SMALL = 5  # designs of an NSGA-II generation: of 5, 10, 20 and 40 the best after 60 runs, on training families
EVERY = 5  # labels between two versions of a model


@dataclass(frozen=True)
class Course:
    """A kernel's recorded designs: the space that all methods search, the tool's word, the objectives (n, 2) of those
    that count (NaN of others), and the true front (m, 2)."""

    table: Dataset
    space: ListedSpace
    answers: Evaluation
    values: Floats
    front: Floats

    @staticmethod
    def of(table: Dataset) -> Course:
        """Raises InputError where no design counts."""
        answers = Recorded(recorded_truth(table)).evaluate(table.batch, seed=0)
        values = objective_values(answers, OBJECTIVES)
        counts = (answers.status == Status.OK) & np.isfinite(values.sum(axis=1))
        values = np.where(counts[:, None], values, np.nan)
        known = values[np.isfinite(values[:, 0])]
        if not len(known):
            raise InputError(table.provenance.where, "has no valid design with cycles and resources", "another kernel")
        from moocore import is_nondominated

        front = np.unique(known[is_nondominated(known)], axis=0)
        return Course(table, ListedSpace(table.batch), answers, values, front)


Runs = Iterator[int]  # rows of the table, one a tool run


def random_runs(course: Course, seed: int, surrogate: Surrogate | None) -> Runs:
    """Any order."""
    yield from np.random.default_rng(seed).permutation(len(course.table)).tolist()


def evolved(course: Course, seed: int, surrogate: Surrogate | None) -> Runs:
    """NSGA-II whose every candidate is a tool run."""
    effort = Effort(population=SMALL, topk=SMALL, mutate_ratio=1.0, seed=seed)
    search = make_search(course.space, effort, "nsga2", len(OBJECTIVES), 0)
    while (candidates := search.ask()) is not None:
        rows = candidates.genomes[:, 0]
        yield from rows.tolist()
        tell(search, candidates, course.answers.take(rows), OBJECTIVES)


@dataclass(frozen=True)
class Looped:
    """The active loop by this plan; one that does not hear what the tool says asks for what it expects beforehand."""

    plan: Plan
    hears: bool = True

    def __call__(self, course: Course, seed: int, surrogate: Surrogate | None) -> Runs:
        """The rows that it asks for."""
        assert surrogate is not None
        effort = Effort(population=1, topk=2, mutate_ratio=1.0, seed=seed)
        search = ActivePolicy(course.table.task, course.space, surrogate, OBJECTIVES, effort, self.plan)
        while (query := search.ask()) is not None:
            row = int(query.genome[0, 0])
            yield row
            if self.hears:
                search.tell(query.key, query.batch, course.answers.take(np.array([row])))


@dataclass(frozen=True)
class Method:
    """`runs` names designs; `surrogate` is what it learns with: "lm", "estimate", a kind of `alone.py`, or none."""

    runs: Callable[[Course, int, Surrogate | None], Runs]
    surrogate: str = ""


METHODS: dict[str, Method] = {
    "lm loop": Method(Looped(Plan(every=EVERY)), "lm"),
    "lm loop, no recalibration": Method(Looped(Plan(every=0)), "lm"),
    "lm zero-shot": Method(Looped(Plan(every=0), hears=False), "lm"),
    "estimate loop": Method(Looped(Plan(every=EVERY)), "estimate"),
    "extra-trees loop": Method(Looped(Plan(first=FIRST, every=EVERY)), FOREST),
    "gaussian-process loop": Method(Looped(Plan(first=FIRST, every=EVERY)), PROCESS),
    "nsga-ii": Method(evolved),
    "random": Method(random_runs),
}


def raced(course: Course, method: Method, seed: int, budget: int, surrogate: Surrogate | None) -> list[int]:
    """The rows that a method runs the tool on, in order, at most `budget`."""
    return list(islice(method.runs(course, seed, surrogate), min(budget, len(course.table))))


def distances(course: Course, rows: list[int]) -> tuple[Floats, Floats]:
    """After each run, (runs,) each: ADRS (infinite while nothing counts), and the hypervolume of what was found as a
    share of that of the true front, in logarithms and up to a corner beyond all designs that count.

    ADRS is the mean over the true front of the smallest, over designs found, of the larger relative excess in the
    objectives.
    """
    every = logarithms(course.values, OBJECTIVES)
    corner = reference_point(every[np.isfinite(every).all(axis=1)])
    whole = hypervolume(logarithms(course.front, OBJECTIVES), corner)
    excess = np.full(len(course.front), np.inf)
    found, adrs, share = every[:0], [], []
    for row in rows:
        if np.isfinite(course.values[row]).all():
            excess = np.minimum(excess, np.maximum(course.values[row] / course.front - 1, 0.0).max(axis=1))
            found = np.concatenate([found, every[[row]]])
        adrs.append(float(excess.mean()))
        share.append(hypervolume(found, corner) / whole)
    return np.array(adrs), np.array(share)
