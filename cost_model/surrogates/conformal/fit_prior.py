"""Priors of intervals: how far a predictor lies off on kernels of families that it was not shown.

    prior = make_prior(tables, refit)

`refit` is given the tables of all other families and gives a predictor that learned from those alone; what it says of
the kernels of the family left out, without labels and with some, is what the prior is made of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cost_model.corpus.hls.label_draws import label_rows, seeds_of, truth_of, why_skipped, with_cycles
from cost_model.corpus.hls.leaks import apart
from cost_model.surrogates.conformal.prior import Prior, Seen, Shape, shape_of
from cost_model.surrogates.conformal.residuals import left_out, residuals_of
from cost_model.surrogates.conformal.surrogate import who
from cost_model.surrogates.predictor import METRICS, Predictor
from frontends.hls_results.tables import KernelTable

COUNTS = (0, 20)  # of labels, that a prior is made for
Refit = Callable[[list[KernelTable]], Predictor]


@dataclass(frozen=True)
class Lesson:
    """What one kernel's table teaches: by count of labels and metric the residuals of each draw."""

    family: str
    digest: str
    seen: Mapping[int, Mapping[str, list[Seen]]]


def make_prior(
    tables: Sequence[KernelTable],
    refit: Refit,
    counts: Sequence[int] = COUNTS,
    seed: int = 0,
    normalised: bool = False,
    progress: Callable[[str], None] = lambda line: None,
) -> Prior:
    """Of tables of at least two families. Kernels with too few designs to be judged teach nothing. Raises ValueError
    where none is left, and what `refit` raises."""
    lessons: list[Lesson] = []
    name = ""
    for family in sorted({table.family for table in tables}):
        asked = [t for t in tables if t.family == family and not why_skipped(t, counts)]
        if not asked:
            continue
        progress(f"without {family}")
        predictor = refit(apart(tables, asked))
        name = who(predictor, normalised)
        lessons += [lesson(predictor, table, counts, seed, normalised) for table in asked]
    return prior_of(name, lessons)


def lesson(
    predictor: Predictor, table: KernelTable, counts: Sequence[int], seed: int, normalised: bool = False
) -> Lesson:
    """Of a table by a predictor that has not seen its family."""
    seen: dict[int, dict[str, list[Seen]]] = {}
    for count in counts:
        seen[count] = {metric: [] for metric in METRICS}
        for draw in seeds_of(count, seed):
            rows = label_rows(table, count, draw)
            rest = truth_of(table.take(np.setdiff1d(with_cycles(table), rows)))
            labels = truth_of(table.take(rows)) if count else None
            evaluator = predictor.fitted(table.kernel, table.target, labels, draw)
            own, terms = left_out(predictor, table.kernel, table.target, labels, draw, normalised)
            for metric, values in residuals_of(evaluator, rest, terms, draw).items():
                known = values[np.isfinite(values)]
                if len(known):
                    seen[count][metric].append((own[metric], known))
    return Lesson(table.family, table.kernel.digest, seen)


def prior_of(name: str, lessons: Sequence[Lesson]) -> Prior:
    """Of the lessons of a predictor called `name`. Raises ValueError where there are none."""
    if not lessons:
        raise ValueError("no kernel with enough designs to make a prior of")
    shapes: dict[int, dict[str, Shape]] = {}
    for count in lessons[0].seen:
        for metric in METRICS:
            kernels = [draws for one in lessons if (draws := one.seen[count][metric])]
            if kernels:
                shapes.setdefault(count, {})[metric] = shape_of(kernels)
    return Prior(name, frozenset(x.family for x in lessons), frozenset(x.digest for x in lessons), shapes)
