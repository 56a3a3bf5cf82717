"""What an evaluator is. Everything that knows a cost, and everything that wraps such a thing, is one.

Every evaluator passes the conformance suite of `tests/evaluators/conformance.py`: the order of rows is kept,
one answer a row, a bad candidate is a status and not an exception, nothing is written into the argument, and
a candidate and a seed have one answer, alone or in any batch, in any order, in any process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

import numpy as np

from design.core import Batch, Evaluation, Rows


class Evaluator(Protocol):
    """Says what candidates cost. `metrics` maps each answered metric to its unit.

    `fidelity` orders evaluators by how far to trust them: 0 analytic, higher for learned, simulated, measured.
    """

    name: str
    version: str
    metrics: Mapping[str, str]
    fidelity: int

    def evaluate(self, batch: Batch, *, seed: int) -> Evaluation:
        """Answers for all rows, in order."""
        ...

    def stream(self, batch: Batch, *, seed: int) -> Iterator[tuple[Rows, Evaluation]]:
        """Answers piece by piece as they are ready: row numbers of the batch, and their evaluation."""
        ...


class AtOnce:
    """Base for evaluators that answer a whole batch in one go: the stream is a single piece. One that works in
    micro-batches says how many rows `together` cost as much as one of them."""

    together = 1

    def evaluate(self, batch: Batch, *, seed: int) -> Evaluation:
        """See `Evaluator`."""
        raise NotImplementedError

    def stream(self, batch: Batch, *, seed: int) -> Iterator[tuple[Rows, Evaluation]]:
        """See `Evaluator`."""
        yield np.arange(len(batch)), self.evaluate(batch, seed=seed)
