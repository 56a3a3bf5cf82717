"""Whatever an evaluator does to some rows, the others keep exactly their answers, and those are FAILED with a reason.

Everything here happens in this process; `test_pool.py` says the same of workers.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from design.conformance.answers import assert_same
from design.conformance.evaluator import check_evaluator, check_spoiled
from design.contracts import Evaluator
from design.core import Batch, Evaluation, Status, gather
from evaluators.execution.batching import Pace
from evaluators.execution.fault_tolerant import Guarded
from tests.cases import examples
from tests.dse.nmp.small import BUFFERED, EVALUATORS, FAST, ROOFLINE, SLOW, devices, sampled, space_for
from tests.evaluators.execution import faulty
from tests.evaluators.execution.faulty import Changed, Fault, Faulty, Metric, Raises, Reordered, Says, designs, keys

BATCH = designs(24)
SOUND = ROOFLINE.evaluate(BATCH, seed=1)
MARKED = [0, 5, 6, 23]
LONG_S = 60.0  # for what takes a second
SLEEP_S = 600.0  # what a hang of `faulty` takes


class Sizes(Pace):
    """Pieces of given sizes, again and again."""

    def __init__(self, sizes: list[int]) -> None:
        super().__init__(workers=1, rows_ahead=0, limit_s=None)
        self.sizes, self.cut = sizes, 0

    def rows(self, left: int, workers: int) -> int:
        """The next size."""
        self.cut += 1
        return min(self.sizes[(self.cut - 1) % len(self.sizes)], left)


def marking(fault: Fault, rows: list[int] = MARKED) -> Faulty:
    """The fault in some rows of BATCH."""
    batch_keys = keys(BATCH)
    return Faulty(fault, [batch_keys[row] for row in rows])


def check_failed(answer: Evaluation, rows: list[int]) -> None:
    """These rows are FAILED as rows should be."""
    bad = answer.take(np.array(rows, dtype=np.int64))
    assert (bad.status == Status.FAILED).all()
    assert all(np.isnan(values).all() for values in (*bad.metrics.values(), *bad.interval.values()))
    assert all(len(text.splitlines()) == 1 and text.strip() for text in bad.reason.tolist())
    assert (bad.cost_s >= 0).all()


def sound_but(answer: Evaluation, rows: list[int]) -> None:
    """All rows but these have their own answers, bit for bit (but for the name of who said so)."""
    others = np.setdiff1d(np.arange(len(BATCH)), rows)
    assert len(answer) == len(BATCH)
    ours, theirs = answer.take(others), SOUND.take(others)
    assert_same(replace(ours, violation={k: ours.violation[k] for k in theirs.violation}), theirs)


# --- sound evaluators


@pytest.mark.parametrize("evaluator", EVALUATORS, ids=lambda e: e.name)
def test_conformance(evaluator: Any) -> None:
    """A guarded evaluator is an evaluator."""
    batch = sampled(space_for(evaluator, devices((1, 2, 3), (FAST, SLOW))), 30)
    with Guarded(evaluator, limit_s=LONG_S) as guarded:
        check_evaluator(guarded, batch, pickled=False)  # it sends others, and holds functions of its run
        check_spoiled(guarded, batch, {"mhz": np.nan})
    assert (guarded.name, guarded.version, guarded.fidelity) == (evaluator.name, evaluator.version, evaluator.fidelity)


@examples(25)
@given(st.lists(st.integers(1, 24), min_size=1, max_size=6), st.sampled_from(EVALUATORS), st.integers(0, 24))
def test_pieces_of_any_size_make_the_same_answer(sizes: list[int], evaluator: Evaluator, rows: int) -> None:
    """Bit for bit what the evaluator says by itself; the stream covers each row once."""
    batch = BATCH.take(slice(rows))
    guarded = Guarded(evaluator, pace=Sizes(sizes))
    assert_same(guarded.evaluate(batch, seed=3), evaluator.evaluate(batch, seed=3))
    pieces = list(guarded.stream(batch, seed=3))
    assert sorted(row for rows, _ in pieces for row in rows.tolist()) == list(range(rows))


def test_one_row_at_a_time_at_first() -> None:
    """Rows stream as they finish: the first piece is a single row, and the evaluator sees the seed."""
    seen: list[tuple[int, int]] = []

    class Watched(Faulty):
        def evaluate(self, batch: Batch, *, seed: int) -> Any:
            seen.append((len(batch), seed))
            return super().evaluate(batch, seed=seed)

    stream = Guarded(Watched(faulty.sleeps, [])).stream(BATCH, seed=11)
    rows, answer = next(stream)
    assert rows.tolist() == [0] and len(answer) == 1 and seen == [(1, 11)]
    assert {seed for _, seed in seen} == {11}
    assert sum(len(rows) for rows, _ in stream) == len(BATCH) - 1


# --- exceptions


EXCEPTIONS: dict[str, tuple[Callable[[], BaseException], str]] = {
    "plain": (lambda: ValueError("no such tile"), "ValueError: no such tile"),
    "without text": (lambda: ValueError(), "ValueError"),
    "exit": (lambda: SystemExit(3), "SystemExit: 3"),
    "memory": (lambda: MemoryError("cannot have 1 TB"), "MemoryError: cannot have 1 TB"),
    "many lines": (faulty.ManyLines, "ManyLines: one two three"),
    "speechless": (faulty.Speechless, "Speechless"),
    "panic": (lambda: faulty.Panic("at the disco"), "Panic: at the disco"),
    "generator exit": (lambda: GeneratorExit("out"), "GeneratorExit: out"),
    "recursion": (lambda: RecursionError("deep"), "RecursionError: deep"),
    "long": (lambda: ValueError("x" * 10_000), "ValueError: xxx"),
    "stop iteration": (lambda: StopIteration("x"), "StopIteration"),
}


@pytest.mark.parametrize("name", EXCEPTIONS)
@pytest.mark.parametrize("limit_s", [None, LONG_S])
def test_an_exception_fails_its_rows(name: str, limit_s: float | None) -> None:
    """With the type and the message, in one line of bounded length."""
    make, text = EXCEPTIONS[name]
    answer = Guarded(marking(Raises(make)), limit_s=limit_s, pace=Sizes([24])).evaluate(BATCH, seed=1)
    sound_but(answer, MARKED)
    check_failed(answer, MARKED)
    assert all(text in reason and len(reason) < 300 for reason in answer.reason[MARKED].tolist()), answer.reason[0]


def test_an_exception_between_pieces() -> None:
    """A stream that breaks off: the pieces before count for nothing, their rows are done again."""

    class Breaks(Faulty):
        def stream(self, batch: Batch, *, seed: int) -> Iterator[Any]:
            for row in np.arange(len(batch))[:, None]:
                yield row, self.evaluate(batch.take(row), seed=seed)

    evaluator = Breaks(Raises(lambda: OSError("gone")), [keys(BATCH)[5]])
    answer = Guarded(evaluator, pace=Sizes([24])).evaluate(BATCH, seed=1)
    sound_but(answer, [5])
    check_failed(answer, [5])


def test_rows_that_fail_only_in_company_have_answers() -> None:
    """An evaluator that takes three rows at most answers all rows."""
    tight = Faulty(Says(lambda rows, answer: answer if rows <= 3 else 1 // 0), keys(BATCH))
    sound_but(Guarded(tight, pace=Sizes([24])).evaluate(BATCH, seed=1), [])


def test_all_rows_may_fail() -> None:
    """And there may be none."""
    guarded = Guarded(marking(Raises(lambda: ValueError("never")), list(range(24))))
    check_failed(guarded.evaluate(BATCH, seed=1), list(range(24)))
    assert len(guarded.evaluate(BATCH.take(slice(0)), seed=1)) == 0


class NoEmpty(Faulty):
    """Goes wrong on an empty batch."""

    def evaluate(self, batch: Batch, *, seed: int) -> Any:
        """The fault, where there is no row."""
        return super().evaluate(batch, seed=seed) if len(batch) else self.fault(batch, SOUND, np.zeros(0, dtype=bool))


@pytest.mark.parametrize("fault", [Raises(lambda: IndexError("no row")), Says(lambda *_: None), faulty.sleeps])
def test_an_empty_batch_is_guarded_too(fault: Fault) -> None:
    """No rows, all metrics."""
    guarded = Guarded(NoEmpty(fault, []), limit_s=0.2)
    answer = guarded.evaluate(BATCH.take(slice(0)), seed=1)
    assert len(answer) == 0 and set(answer.metrics) == set(ROOFLINE.metrics)
    sound_but(guarded.evaluate(BATCH, seed=1), [])


# --- time


@pytest.mark.parametrize("fault", [faulty.sleeps, faulty.spins, faulty.stubborn, faulty.swallows_once])
def test_a_hang_fails_its_rows(fault: Fault) -> None:
    """The others are done again alone; the whole takes no longer than the limits of the bad rows."""
    begin = time.monotonic()
    answer = Guarded(marking(fault, [3, 9]), limit_s=0.2, pace=Sizes([6])).evaluate(BATCH, seed=1)
    assert time.monotonic() - begin < 30
    sound_but(answer, [3, 9])
    check_failed(answer, [3, 9])
    assert all("limit of 0.2 s" in text for text in answer.reason[[3, 9]].tolist())
    assert (answer.cost_s[[3, 9]] >= 0.19).all()


def test_signals_and_timers_are_left_as_they_were() -> None:
    """After good rows, after late ones, after an exception for the program; a timer of the caller's still rings."""
    rung: list[int] = []
    handler = lambda number, frame: rung.append(number)
    before = signal.signal(signal.SIGALRM, handler)
    try:
        for fault in (faulty.sleeps, Raises(lambda: ValueError("x")), Raises(KeyboardInterrupt)):
            signal.setitimer(signal.ITIMER_REAL, 50.0, 7.0)
            guarded = Guarded(marking(fault, [1]), limit_s=0.1)
            try:
                guarded.evaluate(BATCH, seed=1)
            except KeyboardInterrupt:
                assert fault not in (faulty.sleeps,)
            left, interval = signal.setitimer(signal.ITIMER_REAL, 0.0)
            assert signal.getsignal(signal.SIGALRM) is handler
            assert 0 < left <= 50 and interval == 7.0 and not rung
        signal.setitimer(signal.ITIMER_REAL, 0.05)  # falls due while the evaluator works
        Guarded(marking(faulty.sleeps, [0]), limit_s=0.3).evaluate(BATCH.take(slice(1)), seed=1)
        time.sleep(0.01)
        assert rung == [signal.SIGALRM]
        Guarded(ROOFLINE, limit_s=0.3).evaluate(BATCH, seed=1)
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def test_no_limit_no_alarm() -> None:
    """Without a limit SIGALRM is not touched."""

    class Looks(Faulty):
        def evaluate(self, batch: Batch, *, seed: int) -> Any:
            assert signal.getsignal(signal.SIGALRM) is before and signal.getitimer(signal.ITIMER_REAL)[0] == 0
            return super().evaluate(batch, seed=seed)

    before = signal.getsignal(signal.SIGALRM)
    sound_but(Guarded(Looks(faulty.sleeps, [])).evaluate(BATCH, seed=1), [])


