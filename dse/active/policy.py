"""What to buy next, and what was learned from it: all decisions of the active loop, and none of its business.

A search wishes for one design at a time and hears of answers in any order. What it decides follows from its seed and
from the labels in the order in which it heard of them, so that a run goes on by telling it all of its wishes and labels
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

from design.contracts import Evaluator, Space
from design.core import Batch, Bools, Evaluation, Floats, Genomes, Objective, Rows, Status, gather
from dse.active.acquisition import Belief, expected_gain, hypervolume, reference
from dse.active.candidate_pool import Pool
from dse.active.counting import Tallied
from dse.active.learner import Learner
from dse.active.posterior import logarithms
from dse.records.archive import objective_values
from dse.search.engine import Effort

MOST_KEPT = 5_000  # unlabelled designs that are scored again by a new version, the most promising
LIKELY = 0.5  # of the likeliest design: as sound as that, it is believed to be on the front
BOLD = 3  # of so many designs, one is chosen by draws, which dare more; the others by medians, which are right sooner
LITTLE = 0.02  # of the hypervolume: medians that promise less have found what they can
CALM = 2  # versions in a row that must expect little before a search ends by itself


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
class Wish:
    """A design to buy. `why` is fit for JSON: the model's number and version, what it says of the design, and how much
    it is expected to add."""

    key: bytes
    genome: Genomes  # (1, genes)
    batch: Batch  # of one row
    why: Mapping[str, Any]


class ActiveSearch:
    """Wishes for designs of a space, by a learner's word on them. `guard` is put around every version of its model."""

    def __init__(
        self,
        space: Space,
        learner: Learner,
        objectives: Sequence[Objective],
        effort: Effort,
        plan: Plan,
        guard: Callable[[Evaluator], Evaluator] = lambda evaluator: evaluator,
    ) -> None:
        self._guard = guard
        self.space, self.learner, self.objectives, self.effort, self.plan = space, learner, objectives, effort, plan
        self.pool = Pool(space, objectives, effort.seed)
        self.version = -1  # of the model; none yet
        self._seen = 0  # labels that it has learned from
        self.renewed = False  # whether the last wish was the first of a new version
        self.scored: Counter[str] = Counter()  # rows, by who said the first objective
        self.ended: str | None = None
        self._designs: list[Batch] = []
        self._answers: list[Evaluation] = []
        self._keys: set[bytes] = set()  # labelled, or on their way
        self._pending: dict[bytes, Wish] = {}
        self._front: Floats = np.empty((0, len(objectives)))  # of sound labels, as logarithms
        self._order: list[bytes] = []  # of labels, as they were heard of
        self._gains: dict[int, float] = {}  # the most that a version expected of a design, as a share

    @property
    def labels(self) -> int:
        """How many answers were heard."""
        return len(self._designs)

    def wish(self) -> Wish | None:
        """The next design to buy; None where there is none, or none as long as others are on their way. `ended` says
        where there will be none."""
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
            wish = self._wish_of(int(rng.choice(rows)), math.inf)
        else:
            wish = self._best_of(rows)
        self.expect(wish)
        return wish

    def _open(self) -> Rows:
        """Rows of the pool that are neither labelled nor on their way."""
        return np.array([row for row, key in enumerate(self.pool.keys) if key not in self._keys], dtype=np.int64)

    def _best_of(self, rows: Rows) -> Wish:
        """By medians, as long as they promise something; now and then, and where they do not, by draws."""
        assert self.pool.belief is not None
        belief, pending, corner = self.pool.belief.take(rows), self._on_their_way(), self._corner()
        there = hypervolume(self._front, corner)
        since = self._seen if len(self._front) else 0  # who has found nothing sound keeps away from all that was tried
        unlike = self.pool.unlike(rows, [*self._order[since:], *self._pending])
        gains = unlike * expected_gain(belief.plain, self._front, pending.plain, corner)
        asked = len(self._order) + len(self._pending)
        if len(self._front) and (asked % BOLD == BOLD - 1 or gains.max() < LITTLE * there):
            # Calibrated intervals are as wide beside a label as far from all: there it is known better.
            near = 1 - self.pool.unlike(rows, [*self._order, *self._pending], nearest=True)
            gains = unlike * expected_gain(belief.surer(near), self._front, pending, corner)
        # Where nothing is expected to help, one that is likely to count.
        best = int(np.argmax(gains if gains.max() > 0 else unlike * belief.sound))
        share = float(gains.max()) / there if there > 0 else math.inf
        return self._wish_of(int(rows[best]), share)

    def expect(self, wish: Wish) -> None:
        """A design is on its way, wished for now or in an earlier sitting. Of one that was answered in an earlier
        sitting, this comes before `hear`."""
        gain, version = wish.why["expected_gain"], wish.why["version"]
        self._gains[version] = max(self._gains.get(version, 0.0), math.inf if gain is None else gain)
        self._keys.add(wish.key)
        self._pending[wish.key] = wish

    def hear(self, key: bytes, design: Batch, answer: Evaluation) -> None:
        """The truth's word on a design, one row."""
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
        """Designs not bought that the model sees on the front, what it says of them, and how likely each is to count;
        None where it sees none."""
        belief, answers = self.pool.belief, self.pool.answers
        if belief is None or answers is None:
            return None
        rows = self._open()
        rows = rows[(belief.sound[rows] >= 0.5) & (answers.status[rows] == Status.OK)]
        if not len(rows):
            return None
        from moocore import is_nondominated

        points = logarithms(objective_values(answers.take(rows), self.objectives), self.objectives)
        whole = np.concatenate([self._front, points])
        kept = rows[is_nondominated(whole, keep_weakly=False)[len(self._front) :]]
        if not len(kept):
            return None
        return self.pool.batch.take(kept), answers.take(kept), belief.sound[kept]

    def _prepare(self) -> None:
        """A new version of the model where one is due, and a wider pool."""
        every = self.plan.every
        due = self.labels // every if every else 0
        if self.version >= due:
            return
        recent = [gain for version, gain in sorted(self._gains.items()) if version < due][-CALM:]
        if len(recent) == CALM and max(recent) < self.plan.least_gain:
            self.ended = f"no design is expected to add {self.plan.least_gain:g} of the hypervolume any more"
            return
        self.version = due
        # Of the labels up to a round number: what was heard since then must not matter to a run that goes on.
        self._seen = seen = due * every
        self.model = self._learned(seen)
        self.pool.rescored(self.model, self._kept())
        self.pool.widen(self.model, self._effort(), self.plan.generations, self._starts(seen))

    def _learned(self, seen: int) -> Evaluator:
        designs = answers = None
        if seen:
            designs = Batch.concat(self._designs[:seen])
            answers = gather([(np.array([row]), one) for row, one in enumerate(self._answers[:seen])], seen)
        return Tallied(self._guard(self.learner.learned(designs, answers)), self.objectives[0].metric, self.scored)

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
        belief = self.pool.belief
        if belief is None or self.pool.whole or len(self.pool) <= MOST_KEPT:
            return np.ones(len(self.pool), dtype=bool)
        kept: Bools = np.array([key in self._keys for key in self.pool.keys], dtype=bool)
        gains = expected_gain(belief, self._front, belief.take(np.arange(0)), self._corner())
        order = np.lexsort((-belief.sound, -gains))
        kept[order[~kept[order]][:MOST_KEPT]] = True
        return kept

    def _corner(self) -> Floats:
        """The reference that hypervolume is measured up to: a little beyond the worst values of the front that is known
        and believed. Further off, the ends of the front would count for more than all between them."""
        points = self._front
        if (belief := self.pool.belief) is not None and len(belief):
            # Of designs that cannot count, beliefs may mean nothing.
            likely = (belief.sound > 0) & (belief.sound >= LIKELY * belief.sound.max())
            points = np.concatenate([points, belief.middle[likely]])
        if not len(points):
            return np.zeros(len(self.objectives))
        from moocore import is_nondominated

        return reference(points[is_nondominated(points)])

    def _on_their_way(self) -> Belief:
        belief = self.pool.belief
        assert belief is not None
        rows = [row for key in self._pending if (row := self.pool.row(key)) is not None]
        return belief.take(np.array(rows, dtype=np.int64))

    def _wish_of(self, row: int, share: float) -> Wish:
        belief, answers = self.pool.belief, self.pool.answers
        assert belief is not None and answers is not None
        one = answers.take(np.array([row]))
        names = [name for name in one.interval if name in one.metrics]
        why = {
            "version": self.version,
            "model": f"{self.model.name}/{self.model.version}",
            "labels_before": self.labels,
            "expected_gain": None if math.isinf(share) else share,
            "sound": float(belief.sound[row]),
            "said": {
                name: {
                    "median": _number(one.metrics[name][0]),
                    "interval": [_number(end) for end in one.interval[name][0]],
                    "by": str(one.source[name][0]),
                }
                for name in names
            },
        }
        return Wish(self.pool.keys[row], self.pool.genomes[[row]], self.pool.batch.take(np.array([row])), why)


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
