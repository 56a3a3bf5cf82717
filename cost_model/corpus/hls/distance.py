"""How far kernels are from one another as programs, whatever directives stand in them.

A kernel is a row of plain features of its loop nest: sizes in log2, shares, counts. The distance is Euclidean, each
feature in units of its standard deviation over kernels of reference. Names, spelling and directives change nothing;
sizes of arrays and trip counts do.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from design.core import Floats
from design.hls.loop_nest import CONSTANT, Kernel, Statement

MIX = ("fadd", "fmul", "fhard", "whole multiplications", "whole divisions", "select", "other")
FEATURES = (
    "log2 loops",
    "log2 loops outside all others",
    "depth",
    "log2 statements",
    "share of statements under conditions",
    "log2 longest trip",
    "mean log2 trip",
    "share of loops without a constant trip",
    "log2 statements executed",
    "log2 loads",
    "log2 stores",
    "share of accesses that are not affine",
    "log2 arrays",
    "log2 bytes of arguments",
    "log2 recurrences",
    "share of recurrences that are reductions",
    "log2 longest chain of a recurrence",
    "log2 operations executed",
    *(f"share of operations executed: {name}" for name in MIX),
)
HARD = ("div", "sqrt", "pow", "call", "mod")
LEAST = 0.1  # a tenth of the operations, or of a doubling


def program_features(kernel: Kernel) -> Floats:
    """(features,) in the order of FEATURES. A share of nothing is 0."""
    loops, statements, recurrences = kernel.loops, kernel.statements, kernel.recurrences
    trips = np.log2([max(loop.trip.mean, 1.0) for loop in loops] or [1.0])
    runs = np.array([np.exp2(trips[list(statement.loops)].sum()) for statement in statements])
    accesses = [access for statement in statements for access in statement.accesses]
    stores = sum(access.write for access in accesses)
    sizes = [_bytes(array.shape, array.bits) for array in kernel.arrays.values() if array.role == "argument"]
    mix = np.sum([times * _mix(statement) for times, statement in zip(runs, statements, strict=True)], axis=0)
    mix = mix if statements else np.zeros(len(MIX))
    plain = [
        _log(len(loops)),
        _log(sum(loop.parent is None for loop in loops)),
        max((len(statement.loops) for statement in statements), default=0),
        _log(len(statements)),
        _share(sum(statement.guards > 0 for statement in statements), len(statements)),
        trips.max(),
        trips.mean(),
        _share(sum(loop.trip.kind != CONSTANT for loop in loops), len(loops)),
        _log(runs.sum()),
        _log(len(accesses) - stores),
        _log(stores),
        _share(sum(None in access.index for access in accesses), len(accesses)),
        _log(len(kernel.arrays)),
        _log(sum(sizes)),
        _log(len(recurrences)),
        _share(sum(recurrence.reduction for recurrence in recurrences), len(recurrences)),
        _log(max((len(recurrence.chain) for recurrence in recurrences), default=0)),
        _log(mix.sum()),
    ]
    return np.concatenate([plain, mix / max(mix.sum(), 1.0)])


def spread_of(features: Floats) -> Floats:
    """(features,) what is 1 in a distance: the standard deviation over m kernels (m, features), LEAST where they are
    more alike than that: a share of which they all have next to nothing must not outweigh all that tells them apart."""
    spread: Floats = np.maximum(features.std(axis=0), LEAST)
    return spread


def distances(left: Floats, right: Floats, spread: Floats) -> Floats:
    """(n, m) between features (n, features) and (m, features), each feature in units of its `spread`."""
    apart = (left[:, None] - right[None]) / spread
    found: Floats = np.sqrt((apart**2).sum(axis=2))
    return found


def features_of(kernels: Sequence[Kernel]) -> Floats:
    """(kernels, features)."""
    return np.array([program_features(kernel) for kernel in kernels]).reshape(len(kernels), len(FEATURES))


def _mix(statement: Statement) -> Floats:
    """(len(MIX),) operations of one execution."""
    counts = np.zeros(len(MIX))
    for operation, times in statement.operations.items():
        name, _, kind = operation.partition(".")
        counts[MIX.index(_kind(name, kind.startswith("f")))] += times
    return counts


def _kind(name: str, floating: bool) -> str:
    if floating and name in ("add", "mul"):
        return f"f{name}"
    if name in HARD:
        return "fhard" if floating else "whole divisions"
    if name == "mul":
        return "whole multiplications"
    return "select" if name in ("select", "compare") else "other"


def _bytes(shape: tuple[int | None, ...], bits: int) -> float:
    return float(np.prod([size or 1 for size in shape])) * bits / 8


def _log(count: float) -> float:
    return float(np.log2(1 + count))


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