def test_in_another_thread() -> None:
    """It works there too, without a limit."""
    found: list[Evaluation] = []
    guarded = Guarded(marking(Raises(lambda: ValueError("x"))), limit_s=LONG_S)
    thread = threading.Thread(target=lambda: found.append(guarded.evaluate(BATCH, seed=1)))
    thread.start()
    thread.join(30)
    sound_but(found[0], MARKED)
    check_failed(found[0], MARKED)


def test_an_interrupt_is_for_the_program() -> None:
    """It passes through, and the same evaluator can be asked again."""
    guarded = Guarded(marking(Raises(KeyboardInterrupt), [7]), limit_s=LONG_S)
    with pytest.raises(KeyboardInterrupt):
        guarded.evaluate(BATCH, seed=1)
    rows = np.delete(np.arange(24), 7)
    assert_same(guarded.evaluate(BATCH.take(rows), seed=1), SOUND.take(rows))


# --- wrong answers


def but(field: str, value: Callable[[Any], Any], name: str = "latency_s") -> Changed:
    """An answer with a field, or a named array of it, changed."""

    def fields(answer: Evaluation, hit: Any) -> dict[str, Any]:
        old = getattr(answer, field)
        return {field: {**old, name: value(old[name])} if isinstance(old, dict) else value(old)}

    return Changed(fields)


