"""What table models learn: the published targets, log2(1e7 / cycles) / 2 and log2(1 + count) / 2."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from design.core import Floats

METRICS = ("cycles", "lut", "ff", "dsp", "bram")
REFERENCE_CYCLES = 1e7


def targets(values: Mapping[str, Floats]) -> Floats:
    """(n, metrics) of values by metric, (n,) each."""
    columns = [np.log2(REFERENCE_CYCLES / values["cycles"]) / 2]
    columns += [np.log2(1 + values[metric]) / 2 for metric in METRICS[1:]]
    return np.stack(columns, axis=1)


def values(found: Floats) -> dict[str, Floats]:
    """The inverse: cycles of at least 1, counts of at least 0."""
    metrics = {"cycles": np.maximum(REFERENCE_CYCLES / np.exp2(2 * found[:, 0]), 1.0)}
    for i, metric in enumerate(METRICS[1:], 1):
        metrics[metric] = np.maximum(np.exp2(2 * found[:, i]) - 1, 0.0)
    return metrics
