"""Buying from an open list of wishes: as they come, none twice, none held up, and nothing left running."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from design.conformance.answers import assert_same
from design.core import Batch, Bools, Evaluation, Status, key_bytes
from evaluators.execution.threads import Threads
from evaluators.truth.cached import CachedTruth
from evaluators.truth.ledger import Ledger
from tests.evaluators.truth.small_kernel import designs
from tests.evaluators.truth.test_ledger import Formula


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A new one."""
    made = Ledger(tmp_path / "calls.sqlite", "first")
    yield made
    made.close()


class Wishes:
    """Designs as they are wished for: row numbers, None for nothing now. It notes when it was asked."""

    def __init__(self, *rows: int | None) -> None:
        self.rows, self.asked = list(rows), 0

    def __call__(self) -> Batch | None:
        self.asked += 1
        row = self.rows.pop(0) if self.rows else None
        return None if row is None else designs().take(np.array([row]))


class Held(Formula):
    """A truth whose call for the first of all designs lasts until `others` calls have been answered, or it is given
    up."""

    def __init__(self, others: int) -> None:
        super().__init__()
        self._others, self._free, self._lock = others, threading.Event(), threading.Lock()
        self.given_up = False

    def cancel(self) -> None:
        """See `Truth`."""
        self.given_up = True
        self._free.set()

    def evaluate(self, batch: Batch, *, seed: int) -> Evaluation:
        """See `Evaluator`."""
        with self._lock:
            found = super().evaluate(batch, seed=seed)
            if sum(self.calls.values()) > self._others:
                self._free.set()
        if keys_of(batch) == keys_of(designs(1)):
            assert self._free.wait(20)
            if self.given_up:
                raise RuntimeError("given up")
        return found


def keys_of(batch: Batch) -> list[bytes]:
    """Of its designs."""
    return key_bytes(batch.schema.key(batch))


def rows_bought(pieces: list[tuple[Batch, Evaluation]]) -> list[int]:
    """Which designs, and that each has its own answer."""
    every = keys_of(designs())
    found = []
    for one, answer in pieces:
        assert len(one) == len(answer) == 1
        assert_same(answer, Formula().evaluate(one, seed=0))
        found += [every.index(key) for key in keys_of(one)]
    return found


@pytest.mark.parametrize("at_once", [0, 3])
def test_wishes_are_answered(at_once: int, ledger: Ledger) -> None:
    """All of them, once each; in their order where there is one at a time."""
    truth = Formula()
    with CachedTruth(truth, ledger, (lambda: Threads(truth, at_once)) if at_once else None) as bought:
        found = rows_bought(list(bought.buy(Wishes(5, 3, 8, 1, 2), 0)))
    assert found == [5, 3, 8, 1, 2] if not at_once else sorted(found) == [1, 2, 3, 5, 8]
    assert sum(truth.calls.values()) == ledger.calls().begun == 5 and ledger.calls().unfinished == 0


def test_a_wish_may_depend_on_every_answer_before(ledger: Ledger) -> None:
    """One at a time, a wish is asked for when all before it have been heard of."""
    heard: list[int] = []

    def wish() -> Batch | None:
        return designs().take(np.array([len(heard)])) if len(heard) < 6 else None

    for one, _ in CachedTruth(Formula(), ledger).buy(wish, 0):
        heard.append(keys_of(designs()).index(keys_of(one)[0]))
    assert heard == list(range(6))


def test_nothing_for_now_is_no_end(ledger: Ledger) -> None:
    """As long as something is running, it is asked again; with nothing running, nothing is the end."""
    truth = Formula()
    wishes = Wishes(0, None, 1, None, 2, None, None, 3)
    with CachedTruth(truth, ledger, lambda: Threads(truth, 2)) as bought:
        assert rows_bought(list(bought.buy(wishes, 0))) == [0, 1, 2]
        assert wishes.rows == [3], "after 2 there was nothing running, and no wish"
        assert rows_bought(list(bought.buy(wishes, 0))) == [3]
        assert list(bought.buy(Wishes(), 0)) == []


def test_a_late_answer_holds_nobody_up(ledger: Ledger) -> None:
    """The first design is answered last of all."""
    truth = Held(others=6)
    with CachedTruth(truth, ledger, lambda: Threads(truth, 2)) as bought:
        found = rows_bought(list(bought.buy(Wishes(0, 1, 2, 3, 4, 5, 6), 0)))
    assert found.index(0) >= 5 and sorted(found) == list(range(7))


