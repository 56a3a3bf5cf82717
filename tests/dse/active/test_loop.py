"""The active loop at work: budgets kept to the label, crashes anywhere, truths that fail, lie or take long."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from moocore import is_nondominated

from design.core import Batch, Bools, Evaluation, Objective, Status, key_bytes
from dse.active.loop import PREDICTED, QUERY, TIERS, ActiveRun
from dse.active.policy import ActivePolicy, Plan, Query
from dse.records.archive import Archive, objective_values
from dse.records.store import Store
from dse.search.engine import Effort
from dse.search.explore import FAILING
from dse.spaces.listed import ListedSpace
from evaluators.execution.threads import Threads
from evaluators.execution.workers import Workers
from evaluators.truth.cached import CachedTruth
from evaluators.truth.ledger import Answer, Ledger
from tests.dse.active.made_up import TASK, MadeUp, answer, numbers
from tests.evaluators.truth.small_kernel import designs
from tests.evaluators.truth.test_ledger import Formula

OBJECTIVES = (Objective("cycles"), Objective("lut_share"))
BATCH = designs()
KEYS = key_bytes(BATCH.schema.key(BATCH))
SPACE = ListedSpace(BATCH)
PLAN = Plan(every=4)


class Priced(Formula):
    """A formula with a resource that is at odds with cycles. It accepts all designs but those with an inner factor of 4
    where it is `choosy`."""

    def __init__(self, choosy: bool = False, **how: bool) -> None:
        super().__init__(**how)
        self.choosy = choosy

    def accepts(self, batch: Batch) -> Bools:
        """See `Truth`."""
        return (batch.columns["__PARA__L1"] != 4) | (not self.choosy)

    def evaluate(self, batch: Batch, *, seed: int) -> Evaluation:
        """See `Evaluator`."""
        accepted = self.accepts(batch)
        if len(batch) and not accepted.all():
            return answer_not_accepted(len(batch))
        found = super().evaluate(batch, seed=seed)
        share = batch.columns["__PARA__L0"] * batch.columns["__PARA__L1"] / 100 + batch.columns["__TILE__L0"] / 1000
        metrics = dict(found.metrics) | {"lut_share": np.where(found.status == Status.FAILED, np.nan, share)}
        interval = {name: np.stack([values, values], axis=1) for name, values in metrics.items()}
        return replace(found, metrics=metrics, interval=interval)


def answer_not_accepted(count: int) -> Evaluation:
    """FAILED at no cost."""
    unknown = dict.fromkeys(Formula.metrics, np.full(count, np.nan))
    return Evaluation(
        metrics=unknown,
        violation={},
        status=np.full(count, Status.FAILED, dtype=np.int8),
        reason=np.full(count, "not accepted"),
        cost_s=np.zeros(count),
        source=dict.fromkeys(unknown, np.full(count, "formula/1")),
        interval={name: np.stack([values, values], axis=1) for name, values in unknown.items()},
    )


def guess(batch: Batch, labels: int) -> Evaluation:
    """A model of little worth, another one each version."""
    off = numbers(batch, labels, 2)
    values = np.stack([2.0 ** (8 + off[:, 0]), 2.0 ** (-4 + off[:, 1])], axis=1)
    found = answer(values, np.zeros(len(batch)), "model/g", np.full(len(batch), 0.7))
    metrics = {"cycles": values[:, 0], "lut_share": values[:, 1], "valid_probability": np.full(len(batch), 0.7)}
    ends = {name: np.stack([column / 2, column * 3], axis=1) for name, column in metrics.items()}
    return replace(found, metrics=metrics, interval=ends, source=dict.fromkeys(metrics, found.source["cycles"]))


@dataclass
class Sitting:
    """One process' part of a run in a folder."""

    folder: Path
    truth: Priced
    budget: int = 20
    plan: Plan = PLAN
    workers: Callable[[], Workers] | None = None
    most_failures: int | None = None

    def __post_init__(self) -> None:
        path = self.folder / "run.sqlite"
        self.store = Store.open(path) if Store.begun(path) else Store.create(path, {})
        self.ledger = Ledger(self.folder / "calls.sqlite", "run")
        self.cached = CachedTruth(self.truth, self.ledger, self.workers)
        self.search = ActivePolicy(TASK, SPACE, MadeUp(guess), OBJECTIVES, Effort(20, 10, 0.8, 0), self.plan)
        self.active = ActiveRun(
            self.search, self.cached, self.store, self.budget, most_failures=self.most_failures, changed=self._changed
        )
        self.seen: list[int] = []

    def _changed(self, queries: Sequence[Query], answers: Evaluation) -> None:
        assert len(queries) == len(answers)
        self.seen.append(len(queries))

    def run(self, watch: Callable[[Archive], None] = lambda archive: None) -> tuple[Archive, str]:
        """To its end; all is closed, also where it ends badly."""
        try:
            return self.active.run([watch])
        finally:
            self.cached.close()
            self.store.close()
            self.ledger.close()

    def labels(self) -> list[tuple[bytes, str, float]]:
        """In their order: key, status, cycles."""
        queries, answers = self.active.labels()
        if answers is None:
            return []
        cycles = np.nan_to_num(answers.metrics["cycles"], nan=-1.0).tolist()
        status = [Status(int(one)).name for one in answers.status]
        return list(zip([query.key for query in queries], status, cycles, strict=True))


