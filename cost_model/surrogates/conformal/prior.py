"""What other kernels teach about how far predictions lie off: residuals on kernels that a predictor had not seen.

A kernel of which n designs are labelled has a *scale*: the mean size of the n residuals, each left out in its turn,
drawn towards that of other kernels by as much as two labels weigh. Residuals divided by the scale of their kernel are
much alike from kernel to kernel, so that those of others say how many scales hold a share of the residuals of a new
one. Without labels the scale is that of other kernels, and residuals in y themselves are what is compared.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cost_model.surrogates.conformal.quantile import half_width
from design.core import Floats

SHRINKAGE = 2.0  # labels that the scale of other kernels is worth
WORTH = 2  # labels that each kernel of a prior is worth
A_KERNEL = 100  # points that stand for the residuals of a kernel, so that all kernels weigh the same
POINTS = 200  # that stand for those of all kernels
Seen = tuple[Floats, Floats]  # residuals of the labels, each left out in its turn, and those of all other designs


@dataclass(frozen=True)
class Shape:
    """Of one metric at one count of labels: the `typical` scale in y, and `points`, ascending quantiles of the sizes of
    residuals over the scale of their kernel, each of the `kernels` weighing the same."""

    typical: float
    points: tuple[float, ...]
    kernels: int

    def scale(self, residuals: Floats) -> float:
        """Of a kernel in y, from the residuals of its labels (n,), n of 0 or more."""
        return (float(np.abs(residuals).sum()) + SHRINKAGE * self.typical) / (len(residuals) + SHRINKAGE)

    def some(self, count: int) -> Floats:
        """So many points that stand for all, (count,)."""
        return np.quantile(np.array(self.points), (np.arange(count) + 0.5) / count)


def shape_of(kernels: Sequence[Sequence[Seen]]) -> Shape:
    """From at least one kernel, each with at least one draw of labels; without labels the first part of a draw is
    empty."""
    means = [np.mean([np.abs(own if len(own) else rest).mean() for own, rest in draws]) for draws in kernels]
    typical = max(float(np.median(means)), np.finfo(np.float64).tiny)
    bare = Shape(typical, (), len(kernels))
    each = []
    for draws in kernels:
        sizes = np.concatenate([np.abs(rest) / bare.scale(own) for own, rest in draws])
        each.append(np.quantile(sizes, (np.arange(A_KERNEL) + 0.5) / A_KERNEL))
    points = np.quantile(np.concatenate(each), (np.arange(POINTS) + 0.5) / POINTS)
    return Shape(typical, tuple(points.tolist()), len(kernels))


@dataclass(frozen=True)
class Prior:
    """Shapes by count of labels and metric, as `who` (a predictor's name) made them, never shown the family that it
    was asked about, of kernels with these `families` and `digests`."""

    who: str
    families: frozenset[str]
    digests: frozenset[str]
    shapes: Mapping[int, Mapping[str, Shape]]

    def shape(self, metric: str, labels: int) -> Shape | None:
        """That of the largest count of labels that a kernel has. None where there is none."""
        counts = [count for count in self.shapes if count <= labels and metric in self.shapes[count]]
        return self.shapes[max(counts)][metric] if counts else None


def width(residuals: Floats, level: float, shape: Shape | None) -> float:
    """The half-width in y that holds a share `level` of a kernel's designs, given residuals (n,) of labels, each left
    out in its turn, and what other kernels teach. Infinite where both are too little for the level.

    Without a shape it is the conformal quantile of the residuals, with one that of residuals and points of the shape
    together, in units of the kernel's scale: the more labels, the less the shape matters. Without labels it is the
    quantile for a new group of hierarchical data, at (K + 1) / K times the level where there are K kernels (Lee,
    Barber and Willett, "Distribution-free inference with hierarchical data", 2023).
    """
    if shape is None:
        return half_width(residuals, level)
    scale = shape.scale(residuals)
    if len(residuals):
        return scale * half_width(np.concatenate([residuals / scale, shape.some(WORTH * shape.kernels)]), level)
    place = level * (shape.kernels + 1) / shape.kernels
    return scale * float(np.quantile(np.array(shape.points), place)) if place < 1 else math.inf