FORMS: dict[str, Fault] = {
    "none": Says(lambda rows, answer: None),
    "text": Says(lambda rows, answer: "42"),
    "dictionary": Says(lambda rows, answer: answer.per_row()),
    "no piece": Says(lambda rows, answer: []),
    "too few": Says(lambda rows, answer: answer.take(slice(1, None))),
    "too many": Says(lambda rows, answer: answer.take(np.r_[0, np.arange(rows)])),
    "twice": Says(lambda rows, answer: [(np.arange(rows), answer)] * 2),
    "a row twice": Says(lambda rows, answer: [(np.arange(rows), answer), (np.array([0]), answer.take(slice(1)))]),
    "other rows": Says(lambda rows, answer: [(np.arange(rows) + 1, answer)]),
    "negative rows": Says(lambda rows, answer: [(np.arange(rows) - rows, answer)]),
    "text for rows": Says(lambda rows, answer: [(np.arange(rows).astype(str), answer)]),
    "rows by halves": Says(lambda rows, answer: [(np.arange(rows) + 0.5, answer)]),
    "no rows": Says(lambda rows, answer: [(None, answer)]),
    "rows of another number": Says(lambda rows, answer: [(np.arange(rows + 1), answer)]),
    "no pair": Says(lambda rows, answer: [answer]),
    "metric missing": Changed(lambda answer, hit: {"metrics": {"decode_s": answer.metrics["decode_s"]}}),
    "source missing": Changed(lambda answer, hit: {"source": {}}),
    "no metrics": Changed(lambda answer, hit: {"metrics": None}),
    "short metric": but("metrics", lambda old: old[:-1]),
    "metric of two columns": but("metrics", lambda old: np.stack([old, old], axis=1)),
    "a number for a metric": but("metrics", lambda old: 1.0),
    "metric of text": but("metrics", lambda old: old.astype(str)),
    "metric of objects": but("metrics", lambda old: np.array([object()] * len(old))),
    "metric of None": but("metrics", lambda old: None),
    "complex metric": but("metrics", lambda old: old * 1j),
    "violation of text": Changed(lambda answer, hit: {"violation": {"v": answer.status.astype(str)}}),
    "short violation": Changed(lambda answer, hit: {"violation": {"v": answer.cost_s[1:]}}),
    "short status": Changed(lambda answer, hit: {"status": answer.status[1:]}),
    "status 3": Changed(lambda answer, hit: {"status": answer.status + np.int8(3)}),
    "status -1": Changed(lambda answer, hit: {"status": answer.status - np.int8(1)}),
    "status 0.5": Changed(lambda answer, hit: {"status": answer.status + 0.5}),
    "status in words": Changed(lambda answer, hit: {"status": np.array(["OK"] * len(hit))}),
    "status of two columns": Changed(lambda answer, hit: {"status": np.stack([answer.status] * 2, axis=1)}),
    "cost in words": Changed(lambda answer, hit: {"cost_s": np.array(["much"] * len(hit))}),
    "reason of numbers": Changed(lambda answer, hit: {"reason": np.zeros(len(hit))}),
    "reason of objects": Changed(lambda answer, hit: {"reason": np.array([object()] * len(hit))}),
    "interval of one column": but("interval", lambda old: old[:, 0]),
    "interval of three columns": but("interval", lambda old: np.concatenate([old, old[:, :1]], axis=1)),
    "interval in words": but("interval", lambda old: old.astype(str)),
    "samples without draws": Changed(lambda answer, hit: {"samples": {"latency_s": answer.cost_s}}),
}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("size", [1, 24])
def test_an_answer_of_another_form_fails_its_rows(name: str, size: int) -> None:
    """Whatever is wrong with it."""
    answer = Guarded(marking(FORMS[name]), pace=Sizes([size])).evaluate(BATCH, seed=1)
    sound_but(answer, MARKED)
    check_failed(answer, MARKED)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_row_without_a_number_fails(value: float) -> None:
    """Alone: the rows beside it in the batch are not asked again."""
    calls = []

    class Watched(Faulty):
        def evaluate(self, batch: Batch, *, seed: int) -> Any:
            calls.append(len(batch))
            return super().evaluate(batch, seed=seed)

    evaluator = Watched(Metric(value), [keys(BATCH)[row] for row in MARKED])
    answer = Guarded(evaluator, pace=Sizes([24])).evaluate(BATCH, seed=1)
    sound_but(answer, MARKED)
    check_failed(answer, MARKED)
    assert all("latency_s" in text for text in answer.reason[MARKED].tolist())
    assert calls.count(24) == 1 and len(calls) == 2  # and the check
    kept = Guarded(evaluator, needs=["decode_s"]).evaluate(BATCH, seed=1)
    assert (kept.status == Status.OK).all() and np.array_equal(kept.metrics["latency_s"][MARKED], [value] * 4, True)