class Crash(Exception):
    """Of the test's own."""


def crash_at(label: int) -> Callable[[Archive], None]:
    """Once there are so many labels."""

    def watch(archive: Archive) -> None:
        if archive.candidates == label:
            raise Crash

    return watch


# --- budgets


def test_budget_is_kept_and_all_is_written_down(tmp_path: Path) -> None:
    """So many calls, each once; the store, the archive and the labels say the same of them."""
    truth = Priced()
    sitting = Sitting(tmp_path, truth, budget=23)
    archive, ended = sitting.run()
    assert ended == "budget of 23 tool runs spent" and sitting.active.left == 0
    assert sum(truth.calls.values()) == len(truth.calls) == 23 == archive.candidates == sitting.search.labels
    assert sitting.seen == sorted(sitting.seen) and sitting.seen[-1] == 23
    store = Store.open(tmp_path / "run.sqlite")
    stored = store.answers(0)
    assert stored is not None
    assert [(key, cycles) for key, _, cycles in sitting.labels()] == list(
        zip(stored.keys, np.nan_to_num(stored.evaluation.metrics["cycles"], nan=-1.0).tolist(), strict=True)
    )
    assert [candidates for candidates, _, _ in store.steps()] == list(range(1, 24))
    notes = [store.facts[name] for name in sorted(store.facts) if name.startswith(QUERY)]
    assert [bytes.fromhex(note["key"]) for note in notes] == stored.keys and not any(n["free"] for n in notes)
    assert store.facts[TIERS] == {"model": 72 * 6} and store.facts[PREDICTED]["version"] == 5
    whole = Priced().evaluate(BATCH.take(np.array([KEYS.index(key) for key in stored.keys])), seed=0)
    values = objective_values(whole, OBJECTIVES)[whole.status == Status.OK]
    assert np.array_equal(archive.values, np.unique(values[is_nondominated(values)], axis=0))


@pytest.mark.parametrize("budget", [0, 1])
def test_small_budgets(budget: int, tmp_path: Path) -> None:
    """Also nothing at all."""
    truth = Priced()
    _, ended = Sitting(tmp_path, truth, budget=budget).run()
    assert ended == f"budget of {budget} tool runs spent" and sum(truth.calls.values()) == budget


def test_a_budget_beyond_the_space(tmp_path: Path) -> None:
    """Ends where nothing is left to ask about."""
    truth = Priced()
    _, ended = Sitting(tmp_path, truth, budget=1000).run()
    assert ended == "no new designs to buy" and sum(truth.calls.values()) == len(truth.calls) == 72


def test_what_the_ledger_knew_costs_nothing(tmp_path: Path) -> None:
    """Half of all designs were labelled by another run: they are labels too, and no calls."""
    truth, earlier = Priced(), Priced()
    ledger = Ledger(tmp_path / "calls.sqlite", "earlier")
    CachedTruth(earlier, ledger).evaluate(BATCH.take(np.arange(0, 72, 2)), seed=0)
    ledger.close()
    sitting = Sitting(tmp_path, truth, budget=15)
    archive, ended = sitting.run()
    assert sum(truth.calls.values()) == 15 and not set(truth.calls) & set(earlier.calls)
    assert ended == "budget of 15 tool runs spent" and archive.candidates > 20
    assert set(truth.calls) == {key for key, _, _ in sitting.labels()} - set(earlier.calls)
    assert sitting.active.state().startswith("tool 15 of 15 runs; scored by model")


# --- crashes


