"""Small sound implementations of the contracts, and ways to break them; other processes import this too.

`Toy(fault)` is an evaluator whose answer a fault changes: fault(toy, batch, seed, answer) -> answer. `ToyTruth`,
`ToySpace` and `ToySurrogate` are subclassed where a test breaks them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np

from design.contracts import ANALYTIC, LEARNED, TRUE, AtOnce, Dataset, Evaluator, TrainingSet
from design.core import Batch, Bools, Column, Evaluation, Floats, Genomes, Rows, Schema, Status

SIZES, WAYS = 6, 4
LARGEST = 12  # size times ways that there is room for


def render(batch: Batch, row: int) -> str:
    """Canonical text."""
    return f"size={batch.columns['size'][row]} ways={batch.columns['ways'][row]}"


def schema(context: str = "one") -> Schema:
    """Caches of a task."""
    return Schema("cache", (Column("size", "KiB", "i8"), Column("ways", "count", "i8")), context, render)


def designs(context: str = "one", bad: int = 0) -> Batch:
    """All 24 designs in an order that is none, after them so many that are none."""
    grid = np.stack(np.meshgrid(np.arange(SIZES), 1 + np.arange(WAYS)), axis=-1).reshape(-1, 2)
    grid = grid[np.random.default_rng(3).permutation(len(grid))]
    grid = np.concatenate([grid, np.tile([-1, 1], (bad, 1))]).astype(np.int64)
    return Batch(schema(context), {"size": grid[:, 0].copy(), "ways": grid[:, 1].copy()})


def answer_of(batch: Batch, latency: Floats, who: str, metrics: Mapping[str, str], width: float = 0.0) -> Evaluation:
    """An answer of these seconds; too large is INFEASIBLE, a size below 0 FAILED at no cost."""
    size, ways = (batch.columns[name].astype(np.float64) for name in ("size", "ways"))
    failed, over = size < 0, np.maximum(size * ways - LARGEST, 0.0)
    values = {"latency_s": np.where(failed, np.nan, latency), "area_mm2": np.where(failed, np.nan, 1 + size * ways)}
    status = np.where(failed, Status.FAILED, np.where(over > 0, Status.INFEASIBLE, Status.OK)).astype(np.int8)
    reasons = np.array(["", "too large", "no such size"])
    return Evaluation(
        metrics={name: values[name] for name in metrics},
        violation={"room": np.where(failed, np.nan, over)},
        status=status,
        reason=reasons[status],
        cost_s=np.where(failed, 0.0, 0.25),
        source=dict.fromkeys(metrics, np.full(len(batch), who)),
        interval={name: np.stack([values[name] * (1 - width), values[name] * (1 + width)], axis=1) for name in metrics},
    )


def seconds(batch: Batch, context: str = "one") -> Floats:
    """What designs take."""
    slow = 1.0 if context == "one" else 3.0
    found: Floats = slow * 1e-3 * (7.0 + 10.0 / (1.0 + np.abs(batch.columns["size"])) - batch.columns["ways"])
    return found


Fault = Callable[["Toy", Batch, int, Evaluation], Any]


class Toy(AtOnce):
    """An evaluator, and a fault."""

    name, version, fidelity = "toy", "1", ANALYTIC
    metrics: Mapping[str, str] = {"latency_s": "s", "area_mm2": "mm2"}

    def __init__(self, fault: Fault | None = None) -> None:
        self.fault, self.asked = fault, 0
        self.kept: dict[str, Any] = {}

    def evaluate(self, batch: Batch, *, seed: int) -> Any:
        """See `Evaluator`."""
        self.asked += 1
        answer = answer_of(batch, seconds(batch), f"{self.name}/{self.version}", self.metrics, 0.1)
        return answer if self.fault is None else self.fault(self, batch, seed, answer)


class OddStream(Toy):
    """Yields what `pieces` makes of the batch's answer."""

    def __init__(self, pieces: Callable[[Evaluation], list[tuple[Rows, Evaluation]]]) -> None:
        super().__init__()
        self.pieces = pieces

    def stream(self, batch: Batch, *, seed: int) -> Iterator[tuple[Rows, Evaluation]]:
        """See `Evaluator`."""
        yield from self.pieces(self.evaluate(batch, seed=seed))


