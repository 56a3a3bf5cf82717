"""Several calls at once on this machine: the work is in the tools' own processes, a thread waits for each."""

from __future__ import annotations

import queue
import threading
from dataclasses import replace

from design.contracts import Truth
from design.core import Batch
from evaluators.execution.faults import answer_of
from evaluators.execution.workers import Done

WAIT_S = 0.2  # between looks at stops
GOODBYE_S = 10.0  # for a call that was given up to end


class Threads:
    """At most `count` calls of a truth at once, one a thread. See `Workers`; on a cluster, `RayWorkers` is another."""

    remote = True  # beside the caller, whose thread is free

    def __init__(self, truth: Truth, count: int) -> None:
        self.count, self._truth = count, truth
        self._done: queue.SimpleQueue[Done] = queue.SimpleQueue()
        self._running: dict[int, threading.Thread] = {}

    def idle(self) -> int:
        """See `Workers`."""
        return self.count - len(self._running)

    def start(self, task: int, batch: Batch, seed: int) -> None:
        """See `Workers`."""
        thread = threading.Thread(target=self._answer, args=(task, batch, seed), name=f"call {task}", daemon=True)
        self._running[task] = thread
        thread.start()

    def _answer(self, task: int, batch: Batch, seed: int) -> None:
        # The processor time of a thread among others can't be told from theirs, and the tool's is not in it.
        self._done.put(Done(task, replace(answer_of(self._truth, batch, seed), cpu_s=0.0)))

    def finished(self) -> list[Done]:
        """See `Workers`."""
        if not self._running:
            return []
        try:
            found = [self._done.get(timeout=WAIT_S)]
        except queue.Empty:
            return []
        while not self._done.empty():
            found.append(self._done.get())
        for done in found:
            self._running.pop(done.task).join()
        return found

    def close(self) -> None:
        """See `Workers`. Tools that are running are ended."""
        self._truth.cancel()
        for thread in self._running.values():
            thread.join(GOODBYE_S)
        self._running, self._done = {}, queue.SimpleQueue()
