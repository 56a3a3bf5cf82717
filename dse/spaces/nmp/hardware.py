"""The hardware genes that every NMP space begins with: one index into each list of choices."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from design.core import Batch, Genomes, Ints
from design.nmp.device import HardwareSpace

GENES = 5  # NMP channels, processors, input, weight and output buffer


class HardwareGenes:
    """Translates between hardware genes, shape (n, 5), and the hardware columns of a batch."""

    def __init__(self, space: HardwareSpace) -> None:
        self.space = space
        self.lengths = np.array([len(choices) for choices in space.choices], dtype=np.int64)
        self.bounds = np.stack([np.zeros(GENES, dtype=np.int64), self.lengths - 1], axis=1)
        self.size = int(np.prod(self.lengths))
        self.nmp_channels = np.array(space.nmp_channels, dtype=np.int64)
        self._fpus = np.array([p.fpus for p in space.processors], dtype=np.int64)
        self._mhz = np.array([p.mhz for p in space.processors], dtype=np.float64)
        self._pe_gbps = np.array([p.pe_gbps for p in space.processors], dtype=np.float64)
        self._buffers = [np.array(c, dtype=np.int64) for c in space.choices[2:]]

    def decode(self, genes: Genomes) -> dict[str, NDArray[Any]]:
        """Hardware columns, each (n,)."""
        nmp, processor, *buffers = genes.T
        columns = {
            "nmp_channels": self.nmp_channels[nmp],
            "fpus": self._fpus[processor],
            "mhz": self._mhz[processor],
            "pe_gbps": self._pe_gbps[processor],
        }
        names = ("input_kb", "weight_kb", "output_kb")
        for name, sizes, gene in zip(names, self._buffers, buffers, strict=True):
            columns[name] = sizes[gene]
        return columns

    def encode(self, batch: Batch) -> Genomes:
        """(n, 5) genes of a batch. Raises ValueError for hardware outside the space."""
        c = batch.columns
        processor = (
            (c["fpus"][:, None] == self._fpus)
            & (c["mhz"][:, None] == self._mhz)
            & (c["pe_gbps"][:, None] == self._pe_gbps)
        )
        names = ("input_kb", "weight_kb", "output_kb")
        matches = [c["nmp_channels"][:, None] == self.nmp_channels, processor]
        matches += [c[name][:, None] == sizes for name, sizes in zip(names, self._buffers, strict=True)]
        if not all(match.any(axis=1).all() for match in matches):
            raise ValueError("a candidate's hardware is not among the choices of this space")
        return np.stack([match.argmax(axis=1) for match in matches], axis=1)

    def sample(self, count: int, rng: np.random.Generator) -> Genomes:
        """(count, 5) uniform choices."""
        return rng.integers(0, self.lengths, size=(count, GENES))

    def vary(self, genes: Genomes, rng: np.random.Generator) -> Genomes:
        """Each row with one gene drawn anew: half the time a neighbour in its list, else any choice."""
        child = genes.copy()
        rows, gene = np.arange(len(genes)), rng.integers(0, GENES, len(genes))
        step = np.clip(genes[rows, gene] + rng.choice([-1, 1], len(genes)), 0, self.lengths[gene] - 1)
        child[rows, gene] = np.where(rng.random(len(genes)) < 0.5, step, rng.integers(0, self.lengths[gene]))
        return child

    def every_pair(self) -> Ints:
        """(pairs, 5) genes: every NMP channel count with every processor, buffers at their first choice."""
        nmp, processor = np.meshgrid(*(np.arange(length) for length in self.lengths[:2]), indexing="ij")
        genes = np.zeros((nmp.size, GENES), dtype=np.int64)
        genes[:, 0], genes[:, 1] = nmp.ravel(), processor.ravel()
        return genes
