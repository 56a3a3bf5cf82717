"""All designs that the model has scored, and how the pool of them grows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from design.contracts import Evaluator, Space
from design.core import Batch, Bools, Evaluation, Floats, Genomes, Ints, Objective, Rows, gather
from dse.active.acquisition import Posterior
from dse.active.posterior import posterior_of
from dse.search.engine import Effort, Enumeration, make_search
from dse.search.explore import tell
from dse.search.propose import Candidates

ASKED_WITH = 0
NEIGHBOURS = 0.15  # mean difference of columns, as shares of what they span, up to which designs are much alike
WHOLE = 20_000  # designs of a space that is scored as a whole


class CandidatePool:
    """Designs by number, each once, with the answers and posterior of one model version. A version is asked with one
    seed whatever that of the run, which is that of the posterior's draws."""

    def __init__(self, space: Space, objectives: Sequence[Objective], seed: int) -> None:
        self.space, self.objectives, self.seed = space, tuple(objectives), seed
        self.whole = space.size is not None and space.size <= WHOLE
        self.genomes: Genomes = np.empty((0, len(space.bounds)), dtype=np.int64)
        self.keys: list[bytes] = []
        self.batch: Batch = space.decode(self.genomes)
        self.answers: Evaluation | None = None
        self.posterior: Posterior | None = None
        self._row: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self.keys)

    def row(self, key: bytes) -> int | None:
        """Of a design, None where it is not here."""
        return self._row.get(key)

    def diversity(self, rows: Rows, keys: Sequence[bytes], nearest: bool = False) -> Floats:
        """(n,) in 0 .. 1, how little the designs of some rows are like those with these keys, in what they are and in
        what is posterior_of of them: like any of them, or like the `nearest`. What a label says of its neighbours is
        known to the next version only."""
        found = np.ones(len(rows))
        others = [row for key in keys if (row := self._row.get(key)) is not None]
        if not others or self.posterior is None:
            return found
        middle = self.posterior.mean
        columns = [self.batch.columns[column.name].reshape(len(self), -1) for column in self.batch.schema.columns]
        places = np.log2(1.0 + np.abs(np.concatenate(columns, axis=1)))
        places /= np.maximum(np.ptp(places, axis=0), 1e-9)
        for other in others:
            apart = np.abs(places[rows] - places[other]).mean(axis=1) / NEIGHBOURS
            told = middle[rows] - middle[other]
            from_it = 1 - np.exp(-(apart**2 + (told**2).sum(axis=1)) / 2)
            found = np.minimum(found, from_it) if nearest else found * from_it
        return found

    def rescored(self, evaluator: Evaluator, kept: Bools) -> None:
        """Answers and posterior of another version, of the designs that are `kept` (n,)."""
        if not kept.all():
            rows = np.flatnonzero(kept)
            self.genomes, self.batch = self.genomes[rows], self.batch.take(rows)
            self.keys = [self.keys[row] for row in rows.tolist()]
            self._row = {key: row for row, key in enumerate(self.keys)}
        if len(self):
            self.answers = evaluator.evaluate(self.batch, seed=ASKED_WITH)
            self.posterior = posterior_of(self.answers, self.batch, self.objectives, self.seed)

    def widen(self, evaluator: Evaluator, effort: Effort, generations: int, starts: Genomes) -> None:
        """Add what `evaluator` makes of so many generations of a search that begins at `starts`; of a small space all
        designs at once."""
        if self.whole:
            every = Enumeration(self.space, replace(effort, population=self.space.size or 1)).ask()
            if every is not None and not len(self):
                self._add(every, evaluator)
            return
        search = make_search(_StartedAt(self.space, starts), effort, "auto", len(self.objectives), 0)
        for _ in range(generations):
            candidates = search.ask()
            if candidates is None:
                return
            rows = self._add(candidates, evaluator)
            assert self.answers is not None
            tell(search, candidates, self.answers.take(rows), self.objectives)

    def _add(self, candidates: Candidates, evaluator: Evaluator) -> Ints:
        """Score those that are new. Returns the numbers of all, by row."""
        new = np.array([row for row, key in enumerate(candidates.keys) if key not in self._row], dtype=np.int64)
        if len(new):
            before, batch = len(self), candidates.batch.take(new)
            answers = evaluator.evaluate(batch, seed=ASKED_WITH)
            self.keys += [candidates.keys[row] for row in new.tolist()]
            self._row |= {key: before + row for row, key in enumerate(self.keys[before:])}
            self.genomes = np.concatenate([self.genomes, candidates.genomes[new]])
            self.batch = Batch.concat([self.batch, batch])
            posterior = posterior_of(answers, batch, self.objectives, self.seed)
            if self.answers is not None and self.posterior is not None:
                rows = np.arange(len(self))
                answers = gather([(rows[:before], self.answers), (rows[before:], answers)], len(self))
                posterior = self.posterior.concat(posterior)
            self.answers, self.posterior = answers, posterior
        return np.array([self._row[key] for key in candidates.keys], dtype=np.int64)


class _StartedAt:
    """A space whose known designs to begin with are others as well."""

    def __init__(self, space: Space, starts: Genomes) -> None:
        self._space, self._starts = space, starts
        self.schema, self.bounds, self.size = space.schema, space.bounds, space.size
        self.sample, self.vary, self.decode, self.encode = space.sample, space.vary, space.decode, space.encode

    def starts(self) -> Genomes:
        """See `Space`."""
        return np.concatenate([self._starts, self._space.starts()])
