"""Published dataflows that leave nothing to explore but the hardware: section 5 of the H2-LLM reference.

Operators run one after another. None of these dataflows checks capacity.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from design.core import Batch, Genomes, Ints
from design.errors import InputError
from design.nmp.design import nmp_schema
from design.nmp.device import HardwareSpace, Platform
from design.nmp.workload import ATTENTION, FFN, Workload
from dse.spaces.nmp.hardware import HardwareGenes

NPU, NMP, SPLIT = 0, 1, 2  # where an operator of a fixed dataflow runs in decode

FixedDataflow = Callable[[str], int]
FIXED_DATAFLOWS: dict[str, FixedDataflow] = {
    "npu_only": lambda _: NPU,
    "2x_npu_only": lambda _: NPU,
    "fc_offloading": lambda kind: NPU if kind == ATTENTION else NMP,
    "attention_offloading": lambda kind: NMP if kind == ATTENTION else NPU,
    "attention_offloading_with_ffn_splitting": lambda kind: {ATTENTION: NMP, FFN: SPLIT}.get(kind, NPU),
}
WITHOUT_NMP = ("npu_only", "2x_npu_only")


class FixedSpace:
    """All hardware points under one fixed dataflow."""

    def __init__(self, name: str, workload: Workload, platform: Platform, hardware: HardwareSpace) -> None:
        hardware.check(platform)
        if name not in WITHOUT_NMP:
            for count in hardware.nmp_channels:
                if not count:
                    raise InputError("--nmp-channel-num-space", f"0 NMP channels with {name}", "at least 1")
                if SPLIT in map(FIXED_DATAFLOWS[name], (ATTENTION, FFN)) and count == platform.total_channels:
                    found = f"{name} with {count} NMP channels leaves no normal channel"
                    raise InputError("--nmp-channel-num-space", found, "fewer than --total-channel-num")
        self.name, self.workload, self.platform = name, workload, platform
        self.genes = HardwareGenes(hardware)
        self.bounds = self.genes.bounds
        self.size: int | None = self.genes.size
        self.schema = nmp_schema(workload, platform)

    def sample(self, count: int, rng: np.random.Generator) -> Genomes:
        """See `Space`."""
        return self.genes.sample(count, rng)

    def vary(self, parents: Genomes, rng: np.random.Generator) -> Genomes:
        """See `Space`."""
        return self.genes.vary(parents, rng)

    def encode(self, batch: Batch) -> Genomes:
        """See `Space`."""
        return self.genes.encode(batch)

    def starts(self) -> Genomes:
        """See `Space`."""
        return self.genes.every_pair()

    def decode(self, genomes: Genomes) -> Batch:
        """See `Space`. The NPU reads from all channels of an operator, NMP ones included."""
        columns = self.genes.decode(genomes)
        n, m = columns["nmp_channels"], self.platform.total_channels - columns["nmp_channels"]
        operators = self.workload.operators
        shape = (len(genomes), len(operators))
        side = np.array([FIXED_DATAFLOWS[self.name](op.kind) for op in operators])
        extent = np.array([op.extent for op in operators], dtype=np.int64)
        nmp_units, npu_units = np.where(side == NMP, extent, 0), np.where(side == NMP, 0, extent)
        nmp_units, npu_units = np.broadcast_to(nmp_units, shape).copy(), np.broadcast_to(npu_units, shape).copy()
        if SPLIT in side:
            # The published split rounds both shares up, so they may overlap by a column.
            ratio = (n * columns["pe_gbps"] / (self.platform.channel_gbps * m)).astype(np.int64)[:, None]
            split = side == SPLIT
            nmp_units[:, split] = -(-extent[split] // (ratio + 1))
            npu_units[:, split] = -(-extent[split] * ratio // (ratio + 1))
        zeros: Ints = np.zeros(shape, dtype=np.int64)
        columns |= {
            "group": np.broadcast_to(np.arange(len(operators)), shape),
            "part": zeros,
            "stratum": zeros,
            "channels": np.broadcast_to(((1 << n) - 1)[:, None], shape),
            "normal": np.broadcast_to((side != NMP).astype(np.int64), shape),
            "nmp_units": nmp_units,
            "npu_units": npu_units,
        }
        return Batch(self.schema, columns)
