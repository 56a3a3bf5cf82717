"""The HLS space: the designs of a kernel for a tool and a device, by the directives of its loops."""

from __future__ import annotations

import numpy as np

from design.core import Batch, Genomes, Ints
from design.errors import InputError
from design.hls.design import Target, hls_schema
from design.hls.directives import broken
from design.hls.loop_nest import Kernel
from dse.spaces.hls.counting import count_designs
from dse.spaces.hls.genome import Layout
from dse.spaces.hls.starts import simple_designs
from dse.spaces.hls.variation import sample_genes, vary_genes

MOST_COMBINATIONS = 2**20  # of directives that are gone through to list a small space
ROUNDS = 3  # of varying a parent again that came out as it was


class HlsSpace:
    """Every choice of directives that makes a design; of equal designs (see `design.hls.directives`) one.

    Where there are few, a genome is a design's number among all of them, `size` is known and a search may try each.
    Where there are many, it is one gene a directive. `designs` says how many there are in both cases.

    Raises InputError for a kernel without a directive to choose.
    """

    def __init__(self, kernel: Kernel, target: Target, most_listed: int = 100_000) -> None:
        if not kernel.parameters:
            raise InputError(kernel.name, "no directive to choose", "a loop with #pragma ACCEL .. auto{NAME}")
        self.kernel, self.target = kernel, target
        self.layout = Layout(kernel)
        self.schema = hls_schema(kernel, target)
        self.designs = count_designs(kernel)
        self._listed: Ints | None = None  # the designs by rank (all genes as one number), ascending
        if self.designs <= most_listed and self.layout.combinations <= MOST_COMBINATIONS:
            self._listed = np.unique(self._ranks(self.layout.columns(self._unranked(self.layout.combinations))))
            assert len(self._listed) == self.designs
        self.size: int | None = None if self._listed is None else self.designs
        self.bounds = self.layout.bounds if self.size is None else np.array([[0, self.size - 1]], dtype=np.int64)

    def sample(self, count: int, rng: np.random.Generator) -> Genomes:
        """See `Space`: from plain designs to those with a directive everywhere."""
        return self._genomes(sample_genes(self.layout, count, rng))

    def vary(self, parents: Genomes, rng: np.random.Generator) -> Genomes:
        """See `Space`: some children take a loop with all inside from another parent, then one to a few moves each."""
        children = parents.copy()
        rows = np.arange(len(parents))
        # A move may come to nothing, inside a flattened loop for instance: then there is another.
        for _ in range(ROUNDS):
            genes = self._genes(parents[rows])
            vary_genes(self.layout, genes, rng)
            children[rows] = self._genomes(genes)
            rows = rows[(children[rows] == parents[rows]).all(axis=1)]
            if not len(rows):
                break
        return children

    def starts(self) -> Genomes:
        """See `Space`: no directives, each depth of loops flattened, loops in a few copies."""
        return np.unique(self._genomes(simple_designs(self.layout)), axis=0)

    def decode(self, genomes: Genomes) -> Batch:
        """See `Space`."""
        return Batch(self.schema, self.layout.columns(self._genes(genomes)))

    def encode(self, batch: Batch) -> Genomes:
        """See `Space`. A design that is not the one to stand for its equals is taken as that one.

        Raises ValueError for a value that is not on offer, and for a design that is none.
        """
        genes = self.layout.genes(batch.columns)
        if wrong := broken(self.kernel, batch.columns):
            reason, rows = next(iter(wrong.items()))
            raise ValueError(f"design {np.flatnonzero(rows)[0]}: {reason}")
        return self._genomes(genes)

    def _genes(self, genomes: Genomes) -> Genomes:
        """One gene a directive, a new array."""
        if self._listed is None:
            return genomes.copy()
        return np.stack(np.unravel_index(self._listed[genomes[:, 0]], self.layout.radix), axis=1).astype(np.int64)

    def _genomes(self, genes: Genomes) -> Genomes:
        """Of the designs that stand for any genes."""
        columns = self.layout.columns(genes)
        if self._listed is None:
            return self.layout.genes(columns)
        return np.searchsorted(self._listed, self._ranks(columns))[:, None].astype(np.int64)

    def _ranks(self, columns: dict[str, Ints]) -> Ints:
        return np.ravel_multi_index(tuple(self.layout.genes(columns).T), self.layout.radix).astype(np.int64)

    def _unranked(self, count: int) -> Genomes:
        return np.stack(np.unravel_index(np.arange(count), self.layout.radix), axis=1).astype(np.int64)
