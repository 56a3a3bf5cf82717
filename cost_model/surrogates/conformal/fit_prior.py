"""Priors of intervals: how far a surrogate lies off on kernels of families that it was not shown.

    prior = make_prior(tables, refit, view)

`refit` is given the tables of all other families and gives a surrogate that learned from those alone; what it says of
the kernels of the family left out, without labels and with some, is what the prior is made of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cost_model.corpus.label_draws import answered_rows, label_rows, seeds_of, why_skipped
from cost_model.corpus.leaks import apart
from cost_model.surrogates.conformal.prior import Prior, Seen, Shape, shape_of
from cost_model.surrogates.conformal.residuals import cross_fitted_residuals, residuals_of
from cost_model.surrogates.conformal.surrogate import who
from cost_model.views.plain import PlainView
from design.contracts import Dataset, Surrogate

COUNTS = (0, 20)  # of labels, that a prior is made for
Refit = Callable[[list[Dataset]], Surrogate]


@dataclass(frozen=True)
class CalibrationExamples:
    """What one kernel's table teaches: by count of labels and metric the residuals of each draw."""

    family: str
    digest: str
    seen: Mapping[int, Mapping[str, list[Seen]]]


def make_prior(
    tables: Sequence[Dataset],
    refit: Refit,
    view: PlainView,
    counts: Sequence[int] = COUNTS,
    seed: int = 0,
    normalised: bool = False,
    progress: Callable[[str], None] = lambda line: None,
) -> Prior:
    """Of tables of at least two families. Kernels with too few designs to be judged teach nothing. Raises ValueError
    where none is left, and what `refit` raises."""
    examples: list[CalibrationExamples] = []
    name = ""
    for family in sorted({table.task.family for table in tables}):
        asked = [t for t in tables if t.task.family == family and not why_skipped(t, counts)]
        if not asked:
            continue
        progress(f"without {family}")
        surrogate = refit(apart(tables, asked))
        name = who(surrogate, normalised)
        examples += [calibration_examples(surrogate, table, view, counts, seed, normalised) for table in asked]
    return prior_of(name, examples)


def calibration_examples(
    surrogate: Surrogate,
    table: Dataset,
    view: PlainView,
    counts: Sequence[int],
    seed: int,
    normalised: bool = False,
) -> CalibrationExamples:
    """Of a table by a surrogate that has not seen its family."""
    seen: dict[int, dict[str, list[Seen]]] = {}
    for count in counts:
        seen[count] = {metric: [] for metric in table.task.metrics}
        for draw in seeds_of(count, seed):
            rows = label_rows(table, count, draw)
            rest = table.take(np.setdiff1d(answered_rows(table), rows))
            labels = table.take(rows) if count else None
            evaluator = surrogate.condition(table.task, labels, seed=draw)
            own, terms = cross_fitted_residuals(surrogate, table.task, labels, view, draw, normalised)
            for metric, values in residuals_of(evaluator, rest, terms, draw).items():
                known = values[np.isfinite(values)]
                if len(known):
                    seen[count][metric].append((own[metric], known))
    return CalibrationExamples(table.task.family, table.task.digest, seen)


def prior_of(name: str, examples: Sequence[CalibrationExamples]) -> Prior:
    """Of the examples of a surrogate called `name`. Raises ValueError where there are none."""
    if not examples:
        raise ValueError("no kernel with enough designs to make a prior of")
    shapes: dict[int, dict[str, Shape]] = {}
    for count in examples[0].seen:
        for metric in examples[0].seen[count]:
            kernels = [draws for one in examples if (draws := one.seen[count][metric])]
            if kernels:
                shapes.setdefault(count, {})[metric] = shape_of(kernels)
    return Prior(name, frozenset(x.family for x in examples), frozenset(x.digest for x in examples), shapes)
