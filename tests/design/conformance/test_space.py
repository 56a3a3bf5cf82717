"""The suite of spaces passes what is sound, and finds each of these faults."""

from __future__ import annotations

import itertools
from functools import partial
from typing import Any

import numpy as np
import pytest

from design.conformance.nonconforming import Nonconforming
from design.conformance.space import check_genomes, check_space, enumerated
from design.core import Batch, Genomes, Schema
from tests.design.conformance.toys import ToySpace, schema


def space(**methods: Any) -> ToySpace:
    """A space with some methods or attributes of its own; methods get the sound space first."""
    found = ToySpace()
    for name, value in methods.items():
        setattr(found, name, partial(value, ToySpace()) if callable(value) else value)
    return found


def refuse(s: ToySpace, genomes: Genomes) -> Batch:
    """Partial: the largest cache is rejected, not repaired."""
    if (genomes == s.bounds[:, 1]).all(axis=1).any():
        raise ValueError("too large")
    return s.decode(genomes)


def others(s: ToySpace, genomes: Genomes) -> Batch:
    """By the company."""
    columns = dict(s.decode(genomes).columns)
    return Batch(s.schema, columns | {"size": np.minimum(columns["size"], len(genomes) + 2)})


def into(s: ToySpace, genomes: Genomes) -> Batch:
    """Writes into the genomes."""
    genomes[:, 0] = 0
    return s.decode(genomes)


def vary_into(s: ToySpace, parents: Genomes, rng: np.random.Generator) -> Genomes:
    """Writes into the parents."""
    parents[:, 0] = 0
    return s.vary(parents, rng)


def view(s: ToySpace, parents: Genomes, rng: np.random.Generator) -> Genomes:
    """Children that are their parents, in the same memory."""
    return parents[:]


def two_texts(batch: Batch, row: int) -> str:
    """A text for two candidates."""
    return f"size={batch.columns['size'][row] // 2} ways={batch.columns['ways'][row]}"


def with_text(render: Any) -> ToySpace:
    """A space whose candidates have this text."""
    found = ToySpace()
    found.schema = Schema("cache", schema().columns, "one", render)
    return found


