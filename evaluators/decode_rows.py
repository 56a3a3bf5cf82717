"""The decode GEMMs of a workload over its growing context, one row for each operator and context that differ."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cost_model.operator_model import Explained, OperatorCost, OperatorModel
from design.core import Bools, Floats, Ints
from design.device import Device
from design.workload import Workload


class DecodeRows:
    """Rows of operators. An operator whose GEMM does not depend on the context has one row for all of them.

    `steps` (nodes,): decode steps that each context stands for. `rows` (nodes, operators): where to find an
    operator's row at a context. With `nodes` None all steps are at the final context. `contexts` (nodes,): tokens.
    """

    def __init__(self, workload: Workload, nodes: int | None) -> None:
        if not workload.generated:
            nodes = None
        last = min(workload.prompt + workload.generated, workload.max_context or 2**62)
        contexts = [(last, workload.generated)] if nodes is None else workload.contexts(nodes)
        self.contexts = tuple(context for context, _ in contexts)
        self.steps = np.array([steps for _, steps in contexts], dtype=np.int64)
        self.rows = np.zeros((len(contexts), len(workload.operators)), dtype=np.int64)
        operator, gemms, along_context = [], [], []
        for i, op in enumerate(workload.operators):
            for node, (context, _) in enumerate(contexts):
                if node == 0 or op.context_axis:
                    operator.append(i)
                    gemms.append(op.decode if nodes is None else op.decode_at(context))
                    along_context.append(op.context_axis == "N" and op.decode.B == 1)
                self.rows[node, i] = len(operator) - 1
        self.operator = np.array(operator, dtype=np.int64)
        self._gemms = np.array(gemms, dtype=np.int64)
        self._extent = np.array([[op.extent] for op in workload.operators], dtype=np.int64)[self.operator]
        self._along_context = np.array(along_context)[:, None]

    @property
    def middle(self) -> int:
        """The context that stands for all where one has to."""
        return len(self.steps) // 2

    def cost(
        self, model: OperatorModel, units: Ints, channels: Ints, device: Device, up: bool, only: int | None = None
    ) -> OperatorCost:
        """Cost (rows, n) of the part of each operator that one processor does; 0 where it does none of it.

        `units` and `channels` are (operators, n). Columns that stand for cached tokens shrink with the context,
        rounded `up` or down. `only` restricts to the rows of one operator.
        """
        some, gemms = self._gemms_of(units, channels, up, slice(None) if only is None else self.operator == only)
        cost = model.cost(*gemms, device)
        return OperatorCost(np.where(some, cost.latency_s, 0.0), np.where(some, cost.energy_j, 0.0))

    def parts(
        self, model: Explained, units: Ints, channels: Ints, device: Device, up: bool, node: int
    ) -> Mapping[str, Floats]:
        """What the seconds of `cost` are spent on at one context, (operators, n) by cause."""
        some, gemms = self.gemms(units, channels, up, node)
        found = model.parts(*gemms, device)
        return {cause: np.where(some, seconds, 0.0) for cause, seconds in found.items()}

    def gemms(
        self, units: Ints, channels: Ints, up: bool, node: int
    ) -> tuple[Bools, tuple[Ints, Ints, Ints, Ints, Ints]]:
        """For every operator at one context, (operators, n): whether one processor has work, and the B, M, N, K and
        channels of it."""
        return self._gemms_of(units, channels, up, self.rows[node])

    def _gemms_of(
        self, units: Ints, channels: Ints, up: bool, chosen: Ints | Bools | slice
    ) -> tuple[Bools, tuple[Ints, Ints, Ints, Ints, Ints]]:
        """For the chosen rows: whether there is work, and its B, M, N, K and channels."""
        operator = self.operator[chosen]
        B, M, N, K = (column[:, None] for column in self._gemms[chosen].T)
        units, channels = units[operator], channels[operator]
        if (along := self._along_context[chosen]).any():
            share = units * N
            extent = self._extent[chosen]
            units = np.where(along, -(-share // extent) if up else share // extent, units)
        some, batched = units > 0, B > 1
        units = np.maximum(units, 1)
        return some, (np.where(batched, units, B), M, np.where(batched, N, units), K, np.maximum(channels, 1))
