"""Priors of intervals: how far a surrogate lies off on tasks of families that it was not shown.

    prior = make_prior(tables, refit, view)

`refit` is given a part's number and the tables that are apart from all of its families, and gives a surrogate that
learned from those alone; what it says of the tasks of the part, without labels and with some, is what the prior is made
of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cost_model.corpus.label_draws import answered_rows, label_rows, seeds_of, why_skipped
from cost_model.corpus.leaks import apart
from cost_model.surrogates.conformal.prior import Prior, Seen, Shape, shape_of
from cost_model.surrogates.conformal.residuals import cross_fitted_residuals, residuals_of
from cost_model.surrogates.conformal.surrogate import who
from cost_model.surrogates.lm.backbones.base_models import Base
from cost_model.training.models import MODELS
from cost_model.training.recipe import TrainingRecipe
from cost_model.training.trainer import Say, train
from cost_model.views.plain import PlainView
from design.contracts import Dataset, Surrogate
from design.core import Rows
from design.errors import InputError

PARTS = "parts"  # folder of the models that a prior is made with
COUNTS = (0, 20)  # of labels, that a prior is made for
MOST = 150  # designs of a task that are asked about
Refit = Callable[[int, list[Dataset]], Surrogate]


@dataclass(frozen=True)
class CalibrationExamples:
    """What one task's table teaches: by count of labels and metric the residuals of each draw."""

    family: str
    digest: str
    seen: Mapping[int, Mapping[str, list[Seen]]]


def parts_of(tables: Sequence[Dataset], parts: int, seed: int) -> list[frozenset[str]]:
    """The families, dealt out at random; none for no parts. Raises InputError for more parts than families, and where
    no table has enough designs to make a prior of."""
    families, where = sorted({table.task.family for table in tables}), "the recipe, field 'prior_parts'"
    if parts > len(families):
        raise InputError(where, f"is {parts}", f"at most {len(families)}, the families to learn from")
    if parts and all(why_skipped(table, COUNTS) for table in tables):
        raise InputError(
            where, f"is {parts}, and no results are enough: {why_skipped(tables[0], COUNTS)}", "more, or 0"
        )
    order = np.random.default_rng(seed).permutation(len(families))
    return [frozenset(families[place] for place in order[part::parts]) for part in range(parts)]


def some(table: Dataset) -> Dataset:
    """At most MOST designs with an answer, and as many without one as there are beside them."""
    if len(answered_rows(table)) <= MOST:
        return table
    share = MOST / len(answered_rows(table))
    rows: Rows = np.random.default_rng(0).permutation(len(table))[: round(share * len(table))]
    return table.take(np.sort(rows))


def prior_by_training(
    recipe: TrainingRecipe,
    tables: Sequence[Dataset],
    corpus: str,
    view: PlainView,
    folder: Path,
    base: Base | None = None,
    resume: bool = False,
    say: Say = lambda line: None,
) -> Prior:
    """Of the models of a recipe, by as many trainings without a part of the families as it says, each left in a folder
    of its own below `folder`, where `resume` goes on. Where a model has intervals of its own, they stand without
    labels: whether a tool reports 0 is beyond any one factor of counts. Raises what `parts_of` and `train` do."""
    kind, parts = MODELS[recipe.model], parts_of(tables, recipe.prior_parts, recipe.seed)

    def refit(number: int, rest: list[Dataset]) -> Surrogate:
        families, names = {table.task.family for table in rest}, ", ".join(sorted(parts[number]))
        less = {"validation": [name for name in recipe.validation if name in families], "prior_parts": 0}
        below = folder / PARTS / f"{number + 1}-of-{len(parts)}"
        say(f"part {number + 1} of {len(parts)}: without {names}")
        shorter = recipe.model_copy(update=less)
        return kind.surrogate(train(shorter, rest, f"{corpus} without {names}", view, below, base, resume, say), view)

    counts = tuple(labels for labels in COUNTS if labels or not kind.unsure)
    return make_prior(tables, refit, view, counts, recipe.seed, kind.unsure, parts)


def make_prior(
    tables: Sequence[Dataset],
    refit: Refit,
    view: PlainView,
    counts: Sequence[int] = COUNTS,
    seed: int = 0,
    normalised: bool = False,
    parts: Sequence[frozenset[str]] | None = None,
) -> Prior:
    """Of tables of at least two families, which are left out in `parts`, or one by one. Tasks with too few designs to
    be judged teach nothing. Raises ValueError where none is left, and what `refit` raises."""
    examples: list[CalibrationExamples] = []
    name = ""
    for number, part in enumerate(parts or [frozenset({family}) for family in sorted({t.task.family for t in tables})]):
        left = [table for table in tables if table.task.family in part]
        asked = [some(table) for table in left if not why_skipped(table, counts)]
        if not asked:
            continue
        surrogate = refit(number, apart(tables, left))
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
