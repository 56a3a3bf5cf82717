"""Which rows of a data set are labels, which are scored, and over which seeds.

Labels are drawn by the designs' keys, so that the order of a file's rows does not matter.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from design.contracts import Dataset
from design.core import Rows, key_bytes

LEAST_ROWS = 40  # with an answer, for a task to be judged
LEAST_SCORED = 20  # of them beside the labels
SEEDS = 3  # draws of the labels that are averaged


def answered_rows(data: Dataset) -> Rows:
    """Rows that numbers are scored on: those for which the task's first metric is known."""
    return np.flatnonzero(data.metric(data.task.metrics[0]) > 0)


def known_rows(data: Dataset, metric: str) -> Rows:
    """Those of them for which a metric is known as well."""
    rows = answered_rows(data)
    return rows[np.isfinite(data.metric(metric)[rows])]


def why_skipped(data: Dataset, label_counts: Sequence[int]) -> str:
    """Why a task cannot be judged; "" where it can."""
    rows, least = len(answered_rows(data)), max(LEAST_ROWS, max(label_counts, default=0) + LEAST_SCORED)
    return f"{rows} of {len(data)} designs have {data.task.metrics[0]}, fewer than {least}" if rows < least else ""


def label_rows(data: Dataset, count: int, seed: int) -> Rows:
    """`count` random rows with an answer. More labels of the same seed include the fewer."""
    rows = answered_rows(data)
    keys = key_bytes(data.batch.schema.key(data.batch.take(rows)))
    order = np.array(sorted(range(len(rows)), key=keys.__getitem__), dtype=np.int64)
    return rows[order[np.random.default_rng(seed).permutation(len(rows))[:count]]]


def seeds_of(count: int, seed: int) -> tuple[int, ...]:
    """The seeds that are averaged: without labels nothing is drawn, and one is enough."""
    return tuple(seed + i for i in range(SEEDS)) if count else (seed,)
