"""Known simple dataflows to begin a search with: every operator alone on all channels, cut in a few ways."""

from __future__ import annotations

import numpy as np

from design.core import Genomes, Ints
from design.device import Platform
from design.workload import Workload
from dse.spaces.hardware import HardwareGenes
from dse.spaces.nmp.genome import CHANNELS, GROUP, NORMAL, SHIFT, Layout


def simple_dataflows(
    layout: Layout, genes: HardwareGenes, workload: Workload, platform: Platform, balance: Ints
) -> Genomes:
    """On every hardware pair: all operators balanced, and all with no more on NMP than fits there.

    For the restricted spaces the same wishes decode into their nearest legal dataflow.
    """
    pairs = genes.every_pair()
    genomes = np.concatenate([layout.empty(len(pairs))] * 2)
    layout.hardware(genomes)[:] = np.concatenate([pairs, pairs])
    blocks = layout.blocks(genomes)
    order = np.argsort(workload.order())
    nmp = genes.nmp_channels[layout.hardware(genomes)[:, 0]]
    blocks[:, GROUP] = order
    blocks[:, CHANNELS] = ((np.int64(1) << nmp) - 1)[:, None]
    blocks[:, NORMAL] = 1

    # The second half: the same share of every operator, as much as the NMP channels hold (a hair less, for
    # the rounding of cuts), where the balance would put more there.
    second = slice(len(pairs), None)
    stored = sum(op.stored_bytes for op in workload.operators)
    share = np.minimum(0.999 * nmp[second] * platform.channel_bytes / max(stored, 1.0), 1.0)
    hardware = layout.hardware(genomes)[second]
    balanced = balance[hardware[:, 0][:, None], hardware[:, 1][:, None], np.arange(layout.operators), nmp[second, None]]
    fits = np.floor(share[:, None] * layout.steps).astype(np.int64)
    blocks[second, SHIFT] = np.minimum(fits - balanced, 0)
    np.clip(blocks[:, SHIFT], 1 - layout.steps, layout.steps - 1, out=blocks[:, SHIFT])
    return genomes
