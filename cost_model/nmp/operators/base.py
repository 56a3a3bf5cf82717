"""The operator-level contract: how long, and at what energy, one processor runs batched GEMMs.

A user's own model of an NPU or of an NMP channel needs this one method; see CONTRIBUTING.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol, runtime_checkable

from design.core import Floats, Ints
from design.nmp.device import Device


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


@runtime_checkable
class Ordered(Protocol):
    """An operator model that can tell a device which is never slower than another; the exact solver asks where it can
    and leaves the weaker ones out."""

    def strengths(self, device: Device) -> tuple[Floats, ...]:
        """Figures of the hardware, each (n,): a device with as many channels that is at least as strong in all of them
        never slows an operator. None at all: nothing of an NMP device matters."""
        ...


@runtime_checkable
class Explained(Protocol):
    """An operator model that can also say what its seconds are spent on; reports ask where it can."""

    def parts(self, B: Ints, M: Ints, N: Ints, K: Ints, channels: Ints, device: Device) -> Mapping[str, Floats]:
        """Seconds by cause, which add up to the latency: "compute", "bandwidth" (from where the data lies),
        "transfer" (operands and results on their way in and out), "buffer" (what too small buffers add)."""
        ...
