"""What a run has found so far: the best design, the Pareto front, and how both came about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from design.core import Evaluation, Floats, Genomes, Ints, Objective, Status
from design.metrics import metric_values


@dataclass(frozen=True)
class Progress:
    """State after one generation. `best` per objective (NaN while nothing is feasible). `hypervolume` is that
    dominated by the front, in units of the box that the first front spans, up to a reference point 10 % beyond
    the box's worst corner; None for one objective."""

    candidates: int
    seconds: float
    best: tuple[float, ...]
    hypervolume: float | None


Box = tuple[Floats, Floats]  # best corner and sides, of objectives to minimise


def box_of(points: Floats) -> Box:
    """The box that points to minimise, (n, objectives), span. A tenth of a value stands in for a side that they do
    not span."""
    low, span = points.min(axis=0), np.ptp(points, axis=0)
    return low, np.where(span > 0, span, np.where(low != 0, 0.1 * np.abs(low), 1.0))


def objective_values(evaluation: Evaluation, objectives: Sequence[Objective]) -> Floats:
    """(n, objectives), as evaluated."""
    return np.stack([metric_values(o.metric, evaluation.metrics) for o in objectives], axis=1)


class Archive:
    """Keeps the non-dominated feasible candidates of all that it is shown.

    `rows` are their numbers in the run's store, `values` (front, objectives) as evaluated, `genomes` beside
    them; the first row is the best of the first objective. Of candidates with equal values the first stays.
    Hypervolumes are measured in `box`, by default that of the first front.
    """

    def __init__(self, objectives: Sequence[Objective], box: Box | None = None) -> None:
        self.objectives = tuple(objectives)
        self._sign = np.array([o.sign for o in objectives], dtype=np.float64)
        self.rows: Ints = np.empty(0, dtype=np.int64)
        self.values: Floats = np.empty((0, len(objectives)))
        self.genomes: Genomes | None = None
        self.history: list[Progress] = []
        self.candidates = 0
        self._box = box

    def add(self, ids: Ints, genomes: Genomes, evaluation: Evaluation, seconds: float) -> None:
        """One generation, or what there is of it; `ids` are its rows' numbers in the store."""
        feasible = np.flatnonzero(evaluation.status == Status.OK)
        values = objective_values(evaluation, self.objectives)[feasible]
        known = np.isfinite(values).all(axis=1)
        feasible, values = feasible[known], values[known]
        old = genomes[:0] if self.genomes is None else self.genomes
        rows = np.concatenate([self.rows, ids[feasible]])
        values = np.concatenate([self.values, values])
        joined = np.concatenate([old, genomes[feasible]])
        keep = self._front(values * self._sign)
        self.rows, self.values, self.genomes = rows[keep], values[keep], joined[keep]
        self.candidates += len(evaluation)
        best = (self.values * self._sign).min(axis=0) * self._sign if len(keep) else np.full(len(self._sign), np.nan)
        self.history.append(Progress(self.candidates, seconds, tuple(best.tolist()), self._hypervolume()))

    def _front(self, minimise: Floats) -> Ints:
        """Non-dominated rows, one for each distinct point, ordered by the first objective, then the others."""
        if not len(minimise):
            return np.empty(0, dtype=np.int64)
        if minimise.shape[1] == 1:
            return np.array([int(np.argmin(minimise[:, 0]))])
        from moocore import is_nondominated

        front = np.flatnonzero(is_nondominated(minimise, keep_weakly=False))
        return front[np.lexsort(minimise[front].T[::-1])]

    def _hypervolume(self) -> float | None:
        if len(self.objectives) == 1 or not len(self.values):
            return None
        from moocore import hypervolume

        points = self.values * self._sign
        if self._box is None:
            self._box = box_of(points)  # once for a run, so that the figure never falls
        low, side = self._box
        return float(hypervolume((points - low) / side, ref=np.full(points.shape[1], 1.1)))
