"""The search loop: stopped anywhere and gone on with, it ends as if nothing had happened."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from design.contracts import AtOnce
from design.core import Batch, Evaluation, Objective, Rows, Status, gather, key_bytes
from design.errors import InputError
from design.metrics import parse_objectives
from dse.records.archive import Archive
from dse.records.store import FILE, Store
from dse.search.engine import Effort, Search, make_search
from dse.search.explore import explore
from dse.spaces.nmp.fixed import FixedSpace
from dse.studies.nmp.exact.search import ExactSearch
from evaluators.execution.batching import Pace
from evaluators.execution.fault_tolerant import Guarded
from evaluators.execution.faults import failed
from tests.cases import examples
from tests.dse.nmp.small import BUFFERED, FAST, LAYER, PLATFORM, ROOFLINE, SLOW, devices, space_for

SPACE = space_for(ROOFLINE, devices((1, 2, 3), (FAST, SLOW)))
SIZE, GENERATIONS = 20, 4
EFFORT = Effort(SIZE, 10, 0.9, 3)
LATENCY = [Objective("latency_s")]


def never(key: bytes) -> bool:
    """No design is to fail."""
    return False


class Pieces(AtOnce):
    """An evaluator that answers `size` rows at a time. Rows of which `bad` says so are FAILED, some others declared
    infeasible; `asked` counts how often each was evaluated."""

    def __init__(self, size: int = 7, bad: Callable[[bytes], bool] = never, evaluator: AtOnce = ROOFLINE) -> None:
        self._inner, self.size, self.bad, self.asked = evaluator, size, bad, Counter[bytes]()
        self.name, self.version, self.metrics, self.fidelity = "pieces", "1", evaluator.metrics, 0  # type: ignore[attr-defined]

    def evaluate(self, batch: Batch, *, seed: int) -> Evaluation:
        """See `Evaluator`."""
        return gather(list(self.stream(batch, seed=seed)), len(batch))

    def stream(self, batch: Batch, *, seed: int) -> Iterator[tuple[Rows, Evaluation]]:
        """The last rows first."""
        for rows in reversed(np.split(np.arange(len(batch)), range(self.size, len(batch), self.size))):
            yield rows, self._answer(batch.take(rows), seed)

    def _answer(self, batch: Batch, seed: int) -> Evaluation:
        keys = key_bytes(batch.schema.key(batch))
        self.asked.update(keys)
        answer = self._inner.evaluate(batch, seed=seed)
        status = np.where([key[1] % 5 == 0 for key in keys], Status.INFEASIBLE, answer.status).astype(np.int8)
        object.__setattr__(answer, "status", status)
        bad = np.array([self.bad(key) for key in keys])
        parts = [(np.flatnonzero(~bad), answer.take(np.flatnonzero(~bad)))]
        if bad.any():
            parts.append((np.flatnonzero(bad), failed(self, int(bad.sum()), "bad", 0.0)))
        return gather(parts, len(batch))


class Unsure(Pieces):
    """States an interval and samples for a half of all designs, and that it is sure of the others."""

    def _answer(self, batch: Batch, seed: int) -> Evaluation:
        answer = super()._answer(batch, seed)
        wide = np.array([key[2] % 2 == 0 for key in key_bytes(batch.schema.key(batch))])
        ends = {n: v[:, None] * np.where(wide[:, None], [[0.5, 2.0]], 1.0) for n, v in answer.metrics.items()}
        drawn = {"latency_s": np.where(wide[:, None], ends["latency_s"], np.nan)}
        return replace(answer, interval=ends, samples=drawn, level=0.8)


def some(key: bytes) -> bool:
    """A quarter of all designs."""
    return key[0] % 4 == 0


def stop_after(count: int) -> Callable[[], str | None]:
    """A `halt` that says so when it is asked for the time after `count`."""
    calls = iter(range(count))
    return lambda: None if next(calls, None) is not None else "enough"


def state(archive: Archive) -> object:
    """All that an archive says, but for seconds."""
    history = [(p.candidates, repr(p.best), p.hypervolume) for p in archive.history]
    genomes = None if archive.genomes is None else archive.genomes.tolist()
    return archive.rows.tolist(), archive.values.tolist(), genomes, archive.candidates, history


def search_of(algorithm: str, objectives: int) -> Search:
    """A new search of that name."""
    if algorithm == "enumerate":
        space = FixedSpace("fc_offloading", LAYER, PLATFORM, devices((1, 2, 3), (FAST, SLOW), (1, 2, 4), (1, 2), (8,)))
        return make_search(space, EFFORT, algorithm, objectives, 100)
    return make_search(SPACE, EFFORT, algorithm, objectives, SIZE * GENERATIONS)


def test_a_stop_within_a_generation(tmp_path: Path) -> None:
    """The archive has what the store has: the generation before, and the pieces that came in."""
    store, evaluator = Store.create(tmp_path / FILE, {}), Pieces()
    archive, ended = explore(
        search_of("ga", 1), evaluator, LATENCY, GENERATIONS, 3, store, halt=stop_after(1 + 3 + 1 + 1)
    )
    assert ended == "enough" and archive.candidates == SIZE + 13 == len(store.genomes())
    assert [p.candidates for p in archive.history] == [SIZE, SIZE + 13] and len(store.steps()) == 1
    _, rows = store.candidates()
    assert [row[0] for row in rows] == [*range(SIZE), *range(SIZE + 7, 2 * SIZE)]  # the last rows came first
    stored = store.answers(0)
    assert stored is not None
    again = Archive(LATENCY)
    again.add(stored.ids, stored.genomes, stored.evaluation, 0.0)
    assert state(again)[:3] == state(archive)[:3]  # type: ignore[index]


class Small(Pace):
    """Three rows at a time."""

    def rows(self, left: int, workers: int) -> int:
        """See `Pace`."""
        return min(3, left)


def test_a_stop_within_a_guarded_generation(tmp_path: Path) -> None:
    """The same with pieces that the guard cuts: what goes on evaluates the rest, and a few rows to check."""
    whole, _ = explore(search_of("random", 1), Pieces(), LATENCY, 2, 3)
    store, evaluator = Store.create(tmp_path / FILE, {}), Pieces()
    guard = lambda: Guarded(evaluator, pace=Small(1, 0, None))
    cut, ended = explore(search_of("random", 1), guard(), LATENCY, 2, 3, store, halt=stop_after(4))
    assert ended == "enough" and 0 < cut.candidates < SIZE
    store.take_back()
    archive, _ = explore(search_of("random", 1), guard(), LATENCY, 2, 3, store)
    assert state(archive) == state(whole) and max(evaluator.asked.values()) <= 3


SEARCHES = st.sampled_from(
    [
        ("ga", "latency_s"),
        ("nsga2", "prefill_s,decode_s"),
        ("nsga2", "latency_s,max:prefill_s,decode_s"),
        ("random", "decode_s"),
        ("enumerate", "latency_s"),
        ("enumerate", "decode_s,prefill_s"),
    ]
)


@examples(25)
@given(
    SEARCHES,
    st.lists(st.integers(0, 9), max_size=4),
    st.integers(1, SIZE),
    st.sampled_from([never, some]),
    st.sampled_from([Pieces, Unsure]),
)
def test_stops_change_nothing(
    searched: tuple[str, str], stops: list[int], size: int, bad: Callable[[bytes], bool], kind: type[Pieces]
) -> None:
    """Stopped anywhere, as often as it may be, a run ends with the archive, the history and the store of an unbroken
    one, and evaluates nothing twice but what failed."""
    algorithm, text = searched
    objectives = parse_objectives(text, list(ROOFLINE.metrics), "pieces")
    begin = lambda: search_of(algorithm, len(objectives))
    with tempfile.TemporaryDirectory() as folder:
        whole, broken = (Store.create(Path(folder) / name, {}) for name in ("whole", "broken"))
        expected, why = explore(begin(), kind(size, bad), objectives, GENERATIONS, 3, whole)
        evaluator = kind(size, bad)
        for stop in stops:
            explore(begin(), evaluator, objectives, GENERATIONS, 3, broken, halt=stop_after(stop))
            broken.close()
            broken = Store.open(broken.path)
            broken.take_back()
        archive, ended = explore(begin(), evaluator, objectives, GENERATIONS, 3, broken)
        assert state(archive) == state(expected) and ended == why
        assert broken.candidates() == whole.candidates()
        assert broken.facts.get("level") == whole.facts.get("level") and len(whole.facts) <= (kind is Unsure)
        assert [step[0] for step in broken.steps()] == [step[0] for step in whole.steps()]
        seconds = [step[1] for step in broken.steps()]
        assert seconds == sorted(seconds)
        assert all(count == 1 for key, count in evaluator.asked.items() if not bad(key))
        assert all(count <= 1 + len(stops) for count in evaluator.asked.values())


def test_the_solver_solves_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its ledger is in the store: bounds and designs of devices that are solved come from there."""
    import dse.studies.nmp.exact.search as module

    solved, prove = [], module.prove
    counting = lambda space, evaluator, columns, *more, **named: (
        solved.append(columns["fpus"][0]) or prove(space, evaluator, columns, *more, **named)
    )
    monkeypatch.setattr(module, "prove", counting)
    begin = lambda ledger: ExactSearch(SPACE, ROOFLINE, "latency_s", ledger)
    unbroken = begin(None)
    expected, _ = explore(unbroken, Pieces(), LATENCY, 20, 3)
    assert len(solved) == unbroken.devices == 3
    solved.clear()
    store = Store.create(tmp_path / FILE, {})
    for stop in (1, 2):
        explore(begin(store.facts), Pieces(), LATENCY, 20, 3, store, halt=stop_after(stop))
        store.take_back()
    exact = begin(store.facts)
    archive, ended = explore(exact, Pieces(), LATENCY, 20, 3, store)
    assert len(solved) == 3 and ended == "no new designs to try"
    assert exact.bound == unbroken.bound is not None and state(archive) == state(expected)


