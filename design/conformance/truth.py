"""What every truth keeps to, beside what every evaluator does: `check_truth`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from design.conformance import evaluator as of_evaluators
from design.conformance.answers import assert_same
from design.conformance.nonconforming import Nonconforming, expect, label, rows_text
from design.contracts import TRUE, Truth, called, labelled
from design.core import Batch, Bools, Evaluation, Status
from design.errors import in_one_line


@dataclass(frozen=True)
class Case:
    """A truth and its case as an evaluator; see `check_truth`."""

    truth: Truth
    asked: of_evaluators.Case

    @property
    def batch(self) -> Batch:
        """What is asked."""
        return self.asked.batch

    @property
    def answer(self) -> Evaluation:
        """To the whole batch."""
        return self.asked.answer

    def accepted(self, batch: Batch) -> Bools:
        """(n,) which designs it accepts. Raises Nonconforming where that is no mask."""
        try:
            mask = self.truth.accepts(batch)
        except Exception as error:
            text = f"accepts raised {in_one_line(error)}"
            raise Nonconforming(label(self.truth), text, "False for what cannot be put to it") from error
        fits = isinstance(mask, np.ndarray) and mask.dtype == bool and mask.shape == (len(batch),)
        found = f"accepts gave {getattr(mask, 'dtype', type(mask).__name__)} {np.shape(mask)}"
        expect(fits, label(self.truth), found, f"a mask of bool ({len(batch)},)")
        return mask


def case_of(
    truth: Truth,
    batch: Batch,
    seed: int = 0,
    accepts_all: bool = False,
    sources: Sequence[str] = (),
    pickled: bool = True,
) -> Case:
    """See `check_truth`."""
    case = Case(truth, of_evaluators.case_of(truth, batch, seed, True, sources, pickled))
    accepted = case.accepted(case.batch)
    if not accepted.any():
        raise ValueError(f"{label(truth)} accepts no design of the batch; give some that it does")
    if accepted.all() and not accepts_all:
        raise ValueError(f"{label(truth)} accepts all of the batch; add a design that it refuses, or accepts_all=True")
    return case


def check_truth(
    truth: Truth,
    batch: Batch,
    seed: int = 0,
    *,
    accepts_all: bool = False,
    sources: Sequence[str] = (),
    pickled: bool = True,
) -> None:
    """All laws of evaluators and of truths. The batch has designs that the truth accepts and some that it refuses;
    `accepts_all` is for one that refuses none. `sources` and `pickled` as in `check_evaluator`.

    A batch of n designs is about twelve calls for each, so it should be small where calls are dear. Raises
    Nonconforming for what breaks a law, ValueError for a batch that cannot tell.
    """
    case = case_of(truth, batch, seed, accepts_all, sources, pickled)
    for law in of_evaluators.LAWS.values():
        law(case.asked)
    for own in LAWS.values():
        own(case)


def _price(case: Case) -> None:
    """A call costs something, and is a truth's."""
    cost, culprit = getattr(case.truth, "call_cost", None), label(case.truth)
    number = isinstance(cost, (int, float)) and not isinstance(cost, bool) and 0 < cost < float("inf")
    expect(number, culprit, f"call_cost is {cost!r}", "a finite number above 0")
    expect(case.truth.fidelity == TRUE, culprit, f"fidelity {case.truth.fidelity}", f"TRUE, which is {TRUE}")


def _exact(case: Case) -> None:
    """Intervals have zero width."""
    for name, values in case.answer.metrics.items():
        low, high = case.answer.interval[name].T
        wide = ~np.isnan(values) & ((low != values) | (high != values))
        expect(not wide.any(), label(case.truth), f"{name} of {rows_text(wide)} has an interval with a width", "none")


def _accepts(case: Case) -> None:
    """A design is accepted or not by itself, whatever stands beside it."""
    whole, everything = case.accepted(case.batch), np.arange(len(case.batch))
    for rows in (everything, everything[::-1], everything[:0], *everything[:, None]):
        same = np.array_equal(case.accepted(case.batch.take(rows)), whole[rows])
        expect(same, label(case.truth), f"accepts other designs among {len(rows)} than among all", "the same ones")


def _refused(case: Case) -> None:
    """What is not accepted is FAILED, at no cost, and is no call; what is accepted is one."""
    accepted, answer, culprit = case.accepted(case.batch), case.answer, label(case.truth)
    answered = ~accepted & (answer.status != Status.FAILED)
    expect(not answered.any(), culprit, f"{rows_text(answered)} is not accepted and has an answer", "FAILED")
    paid = ~accepted & (answer.cost_s != 0)
    expect(not paid.any(), culprit, f"{rows_text(paid)} is not accepted and has a cost_s", "0: it is no call")
    free = accepted & ~called(answer)
    expect(
        not free.any(),
        culprit,
        f"{rows_text(free)} is accepted and FAILED at no cost",
        "a cost_s above 0: it is a call",
    )
    learned = ~accepted & labelled(answer)
    expect(not learned.any(), culprit, f"{rows_text(learned)} is not accepted and a label", "no label")


def _one_by_one(case: Case) -> None:
    """Accepted designs answered one by one, and without the refused ones, have the answers of the batch."""
    rows = np.flatnonzero(case.accepted(case.batch))
    case.asked.same(rows, "the designs that it accepts")
    for row in rows.tolist():
        case.asked.same(np.array([row]), f"row {row} by itself")


def _cancel(case: Case) -> None:
    """To cancel when nothing runs does nothing; later calls are as ever."""
    culprit = f"{label(case.truth)}, after cancel()"
    for _ in range(2):
        try:
            case.truth.cancel()
        except Exception as error:
            raise Nonconforming(culprit, f"it raised {in_one_line(error)}", "nothing, as nothing runs") from error
        again = case.asked.ask(case.batch, "the batch after cancel()")
        assert_same(again, case.answer, culprit, "the answers of before")


LAWS: dict[str, Callable[[Case], None]] = {
    "price": _price,
    "exact": _exact,
    "accepts": _accepts,
    "refused": _refused,
    "one_by_one": _one_by_one,
    "cancel": _cancel,
}
