"""Known simple dataflows to begin a search with: every operator alone on all channels, cut in a few ways."""

from __future__ import annotations

import numpy as np

from design.core import Genomes, Ints
from design.nmp.device import Platform
from design.nmp.workload import Workload
from dse.spaces.nmp.genome import CHANNELS, GROUP, NORMAL, SHIFT, Layout
from dse.spaces.nmp.hardware import HardwareGenes


def simple_dataflows(
    layout: Layout,
    genes: HardwareGenes,
    workload: Workload,
    platform: Platform,
    balance: Ints,
    spill: tuple[int, ...],
) -> Genomes:
    """On every hardware pair three designs: all cuts balanced; all with one share, as much on NMP as fits; and
    balanced, but for what does not fit, which operators give up in the order of `spill`.

    Where everything fits the three are one. In the restricted spaces the same wishes decode into the nearest
    legal dataflows.
    """
    pairs = genes.every_pair()
    nmp = genes.nmp_channels[pairs[:, 0]]
    room = nmp * float(platform.channel_bytes)
    operator = np.arange(layout.operators)
    balanced = balance[pairs[:, 0][:, None], pairs[:, 1][:, None], operator, nmp[:, None]]
    variants = [balanced, _even(layout, balanced, room), _spilled(layout, balanced, room, spill)]

    genomes = np.concatenate([layout.empty(len(pairs))] * len(variants))
    layout.hardware(genomes)[:] = np.concatenate([pairs] * len(variants))
    blocks = layout.blocks(genomes)
    blocks[:, GROUP] = np.argsort(workload.order())
    blocks[:, CHANNELS] = np.concatenate([(np.int64(1) << nmp) - 1] * len(variants))[:, None]
    blocks[:, NORMAL] = 1
    shift = np.concatenate([variant - balanced for variant in variants])
    blocks[:, SHIFT] = np.clip(shift, 1 - layout.steps, layout.steps - 1)
    return genomes


def _even(layout: Layout, balanced: Ints, room: np.ndarray) -> Ints:
    """The same share of every operator, where the balance would put more on NMP than fits."""
    stored = float((layout.granule_bytes * layout.steps).sum())
    share = np.minimum(room / max(stored, 1.0), 1.0)[:, None]
    return np.minimum(np.floor(share * layout.steps).astype(np.int64), balanced)


def _spilled(layout: Layout, balanced: Ints, room: np.ndarray, spill: tuple[int, ...]) -> Ints:
    """Granules move off NMP, operator by operator, until the rest fits."""
    kept = balanced.copy()
    excess = np.maximum((balanced * layout.granule_bytes).sum(axis=1) - room, 0.0)
    for t in spill:
        wanted = np.ceil(excess / max(layout.granule_bytes[t], 1e-9))
        moved = np.minimum(wanted, kept[:, t] - 1).astype(np.int64)
        kept[:, t] -= moved
        excess = np.maximum(excess - moved * layout.granule_bytes[t], 0.0)
    return kept
