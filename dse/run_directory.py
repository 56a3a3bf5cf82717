"""One directory a run: made ready without harming an earlier run, and locked while a run writes there."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

from design.errors import InputError
from dse.store import FILE

OWN = (FILE, "settings.yaml", "result.log", "summary.json", "front.", "candidates.", "convergence.")
REPORT = ("report.html", "pictures")
EARLIER = "earlier"


class RunDirectory:
    """Use as a context: inside, the directory is this run's alone and holds nothing of an earlier run.

    Files of an earlier run move to `earlier/001`, `earlier/002`, ...; files of others are left alone. Raises
    InputError where the directory cannot be made or written, or another run is writing there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    def __enter__(self) -> RunDirectory:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._set_aside()
        except BlockingIOError:
            raise InputError(str(self.path), "another run is writing there", "a directory of its own") from None
        except OSError as error:
            raise InputError(str(self.path), f"cannot be used ({error.strerror})", "a writable directory") from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._lock is not None:
            os.close(self._lock)

    def _set_aside(self) -> None:
        left = [entry for entry in self.path.iterdir() if entry.name.startswith(OWN) or entry.name in REPORT]
        if not left:
            return
        shelf = self.path / EARLIER
        shelf.mkdir(exist_ok=True)
        number = 1 + max((int(entry.name) for entry in shelf.iterdir() if entry.name.isdigit()), default=0)
        place = shelf / f"{number:03d}"
        place.mkdir()
        for entry in left:
            entry.rename(place / entry.name)


def write_whole(path: Path, text: str) -> None:
    """Write a text file so that a reader sees the old one or the new one, never a part."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
