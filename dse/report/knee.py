"""The knee of a front: where giving up a little of one objective stops buying much of another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from design.core import Floats

FLAT = 1e-9  # closer to the plane than this share of the front's box is on it


def knee(values: Floats, signs: Sequence[int]) -> int | None:
    """The row of `values`, (points, objectives), that is farthest below the plane through the extreme points.

    Each objective is turned so that less is better (`signs`) and scaled to [0, 1] over the front; the extreme points
    are its best in each objective (I. Das, "On characterizing the 'knee' of the Pareto curve based on normal-boundary
    intersection", Structural Optimization 18, 1999; J. Branke et al., "Finding knees in multi-objective
    optimization", PPSN 2004). Objectives that do not vary are left out. Where the extreme points span no plane that
    falls in every objective (the same point is best in two of three, say) the plane through the corners (1, 0, ..),
    (0, 1, ..), .. of the box stands in. None for fewer than three points, fewer than two objectives that vary, or
    where no point is below the plane. Of equal points the one with the lowest values counts.
    """
    points = np.asarray(values, dtype=np.float64) * np.asarray(signs, dtype=np.float64)
    if len(points) < 3:
        return None
    low, high = points.min(axis=0), points.max(axis=0)
    varies = high > low
    if varies.sum() < 2:
        return None
    scaled: Floats = ((points - low) / np.where(varies, high - low, 1.0))[:, varies]
    weights = _plane(scaled)
    below = (1.0 - scaled @ weights) / np.linalg.norm(weights)
    if below.max() <= FLAT:
        return None
    tied = np.flatnonzero(below >= below.max() - FLAT)
    return int(tied[np.lexsort(scaled[tied].T[::-1])[0]])


def _plane(scaled: Floats) -> Floats:
    """w of the plane w . x = 1 through the best point of each objective; all ones where that plane is of no use."""
    count = scaled.shape[1]
    extreme = np.empty((count, count))
    for i in range(count):
        # Of several points that are best in one objective, the one that is best in the others.
        others = np.roll(scaled, -i, axis=1)
        extreme[i] = scaled[np.lexsort(others.T[::-1])[0]]
    if np.linalg.matrix_rank(extreme, tol=1e-6) < count:
        return np.ones(count)
    weights = np.asarray(np.linalg.solve(extreme, np.ones(count)), dtype=np.float64)
    return weights if (weights > FLAT).all() else np.ones(count)
