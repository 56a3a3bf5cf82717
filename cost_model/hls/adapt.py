"""What some designs with known results teach about the others of a kernel: a correction of the estimate.

The estimator knows how directives act in general; what it gets wrong is mostly a rule of the tool that this kernel
meets. The residuals log2(truth / estimate) of labelled designs are therefore modelled by their robust mean, shrunk
towards none, and a forest over the directives. Twenty labels take the RMSE of log2(cycles) / 2 from 0.6 to 0.4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cost_model.surrogates.tables.residual_forest import FEWEST, PRIOR_LABELS, Regression, residual_forest
from design.core import Floats, Ints
from design.hls.design import COARSE, FLATTEN, VU9P
from design.hls.loop_nest import PIPELINE, Kernel
from design.metrics import HLS_METRICS

FOLDS = 5


def log_residual(name: str, truth: Floats, estimate: Floats) -> Floats:
    """log2(truth / estimate), (n,); NaN where the truth is unknown. A resource that a table rounds to nothing is known
    to lie below one percent of the device: its residual is what the estimate lies above that."""
    estimate = np.maximum(estimate, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        residual = np.log2(truth / estimate)
    if name != "cycles":
        least = VU9P.reported * VU9P.resources[name]
        residual = np.where(truth == 0, np.minimum(np.log2(least / estimate), 0.0), residual)
    return residual


def features(kernel: Kernel, columns: Mapping[str, Ints], estimate: Mapping[str, Floats]) -> Floats:
    """Designs as rows for a forest, (n, k): the estimates, then `local_features`."""
    known = [np.log2(np.maximum(estimate[name], 1.0)) for name in HLS_METRICS[:2]]
    return np.concatenate([np.stack(known, axis=1), local_features(kernel, columns)], axis=1)


def local_features(kernel: Kernel, columns: Mapping[str, Ints]) -> Floats:
    """(n, k) of each directive its factor, whether it is the whole loop and whether it leaves a remainder."""
    found: list[NDArray[Any]] = []
    for parameter in kernel.parameters:
        value = columns[parameter.name]
        if parameter.kind == PIPELINE:
            found += [value == COARSE, value == FLATTEN]
            continue
        trip = kernel.loops[parameter.loop].trip.mean
        factor = np.maximum(value, 1).astype(np.float64)
        found += [np.log2(factor), factor >= trip, np.mod(trip, factor) != 0]
    if not found:
        return np.empty((1, 0))
    return np.stack([np.asarray(column, dtype=np.float64) for column in found], axis=1)


@dataclass(frozen=True)
class Correction:
    """Learned from `labels` designs, whose numbers and the seed make `digest`. `shift` is per metric, added to log2 of
    the estimate beside what the `forest` (of all metrics at once, or None) says. `spread[metric]` (low, high) around
    it holds 90 % of cross-validated residuals. Of `unreported` resources a label was 0: the tool leaves out small
    counts."""

    labels: int
    digest: str
    shift: Mapping[str, float]
    spread: Mapping[str, tuple[float, float]]
    forest: Regression | None
    unreported: frozenset[str] = frozenset()

    def log2_factor(self, rows: Floats) -> dict[str, Floats]:
        """Per metric what to add to log2 of the estimate, (n,), from `features`."""
        count = len(rows)
        said = np.zeros((count, len(HLS_METRICS)))
        if self.forest is not None and count:
            said = self.forest.predict(rows)
        return {name: self.shift[name] + said[:, place] for place, name in enumerate(HLS_METRICS)}


def learn(
    rows: Floats,
    residuals: Mapping[str, Floats],
    base: Mapping[str, tuple[float, float]],
    seed: int,
    unreported: frozenset[str] = frozenset(),
) -> Correction:
    """From labelled designs: `rows` (n, k) of `features` and `residuals` (n,) without NaN; `base` are the spreads that
    hold without labels; see `Correction` for `unreported`."""
    table = np.stack([residuals[name] for name in HLS_METRICS], axis=1)
    digest = blake2b(rows.tobytes() + table.tobytes() + str(seed).encode(), digest_size=3).hexdigest()
    if not len(table):
        return Correction(0, digest, dict.fromkeys(HLS_METRICS, 0.0), dict(base), None)
    shift = _shift(table)
    forest = residual_forest(rows, table - shift, seed) if len(table) >= FEWEST else None
    left = _left_out(rows, table, seed)
    spread = {name: _spread(left[:, place], base[name]) for place, name in enumerate(HLS_METRICS)}
    shifts = dict(zip(HLS_METRICS, shift.tolist(), strict=True))
    return Correction(len(table), digest, shifts, spread, forest, unreported)


def _shift(table: Floats) -> Floats:
    shift: Floats = np.median(table, axis=0) * len(table) / (len(table) + PRIOR_LABELS)
    return shift


def _left_out(rows: Floats, table: Floats, seed: int) -> Floats:
    """Residuals of each label, corrected by what the others taught."""
    fold = np.random.default_rng(seed).permutation(len(table)) % FOLDS
    left = table.copy()
    for number in range(FOLDS):
        out, kept = fold == number, fold != number
        if not kept.any() or not out.any():
            continue
        shift = _shift(table[kept])
        left[out] -= shift
        if kept.sum() >= FEWEST:
            left[out] -= residual_forest(rows[kept], table[kept] - shift, seed).predict(rows[out])
    return left


def _spread(left: Floats, base: tuple[float, float]) -> tuple[float, float]:
    """90 % of new residuals lie within: the sizes of those left out, one more than their share, since they are few."""
    sizes = np.sort(np.abs(left))
    place = int(np.ceil(0.9 * (len(sizes) + 1)))
    if place > len(sizes):  # too few to say so much
        return base
    size = float(sizes[place - 1])
    return (-size, size)
