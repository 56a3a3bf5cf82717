"""The HLS space against its contract, and against listing every combination of directives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from design.conformance.space import check_genomes, check_space
from design.core import Batch, key_bytes
from design.errors import InputError
from design.hls.design import FLATTEN, TARGETS, batch_of
from design.hls.directives import broken
from design.hls.loop_nest import Kernel
from dse.search.engine import Effort, Enumeration, make_search
from dse.spaces.hls import HlsSpace
from frontends.c_kernel import parse_kernel
from tests.cases import all_equal, every_genome, examples, genomes
from tests.design.hls.test_directives import columns, every, legal, rows_of
from tests.small_kernels import DEEP, GEMM, RAGGED, SMALL, TINY, Nest, kernel_of

TARGET = TARGETS["v20"]
SPACES = {kernel.name: kernel for kernel in (GEMM, *SMALL)}


def space_of(kernel: Kernel, most_listed: int = 100_000) -> HlsSpace:
    """A kernel's space; with `most_listed` 0 one gene a directive."""
    return HlsSpace(kernel, TARGET, most_listed)


def keys_of(batch: Batch) -> set[bytes]:
    """The designs of a batch."""
    return set(key_bytes(batch.schema.key(batch)))


@pytest.mark.parametrize("most_listed", [100_000, 0])
@pytest.mark.parametrize("name", SPACES)
def test_contract(name: str, most_listed: int) -> None:
    """Bounds, types, repeatability, round trips, keys, size, starts; listed and not."""
    space = space_of(SPACES[name], most_listed)
    assert (space.size is None) == (most_listed == 0 or name == "gemm")
    check_space(space, 1000)


@pytest.mark.parametrize("most_listed", [100_000, 0])
@pytest.mark.parametrize("name", SPACES)
def test_any_genes_decode(name: str, most_listed: int) -> None:
    """Decoding is total on the bounds, stable under encoding, and gives designs that nothing is wrong with."""
    space = space_of(SPACES[name], most_listed)

    @examples(25)
    @given(genomes(space.bounds, 4))
    def check(found: np.ndarray) -> None:
        check_genomes(space, found, len(found))
        assert not broken(space.kernel, space.decode(found).columns)

    check()


@pytest.mark.parametrize("kernel", SMALL, ids=lambda k: k.name)
def test_every_design_once(kernel: Kernel) -> None:
    """All designs that nothing is wrong with are there, the equal ones once, whatever the genome."""
    table = every(kernel)
    fine = [row for row in rows_of(table) if not broken(kernel, columns([row]))]
    listed, wide = space_of(kernel), space_of(kernel, 0)
    names = batch_of(kernel, listed.schema, [as_point(kernel, row) for row in fine], "here")
    stand = keys_of(listed.decode(listed.encode(names)))
    assert len(stand) == listed.designs == listed.size == wide.designs
    assert keys_of(listed.decode(every_genome(listed.bounds))) == stand
    assert keys_of(wide.decode(every_genome(wide.bounds))) == stand


def as_point(kernel: Kernel, row: dict[str, int]) -> dict[str, str | int]:
    """A design as data files write it."""
    words = ("off", "", "flatten")
    pipelines = {p.name for p in kernel.parameters if p.kind == "PIPELINE"}
    return {name: words[value] if name in pipelines else value for name, value in row.items()}


def test_counted_by_hand() -> None:
    """Small nests, worked out on paper."""
    leaf = space_of(kernel_of(Nest(4, "PTF")))
    # F=1: T=1 off or coarse, T=2 off; F=2: the same; F=4: off. (T=4 is T=1; flatten is coarse.)
    assert leaf.designs == 3 + 3 + 1
    factor = space_of(kernel_of(Nest(3, "F")))
    assert factor.designs == 3  # 1, 2 and 3
    # Of TINY, flattened: F=1 with T=1, 2, 4; F=2 with T=1, 2; F=4: 6. Else by the factor inside, 1, 2 or 3:
    # F=1, T=1, off or coarse (6), T=2 (3), T=4, off or coarse, only for 2 and 3 (4); F=2, T=1, off or coarse, for
    # 1 and 2 (4), T=2 (3); F=4 for 1 and 2 (2).
    assert space_of(TINY).designs == 6 + 6 + 3 + 4 + 4 + 3 + 2


def test_many_designs_are_counted() -> None:
    """The product of kernels beside each other, far beyond what can be listed."""
    one = space_of(GEMM)
    nest = Nest(60, "PTF", (Nest(70, "F"), Nest(80, "PTF", (Nest(70, "F"),))))
    two = space_of(kernel_of(nest, nest, nest))
    assert two.designs == one.designs**3 > 1e15 and two.size is None
    assert one.designs < one.layout.combinations / 2


