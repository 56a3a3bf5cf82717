"""How a surrogate is judged on a kernel: which rows are its labels, which are scored, and over which seeds.

Every row with cycles is scored, valid or not, unless it is one of the labels; validity is scored on all rows but the
labels. Labels are drawn by the designs' keys, so that the order of a file's rows does not matter. A row for which a
surrogate has no number is scored on the median of its other answers for the kernel, and counted as filled: no row is
left out, and saying nothing is no better than guessing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cost_model.corpus.label_draws import answered_rows, known_rows, label_rows, seeds_of
from design.contracts import Dataset, Surrogate
from design.core import Evaluation, Rows
from design.metrics import VALID
from evaluators.scoring.figures import FIELDS, Fields, f1, figures
from evaluators.scoring.profiles import Profile, mean_profiles, profiles_of

VALIDITY = "valid"  # the block of validity beside those of the metrics

Choose = Callable[[Surrogate, Dataset, int, int], Rows]  # which `count` rows with cycles are labels, by a seed
Blocks = dict[str, Fields]  # by metric, and "valid" -> {"f1": ..}


@dataclass(frozen=True)
class TaskScore:
    """One kernel's figures and, by metric, its profiles, averaged over the seeds. `scored` and `judged` are how many
    designs had their numbers and their validity compared, `filled` how many of them had no number of their own in some
    metric."""

    name: str
    blocks: Blocks
    profiles: dict[str, Profile]
    scored: int
    judged: int
    filled: float
    seen: bool


def drawn(surrogate: Surrogate, table: Dataset, count: int, seed: int) -> Rows:
    """The same random rows for all predictors."""
    return label_rows(table, count, seed)


def score_task(surrogate: Surrogate, table: Dataset, count: int, seed: int, choose: Choose = drawn) -> TaskScore:
    """A surrogate's figures on one kernel with `count` labels. Raises InputError as `figures` does."""
    labels = [choose(surrogate, table, count, s) for s in seeds_of(count, seed)]
    found = [_score(surrogate, table, rows, s) for rows, s in zip(labels, seeds_of(count, seed), strict=True)]
    blocks = {name: mean_fields([blocks[name] for blocks, _, _ in found]) for name in found[0][0]}
    profiles = mean_profiles([profiles for _, profiles, _ in found])
    filled = float(np.mean([lost for _, _, lost in found]))
    seen = surrogate.trained_on.contains(table.task.family, table.task.digest)
    scored, judged = len(answered_rows(table)) - count, len(table) - count
    return TaskScore(table.task.name, blocks, profiles, scored, judged, filled, seen)


def _score(surrogate: Surrogate, table: Dataset, labelled: Rows, seed: int) -> tuple[Blocks, dict[str, Profile], int]:
    who = f"{surrogate.name} on {table.task.name} ({table.provenance.where})"
    labels = table.take(labelled) if len(labelled) else None
    evaluator = surrogate.condition(table.task, labels, seed=seed)
    rest = table.take(np.setdiff1d(np.arange(len(table)), labelled))
    answer = evaluator.evaluate(rest.batch, seed=seed)
    answer, filled = _filled(answer, answered_rows(rest), table.task.metrics)
    blocks = blocks_of(rest, answer, who)
    return blocks, profiles_of(rest, answer, answered_rows(rest)), filled


def _filled(answer: Evaluation, rows: Rows, names: Sequence[str]) -> tuple[Evaluation, int]:
    """The answer with the median of a metric where one of `rows` has no number of it, and how many rows that were. An
    interval there is that number alone. A metric without any number stays as it is, for `figures` to refuse."""
    metrics, interval, lost = dict(answer.metrics), dict(answer.interval), np.zeros(len(answer), dtype=bool)
    for metric in set(names) & set(metrics):
        bad = np.zeros(len(answer), dtype=bool)
        bad[rows] = np.isnan(metrics[metric][rows])
        if bad.any() and not bad[rows].all():
            middle = np.nanmedian(metrics[metric][rows])
            metrics[metric] = np.where(bad, middle, metrics[metric])
            if metric in interval:
                interval[metric] = np.where(bad[:, None], middle, interval[metric])
        lost |= bad
    return replace(answer, metrics=metrics, interval=interval), int(lost.sum())


def blocks_of(table: Dataset, answer: Evaluation, who: str) -> Blocks:
    """Figures of an answer for all rows of a table, of each metric where the truth of it is known."""
    blocks: Blocks = {}
    for metric in table.task.metrics:
        rows = known_rows(table, metric)
        if metric not in answer.metrics or not len(rows):
            blocks[metric] = dict.fromkeys(FIELDS)
            continue
        interval, samples = answer.interval.get(metric), answer.samples.get(metric)
        blocks[metric] = figures(
            metric,
            table.metric(metric)[rows],
            answer.metrics[metric][rows],
            None if interval is None else interval[rows],
            None if samples is None else samples[rows],
            answer.level,
            who,
        )
    blocks[VALIDITY] = {"f1": f1(table.feasible, answer.metrics[VALID], who) if VALID in answer.metrics else None}
    return blocks


def mean_fields(rows: Sequence[Mapping[str, float | None]]) -> Fields:
    """Field by field the mean of those that apply; None where none does. `rows` has at least one."""
    found: Fields = {}
    for name in rows[0]:
        values = [value for row in rows if (value := row[name]) is not None]
        found[name] = float(np.mean(values)) if values else None
    return found