def test_failures_in_a_row() -> None:
    """They are counted across pieces and generations; the run ends with the piece that makes them too many."""
    every = lambda key: True
    for most, rows in ((1, 6), (6, 6), (7, 13), (SIZE, SIZE), (SIZE + 1, SIZE + 6)):  # pieces of 6, 7 and 7
        archive, ended = explore(search_of("random", 1), Pieces(7, every), LATENCY, 9, 3, most_failures=most)
        assert archive.candidates == rows and ended == f"stopped: the last {rows} designs all failed (bad)"


def test_a_good_design_starts_the_count_again() -> None:
    """Never more than a few failures in a row: the run goes on however many there are in all."""
    store_order: list[bool] = []

    def every_fifth_is_good(key: bytes) -> bool:
        store_order.append(len(store_order) % 5 != 4)
        return store_order[-1]

    archive, ended = explore(search_of("random", 1), Pieces(SIZE, every_fifth_is_good), LATENCY, 3, 3, most_failures=5)
    assert ended == "all generations done" and archive.candidates == 3 * SIZE
    _, ended = explore(search_of("random", 1), Pieces(SIZE, lambda key: True), LATENCY, 3, 3, most_failures=5)
    assert ended.startswith("stopped: the last 20 designs")


def test_failures_are_tried_again(tmp_path: Path) -> None:
    """Those of the generation that was cut short, after `take_back`; those of complete ones stay."""
    store, evaluator = Store.create(tmp_path / FILE, {}), Pieces(7, some)
    explore(search_of("random", 1), evaluator, LATENCY, 2, 3, store, halt=stop_after(1 + 3 + 1 + 1))
    names, before = store.candidates()
    status = [row[names.index("status")] for row in before]
    lost = status[SIZE:].count("FAILED")
    assert lost and status[:SIZE].count("FAILED")
    store.take_back()
    assert len(store.genomes()) == len(before) - lost
    mended = Pieces(7)
    archive, _ = explore(search_of("random", 1), mended, LATENCY, 2, 3, store)
    assert archive.candidates == 2 * SIZE and sum(mended.asked.values()) == 7 + lost
    _, after = store.candidates()
    assert [row[3] for row in after[:SIZE]] == status[:SIZE] and "FAILED" not in [row[3] for row in after[SIZE:]]


