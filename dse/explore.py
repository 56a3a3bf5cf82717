"""The one search loop: ask for designs, price them, keep what was learnt, tell."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from design.core import Evaluation, Objective, Status, gather
from dse.archive import Archive, objective_values
from dse.engine import Search
from dse.propose import Candidates
from dse.store import Store
from evaluators.base import Evaluator

Watcher = Callable[[Archive], None]


@dataclass(frozen=True)
class Limits:
    """When to stop: generations, and wall seconds (None is no limit)."""

    generations: int
    seconds: float | None = None


def explore(
    search: Search,
    evaluator: Evaluator,
    objectives: Sequence[Objective],
    limits: Limits,
    seed: int,
    store: Store | None = None,
    watch: Sequence[Watcher] = (),
    stop: Callable[[], bool] = lambda: False,
) -> tuple[Archive, str]:
    """Run a search to its end. Returns what it found, and why it ended.

    Every watcher is shown the archive after each generation. `stop` is asked before each; where it says so,
    the run ends as interrupted.
    """
    archive = Archive(objectives)
    begin = time.monotonic()
    for generation in range(limits.generations):
        if stop():
            return archive, "interrupted"
        if limits.seconds is not None and time.monotonic() - begin >= limits.seconds:
            return archive, "time limit reached"
        candidates = search.ask()
        if candidates is None:
            return archive, "no new designs to try"
        evaluation = gather(list(evaluator.stream(candidates.batch, seed=seed)), len(candidates))
        if store is not None:
            store.add(generation, candidates.genomes, candidates.keys, evaluation)
        archive.add(candidates.genomes, evaluation, time.monotonic() - begin)
        _tell(search, candidates, evaluation, archive)
        for watcher in watch:
            watcher(archive)
    return archive, "all generations done"


def _tell(search: Search, candidates: Candidates, evaluation: Evaluation, archive: Archive) -> None:
    """Failed rows, and rows without all objectives, teach nothing and are not told."""
    sign = np.array([objective.sign for objective in archive.objectives])
    values = objective_values(evaluation, archive.objectives) * sign
    rows = np.flatnonzero((evaluation.status != Status.FAILED) & np.isfinite(values).all(axis=1))
    count = len(evaluation)
    violation = np.stack([*evaluation.violation.values(), np.zeros(count)], axis=1)
    search.tell(candidates.genomes[rows], values[rows], violation[rows])
