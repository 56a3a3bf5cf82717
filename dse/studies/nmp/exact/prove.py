"""How good a design on one device can be at most: the optimum, or a lower bound and the best design found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cost_model.nmp.evaluator import NmpEvaluator
from design.core import Batch, Objective, Status
from dse.spaces.nmp import NmpSpace
from dse.studies.nmp.exact.exhaustive import Exhaustive, TooMany
from dse.studies.nmp.exact.fill import fill
from dse.studies.nmp.exact.memory import MemoryBound
from dse.studies.nmp.exact.plan import Plan, plan_batch
from dse.studies.nmp.exact.realise import Realiser
from dse.studies.nmp.exact.relaxation import CountedPlan, Relaxation
from dse.studies.nmp.exact.sets import OperatorSets
from dse.studies.nmp.exact.tables import NEVER_S, Tables, operator_tables

PHASES = {"latency_s": (True, True), "prefill_s": (True, False), "decode_s": (False, True)}
MOST_DOWNSETS = 300  # beyond which the recursion takes too long
EXACT = 1 + 1e-9  # value over bound where nothing is left to prove
ENOUGH = 2e-4  # gap at which branching ends
NODES = 48  # of branch and bound
FILLED = 16  # plans whose cuts are improved
FEW_CUTS = 64  # granules of all operators together, up to which listing is tried
LISTED = 20_000  # ways that an exhaustive listing may keep at any place


@dataclass(frozen=True)
class Proof:
    """`lower_bound` no design on the device is below; None where none is known. `design` (one row) reaches
    `value`; None where no design was found."""

    lower_bound: float | None
    value: float
    design: Batch | None


def provable(objective: Objective) -> bool:
    """Whether the solver can bound this objective."""
    return objective.metric in PHASES and objective.sign > 0


def prove(
    space: NmpSpace,
    evaluator: NmpEvaluator,
    hardware: Mapping[str, NDArray],
    metric: str,
    known: Batch | None = None,
    beat: float = np.inf,
) -> Proof:
    """The best dataflow of one device (`hardware` columns of shape (1,)) for a latency metric.

    `known` are designs on this device to start from. The bound comes from `relaxation.py` and knows nothing of
    them. A device that cannot `beat` that many seconds need not be solved to the end.
    """
    solver = Solver(space, evaluator, hardware, metric, beat)
    if known is not None:
        solver.offer(known)
    return solver.solve()


class Solver:
    """One device, one metric."""

    def __init__(
        self,
        space: NmpSpace,
        evaluator: NmpEvaluator,
        hardware: Mapping[str, NDArray],
        metric: str,
        beat: float = np.inf,
    ) -> None:
        self.space, self.evaluator, self.hardware, self.metric = space, evaluator, hardware, metric
        self.beat = beat
        self.sets = OperatorSets(space.workload)
        self.value: float = np.inf
        self.design: Batch | None = None
        self._filled = 0
        self.tables: Tables = operator_tables(evaluator, hardware, *PHASES[metric])
        self.relaxation = Relaxation(self.tables, self.sets, space.specpim)
        self.realiser = Realiser(self.tables, space.specpim)

    def solve(self) -> Proof:
        """Relax; list everything where a gap is left and that is possible, else count memory."""
        if self.sets.count_downsets(MOST_DOWNSETS) > MOST_DOWNSETS:
            return Proof(None, self.value, self.design)
        if self._too_large():
            return Proof(np.inf, np.inf, None)
        bound, plan = self.relaxation.solve()
        design = self.realiser.design(plan)
        self.offer_plans([design])
        few_cuts = self.space.specpim or sum(self.tables.steps) <= FEW_CUTS
        if self._open(bound) and few_cuts:
            bound = max(bound, self._listed())
        if self._open(bound):
            self._fill([design])
            self._simple()
            memory = MemoryBound(self.tables, self.sets, self.relaxation.strata, self._offer_counted)
            bound = max(bound, memory.solve(NODES, ENOUGH))
        if bound >= NEVER_S:
            bound = np.inf
        return Proof(min(bound, self.value), self.value, self.design)

    def relaxed(self) -> float | None:
        """A bound at the price of a fraction of a second, as if memory were unlimited; None where there is none."""
        if self.sets.count_downsets(MOST_DOWNSETS) > MOST_DOWNSETS:
            return None
        return self.relaxation.solve()[0]

    def _too_large(self) -> bool:
        """Whether all channels together cannot hold what has to be stored."""
        t = self.tables
        return self.evaluator.check_capacity and t.stored > (t.nmp + t.normal) * t.room

    def _open(self, bound: float) -> bool:
        """Whether there is anything left to prove."""
        return min(self.value, self.beat) > bound * EXACT

    def _offer_counted(self, plans: list[CountedPlan]) -> float:
        """Consider these plans with their cuts improved. Returns the latency to beat."""
        self._fill([self.realiser.design(plan) for plan in plans])
        return min(self.value, self.beat)

    def _simple(self) -> None:
        """Consider the simple designs that searches start from, the best with its cuts improved."""
        simple = self.space.decode(self.space.starts())
        same = [np.isin(simple.columns[name], values) for name, values in self.hardware.items() if "kb" not in name]
        simple = simple.take(np.flatnonzero(np.all(same, axis=0)))
        columns = dict(simple.columns) | {k: np.repeat(v, len(simple)) for k, v in self.hardware.items()}
        self.offer(Batch(simple.schema, columns))
        if self.design is not None:
            self._improve(self.design)

    def _fill(self, designs: list[Plan]) -> None:
        for design in designs if self._filled < FILLED else ():
            self._filled += 1
            self._improve(self._batch([design]))

    def _improve(self, batch: Batch) -> None:
        """Consider a design with its cuts improved."""
        self.offer(fill(batch, self.evaluator, self.space.workload, self.metric))

    def _batch(self, plans: list[Plan]) -> Batch:
        return plan_batch(plans, self.space.schema, self.space.workload, self.hardware)

    def _listed(self) -> float:
        """A bound from the exhaustive listing: with every channel's memory where that is small enough, else with
        all of it as one; 0 where both are too large."""
        seconds = 0.0
        for apart in (False, True):
            try:
                least, plan = Exhaustive(self.tables, self.sets, self.relaxation, self.value, apart, LISTED).solve()
            except TooMany:
                break
            if plan is not None:
                self.offer_plans([plan])
            seconds = min(least, self.value)
            if self.value <= seconds * EXACT:
                break
        return seconds

    def offer_plans(self, plans: list[Plan]) -> None:
        """Consider these plans."""
        self.offer(self._batch(plans))

    def offer(self, batch: Batch) -> None:
        """Keep the best feasible design."""
        found = self.evaluator.evaluate(batch, seed=0)
        values = np.where(found.status == Status.OK, found.metrics[self.metric], np.inf)
        row = int(np.argmin(values))
        if values[row] < self.value:
            self.value = float(values[row])
            # Through the genome and back: channels and parts in the space's canonical order.
            self.design = self.space.decode(self.space.encode(batch.take(np.array([row]))))
