"""An evaluator around another one: it cuts batches into pieces for workers, streams rows back as they finish, and
sees to it that rows whose evaluation goes wrong are FAILED with a reason while all others are answered.

Rows are independent of each other by contract, so pieces of any size, done anywhere, in any order and twice if need
be, make the same answer. Sizes are chosen by what a row was seen to cost.
"""

from __future__ import annotations

import itertools
import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from design.contracts import Evaluator, together_of
from design.core import Batch, Evaluation, Rows, gather
from evaluators.execution.batching import Pace
from evaluators.execution.faults import Answered, Fault, Kind, checked, failed
from evaluators.execution.workers import ThisProcess, Workers

LOG = logging.getLogger("tilewright")
CHECKED = 32  # rows of a piece at most that are evaluated once more to see that they do not depend on their company
DONE_AGAIN = 1  # times that a row is given to another worker after its worker was lost
SAID = 20  # faults that are written to the log one by one


@dataclass(frozen=True, eq=False)
class Piece:
    """Rows of a batch that are evaluated together. `checks` is a finished piece that these rows of it are to confirm;
    `losses` counts the workers that were lost over these rows."""

    rows: Rows
    losses: int = 0
    checks: tuple[Piece, Evaluation] | None = None


class Guarded:
    """Answers as `evaluator` does, whatever happens to it.

    `needs` are the metrics that a sound row must have; by default all that the evaluator knows. `limit_s` is the
    longest that a row may take. `stop` is asked all the time; where it says so the stream ends early, its rows
    unanswered. `workers` makes workers in other processes, once `pace` finds that worth it.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        needs: Sequence[str] | None = None,
        limit_s: float | None = None,
        stop: Callable[[], bool] = lambda: False,
        workers: Callable[[], Workers] | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._evaluator, self._stop, self._make = evaluator, stop, workers
        self.name, self.version, self.fidelity = evaluator.name, evaluator.version, evaluator.fidelity
        self.metrics: Mapping[str, str] = evaluator.metrics
        self._needs = tuple(evaluator.metrics if needs is None else needs)
        self._here = ThisProcess(evaluator, limit_s)
        self._workers: Workers = self._here
        self._pace = pace or Pace(workers=1, rows_ahead=0, limit_s=limit_s, together=together_of(evaluator))
        self._alone = False  # every row by itself, once rows were seen to depend on their company
        self._pieces = self._confirmed = self._together = 0
        self._numbers = itertools.count()
        self._told = 0
        self.shipped = False  # whether workers in other processes were ever in use
        self.remote_cpu_s = 0.0

    def __enter__(self) -> Guarded:
        return self

    def __exit__(self, *_: object) -> None:
        self._give_up()

    def _give_up(self) -> None:
        self._workers.close()
        self._workers = self._here

    def evaluate(self, batch: Batch, *, seed: int) -> Evaluation:
        """See `Evaluator`. A stop is no exception here: rows without an answer are FAILED."""
        pieces = list(self.stream(batch, seed=seed))
        answered = np.isin(np.arange(len(batch)), [row for rows, _ in pieces for row in rows.tolist()])
        if not answered.all():
            missing = np.flatnonzero(~answered)
            pieces.append((missing, failed(self._evaluator, len(missing), "stopped", 0.0)))
        return gather(pieces, len(batch))

    def stream(self, batch: Batch, *, seed: int) -> Iterator[tuple[Rows, Evaluation]]:
        """See `Evaluator`."""
        if not len(batch):
            self._here.start(0, batch, seed)
            empty = self._here.finished()[0].answered.answer
            if not isinstance(empty, Fault):
                empty = checked(empty, self._evaluator, 0, self._needs)
            yield np.arange(0), failed(self._evaluator, 0, "", 0.0) if isinstance(empty, Fault) else empty
        cut, again, running = 0, deque[Piece](), dict[int, Piece]()
        try:
            while (cut < len(batch) or again or running) and not self._stop():
                self._choose_workers(running)
                while (cut < len(batch) or again) and self._workers.idle():
                    piece = again.popleft() if again else self._next_piece(cut, len(batch))
                    cut = max(cut, int(piece.rows[-1]) + 1)
                    running[task := next(self._numbers)] = piece
                    self._workers.start(task, batch.take(piece.rows), seed)
                for task, answered in self._workers.finished():
                    yield from self._settle(running.pop(task), answered, again)
        finally:
            if running:  # stopped, or nobody listens any more
                self._give_up()

    def _next_piece(self, cut: int, count: int) -> Piece:
        size = 1 if self._alone else self._pace.rows(count - cut, self._workers.count)
        return Piece(np.arange(cut, cut + size))

    def _choose_workers(self, running: Mapping[int, Piece]) -> None:
        """Move to worker processes once that pays."""
        if self._make is not None and not self._workers.remote and not running and self._pace.worth_shipping():
            LOG.info("evaluation takes %.3g s a row: starting workers", self._pace.row_s)
            self._workers = self._make()
            self.shipped = True

    def _settle(self, piece: Piece, answered: Answered, again: deque[Piece]) -> Iterator[tuple[Rows, Evaluation]]:
        """What becomes of a piece: its answer, or parts of it to be done again."""
        if self._workers.remote:
            self.remote_cpu_s += answered.cpu_s
        answer = answered.answer
        if not isinstance(answer, Fault):
            answer = checked(answer, self._evaluator, len(piece.rows), self._needs)
        if piece.checks is not None:
            yield from self._confirm(piece, answer, *piece.checks, again)
        elif isinstance(answer, Fault):
            yield from self._mend(piece, answer, answered.wall_s, again)
        else:
            self._pace.learn(len(piece.rows), answered.wall_s)
            if self._due(piece):
                again.append(Piece(self._sample(piece.rows), checks=(piece, answer)))
            else:
                self._together += len(piece.rows) if len(piece.rows) > 1 else 0
                yield piece.rows, answer

    def _due(self, piece: Piece) -> bool:
        """Whether rows of the piece are to be evaluated once more, in other company: at first, and then after 1, 2, 4,
        8, ... pieces."""
        if len(piece.rows) < 2:
            return False
        self._pieces += 1
        return self._confirmed < CHECKED or self._pieces & (self._pieces - 1) == 0

    def _sample(self, rows: Rows) -> Rows:
        """At most half of the rows, mixed: a single row, or the order it had, may be right by accident."""
        return np.random.default_rng(self._pieces).permutation(rows)[: min(len(rows) // 2, CHECKED)]

    def _confirm(
        self, check: Piece, found: Evaluation | Fault, piece: Piece, answer: Evaluation, again: deque[Piece]
    ) -> Iterator[tuple[Rows, Evaluation]]:
        """Yield the piece's answer if rows of it have the same one in other company; else all are done alone."""
        if isinstance(found, Fault) and found.kind is Kind.LOST and check.losses < DONE_AGAIN:
            again.append(replace(check, losses=check.losses + 1))
            return
        if not isinstance(found, Fault) and _same(found, answer.take(np.searchsorted(piece.rows, check.rows))):
            self._confirmed += len(check.rows)
            self._together += len(piece.rows)
            yield piece.rows, answer
            return
        if not self._alone:
            LOG.warning(
                "answers change with the rows beside them: from here on every row is evaluated alone, and %d "
                "earlier ones may be wrong",
                self._together,
            )
        self._alone = True
        again.extend(Piece(row[None]) for row in piece.rows)

    def _mend(
        self, piece: Piece, fault: Fault, wall_s: float, again: deque[Piece]
    ) -> Iterator[tuple[Rows, Evaluation]]:
        """Find the rows that are to blame, and fail them. An exception is found by halving; after a time limit or a
        lost worker, rows go alone, for such faults are dear."""
        lost = fault.kind is Kind.LOST
        if len(piece.rows) > 1 and fault.kind in (Kind.RAISED, Kind.MALFORMED):
            again.extend(Piece(half) for half in np.array_split(piece.rows, 2))
        elif len(piece.rows) > 1:
            again.extend(Piece(row[None], piece.losses + lost) for row in piece.rows)
        elif lost and piece.losses < DONE_AGAIN:
            again.append(Piece(piece.rows, piece.losses + 1))
        else:
            self._told += 1
            if self._told <= SAID:
                LOG.warning("a design failed: %s%s", fault.text, "; no more of these" if self._told == SAID else "")
            text = f"{fault.text}, twice" if lost else fault.text
            yield piece.rows, failed(self._evaluator, 1, text, wall_s)


def _same(one: Evaluation, other: Evaluation) -> bool:
    """Whether two answers to the same rows agree in what they say."""
    ours, theirs = one.per_row(), other.per_row()
    names = [(f, k) for f in ("metrics", "violation", "status", "reason") for k in ours[f]]
    return all(k in theirs[f] and _equal(ours[f][k], theirs[f][k]) for f, k in names)


def _equal(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(np.array_equal(one, other, equal_nan=one.dtype.kind == "f"))
