"""The genes: one a parameter, the number of its value among those on offer; 0 is a loop without the directive."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from design.core import Bools, Genomes, Ints
from design.hls.design import FLATTEN, choices
from design.hls.directives import canonical, legal
from design.hls.loop_nest import PIPELINE, Kernel

FLATTENED = FLATTEN  # its gene: PIPELINE is offered as off, coarse, flatten, in the order of their values


class Layout:
    """Where each directive's gene is, and what its numbers stand for."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.parameters = kernel.parameters
        self.offered = [np.array(choices(kernel, p), dtype=np.int64) for p in self.parameters]
        self.radix = tuple(len(values) for values in self.offered)
        self.bounds: Ints = np.array([(0, most - 1) for most in self.radix], dtype=np.int64).reshape(-1, 2)
        self.at = {(p.loop, p.kind): gene for gene, p in enumerate(self.parameters)}
        # Row t: which genes lie on the t-th loop that has any, or inside it.
        with_genes = sorted({p.loop for p in self.parameters})
        homes = [{loop, *kernel.inside(loop)} for loop in with_genes]
        self.subtrees: Bools = np.array([[p.loop in home for p in self.parameters] for home in homes], dtype=bool)
        self.pipelined = self._pairs(with_genes)

    def _pairs(self, with_genes: list[int]) -> Ints:
        """(pairs, 2) PIPELINE genes of an outer and an inner loop."""
        pairs = [
            (self.at[outer, PIPELINE], self.at[inner, PIPELINE])
            for outer in with_genes
            for inner in self.kernel.inside(outer)
            if (outer, PIPELINE) in self.at and (inner, PIPELINE) in self.at
        ]
        return np.array(pairs, dtype=np.int64).reshape(-1, 2)

    @property
    def combinations(self) -> int:
        """Of genes, equal and impossible designs and all."""
        product = 1
        for most in self.radix:
            product *= most
        return product

    def columns(self, genes: Genomes) -> dict[str, Ints]:
        """Of the designs that genes stand for, possible ones without equals."""
        wished = {p.name: self.offered[i][genes[:, i]] for i, p in enumerate(self.parameters)}
        return canonical(self.kernel, legal(self.kernel, wished))

    def genes(self, columns: Mapping[str, Ints]) -> Genomes:
        """The inverse. Raises ValueError for a value that is not on offer."""
        found = np.empty((len(next(iter(columns.values()))), len(self.parameters)), dtype=np.int64)
        for i, parameter in enumerate(self.parameters):
            values = columns[parameter.name]
            found[:, i] = np.minimum(np.searchsorted(self.offered[i], values), len(self.offered[i]) - 1)
            odd = np.flatnonzero(self.offered[i][found[:, i]] != values)
            if len(odd):
                offered = ", ".join(map(str, self.offered[i]))
                raise ValueError(f"design {odd[0]} has {parameter.name}={values[odd[0]]}; on offer are {offered}")
        return found
