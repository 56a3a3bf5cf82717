"""Front designs checked against the truth: what was bought, what it said, how far the estimate was off."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from design.core import Evaluation, Floats, Ints, Status

COMPARED = ("cycles", "lut", "ff", "dsp", "bram")


@dataclass(frozen=True)
class Checked:
    """n designs of the front: their `rows` there, what the truth said (NaN: nothing), what the estimate had said of
    them. `calls` is how many calls of the truth this took, designs known from earlier ones left out."""

    rows: Ints
    status: NDArray[np.int8]
    reason: tuple[str, ...]
    truth: Mapping[str, Floats]
    estimate: Mapping[str, Floats]
    calls: int
    source: str

    @property
    def error(self) -> float | None:
        """Median absolute percentage error of the estimated cycles, as a share; None where there is none."""
        both = np.isfinite(self.truth["cycles"]) & (self.truth["cycles"] > 0)
        if not both.any():
            return None
        return float(np.median(np.abs(self.estimate["cycles"][both] / self.truth["cycles"][both] - 1)))


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


def recalled(note: Mapping[str, Any], ids: Ints, front: Evaluation) -> Checked:
    """The inverse of `noted`, for designs that are on the front (`ids` are theirs, `front` what was said of them)."""
    place = {int(number): row for row, number in enumerate(ids)}
    designs = [design for design in note["designs"] if design["id"] in place]
    rows = np.array([place[design["id"]] for design in designs], dtype=np.int64)
    return Checked(
        rows=rows,
        status=np.array([Status[design["status"]] for design in designs], dtype=np.int8),
        reason=tuple(design["reason"] for design in designs),
        truth={n: np.array([d["metrics"].get(n, np.nan) for d in designs], dtype=np.float64) for n in COMPARED},
        estimate={n: front.metrics[n][rows] for n in COMPARED},
        calls=note["calls"],
        source=note["source"],
    )
