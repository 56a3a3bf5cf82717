"""Who does the work of an evaluator: the protocol, and the plainest worker, this process itself."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType
from typing import NamedTuple, Protocol

from design.contracts import Evaluator
from design.core import Batch
from design.errors import Late
from evaluators.execution.faults import Answered, Fault, Kind, answer_of


class Done(NamedTuple):
    """A finished task: its number, and what came of it."""

    task: int
    answered: Answered


class Workers(Protocol):
    """Some workers, each with at most one task at a time."""

    count: int  # how many there are when all are well
    remote: bool  # whether they run beside this process

    def idle(self) -> int:
        """How many can be given a task now."""
        ...

    def start(self, task: int, batch: Batch, seed: int) -> None:
        """Give a task to an idle worker."""
        ...

    def finished(self) -> list[Done]:
        """Tasks that have ended, well or not. Waits for the first, but not for long: it may return nothing."""
        ...

    def close(self) -> None:
        """Give up all tasks and let the workers go."""
        ...


class ThisProcess:
    """Evaluates in this process. The time limit holds in the main thread only, and not inside of a C function that
    does not return: for such evaluators there are worker processes, which can be stopped from outside."""

    count, remote = 1, False

    def __init__(self, evaluator: Evaluator, limit_s: float | None) -> None:
        self._evaluator, self._limit_s = evaluator, limit_s
        self._given: tuple[int, Batch, int] | None = None

    def idle(self) -> int:
        """See `Workers`."""
        return int(self._given is None)

    def start(self, task: int, batch: Batch, seed: int) -> None:
        """See `Workers`. Nothing happens before `finished`."""
        self._given = (task, batch, seed)

    def finished(self) -> list[Done]:
        """See `Workers`."""
        if self._given is None:
            return []
        (task, batch, seed), self._given = self._given, None
        limited = self._limit_s is not None and threading.current_thread() is threading.main_thread()
        if not limited:
            return [Done(task, answer_of(self._evaluator, batch, seed))]
        assert self._limit_s is not None
        begin = time.monotonic(), time.process_time()
        outer_s, outer_again_s = signal.setitimer(signal.ITIMER_REAL, 0.0)  # the caller's own, or another limit
        before = signal.signal(signal.SIGALRM, self._ring)
        try:
            try:
                # Again every second, should the evaluator swallow the first one.
                signal.setitimer(signal.ITIMER_REAL, self._limit_s, 1.0)
                answered = answer_of(self._evaluator, batch, seed)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0.0)
        except Late:
            spent = time.monotonic() - begin[0], time.process_time() - begin[1]
            answered = Answered(late(self._limit_s), *spent)
        finally:
            signal.signal(signal.SIGALRM, signal.SIG_DFL if before is None else before)
            if outer_s:
                left_s = max(outer_s - (time.monotonic() - begin[0]), 1e-6)
                signal.setitimer(signal.ITIMER_REAL, left_s, outer_again_s)
        return [Done(task, answered)]

    def _ring(self, number: int, frame: FrameType | None) -> None:
        raise Late

    def close(self) -> None:
        """See `Workers`."""
        self._given = None


def late(limit_s: float) -> Fault:
    """The fault of work that takes longer than the limit."""
    return Fault(Kind.LATE, f"took longer than the limit of {limit_s:g} s")
