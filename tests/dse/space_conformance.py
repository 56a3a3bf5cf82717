"""What every space keeps to: `check_space`, for any space; `check_genomes`, for any genomes within its bounds."""

from __future__ import annotations

import numpy as np

from design.contracts import Space
from design.core import Batch, Genomes, key_bytes
from tests.cases import all_equal, every_genome

SEED = 11


def check_space(space: Space, count: int = 3000) -> None:
    """All laws, on `count` samples and on three generations of their children."""
    rng = np.random.default_rng(SEED)
    assert space.bounds.dtype == np.int64 and space.bounds.shape[1:] == (2,)
    assert (space.bounds[:, 0] <= space.bounds[:, 1]).all()
    assert space.sample(0, rng).shape == (0, len(space.bounds))
    for few in (0, 1):
        check_genomes(space, space.vary(space.sample(few, rng), rng), few)
    check_genomes(space, space.starts(), len(space.starts()))
    parents = space.sample(count, rng)
    for _ in range(4):
        check_genomes(space, parents, count)
        before = parents.copy()
        parents.setflags(write=False)
        children = space.vary(parents, rng)
        assert np.array_equal(parents, before) and not np.shares_memory(parents, children)
        parents = children
    _repeatable(space)
    _keys_are_texts(space, space.decode(parents))
    _size(space)


def check_genomes(space: Space, genomes: Genomes, count: int) -> None:
    """Shape, type and bounds; decoding works; encoding the candidates and decoding again gives the same ones."""
    assert genomes.shape == (count, len(space.bounds)) and genomes.dtype == np.int64
    assert (genomes >= space.bounds[:, 0]).all() and (genomes <= space.bounds[:, 1]).all()
    before = genomes.copy()
    batch = space.decode(genomes)
    assert len(batch) == count and batch.schema == space.schema and np.array_equal(genomes, before)
    encoded = space.encode(batch)
    assert encoded.shape == genomes.shape and encoded.dtype == np.int64
    assert (encoded >= space.bounds[:, 0]).all() and (encoded <= space.bounds[:, 1]).all()
    assert all_equal(space.decode(encoded), batch)
    assert np.array_equal(space.encode(space.decode(encoded)), encoded)


def _repeatable(space: Space) -> None:
    """The same seed gives the same genomes, another seed others (where there is a choice)."""

    def drawn(seed: int) -> Genomes:
        rng = np.random.default_rng(seed)
        return space.vary(space.sample(200, rng), rng)

    assert np.array_equal(drawn(1), drawn(1))
    if (space.bounds[:, 0] < space.bounds[:, 1]).any():
        assert not np.array_equal(drawn(1), drawn(2))
    assert np.array_equal(space.starts(), space.starts())


def _keys_are_texts(space: Space, batch: Batch) -> None:
    """Two candidates have one key exactly where they have one canonical text, which is one line."""
    keys = key_bytes(space.schema.key(batch))
    texts = [space.schema.text(batch, row) for row in range(len(batch))]
    assert len(set(keys)) == len(set(texts)) == len(set(zip(keys, texts, strict=True)))
    assert all(text and "\n" not in text for text in texts)


def _size(space: Space) -> None:
    """Where the candidates can be counted, all genomes together decode to that many."""
    if space.size is not None:
        batch = space.decode(every_genome(space.bounds))
        assert len(set(key_bytes(space.schema.key(batch)))) == len(batch) == space.size
