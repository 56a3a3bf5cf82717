"""Evaluators that go wrong on purpose, for the tests of what becomes of their rows. Worker processes import this too.

`Faulty(fault, marked)` answers as the roofline does, except where a marked row is in the batch. Rows are marked by
their contents, so that a row goes wrong in any company and in any process.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from design.core import Batch, Bools, Evaluation, Rows, key_bytes
from tests.dse.nmp.small import FAST, ROOFLINE, SLOW, devices, sampled, space_for

Fault = Callable[[Batch, Evaluation, Bools], Any]  # batch, sound answer, which rows are marked -> what it says
Row = bytes  # a candidate's key


def designs(rows: int, seed: int = 0) -> Batch:
    """Sound designs, no two alike."""
    batch = sampled(space_for(ROOFLINE, devices((1, 2, 3), (FAST, SLOW))), 3 * rows, seed)
    seen = dict(zip(key_bytes(batch.schema.key(batch)), range(len(batch)), strict=True))
    latency, first = np.unique(ROOFLINE.evaluate(batch, seed=0).metrics["latency_s"], return_index=True)
    assert len(seen) >= rows and len(latency) >= rows, "too few different designs"
    return batch.take(np.sort(np.random.default_rng(seed).permutation(first)[:rows]))


def keys(batch: Batch) -> list[Row]:
    """One key a row."""
    return key_bytes(batch.schema.key(batch))


class Faulty:
    """The roofline, and `fault` for batches with marked rows."""

    name, version, fidelity = "faulty", "1", 0

    def __init__(self, fault: Fault, marked: Iterable[Row]) -> None:
        self.fault, self.marked, self.metrics = fault, frozenset(marked), ROOFLINE.metrics

    def evaluate(self, batch: Batch, *, seed: int) -> Any:
        """See above."""
        answer = ROOFLINE.evaluate(batch, seed=seed)
        hit = np.array([key in self.marked for key in keys(batch)], dtype=bool)
        return self.fault(batch, answer, hit) if hit.any() else answer

    def stream(self, batch: Batch, *, seed: int) -> Iterator[tuple[Rows, Evaluation]]:
        """The fault decides about the pieces where it gives a list of them."""
        said = self.evaluate(batch, seed=seed)
        yield from said if isinstance(said, list) else [(np.arange(len(batch)), said)]


# --- exceptions


class ManyLines(Exception):
    """Says three lines."""

    def __str__(self) -> str:
        return "one\ntwo\r\n\tthree"


class Speechless(Exception):
    """Has no text: asking for it raises."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


class Panic(BaseException):
    """No `Exception`, as the panics of extension modules are."""


@dataclass(frozen=True)
class Raises:
    """Raises what `make` makes."""

    make: Callable[[], BaseException]

    def __call__(self, batch: Batch, answer: Evaluation, hit: Bools) -> Any:
        raise self.make()


# --- no end


def sleeps(batch: Batch, answer: Evaluation, hit: Bools) -> Any:
    """Waits outside of Python."""
    time.sleep(600)
    raise AssertionError("slept to the end")


def spins(batch: Batch, answer: Evaluation, hit: Bools) -> Any:
    """Computes for ever."""
    count = 0
    while True:
        count += 1


def stubborn(batch: Batch, answer: Evaluation, hit: Bools) -> Any:
    """Computes for ever and lives through every `Exception`."""
    while True:
        try:
            sum(range(1000))
        except Exception:
            continue


def swallows_once(batch: Batch, answer: Evaluation, hit: Bools) -> Any:
    """Lives through the first thing that is thrown at it, whatever that is."""
    try:
        time.sleep(600)
    except BaseException:
        time.sleep(600)


def holds_the_interpreter(batch: Batch, answer: Evaluation, hit: Bools) -> Any:
    """Waits inside of a C function that lets no other Python thread run."""
    ctypes.PyDLL(None).sleep(600)


# --- wrong answers


@dataclass(frozen=True)
class Changed:
    """A sound answer with some of its fields as `fields` makes them of (answer, marked)."""

    fields: Callable[[Evaluation, Bools], dict[str, Any]]

    def __call__(self, batch: Batch, answer: Evaluation, hit: Bools) -> Any:
        return replace(answer, **self.fields(answer, hit))


