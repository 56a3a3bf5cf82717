"""How far from the optimum the best design of a run can be at most, and whether the proof found a better one."""

from __future__ import annotations

import numpy as np

from cost_model.nmp.evaluator import NmpEvaluator
from cost_model.nmp.operators.plugins import ModelFault
from design.contracts import Space
from design.core import Objective
from dse.records.archive import Archive
from dse.search.engine import Search
from dse.spaces.nmp import NmpSpace
from dse.studies.nmp.exact.prove import Solver, provable, prove
from dse.studies.nmp.exact.search import ExactSearch, hardware_of
from dse.studies.outcome import Bound
from dse.studies.study import enumerated


def bound_of_run(
    space: Space,
    evaluator: NmpEvaluator,
    objectives: tuple[Objective, ...],
    search: Search,
    archive: Archive,
    full: bool,
) -> Bound:
    """The bound that a run can state; a device's own is only worked out when the report is to be `full`."""
    first = objectives[0]
    best = None if archive.genomes is None or not len(archive.genomes) else archive.genomes[:1]
    if (counted := enumerated(space, first, archive)) is not None:
        return counted
    if isinstance(search, ExactSearch):
        if search.bound is None:
            return Bound(None, "not all devices were solved")
        return Bound(
            _finite(search.bound), "all dataflows of every device, by dynamic programming and branch and bound"
        )
    if not isinstance(space, NmpSpace) or not provable(first):
        return Bound(None, f"no solver for {first.metric}")
    if space.genes.size > 1:
        return Bound(None, "hardware is explored too: --algorithm exact bounds every device")
    if best is None and archive.candidates:
        return Bound(None, "nothing feasible was found")
    if best is None or not full:
        return Bound(None, "no time or wish for a proof (--report full)")
    known = space.decode(best)
    try:
        proof = prove(space, evaluator, hardware_of(known, 0), first.metric, known)
    except ModelFault as fault:  # it prices designs that the run has not met
        return Bound(None, str(fault))
    won = proof.design is not None and proof.value < float(archive.values[0, 0]) * (1 - 1e-12)
    how = "all dataflows of this device, by dynamic programming and branch and bound"
    if proof.lower_bound is None:
        return Bound(None, "the layer has too many operators for the solver")
    return Bound(_finite(proof.lower_bound), how, proof.design if won else None)


def quick_bound(space: Space, evaluator: NmpEvaluator, objective: Objective) -> float | None:
    """A bound to watch a running search by, where there is one device: as if memory were unlimited."""
    if not isinstance(space, NmpSpace) or not provable(objective) or space.genes.size > 1:
        return None
    device = space.genes.decode(np.zeros((1, space.genes.bounds.shape[0]), dtype=np.int64))
    try:
        return Solver(space, evaluator, device, objective.metric).relaxed()
    except ModelFault:
        return None


def _finite(bound: float) -> float | None:
    return bound if np.isfinite(bound) else None
