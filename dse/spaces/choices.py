"""A space of independent choices: each column of a schema takes one of its values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from design.core import Batch, Genomes, Ints, Schema

RATE = 1.5  # genes that a child changes, in the mean, beside those of its other parent


class ChoiceSpace:
    """`values` are the choices of each column of the schema, distinct, at least one; genes are their numbers. The first
    start is the first choice of each. Raises ValueError for a column with more than one value a row."""

    def __init__(self, schema: Schema, values: Mapping[str, Sequence[float]]) -> None:
        if wide := [column.name for column in schema.columns if column.width]:
            raise ValueError(f"column {wide[0]} of {schema.name} has several values a row")
        self.schema = schema
        self._values = [np.array(values[column.name], dtype=column.dtype) for column in schema.columns]
        counts = np.array([len(one) for one in self._values], dtype=np.int64)
        self.bounds: Ints = np.stack([np.zeros_like(counts), counts - 1], axis=1)
        self.size: int | None = int(np.prod(counts))

    def sample(self, count: int, rng: np.random.Generator) -> Genomes:
        """See `Space`."""
        low, high = self.bounds.T
        return rng.integers(low, high + 1, size=(count, len(low)))

    def vary(self, parents: Genomes, rng: np.random.Generator) -> Genomes:
        """See `Space`: genes of another parent, and some anew."""
        others = parents[rng.permutation(len(parents))]
        children = np.where(rng.random(parents.shape) < 0.5, parents, others)
        anew = rng.random(parents.shape) < RATE / parents.shape[1]
        return np.where(anew, self.sample(len(parents), rng), children)

    def decode(self, genomes: Genomes) -> Batch:
        """See `Space`."""
        names = [column.name for column in self.schema.columns]
        columns = zip(names, self._values, genomes.T, strict=True)
        return Batch(self.schema, {name: values[genes] for name, values, genes in columns})

    def encode(self, batch: Batch) -> Genomes:
        """See `Space`."""
        genes = []
        for column, values in zip(self.schema.columns, self._values, strict=True):
            order = np.argsort(values, kind="stable")
            genes.append(order[np.searchsorted(values[order], batch.columns[column.name])])
        return np.stack(genes, axis=1).astype(np.int64)

    def starts(self) -> Genomes:
        """See `Space`."""
        return np.zeros((1, len(self._values)), dtype=np.int64)
