"""From what a run has found to what it says: the outcome that results and report are written from."""

from __future__ import annotations

import numpy as np

from design.core import Floats, Status
from design.metrics import metric_values
from dse.records.archive import Archive
from dse.records.store import Store
from dse.studies.outcome import Bound, Ending, Outcome
from dse.studies.study import Problem, Study
from evaluators.execution.faults import failed

CLOUD = 4000  # other designs drawn beside a front
ENDING, SITTING = "ending", "sitting"  # facts of a store: how the run ended, what the last sitting was run with


def conclude(study: Study, archive: Archive, store: Store, end: Ending) -> Outcome:
    """The outcome of a run that has come this far."""
    problem, genomes = study.problem, archive.genomes
    if genomes is None:
        genomes = np.empty((0, len(problem.space.bounds)), dtype=np.int64)
    front = problem.space.decode(genomes)
    # As they were given: an evaluator that fails now and then must not fail what it has answered.
    answers = store.answers_of(archive.rows) if len(front) else failed(problem.evaluator, 0, "", 0.0)
    return Outcome(
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
        findings=study.findings(archive, front, answers, end, store),
        validation=study.validation(archive, answers, end) if len(front) else None,
        acquired=study.acquired(store),
    )


def remember(store: Store, end: Ending) -> None:
    """Keep an ending in the store, so that a report can be drawn again without proving anything again."""
    store.facts[ENDING] = {
        "ended": end.ended,
        "cpu_s": end.cpu_s,
        "wall_s": end.wall_s,
        "bound": {"lower_bound": end.bound.lower_bound, "how": end.bound.how},
        "further": end.further,
        "full": end.full,
        "checked": end.checked,
    }


def remembered(store: Store) -> Ending:
    """The ending that was kept; that of a run cut short where there is none."""
    if ENDING not in store.facts:
        seconds, cpu_s = store.steps()[-1][1:] if store.steps() else (0.0, 0.0)
        return Ending("not ended yet", cpu_s, seconds, Bound(None, "the run is not over"), None, False)
    kept = store.facts[ENDING]
    further, checked = kept["further"], kept.get("checked")
    if checked is None and isinstance(further, dict) and {"calls", "designs"} <= set(further):
        further, checked = None, further  # runs of before 0.2 kept it there
    bound = Bound(**kept["bound"])
    return Ending(kept["ended"], kept["cpu_s"], kept["wall_s"], bound, further, kept["full"], checked)


def cloud(problem: Problem, store: Store) -> Floats:
    """An even choice of feasible candidates, (n, 1 + objectives): number, then objectives."""
    names = list(problem.evaluator.metrics)
    table = np.array(store.even_choice(Status.OK, names, CLOUD), dtype=np.float64).reshape(-1, 1 + len(names))
    known = dict(zip(names, table[:, 1:].T, strict=True))
    values = [metric_values(o.metric, known) for o in problem.objectives]
    return np.stack([table[:, 0], *values], axis=1)
