"""The genome: five hardware genes, then five blocks with one gene an operator."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from design.core import Bools, Genomes, Ints
from design.nmp.device import HardwareSpace
from design.nmp.workload import Workload
from dse.spaces.nmp.hardware import GENES as HARDWARE_GENES

GROUP, STRATUM, CHANNELS, NORMAL, SHIFT = range(5)  # the blocks, in genome order
BLOCKS = 5


class Layout:
    """Where each gene is, and its bounds. SHIFT is a cut's distance, in granules, from the balanced cut."""

    def __init__(self, workload: Workload, hardware: HardwareSpace) -> None:
        self.operators = len(workload.operators)
        self.steps = np.array([op.steps for op in workload.operators], dtype=np.int64)
        self.granule = np.array([op.granule for op in workload.operators], dtype=np.int64)
        stored = np.array([op.stored_bytes for op in workload.operators])
        self.granule_bytes = stored / self.steps
        self.sides = sides(workload)
        self.most_nmp = max(hardware.nmp_channels)
        self.genes = HARDWARE_GENES + BLOCKS * self.operators
        choices = np.array([len(c) for c in hardware.choices], dtype=np.int64)
        ones = np.ones(self.operators, dtype=np.int64)
        last = self.operators - 1
        high = [choices - 1, last * ones, last * ones, ((1 << self.most_nmp) - 1) * ones, ones, self.steps - 1]
        low = [0 * choices, *[0 * ones] * 4, 1 - self.steps]
        self.bounds: Ints = np.stack([np.concatenate(low), np.concatenate(high)], axis=1).astype(np.int64)

    def hardware(self, genomes: Genomes) -> Genomes:
        """View (n, 5) of the hardware genes."""
        return genomes[:, :HARDWARE_GENES]

    def blocks(self, genomes: Genomes) -> Ints:
        """View (n, 5, operators) of the dataflow genes; index 1 is GROUP .. SHIFT."""
        return genomes[:, HARDWARE_GENES:].reshape(len(genomes), BLOCKS, self.operators)

    def empty(self, count: int) -> Genomes:
        """(count, genes) zeros."""
        return np.zeros((count, self.genes), dtype=np.int64)


class Sides(NamedTuple):
    """Pairs of operators that may run side by side, and whom each may take along. All have one row a pair."""

    first: Ints  # (pairs,)
    second: Ints  # (pairs,)
    with_first: Bools  # (pairs, operators): relatives of the first that the second need not wait for
    with_second: Bools


def sides(workload: Workload) -> Sides:
    """Every pair of which neither needs the other, both ways round; all pairs where there are none."""
    operators = range(len(workload.operators))
    needs = np.eye(len(operators), dtype=bool)  # needs[a, b]: a is b, or waits for it
    for t in workload.order():
        for p in workload.producers(t):
            needs[t] |= needs[p]
    related = needs | needs.T
    pairs = [(a, b) for a in operators for b in operators if not related[a, b]]
    first, second = np.array(pairs or [(a, b) for a in operators for b in operators], dtype=np.int64).T
    return Sides(first, second, related[first] & ~related[second], related[second] & ~related[first])
