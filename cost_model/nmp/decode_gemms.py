"""The decode GEMMs of a workload over its growing context, one row for each operator and context that differ."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cost_model.nmp.operators.base import Explained, OperatorCost, OperatorModel
from cost_model.nmp.prefill_gemms import Gemms
from design.core import Bools, Floats, Ints
from design.nmp.device import Device
from design.nmp.workload import Workload


class DecodeRows:
    """Rows of operators. An operator whose GEMM does not depend on the context has one row for all of them.

    `steps` (nodes,): tokens generated that each context stands for. `rows` (nodes, operators): where to find an
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
        operator, gemms, longer, along_context = [], [], [], []
        for i, op in enumerate(workload.operators):
            for node, (context, _) in enumerate(contexts):
                if node == 0 or op.context_axis:
                    operator.append(i)
                    gemms.append(op.decode if nodes is None else op.decode_at(context))
                    longer.append(op.longer / op.decode.B)
                    along_context.append(op.context_axis == "N" and op.decode.B == 1)
                self.rows[node, i] = len(operator) - 1
        self.operator = np.array(operator, dtype=np.int64)
        self._gemms = np.array(gemms, dtype=np.int64)
        self._extent = np.array([[op.extent] for op in workload.operators], dtype=np.int64)[self.operator]
        self._along_context = np.array(along_context)[:, None]
        self._share = np.array([[op.decode_share] for op in workload.operators])[self.operator]
        # Of the GEMMs that have one row more than the others, wherever they run: costs are means over both.
        self._longer = np.array(longer)[:, None]
        self._uneven = bool(self._longer.any())

    @property
    def middle(self) -> int:
        """The context that stands for all where one has to."""
        return len(self.steps) // 2

    def cost(
        self, model: OperatorModel, units: Ints, channels: Ints, device: Device, up: bool, only: int | None = None
    ) -> OperatorCost:
        """Cost (rows, n), for each token generated, of the part of each operator that one processor does; 0 where it
        does none of it.

        `units` and `channels` are (operators, n). Columns that stand for cached tokens shrink with the context,
        rounded `up` or down. `only` restricts to the rows of one operator.
        """
        chosen = slice(None) if only is None else self.operator == only
        some, gemms = self._gemms_of(units, channels, up, chosen)
        cost = model.cost(*gemms, device)
        if self._uneven:
            longer = model.cost(*_one_row_more(gemms), device)
            cost = OperatorCost(*(self._mean(*pair, chosen) for pair in zip(cost, longer, strict=True)))
        share = self._share[chosen]
        return OperatorCost(np.where(some, share * cost.latency_s, 0.0), np.where(some, share * cost.energy_j, 0.0))

    def parts(
        self, model: Explained, units: Ints, channels: Ints, device: Device, up: bool, node: int
    ) -> Mapping[str, Floats]:
        """What the seconds of `cost` are spent on at one context, (operators, n) by cause."""
        some, gemms = self.gemms(units, channels, up, node)
        found, chosen = model.parts(*gemms, device), self.rows[node]
        if self._uneven:
            longer = model.parts(*_one_row_more(gemms), device)
            found = {cause: self._mean(seconds, longer[cause], chosen) for cause, seconds in found.items()}
        share = self._share[chosen]
        return {cause: np.where(some, share * seconds, 0.0) for cause, seconds in found.items()}

    def gemms(self, units: Ints, channels: Ints, up: bool, node: int) -> tuple[Bools, Gemms]:
        """For every operator at one context, (operators, n): whether one processor has work, and the B, M, N, K and
        channels of it."""
        return self._gemms_of(units, channels, up, self.rows[node])

    def rows_of_gemm(self, node: int) -> Floats:
        """Mean rows of a GEMM of each operator at one context, (operators, 1)."""
        chosen = self.rows[node]
        return np.asarray(self._gemms[chosen, 1:2] + self._longer[chosen], dtype=np.float64)

    def share(self, node: int) -> Floats:
        """How often each operator is done for a token that is generated, (operators, 1)."""
        return self._share[self.rows[node]]

    def _mean(self, values: Floats, longer: Floats, chosen: Ints | Bools | slice) -> Floats:
        """Of GEMMs some of which are one row longer."""
        weight = self._longer[chosen]
        # Written so that an operator whose GEMMs are all alike keeps its value to the last digit.
        return values + weight * (longer - values)

    def _gemms_of(self, units: Ints, channels: Ints, up: bool, chosen: Ints | Bools | slice) -> tuple[Bools, Gemms]:
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


def _one_row_more(gemms: Gemms) -> Gemms:
    B, M, N, K, channels = gemms
    return B, M + 1, N, K, channels
