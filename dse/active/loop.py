"""The active loop at work: it puts a policy's queries to the truth, and keeps all of it.

A query is written to the run's store before the truth is asked, its label after; the ledger of the truth has every call
before it starts. So a run that was killed knows on its return what was labelled and what was on its way: that is asked
first, and the ledger answers what was answered.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from design.contracts import called
from design.core import Batch, Evaluation, Status, gather, key_bytes
from dse.active.policy import ActivePolicy, Query, predicted
from dse.active.prospective import prospective_errors
from dse.records.archive import Archive
from dse.records.store import Store
from dse.search.explore import FAILING, Watcher
from evaluators.truth.cached import CachedTruth

QUERY, TIERS, PREDICTED = "wish/", "tiers", "predicted"  # facts of a store; the first keeps its name of format 2
LabelsWriter = Callable[[Sequence[Query], Evaluation], None]
TELL_SHARE = 0.05  # of the time that writing labels may take: where there are thousands, not after each
MOST_SHOWN = 60  # designs that were not labelled and are shown


class ActiveRun:
    """A policy with its truth, budget and store. `budget` are designs that the tool is run on; what the ledger knew
    beforehand costs nothing. `changed` is called with all labels, after each of them where that is cheap, and at the
    end."""

    def __init__(
        self,
        policy: ActivePolicy,
        truth: CachedTruth,
        store: Store,
        budget: int,
        halt: Callable[[], str | None] = lambda: None,
        most_failures: int | None = None,
        cpu_s: Callable[[], float] = time.process_time,
        changed: LabelsWriter = lambda queries, answers: None,
    ) -> None:
        self.policy, self.truth, self.store, self.budget = policy, truth, store, budget
        self.archive = Archive(policy.objectives)
        self._halt, self._most_failures, self._changed = halt, most_failures, changed
        self._again = deque[Query]()  # queried in an earlier session and not answered
        self._queries: dict[bytes, Query] = {}
        self._free: set[bytes] = set()
        self._answers: list[tuple[Query, Evaluation]] = []
        self._failures = self._paid = 0
        self._tell_at = 0.0
        self._past, self._begin, self._cpu_s = (0.0, 0.0), (time.monotonic(), cpu_s()), cpu_s

    @property
    def left(self) -> int:
        """Designs that the tool may yet be run on."""
        return max(self.budget - self._paid, 0)

    def run(self, watch: Sequence[Watcher] = ()) -> tuple[Archive, str]:
        """Query until the budget is spent, the policy ends, or `halt` says so. Returns what was found, and why it
        ended."""
        self._recall()
        ended = None
        for design, answer in self.truth.buy(self._next, self.policy.effort.seed):
            self._take(design, answer)
            self._tell()
            for watcher in watch:
                watcher(self.archive)
            if (ended := self._failed_too_often(answer)) is not None:
                break
        self._note()
        self._tell(last=True)
        return self.archive, ended or self._halt() or self._why_over()

    def state(self) -> str:
        """For people who watch: what each tier was asked, what is left, how far off the model is."""
        tiers = ", ".join(f"{who} {count:,}" for who, count in self.policy.scored.most_common())
        parts = [f"tool {self._paid} of {self.budget} runs", f"scored by {tiers or 'nobody'}"]
        first = self.policy.objectives[0].metric
        queries, answers = self.labels()
        if answers is not None:
            fresh = prospective_errors([query.provenance for query in queries], answers, first)
            held, stated = fresh.held
            if fresh.error is not None:
                parts.append(f"fresh {first} off by {fresh.error:.0%}, {held} of {stated} in their intervals")
        return "; ".join(parts)

    def labels(self) -> tuple[list[Query], Evaluation | None]:
        """What was labelled, in the order in which it came, and the answers."""
        if not self._answers:
            return [], None
        pieces = [(np.array([row]), answer) for row, (_, answer) in enumerate(self._answers)]
        return [query for query, _ in self._answers], gather(pieces, len(pieces))

    def _recall(self) -> None:
        """Where an earlier session left off."""
        known = self.store.answers(0)
        done = {} if known is None else {key: row for row, key in enumerate(known.keys)}
        for name in [name for name in self.store.facts if name.startswith(QUERY)]:
            note = self.store.facts[name]
            genome = np.array([note["genome"]], dtype=np.int64)
            batch = self.policy.space.decode(genome)
            query = Query(bytes.fromhex(note["key"]), genome, batch, note["why"])
            self._queries[query.key] = query
            self._free |= {query.key} if note["free"] else set()
            self._paid += not note["free"]
            self.policy.pending(query)
            if query.key not in done:
                self._again.append(query)
        self.policy.scored.update(self.store.facts.get(TIERS, {}))
        steps = self.store.steps()
        self._past = steps[-1][1:] if steps else (0.0, 0.0)
        for key, row in done.items():
            assert known is not None
            answer = known.evaluation.take(np.array([row]))
            seconds = steps[row][1] if row < len(steps) else self._past[0]
            self._add(self._queries[key], answer, seconds)
            if row >= len(steps):  # killed between the two
                self.store.finish(row, row + 1, *self._past)

    def _next(self) -> Batch | None:
        """See `CachedTruth.buy`."""
        if self._halt() is not None:
            return None
        if self._again:
            return self._again.popleft().batch
        if not self.left or (query := self.policy.ask()) is None:
            return None
        if self.policy.renewed:
            self._note()
        free = bool(self.truth.knows(query.batch)[0])
        note = {"key": query.key.hex(), "genome": query.genome[0].tolist(), "free": free, "why": dict(query.provenance)}
        self.store.facts[f"{QUERY}{len(self._queries):06d}"] = note
        self._queries[query.key] = query
        self._free |= {query.key} if free else set()
        self._paid += not free
        return query.batch

    def _take(self, design: Batch, answer: Evaluation) -> None:
        """Keep a label, or that there is none."""
        query = self._queries[key_bytes(design.schema.key(design))[0]]
        number = self.archive.candidates
        wall, cpu = (past + now - begin for past, now, begin in zip(self._past, self._now(), self._begin, strict=True))
        self.store.add(number, np.array([number]), query.genome, [query.key], answer)
        self.store.finish(number, number + 1, wall, cpu)
        self._add(query, answer, wall)

    def _tell(self, last: bool = False) -> None:
        """Have the labels written, unless that would take more than its share of the time."""
        begin = time.monotonic()
        queries, answers = self.labels()
        if answers is not None and (last or begin >= self._tell_at):
            self._changed(queries, answers)
            now = time.monotonic()
            self._tell_at = now + (now - begin) / TELL_SHARE

    def _now(self) -> tuple[float, float]:
        return time.monotonic(), self._cpu_s()

    def _add(self, query: Query, answer: Evaluation, seconds: float) -> None:
        if query.key not in self._free and not called(answer)[0]:
            self._paid -= 1  # the tool was never run
        self._answers.append((query, answer))
        self.policy.tell(query.key, query.batch, answer)
        self.archive.add(np.array([self.archive.candidates]), query.genome, answer, seconds)

    def _note(self) -> None:
        """Keep what the model sees ahead, for the report."""
        self.store.facts[TIERS] = dict(self.policy.scored)
        found = self.policy.promising()
        designs: list[dict[str, Any]] = []
        if found is not None:
            batch, answers, sound = found
            for row in range(min(len(batch), MOST_SHOWN)):
                said = predicted(answers, row, self.policy.task.metrics)
                said = {name: one for name, one in said.items() if one["median"] is not None}
                text = batch.schema.text(batch, row)
                designs.append({"design": text, "sound": float(sound[row]), "said": said})
        self.store.facts[PREDICTED] = {"version": self.policy.version, "designs": designs}

    def _failed_too_often(self, answer: Evaluation) -> str | None:
        self._failures = self._failures + 1 if answer.status[0] == Status.FAILED else 0
        if self._most_failures is None or self._failures < self._most_failures:
            return None
        return f"{FAILING}: the last {self._failures} designs all failed ({answer.reason[0]})"

    def _why_over(self) -> str:
        if self.policy.ended is not None:
            return self.policy.ended
        return f"budget of {self.budget} tool runs spent"
