"""From what a run has found to what it says: the outcome that results and report are written from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

from design.core import Floats, Status
from design.metrics import metric_values
from dse.archive import Archive
from dse.findings import findings, pool_of
from dse.proof import Bound
from dse.report.results import Outcome
from dse.sensitivity import Sensitivity, Step, sensitivity
from dse.setup import Problem
from dse.store import Store
from evaluators.faults import failed

CLOUD = 4000  # other designs drawn beside a front
ENDING, SITTING = "ending", "sitting"  # facts of a store: how the run ended, what the last sitting was run with


@dataclass(frozen=True)
class Ending:
    """How a run ended: why, after how many CPU and wall seconds of search, with which proof, and what a step of the
    hardware would change (None: not worked out). `full` says whether all was worked out that can be."""

    ended: str
    cpu_s: float
    wall_s: float
    bound: Bound
    steps: Sensitivity | None
    full: bool


def conclude(problem: Problem, archive: Archive, store: Store, end: Ending) -> Outcome:
    """The outcome of a run that has come this far."""
    genomes = archive.genomes
    if genomes is None:
        genomes = np.empty((0, len(problem.space.bounds)), dtype=np.int64)
    front = problem.space.decode(genomes)
    # As they were given: an evaluator that fails now and then must not fail what it has answered.
    answers = store.answers_of(archive.rows) if len(front) else failed(problem.evaluator, 0, "", 0.0)
    pool = pool_of(problem, store, front) if end.full else None
    return Outcome(
        workload=problem.workload,
        objectives=problem.objectives,
        front=front,
        answers=answers,
        front_ids=archive.rows.tolist(),
        candidates=archive.candidates,
        failed=store.failures(),
        cpu_seconds=end.cpu_s,
        wall_seconds=end.wall_s,
        seed=problem.effort.seed,
        ended=end.ended,
        settings=store.facts[SITTING]["settings"],
        versions=store.facts[SITTING]["versions"],
        bound=end.bound,
        findings=findings(problem, archive, front, answers, end.bound, pool, end.steps),
    )


def hardware_steps(problem: Problem, archive: Archive, stop: Callable[[], bool]) -> Sensitivity | None:
    """What a step of the hardware would change, from the best design found; None where there is none."""
    if archive.genomes is None or not len(archive.genomes):
        return None
    best = problem.space.decode(archive.genomes[:1])
    return sensitivity(problem.make_space, problem.hardware, problem.evaluator, problem.objectives[0], best, stop)


def remember(store: Store, end: Ending) -> None:
    """Keep an ending in the store, so that a report can be drawn again without proving anything again."""
    store.facts[ENDING] = {
        "ended": end.ended,
        "cpu_s": end.cpu_s,
        "wall_s": end.wall_s,
        "bound": {"lower_bound": end.bound.lower_bound, "how": end.bound.how},
        "steps": None if end.steps is None else asdict(end.steps),
        "full": end.full,
    }


def remembered(store: Store) -> Ending:
    """The ending that was kept; that of a run cut short where there is none."""
    if ENDING not in store.facts:
        seconds, cpu_s = store.steps()[-1][1:] if store.steps() else (0.0, 0.0)
        return Ending("not ended yet", cpu_s, seconds, Bound(None, "the run is not over"), None, False)
    kept = store.facts[ENDING]
    steps = kept["steps"]
    if steps is not None:
        steps = Sensitivity(steps["base"], [Step(**step) for step in steps["steps"]])
    return Ending(kept["ended"], kept["cpu_s"], kept["wall_s"], Bound(**kept["bound"]), steps, kept["full"])


def cloud(problem: Problem, store: Store) -> Floats:
    """An even choice of feasible candidates, (n, 1 + objectives): number, then objectives."""
    names = list(problem.evaluator.metrics)
    table = np.array(store.even_choice(Status.OK, names, CLOUD), dtype=np.float64).reshape(-1, 1 + len(names))
    known = dict(zip(names, table[:, 1:].T, strict=True))
    values = [metric_values(o.metric, known) for o in problem.objectives]
    return np.stack([table[:, 0], *values], axis=1)