COUNTER = itertools.count()
FAULTS: dict[str, tuple[Any, str]] = {
    "partial": (space(decode=refuse), "decode raised ValueError: too large .* a legal candidate for each"),
    "encode is no inverse": (space(encode=lambda s, b: s.encode(b)[::-1].copy()), "encoded and decoded, is another"),
    "encode forgets": (
        space(encode=lambda s, b: s.encode(b) * 0 + [0, 1]),
        "encoded and decoded, is another candidate",
    ),
    "encode raises": (space(encode=lambda s, b: s.encode(b)[b.columns["size"].argmax()]), "encode raised ValueError"),
    "encode out of bounds": (space(encode=lambda s, b: s.encode(b) + 9), "encoded genomes out of bounds in row"),
    "encode of another shape": (space(encode=lambda s, b: s.encode(b)[:, :1]), r"encoded genomes of shape \(0, 1\)"),
    "encode of another type": (space(encode=lambda s, b: s.encode(b).astype(float)), "encoded genomes of type float64"),
    "encode by chance": (
        space(
            decode=lambda s, g: s.decode(g // 2 * 2 + [0, 1]),
            encode=lambda s, b: s.encode(b) // 2 * 2 + next(COUNTER) % 2,
        ),
        "one candidate is encoded to two genomes",
    ),
    "decode by company": (space(decode=others), "is another candidate|to another candidate beside others"),
    "decode into": (space(decode=into), "decode wrote into the genomes"),
    "decode too few": (space(decode=lambda s, g: s.decode(g[1:])), "decoded 1 genomes to 0 candidates"),
    "another schema": (
        space(decode=lambda s, g: Batch(schema("two"), s.decode(g).columns)),
        "decoded to schema cache; expected its own schema",
    ),
    "sample out of bounds": (
        space(sample=lambda s, n, r: s.sample(n, r) + np.array([1, 0])),
        "genomes out of bounds in row",
    ),
    "sample too few": (
        space(sample=lambda s, n, r: s.sample(max(n - 1, 0), r)),
        r"genomes of shape \(0, 2\); expected",
    ),
    "sample of another type": (space(sample=lambda s, n, r: s.sample(n, r).astype("i4")), "genomes of type int32"),
    "sample by chance": (
        space(sample=lambda s, n, r: s.sample(n, np.random.default_rng())),
        "sample gives other genomes for the same generator",
    ),
    "sample without it": (
        space(sample=lambda s, n, r: s.sample(n, np.random.default_rng(0))),
        "sample gives the same genomes for another generator",
    ),
    "vary by chance": (
        space(vary=lambda s, p, r: s.vary(p, np.random.default_rng())),
        "vary gives other genomes for the same generator",
    ),
    "vary into": (space(vary=vary_into), "vary wrote into the parents"),
    "vary in place": (space(vary=view), "children share memory"),
    "vary too few": (space(vary=lambda s, p, r: s.vary(p, r)[:-1]), r"genomes of shape \(0, 2\)"),
    "vary out of bounds": (space(vary=lambda s, p, r: s.vary(p, r) + np.array([0, 1])), "genomes out of bounds"),
    "starts out of bounds": (space(starts=lambda s: s.starts() - 1), "genomes out of bounds in row 0"),
    "starts of chance": (
        space(starts=lambda s: s.sample(2, np.random.default_rng()), size=None),
        "other starts the second time",
    ),
    "larger": (space(size=25), "size 25 with bounds of 24 genomes"),
    "smaller": (space(size=12), "size 12 with bounds of 24 genomes"),
    "twice": (
        space(decode=lambda s, g: s.decode(np.minimum(g, [4, 4])), encode=lambda s, b: s.encode(b)),
        "24 different genomes decode to 20 candidates",
    ),
    "bounds of floats": (space(bounds=ToySpace().bounds.astype(float)), "bounds of type float64"),
    "bounds turned": (space(bounds=ToySpace().bounds[:, ::-1].copy()), "bounds with nothing between in rows 0, 1"),
    "bounds of another shape": (space(bounds=np.zeros((2, 3), dtype=np.int64)), r"bounds of shape \(2, 3\)"),
    "no genes": (space(bounds=np.zeros((0, 2), dtype=np.int64)), r"bounds of shape \(0, 2\)"),
    "one text for two": (with_text(two_texts), "keys and 12 texts"),
    "no text": (with_text(lambda batch, row: ""), "is empty or has several lines"),
    "long text": (with_text(lambda batch, row: f"{row}\n2"), "is empty or has several lines"),
    "text of the row": (with_text(lambda batch, row: f"{row}"), "24 keys and 300 texts of 300 candidates"),
}


def test_a_sound_one() -> None:
    """Passes, with a size and without one."""
    check_space(ToySpace())
    check_space(space(size=None), 300, seed=4)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault(name: str) -> None:
    """Is found, by what it is."""
    found, words = FAULTS[name]
    with pytest.raises(Nonconforming, match=words) as caught:
        check_space(found, 300)
    assert str(caught.value).startswith("ToySpace of cache: ") and "; expected " in str(caught.value)


def test_large_spaces() -> None:
    """Are not enumerated: different genomes of those drawn are compared."""
    found = ToySpace()
    found.bounds = np.array([[0, 2**40], [1, 4]], dtype=np.int64)
    found.size = 4 * (2**40 + 1)
    check_space(found, 300)
    found.decode = lambda genomes: ToySpace().decode(genomes // [2, 1])  # type: ignore[method-assign]
    found.encode = lambda batch: ToySpace().encode(batch) * [2, 1]  # type: ignore[method-assign]
    found.starts = lambda: np.empty((0, 2), dtype=np.int64)  # type: ignore[method-assign]
    found.bounds = np.array([[0, 2**21], [1, 4]], dtype=np.int64)
    found.size = 4 * (2**21 + 1)
    with pytest.raises(Nonconforming, match="different genomes decode to"):
        check_space(found, 10000)


def test_genomes_of_others() -> None:
    """Any genomes can be checked; as many as are named."""
    check_genomes(ToySpace(), enumerated(ToySpace().bounds), 24)
    with pytest.raises(Nonconforming, match=r"genomes of shape \(24, 2\); expected shape \(23, 2\)"):
        check_genomes(ToySpace(), enumerated(ToySpace().bounds), 23)
    with pytest.raises(Nonconforming, match="out of bounds in row 1;"):
        check_genomes(ToySpace(), np.array([[0, 1], [0, 0]]))


def test_all_genomes() -> None:
    """Each once, in order, also with negative bounds."""
    assert enumerated(np.array([[-1, 0], [5, 7]])).tolist() == [[-1, 5], [-1, 6], [-1, 7], [0, 5], [0, 6], [0, 7]]
