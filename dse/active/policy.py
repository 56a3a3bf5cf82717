"""Which design to ask the truth about next, and what was learned: all decisions of the active loop, and nothing of how
they are carried out.

A policy is asked for one query at a time and told answers in any order. What it decides follows from its seed and from
the labels in the order in which it was told them, so that a run goes on by telling it all of its queries and labels
again. Where a space is scored as a whole that is all; a pool that was walked together is walked together anew, so that
such a run goes on well, and not with the same designs as an unbroken one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from design.contracts import Acquisition, Dataset, Evaluator, Space, Surrogate, Task, labelled
from design.core import Batch, Bools, Evaluation, Floats, Genomes, Objective, Rows, Status, gather
from dse.active.acquisition import Posterior, expected_hypervolume_improvement, hypervolume, reference_point
from dse.active.candidate_pool import CandidatePool
from dse.active.counting import CountingEvaluator
from dse.active.posterior import logarithms
from dse.records.archive import objective_values
from dse.search.engine import Effort

POOL_LIMIT = 5_000  # unlabelled designs that are scored again by a new version, the most promising
FEASIBLE_SHARE = 0.5  # of the likeliest design: as likely feasible as that, it is expected on the front
EXPLORE_EVERY = 3  # of so many designs one is chosen by draws, which explore; the others by medians
MIN_IMPROVEMENT = 0.02  # of the hypervolume: medians that promise less have found what they can
PATIENCE = 2  # versions in a row that must expect little before a search ends by itself


@dataclass(frozen=True)
class Plan:
    """The `first` designs are drawn at random. `every` labels there is a new version of the model (0: never); between
    two, `generations` of a search widen the pool. The search ends where the best design is expected to add less than
    `least_gain` of the hypervolume."""

    first: int = 0
    every: int = 5
    generations: int = 10
    least_gain: float = 0.0


@dataclass(frozen=True)
class Query:
    """A design to ask about. `provenance` is fit for JSON: the model's number and version, what it predicts of the
    design, and how much it is expected to add."""

    key: bytes
    genome: Genomes  # (1, genes)
    batch: Batch  # of one row
    provenance: Mapping[str, Any]


class ActivePolicy:
    """Chooses designs of a task's space by what a surrogate predicts of them. The surrogate is conditioned anew for
    each version of the model; `guard` is put around every version. `acquisition` is one of ACQUISITIONS."""

    def __init__(
        self,
        task: Task,
        space: Space,
        surrogate: Surrogate,
        objectives: Sequence[Objective],
        effort: Effort,
        plan: Plan,
        guard: Callable[[Evaluator], Evaluator] = lambda evaluator: evaluator,
        acquisition: Acquisition = expected_hypervolume_improvement,
    ) -> None:
        self._guard, self._acquisition = guard, acquisition
        self.task, self.space, self.surrogate = task, space, surrogate
        self.objectives, self.effort, self.plan = objectives, effort, plan
        self.pool = CandidatePool(space, objectives, effort.seed)
        self.version = -1  # of the model; none yet
        self._seen = 0  # labels that it has learned from
        self.renewed = False  # whether the last query was the first of a new version
        self.scored: Counter[str] = Counter()  # rows, by who said the first objective
        self.ended: str | None = None
        self._designs: list[Batch] = []
        self._answers: list[Evaluation] = []
        self._keys: set[bytes] = set()  # labelled, or on their way
        self._pending: dict[bytes, Query] = {}
        self._front: Floats = np.empty((0, len(objectives)))  # of feasible labels, as logarithms
        self._order: list[bytes] = []  # of labels, as they came
        self._gains: dict[int, float] = {}  # the most that a version expected of a design, as a share

    @property
    def labels(self) -> int:
        """How many answers came."""
        return len(self._designs)

    def ask(self) -> Query | None:
        """The next query; None where there is none, or none as long as others are pending. `ended` says where there
        will be none."""
        before = self.version
        if self.ended is None:
            self._prepare()
        self.renewed = self.version > before
        if self.ended is not None:
            return None
        rows = self._open()
        if not len(rows):  # the space may have more than was thought of
            self.pool.widen(self.model, self._effort(len(self.pool)), self.plan.generations, self._starts(self._seen))
            rows = self._open()
        if not len(rows):
            self.ended = None if self._pending else "no new designs to buy"
            return None
        if (asked := len(self._keys)) < self.plan.first:
            rng = np.random.default_rng([self.effort.seed, asked])
            query = self._query_of(int(rng.choice(rows)), math.inf)
        else:
            query = self._best_of(rows)
        self.pending(query)
        return query

    def _open(self) -> Rows:
        """Rows of the pool that are neither labelled nor on their way."""
        return np.array([row for row, key in enumerate(self.pool.keys) if key not in self._keys], dtype=np.int64)

    def _best_of(self, rows: Rows) -> Query:
        """By medians, as long as they promise something; now and then, and where they do not, by draws."""
        assert self.pool.posterior is not None
        posterior, pending, corner = self.pool.posterior.take(rows), self._on_their_way(), self._corner()
        there = hypervolume(self._front, corner)
        since = self._seen if len(self._front) else 0  # without a feasible label, all that was tried counts
        unlike = self.pool.diversity(rows, [*self._order[since:], *self._pending])
        gains = unlike * self._acquisition(posterior.mean_only, self._front, pending.mean_only, corner)
        asked = len(self._order) + len(self._pending)
        if len(self._front) and (asked % EXPLORE_EVERY == EXPLORE_EVERY - 1 or gains.max() < MIN_IMPROVEMENT * there):
            # Calibrated intervals are as wide beside a label as far from all: there it is known better.
            near = 1 - self.pool.diversity(rows, [*self._order, *self._pending], nearest=True)
            gains = unlike * self._acquisition(posterior.shrunk(near), self._front, pending, corner)
        # Where nothing is expected to help, one that is likely to count.
        best = int(np.argmax(gains if gains.max() > 0 else unlike * posterior.feasibility))
        share = float(gains.max()) / there if there > 0 else math.inf
        return self._query_of(int(rows[best]), share)

    def pending(self, query: Query) -> None:
        """A query is on its way, asked for now or in an earlier session. Of one that was answered in an earlier
        session, this comes before `tell`."""
        gain, version = query.provenance["expected_gain"], query.provenance["version"]
        self._gains[version] = max(self._gains.get(version, 0.0), math.inf if gain is None else gain)
        self._keys.add(query.key)
        self._pending[query.key] = query

    def tell(self, key: bytes, design: Batch, answer: Evaluation) -> None:
        """The truth's answer about a design, one row."""
        self._pending.pop(key, None)
        self._keys.add(key)
        self._order.append(key)
        self._designs.append(design)
        self._answers.append(answer)
        if answer.status[0] == Status.OK:
            point = logarithms(objective_values(answer, self.objectives), self.objectives)
            if np.isfinite(point).all():
                self._front = np.concatenate([self._front, point])

    def promising(self) -> tuple[Batch, Evaluation, Floats] | None:
        """Designs without a label that the model expects on the front, what it predicts of them, and how likely each is
        feasible; None where it expects none."""
        posterior, answers = self.pool.posterior, self.pool.answers
        if posterior is None or answers is None:
            return None
        rows = self._open()
        rows = rows[(posterior.feasibility[rows] >= 0.5) & (answers.status[rows] == Status.OK)]
        if not len(rows):
            return None
        from moocore import is_nondominated

        points = logarithms(objective_values(answers.take(rows), self.objectives), self.objectives)
        whole = np.concatenate([self._front, points])
        kept = rows[is_nondominated(whole, keep_weakly=False)[len(self._front) :]]
        if not len(kept):
            return None
        return self.pool.batch.take(kept), answers.take(kept), posterior.feasibility[kept]

    def _prepare(self) -> None:
        """A new version of the model where one is due, and a wider pool."""
        every = self.plan.every
        due = self.labels // every if every else 0
        if self.version >= due:
            return
        recent = [gain for version, gain in sorted(self._gains.items()) if version < due][-PATIENCE:]
        if len(recent) == PATIENCE and max(recent) < self.plan.least_gain:
            self.ended = f"no design is expected to add {self.plan.least_gain:g} of the hypervolume any more"
            return
        self.version = due
        # Of the labels up to a round number: later ones must not matter to a run that goes on.
        self._seen = seen = due * every
        self.model = self._learned(seen)
        self.pool.rescored(self.model, self._kept())
        self.pool.widen(self.model, self._effort(), self.plan.generations, self._starts(seen))

    def _learned(self, seen: int) -> Evaluator:
        labels = None
        if seen:
            designs = Batch.concat(self._designs[:seen])
            answers = gather([(np.array([row]), one) for row, one in enumerate(self._answers[:seen])], seen)
            labels = labels_of(self.task, designs, answers)
        model = self._guard(self.surrogate.condition(self.task, labels, seed=self.effort.seed))
        return CountingEvaluator(model, self.objectives[0].metric, self.scored)

    def _effort(self, again: int = 0) -> Effort:
        """Another walk for each version, and each time that it is walked `again`."""
        return replace(self.effort, seed=self.effort.seed + self.version + again)

    def _starts(self, seen: int) -> Genomes:
        """Where a search begins: the designs that count, and those that the last version expected on the front."""
        sound = [d for d, a in zip(self._designs[:seen], self._answers[:seen], strict=True) if a.status[0] == Status.OK]
        found = [self.space.encode(Batch.concat(sound))] if sound else []
        if (hopeful := self.promising()) is not None:
            found.append(self.space.encode(hopeful[0]))
        return np.concatenate([*found, self.pool.genomes[:0]])

    def _kept(self) -> Bools:
        """(n,) which designs of the pool the next version is to score: all of a whole space, else those that were
        bought or are on their way, and the most promising of the others."""
        posterior = self.pool.posterior
        if posterior is None or self.pool.whole or len(self.pool) <= POOL_LIMIT:
            return np.ones(len(self.pool), dtype=bool)
        kept: Bools = np.array([key in self._keys for key in self.pool.keys], dtype=bool)
        gains = self._acquisition(posterior, self._front, posterior.take(np.arange(0)), self._corner())
        order = np.lexsort((-posterior.feasibility, -gains))
        kept[order[~kept[order]][:POOL_LIMIT]] = True
        return kept

    def _corner(self) -> Floats:
        """The reference that hypervolume is measured up to: a little beyond the worst values of the front that is known
        and posterior_of. Further off, the ends of the front would count for more than all between them."""
        points = self._front
        if (posterior := self.pool.posterior) is not None and len(posterior):
            # Of designs that cannot count, beliefs may mean nothing.
            likely = (posterior.feasibility > 0) & (
                posterior.feasibility >= FEASIBLE_SHARE * posterior.feasibility.max()
            )
            points = np.concatenate([points, posterior.mean[likely]])
        if not len(points):
            return np.zeros(len(self.objectives))
        from moocore import is_nondominated

        return reference_point(points[is_nondominated(points)])

    def _on_their_way(self) -> Posterior:
        posterior = self.pool.posterior
        assert posterior is not None
        rows = [row for key in self._pending if (row := self.pool.row(key)) is not None]
        return posterior.take(np.array(rows, dtype=np.int64))

    def _query_of(self, row: int, share: float) -> Query:
        posterior, answers = self.pool.posterior, self.pool.answers
        assert posterior is not None and answers is not None
        one = answers.take(np.array([row]))
        why = {
            "version": self.version,
            "model": f"{self.model.name}/{self.model.version}",
            "labels_before": self.labels,
            "expected_gain": None if math.isinf(share) else share,
            "sound": float(posterior.feasibility[row]),
            "said": predicted(one, 0, self.task.metrics),
        }
        return Query(self.pool.keys[row], self.pool.genomes[[row]], self.pool.batch.take(np.array([row])), why)


def predicted(answer: Evaluation, row: int, metrics: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What an answer predicts of a design, by metric and fit for JSON: of all that it has an interval for, and of those
    of the task's `metrics` that it has a number for; unknown ends of an interval are None."""
    stated = [name for name in answer.interval if name in answer.metrics]
    stated += [name for name in metrics if name in answer.metrics and name not in answer.interval]
    return {
        name: {
            "median": _number(answer.metrics[name][row]),
            "interval": [_number(end) for end in answer.interval[name][row]] if name in answer.interval else [None] * 2,
            "by": str(answer.source[name][row]),
        }
        for name in stated
    }


def labels_of(task: Task, designs: Batch, answers: Evaluation) -> Dataset | None:
    """What a truth answered about designs, as surrogates are shown it; None where it answered about none. A design that
    FAILED says nothing."""
    rows = np.flatnonzero(labelled(answers))
    return Dataset(task, designs.take(rows), answers.take(rows)) if len(rows) else None


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
