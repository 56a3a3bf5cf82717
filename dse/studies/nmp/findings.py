"""What a finished run has to say beside its front: proof, whole-model figures, explanation, what would change."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from cost_model.nmp.analysis.time_breakdown import OperatorAccount, accounts
from cost_model.nmp.operators.plugins import ModelFault
from design.core import Batch, Evaluation, Status
from design.metrics import METRICS, NMP_PHYSICS
from dse.records.archive import Archive
from dse.records.store import Store
from dse.studies.nmp.analysis.constant_corners import Corner, corner_fronts
from dse.studies.nmp.analysis.layer_kinds import KindAccount, kind_accounts
from dse.studies.nmp.analysis.sensitivity import Sensitivity, Step
from dse.studies.nmp.analysis.whole_model import WholeModel, describe, whole_model
from dse.studies.nmp.problem import NmpProblem
from dse.studies.outcome import Bound

LOG = logging.getLogger("tilewright")
POOL = 20_000  # designs that the fronts at the ends of the constants are chosen from


@dataclass(frozen=True)
class Findings:
    """Of the best design of a run. Empty lists: not worked out, or nothing to say."""

    bound: Bound
    gap: float | None
    model: WholeModel
    physics: str  # the evaluator that said energy and area
    second: WholeModel | None  # by that evaluator, where the run's own is another
    operators: list[OperatorAccount]
    description: str
    kinds: list[KindAccount] = field(default_factory=list)  # of layers, where there are several
    base: dict[str, float] = field(default_factory=dict)  # the same device, its mapping made anew as in `steps`
    steps: list[Step] = field(default_factory=list)
    corners: list[Corner] = field(default_factory=list)


def findings(
    problem: NmpProblem,
    archive: Archive,
    front: Batch,
    answers: Evaluation,
    bound: Bound,
    pool: Batch | None,
    hardware_steps: Sensitivity | None,
) -> Findings | None:
    """For the front's first design; None where there is none. `pool` are designs to choose the fronts at the ends of
    the constants from; None leaves them out."""
    if not len(front):
        return None
    best = front.take(np.array([0]))
    times = {name: float(values[0]) for name, values in answers.metrics.items()}
    if problem.evaluator is not problem.analytic:
        priced = problem.analytic.evaluate(best, seed=problem.effort.seed).metrics
        known = {name: value for name, value in times.items() if np.isfinite(value)}
        times = {name: float(values[0]) for name, values in priced.items()} | known
    physics = times if problem.physical is problem.evaluator else _physics(problem, best)
    operators = _operators(problem, best)
    gap = None
    if bound.lower_bound is not None and bound.lower_bound > 0:
        gap = float(archive.values[0, 0]) / bound.lower_bound - 1
    corners = []
    if pool is not None and _depends_on_constants(problem):
        at = {corner: problem.evaluator_at(corner) for corner in ("low", "high")}
        with suppress(ModelFault):
            corners = corner_fronts(at, problem.objectives, pool, len(front), problem.effort.seed)
    second = None
    if problem.physical is not problem.analytic and "latency_s" in physics:
        second = whole_model(problem.workload, physics, physics)
    return Findings(
        bound=bound,
        gap=gap,
        model=whole_model(problem.workload, times, physics),
        physics=problem.physical.name,
        second=second,
        operators=operators,
        description=describe(best, problem.workload, problem.platform, operators),
        kinds=kind_accounts(problem.workload, operators),
        base=hardware_steps.base if hardware_steps is not None else {},
        steps=hardware_steps.steps if hardware_steps is not None else [],
        corners=corners,
    )


def _physics(problem: NmpProblem, best: Batch) -> dict[str, float]:
    """What the evaluator that knows energy and area says of a design; nothing where it cannot price it."""
    try:
        answer = problem.physical.evaluate(best, seed=problem.effort.seed)
    except ModelFault as fault:
        LOG.warning("no energy and area: %s", fault)
        return {}
    if answer.status[0] == Status.FAILED:
        return {}
    return {name: float(values[0]) for name, values in answer.metrics.items()}


def _operators(problem: NmpProblem, best: Batch) -> list[OperatorAccount]:
    try:
        return accounts(problem.analytic, best)
    except ModelFault as fault:
        LOG.warning("no account of operators: %s", fault)
        return []


def _depends_on_constants(problem: NmpProblem) -> bool:
    """Whether the front can look otherwise with other energy and area constants."""
    if len(problem.objectives) < 2 or problem.evaluator is not problem.physical:
        return False
    needs = {need for o in problem.objectives for need in METRICS[o.metric].needs or (o.metric,)}
    return bool(needs & set(NMP_PHYSICS))


def pool_of(problem: NmpProblem, store: Store, front: Batch) -> Batch:
    """The front, then an even choice of all feasible designs of the run."""
    rows = store.even_choice_of_genomes(POOL)
    return Batch.concat([front, problem.space.decode(rows)]) if len(rows) else front
