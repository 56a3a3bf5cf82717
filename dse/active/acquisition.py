"""Which design to ask the truth about next: the one by which the front is expected to grow most (expected hypervolume
improvement; Emmerich, Giannakoglou and Naujoks, 2006).

Objectives are logarithms to minimise, so that an improvement is a matter of ratios, as the distance of fronts is. A
posterior is joint draws: of each, the growth of the dominated hypervolume is worked out, and weighed by how likely the
design is feasible. Pending designs are on the front of each draw as that draw has them, so that what is asked at once
differs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from design.core import Bools, Floats, Rows

BEYOND = 0.1  # of the span: how far behind the worst point the reference lies
DIRECTIONS = 256  # by which hypervolume is measured with three objectives and more


@dataclass(frozen=True)
class Posterior:
    """Of n designs: `draws` (n, k, objectives) and their `mean` (n, objectives), minimised, and `feasibility` (n,), the
    probability that a design counts."""

    draws: Floats
    mean: Floats
    feasibility: Floats

    def __len__(self) -> int:
        return len(self.draws)

    def take(self, rows: Rows) -> Posterior:
        """Of the given rows."""
        return Posterior(self.draws[rows], self.mean[rows], self.feasibility[rows])

    def concat(self, more: Posterior) -> Posterior:
        """With others behind."""
        pairs = ((self.draws, more.draws), (self.mean, more.mean), (self.feasibility, more.feasibility))
        return Posterior(*(np.concatenate(pair) for pair in pairs))

    def shrunk(self, near: Floats) -> Posterior:
        """With draws closer to the mean where a label is `near` (n,), from 0 to 1 for that very design."""
        left = np.sqrt(1 - near)[:, None, None]
        return Posterior(self.mean[:, None] + left * (self.draws - self.mean[:, None]), self.mean, self.feasibility)

    @property
    def mean_only(self) -> Posterior:
        """The same without doubt about the objectives: the mean is the only draw."""
        return Posterior(self.mean[:, None], self.mean, self.feasibility)


def reference_point(points: Floats) -> Floats:
    """(objectives,) a little beyond the worst of points (n, objectives), n of at least 1."""
    low, high = points.min(axis=0), points.max(axis=0)
    found: Floats = high + BEYOND * np.where(high > low, high - low, 1.0)
    return found


def expected_hypervolume_improvement(posterior: Posterior, front: Floats, pending: Posterior, corner: Floats) -> Floats:
    """(n,) by how much the hypervolume of `front` (m, objectives) up to `corner` grows with each design, in the mean
    over draws, times the probability that it counts. `pending` has as many draws."""
    found = np.zeros(len(posterior))
    count = posterior.draws.shape[1]
    for draw in range(count):
        # Pending designs count in as many draws as they are likely to be feasible.
        there = pending.feasibility > (draw + 0.5) / count
        known = np.concatenate([front, pending.draws[there, draw]])
        found += hypervolume_improvement(posterior.draws[:, draw], known, corner)
    scaled: Floats = posterior.feasibility * found / count
    return scaled


def hypervolume_improvement(points: Floats, front: Floats, corner: Floats) -> Floats:
    """(n,) hypervolume that each of `points` (n, objectives) adds by itself to that of `front` (m, objectives), up to
    `corner`. Exact for one and two objectives; measured along fixed directions for more."""
    if points.shape[1] == 1:
        best = np.minimum(front[:, 0].min(initial=np.inf), corner[0])
        return np.maximum(best - points[:, 0], 0.0)
    return (
        _staircase_improvement(points, front, corner)
        if points.shape[1] == 2
        else _measured_improvement(points, front, corner)
    )


def hypervolume(front: Floats, corner: Floats) -> float:
    """That `front` (m, objectives) dominates, measured as `gain` does."""
    if not len(front):
        return 0.0
    if front.shape[1] > 2:
        return float(_reach(front, corner).max(axis=0).mean())
    total, known = 0.0, front[:0]
    for point in front:
        total += float(hypervolume_improvement(point[None], known, corner)[0])
        known = np.concatenate([known, point[None]])
    return total


def _staircase_improvement(points: Floats, front: Floats, corner: Floats) -> Floats:
    """Strip by strip of the staircase that the front makes."""
    front = _staircase(front[(front < corner).all(axis=1)])
    left = np.concatenate([[-np.inf], front[:, 0]])
    right = np.concatenate([front[:, 0], corner[:1]])
    height = np.concatenate([corner[1:], front[:, 1]])
    wide = np.maximum(right - np.maximum(points[:, :1], left), 0.0)
    found: Floats = (wide * np.maximum(height - points[:, 1:], 0.0)).sum(axis=1)
    return found


def _staircase(front: Floats) -> Floats:
    """The non-dominated of points (m, 2), by the first objective."""
    front = front[np.lexsort((front[:, 1], front[:, 0]))]
    if not len(front):
        return front
    lowest = np.minimum.accumulate(front[:, 1])
    first: Bools = np.concatenate([[True], front[1:, 1] < lowest[:-1]])
    return front[first]


def _measured_improvement(points: Floats, front: Floats, corner: Floats) -> Floats:
    """How much further than the front points reach, in the mean over directions (Zhang and Golovin, Random
    hypervolume scalarizations, 2020), up to a constant factor."""
    best = _reach(front, corner).max(axis=0, initial=0.0)
    found: Floats = np.maximum(_reach(points, corner) - best, 0.0).mean(axis=1)
    return found


def _reach(points: Floats, corner: Floats) -> Floats:
    """(n, directions) the volume of the cone up to where each direction leaves the box between point and corner."""
    objectives = points.shape[1]
    directions = np.abs(np.random.default_rng(0).normal(size=(DIRECTIONS, objectives)))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    inside = np.maximum(corner - points, 0.0)
    along = np.full((len(points), DIRECTIONS), np.inf)
    for place in range(objectives):
        along = np.minimum(along, inside[:, place : place + 1] / directions[:, place])
    found: Floats = along**objectives
    return found
