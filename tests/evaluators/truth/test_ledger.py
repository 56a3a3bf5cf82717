"""The ledger: nothing is bought twice, nothing that was paid for is lost, and what is damaged is said."""

from __future__ import annotations

import os
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_model.hls.tool_answer import UNITS, ToolResults, hls_evaluation
from cost_model.hls.tool_form import HlsToolForm
from design.conformance.answers import assert_same
from design.conformance.evaluator import check_evaluator
from design.contracts import AtOnce
from design.core import Batch, Bools, Evaluation, Rows, Status, gather, key_bytes
from design.errors import InputError
from evaluators.execution.threads import Threads
from evaluators.truth.cached import CachedTruth
from evaluators.truth.command import CommandTruth
from evaluators.truth.ledger import Answer, Ledger
from tests.cases import ROOT
from tests.evaluators.truth.small_kernel import TARGET, TASK, designs

TOOL = """
import json, os, sys, time
asked = json.load(sys.stdin)
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "log"), "a") as log:
    log.write(asked["id"] + "\\n")
time.sleep(0.1)
factors = asked["design"]["__PARA__L0"] * asked["design"]["__PARA__L1"]
print(json.dumps({"cycles": 960.5 / factors, "lut": 300 * factors}))
"""


class Formula(AtOnce):
    """A truth in this process: cycles from the factors, no answer for tiles of 2 while `broken`; it counts its calls.
    `shift` is added to its cycles."""

    name, version, fidelity, call_cost, metrics = "formula", "1", 9, 3.0, UNITS

    def __init__(self, shift: float = 0.0, broken: bool = False, raises: bool = False) -> None:
        self.shift, self.broken, self.raises = shift, broken, raises
        self.calls: Counter[bytes] = Counter()

    def accepts(self, batch: Batch) -> Bools:
        """See `Truth`."""
        return np.ones(len(batch), dtype=bool)

    def cancel(self) -> None:
        """See `Truth`."""

    def evaluate(self, batch: Batch, *, seed: int) -> Evaluation:
        """See `Evaluator`."""
        tiled = batch.columns["__TILE__L0"] == 2
        if self.raises and tiled.any():
            raise RuntimeError("no\nlicence")
        if len(batch):
            self.calls.update(key_bytes(batch.schema.key(batch)))
        unknown = np.full(len(batch), np.nan)
        results = ToolResults(
            cycles=1000 / 3 / batch.columns["__PARA__L0"] + batch.columns["__PARA__L1"] + self.shift,
            counts=dict.fromkeys(("lut", "ff", "dsp", "bram"), unknown),
            shares=dict.fromkeys(("lut", "ff", "dsp", "bram"), unknown),
            valid=batch.columns["__PIPE__L1"] == 0,
            none=np.zeros(len(batch), dtype=bool),
            reason=np.full(len(batch), ""),
            fault=np.where(tiled & self.broken, "broke", ""),
            cost_s=np.full(len(batch), 0.5),
        )
        return hls_evaluation(results, TARGET.device, "formula/1")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A new one."""
    made = Ledger(tmp_path / "calls.sqlite", "first")
    yield made
    made.close()


def test_it_is_an_evaluator(ledger: Ledger) -> None:
    """The contract of all evaluators, for one that fails on some designs."""
    check_evaluator(CachedTruth(Formula(broken=True), ledger), designs(12), pickled=False)  # it holds its ledger


def test_nothing_is_bought_twice(ledger: Ledger) -> None:
    """Not in a batch, not in the next, not by another run, not after the file was closed."""
    truth, batch = Formula(), designs(20)
    twice = batch.take(np.concatenate([np.arange(20), np.arange(20)]))
    expected = Formula().evaluate(twice, seed=0)
    assert_same(CachedTruth(truth, ledger).evaluate(twice, seed=0), expected)
    assert_same(CachedTruth(truth, ledger).evaluate(batch, seed=1), expected.take(np.arange(20)))
    ledger.close()
    second = Ledger(ledger.path, "second")
    assert_same(CachedTruth(truth, second).evaluate(designs(24), seed=0), Formula().evaluate(designs(24), seed=0))
    assert set(truth.calls.values()) == {1} and len(truth.calls) == 24
    infeasible = int((Formula().evaluate(designs(24), seed=0).status == Status.INFEASIBLE).sum())
    calls = second.calls()
    assert (calls.begun, calls.ok, calls.infeasible) == (24, 24 - infeasible, infeasible)
    assert second.spent() == calls.price == 72.0 and calls.seconds == 12.0
    assert second.spent("first") == 60.0 and second.calls("second").begun == 4 and second.spent("third") == 0.0


def test_another_version_is_another_truth(ledger: Ledger) -> None:
    """Its answers are its own."""
    one, two = Formula(), Formula(shift=1.0)
    two.version = "2"
    batch = designs(3)
    first, second = (CachedTruth(truth, ledger).evaluate(batch, seed=0) for truth in (one, two))
    assert (second.metrics["cycles"] == first.metrics["cycles"] + 1).all() and ledger.calls().begun == 6


def test_a_call_is_written_before_it_starts(ledger: Ledger) -> None:
    """The truth sees its own call in the file, begun and not ended, and the answers before it ended."""
    seen = []

    class Looks(Formula):
        def evaluate(self, batch: Batch, *, seed: int) -> Evaluation:
            """See `Evaluator`."""
            other = Ledger(ledger.path, "other")
            seen.append((other.calls().begun, other.calls().unfinished))
            other.close()
            return super().evaluate(batch, seed=seed)

    for number, _ in enumerate(CachedTruth(Looks(), ledger).stream(designs(5), seed=0)):
        assert ledger.calls().begun == number + 1 and ledger.calls().unfinished == 0
    assert seen == [(number, 1) for number in range(1, 6)]


def test_failures_are_kept(ledger: Ledger) -> None:
    """For ever, unless they are asked for again; then an answer stands."""
    batch = designs(12)
    broken = batch.columns["__TILE__L0"] == 2
    truth = Formula(broken=True)
    first = CachedTruth(truth, ledger).evaluate(batch, seed=0)
    assert np.array_equal(first.status == Status.FAILED, broken) and set(first.reason[broken]) == {"broke"}
    assert_same(CachedTruth(truth, ledger).evaluate(batch, seed=0), first)
    assert ledger.calls().begun == 12
    again = CachedTruth(truth, ledger, again=True)
    assert_same(again.evaluate(batch, seed=0), first)
    assert_same(again.evaluate(batch, seed=0), first)
    assert ledger.calls().begun == 12 + broken.sum(), "one more try in a sitting"
    mended = CachedTruth(Formula(), ledger, again=True).evaluate(batch, seed=0)
    assert_same(mended, Formula().evaluate(batch, seed=0))
    assert_same(CachedTruth(truth, ledger).evaluate(batch, seed=0), mended)


def test_a_truth_that_raises(ledger: Ledger) -> None:
    """Fails its rows in one line; they were calls."""
    batch = designs(12)
    answer = CachedTruth(Formula(raises=True), ledger).evaluate(batch, seed=0)
    bad = batch.columns["__TILE__L0"] == 2
    assert np.array_equal(answer.status == Status.FAILED, bad) and (answer.cost_s[bad] > 0).all()
    assert all(text.startswith("RuntimeError: no licence") for text in answer.reason[bad].tolist())
    assert ledger.calls().failed == bad.sum() and ledger.calls().unfinished == 0


def test_answers_that_differ(ledger: Ledger) -> None:
    """From an earlier run, or from two at the same time: the design is FAILED, the other designs are not."""
    batch = designs(4)
    CachedTruth(Formula(), ledger).evaluate(batch.take(np.array([0])), seed=0)
    # Another process bought the same design, and began before the answer was there.
    key = key_bytes(batch.schema.key(batch))[0]
    answers = ledger.answers("formula/1", [key])[key]
    call = ledger.begin("formula/1", key, "a design", 3.0)
    ledger.end(call, answers[0]._replace(metrics={**answers[0].metrics, "cycles": 12.0}))
    answer = CachedTruth(Formula(), ledger).evaluate(batch, seed=0)
    before = f"{answers[0].metrics['cycles']:.17g}"
    assert answer.reason[0] == f"answered differently: cycles {before} then 12"
    assert (answer.status == Status.FAILED).tolist() == [True, False, False, False]
    assert np.isnan(answer.metrics["cycles"][0])


def test_an_answer_that_differs_from_one_just_bought(ledger: Ledger) -> None:
    """The other process ends first, while this one is asking."""
    batch = designs(1)
    (key,) = key_bytes(batch.schema.key(batch))

    class Overtaken(Formula):
        def evaluate(self, batch: Batch, *, seed: int) -> Evaluation:
            """See `Evaluator`."""
            other = Ledger(ledger.path, "other")
            call = other.begin("formula/1", key, "a design", 3.0)
            other.end(call, Answer(Status.OK, "", 1.0, {"cycles": 5.0}, {}))
            other.close()
            return super().evaluate(batch, seed=seed)

    answer = CachedTruth(Overtaken(), ledger).evaluate(batch, seed=0)
    assert answer.status.tolist() == [Status.FAILED] and "answered differently: cycles" in answer.reason[0]


# --- kills


def worker(folder: str) -> None:
    """Buys 16 designs, two at a time; run in a process that is killed."""
    with purchase(Path(folder)) as bought:
        bought.evaluate(designs(16), seed=0)


def purchase(folder: Path) -> CachedTruth:
    """Two calls at a time of a tool that takes a tenth of a second."""
    command = shlex.join([sys.executable, "-S", str(folder / "tool.py")])
    truth = CommandTruth(command, HlsToolForm(TASK), folder / "work", timeout_s=20.0)
    return CachedTruth(truth, Ledger(folder / "calls.sqlite", "killed"), lambda: Threads(truth, 2))


@pytest.mark.parametrize("after", [1, 5])
def test_killed_and_resumed(after: int, tmp_path: Path) -> None:
    """SIGKILL once some answers are there: they are not bought again, what had begun is, and all is counted."""
    (tmp_path / "tool.py").write_text(TOOL)
    code = f"from tests.evaluators.truth.test_ledger import worker; worker({str(tmp_path)!r})"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    path, deadline = tmp_path / "calls.sqlite", time.monotonic() + 60
    while time.monotonic() < deadline and finished(path) < after:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    time.sleep(0.5)  # for tools that were under way to end by themselves
    before = dict.fromkeys(rows(path, "SELECT hex(key), id FROM call WHERE ended IS NOT NULL"))
    ran = Counter((tmp_path / "log").read_text().split())
    lost = rows(path, "SELECT count(*) FROM call WHERE ended IS NULL")[0][0]
    assert after <= len(before) < 16 and 1 <= lost <= 2
    assert len(ran) <= len(before) + lost, "a tool ran whose call is not in the ledger"
    with purchase(tmp_path) as bought:
        answer = bought.evaluate(designs(16), seed=0)
        assert (answer.status == Status.OK).all()
        ledger = bought.ledger
    now = Counter((tmp_path / "log").read_text().split())
    assert len(now) == 16 and all(now[key.lower()] == 1 for key, _ in before), "bought twice"
    calls = ledger.calls()
    assert (calls.begun, calls.ok, calls.unfinished) == (16 + lost, 16, lost) and calls.price == 16.0 + lost
    assert set(before) <= set(rows(path, "SELECT hex(key), id FROM call")), "calls are kept for ever"


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    """Read by anything that knows SQLite."""
    with sqlite3.connect(path) as db:
        return db.execute(query).fetchall()


def finished(path: Path) -> int:
    """Calls with an answer, 0 while there is no ledger."""
    try:
        return int(rows(path, "SELECT count(*) FROM call WHERE ended IS NOT NULL")[0][0]) if path.exists() else 0
    except sqlite3.OperationalError:
        return 0


# --- any mixture


@settings(max_examples=60, deadline=None)
@given(
    asked=st.lists(st.integers(0, 11), max_size=24),
    before=st.lists(st.tuples(st.integers(0, 11), st.sampled_from(["answered", "begun", "failed"])), max_size=24),
    stop_after=st.integers(0, 30),
    at_once=st.sampled_from([0, 3]),
)
def test_any_mixture(
    asked: list[int],
    before: list[tuple[int, str]],
    stop_after: int,
    at_once: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Whatever the ledger has, and wherever a stream is left and taken up again: one row each, in order, each design
    that has no answer asked for once (twice at most, where it was left under way)."""
    all_designs = designs(12)
    keys = key_bytes(all_designs.schema.key(all_designs))
    truth, oracle = Formula(), Formula().evaluate(all_designs, seed=0)
    ledger = Ledger(tmp_path_factory.mktemp("mixture") / "calls.sqlite", "r")
    has: dict[int, str] = {}
    for row, what in before:
        call = ledger.begin("formula/1", keys[row], "a design", 3.0)
        status = Status.FAILED if what == "failed" else Status(int(oracle.status[row]))
        if what != "begun":
            values = {name: float(v[row]) if what == "answered" else np.nan for name, v in oracle.metrics.items()}
            broken = {name: float(v[row]) if what == "answered" else np.nan for name, v in oracle.violation.items()}
            reason = "lost" if what == "failed" else str(oracle.reason[row])
            ledger.end(call, Answer(status, reason, 0.5, values, broken))
            has[row] = "answered" if "answered" in (what, has.get(row)) else "failed"
    batch, workers = all_designs.take(np.array(asked, dtype=np.int64)), (lambda: Threads(truth, 3)) if at_once else None
    with CachedTruth(truth, ledger, workers) as bought:
        left: list[tuple[Rows, Evaluation]] = []
        stream = bought.stream(batch, seed=0)
        for piece in stream:
            left.append(piece)
            if len(left) >= stop_after:
                break
        stream.close()  # type: ignore[attr-defined]
        pieces = list(bought.stream(batch, seed=0))
    assert sorted(row for rows_, _ in pieces for row in rows_.tolist()) == list(range(len(asked)))
    answer = gather(pieces, len(asked))
    for place, row in enumerate(asked):
        if has.get(row) == "failed":
            assert answer.reason[place] == "lost" and np.isnan(answer.metrics["cycles"][place])
        else:
            assert answer.metrics["cycles"][place] == oracle.metrics["cycles"][row]
            assert answer.status[place] == oracle.status[row] and answer.reason[place] == oracle.reason[row]
    for rows_, piece in left:
        assert_same(answer.take(rows_), gather([(np.arange(len(rows_)), piece)], len(rows_)))
    asked_for = {keys[row] for row in asked if row not in has}
    assert set(truth.calls) == asked_for and max(truth.calls.values(), default=0) <= (2 if at_once else 1)
    calls = ledger.calls()
    assert calls.begun >= len(before) + len(asked_for) and calls.unfinished >= sum(w == "begun" for _, w in before)
    ledger.close()


