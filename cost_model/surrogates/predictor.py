"""What predicts the designs of kernels: something fitted elsewhere that may be shown some labels of the kernel asked.

A predictor is asked once a kernel; what it gives is an ordinary evaluator of that kernel's designs. Scoring, searching
and active labelling all go through this one door.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from design.contracts import Evaluator
from design.core import Batch, Bools, Floats
from design.hls.design import Target
from design.hls.loop_nest import Kernel

METRICS: dict[str, str] = {"cycles": "cycles", "lut": "count", "ff": "count", "dsp": "count", "bram": "count"}
VALID = "valid_probability"  # a metric too, where a predictor has one


@dataclass(frozen=True)
class Labelled:
    """Designs of a kernel with the tool's answers: `truth[metric]` (n,) for all of METRICS, NaN where the tool gave
    none, and `valid` (n,)."""

    batch: Batch
    truth: Mapping[str, Floats]
    valid: Bools

    def __len__(self) -> int:
        return len(self.batch)


@dataclass(frozen=True)
class FittedOn:
    """Which kernels' results a predictor has learned from: families of the data set and digests of sources."""

    families: frozenset[str] = frozenset()
    digests: frozenset[str] = frozenset()

    def saw(self, family: str, digest: str) -> bool:
        """Whether a kernel, or one of its family, was among them."""
        return family in self.families or digest in self.digests


class Predictor(Protocol):
    """Makes evaluators of one kernel's designs.

    Their answers have the metrics of METRICS that the predictor knows, and where it has them `valid_probability`,
    intervals and samples. `fitted_on` says what it learned from, before any labels of the kernel asked.
    """

    name: str
    version: str
    fitted_on: FittedOn

    def fitted(self, kernel: Kernel, target: Target, labels: Labelled | None, seed: int) -> Evaluator:
        """An evaluator of this kernel's designs that has seen, of this kernel, these labels only."""
        ...
