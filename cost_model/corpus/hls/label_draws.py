"""Which rows of a table are labels, which are scored, and over which seeds.

Labels are drawn by the designs' keys, so that the order of a file's rows does not matter.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cost_model.surrogates.predictor import Labelled
from design.core import Rows, key_bytes
from frontends.hls_results.tables import KernelTable

LEAST_ROWS = 40  # with cycles, for a kernel to be judged
LEAST_SCORED = 20  # of them beside the labels
SEEDS = 3  # draws of the labels that are averaged


def truth_of(table: KernelTable) -> Labelled:
    """A table as designs with answers."""
    return Labelled(table.batch, {"cycles": table.cycles, **table.counts}, table.valid)


def with_cycles(table: KernelTable) -> Rows:
    """Rows that numbers are scored on."""
    return np.flatnonzero(table.cycles > 0)


def why_skipped(table: KernelTable, label_counts: Sequence[int]) -> str:
    """Why a kernel cannot be judged; "" where it can."""
    rows, least = len(with_cycles(table)), max(LEAST_ROWS, max(label_counts, default=0) + LEAST_SCORED)
    return f"{rows} of {len(table)} designs have cycles, fewer than {least}" if rows < least else ""


def label_rows(table: KernelTable, count: int, seed: int) -> Rows:
    """`count` random rows with cycles. More labels of the same seed include the fewer."""
    rows = with_cycles(table)
    keys = key_bytes(table.batch.schema.key(table.batch.take(rows)))
    order = np.array(sorted(range(len(rows)), key=keys.__getitem__), dtype=np.int64)
    return rows[order[np.random.default_rng(seed).permutation(len(rows))[:count]]]


def seeds_of(count: int, seed: int) -> tuple[int, ...]:
    """The seeds that are averaged: without labels nothing is drawn, and one is enough."""
    return tuple(seed + i for i in range(SEEDS)) if count else (seed,)
