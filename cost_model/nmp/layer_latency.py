"""From operators to a layer: how seconds of operators become seconds of a dataflow.

Arrays are (operators, n): one operator of all candidates is contiguous. Sums over operators are written as loops
so that a row's rounding does not depend on the batch that it came in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from design.core import Floats, Ints
from design.nmp.design import stratum_heads

Columns = Mapping[str, NDArray]


class LayerClock:
    """Adds operators up to a layer, for the dataflows in `c`."""

    def __init__(self, c: Columns) -> None:
        self._group = c["group"]
        self._stratum, self._part = stratum_heads(c["group"], c["part"], c["stratum"])
        self._slots = Slots(*c["group"].shape)

    def latency(self, nmp_s: Floats, npu_s: Floats) -> Floats:
        """Decode of one layer, (n,) seconds: NMP channels of a stratum run side by side and beside the NPU, which
        takes the stratum's operators in turn; strata add up, the slowest part of a group counts, groups add up."""
        slots = self._slots
        slowest = slots.fold(np.maximum, nmp_s, self._stratum)
        strata = np.maximum(slowest, slots.fold(np.add, npu_s, self._stratum))
        # A slot that no stratum (or part) is headed by holds 0 and adds nothing.
        parts = slots.fold(np.add, strata, self._part)
        return sum_operators(slots.fold(np.maximum, parts, self._group))


class Slots:
    """Reductions of (operators, n) values into (operators, n) slots, one slot number an operator and row."""

    def __init__(self, operators: int, rows: int) -> None:
        self.shape, self.row = (operators, rows), np.arange(rows)

    def fold(self, join: Callable[[Floats, Floats], Floats], values: Floats, slot: Ints) -> Floats:
        """`join` of the values that fall into each slot, in operator order; 0 where none does."""
        found = np.zeros(self.shape[0] * self.shape[1])
        for one, where in zip(values, slot, strict=True):
            at = where * self.shape[1] + self.row
            found[at] = join(found[at], one)
        return found.reshape(self.shape)


def sum_operators(values: Floats) -> Floats:
    """Sum over the first axis, in its order whatever the shape."""
    total = np.zeros(values.shape[1])
    for one in values:
        total = total + one
    return total
