"""The operator-level contract: how long, and at what energy, one processor runs batched GEMMs.

A user's own model of an NPU or of an NMP channel needs this one method; see CONTRIBUTING.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from design.core import Floats, Ints
from design.device import Device


class OperatorCost(NamedTuple):
    """Arrays of the operators' shape: seconds, and joules (NaN where the model does not know)."""

    latency_s: Floats
    energy_j: Floats


class OperatorModel(Protocol):
    """Prices operators on one kind of processor. Stateless; the same arguments give the same answer."""

    name: str
    version: str

    def cost(self, B: Ints, M: Ints, N: Ints, K: Ints, channels: Ints, device: Device) -> OperatorCost:
        """Cost of `B` GEMMs (M, K) . (K, N) on `channels` memory channels, elementwise over any shape.

        For an NPU the channels give bandwidth; for NMP they are where the work is done. Dimensions and
        channels are at least 1. `device` holds the machine; its arrays broadcast against the operators.
        """
        ...
