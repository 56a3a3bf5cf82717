"""Workers in other processes, on this machine or on a cluster: Ray actors that hold the evaluator. The only file that
imports ray, and only when workers are needed.

One task at a time is with a worker, so that when a worker is lost it is known what it was doing, and a task that takes
too long is stopped by ending its worker. A worker that is gone is replaced.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import tempfile
import threading
import time
from dataclasses import dataclass
from typing import Any

from design.contracts import Evaluator
from design.core import Batch, Schema
from design.errors import InputError
from evaluators.execution.faults import Answered, Fault, Kind, answer_of
from evaluators.execution.workers import Done, late

LOG = logging.getLogger("tilewright")
STORE_BYTES = 256 * 2**20  # shared memory for what is under way
KNOCK_S = 5.0  # for a cluster to take a connection
WAIT_S = 0.2  # between looks at time limits and stops
START_LIMIT_S = 120.0  # without any worker, before this is an error
START_TRIES = 3  # workers that end before they have begun, in a row


class Host:
    """What runs in a worker process."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._schema: Schema | None = None

    def ready(self) -> int:
        """Its process number."""
        return os.getpid()

    def take(self, schema: Schema) -> None:
        """The schema of the batches to come: it is the same for all and dearer to ship than their columns."""
        self._schema = schema

    def answer(self, columns: dict[str, Any], seed: int) -> Answered:
        """One task."""
        assert self._schema is not None
        # Ray's arrays are read-only; an evaluator that writes into its own must answer here as it does elsewhere.
        mine = {name: values.copy() for name, values in columns.items()}
        return answer_of(self._evaluator, Batch(self._schema, mine), seed)


