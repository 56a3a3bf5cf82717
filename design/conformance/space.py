"""What every space keeps to: `check_space` for a space, `check_genomes` for any genomes within its bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from design.conformance.nonconforming import Nonconforming, expect, rows_text
from design.contracts import Space
from design.core import Batch, Bools, Genomes, key_bytes
from design.errors import in_one_line

GENERATIONS = 3  # of children of the samples
ONE_BY_ONE = 20  # genomes that are decoded by themselves
ALL = 2**20  # spaces of so many genomes are enumerated; of larger ones different genomes are compared


@dataclass(frozen=True)
class Case:
    """A space and how much of it is looked at; see `check_space`."""

    space: Space
    count: int = 3000
    seed: int = 0

    def rng(self) -> np.random.Generator:
        """A new one, always the same."""
        return np.random.default_rng(self.seed)

    @property
    def bounds(self) -> Genomes:
        """(genes, 2)."""
        return self.space.bounds

    @cached_property
    def generations(self) -> list[Genomes]:
        """Samples, their children, and so on."""
        rng = self.rng()
        found = [self.space.sample(self.count, rng)]
        for _ in range(GENERATIONS):
            found.append(self.space.vary(found[-1].copy(), rng))
        return found


def check_space(space: Space, count: int = 3000, seed: int = 0) -> None:
    """All laws, on `count` samples, three generations of their children, and as many genomes of any genes.

    A space whose size is known and whose bounds hold at most 2**20 genomes is enumerated. Raises Nonconforming.
    """
    case = Case(space, count, seed)
    for law in LAWS.values():
        law(case)


def check_genomes(space: Space, genomes: Genomes, count: int | None = None) -> None:
    """Shape (count, genes), type and bounds; decoding works; encoding the candidates and decoding again gives the same
    ones, and encoding those the same genomes. Raises Nonconforming."""
    culprit = _name(space)
    count = len(genomes) if count is None else count
    _within(space, genomes, count, "genomes")
    before = genomes.copy()
    batch = _decoded(space, genomes)
    expect(np.array_equal(genomes, before), culprit, "decode wrote into the genomes", "arguments left as they are")
    encoded = _encoded(space, batch)
    _within(space, encoded, count, "encoded genomes")
    again = _decoded(space, encoded)
    differs = _differ(again, batch)
    text = f"{rows_text(differs)}, encoded and decoded, is another candidate"
    expect(not differs.any(), culprit, text, "encode to be an inverse of decode")
    stable = np.array_equal(_encoded(space, again), encoded)
    expect(stable, culprit, "one candidate is encoded to two genomes", "one genome each, whoever it came from")


def _name(space: Space) -> str:
    return f"{type(space).__name__} of {getattr(getattr(space, 'schema', None), 'name', 'no schema')}"


def _within(space: Space, genomes: Genomes, count: int, what: str) -> None:
    culprit, shape = _name(space), (count, len(space.bounds))
    expect(isinstance(genomes, np.ndarray), culprit, f"{what} are a {type(genomes).__name__}", "a numpy array")
    expect(genomes.shape == shape, culprit, f"{what} of shape {genomes.shape}", f"shape {shape}")
    expect(genomes.dtype == np.int64, culprit, f"{what} of type {genomes.dtype}", "int64")
    outside = ((genomes < space.bounds[:, 0]) | (genomes > space.bounds[:, 1])).any(axis=1)
    expect(not outside.any(), culprit, f"{what} out of bounds in {rows_text(outside)}", "genes within `bounds`")


def _decoded(space: Space, genomes: Genomes) -> Batch:
    culprit, count = _name(space), len(genomes)
    try:
        batch = space.decode(genomes)
    except Exception as error:
        text = f"decode raised {in_one_line(error)} for {count} genomes within the bounds"
        raise Nonconforming(culprit, text, "a legal candidate for each: repair, never reject") from error
    expect(len(batch) == count, culprit, f"decoded {count} genomes to {len(batch)} candidates", "one each")
    expect(batch.schema == space.schema, culprit, f"decoded to schema {batch.schema.name}", "its own schema")
    return batch


def _encoded(space: Space, batch: Batch) -> Genomes:
    try:
        return space.encode(batch)
    except Exception as error:
        text = f"encode raised {in_one_line(error)} for {len(batch)} candidates that it decoded"
        raise Nonconforming(_name(space), text, "their genomes") from error


def _differ(left: Batch, right: Batch) -> Bools:
    """(n,) which candidates are not equal."""
    differs = np.zeros(len(left), dtype=bool)
    for name, values in left.columns.items():
        differs |= (values != right.columns[name]).any(axis=tuple(range(1, values.ndim)))
    return differs


def _bounds(case: Case) -> None:
    """Integers (genes, 2), low and high end, at least one gene."""
    bounds, culprit = case.bounds, _name(case.space)
    fits = isinstance(bounds, np.ndarray) and bounds.ndim == 2 and bounds.shape[1] == 2 and len(bounds)
    expect(fits, culprit, f"bounds of shape {np.shape(bounds)}", "(genes, 2), one gene or more")
    expect(bounds.dtype == np.int64, culprit, f"bounds of type {bounds.dtype}", "int64")
    empty = bounds[:, 0] > bounds[:, 1]
    expect(not empty.any(), culprit, f"bounds with nothing between in {rows_text(empty)}", "low <= high")


def _samples(case: Case) -> None:
    """As many as asked for, down to none, within the bounds; starts too."""
    rng = case.rng()
    for few in (0, 1, case.count):
        check_genomes(case.space, case.space.sample(few, rng), few)
    check_genomes(case.space, case.space.starts())


def _children(case: Case) -> None:
    """One for each parent, down to none; parents are left as they are, and share no memory with their children."""
    rng, culprit = case.rng(), _name(case.space)
    for few in (0, 1):
        check_genomes(case.space, case.space.vary(case.space.sample(few, rng), rng), few)
    for parents, children in zip(case.generations, case.generations[1:], strict=False):
        check_genomes(case.space, children, len(parents))
    parents = case.space.sample(min(case.count, 200), rng)
    before = parents.copy()
    children = case.space.vary(parents, rng)
    expect(np.array_equal(parents, before), culprit, "vary wrote into the parents", "arguments left as they are")
    shared = np.shares_memory(parents, children)
    expect(not shared, culprit, "children share memory with their parents", "genomes of their own")


def _repeats(case: Case) -> None:
    """The same generator gives the same genomes, another one others where there is a choice."""
    space, culprit = case.space, _name(case.space)

    def drawn(seed: int) -> tuple[Genomes, Genomes]:
        rng = np.random.default_rng(seed)
        parents = space.sample(200, rng)
        return parents, space.vary(parents, rng)

    one, again, other = drawn(case.seed), drawn(case.seed), drawn(case.seed + 1)
    choice = (case.bounds[:, 0] < case.bounds[:, 1]).any()
    for method, first, second, third in zip(("sample", "vary"), one, again, other, strict=True):
        same = np.array_equal(first, second)
        expect(same, culprit, f"{method} gives other genomes for the same generator", "all chance from the generator")
        differ = not choice or not np.array_equal(first, third)
        expect(differ, culprit, f"{method} gives the same genomes for another generator", "genomes drawn from it")
    starts = np.array_equal(space.starts(), space.starts())
    expect(starts, culprit, "other starts the second time", "the same ones")


def _total(case: Case) -> None:
    """Any genes within the bounds decode, the ends of the bounds among them, and encode to what decodes the same."""
    low, high = case.bounds.T
    some = case.rng().integers(low, high + 1, (case.count, len(low)), dtype=np.int64)
    check_genomes(case.space, np.concatenate([low[None], high[None], some]))


def _company(case: Case) -> None:
    """A genome decodes to one candidate: in any order, and by itself."""
    genomes, culprit = case.generations[-1], _name(case.space)
    batch = _decoded(case.space, genomes)
    shuffled = case.rng().permutation(len(genomes))
    for rows in (shuffled, *np.arange(min(len(genomes), ONE_BY_ONE))[:, None]):
        differs = _differ(_decoded(case.space, genomes[rows]), batch.take(rows))
        text = f"{rows_text(differs)} of {len(rows)} decodes to another candidate beside others"
        expect(not differs.any(), culprit, text, "one candidate for one genome")


def _keys(case: Case) -> None:
    """Two candidates have one key exactly where they have one canonical text, which is one line."""
    batch, culprit = _decoded(case.space, case.generations[-1]), _name(case.space)
    keys = key_bytes(case.space.schema.key(batch))
    texts = [case.space.schema.text(batch, row) for row in range(len(batch))]
    bad = np.array([len(text.splitlines()) != 1 for text in texts], dtype=bool)
    expect(not bad.any(), culprit, f"the text of {rows_text(bad)} is empty or has several lines", "one line")
    pairs = len(set(zip(keys, texts, strict=True)))
    found = f"{len(set(keys))} keys and {len(set(texts))} texts of {pairs} candidates"
    expect(len(set(keys)) == len(set(texts)) == pairs, culprit, found, "one text for one key")


def _size(case: Case) -> None:
    """Where the candidates can be counted, every genome within the bounds decodes to one of its own."""
    size, culprit = case.space.size, _name(case.space)
    if size is None:
        return
    genomes = 1
    for low, high in case.bounds.tolist():
        genomes *= high - low + 1
    expect(size == genomes, culprit, f"size {size} with bounds of {genomes} genomes", "as many; else a size of None")
    every = enumerated(case.bounds) if genomes <= ALL else np.unique(np.concatenate(case.generations), axis=0)
    keys = key_bytes(case.space.schema.key(_decoded(case.space, every)))
    text = f"{len(every)} different genomes decode to {len(set(keys))} candidates"
    expect(len(set(keys)) == len(every), culprit, text, "as many, as the size is known; else a size of None")


def enumerated(bounds: Genomes) -> Genomes:
    """(genomes, genes): all genomes within bounds (genes, 2), in lexicographic order."""
    low, high = bounds.T
    extents = tuple((high - low + 1).tolist())
    return np.stack(np.unravel_index(np.arange(np.prod(extents)), extents), axis=1).astype(np.int64) + low


LAWS: dict[str, Callable[[Case], None]] = {
    "bounds": _bounds,
    "samples": _samples,
    "children": _children,
    "repeats": _repeats,
    "total": _total,
    "company": _company,
    "keys": _keys,
    "size": _size,
}
