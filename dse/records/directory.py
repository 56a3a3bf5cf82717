"""One directory a run: made ready without harming an earlier run, and locked while a run writes there."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

from design.errors import InputError
from dse.records.store import FILE, Store

OWN = (
    FILE,
    "run.log",
    "settings.yaml",
    "result.log",
    "summary.json",
    "front.",
    "candidates.",
    "report.",
    "pictures",
)
EARLIER = "earlier"


class RunDirectory:
    """Use as a context: inside, the directory is this run's alone and holds nothing of an earlier run, unless this
    one is to `resume` it.

    Files of an earlier run move to `earlier/001`, `earlier/002`, ...; files of others are left alone. Raises
    InputError where the directory cannot be made or written, or another run is writing there.
    """

    def __init__(self, path: Path, resume: bool = False) -> None:
        self.path, self._resume = path, resume
        self._lock: int | None = None

    def __enter__(self) -> RunDirectory:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not Store.begun(self.path / FILE):
                (self.path / FILE).unlink(missing_ok=True)  # of a run that was killed before it began
                self._set_aside()
            elif not self._resume:
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
        left = [entry for entry in self.path.iterdir() if entry.name.startswith(OWN)]
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
    """Write a text file so that a reader sees the old one or the new one, never a part. Raises OSError, naming the
    file, where the disk does not take it."""
    part = path.with_name(path.name + ".part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from None


def make_folder(path: Path) -> None:
    """Make a folder, and those above it. Raises InputError where it cannot be used."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(str(path), f"cannot be used ({error.strerror})", "a writable directory") from None