def test_a_store_of_other_designs(tmp_path: Path) -> None:
    """Is refused in one line, before anything is evaluated or written."""
    store, evaluator = Store.create(tmp_path / FILE, {}), Pieces()
    explore(search_of("random", 1), evaluator, LATENCY, 1, 3, store)
    evaluator.asked.clear()
    other = make_search(SPACE, Effort(SIZE, 10, 0.9, 4), "random", 1, 80)
    with pytest.raises(InputError, match="has other designs from number 0 on") as refused:
        explore(other, evaluator, LATENCY, 2, 3, store)
    assert "\n" not in str(refused.value) and not evaluator.asked and len(store.genomes()) == SIZE


@pytest.mark.parametrize("stop", [0, 1, 2])
def test_a_stop_on_the_way_back(stop: int, tmp_path: Path) -> None:
    """A run that is stopped before it is where it was has found what it had, generation by generation, and the part
    of one that was cut short."""
    store = Store.create(tmp_path / FILE, {})
    before, _ = explore(search_of("ga", 1), Pieces(), LATENCY, 3, 3, store, halt=stop_after(4 + 4 + 1 + 1))
    store.take_back()
    archive, ended = explore(search_of("ga", 1), Pieces(), LATENCY, 3, 3, store, halt=stop_after(stop))
    assert ended == "enough" and state(archive) == state(before) and archive.candidates == 2 * SIZE + 13
    archive, _ = explore(search_of("ga", 1), Pieces(), LATENCY, 1, 3, store)
    assert state(archive) == state(before)


