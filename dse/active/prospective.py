"""Prospective errors: how far off the model was on designs that it predicted just before they were labelled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from design.core import Bools, Evaluation, Floats, Ints, Status


@dataclass(frozen=True)
class Prospective:
    """One metric of n labels in the order in which they came: the `truth`, what had been `said`, and the ends `low`
    and `high` of its interval, NaN where there is none; `version` is the model's number. (n,) each."""

    truth: Floats
    said: Floats
    low: Floats
    high: Floats
    version: Ints

    @property
    def known(self) -> Bools:
        """(n,) where there is something to compare."""
        found: Bools = np.isfinite(self.truth) & np.isfinite(self.said) & (self.truth > 0)
        return found

    @property
    def error(self) -> float | None:
        """Median absolute percentage error as a share; None where nothing can be compared."""
        known = self.known
        return float(np.median(np.abs(self.said[known] / self.truth[known] - 1))) if known.any() else None

    @property
    def held(self) -> tuple[int, int]:
        """How many truths lay within their interval, of how many that had one."""
        stated = self.known & np.isfinite(self.low) & np.isfinite(self.high)
        inside = stated & (self.low <= self.truth) & (self.truth <= self.high)
        return int(inside.sum()), int(stated.sum())


def prospective_errors(provenances: Sequence[Mapping[str, Any]], answers: Evaluation, metric: str) -> Prospective:
    """Of labels, what `Query.provenance` said of each and what the truth answered."""
    said = [why["said"].get(metric, {}) for why in provenances]
    ends = [one.get("interval") or (None, None) for one in said]
    truth = answers.metrics.get(metric, np.full(len(answers), np.nan))
    return Prospective(
        truth=np.where(answers.status == Status.FAILED, np.nan, truth),
        said=_numbers([one.get("median") for one in said]),
        low=_numbers([low for low, _ in ends]),
        high=_numbers([high for _, high in ends]),
        version=np.array([why["version"] for why in provenances], dtype=np.int64),
    )


def _numbers(values: Sequence[float | None]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
