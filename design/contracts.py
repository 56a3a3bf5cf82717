"""The contracts: what is designed for, which candidates exist, what they cost, and what learns it.

One loop, five nouns. A `Task` is what is designed for. A `Space` says which candidates exist. An `Evaluator` says what
a candidate costs. A `Surrogate` is a learned way of knowing that: conditioned on a `Dataset` of the task (`dataset.py`)
it is an evaluator like any other. A `Truth` is an evaluator that costs something to ask. A `View` is how a learner sees
a domain, an `Acquisition` which design to ask a truth about next. Nothing here knows a domain; whatever keeps these
contracts is searched, stored, resumed, exported, scored and drawn by the same code. `tilewright`'s conformance suites
(`design/conformance/`) hold an implementation to them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

import numpy as np

from design.core import Batch, Bools, Evaluation, Genomes, Ints, Rows, Schema, Status

ANALYTIC, LEARNED, TRUE = 0, 1, 9  # fidelity of what is computed, learned, and answered by a truth


class Evaluator(Protocol):
    """Answers for batches of candidates, in batch order.

    An answer depends on the candidate and the seed alone, not on the order, batch or process it is asked in.
    Infeasible and unknown are answers; exceptions are for bad configuration and broken evaluators. An evaluator can
    be pickled. `metrics` maps each metric it answers to its unit. Raises what `InputError` says of bad settings.
    """

    name: str
    version: str
    metrics: Mapping[str, str]
    fidelity: int

    def evaluate(self, batch: Batch, *, seed: int) -> Evaluation:
        """Answers for all n rows, in order."""
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


def together_of(evaluator: object) -> int:
    """How many rows cost an evaluator as much as one; 1 of one that does not say."""
    return int(getattr(evaluator, "together", 1))


class Truth(Evaluator, Protocol):
    """Says what a design costs in fact. A call is one design put to the tool, until it answers or has failed for good:
    runs that are tried again because the tool broke belong to one call.

    `call_cost` is what a call costs, in units of the user's choice. Answers are exact: intervals have zero width. A
    design is answered by itself, whatever stands beside it, so that rows can be queried one by one, at once and
    anywhere.
    """

    call_cost: float

    def accepts(self, batch: Batch) -> Bools:
        """(n,): which designs can be put to the tool at all. The others are FAILED, and are no call."""
        ...

    def cancel(self) -> None:
        """Stop what is under way in other threads; it ends there with an exception. Later calls are as ever."""
        ...


def called(answer: Evaluation) -> Bools:
    """(n,): for which rows the tool was asked. A row that FAILED at no cost was never put to it: it says nothing about
    the design, neither for training nor for a budget."""
    return ~((answer.status == Status.FAILED) & (np.asarray(answer.cost_s) == 0))


def labelled(answer: Evaluation) -> Bools:
    """(n,): which rows say something about their design. INFEASIBLE does; FAILED does not."""
    found: Bools = answer.status != Status.FAILED
    return found


class Space(Protocol):
    """Says which candidates exist. A genome is one row of integers within `bounds`, shape (genes, 2).

    `size` is the number of candidates where it can be counted; such a space decodes genome rows that
    `enumerate_genomes` makes from its bounds into every candidate, each once.
    """

    schema: Schema
    bounds: Ints
    size: int | None

    def sample(self, count: int, rng: np.random.Generator) -> Genomes:
        """(count, genes) fresh random genomes."""
        ...

    def vary(self, parents: Genomes, rng: np.random.Generator) -> Genomes:
        """One child for each parent row: this space's own mutation and crossover."""
        ...

    def decode(self, genomes: Genomes) -> Batch:
        """Legal candidates, one a row; total on everything within the bounds."""
        ...

    def encode(self, batch: Batch) -> Genomes:
        """Genomes that decode to the given legal candidates."""
        ...

    def starts(self) -> Genomes:
        """Known simple designs to begin a search with; may be empty."""
        ...
