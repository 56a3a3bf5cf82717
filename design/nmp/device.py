"""The machine: what all candidates share (`Platform`), and one candidate's processor (`Device`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from design.core import Floats, Ints
from design.errors import InputError

MOST_NMP_CHANNELS = 62  # a set of channels is one 64-bit word


@dataclass(frozen=True)
class Platform:
    """Constants of a near-memory-processing (NMP) system, H2-LLM (ISCA '25) section 2 of the reference.

    Every bank of an NMP channel has one processing engine (PE); normal channels feed the NPU only.
    Bandwidth in GB/s (1e9 bytes), compute in GMAC/s, capacity in bytes.
    """

    total_channels: int = 8
    banks_per_channel: int = 16
    bank_bytes: int = 256 * 2**20
    simd: int = 16
    channel_gbps: float = 12.8
    npu_gmacs: float = 128e3
    npu_efficiency: float = 0.7

    @property
    def channel_bytes(self) -> int:
        """Capacity of one channel."""
        return self.banks_per_channel * self.bank_bytes


@dataclass(frozen=True)
class Processors:
    """(FPUs per PE, MHz, PE bandwidth GB/s): one point of the PE design space."""

    fpus: int
    mhz: float
    pe_gbps: float


@dataclass(frozen=True)
class HardwareSpace:
    """The choices of hardware, each a non-empty tuple. Raises InputError for a choice no platform can have."""

    nmp_channels: tuple[int, ...]
    processors: tuple[Processors, ...]
    input_kb: tuple[int, ...]
    weight_kb: tuple[int, ...]
    output_kb: tuple[int, ...]

    @property
    def choices(self) -> tuple[tuple[Any, ...], ...]:
        """The five lists, in gene order."""
        return (self.nmp_channels, self.processors, self.input_kb, self.weight_kb, self.output_kb)

    def check(self, platform: Platform) -> None:
        """Raise InputError unless every NMP channel count fits the platform."""
        for count in self.nmp_channels:
            if not 0 <= count <= platform.total_channels:
                found = f"{count} NMP channels of {platform.total_channels} in all"
                raise InputError("--nmp-channel-num-space", found, "0 to --total-channel-num")
            if count > MOST_NMP_CHANNELS:
                raise InputError("--nmp-channel-num-space", f"{count} NMP channels", f"at most {MOST_NMP_CHANNELS}")


@dataclass(frozen=True)
class Device:
    """What an operator model may know of the machine it prices. Arrays broadcast against the operators."""

    platform: Platform
    fpus: Ints
    mhz: Floats
    pe_gbps: Floats
    input_kb: NDArray[Any]
    weight_kb: NDArray[Any]
    output_kb: NDArray[Any]
    bytes_per_element: float
    batch: int
