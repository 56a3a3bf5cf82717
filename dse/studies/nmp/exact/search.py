"""The solver as a search: the best dataflow of one device after another."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import numpy as np

from cost_model.nmp.evaluator import NmpEvaluator
from cost_model.nmp.layer_latency import Columns
from cost_model.nmp.operators.base import Ordered
from design.core import Batch, Floats, Genomes, Rows, Status, key_bytes
from design.nmp.design import HARDWARE
from dse.search.propose import Candidates
from dse.spaces.nmp import NmpSpace
from dse.studies.nmp.exact.prove import prove

BUFFERS = slice(2, 5)  # genes of the buffers among those of the hardware


class ExactSearch:
    """Proposes the optimum of each device, the devices with the most bandwidth first. A device whose bound shows
    that it cannot win is left early; the bound counts all the same.

    What is solved is written to `ledger`, and what is there already is not solved again.

    Where both operator models know which devices are never slower than others (`Ordered`), only those that no other
    one is at least as strong as are solved; their engines and buffers are then weakened as far as costs no time.
    """

    def __init__(
        self,
        space: NmpSpace,
        evaluator: NmpEvaluator,
        metric: str,
        ledger: MutableMapping[str, Any] | None = None,
    ) -> None:
        self.space, self.evaluator, self.metric = space, evaluator, metric
        self._ledger: MutableMapping[str, Any] = {} if ledger is None else ledger
        genes = space.genes
        choices = [np.arange(length) for length in genes.lengths]
        grid = np.stack([index.ravel() for index in np.meshgrid(*choices, indexing="ij")], axis=1)
        if (strongest := _strongest(evaluator, genes.decode(grid))) is not None:
            grid = grid[strongest]
        self._weaken = strongest is not None
        c = genes.decode(grid)
        promise = c["nmp_channels"] * c["pe_gbps"]
        self._devices = grid[np.argsort(-promise, kind="stable")]
        self._next, self._best = 0, np.inf
        self._bounds: list[float | None] = []

    @property
    def devices(self) -> int:
        """How many there are."""
        return len(self._devices)

    @property
    def bound(self) -> float | None:
        """No design of the space is below this; None while devices are left or one has no bound."""
        if len(self._bounds) < self.devices:
            return None
        known = [bound for bound in self._bounds if bound is not None]
        return min(known) if len(known) == self.devices else None

    def ask(self) -> Candidates | None:
        """See `Search`."""
        while self._next < self.devices:
            name = f"device {self._next}"
            if name not in self._ledger:
                self._ledger[name] = self._solved(self._devices[self._next : self._next + 1])
            bound, value, genome = self._ledger[name]
            self._next += 1
            self._bounds.append(bound)
            self._best = min(self._best, value)
            if genome is not None:
                return candidates(self.space, self.space.decode(np.array([genome], dtype=np.int64)))
        return None

    def _solved(self, device: Genomes) -> list[Any]:
        """Bound, value and genome (None: none that counts) of one device's best design, as JSON can hold them."""
        columns = self.space.genes.decode(device)
        proof = prove(self.space, self.evaluator, columns, self.metric, beat=self._best)
        design = proof.design
        if design is not None and self._weaken:
            design = self._weakened(design, proof.value)
        genome = None if design is None else self.space.encode(design)[0].tolist()
        return [proof.lower_bound, proof.value, genome]

    def _weakened(self, design: Batch, value: float) -> Batch:
        """The same dataflow with the least engines (GMAC/s, then bandwidth) and then the smallest buffers (bytes of a
        channel) that are as fast."""
        hardware = self.space.genes.space
        axes = [np.arange(len(hardware.processors)), *(np.asarray(choices) for choices in hardware.choices[BUFFERS])]
        engine, *buffers = [index.ravel() for index in np.meshgrid(*axes, indexing="ij")]
        columns = {name: np.repeat(values, len(engine), axis=0) for name, values in design.columns.items()}
        for name in ("fpus", "mhz", "pe_gbps"):
            columns[name] = np.array([getattr(p, name) for p in hardware.processors], columns[name].dtype)[engine]
        many = Batch(design.schema, columns | dict(zip(("input_kb", "weight_kb", "output_kb"), buffers, strict=True)))
        answer = self.evaluator.evaluate(many, seed=0)
        fast = (answer.status == Status.OK) & (answer.metrics[self.metric] <= value * (1 + 1e-12))
        size = buffers[0] + buffers[1] * self.space.platform.banks_per_channel + buffers[2]
        c = many.columns
        order = np.lexsort((size, c["pe_gbps"], c["fpus"] * c["mhz"], ~fast))
        return many.take(order[:1])

    def tell(self, genomes: Genomes, values: Floats, violation: Floats) -> None:
        """See `Search`. What the evaluator says is known already."""


def _strongest(evaluator: NmpEvaluator, c: Columns) -> Rows | None:
    """Rows of devices that no other with as many channels is at least as strong as, of equal ones the first; None where
    a model does not know."""
    models = (evaluator.npu, evaluator.nmp)
    ordered = [model for model in models if isinstance(model, Ordered)]
    if len(ordered) < len(models):
        return None
    device = evaluator.device(c)
    figures = [f for model in ordered for f in model.strengths(device)]
    # Devices with other channels have other dataflows: to be as strong is to have both more and fewer.
    channels = c["nmp_channels"].astype(np.float64)
    weakness = np.stack([channels, -channels, *(-figure for figure in figures)], axis=1)
    from moocore import is_nondominated

    found: Rows = np.flatnonzero(is_nondominated(weakness, keep_weakly=False))
    return found


def candidates(space: NmpSpace, batch: Batch) -> Candidates:
    """Designs as a search proposes them."""
    return Candidates(space.encode(batch), batch, key_bytes(space.schema.key(batch)))


def hardware_of(batch: Batch, row: int) -> dict[str, np.ndarray]:
    """The hardware columns of one design, each (1,)."""
    return {column.name: batch.columns[column.name][row : row + 1] for column in HARDWARE}
