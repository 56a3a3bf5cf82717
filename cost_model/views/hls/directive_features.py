"""Directive values of any kernel's designs as a table of fixed width, with no look at the program.

Kernels differ in how many parameters they have, so each kind of directive is told by position (the first and the last
few, in order of the loops), by size (the largest few) and by totals. Factors are in log2; a place that a kernel does
not have holds -1, which no factor can be.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from design.core import Bools, Floats, Ints
from design.hls.design import COARSE, FLATTEN, OFF, TARGETS, Target
from design.hls.loop_nest import PARALLEL, PIPELINE, TILE, Kernel

PLACES = 6  # told by position, and by size
ABSENT = -1.0


def directive_features(kernel: Kernel, target: Target, columns: Mapping[str, Ints]) -> Floats:
    """(n, width) of n designs; `columns` by parameter, (n,) each. The width is the same for every kernel."""
    count = len(next(iter(columns.values())))
    parts = [np.full((count, 1), float(sorted(TARGETS).index(target.tool)))]
    for kind, told in ((PIPELINE, _pipelines), (TILE, _factors), (PARALLEL, _factors)):
        names = [p.name for p in kernel.parameters if p.kind == kind]
        values = np.stack([columns[name] for name in names], axis=1) if names else np.empty((count, 0), dtype=np.int64)
        parts.append(told(values))
    return np.concatenate(parts, axis=1)


def _factors(values: Ints) -> Floats:
    """(n, k) factors."""
    logs = np.log2(np.maximum(values, 1).astype(np.float64))
    largest = -np.sort(-logs, axis=1)
    totals = [logs.sum(axis=1), (values > 1).sum(axis=1), np.full(len(values), values.shape[1])]
    return np.concatenate([_places(logs), _places(logs[:, ::-1]), _places(largest), np.stack(totals, axis=1)], axis=1)


def _pipelines(values: Ints) -> Floats:
    """(n, k) of OFF, COARSE and FLATTEN."""
    totals = [(values == word).sum(axis=1) for word in (OFF, COARSE, FLATTEN)]
    outermost = [_first(values == word) for word in (COARSE, FLATTEN)]
    totals += [np.full(len(values), values.shape[1])]
    ends = [_places(values.astype(np.float64)), _places(values[:, ::-1].astype(np.float64))]
    return np.concatenate([*ends, np.stack([*totals, *outermost], axis=1)], axis=1)


def _first(passes: Bools) -> Floats:
    """(n,) the first place that passes, ABSENT where none does."""
    if not passes.shape[1]:
        return np.full(len(passes), ABSENT)
    return np.where(passes.any(axis=1), passes.argmax(axis=1), ABSENT).astype(np.float64)


def _places(values: Floats) -> Floats:
    """(n, PLACES): the first columns, ABSENT where there are fewer."""
    kept = values[:, :PLACES]
    return np.concatenate([kept, np.full((len(values), PLACES - kept.shape[1]), ABSENT)], axis=1)