@pytest.mark.parametrize("choosy", [False, True])
@pytest.mark.parametrize("known", [False, True])
def test_a_crash_at_any_label(known: bool, choosy: bool, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The second sitting ends with what an unbroken run has, in its order, and no design is called twice; also where
    the ledger knew some designs, and where some are not accepted."""

    def folder() -> Path:
        made = tmp_path_factory.mktemp("run")
        if known:
            ledger = Ledger(made / "calls.sqlite", "earlier")
            CachedTruth(Priced(), ledger).evaluate(BATCH.take(np.arange(0, 72, 5)), seed=0)
            ledger.close()
        return made

    unbroken = Sitting(folder(), Priced(choosy), budget=14)
    _, ended = unbroken.run()
    assert ended == "budget of 14 tool runs spent"
    for label in range(1, len(unbroken.labels()) + 1, 5):
        truth, there = Priced(choosy), folder()
        with pytest.raises(Crash):
            Sitting(there, truth, budget=14).run(crash_at(label))
        second = Sitting(there, truth, budget=14)
        archive, again = second.run()
        assert second.labels() == unbroken.labels() and again == ended, label
        assert sum(truth.calls.values()) == len(truth.calls) == 14, label
        assert np.array_equal(archive.values, unbroken.active.archive.values)
        assert second.seen == sorted(second.seen) and second.seen[-1] == len(unbroken.labels())


def test_many_crashes(tmp_path: Path) -> None:
    """After every label, and before the model is there again."""
    truth = Priced()
    (tmp_path / "other").mkdir()
    whole = Sitting(tmp_path / "other", Priced(), budget=12)
    whole.run()
    for label in range(1, 13):
        with pytest.raises(Crash):
            Sitting(tmp_path, truth, budget=12).run(crash_at(label))
    last = Sitting(tmp_path, truth, budget=12)
    _, ended = last.run()
    assert last.labels() == whole.labels() and ended == "budget of 12 tool runs spent" and last.seen == [12]
    assert sum(truth.calls.values()) == 12


@pytest.mark.parametrize("label", [1, 5, 8])
def test_a_crash_during_a_call(label: int, tmp_path: Path) -> None:
    """The design that was on its way is asked again, first of all, on the same budget."""

    class Cut(Priced):
        def evaluate(self, batch: Batch, *, seed: int) -> Evaluation:
            """See `Evaluator`."""
            found = super().evaluate(batch, seed=seed)
            if sum(self.calls.values()) == label:
                raise KeyboardInterrupt
            return found

    (tmp_path / "other").mkdir()
    whole = Sitting(tmp_path / "other", Priced(), budget=10)
    whole.run()
    cut, truth = Cut(), Priced()
    with pytest.raises(KeyboardInterrupt):
        Sitting(tmp_path, cut, budget=10).run()
    second = Sitting(tmp_path, truth, budget=10)
    second.run()
    assert second.labels() == whole.labels()
    assert sum(cut.calls.values()) == label and sum(truth.calls.values()) == 10 - label + 1


@pytest.mark.parametrize("where", ["add", "finish"])
def test_a_crash_between_two_writes(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A label whose answer is in the ledger and not in the store is taken from there; one without its time has one."""
    (tmp_path / "other").mkdir()
    whole = Sitting(tmp_path / "other", Priced(), budget=9)
    whole.run()
    truth = Priced()
    first, wanted = Sitting(tmp_path, truth, budget=9), 4
    real = getattr(first.store, where)

    def cut(number: int, *rest: Any) -> None:
        if number == wanted:
            raise Crash
        real(number, *rest)

    monkeypatch.setattr(first.store, where, cut)
    with pytest.raises(Crash):
        first.run()
    second = Sitting(tmp_path, truth, budget=9)
    second.run()
    assert second.labels() == whole.labels() and sum(truth.calls.values()) == len(truth.calls) == 9
    store = Store.open(tmp_path / "run.sqlite")
    assert [candidates for candidates, _, _ in store.steps()] == list(range(1, 10))


def test_a_larger_budget_goes_on(tmp_path: Path) -> None:
    """A run that had spent its budget, with more of it."""
    (tmp_path / "other").mkdir()
    whole = Sitting(tmp_path / "other", Priced(), budget=16)
    whole.run()
    truth = Priced()
    for budget in (5, 5, 11, 16):
        sitting = Sitting(tmp_path, truth, budget=budget)
        sitting.run()
        assert sum(truth.calls.values()) == budget
    assert sitting.labels() == whole.labels()


# --- truths that are no good


def test_a_truth_that_always_fails(tmp_path: Path) -> None:
    """Ends the run in one line, after so many failures in a row."""

    class Broken(Priced):
        def evaluate(self, batch: Batch, *, seed: int) -> Evaluation:
            """See `Evaluator`."""
            self.calls.update(key_bytes(batch.schema.key(batch)))
            raise RuntimeError("no licence")

    truth = Broken()
    archive, ended = Sitting(tmp_path, truth, most_failures=6).run()
    assert ended.startswith(FAILING) and "last 6 designs all failed" in ended and "no licence" in ended
    assert sum(truth.calls.values()) == archive.candidates == 6 and not len(archive.values)


def test_some_failures_are_no_end(tmp_path: Path) -> None:
    """Only those in a row count; those that failed are calls, and no labels of the front."""
    truth = Priced(broken=True)
    sitting = Sitting(tmp_path, truth, budget=72, most_failures=20)
    archive, ended = sitting.run()
    assert not ended.startswith(FAILING) and sum(truth.calls.values()) == 72 == archive.candidates
    failed = {key for key, status, _ in sitting.labels() if status == "FAILED"}
    tiled = BATCH.columns["__TILE__L0"] == 2
    assert failed == {key for key, bad in zip(KEYS, tiled, strict=True) if bad}


def test_a_truth_that_contradicts_itself(tmp_path: Path) -> None:
    """Two answers to one design: it is FAILED, and the run goes on."""

    class Overtaken(Priced):
        def evaluate(self, batch: Batch, *, seed: int) -> Evaluation:
            """See `Evaluator`."""
            if sum(self.calls.values()) == 3:  # somebody else asks for the same, and has another answer
                other = Ledger(tmp_path / "calls.sqlite", "other")
                call = other.begin("formula/1", key_bytes(batch.schema.key(batch))[0], "a design", 3.0)
                other.end(call, Answer(Status.OK, "", 1.0, {"cycles": 5.0, "lut_share": 0.1}, {}))
                other.close()
            return super().evaluate(batch, seed=seed)

    sitting = Sitting(tmp_path, Overtaken(), budget=10, most_failures=2)
    archive, ended = sitting.run()
    assert ended == "budget of 10 tool runs spent" and archive.candidates == 10
    assert [status == "FAILED" for _, status, _ in sitting.labels()] == [row == 3 for row in range(10)]
    _, answers = sitting.active.labels()
    assert answers is not None and answers.reason[3].startswith("answered differently: cycles")
    assert 5.0 not in archive.values[:, 0]


def test_designs_that_are_not_accepted_cost_nothing(tmp_path: Path) -> None:
    """They are answered, and are no calls."""
    truth = Priced(choosy=True)
    sitting = Sitting(tmp_path, truth, budget=12)
    archive, _ = sitting.run()
    assert sum(truth.calls.values()) == 12 < archive.candidates
    assert {status for key, status, _ in sitting.labels() if key not in truth.calls} == {"FAILED"}


def test_halted(tmp_path: Path) -> None:
    """Where it is told to, with what it has."""
    sitting = Sitting(tmp_path, Priced())
    sitting.active._halt = lambda: "time is up" if sitting.search.labels == 6 else None
    archive, ended = sitting.run()
    assert ended == "time is up" and archive.candidates == 6


# --- several calls at once


def test_a_slow_design_holds_nobody_up(tmp_path: Path) -> None:
    """Others are answered before it, and no more calls begin than there is budget for."""
    others = threading.Semaphore(0)
    lock = threading.Lock()

    class Slow(Priced):
        begun = 0

        def evaluate(self, batch: Batch, *, seed: int) -> Evaluation:
            """See `Evaluator`."""
            with lock:
                number, Slow.begun = Slow.begun, Slow.begun + 1
                found = super().evaluate(batch, seed=seed)
            if number == 0:
                for _ in range(6):  # until six others have been answered
                    assert others.acquire(timeout=20)
            else:
                others.release()
            return found

    truth = Slow()
    sitting = Sitting(tmp_path, truth, budget=11, workers=lambda: Threads(truth, 3))
    archive, ended = sitting.run()
    assert ended == "budget of 11 tool runs spent" and archive.candidates == 11
    assert sum(truth.calls.values()) == len(truth.calls) == Slow.begun == 11
    queries = [bytes.fromhex(note["key"]) for _, note in sorted(facts(tmp_path).items())]
    labels = [key for key, _, _ in sitting.labels()]
    assert labels.index(queries[0]) >= 4 and sorted(labels) == sorted(queries)


def facts(folder: Path) -> dict[str, Any]:
    """All queries of a run."""
    store = Store.open(folder / "run.sqlite")
    return {name: store.facts[name] for name in store.facts if name.startswith(QUERY)}


@pytest.mark.parametrize("label", [1, 4, 9])
def test_a_crash_with_several_on_their_way(label: int, tmp_path: Path) -> None:
    """They are asked for again first; what the tool had answered is not asked again; the budget holds."""
    truth = Priced()
    with pytest.raises(Crash):
        Sitting(tmp_path, truth, budget=12, workers=lambda: Threads(truth, 3)).run(crash_at(label))
    begun = {bytes.fromhex(note["key"]) for note in facts(tmp_path).values()}
    second = Sitting(tmp_path, truth, budget=12, workers=lambda: Threads(truth, 3))
    _, ended = second.run()
    labels = [key for key, _, _ in second.labels()]
    assert ended == "budget of 12 tool runs spent" and len(set(labels)) == len(labels) == 12
    assert begun <= set(labels) and len(begun) <= label + 3
    assert max(truth.calls.values()) <= 2 and sum(truth.calls.values()) <= 12 + 3
    assert all(truth.calls[key] == 1 for key in labels[:label])
