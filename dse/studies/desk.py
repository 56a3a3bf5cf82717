"""What a run lends its study: the directory, workers, and whether there is still time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from design.contracts import Evaluator
from evaluators.execution.fault_tolerant import Guarded


@dataclass(frozen=True)
class Desk:
    """`workers` are wanted at once, of the Ray cluster at `address` if there is one; `stop` says whether the run is to
    end, and `halt` why, None where it is not; so many failures in a row are too many, `most_failures`; `cpu_s` is the
    clock of work done. `guarded(evaluator, needs, rows)` guards an evaluator whose sound rows have the metrics `needs`,
    for so many rows, on workers where they pay."""

    folder: Path
    workers: int
    address: str | None
    stop: Callable[[], bool]
    halt: Callable[[], str | None]
    most_failures: int | None
    cpu_s: Callable[[], float]
    guarded: Callable[[Evaluator, list[str], int], Guarded]
