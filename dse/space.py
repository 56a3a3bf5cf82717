"""What a space of designs is. Spaces live in `dse/spaces/`; every one passes `tests/dse/space_conformance.py`."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from design.core import Batch, Genomes, Ints, Schema


class Space(Protocol):
    """Says which candidates exist. A genome is one row of integers within `bounds`, shape (genes, 2).

    `size` is the number of candidates where it can be counted; such a space decodes genome rows that
    `enumerate_genomes` makes from its bounds into every candidate, each once.
    """

    schema: Schema
    bounds: Ints
    size: int | None

    def sample(self, count: int, rng: np.random.Generator) -> Genomes:
        """(count, genes) fresh random genomes."""
        ...

    def vary(self, parents: Genomes, rng: np.random.Generator) -> Genomes:
        """One child for each parent row: this space's own mutation and crossover."""
        ...

    def decode(self, genomes: Genomes) -> Batch:
        """Legal candidates, one a row; total on everything within the bounds."""
        ...

    def encode(self, batch: Batch) -> Genomes:
        """Genomes that decode to the given legal candidates."""
        ...

    def starts(self) -> Genomes:
        """Known simple designs to begin a search with; may be empty."""
        ...