def test_watchers(tmp_path: Path) -> None:
    """Each new complete generation is shown once, after it was stored; those that are replayed are not."""
    store = Store.create(tmp_path / FILE, {})
    seen: list[tuple[int, int]] = []
    watch = [lambda archive: seen.append((len(archive.history), len(store.steps())))]
    explore(search_of("ga", 1), Pieces(), LATENCY, 2, 3, store, watch)
    assert seen == [(1, 1), (2, 2)]
    explore(search_of("ga", 1), Pieces(), LATENCY, 9, 3, store, watch, stop_after(2 + 1 + 3 + 1 + 1))
    assert seen == [(1, 1), (2, 2), (3, 3)]
    explore(search_of("ga", 1), Pieces(), LATENCY, 4, 3, store, watch)
    assert seen[3:] == [(4, 4)]
    explore(search_of("ga", 1), Pieces(), LATENCY, 4, 3, store, watch)
    assert len(seen) == 4


def test_a_store_in_another_order(tmp_path: Path) -> None:
    """Metrics and violations that come back from the store in another order teach the search the same."""
    space = space_for(BUFFERED, devices((1, 2, 3), (FAST, SLOW)))
    begin = lambda: make_search(space, EFFORT, "ga", 1, 80)
    first = lambda: Pieces(7, lambda key: some(key), BUFFERED)
    expected, _ = explore(begin(), first(), LATENCY, 3, 3)
    store = Store.create(tmp_path / FILE, {})
    explore(begin(), first(), LATENCY, 3, 3, store, halt=stop_after(1 + 2))
    store.take_back()
    archive, _ = explore(begin(), first(), LATENCY, 3, 3, store)
    assert state(archive) == state(expected)
