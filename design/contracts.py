"""The contracts, in five minutes: what is designed for, which candidates exist, what they cost, and what learns it.

One loop, five nouns. A `Task` is what is designed for. A `Space` says which candidates exist. An `Evaluator` says what
a candidate costs. A `Surrogate` is a learned way of knowing that: conditioned on a `Dataset` of the task it is an
evaluator like any other. A `Truth` is an evaluator that costs something to ask. A `View` is how a learner sees a
domain, an `Acquisition` says which design to ask a truth about next. Nothing here knows a domain; whatever keeps these
contracts is searched, stored, resumed, exported, scored and drawn by the same code. The suites in `design/conformance/`
hold an implementation to them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from design.core import Batch, Bools, Evaluation, Floats, Genomes, Ints, Rows, Schema, Status

ANALYTIC, LEARNED, TRUE = 0, 1, 9  # fidelity of what is computed, learned, and answered by a truth


class Task(Protocol):
    """What is designed for: a workload on a platform, a kernel for a tool, a program on a CPU.

    `digest` is of all that decides what a design costs; tasks of one `family` are variants of one another. Splits and
    leak checks go by family and by `fingerprints`: all hashes that the task, or a copy of it under other names, is
    known by, the digest first. `schema` is that of its designs, `metrics` are what a truth may measure of them.
    """

    @property
    def name(self) -> str:
        """For people."""
        ...

    @property
    def family(self) -> str:
        """Of variants of one task."""
        ...

    @property
    def digest(self) -> str:
        """Of all that decides what a design costs, but for the tool that is asked."""
        ...

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """The digest, and hashes by which copies are found."""
        ...

    @property
    def schema(self) -> Schema:
        """Of its designs."""
        ...

    @property
    def metrics(self) -> tuple[str, ...]:
        """What a truth may measure of a design, the one that matters most first."""
        ...


@dataclass(frozen=True)
class Provenance:
    """Where labels come from: the file or run they were read from, `name/version` of the truths that answered, and the
    fingerprints of the tasks that this one was made from (augmentation)."""

    where: str = ""
    sources: tuple[str, ...] = ()
    ancestors: tuple[str, ...] = ()


TOOL, ESTIMATE = "tool", "estimate"  # fidelity of labels: who made them


@dataclass(frozen=True)
class Dataset:
    """Designs of one task with answers, n rows: the only shape of both together. `fidelity` says whether a truth
    (`TOOL`) or an estimate of it made the labels."""

    task: Task
    batch: Batch = field(repr=False)
    evaluation: Evaluation = field(repr=False)
    fidelity: str = TOOL
    provenance: Provenance = Provenance()

    def __len__(self) -> int:
        return len(self.batch)

    def metric(self, name: str) -> Floats:
        """(n,) values of a metric, NaN where it is not known."""
        found = self.evaluation.metrics.get(name)
        return np.full(len(self), np.nan) if found is None else found

    @property
    def feasible(self) -> Bools:
        """(n,) which designs count."""
        found: Bools = self.evaluation.status == Status.OK
        return found

    def take(self, rows: Rows | slice) -> Dataset:
        """The given rows, in the given order."""
        return replace(self, batch=self.batch.take(rows), evaluation=self.evaluation.take(rows))

    def answered(self) -> Dataset:
        """Without rows that FAILED, which say nothing about their designs."""
        known = labelled(self.evaluation)
        return self if known.all() else self.take(np.flatnonzero(known))


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


@dataclass(frozen=True)
class TrainingSet:
    """What a surrogate learned from before it was conditioned: families of tasks, and digests. It may be the union of
    several `parts`."""

    families: frozenset[str] = frozenset()
    digests: frozenset[str] = frozenset()
    parts: tuple[TrainingSet, ...] = ()

    def contains(self, family: str, digest: str) -> bool:
        """Whether a task, or one of its family, was among it."""
        if self.parts:
            return any(part.contains(family, digest) for part in self.parts)
        return family in self.families or digest in self.digests

    @staticmethod
    def union(*parts: TrainingSet) -> TrainingSet:
        """Of several; `families` and `digests` are of all."""
        families = frozenset().union(*(part.families for part in parts))
        return TrainingSet(families, frozenset().union(*(part.digests for part in parts)), parts)


class Surrogate(Protocol):
    """A learned way of knowing what designs cost. Conditioned on labels of a task (None: on none) it is an evaluator of
    the task's designs; scoring, searching and active labelling go through this one door (`condition_on_observations` of
    BoTorch, Balandat et al., NeurIPS 2020). Conditioned anew it forgets earlier labels.

    Its answers have the metrics of the task that it knows, and where it has them `valid_probability`, intervals and
    samples. `trained_on` says what it learned from, before any labels of the task asked. Raises InputError for a task
    that it cannot read.
    """

    name: str
    version: str
    trained_on: TrainingSet

    def condition(self, task: Task, labels: Dataset | None, *, seed: int) -> Evaluator:
        """An evaluator of this task's designs that has seen, of this task, these labels only."""
        ...


class View(Protocol):
    """How a learner sees a domain: one for each kind of task, in `cost_model/views/`."""

    def program(self, task: Task) -> Ints:
        """(tokens,) of what all designs of a task share."""
        ...

    def designs(self, task: Task, batch: Batch) -> tuple[Ints, Ints]:
        """Tokens (n, width) of designs, padded on the right, and their lengths (n,)."""
        ...

    def features(self, task: Task, batch: Batch) -> Floats:
        """(n, width) of designs, the width the same for all tasks of the domain."""
        ...

    def reference(self, task: Task) -> Evaluator | None:
        """The analytic prior that targets are told against; None where a domain has none."""
        ...

    def faults(self, task: Task, batch: Batch) -> Any:
        """(n,) texts: why a row is no design, "" where it is one."""
        ...

    def complete(self, task: Task, prediction: Prediction) -> Evaluation:
        """The answer that predicted metrics make: with metrics that follow from them, and constraints."""
        ...


@dataclass(frozen=True)
class Prediction:
    """What a surrogate says of n designs by metric: medians (n,), intervals (n, 2) at `level`, samples (n, k). `source`
    is the "name/version" that predicts, `fault` (n,) why a row is no design, `cost_s` what all rows cost together."""

    metrics: dict[str, Floats]
    interval: dict[str, Floats]
    samples: dict[str, Floats]
    fault: Any
    source: str
    level: float
    cost_s: float = 0.0
    how: str = "predicted"


class Acquisition(Protocol):
    """Which designs of a pool to ask the truth about next: `posterior` of n of them, `front` (m, objectives) of labels
    as logarithms to minimise, `pending` the posterior of designs that are being labelled."""

    def __call__(self, posterior: Any, front: Floats, pending: Any, reference_point: Floats, /) -> Floats:
        """(n,) how much each is worth; the largest is asked first."""
        ...
