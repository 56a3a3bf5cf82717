"""Ctrl-C as a request: the generation in work is finished and the results are written."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any


class Interrupt:
    """Use as a context: the first SIGINT or SIGTERM inside sets `asked`; a second one has its usual effect."""

    def __init__(self) -> None:
        self.asked = False
        self._usual: dict[int, Any] = {}

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._usual[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, usual in self._usual.items():
            signal.signal(number, usual)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        signal.signal(number, self._usual[number])
        print("stopping after this generation; once more to stop at once", file=sys.stderr)
