"""python -m tests.dse.search.slow_run FOLDER: a search with an evaluator that takes 10 ms a row and notes each row that
it begins in FOLDER/evaluated. Goes on where an earlier one was killed."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from design.contracts import AtOnce
from design.core import Batch, Evaluation, Objective
from dse.records.store import FILE, Store
from dse.search.engine import Effort, make_search
from dse.search.explore import explore
from evaluators.execution.batching import Pace
from evaluators.execution.fault_tolerant import Guarded
from tests.dse.nmp.small import ROOFLINE, devices, space_for


class Dear(AtOnce):
    """The roofline, slower."""

    def __init__(self, notes: Path) -> None:
        self.name, self.version, self.metrics, self.fidelity = "dear", "1", ROOFLINE.metrics, 0
        self._notes = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def evaluate(self, batch: Batch, *, seed: int) -> Evaluation:
        """See `Evaluator`."""
        for _ in range(len(batch)):
            os.write(self._notes, b"row\n")
            time.sleep(0.01)
        return ROOFLINE.evaluate(batch, seed=seed)


class OneByOne(Pace):
    """As for an evaluator whose rows take long."""

    def rows(self, left: int, workers: int) -> int:
        """See `Pace`."""
        return 1


def main(folder: Path) -> None:
    """Four generations of 80."""
    folder.mkdir(exist_ok=True)
    begun = Store.begun(folder / FILE)
    store = Store.open(folder / FILE) if begun else Store.create(folder / FILE, {})
    if begun:
        store.take_back()
    space = space_for(ROOFLINE, devices((1, 2, 3)))
    search = make_search(space, Effort(80, 40, 1.0, 3), "ga", 1, 320)
    evaluator = Guarded(Dear(folder / "evaluated"), pace=OneByOne(1, 0, None))
    explore(search, evaluator, [Objective("latency_s")], 4, 3, store)
    store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
