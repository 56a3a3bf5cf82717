"""The log file of a run: what happened when, over all sittings."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path
from types import TracebackType

FILE = "run.log"
LOG = logging.getLogger("tilewright")


class RunLog:
    """Use as a context: inside, what the program logs goes to the end of `run.log` in the folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    def __enter__(self) -> RunLog:
        self._handler = logging.FileHandler(self._path, encoding="utf-8")
        self._handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S"))
        # A disk that is full must end the run where results are written, with one line, not here with a traceback.
        self._handler.handleError = lambda record: None  # type: ignore[method-assign]
        self._before = LOG.level, LOG.propagate
        LOG.setLevel(logging.INFO)
        LOG.propagate = False
        LOG.addHandler(self._handler)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is not None:
            LOG.error("ended by %s: %s", type(error).__name__, " ".join(str(error).split()))
        LOG.removeHandler(self._handler)
        LOG.setLevel(self._before[0])
        LOG.propagate = self._before[1]
        with suppress(OSError):  # what it could not write is written once more here
            self._handler.close()
