"""A truth with its ledger: what was answered once is never bought again, and nothing that was paid for is lost."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from design.contracts import Truth
from design.core import Batch, Bools, Evaluation, Rows, Status, gather, key_bytes
from evaluators.execution.faults import Answered, Fault, Kind, checked, failed
from evaluators.execution.workers import ThisProcess, Workers
from evaluators.truth.ledger import Answer, Ledger

DONE_AGAIN = 1  # times that a design is bought again after its worker was lost


class CachedTruth:
    """Answers as `truth` does: from the ledger where it has an answer, else by a call, several at once where `workers`
    makes workers for that (`Threads` here, `RayWorkers` on a cluster). Rows are yielded as they are answered.

    A call is in the ledger before it starts, its answer before it is yielded. A design that was begun and not answered
    is bought again. One that FAILED is answered so for ever, unless `again` asks for another call; an answer then
    stands for it. A design with two answers that differ is FAILED, "answered differently". A design twice in a batch
    is one call. Nothing is written about designs that the truth does not sell.

    Rows from the ledger say what they cost when they were bought: what a run has really spent is in the ledger.
    `stop` is asked all the time; where it says so running calls are given up, and the stream ends early.
    """

    def __init__(
        self,
        truth: Truth,
        ledger: Ledger,
        workers: Callable[[], Workers] | None = None,
        again: bool = False,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self._truth, self.ledger, self._again, self._stop = truth, ledger, again, stop
        self.name, self.version, self.fidelity = truth.name, truth.version, truth.fidelity
        self.metrics: Mapping[str, str] = truth.metrics
        self.call_cost = truth.call_cost
        self._make = workers or (lambda: ThisProcess(truth, None))
        self._workers: Workers | None = None
        self._failed_now: set[bytes] = set()  # in this sitting; they are not tried again in it
        self._numbers = itertools.count()

    def __enter__(self) -> CachedTruth:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the workers go, and what they are doing; the ledger stays open."""
        workers, self._workers = self._workers, None
        if workers is not None:
            workers.close()

    def accepts(self, batch: Batch) -> Bools:
        """See `Truth`."""
        return self._truth.accepts(batch)

    def knows(self, batch: Batch) -> Bools:
        """(n,): which designs are answered without a call."""
        keys = key_bytes(batch.schema.key(batch)) if len(batch) else []
        known = self._known(keys)
        return np.array([known.get(key) is not None for key in keys], dtype=bool)

    def cancel(self) -> None:
        """See `Truth`."""
        self._truth.cancel()

    def evaluate(self, batch: Batch, *, seed: int) -> Evaluation:
        """See `Evaluator`. A stop is no exception here: rows without an answer are FAILED, at no cost."""
        pieces = list(self.stream(batch, seed=seed))
        missing = np.setdiff1d(np.arange(len(batch)), [row for rows, _ in pieces for row in rows.tolist()])
        if len(missing):
            pieces.append((missing, failed(self._truth, len(missing), "stopped", 0.0)))
        return gather(pieces, len(batch))

    def stream(self, batch: Batch, *, seed: int) -> Iterator[tuple[Rows, Evaluation]]:
        """See `Evaluator`."""
        sold = self._truth.accepts(batch)
        if not sold.all() or not len(batch):
            rows = np.flatnonzero(~sold)
            yield rows, self._truth.evaluate(batch.take(rows), seed=seed)
        wanted: dict[bytes, list[int]] = {}
        if sold.any():
            for row, key in enumerate(key_bytes(batch.schema.key(batch))):
                if sold[row]:
                    wanted.setdefault(key, []).append(row)
        known = {key: answer for key, answer in self._known(list(wanted)).items() if answer is not None}
        if known:
            rows = np.array([row for key in known for row in wanted[key]], dtype=np.int64)
            yield rows, self._evaluation([known[key] for key in known for _ in wanted[key]])
        waiting = deque(key for key in wanted if key not in known)

        def next_one() -> tuple[bytes, Batch] | None:
            if not waiting:
                return None
            key = waiting.popleft()
            return key, batch.take(np.array(wanted[key][:1]))

        for key, _, answer in self._calls(next_one, seed):
            yield np.array(wanted[key]), answer.take(np.zeros(len(wanted[key]), dtype=np.int64))

    def buy(self, wish: Callable[[], Batch | None], seed: int) -> Iterator[tuple[Batch, Evaluation]]:
        """Designs as they are wished for, a batch of one row each, with their answers as they come: a late one holds
        nobody up. `wish` is asked whenever a call can start; None is nothing for now. The stream ends where nothing is
        wished for and nothing is running, or at a stop. What the ledger knows and what the truth does not sell is
        answered at once, without a call."""

        def next_one() -> tuple[bytes, Batch] | None:
            one = wish()
            return None if one is None else (key_bytes(one.schema.key(one))[0], one)

        for _, one, answer in self._calls(next_one, seed):
            yield one, answer

    def _known(self, keys: list[bytes]) -> dict[bytes, Answer | None]:
        """What the ledger says of designs; None where it is to be bought."""
        found = self.ledger.answers(f"{self.name}/{self.version}", keys)
        return {key: self._verdict(key, answers) for key, answers in found.items()}

    def _verdict(self, key: bytes, answers: list[Answer]) -> Answer | None:
        """One answer of all that a design has."""
        said = [answer for answer in answers if answer.status != Status.FAILED]
        if not said:
            return None if self._again and key not in self._failed_now else answers[-1]
        for other in said[1:]:
            if difference := said[0].differs(other):
                reason, unknown = f"answered differently: {difference}", dict.fromkeys(said[0].metrics, np.nan)
                nothing = dict.fromkeys(said[0].violation, np.nan)
                return Answer(Status.FAILED, reason, sum(one.cost_s for one in said), unknown, nothing)
        return said[0]

    def _at_once(self, key: bytes, one: Batch, seed: int) -> Evaluation | None:
        """What can be said of a design without a call; None where it takes one."""
        if not self._truth.accepts(one)[0]:
            return self._truth.evaluate(one, seed=seed)
        answer = self._known([key]).get(key)
        return None if answer is None else self._evaluation([answer])

    def _calls(
        self, next_one: Callable[[], tuple[bytes, Batch] | None], seed: int
    ) -> Iterator[tuple[bytes, Batch, Evaluation]]:
        """Call by call, as `next_one` names designs. What is running when nobody listens any more is given up."""
        again = deque[tuple[bytes, Batch, int]]()
        running: dict[int, tuple[bytes, Batch, int, int]] = {}  # task -> design, workers lost over it, call
        try:
            while not self._stop():
                while not self._stop() and (self._workers is None or self._workers.idle()):
                    if again:
                        key, one, losses = again.popleft()
                    elif (named := next_one()) is not None:
                        (key, one), losses = named, 0
                    else:
                        break
                    if (answer := self._at_once(key, one, seed)) is not None:
                        yield key, one, answer
                        continue
                    if self._workers is None:
                        self._workers = self._make()
                        if not self._workers.idle():  # they take a while to start
                            again.append((key, one, losses))
                            break
                    call = self.ledger.begin(
                        f"{self.name}/{self.version}", key, one.schema.text(one, 0), self.call_cost
                    )
                    running[task := next(self._numbers)] = key, one, losses, call
                    self._workers.start(task, one, seed)
                if not running and not again:
                    return
                assert self._workers is not None
                for task, answered in self._workers.finished():
                    key, one, losses, call = running.pop(task)
                    lost = isinstance(answered.answer, Fault) and answered.answer.kind is Kind.LOST
                    if lost and losses < DONE_AGAIN:
                        again.append((key, one, losses + 1))
                        continue
                    yield key, one, self._settled(key, call, answered)
        finally:
            if running:
                self.close()

    def _settled(self, key: bytes, call: int, answered: Answered) -> Evaluation:
        """The answer of a call, once it is in the ledger."""
        answer = answered.answer
        if not isinstance(answer, Fault):
            answer = checked(answer, self._truth, 1, ())
        if isinstance(answer, Fault):
            # Never quite 0: the tool was asked.
            answer = failed(self._truth, 1, answer.text, max(answered.wall_s, 1e-6))
        found = Answer(
            status=Status(int(answer.status[0])),
            reason=str(answer.reason[0]),
            cost_s=float(answer.cost_s[0]),
            metrics={name: float(values[0]) for name, values in answer.metrics.items()},
            violation={name: float(values[0]) for name, values in answer.violation.items()},
        )
        self.ledger.end(call, found)
        if found.status == Status.FAILED:
            self._failed_now.add(key)
        known = self._known([key])[key]  # an earlier answer may say something else
        return self._evaluation([known or found])

    def _evaluation(self, answers: list[Answer]) -> Evaluation:
        """Answers as rows."""
        rows = len(answers)
        names = {name: None for answer in answers for name in answer.violation}
        lacking = [np.nan if answer.status == Status.FAILED else 0.0 for answer in answers]
        metrics = {
            name: np.array([answer.metrics.get(name, np.nan) for answer in answers], dtype=np.float64)
            for name in self.metrics
        }
        return Evaluation(
            metrics=metrics,
            violation={
                name: np.array([a.violation.get(name, no) for a, no in zip(answers, lacking, strict=True)])
                for name in names
            },
            status=np.array([answer.status for answer in answers], dtype=np.int8),
            reason=np.array([answer.reason for answer in answers], dtype=str),
            cost_s=np.array([answer.cost_s for answer in answers], dtype=np.float64),
            source=dict.fromkeys(self.metrics, np.full(rows, f"{self.name}/{self.version}")),
            interval={name: np.stack([values, values], axis=1) for name, values in metrics.items()},
        )
