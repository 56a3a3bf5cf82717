"""The table of scores: predictors by label counts, kernel means with the kernels beside them, as plain data; and what
goes with it place by place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from design.contracts import Dataset, Surrogate
from evaluators.scoring.figures import CALLED_VALID, FIELDS
from evaluators.scoring.profiles import PROFILES, RANKS, RIGHT, RIGHT_IN_5, mean_profiles
from evaluators.scoring.protocol import VALIDITY, Choose, TaskScore, drawn, mean_fields, score_task

UNITS: dict[str, Any] = {
    **FIELDS,
    "f1": f"F1 of 'valid' at a probability of {CALLED_VALID} or more, on all designs but the labels",
    "digits": PROFILES[RIGHT],
    "digits_pass_at_5": PROFILES[RIGHT_IN_5],
    "ranks": PROFILES[RANKS],
    "distance": "to the nearest training kernel of another family, in standard deviations of the training kernels",
    "y": "log2(1e7 / cycles) / 2 for cycles, log2(1 + count) / 2 for resources",
    "ape": "|predicted - truth| / truth for cycles, / max(truth, 1) for resources; a fraction, 0.25 is 25 %",
    "scored": "designs with cycles whose numbers are compared",
    "judged": "designs whose validity is compared",
    "filled": "of those scored, how many had no number and were given the median of the others, mean over the seeds",
    "mean": "all figures are means over kernels of those that apply; null does not apply",
}


def heading(count: int) -> str:
    """Of the block with so many labels."""
    return f"labels={count}"


def block(scores: Sequence[TaskScore], metrics: Sequence[str]) -> dict[str, Any]:
    """{metric: fields, .., "valid": {"f1"}, "kernels": {NAME: the same and how many designs}} of one label count."""
    found: dict[str, Any] = {}
    for name in (*metrics, VALIDITY):
        empty = dict.fromkeys(("f1",) if name == VALIDITY else FIELDS)
        found[name] = mean_fields([score.blocks[name] for score in scores]) if scores else empty
    found["kernels"] = {
        score.name: {
            **score.blocks,
            "scored": score.scored,
            "judged": score.judged,
            "filled": score.filled,
            "seen": score.seen,
        }
        for score in sorted(scores, key=lambda score: score.name)
    }
    return found


def score_tasks(
    surrogate: Surrogate,
    tables: Sequence[Dataset],
    label_counts: Sequence[int],
    seed: int,
    progress: Callable[[str], None] = lambda line: None,
    choose: Choose = drawn,
) -> dict[str, list[TaskScore]]:
    """{"labels=0": a score for each kernel, ..}. Raises InputError where the surrogate has no number for a design."""
    found = {}
    for count in label_counts:
        scores = []
        for table in tables:
            progress(f"{surrogate.name}, {count} labels, {table.task.name}")
            scores.append(score_task(surrogate, table, count, seed, choose))
        found[heading(count)] = scores
    return found


def blocks_by_labels(scored: Mapping[str, Sequence[TaskScore]], metrics: Sequence[str]) -> dict[str, Any]:
    """{"labels=0": block, ..} of what `score_tasks` found."""
    return {name: block(scores, metrics) for name, scores in scored.items()}


def places_by_labels(scored: Mapping[str, Sequence[TaskScore]]) -> dict[str, Any]:
    """{"digits": {"labels=0": {metric: {"right": [..], "pass_at_5": [..] or None}}, ..},
    "ranks": {"labels=0": {metric: [..] or None}, ..}}: PROFILES as means over the kernels, of the metrics that the
    surrogate has."""
    digits, ranks = {}, {}
    for name, scores in scored.items():
        means = mean_profiles([score.profiles for score in scores])
        plain = {m: {k: None if v is None else v.tolist() for k, v in p.items()} for m, p in means.items()}
        digits[name] = {metric: {part: p[part] for part in (RIGHT, RIGHT_IN_5)} for metric, p in plain.items()}
        ranks[name] = {metric: p[RANKS] for metric, p in plain.items()}
    return {"digits": digits, "ranks": ranks}


def score_table(
    surrogate: Surrogate,
    tables: Sequence[Dataset],
    label_counts: Sequence[int],
    seed: int,
    progress: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """{"labels=0": block, ..} of a surrogate. Raises InputError where it gives no number for a design."""
    return blocks_by_labels(score_tasks(surrogate, tables, label_counts, seed, progress), tables[0].task.metrics)
