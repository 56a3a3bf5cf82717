"""What a run lends its study: the directory, workers, and whether there is still time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from evaluators.base import Evaluator
from evaluators.guarded import Guarded


@dataclass(frozen=True)
class Desk:
    """`workers` are wanted at once, of the Ray cluster at `address` if there is one; `stop` says whether the run is to
    end. `guarded(evaluator, needs, rows)` guards an evaluator whose sound rows have the metrics `needs`, for so many
    rows, on workers where they pay."""

    folder: Path
    workers: int
    address: str | None
    stop: Callable[[], bool]
    guarded: Callable[[Evaluator, list[str], int], Guarded]
