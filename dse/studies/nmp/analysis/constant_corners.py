"""Which conclusions survive: the front again with all constants at the low and at the high end of their ranges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from design.contracts import Evaluator
from design.core import Batch, Bools, Floats, Ints, Objective, Status
from dse.records.archive import objective_values


@dataclass(frozen=True)
class Corner:
    """The front among a pool of designs at one end of the constants. `values` (front, objectives); `rows` are the
    front's places in the pool; `kept` (nominal front,) says which designs of the nominal front are on it."""

    name: str
    values: Floats
    rows: Ints
    kept: Bools


def corner_fronts(
    evaluators: Mapping[str, Evaluator], objectives: Sequence[Objective], pool: Batch, front: int, seed: int
) -> list[Corner]:
    """The fronts of one pool of designs under each evaluator; the pool's first `front` rows are the nominal one."""
    from moocore import is_nondominated

    sign = np.array([objective.sign for objective in objectives])
    found = []
    for name, evaluator in evaluators.items():
        answer = evaluator.evaluate(pool, seed=seed)
        values = objective_values(answer, objectives)
        sound = np.flatnonzero((answer.status == Status.OK) & np.isfinite(values).all(axis=1))
        # A nominal design stays unless something is better: of designs with equal values all are kept.
        kept = np.isin(np.arange(front), sound[is_nondominated(values[sound] * sign, keep_weakly=True)])
        rows = sound[is_nondominated(values[sound] * sign, keep_weakly=False)]
        rows = rows[np.argsort(values[rows, 0], kind="stable")]
        found.append(Corner(name, values[rows], rows, kept))
    return found
