"""The prefill GEMMs of a workload, one row for each operator and distinct GEMM."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cost_model.nmp.operators.base import Explained, OperatorCost, OperatorModel
from design.core import Floats, Ints
from design.nmp.device import Device
from design.nmp.workload import Workload

Gemms = tuple[Ints, Ints, Ints, Ints, Ints]  # B, M, N, K, channels; (rows, n) or what broadcasts to it


class PrefillRows:
    """Rows of calls: `operator` (rows,) is whose, `times` (rows, 1) how often."""

    def __init__(self, workload: Workload) -> None:
        every = [(i, call) for i, op in enumerate(workload.operators) for call in op.prefill]
        self.operators = len(workload.operators)
        self.operator = np.array([i for i, _ in every], dtype=np.int64)
        self.times = np.array([[call.times] for _, call in every])
        self._gemms = np.array([call.gemm for _, call in every], dtype=np.int64)

    def gemms(self, channels: Ints) -> Gemms:
        """For operators that read from so many channels, (operators, n)."""
        B, M, N, K = (column[:, None] for column in self._gemms.T)
        return B, M, N, K, np.maximum(channels[self.operator], 1)

    def cost(self, model: OperatorModel, channels: Ints, device: Device) -> OperatorCost:
        """Of all calls of each operator, (operators, n)."""
        cost = model.cost(*self.gemms(channels), device)
        return OperatorCost(self.by_operator(cost.latency_s), self.by_operator(cost.energy_j))

    def parts(self, model: Explained, channels: Ints, device: Device) -> Mapping[str, Floats]:
        """What the seconds of `cost` are spent on, (operators, n) by cause."""
        found = model.parts(*self.gemms(channels), device)
        return {cause: self.by_operator(seconds) for cause, seconds in found.items()}

    def by_operator(self, values: Floats) -> Floats:
        """Values of single calls (rows, n), times how often they are done, added up by operator."""
        total = np.zeros((self.operators, values.shape[1]))
        for row, i in enumerate(self.operator.tolist()):
            total[i] += self.times[row] * values[row]
        return total
