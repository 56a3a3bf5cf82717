"""A space of given designs and no others: what a search may walk where only these have a known cost."""

from __future__ import annotations

import numpy as np

from design.core import Batch, Floats, Genomes, Ints, key_bytes
from design.errors import InputError

CROSSED = 0.33  # share of children that first take columns from another parent
FAR = 0.05  # share that is any design of the list
AT_ONCE = 2**22  # distances held at a time


class ListedSpace:
    """The rows of a batch, by number. Children are listed designs near where variation leads.

    Two designs are near where their columns are, each column measured by the rank of its value among those listed.

    Raises InputError for an empty list, ValueError for a design that is listed twice.
    """

    def __init__(self, designs: Batch) -> None:
        if not len(designs):
            raise InputError("the listed designs", "none", "at least one")
        self.designs, self.schema = designs, designs.schema
        self._row = {key: row for row, key in enumerate(key_bytes(self.schema.key(designs)))}
        if len(self._row) < len(designs):
            keys = key_bytes(self.schema.key(designs))
            twice = next(row for row, key in enumerate(keys) if self._row[key] != row)
            raise ValueError(f"design {twice} is listed again as {self._row[keys[twice]]}")
        self.size: int | None = len(designs)
        self.bounds: Ints = np.array([[0, len(designs) - 1]], dtype=np.int64)
        self._values, self._place = _places(designs)

    def sample(self, count: int, rng: np.random.Generator) -> Genomes:
        """See `Space`: any of them alike."""
        return rng.integers(0, len(self.designs), (count, 1))

    def starts(self) -> Genomes:
        """See `Space`: the design with the smallest values, which is mostly the plainest."""
        return np.array([[np.argmin(self._place.sum(axis=1))]], dtype=np.int64)

    def decode(self, genomes: Genomes) -> Batch:
        """See `Space`."""
        return self.designs.take(genomes[:, 0])

    def encode(self, batch: Batch) -> Genomes:
        """See `Space`. Raises ValueError for a design that is not listed."""
        found = [self._row.get(key, -1) for key in key_bytes(self.schema.key(batch))]
        if -1 in found:
            raise ValueError(f"not listed: {self.schema.text(batch, found.index(-1))}")
        return np.array(found, dtype=np.int64).reshape(-1, 1)

    def vary(self, parents: Genomes, rng: np.random.Generator) -> Genomes:
        """See `Space`: columns from another parent, some columns changed, then the nearest listed design that is not
        the parent itself; of several, any."""
        rows, count = parents[:, 0], len(parents)
        wish = self._place[rows]
        crossed = (rng.random(count) < CROSSED)[:, None] & (rng.random(wish.shape) < rng.random((count, 1)))
        wish = np.where(crossed, self._place[rng.permutation(rows)], wish)
        # One column changes for certain, each other one with the chance of one in as many columns as there are.
        changed = rng.random(wish.shape) < 1 / wish.shape[1]
        changed[np.arange(count), rng.integers(0, wish.shape[1], count)] = True
        wish = np.where(changed, self._moved(wish, rng), wish)
        found = self._nearest(wish, rows, rng)
        return np.where(rng.random(count) < FAR, rng.integers(0, len(self.designs), count), found)[:, None]

    def _moved(self, place: Floats, rng: np.random.Generator) -> Floats:
        """Each column a value up or down, or at any value."""
        step = rng.choice([-1, 1], place.shape) / np.maximum(self._values - 1, 1)
        anywhere = rng.integers(0, self._values, place.shape) / np.maximum(self._values - 1, 1)
        return np.where(rng.random(place.shape) < 0.5, np.clip(place + step, 0, 1), anywhere)

    def _nearest(self, wish: Floats, own: Ints, rng: np.random.Generator) -> Ints:
        """(n,) rows: the listed designs nearest to places, other than their own."""
        found = np.empty(len(wish), dtype=np.int64)
        order = rng.permutation(len(self.designs))  # the first of equals in it is taken
        listed, back = self._place[order], np.argsort(order)
        block = max(AT_ONCE // listed.size, 1)
        for begin in range(0, len(wish), block):
            part = slice(begin, begin + block)
            distance = np.abs(wish[part, None, :] - listed[None, :, :]).sum(axis=2)
            if len(self.designs) > 1:
                distance[np.arange(len(distance)), back[own[part]]] = np.inf
            # Sums of thirds and sevenths differ in the last digits where they are equal.
            found[part] = order[np.argmin(np.round(distance, 9), axis=1)]
        return found


def _places(designs: Batch) -> tuple[Ints, Floats]:
    """How many values each stored column takes, (columns,), and where in 0 .. 1 each design's is, (n, columns)."""
    count, places = [], []
    for column in designs.schema.columns:
        for values in designs.columns[column.name].reshape(len(designs), -1).T:
            distinct, rank = np.unique(values, return_inverse=True)
            count.append(len(distinct))
            places.append(rank.reshape(-1) / max(len(distinct) - 1, 1))
    return np.array(count, dtype=np.int64), np.stack(places, axis=1)
