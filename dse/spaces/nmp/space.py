"""The NMP space: every hardware point with every legal dataflow."""

from __future__ import annotations

import numpy as np

from cost_model.nmp.operators.base import OperatorModel
from design.core import Batch, Genomes, Ints
from design.errors import InputError
from design.nmp.design import nmp_schema
from design.nmp.device import HardwareSpace, Platform
from design.nmp.workload import Workload
from dse.spaces.nmp.balance import Reach, balanced_cuts, spill_order
from dse.spaces.nmp.genome import CHANNELS, GROUP, NORMAL, SHIFT, STRATUM, Layout
from dse.spaces.nmp.hardware import HardwareGenes
from dse.spaces.nmp.legal import Dataflow, legalise
from dse.spaces.nmp.starts import simple_dataflows
from dse.spaces.nmp.variation import sample_blocks, vary_blocks


class NmpSpace:
    """Hardware x dataflow. `specpim=True` keeps to SpecPIM's compute-centric dataflows.

    Models and `reach` are those of the evaluator in use; they place the cuts that others are counted from.

    Raises InputError where SpecPIM has no normal channels to use, or an operator too small to cut would
    have to be cut.
    """

    def __init__(
        self,
        workload: Workload,
        platform: Platform,
        hardware: HardwareSpace,
        npu: OperatorModel,
        nmp: OperatorModel,
        specpim: bool = False,
        reach: Reach = lambda _, held, normal: held + normal,
    ) -> None:
        hardware.check(platform)
        self.workload, self.platform, self.specpim = workload, platform, specpim
        self.layout = Layout(workload, hardware)
        self.genes = HardwareGenes(hardware)
        self.bounds = self.layout.bounds
        self.size: int | None = None  # not counted
        self.schema = nmp_schema(workload, platform)
        if specpim and platform.total_channels in hardware.nmp_channels:
            found = f"specpim with {platform.total_channels} NMP channels leaves no normal channel"
            raise InputError("--nmp-channel-num-space", found, "fewer than --total-channel-num")
        mixes = not specpim and any(0 < n < platform.total_channels for n in hardware.nmp_channels)
        for op in workload.operators if mixes else ():
            if op.steps < 2:
                found = f"can not be cut between NMP and NPU (extent {op.extent}, granule {op.granule})"
                raise InputError(f"{workload.name}, operator {op.name}", found, "at least two granules")
        self.balance = balanced_cuts(workload, platform, hardware, npu, nmp, reach)
        self._spill = spill_order(workload, platform, hardware, npu)

    def sample(self, count: int, rng: np.random.Generator) -> Genomes:
        """See `Space`: random dataflows, most of them with few operators a group."""
        genomes = self.layout.empty(count)
        self.layout.hardware(genomes)[:] = self.genes.sample(count, rng)
        sample_blocks(self.layout, self.layout.blocks(genomes), self.workload.order(), rng)
        return genomes

    def vary(self, parents: Genomes, rng: np.random.Generator) -> Genomes:
        """See `Space`: some children take operators from another parent, then one to a few moves each."""
        children = parents.copy()
        vary_blocks(self.layout, self.layout.blocks(children), rng)
        if self.genes.size > 1:
            hardware = self.layout.hardware(children)
            moved = rng.random(len(children)) < 0.3
            hardware[moved] = self.genes.vary(hardware[moved], rng)
        return children

    def starts(self) -> Genomes:
        """See `Space`: simple dataflows on every NMP channel count with every processor."""
        return simple_dataflows(self.layout, self.genes, self.workload, self.platform, self.balance, self._spill)

    def decode(self, genomes: Genomes) -> Batch:
        """See `Space`."""
        hardware, blocks = self.layout.hardware(genomes), self.layout.blocks(genomes)
        wish = [np.ascontiguousarray(blocks[:, block].T) for block in (GROUP, STRATUM, CHANNELS, NORMAL)]
        columns = self.genes.decode(hardware)
        dataflow = legalise(
            Dataflow(wish[0], wish[0], wish[1], wish[2], wish[3]),
            columns["nmp_channels"],
            self.platform.total_channels,
            self.workload,
            self.specpim,
        )
        held = np.bitwise_count(dataflow.channels).astype(np.int64)
        steps = self.layout.steps[:, None]
        cut = np.clip(self._balanced(hardware, held) + blocks[:, SHIFT].T, 1, np.maximum(steps - 1, 1))
        granules = np.where(held == 0, 0, np.where(dataflow.normal != 0, cut, steps))
        granule = self.layout.granule[:, None]
        units = {"nmp_units": granules * granule, "npu_units": (steps - granules) * granule}
        return Batch(self.schema, columns | {k: v.T for k, v in (dataflow._asdict() | units).items()})

    def encode(self, batch: Batch) -> Genomes:
        """See `Space`. Raises ValueError for hardware outside the space."""
        genomes = self.layout.empty(len(batch))
        hardware, blocks = self.layout.hardware(genomes), self.layout.blocks(genomes)
        hardware[:] = self.genes.encode(batch)
        names = ((GROUP, "group"), (STRATUM, "stratum"), (CHANNELS, "channels"), (NORMAL, "normal"))
        for block, name in names:
            blocks[:, block] = batch.columns[name]
        held = np.bitwise_count(batch.columns["channels"]).astype(np.int64)
        shift = batch.columns["nmp_units"] // self.layout.granule - self._balanced(hardware, held.T).T
        blocks[:, SHIFT] = np.where((held > 0) & (batch.columns["normal"] != 0), shift, 0)
        return genomes

    def _balanced(self, hardware: Genomes, held: Ints) -> Ints:
        """Balanced granules on NMP for the channels held, (operators, n)."""
        operator = np.arange(self.layout.operators)[:, None]
        return self.balance[hardware[:, 0], hardware[:, 1], operator, held]
