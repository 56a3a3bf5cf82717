"""The one search loop: ask for designs, price them, keep what was learnt, tell.

With a store it is also how a run goes on after it was killed. A search depends on its seed and on what it is told
alone, so it asks for the same designs again; those whose answers are in the store are not evaluated again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from design.contracts import Evaluator
from design.core import Evaluation, Ints, Objective, Rows, Status, gather
from design.errors import InputError
from dse.records.archive import Archive, objective_values
from dse.records.store import Store
from dse.search.engine import Search
from dse.search.propose import Candidates

FAILING = "stopped"  # how the reason begins where an evaluator keeps failing
Watcher = Callable[[Archive], None]


def explore(
    search: Search,
    evaluator: Evaluator,
    objectives: Sequence[Objective],
    generations: int,
    seed: int,
    store: Store | None = None,
    watch: Sequence[Watcher] = (),
    halt: Callable[[], str | None] = lambda: None,
    most_failures: int | None = None,
    cpu_s: Callable[[], float] = time.process_time,
) -> tuple[Archive, str]:
    """Run a search to its end. Returns what it found, and why it ended.

    Every watcher is shown the archive after each generation that was not known before. `halt` is asked between
    pieces of work; where it gives a reason, the run ends with it. So it does after `most_failures` FAILED designs in
    a row. `cpu_s` is the clock of work done.
    """
    loop = _Loop(search, evaluator, Archive(objectives), seed, store, halt, most_failures, cpu_s)
    for generation in range(generations):
        ended, new = loop.generation(generation)
        if ended is not None:
            return loop.archive, ended
        for watcher in watch if new else ():
            watcher(loop.archive)
    loop.recall()
    return loop.archive, "all generations done"


def recall(archive: Archive, store: Store) -> None:
    """Add to an archive of complete generations what the store has beyond them: further ones, a generation that was
    cut short, and a design that a proof added."""
    seconds = 0.0
    for candidates, wall_s, _ in store.steps():
        if candidates > archive.candidates and (part := store.answers(archive.candidates, candidates)) is not None:
            archive.add(part.ids, part.genomes, part.evaluation, wall_s)
        seconds = wall_s
    if (rest := store.answers(archive.candidates)) is not None:
        archive.add(rest.ids, rest.genomes, rest.evaluation, seconds)


class _Loop:
    """State of an exploration. Seconds count from its begin, and on from those of earlier sittings."""

    def __init__(
        self,
        search: Search,
        evaluator: Evaluator,
        archive: Archive,
        seed: int,
        store: Store | None,
        halt: Callable[[], str | None],
        most_failures: int | None,
        cpu_s: Callable[[], float],
    ) -> None:
        self.search, self.evaluator, self.archive, self.seed, self.store = search, evaluator, archive, seed, store
        self.halt, self.most_failures, self.cpu_s = halt, most_failures, cpu_s
        self._failures = 0
        self._steps = store.steps() if store is not None else []
        self._past = self._steps[-1][1:] if self._steps else (0.0, 0.0)
        self._begin = time.monotonic(), cpu_s()

    def generation(self, number: int) -> tuple[str | None, bool]:
        """Ask, price, tell. Returns why the run is to end, if it is, and whether anything was evaluated."""
        if (reason := self.halt()) is not None:
            self.recall()
            return reason, False
        candidates = self.search.ask()
        if candidates is None:
            return "no new designs to try", False
        known = number < len(self._steps)
        rows, evaluation, ended = self._answers(number, candidates)
        if known and len(rows) == len(candidates):
            seconds = self._steps[number][1]
            self._begin = time.monotonic(), self.cpu_s()  # what it takes to get back here was counted before
        else:
            seconds, cpu = self._spent()
        if evaluation is not None:
            ids = rows + self.archive.candidates
            self.archive.add(ids, candidates.genomes[rows], evaluation, seconds)
        if len(rows) < len(candidates):
            return ended or "stopped", True
        assert evaluation is not None
        if self.store is not None and not known:
            self.store.finish(number, self.archive.candidates, seconds, cpu)
        tell(self.search, candidates, evaluation, self.archive.objectives)
        return ended, not known

    def recall(self) -> None:
        """A run that ends on its way back to where it was has found all that it had."""
        if self.store is not None:
            recall(self.archive, self.store)

    def _spent(self) -> tuple[float, float]:
        wall, cpu = self._begin
        return self._past[0] + time.monotonic() - wall, self._past[1] + self.cpu_s() - cpu

    def _answers(self, number: int, candidates: Candidates) -> tuple[Rows, Evaluation | None, str | None]:
        """Rows with an answer, in order, their answers, and why not all rows have one or the run is to end."""
        first, pieces = self.archive.candidates, []
        missing: Ints = np.arange(len(candidates))
        ended = None
        if self.store is not None and (stored := self.store.answers(first, first + len(candidates))) is not None:
            rows = stored.ids - first
            if any(candidates.keys[row] != key for row, key in zip(rows.tolist(), stored.keys, strict=True)):
                expected = "the version and the model files that wrote it, or a new directory"
                raise InputError(str(self.store.path), f"has other designs from number {first} on", expected)
            pieces.append((rows, stored.evaluation))
            missing = np.setdiff1d(missing, rows)
        for part, evaluation in self._stream(candidates, missing):
            rows = missing[part]
            if self.store is not None:
                keys = [candidates.keys[row] for row in rows.tolist()]
                self.store.add(number, rows + first, candidates.genomes[rows], keys, evaluation)
            pieces.append((rows, evaluation))
            ended = self._failed_too_often(evaluation) or self.halt()
            if ended is not None:
                break
        if not pieces:
            return np.arange(0), None, ended or self.halt()
        rows = np.sort(np.concatenate([rows for rows, _ in pieces]))
        whole = gather([(np.searchsorted(rows, part), evaluation) for part, evaluation in pieces], len(rows))
        return rows, whole, ended if len(rows) == len(candidates) else ended or self.halt()

    def _stream(self, candidates: Candidates, rows: Ints) -> Iterator[tuple[Rows, Evaluation]]:
        if not len(rows):
            return iter(())
        batch = candidates.batch if len(rows) == len(candidates) else candidates.batch.take(rows)
        return self.evaluator.stream(batch, seed=self.seed)

    def _failed_too_often(self, evaluation: Evaluation) -> str | None:
        """Why to stop, if so many rows in a row have FAILED, counted as they come in."""
        well = np.flatnonzero(evaluation.status != Status.FAILED)
        tail = len(evaluation) - (int(well[-1]) + 1 if len(well) else 0)
        self._failures = tail if len(well) else self._failures + tail
        if self.most_failures is None or self._failures < self.most_failures:
            return None
        return f"{FAILING}: the last {self._failures} designs all failed ({evaluation.reason[-1]})"


def tell(search: Search, candidates: Candidates, evaluation: Evaluation, objectives: Sequence[Objective]) -> None:
    """Tell a search what its candidates cost. Failed rows, and rows without all objectives, teach nothing."""
    sign = np.array([objective.sign for objective in objectives])
    values = objective_values(evaluation, objectives) * sign
    rows = np.flatnonzero((evaluation.status != Status.FAILED) & np.isfinite(values).all(axis=1))
    count = len(evaluation)
    # By name: from the store they may come in another order, and sums would differ in their last bits.
    named = [values for _, values in sorted(evaluation.violation.items())]
    violation = np.stack([*named, np.zeros(count)], axis=1)
    search.tell(candidates.genomes[rows], values[rows], violation[rows])