@pytest.mark.parametrize("amount", [np.nan, -1.0, -np.inf])
def test_a_row_without_an_amount_fails(amount: float) -> None:
    """A constraint that is broken by no amount, or by less than nothing."""
    fault = Changed(lambda answer, hit: {"violation": {**answer.violation, "room_bytes": np.where(hit, amount, 0.0)}})
    answer = Guarded(marking(fault), pace=Sizes([24])).evaluate(BATCH, seed=1)
    sound_but(answer, MARKED)
    check_failed(answer, MARKED)
    assert all("room_bytes" in text for text in answer.reason[MARKED].tolist())


def test_an_infeasible_row_is_no_failed_row() -> None:
    """It keeps what it says, unknown metrics included."""
    fault = Changed(
        lambda answer, hit: {
            "status": np.where(hit, Status.INFEASIBLE, answer.status).astype(np.int8),
            "violation": {**answer.violation, "room_bytes": np.where(hit, 5.0, 0.0)},
            "reason": np.where(hit, "too small", ""),
            "metrics": {k: np.where(hit, np.nan, v) for k, v in answer.metrics.items()},
        }
    )
    answer = Guarded(marking(fault), pace=Sizes([24])).evaluate(BATCH, seed=1)
    sound_but(answer, MARKED)
    assert (answer.status[MARKED] == Status.INFEASIBLE).all() and (answer.reason[MARKED] == "too small").all()
    assert (answer.violation["room_bytes"][MARKED] == 5.0).all()


