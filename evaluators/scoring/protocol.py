"""How a predictor is judged on a kernel: which rows are its labels, which are scored, and over which seeds.

Every row with cycles is scored, valid or not, unless it is one of the labels; validity is scored on all rows but the
labels. Labels are drawn by the designs' keys, so that the order of a file's rows does not matter. A row for which a
predictor has no number is scored on the median of its other answers for the kernel, and counted as filled: no row is
left out, and saying nothing is no better than guessing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cost_model.corpus.hls.label_draws import label_rows, seeds_of, truth_of, with_cycles
from cost_model.surrogates.predictor import METRICS, VALID, Predictor
from design.core import Evaluation, Rows
from evaluators.scoring.figures import FIELDS, Fields, f1, figures
from evaluators.scoring.profiles import Profile, mean_profiles, profiles_of
from frontends.hls_results.tables import KernelTable

VALIDITY = "valid"  # the block of validity beside those of the metrics

Choose = Callable[[Predictor, KernelTable, int, int], Rows]  # which `count` rows with cycles are labels, by a seed
Blocks = dict[str, Fields]  # by metric, and "valid" -> {"f1": ..}


@dataclass(frozen=True)
class KernelScore:
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


def drawn(predictor: Predictor, table: KernelTable, count: int, seed: int) -> Rows:
    """The same random rows for all predictors."""
    return label_rows(table, count, seed)


def score_kernel(
    predictor: Predictor, table: KernelTable, count: int, seed: int, choose: Choose = drawn
) -> KernelScore:
    """A predictor's figures on one kernel with `count` labels. Raises InputError as `figures` does."""
    labels = [choose(predictor, table, count, s) for s in seeds_of(count, seed)]
    found = [_score(predictor, table, rows, s) for rows, s in zip(labels, seeds_of(count, seed), strict=True)]
    blocks = {name: mean_fields([blocks[name] for blocks, _, _ in found]) for name in found[0][0]}
    profiles = mean_profiles([profiles for _, profiles, _ in found])
    filled = float(np.mean([lost for _, _, lost in found]))
    seen = predictor.fitted_on.saw(table.family, table.kernel.digest)
    scored, judged = len(with_cycles(table)) - count, len(table) - count
    return KernelScore(table.name, blocks, profiles, scored, judged, filled, seen)


def _score(
    predictor: Predictor, table: KernelTable, labelled: Rows, seed: int
) -> tuple[Blocks, dict[str, Profile], int]:
    who = f"{predictor.name} on {table.name} of {table.target.tool}"
    labels = truth_of(table.take(labelled)) if len(labelled) else None
    evaluator = predictor.fitted(table.kernel, table.target, labels, seed)
    rest = table.take(np.setdiff1d(np.arange(len(table)), labelled))
    answer = evaluator.evaluate(rest.batch, seed=seed)
    answer, filled = _filled(answer, with_cycles(rest))
    blocks = blocks_of(rest, answer, who)
    return blocks, profiles_of(truth_of(rest).truth, answer, with_cycles(rest)), filled


def _filled(answer: Evaluation, rows: Rows) -> tuple[Evaluation, int]:
    """The answer with the median of a metric where one of `rows` has no number of it, and how many rows that were. An
    interval there is that number alone. A metric without any number stays as it is, for `figures` to refuse."""
    metrics, interval, lost = dict(answer.metrics), dict(answer.interval), np.zeros(len(answer), dtype=bool)
    for metric in set(METRICS) & set(metrics):
        bad = np.zeros(len(answer), dtype=bool)
        bad[rows] = np.isnan(metrics[metric][rows])
        if bad.any() and not bad[rows].all():
            middle = np.nanmedian(metrics[metric][rows])
            metrics[metric] = np.where(bad, middle, metrics[metric])
            if metric in interval:
                interval[metric] = np.where(bad[:, None], middle, interval[metric])
        lost |= bad
    return replace(answer, metrics=metrics, interval=interval), int(lost.sum())


def blocks_of(table: KernelTable, answer: Evaluation, who: str) -> Blocks:
    """Figures of an answer for all rows of a table."""
    rows, truth = with_cycles(table), truth_of(table).truth
    blocks: Blocks = {}
    for metric in METRICS:
        if metric not in answer.metrics:
            blocks[metric] = dict.fromkeys(FIELDS)
            continue
        interval, samples = answer.interval.get(metric), answer.samples.get(metric)
        blocks[metric] = figures(
            metric,
            truth[metric][rows],
            answer.metrics[metric][rows],
            None if interval is None else interval[rows],
            None if samples is None else samples[rows],
            answer.level,
            who,
        )
    blocks[VALIDITY] = {"f1": f1(table.valid, answer.metrics[VALID], who) if VALID in answer.metrics else None}
    return blocks


def mean_fields(rows: Sequence[Mapping[str, float | None]]) -> Fields:
    """Field by field the mean of those that apply; None where none does. `rows` has at least one."""
    found: Fields = {}
    for name in rows[0]:
        values = [value for row in rows if (value := row[name]) is not None]
        found[name] = float(np.mean(values)) if values else None
    return found
