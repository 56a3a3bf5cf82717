"""Designs of a front that a truth was asked about: what it answered, and how far the search's evaluator was off."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from design.core import Evaluation, Floats, Ints, Status


@dataclass(frozen=True)
class Validation:
    """n designs of the front: their `rows` there, what the `truth` answered by metric (NaN: nothing), what had been
    predicted, in `estimate`. `calls` is how many calls of the truth this took, designs known from earlier ones left
    out. The first metric matters most."""

    rows: Ints
    status: NDArray[np.int8]
    reason: tuple[str, ...]
    truth: Mapping[str, Floats]
    estimate: Mapping[str, Floats]
    calls: int
    source: str

    @property
    def error(self) -> float | None:
        """Median absolute percentage error of the first metric, as a share; None where there is none."""
        truth, estimate = self.truth[self.metric], self.estimate[self.metric]
        both = np.isfinite(truth) & (truth > 0) & np.isfinite(estimate)
        return float(np.median(np.abs(estimate[both] / truth[both] - 1))) if both.any() else None

    @property
    def metric(self) -> str:
        """The first one."""
        return next(iter(self.truth))


def chosen(front: int, most: int) -> Ints:
    """Rows of a front to check: evenly along it, both ends among them."""
    return np.unique(np.linspace(0, front - 1, min(front, most)).round().astype(np.int64))


def noted(ids: Ints, answers: Evaluation, calls: int) -> dict[str, Any]:
    """Answers of the truth about designs of the store, fit for JSON."""
    return {
        "calls": calls,
        "source": next((str(s[0]) for s in answers.source.values() if len(s) and s[0]), ""),
        "designs": [
            {
                "id": int(ids[row]),
                "status": Status(int(answers.status[row])).name,
                "reason": str(answers.reason[row]),
                "metrics": {n: float(v[row]) for n, v in answers.metrics.items() if math.isfinite(v[row])},
            }
            for row in range(len(answers))
        ],
    }


def recalled(note: Mapping[str, Any], ids: Ints, front: Evaluation, metrics: Sequence[str]) -> Validation:
    """The inverse of `noted`, for designs that are on the front (`ids` are theirs, `front` what was predicted of them),
    of those of the `metrics` that were predicted."""
    place = {int(number): row for row, number in enumerate(ids)}
    designs = [design for design in note["designs"] if design["id"] in place]
    rows = np.array([place[design["id"]] for design in designs], dtype=np.int64)
    names = [name for name in metrics if name in front.metrics]
    return Validation(
        rows=rows,
        status=np.array([Status[design["status"]] for design in designs], dtype=np.int8),
        reason=tuple(design["reason"] for design in designs),
        truth={n: np.array([d["metrics"].get(n, np.nan) for d in designs], dtype=np.float64) for n in names},
        estimate={n: front.metrics[n][rows] for n in names},
        calls=note["calls"],
        source=note["source"],
    )
