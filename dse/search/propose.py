"""Candidates that no run has priced before: genomes, decoded once, each with its key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from design.contracts import Space
from design.core import Batch, Genomes, key_bytes

ROUNDS = 12  # of drawing again before a space counts as exhausted


@dataclass(frozen=True)
class Candidates:
    """Rows of one generation. Genomes are in the form that `encode` gives, so that equal designs are equal."""

    genomes: Genomes
    batch: Batch
    keys: list[bytes]

    def __len__(self) -> int:
        return len(self.keys)


Draw = Callable[[int], Genomes]


class Proposer:
    """Remembers every key that it gave out, and gives none out twice."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self._seen: set[bytes] = set()

    def fresh(self, draw: Draw, count: int, otherwise: Draw | None = None) -> Candidates | None:
        """Up to `count` new candidates from what `draw(missing)` makes; None where there is nothing new.

        Where `draw` runs dry, `otherwise` is asked for what is still missing.
        """
        found: list[Candidates] = []
        missing = count
        for source in (draw, otherwise):
            for attempt in range(ROUNDS if source else 0):
                if missing <= 0:
                    break
                assert source is not None
                # Where designs repeat, most of what is drawn is old: draw more, use what is missing.
                new = self._unseen(source(2 * missing + 16 if attempt else missing), missing)
                found.append(new)
                missing -= len(new)
        if missing == count:
            return None
        return Candidates(
            np.concatenate([part.genomes for part in found]),
            Batch.concat([part.batch for part in found]),
            [key for part in found for key in part.keys],
        )

    def _unseen(self, genomes: Genomes, most: int) -> Candidates:
        batch = self.space.decode(genomes)
        keys = key_bytes(self.space.schema.key(batch))
        rows: list[int] = []
        for row, key in enumerate(keys):
            if key not in self._seen and len(rows) < most:
                self._seen.add(key)
                rows.append(row)
        new = np.array(rows, dtype=np.int64)
        if len(rows) < len(keys):
            batch = batch.take(new)
        return Candidates(self.space.encode(batch), batch, [keys[row] for row in rows])