@pytest.mark.parametrize("kernel", [TINY, DEEP, RAGGED], ids=lambda k: k.name)
@pytest.mark.parametrize("most_listed", [100_000, 0])
def test_any_design_leads_to_any_other(kernel: Kernel, most_listed: int) -> None:
    """A step leads from the first design to every other, however far apart."""
    space = space_of(kernel, most_listed)
    rng = np.random.default_rng(3)
    for start in (space.starts()[:1], space.encode(space.decode(space.bounds[None, :, 1]))):
        children = space.decode(space.vary(np.repeat(start, 60_000, axis=0), rng))
        assert len(keys_of(children)) == space.designs


def test_children_are_near() -> None:
    """Most children differ from their parents, in few directives."""
    space, rng = space_of(GEMM), np.random.default_rng(5)
    parents = space.sample(4000, rng)
    children = space.vary(parents, rng)
    changed = (space.encode(space.decode(parents)) != children).sum(axis=1)
    assert (changed > 0).mean() > 0.95
    assert np.median(changed) <= 3 < changed.max()


def test_loops_move_as_a_whole() -> None:
    """Among copies of two designs a child takes all directives of a loop nest from one of them, or changes few."""
    nest = Nest(60, "PTF", (Nest(80, "PTF", (Nest(70, "F"),)),))
    space = space_of(kernel_of(nest, nest))
    plain, other = space.starts()[0] * 0, space.encode(space.decode(space.bounds[None, :, 0]))[0] * 0
    other[:] = [0, 1, 3, 0, 2, 5, 6, 0, 2, 4, 0, 1, 3, 7]
    other = space.encode(space.decode(other[None]))[0]
    parents = np.stack([plain, other] * 4000)
    children = space.vary(parents, np.random.default_rng(1))[::2]
    half = len(plain) // 2
    for side in (slice(0, half), slice(half, None)):
        taken = (children[:, side] == other[side]).all(axis=1)
        assert 0.01 < taken.mean() < 0.3


def test_starts_are_what_they_say() -> None:
    """No directives at all, and every loop that can be flattened flattened alone, are among the starts."""
    space = space_of(GEMM)
    batch = space.decode(space.starts())
    rows = [tuple(row.values()) for row in rows_of(dict(batch.columns))]
    bare = {p.name: 0 if p.kind == "PIPELINE" else 1 for p in GEMM.parameters}
    for said in ({}, {"P0": FLATTEN}, {"P2": FLATTEN}, {"P2": FLATTEN, "F2": 8}, {"F1": 16, "F3": 16}):
        assert tuple((bare | said).values()) in rows
    assert len(keys_of(batch)) == len(space.starts())


def test_samples_reach_from_plain_to_full() -> None:
    """Plain designs are not rare, nor those with a directive everywhere."""
    space = space_of(GEMM)
    used = (space.sample(5000, np.random.default_rng(0)) != 0).mean(axis=1)
    assert (used == 0).mean() > 0.05 and (used > 0.6).mean() > 0.05


def test_encode_refuses() -> None:
    """Values that are not on offer, and designs that are none."""
    space = space_of(GEMM)
    table = {name: values.copy() for name, values in space.decode(space.bounds[None, :, 0]).columns.items()}
    table["F0"] = np.array([7])
    with pytest.raises(ValueError, match="design 0 has F0=7; on offer are 1, 2, 3"):
        space.encode(Batch(space.schema, table))
    table["F0"], table["T0"] = np.array([10]), np.array([8])
    with pytest.raises(ValueError, match="design 0: T0 times F0 is more than the 60 iterations"):
        space.encode(Batch(space.schema, table))
    possible = Batch(space.schema, legal(GEMM, table))
    assert all_equal(space.decode(space.encode(possible)), possible)


def test_nothing_to_choose() -> None:
    """A kernel without parameters is refused in one line."""
    with pytest.raises(InputError, match="no directive to choose"):
        space_of(kernel_of(Nest(4)))


def test_search_goes_through_all() -> None:
    """Enumeration, which `auto` picks for small spaces, asks for every design once."""
    space = space_of(TINY)
    search = make_search(space, Effort(7, 3, 0.5, 0), "auto", 1, 1000)
    assert isinstance(search, Enumeration)
    seen: list[bytes] = []
    while (asked := search.ask()) is not None:
        seen += asked.keys
    assert len(seen) == len(set(seen)) == space.size


def test_space_of_a_kernel_as_read() -> None:
    """Of C text, not of loops made by hand."""
    text = """
    #pragma ACCEL kernel
    void scale(double a[8][6], double b[8][6]) {
    #pragma ACCEL PIPELINE auto{P}
    #pragma ACCEL TILE FACTOR=auto{T}
    #pragma ACCEL PARALLEL FACTOR=auto{F}
      for (int i = 0; i < 8; i++) {
    #pragma ACCEL PARALLEL FACTOR=auto{G}
        for (int j = 0; j < 6; j++) { b[i][j] = 2.0 * a[i][j]; }
      }
    }
    """
    space = space_of(parse_kernel(text, "scale.c"))
    check_space(space, 300)
    same = space_of(kernel_of(Nest(8, "PTF", (Nest(6, "F"),))))
    assert space.size == same.size == same.designs > 50
    assert space.schema.text(space.decode(space.starts()), 0) == "P=off T=1 F=1 G=1"