def test_rows_that_the_evaluator_fails_itself() -> None:
    """Their reason is one line whatever it says, and their metrics are unknown."""
    middle = np.median(SOUND.metrics["latency_s"][MARKED])
    fault = Changed(
        lambda answer, hit: {
            "status": np.where(hit, Status.FAILED, answer.status).astype(np.int8),
            "reason": np.where(hit & (answer.metrics["latency_s"] > middle), "two\nlines", ""),
            "cost_s": np.where(hit, np.nan, 1.0),
        }
    )
    answer = Guarded(marking(fault), pace=Sizes([24])).evaluate(BATCH, seed=1)
    sound_but(answer, MARKED)
    check_failed(answer, MARKED)
    assert sorted(answer.reason[MARKED].tolist()) == ["failed without a reason"] * 2 + ["two lines"] * 2


# Orders are found by chance, with pieces of a few rows less surely.
ORDERS = {
    "reversed": lambda answer: np.arange(len(answer))[::-1],
    "rotated": lambda answer: np.roll(np.arange(len(answer)), 1),
    "sorted": lambda answer: np.argsort(answer.metrics["latency_s"], kind="stable"),
}


@pytest.mark.parametrize("name", ORDERS)
@pytest.mark.parametrize("sizes", [[1, 24], [24], [8, 16]])
@pytest.mark.parametrize("seed", range(6))
def test_rows_out_of_order_are_done_alone(
    name: str, sizes: list[int], seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    """All answers are right, the log says why it takes so long, once, and it stays so for the next batch."""
    batch = BATCH.take(np.random.default_rng(seed).permutation(24))
    calls = []

    class Watched(Faulty):
        def evaluate(self, batch: Batch, *, seed: int) -> Any:
            calls.append(len(batch))
            return super().evaluate(batch, seed=seed)

    guarded = Guarded(Watched(Reordered(ORDERS[name]), keys(BATCH)), pace=Sizes(sizes))
    with caplog.at_level(logging.WARNING, "tilewright"):
        assert_same(guarded.evaluate(batch, seed=1), ROOFLINE.evaluate(batch, seed=1))
    assert sum("alone" in record.message for record in caplog.records) == 1
    calls.clear()
    assert_same(guarded.evaluate(batch, seed=1), ROOFLINE.evaluate(batch, seed=1))
    assert calls == [1] * 24


def test_answers_that_depend_on_the_company_are_made_alone(caplog: pytest.LogCaptureFixture) -> None:
    """Each metric relative to the mean of the batch: alone, it is 1."""

    def relative(answer: Evaluation, hit: Any) -> dict[str, Any]:
        found = {k: v / v.mean() for k, v in answer.metrics.items()}
        return {"metrics": found, "interval": {}}

    guarded = Guarded(marking(Changed(relative), list(range(24))), pace=Sizes([24]))
    answer = guarded.evaluate(BATCH, seed=1)
    assert all((values == 1.0).all() for values in answer.metrics.values())
    assert "alone" in caplog.text


def test_pieces_of_a_stream_in_any_order() -> None:
    """Rows may finish in any order: that is no fault."""
    backwards = Says(lambda rows, answer: [(np.array([r]), answer.take(np.array([r]))) for r in range(rows)[::-1]])
    sound_but(Guarded(marking(backwards, list(range(24))), pace=Sizes([24])).evaluate(BATCH, seed=1), [])


def test_an_evaluator_that_writes_into_its_argument() -> None:
    """Neither the caller's batch nor the answers of others are hurt."""
    before = {name: values.copy() for name, values in BATCH.columns.items()}
    batch = Batch(BATCH.schema, {name: values.copy() for name, values in BATCH.columns.items()})
    answer = Guarded(marking(faulty.writes), pace=Sizes([24])).evaluate(batch, seed=1)
    sound_but(answer, [])
    assert all(np.array_equal(values, before[name]) for name, values in batch.columns.items())


def test_faults_fill_no_log(caplog: pytest.LogCaptureFixture) -> None:
    """A thousand failed rows are a few lines."""
    guarded = Guarded(marking(Raises(lambda: ValueError("x")), list(range(24))))
    for _ in range(3):
        guarded.evaluate(BATCH, seed=1)
    lines = [record for record in caplog.records if "a design failed" in record.message]
    assert len(lines) == 20 and "no more" in lines[-1].message and "no more" not in lines[-2].message


# --- the end of a stream


def test_a_stop_ends_the_stream() -> None:
    """Between pieces; `evaluate` says which rows have no answer."""
    asked = iter(range(1000))
    guarded = Guarded(ROOFLINE, stop=lambda: next(asked) >= 3, pace=Sizes([4]))
    pieces = list(guarded.stream(BATCH, seed=1))
    found = np.concatenate([rows for rows, _ in pieces])
    assert 0 < len(found) < 24
    assert_same(gather([(np.argsort(np.argsort(found)), gather_all(pieces))], len(found)), SOUND.take(np.sort(found)))
    answer = Guarded(ROOFLINE, stop=lambda: True).evaluate(BATCH, seed=1)
    check_failed(answer, list(range(24)))
    assert (answer.reason == "stopped").all()


def gather_all(pieces: list[Any]) -> Evaluation:
    """Pieces one behind the other."""
    cuts = np.cumsum([0] + [len(rows) for rows, _ in pieces])
    return gather([(np.arange(a, a + len(e)), e) for a, (_, e) in zip(cuts[:-1], pieces, strict=True)], int(cuts[-1]))


def test_a_stream_may_be_left() -> None:
    """At every piece; the next one is whole."""
    guarded = Guarded(ROOFLINE, pace=Sizes([5]))
    for pieces in range(4):
        stream = guarded.stream(BATCH, seed=1)
        for _ in range(pieces):
            next(stream)
        stream.close()
        sound_but(guarded.evaluate(BATCH, seed=1), [])


def test_two_streams_at_once() -> None:
    """Rows of one do not get into the other."""
    guarded = Guarded(ROOFLINE, pace=Sizes([5]))
    one, other = guarded.stream(BATCH, seed=1), guarded.stream(BATCH.take(slice(None, None, -1)), seed=1)
    pairs = [(a, b) for a, b in zip(one, other, strict=True)]
    sound_but(gather([a for a, _ in pairs], 24), [])
    assert_same(gather([b for _, b in pairs], 24), SOUND.take(slice(None, None, -1)))


def test_the_level_of_the_answers_is_the_evaluators() -> None:
    """Also where the first rows failed."""
    level = Changed(lambda answer, hit: {"level": 0.5})

    class Level(Faulty):
        def evaluate(self, batch: Batch, *, seed: int) -> Any:
            return replace(super().evaluate(batch, seed=seed), level=0.5)

    evaluator = Level(Raises(lambda: ValueError("x")), [keys(BATCH)[0]])
    assert Guarded(evaluator, pace=Sizes([1])).evaluate(BATCH, seed=1).level == 0.5
    assert Guarded(marking(level, list(range(24)))).evaluate(BATCH, seed=1).level == 0.5


# --- workers are for what is dear


class Offered:
    """Counts how often workers are asked for."""

    def __init__(self, evaluator: Any) -> None:
        self.asked = 0
        self.evaluator = evaluator

    def __call__(self) -> Any:
        self.asked += 1
        raise AssertionError("workers were started")


@pytest.mark.parametrize("evaluator", [ROOFLINE, BUFFERED], ids=lambda e: e.name)
def test_cheap_evaluators_start_no_workers(evaluator: Any) -> None:
    """However many rows are ahead."""
    offered = Offered(evaluator)
    guarded = Guarded(evaluator, workers=offered, pace=Pace(workers=64, rows_ahead=10_000, limit_s=None))
    assert_same(guarded.evaluate(BATCH, seed=1), evaluator.evaluate(BATCH, seed=1))
    assert offered.asked == 0
