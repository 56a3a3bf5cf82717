"""Requests to end a run in good order: Ctrl-C, SIGTERM, or the end of the time."""

from __future__ import annotations

import signal
import sys
import threading
import time
from types import FrameType, TracebackType
from typing import Any

INTERRUPTED, OVER_TIME = "interrupted", "time limit reached"


class Interrupt:
    """Use as a context: the first SIGINT or SIGTERM inside sets `asked`; a second one has its usual effect. Time
    counts from the making."""

    def __init__(self, seconds: float | None = None) -> None:
        self.asked = False
        self._usual: dict[int, Any] = {}
        self._end = None if seconds is None else time.monotonic() + seconds

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._usual[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, usual in self._usual.items():
            signal.signal(number, usual)

    @property
    def left_s(self) -> float | None:
        """Seconds left; None without a limit."""
        return None if self._end is None else self._end - time.monotonic()

    def reason(self) -> str | None:
        """Why to end; None where there is no reason."""
        if self.asked:
            return INTERRUPTED
        return OVER_TIME if self.left_s is not None and self.left_s <= 0 else None

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        signal.signal(number, self._usual[number])
        print("stopping; once more to stop at once", file=sys.stderr)
