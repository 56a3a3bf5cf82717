"""Landscapes that are made up: the costs of designs, and models of them that are right, wrong, unsure or silent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from design.contracts import AtOnce, Dataset, Evaluator, Task, TrainingSet
from design.core import Batch, Bools, Evaluation, Floats, Objective, Status, key_bytes
from design.hls.task import HlsTask
from tests.evaluators.truth.small_kernel import KERNEL, TARGET

TASK = HlsTask(KERNEL, TARGET)
UNITS = {"cycles": "cycles", "lut": "count"}
OBJECTIVES = (Objective("cycles"), Objective("lut"))
VALID = "valid_probability"


def numbers(batch: Batch, seed: int, count: int) -> Floats:
    """(n, count) of a normal distribution, a design's own."""
    keys = key_bytes(batch.schema.key(batch)) if len(batch) else []
    rngs = (np.random.default_rng([seed, *np.frombuffer(key, dtype=np.uint32).tolist()]) for key in keys)
    return np.array([rng.standard_normal(count) for rng in rngs]).reshape(len(batch), count)


def costs(batch: Batch, seed: int) -> Floats:
    """(n, 2) cycles and LUT, mostly at odds, no two designs alike."""
    trade, *off = numbers(batch, seed, 3).T
    return np.stack([2.0 ** (12 + 2 * trade + off[0]), 2.0 ** (12 - 2 * trade + off[1])], axis=1)


def unsound(batch: Batch, seed: int) -> Bools:
    """(n,) for about a third of designs."""
    found: Bools = numbers(batch, seed + 1000, 1)[:, 0] > 0.4
    return found


def answer(values: Floats, status: np.ndarray, source: str, valid: Floats | None = None) -> Evaluation:
    """Of n designs with costs (n, 2), exact."""
    values = np.where((status == Status.FAILED)[:, None], np.nan, values)
    metrics = {"cycles": values[:, 0], "lut": values[:, 1]} | ({} if valid is None else {VALID: valid})
    return Evaluation(
        metrics=metrics,
        violation={"room": np.where(status == Status.INFEASIBLE, 1.0, 0.0)},
        status=status.astype(np.int8),
        reason=np.where(status == Status.OK, "", "no"),
        cost_s=np.full(len(values), 0.5),
        source=dict.fromkeys(metrics, np.full(len(values), source)),
    )


def truth(batch: Batch, seed: int) -> Evaluation:
    """The costs that a landscape has."""
    status = np.where(unsound(batch, seed), Status.INFEASIBLE, Status.OK)
    return answer(costs(batch, seed), status, "truth/1")


class FormulaModel(AtOnce):
    """An evaluator by a formula of a batch."""

    name, fidelity = "model", 1
    metrics: Mapping[str, str] = UNITS | {VALID: "probability"}

    def __init__(self, version: int, formula: Callable[[Batch], Evaluation]) -> None:
        self.version, self._formula = str(version), formula
        self.asked: list[bytes] = []

    def evaluate(self, batch: Batch, *, seed: int) -> Evaluation:
        """See `Evaluator`."""
        self.asked += key_bytes(batch.schema.key(batch)) if len(batch) else []
        return self._formula(batch)


@dataclass
class MadeUp:
    """A surrogate of TASK that makes versions by `formula` of the designs asked and how many labels there are; it
    notes how many labels it was conditioned on, and keeps its models."""

    formula: Callable[[Batch, int], Evaluation]
    name, version, trained_on = "model", "1", TrainingSet()

    def __post_init__(self) -> None:
        self.counts: list[int] = []
        self.models: list[FormulaModel] = []

    def condition(self, task: Task, labels: Dataset | None, *, seed: int) -> Evaluator:
        """See `Surrogate`."""
        count = 0 if labels is None else len(labels)
        assert task is TASK
        assert labels is None or (labels.task is task and len(labels.batch) == len(labels.evaluation) == count > 0)
        self.counts.append(count)
        self.models.append(FormulaModel(count, lambda batch: self.formula(batch, count)))
        return self.models[-1]


def perfect(batch: Batch, labels: int) -> Evaluation:
    """The truth of landscape 0, and which designs are sound."""
    bad = unsound(batch, 0)
    return answer(costs(batch, 0), np.zeros(len(batch)), "model/p", np.where(bad, 0.0, 1.0))


def guessing(batch: Batch, labels: int) -> Evaluation:
    """Another landscape in each version, with wide intervals, some rows unknown, and doubts."""
    found = answer(costs(batch, 7 + labels), np.zeros(len(batch)), "model/g", None)
    doubt = 1 / (1 + np.exp(-numbers(batch, labels, 1)[:, 0]))
    ends = {name: np.stack([values / 3, values * 5], axis=1) for name, values in found.metrics.items()}
    status = np.where(numbers(batch, labels + 50, 1)[:, 0] > 1.5, Status.FAILED, Status.OK)
    whole = answer(costs(batch, 7 + labels), status, "model/g", doubt)
    blank = (status == Status.FAILED)[:, None]
    return _with(whole, {name: np.where(blank, np.nan, both) for name, both in ends.items()})


def endless(batch: Batch, labels: int) -> Evaluation:
    """Right, with intervals from 0 to infinity."""
    found = perfect(batch, labels)
    return _with(found, {name: np.tile([0.0, np.inf], (len(batch), 1)) for name in UNITS})


def unknown(batch: Batch, labels: int) -> Evaluation:
    """OK, with no value at all."""
    nothing = np.full((len(batch), 2), np.nan)
    return answer(nothing, np.zeros(len(batch)), "model/n", np.full(len(batch), np.nan))


def failing(batch: Batch, labels: int) -> Evaluation:
    """Every row FAILED."""
    return answer(costs(batch, 0), np.full(len(batch), Status.FAILED), "model/f", np.full(len(batch), np.nan))


def hopeless(batch: Batch, labels: int) -> Evaluation:
    """Every design is held to be unsound, and INFEASIBLE."""
    return answer(costs(batch, 0), np.full(len(batch), Status.INFEASIBLE), "model/h", np.zeros(len(batch)))


def _with(found: Evaluation, interval: dict[str, Floats]) -> Evaluation:
    return Evaluation.from_rows(found.per_row() | {"interval": interval}, found.level)
