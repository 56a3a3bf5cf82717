"""Many independent pieces of work on a few processes: progress with the time left, and one that goes wrong stops none
of the others."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from design.errors import in_one_line

ROOT = Path(__file__).resolve().parents[1]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Piece:
    """`do` is a function of a module, which is called with `given` in another process; `cost` is how long it takes
    beside others, about."""

    name: str
    do: Callable[..., Any]
    given: tuple[Any, ...]
    cost: float = 1.0


def work_off(pieces: Sequence[Piece], workers: int, say: Say) -> tuple[dict[str, Any], dict[str, str]]:
    """The results by name, and of those that went wrong the reason. Dear pieces come first, so that workers end
    together. Raises KeyboardInterrupt where a piece was interrupted."""
    crew = Crew(sorted(pieces, key=lambda p: -p.cost), say)
    crew.work(crew.left, workers)
    # A process was killed, and with it the pool. Memory may be short, and it is not known for which piece: one by one.
    for piece in list(crew.left):
        crew.work([piece], 1)
        if piece in crew.left:
            crew.end(piece, None, "its process was killed")
    return crew.found, crew.wrong


def _done(piece: Piece) -> tuple[Any, str | None]:
    """In the worker: the result, or what went wrong. Where it did can only be told there."""
    try:
        return piece.do(*piece.given), None
    except Exception as error:
        return None, in_one_line(error)


class Crew:
    """What is done and what is left."""

    def __init__(self, pieces: Sequence[Piece], say: Say) -> None:
        self.left, self.found, self.wrong = list(pieces), dict[str, Any](), dict[str, str]()
        self._say, self._count, self._cost = say, len(pieces), sum(piece.cost for piece in pieces)
        self._begin = time.monotonic()

    def work(self, pieces: Sequence[Piece], workers: int) -> None:
        """Do some of what is left; what is left of it afterwards went down with a process."""
        if not pieces:
            return
        # Threads and memory of a worker are its own. Paths in settings are read from the program's folder.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context, initializer=os.chdir, initargs=(ROOT,)) as pool:
            futures: dict[Future[Any], Piece] = {pool.submit(_done, piece): piece for piece in pieces}
            try:
                for future in as_completed(futures):
                    with suppress(BrokenProcessPool):
                        self.end(futures[future], *future.result())
            except KeyboardInterrupt:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def end(self, piece: Piece, found: Any, wrong: str | None) -> None:
        """A piece is over; `wrong` says why it has no result."""
        self.left.remove(piece)
        if wrong is None:
            self.found[piece.name] = found
        else:
            self.wrong[piece.name] = wrong
            self._say(f"{piece.name}: {wrong}")
        left = sum(piece.cost for piece in self.left)
        seconds = (time.monotonic() - self._begin) * left / max(self._cost - left, 1e-9)
        told = f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
        self._say(f"{self._count - len(self.left)} of {self._count}: {piece.name}; about {told} left")
