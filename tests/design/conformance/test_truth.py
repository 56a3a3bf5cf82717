"""The suite of truths passes what is sound, and finds each of these faults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from design.conformance.nonconforming import Nonconforming
from design.conformance.truth import check_truth
from design.core import Batch, Evaluation, Status
from tests.design.conformance.toys import ToyTruth, designs

BATCH = designs(bad=2).take(np.arange(14, 26))  # the last two are refused


class Changed(ToyTruth):
    """Its answer is changed by `change`."""

    def __init__(self, change: Callable[[Any, Batch, Evaluation], Evaluation], **fields: Any) -> None:
        super().__init__()
        self.change = change
        self.__dict__.update(fields)

    def evaluate(self, batch: Batch, *, seed: int) -> Evaluation:
        """See `Evaluator`."""
        return self.change(self, batch, super().evaluate(batch, seed=seed))


class Picky(ToyTruth):
    """Accepts what `rule` makes of (batch, mask)."""

    def __init__(self, rule: Callable[[Batch, Any], Any]) -> None:
        super().__init__()
        self.rule = rule

    def accepts(self, batch: Batch) -> Any:
        """See `Truth`."""
        return self.rule(batch, super().accepts(batch))


class Stops(ToyTruth):
    """Cancelled once, it fails what comes then, or raises."""

    def __init__(self, raises: bool) -> None:
        super().__init__()
        self.raises = raises

    def cancel(self) -> None:
        """See `Truth`."""
        if self.raises:
            raise RuntimeError("nothing to cancel")
        self.stopped = True

    def evaluate(self, batch: Batch, *, seed: int) -> Evaluation:
        """See `Evaluator`."""
        answer = super().evaluate(batch, seed=seed)
        return failing(answer, np.full(len(batch), self.stopped), 0.25)


def failing(answer: Evaluation, rows: Any, cost_s: float) -> Evaluation:
    """An answer with some rows FAILED."""
    return replace(
        answer,
        metrics={name: np.where(rows, np.nan, values) for name, values in answer.metrics.items()},
        interval={name: np.where(rows[:, None], np.nan, values) for name, values in answer.interval.items()},
        status=np.where(rows, Status.FAILED, answer.status).astype(np.int8),
        reason=np.where(rows & (answer.reason == ""), "the tool broke", answer.reason),
        cost_s=np.where(rows, cost_s, answer.cost_s),
    )


def wide(truth: Any, batch: Batch, answer: Evaluation) -> Evaluation:
    """Intervals with a width."""
    return replace(answer, interval={name: values * [0.9, 1.1] for name, values in answer.interval.items()})


def free(truth: Any, batch: Batch, answer: Evaluation) -> Evaluation:
    """A design that was put to the tool FAILED at no cost."""
    return failing(answer, batch.columns["ways"] == 2, 0.0)


def priced(truth: Any, batch: Batch, answer: Evaluation) -> Evaluation:
    """Refused designs cost something."""
    return replace(answer, cost_s=np.full(len(batch), 0.25))


def answered(truth: Any, batch: Batch, answer: Evaluation) -> Evaluation:
    """Refused designs have an answer: as size 0 has."""
    columns = {"size": np.maximum(batch.columns["size"], 0), "ways": batch.columns["ways"]}
    found = ToyTruth().evaluate(Batch(batch.schema, columns), seed=0)
    return replace(found, cost_s=np.where(batch.columns["size"] < 0, 0.0, found.cost_s))


def later(truth: Any, batch: Batch, answer: Evaluation) -> Evaluation:
    """Row 24, designs with 4 ways and size 5, takes longer by itself."""
    factor = 1.0 + (len(batch) == 1 and batch.columns["size"][0] >= 0 and truth.asked(batch))
    metrics = {name: values * factor for name, values in answer.metrics.items()}
    return replace(answer, metrics=metrics, interval={n: np.stack([v, v], axis=1) for n, v in metrics.items()})


class Later(Changed):
    """Slow by itself on one design, which is past the first rows of a batch."""

    def asked(self, batch: Batch) -> bool:
        """Whether that is it."""
        last = designs().take(np.array([23]))
        return bool((batch.schema.key(batch) == last.schema.key(last)).all())


def test_a_sound_one() -> None:
    """Passes, also where a tool fails a design at its cost; one that refuses nothing says so."""
    check_truth(ToyTruth(), BATCH)
    check_truth(
        Changed(lambda t, b, a: failing(a, b.columns["ways"] == 2, 0.25 * (b.columns["size"] >= 0))),
        BATCH,
        pickled=False,
    )
    check_truth(ToyTruth(), designs().take(np.arange(6)), accepts_all=True)


@pytest.mark.parametrize(
    ("truth", "words"),
    [
        (Changed(wide), "latency_s of rows .* has an interval with a width; expected none"),
        (Changed(free), "is accepted and FAILED at no cost; expected a cost_s above 0"),
        (Changed(priced), "rows 10, 11 is not accepted and has a cost_s; expected 0"),
        (Changed(answered), "rows 10, 11 is not accepted and has an answer; expected FAILED"),
        (Picky(lambda b, m: m.astype(int)), r"accepts gave int64 \(12,\)"),
        (Picky(lambda b, m: m[:-1]), r"accepts gave bool \(11,\); expected a mask of bool \(12,\)"),
        (Picky(lambda b, m: m.tolist()), "accepts gave list"),
        (Picky(lambda b, m: m & (np.arange(len(m)) < 9)), "accepts other designs among 12 than among all"),
        (Picky(lambda b, m: m | (len(m) < 2)), "accepts other designs among 1 than among all"),
        (Picky(lambda b, m: m & bool(b.columns["size"].max())), "accepts raised ValueError: zero-size array"),
        (Picky(lambda b, m: m & (b.columns["ways"] != 2)), "is not accepted and has an answer"),
        (Stops(raises=True), "after cancel.*: it raised RuntimeError: nothing to cancel"),
        (Stops(raises=False), r"after cancel\(\): .* expected the answers of before"),
        *((Changed(lambda t, b, a: a, call_cost=cost), f"call_cost is {cost!r}") for cost in (0, -1.0, True, None)),
        (Changed(lambda t, b, a: a, call_cost=float("inf")), "call_cost is inf"),
        (Changed(lambda t, b, a: a, call_cost=float("nan")), "call_cost is nan"),
        (Changed(lambda t, b, a: a, fidelity=1), "fidelity 1; expected TRUE, which is 9"),
        (Changed(lambda t, b, a: replace(a, interval={})), "intervals of nothing"),
    ],
)
def test_a_fault(truth: Any, words: str) -> None:
    """Is found, by what it is."""
    with pytest.raises(Nonconforming, match=words) as caught:
        check_truth(truth, BATCH, pickled=False)
    assert str(caught.value).startswith("tool/1") and "; expected " in str(caught.value)


def test_all_accepted_rows_are_asked_by_themselves() -> None:
    """Also those that the suite of evaluators leaves out."""
    batch = designs(bad=1)
    check_truth(ToyTruth(), batch)
    with pytest.raises(Nonconforming, match="asked for row 23 by itself"):
        check_truth(Later(later), batch, pickled=False)


def test_batches_that_cannot_tell() -> None:
    """None is accepted, or none refused."""
    with pytest.raises(ValueError, match="accepts no design"):
        check_truth(ToyTruth(), BATCH.take(np.array([10, 11])))
    with pytest.raises(ValueError, match="accepts all of the batch; add a design that it refuses"):
        check_truth(ToyTruth(), BATCH.take(np.arange(10)))