class ToyTruth(AtOnce):
    """A truth that does not accept sizes below 0."""

    name, version, fidelity = "tool", "1", TRUE
    metrics: Mapping[str, str] = {"latency_s": "s", "area_mm2": "mm2"}

    def __init__(self) -> None:
        self.call_cost: Any = 2.0
        self.stopped = False

    def accepts(self, batch: Batch) -> Any:
        """See `Truth`."""
        return batch.columns["size"] >= 0

    def cancel(self) -> None:
        """See `Truth`."""

    def evaluate(self, batch: Batch, *, seed: int) -> Evaluation:
        """See `Evaluator`."""
        return answer_of(batch, seconds(batch), f"{self.name}/{self.version}", self.metrics)


class ToySpace:
    """All caches: every genome is one."""

    def __init__(self) -> None:
        self.schema = schema()
        self.bounds = np.array([[0, SIZES - 1], [1, WAYS]], dtype=np.int64)
        self.size: int | None = SIZES * WAYS

    def sample(self, count: int, rng: np.random.Generator) -> Genomes:
        """See `Space`."""
        low, high = self.bounds.T
        return rng.integers(low, high + 1, (count, 2), dtype=np.int64)

    def vary(self, parents: Genomes, rng: np.random.Generator) -> Genomes:
        """See `Space`."""
        return np.where(rng.random(parents.shape) < 0.5, self.sample(len(parents), rng), parents)

    def decode(self, genomes: Genomes) -> Batch:
        """See `Space`."""
        return Batch(self.schema, {"size": genomes[:, 0].copy(), "ways": genomes[:, 1].copy()})

    def encode(self, batch: Batch) -> Genomes:
        """See `Space`."""
        return np.stack([batch.columns["size"], batch.columns["ways"]], axis=1).astype(np.int64)

    def starts(self) -> Genomes:
        """See `Space`."""
        return self.bounds[:, :1].T.copy()


@dataclass(frozen=True)
class ToyTask:
    """Caches of a program."""

    name: str = "one"
    family: str = "programs"
    metrics: tuple[str, ...] = ("latency_s", "area_mm2")

    @property
    def digest(self) -> str:
        """By name."""
        return blake2b(self.name.encode(), digest_size=8).hexdigest()

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """One."""
        return (self.digest,)

    @property
    def schema(self) -> Schema:
        """Of its designs."""
        return schema(self.name)


def dataset(name: str = "one", rows: int = 10) -> Dataset:
    """Labels of a task."""
    batch = designs(name).take(np.arange(rows))
    metrics = {"latency_s": "s", "area_mm2": "mm2"}
    return Dataset(ToyTask(name), batch, answer_of(batch, seconds(batch, name), "tool/1", metrics))


@dataclass(frozen=True)
class Nearest:
    """Answers with the mean latency of the nearest labels."""

    version: str
    places: Floats
    values: Floats
    name: str = "nearest"
    fidelity: int = LEARNED
    metrics: Mapping[str, str] = field(default_factory=lambda: {"latency_s": "s"})

    def evaluate(self, batch: Batch, *, seed: int) -> Evaluation:
        """See `Evaluator`."""
        predicted = np.full(len(batch), 0.01)
        for row, place in enumerate(places_of(batch)):
            if len(self.places):
                distance = np.abs(self.places - place).sum(axis=1)
                predicted[row] = np.sort(self.values[distance == distance.min()]).mean()
        return answer_of(batch, predicted, f"{self.name}/{self.version}", self.metrics, 0.5)

    def stream(self, batch: Batch, *, seed: int) -> Iterator[tuple[Rows, Evaluation]]:
        """See `Evaluator`."""
        yield np.arange(len(batch)), self.evaluate(batch, seed=seed)


def places_of(batch: Batch) -> Floats:
    """(n, 2)."""
    return np.stack([batch.columns["size"], batch.columns["ways"]], axis=1).astype(np.float64)


class ToySurrogate:
    """The nearest neighbour."""

    name, version = "nearest", "1"

    def __init__(self) -> None:
        self.trained_on: Any = TrainingSet(frozenset({"others"}))

    def rows(self, labels: Dataset) -> Bools:
        """Which labels count."""
        return ~np.isnan(labels.metric("latency_s"))

    def condition(self, task: Any, labels: Dataset | None, *, seed: int) -> Evaluator:
        """See `Surrogate`."""
        if labels is None:
            return Nearest(self.version, np.empty((0, 2)), np.empty(0))
        rows = self.rows(labels)
        places, values = places_of(labels.batch)[rows], labels.metric("latency_s")[rows]
        return Nearest(f"{self.version}-{self.mark(places, values)}", places, values)

    def mark(self, places: Floats, values: Floats) -> str:
        """Of the labels, in any order."""
        table = np.concatenate([places, values[:, None]], axis=1)
        return blake2b(table[np.lexsort(table.T)].tobytes(), digest_size=4).hexdigest()