def _knock(address: str) -> None:
    """Raises OSError where nobody listens at host:port: Ray tries that for 20 minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK_S).close()


@dataclass(eq=False)
class Seat:
    """A worker and the schema that it was told last."""

    actor: Any
    schema: Schema | None = None


class RayWorkers:
    """`count` actors, on the cluster at `address` or, where that is None, on this machine. Where this process has
    joined a cluster before, that one is used and left running.

    Raises InputError where the cluster cannot be reached or has too few processors, or workers do not start.
    """

    remote = True

    def __init__(self, evaluator: Evaluator, count: int, address: str | None = None, limit_s: float | None = None):
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        import ray

        self.count, self._limit_s, self._ray = count, limit_s, ray
        self._scratch: str | None = None
        self._starting: dict[Any, Seat] = {}  # by the reference to its first answer
        self._idle: list[Seat] = []
        self._busy: dict[Any, tuple[int, Seat, float]] = {}  # task, worker and begin, by reference
        self._own = not ray.is_initialized()
        if self._own:
            self._join(address)
        processors = int(ray.cluster_resources().get("CPU", 0))
        if processors < count:
            self.close()
            raise InputError("--process-num", f"{count} workers on a cluster of {processors} processors", "as many")
        self._evaluator = self._shipped(evaluator)
        self._actor: Any = ray.remote(num_cpus=1, max_restarts=0, scheduling_strategy="SPREAD")(Host)
        self._failed_starts, self._last_well = 0, time.monotonic()
        for _ in range(count):
            self._add()

    def _join(self, address: str | None) -> None:
        """Start Ray here, or join it there. Ray's own handler of SIGTERM and its notices are kept out."""
        ray, before = self._ray, signal.getsignal(signal.SIGTERM)
        logging.getLogger("ray").setLevel(logging.ERROR)
        options: dict[str, Any] = {"address": address}
        if address is None:
            # Ray's sockets need a short path; loopback, because nobody else is to come in.
            self._scratch = tempfile.mkdtemp(prefix="tw", dir="/tmp")
            options = {
                "address": "local",
                "num_cpus": self.count,
                "object_store_memory": STORE_BYTES,
                "_temp_dir": self._scratch,
                "_node_ip_address": "127.0.0.1",
                "include_dashboard": False,
            }
        try:
            if address is not None:
                _knock(address)
            ray.init(**options, log_to_driver=False, configure_logging=False, namespace="tilewright")
        except Exception as error:
            self.close()
            reason = " ".join(str(error).split())[:160]
            where, found = ("--process-num", "Ray does not start") if address is None else ("--ray-address", address)
            raise InputError(where, f"{found} ({reason})", "a Ray cluster of the same version") from None
        finally:
            if before is not None and threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, before)

    def _shipped(self, evaluator: Evaluator) -> Any:
        try:
            return self._ray.put(evaluator)
        except Exception as error:  # whatever pickling it calls forth
            self.close()
            reason = " ".join(str(error).split())[:160]
            found = f"the evaluator cannot be sent to other processes ({reason})"
            raise InputError("--process-num", found, "1, or an evaluator that can be pickled") from None

    def _add(self) -> None:
        actor = self._actor.remote(self._evaluator)
        self._starting[actor.ready.remote()] = Seat(actor)

    def idle(self) -> int:
        """See `Workers`."""
        return len(self._idle)

    def start(self, task: int, batch: Batch, seed: int) -> None:
        """See `Workers`."""
        seat = self._idle.pop()
        if seat.schema is not batch.schema:
            seat.actor.take.remote(batch.schema)
            seat.schema = batch.schema
        reference = seat.actor.answer.remote(dict(batch.columns), seed)
        self._busy[reference] = (task, seat, time.monotonic())

    def finished(self) -> list[Done]:
        """See `Workers`."""
        waiting = [*self._starting, *self._busy]
        ready, _ = self._ray.wait(waiting, num_returns=1, timeout=WAIT_S)
        if ready and len(waiting) > 1:
            ready, _ = self._ray.wait(waiting, num_returns=len(waiting), timeout=0)
        done = [self._ended(reference) for reference in ready if reference in self._busy]
        for reference in ready:
            if reference in self._starting:
                self._welcome(reference)
        done += [self._too_late(reference) for reference in self._overdue()]
        if self._busy or self._idle or done:
            self._last_well = time.monotonic()
        elif time.monotonic() - self._last_well > START_LIMIT_S:
            found = f"no worker started in {START_LIMIT_S:g} s"
            raise InputError("--process-num", found, "a cluster with free processors")
        return done

    def _ended(self, reference: Any) -> Done:
        """The answer of a task, or that its worker is lost."""
        task, seat, begin = self._busy.pop(reference)
        try:
            answered = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            spent = time.monotonic() - begin
            LOG.warning("a worker was lost (%s); its rows are done again", type(error).__name__)
            self._end(seat)
            return Done(task, Answered(Fault(Kind.LOST, "its worker process ended"), spent, 0.0))
        self._idle.append(seat)
        return Done(task, answered)

    def _welcome(self, reference: Any) -> None:
        """A worker that has begun, or has ended before that."""
        seat = self._starting.pop(reference)
        try:
            self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            self._failed_starts += 1
            reason = " ".join(str(error).split())[-200:]
            if self._failed_starts >= START_TRIES:
                raise InputError(
                    "--process-num", f"workers do not start ({reason})", "this program on all nodes"
                ) from None
            self._end(seat)
            return
        self._failed_starts = 0
        self._idle.append(seat)

    def _overdue(self) -> list[Any]:
        now = time.monotonic()
        limit_s = self._limit_s
        return [] if limit_s is None else [r for r, (_, _, begin) in self._busy.items() if now - begin > limit_s]

    def _too_late(self, reference: Any) -> Done:
        task, seat, begin = self._busy.pop(reference)
        self._end(seat)
        assert self._limit_s is not None
        return Done(task, Answered(late(self._limit_s), time.monotonic() - begin, 0.0))

    def _end(self, seat: Seat) -> None:
        """End a worker for good, and start another."""
        self._ray.kill(seat.actor, no_restart=True)
        self._add()

    def close(self) -> None:
        """See `Workers`. Ray is left as it was found."""
        if self._own:
            self._ray.shutdown()
        else:
            for seat in [*self._idle, *self._starting.values(), *(seat for _, seat, _ in self._busy.values())]:
                self._ray.kill(seat.actor, no_restart=True)
            self._idle, self._starting, self._busy = [], {}, {}
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