# --- files


def test_damage_is_said(tmp_path: Path, ledger: Ledger) -> None:
    """In one line that names the file."""
    CachedTruth(Formula(), ledger).evaluate(designs(40), seed=0)
    ledger.close()
    sound = ledger.path.read_bytes()
    text = tmp_path / "text"
    text.write_text("not a database, but long enough to have a header of a hundred bytes" * 3)
    other = tmp_path / "other.sqlite"
    sqlite3.connect(other).execute("CREATE TABLE meta (name, value)").connection.close()
    cut = tmp_path / "cut"
    cut.write_bytes(sound[: len(sound) // 2])
    middle = tmp_path / "middle"
    middle.write_bytes(sound[:4096] + os.urandom(8192) + sound[12288:])
    future = tmp_path / "future"
    future.write_bytes(sound)
    with sqlite3.connect(future) as db:
        db.execute("UPDATE meta SET value = '2'")
    for path, words in (
        (text, "not a ledger"),
        (other, "not a ledger"),
        (cut, "ledger"),
        (middle, "ledger"),
        (future, "has ledger format 2"),
        (tmp_path, "is no file"),
        (tmp_path / "no" / "calls.sqlite", "cannot be opened"),
    ):
        with pytest.raises(InputError, match=words) as caught:
            Ledger(path, "r")
        assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)
    assert rows(other, "SELECT name FROM sqlite_master") == [("meta",)], "another database was written to"


def test_a_damaged_answer_is_said(ledger: Ledger) -> None:
    """Not taken for an answer, nor for none."""
    bought = CachedTruth(Formula(), ledger)
    bought.evaluate(designs(2), seed=0)
    with sqlite3.connect(ledger.path) as db:
        db.execute("UPDATE call SET answer = '{\"metrics\": 3}' WHERE id = 2")
    with pytest.raises(InputError, match="is damaged"):
        bought.evaluate(designs(2), seed=0)


def test_a_disk_that_takes_no_more(ledger: Ledger) -> None:
    """Nothing is bought that could not be written down; what was bought is there."""
    truth = Formula()
    bought = CachedTruth(truth, ledger)
    bought.evaluate(designs(2), seed=0)
    (pages,) = ledger._db.execute("PRAGMA page_count").fetchone()
    ledger._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(OSError, match="cannot be written"):
        bought.evaluate(designs(), seed=0)
    ledger._db.execute("PRAGMA max_page_count = 100000")
    calls = ledger.calls()
    assert len(truth.calls) <= calls.begun and calls.begun - calls.unfinished < 72
    assert_same(bought.evaluate(designs(), seed=0), Formula().evaluate(designs(), seed=0))


def test_two_processes_begin_together(tmp_path: Path) -> None:
    """With one new file; both write."""
    code = (
        "import sys; from pathlib import Path; from evaluators.truth.ledger import *\n"
        "ledger = Ledger(Path(sys.argv[1]), sys.argv[2])\nfor i in range(30):\n"
        "    ledger.end(ledger.begin('t/1', bytes([i]), 'd', 1.0), Answer(Status.OK, '', 0.0, {'cycles': 1.0}, {}))"
    )
    path = tmp_path / "calls.sqlite"
    both = [subprocess.Popen([sys.executable, "-c", code, str(path), run], cwd=ROOT) for run in "ab"]
    assert [process.wait() for process in both] == [0, 0]
    ledger = Ledger(path, "c")
    assert ledger.calls("a").ok == ledger.calls("b").ok == 30 and len(ledger.answers("t/1", [bytes([7])])[b"\7"]) == 2