def test_what_is_known_takes_no_call(ledger: Ledger) -> None:
    """Nor a worker: it is answered while all of them are busy, or there are none."""
    CachedTruth(Formula(), ledger).evaluate(designs(6).take(np.array([1, 3, 5])), seed=0)
    truth = Formula()

    def no_workers() -> Threads:
        raise AssertionError("a worker was asked for")

    assert rows_bought(list(CachedTruth(truth, ledger, no_workers).buy(Wishes(5, 1, 3, 1), 0))) == [5, 1, 3, 1]
    with CachedTruth(truth, ledger) as bought:
        assert bought.knows(designs(6)).tolist() == [False, True, False, True, False, True]
        assert bought.knows(designs(0)).tolist() == []
        assert rows_bought(list(bought.buy(Wishes(0, 1, 2, 3, 0), 0))) == [0, 1, 2, 3, 0]
        assert bought.knows(designs(6)).tolist() == [True, True, True, True, False, True]
    assert len(truth.calls) == sum(truth.calls.values()) == 2 and ledger.calls().begun == 5


def test_what_failed_is_known_unless_it_is_asked_for_again(ledger: Ledger) -> None:
    """`knows` says which designs take no call."""
    batch = designs(12)
    bad = batch.columns["__TILE__L0"] == 2
    CachedTruth(Formula(broken=True), ledger).evaluate(batch, seed=0)
    assert CachedTruth(Formula(), ledger).knows(batch).all()
    again = CachedTruth(Formula(), ledger, again=True)
    assert np.array_equal(again.knows(batch), ~bad)
    again.evaluate(batch, seed=0)
    assert again.knows(batch).all() and ledger.calls().begun == 12 + bad.sum()


def test_what_is_not_for_sale(ledger: Ledger) -> None:
    """Is answered at once, and nothing is written about it."""

    class Choosy(Formula):
        def accepts(self, batch: Batch) -> Bools:
            """See `Truth`."""
            return batch.columns["__TILE__L0"] != 2

    batch = designs(12)
    pieces = list(CachedTruth(Choosy(broken=True), ledger).buy(Wishes(*range(12)), 0))
    sold = batch.columns["__TILE__L0"] != 2
    assert [answer.status[0] != Status.FAILED for _, answer in pieces] == sold.tolist()
    assert ledger.calls().begun == sold.sum() < 12


@pytest.mark.parametrize("known", [False, True])
def test_a_stop_ends_the_stream(known: bool, ledger: Ledger) -> None:
    """After three answers, whether they were bought or known."""
    if known:
        CachedTruth(Formula(), ledger).evaluate(designs(12), seed=0)
    found: list[tuple[Batch, Evaluation]] = []
    bought = CachedTruth(Formula(), ledger, stop=lambda: len(found) >= 3)
    for piece in bought.buy(Wishes(*range(12)), 0):
        found.append(piece)
    assert rows_bought(found) == [0, 1, 2]
    assert list(CachedTruth(Formula(), ledger, stop=lambda: True).buy(Wishes(0), 0)) == []


@pytest.mark.parametrize("how", ["close", "stop"])
def test_what_is_running_is_given_up(how: str, ledger: Ledger) -> None:
    """Where nobody listens any more: its call has begun and not ended, and it is bought again by the next."""
    truth = Held(others=1000)
    found: list[tuple[Batch, Evaluation]] = []
    with CachedTruth(
        truth, ledger, lambda: Threads(truth, 2), stop=lambda: how == "stop" and len(found) == 2
    ) as bought:
        stream = bought.buy(Wishes(0, 1, 2, 3, 4, 5, 6), 0)
        for piece in stream:
            found.append(piece)
            if len(found) == 2 and how == "close":
                stream.close()  # type: ignore[attr-defined]
                break
        assert truth.given_up and rows_bought(found) == [1, 2]
        calls = ledger.calls()
        assert 1 <= calls.unfinished <= 2 and calls.ok + calls.infeasible == 2
    assert rows_bought(list(CachedTruth(Formula(), ledger).buy(Wishes(0), 0))) == [0]