@dataclass(frozen=True)
class Metric:
    """A value for latency in marked rows."""

    value: float

    def __call__(self, batch: Batch, answer: Evaluation, hit: Bools) -> Any:
        latency = np.where(hit, self.value, answer.metrics["latency_s"])
        return replace(answer, metrics={**answer.metrics, "latency_s": latency})


@dataclass(frozen=True)
class Says:
    """What `say` makes of (rows of the batch, answer): an answer, a list of pieces, or anything."""

    say: Callable[[int, Evaluation], Any]

    def __call__(self, batch: Batch, answer: Evaluation, hit: Bools) -> Any:
        return self.say(len(batch), answer)


@dataclass(frozen=True)
class Reordered:
    """`evaluate` answers for the right rows in another order, with or without marked ones among them."""

    order: Callable[[Evaluation], Rows]

    def __call__(self, batch: Batch, answer: Evaluation, hit: Bools) -> Any:
        return answer.take(self.order(answer))


def writes(batch: Batch, answer: Evaluation, hit: Bools) -> Any:
    """Writes into its argument, and answers well."""
    for values in batch.columns.values():
        values[...] = 0
    return answer


# --- what happened: one file a row, one byte an evaluation, so that processes can count together


@dataclass(frozen=True)
class Counts:
    """Notes every evaluation of a row in `folder`, then does as `then` does with marked rows."""

    folder: Path
    marked: frozenset[Row]
    then: Fault | None = None

    def __call__(self, batch: Batch, answer: Evaluation, hit: Bools) -> Any:
        for key in keys(batch):
            with (self.folder / key.hex()).open("ab") as file:
                file.write(b".")
        mine = np.array([key in self.marked for key in keys(batch)], dtype=bool)
        return self.then(batch, answer, mine) if self.then is not None and mine.any() else answer

    def count(self, batch: Batch) -> list[int]:
        """Evaluations of each row."""
        files = [self.folder / key.hex() for key in keys(batch)]
        return [file.stat().st_size if file.exists() else 0 for file in files]


def dies(batch: Batch, answer: Evaluation, hit: Bools) -> Any:
    """Takes its process with it."""
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(600)


@dataclass(frozen=True)
class Once:
    """Does as `then` does the first time in all processes, and answers well ever after."""

    flag: Path
    then: Fault

    def __call__(self, batch: Batch, answer: Evaluation, hit: Bools) -> Any:
        try:
            self.flag.touch(exist_ok=False)
        except FileExistsError:
            return answer
        return self.then(batch, answer, hit)


@dataclass(frozen=True)
class Slow:
    """Takes `seconds` a row, and answers well."""

    seconds: float

    def __call__(self, batch: Batch, answer: Evaluation, hit: Bools) -> Any:
        time.sleep(self.seconds * len(batch))
        return answer


@dataclass(frozen=True)
class Tells:
    """Writes its process number to `path`, then does as `then` does."""

    path: Path
    then: Fault

    def __call__(self, batch: Batch, answer: Evaluation, hit: Bools) -> Any:
        with self.path.open("a") as file:
            file.write(f"{os.getpid()}\n")
        return self.then(batch, answer, hit)


@dataclass(frozen=True)
class Meets:
    """Answers well once so many processes have written their numbers to `path`, itself among them: none is done before
    all others have begun."""

    path: Path
    count: int

    def __call__(self, batch: Batch, answer: Evaluation, hit: Bools) -> Any:
        end = time.monotonic() + 60
        while len(set(self.path.read_text().split())) < self.count and time.monotonic() < end:
            time.sleep(0.02)
        return answer


class NoPickle(Faulty):
    """Cannot be sent anywhere."""

    def __init__(self) -> None:
        super().__init__(sleeps, ())

    def __reduce__(self) -> Any:
        raise TypeError("stays\nhere")


class NoUnpickle(Faulty):
    """Can be sent and does not arrive."""

    def __init__(self) -> None:
        super().__init__(sleeps, ())

    def __reduce__(self) -> Any:
        return _no_arrival, ()


def _no_arrival() -> Any:
    raise RuntimeError("does not\narrive")
