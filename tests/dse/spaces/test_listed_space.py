"""A space of listed designs: nothing but these, each once, and children near their parents."""

from __future__ import annotations

import numpy as np
import pytest

from design.conformance.space import check_space
from design.contracts import Space
from design.core import Batch, key_bytes
from design.errors import InputError
from design.hls.design import TARGETS
from dse.search.engine import Effort, make_search
from dse.spaces.hls import HlsSpace
from dse.spaces.listed import ListedSpace
from tests.cases import all_equal, every_genome
from tests.dse.nmp.small import ROOFLINE, devices, sampled, space_for
from tests.small_kernels import GEMM, TINY


def some_designs(space: Space, count: int) -> Batch:
    """Distinct random designs of a space."""
    batch = space.decode(space.sample(count, np.random.default_rng(2)))
    first = {key: row for row, key in reversed(list(enumerate(key_bytes(space.schema.key(batch)))))}
    return batch.take(np.array(sorted(first.values())))


HLS = some_designs(HlsSpace(GEMM, TARGETS["v18"]), 1500)


@pytest.mark.parametrize("count", [1, 2, 3, 50, len(HLS)])
def test_contract(count: int) -> None:
    """Bounds, types, repeatability, round trips, keys, size, starts."""
    check_space(ListedSpace(HLS.take(slice(count))), 500)


def test_contract_with_wide_columns() -> None:
    """Designs with several values a column are as good as any."""
    nmp = space_for(ROOFLINE, devices())
    batch = sampled(nmp, 300)
    first = {key: row for row, key in enumerate(key_bytes(nmp.schema.key(batch)))}
    check_space(ListedSpace(batch.take(np.array(sorted(first.values())))), 500)


def test_these_and_no_others() -> None:
    """Enumerated, they are the listed ones in order; one that is not listed is refused by its text."""
    space = ListedSpace(HLS)
    assert space.size == len(HLS) and all_equal(space.decode(every_genome(space.bounds)), HLS)
    half = ListedSpace(HLS.take(slice(0, 10)))
    assert half.encode(HLS.take(np.array([9, 0]))).tolist() == [[9], [0]]
    with pytest.raises(ValueError, match=r"not listed: P0=.* T0="):
        half.encode(HLS.take(np.array([3, 10])))


def test_refused() -> None:
    """No designs, or one of them twice."""
    with pytest.raises(InputError, match="none; expected at least one"):
        ListedSpace(HLS.take(slice(0, 0)))
    with pytest.raises(ValueError, match="design 1 is listed again as 3"):
        ListedSpace(HLS.take(np.array([0, 1, 2, 1])))


def test_children_are_near() -> None:
    """Children are never the parent itself but by a far jump, and much nearer to it than two designs are."""
    space, rng = ListedSpace(HLS), np.random.default_rng(4)
    parents = space.encode(HLS)
    children = space.vary(parents, rng)
    assert (children == parents).mean() < 0.01

    place = space._place
    apart = np.abs(place[:, None, :] - place[None, :, :]).sum(axis=2)
    child, anyone = (apart[parents[:, 0], other[:, 0]] for other in (children, rng.permutation(parents)))
    assert np.median(child) < 0.5 * np.median(anyone)


def test_nearest_is_right() -> None:
    """The nearest listed design, by a scalar count, where columns are measured by rank."""
    space, rng = ListedSpace(HLS.take(slice(0, 60))), np.random.default_rng(9)
    wish, own = rng.random((40, space._place.shape[1])), rng.integers(0, 60, 40)
    found = space._nearest(wish, own, rng)
    for row in range(40):
        distance = [float(np.abs(wish[row] - place).sum()) for place in space._place]
        distance[own[row]] = np.inf
        assert found[row] != own[row] and distance[found[row]] == pytest.approx(min(distance), abs=1e-8)


def test_any_design_leads_to_any_other() -> None:
    """One step may lead anywhere on the list."""
    space = ListedSpace(HLS.take(slice(0, 200)))
    children = space.vary(np.zeros((40_000, 1), dtype=np.int64), np.random.default_rng(0))
    assert len(np.unique(children)) == 200


def test_every_search_ends_with_all() -> None:
    """A walk that goes on long enough prices every listed design once, and then has nothing left to ask."""
    designs = HLS.take(slice(0, 120))
    worth = np.arange(120.0)[::-1]
    for name in ("ga", "random", "enumerate"):
        space = ListedSpace(designs)
        search = make_search(space, Effort(16, 8, 0.7, 1), name, 1, 10)
        seen: list[int] = []
        while (asked := search.ask()) is not None:
            rows = asked.genomes[:, 0]
            seen += rows.tolist()
            search.tell(asked.genomes, worth[rows, None], np.zeros((len(rows), 1)))
        assert sorted(seen) == list(range(120)) or (name != "enumerate" and len(set(seen)) == len(seen) > 110)


def test_start_is_plain() -> None:
    """Where the design without directives is listed, the search begins there."""
    tiny = HlsSpace(TINY, TARGETS["v18"])
    batch = tiny.decode(every_genome(tiny.bounds))
    space = ListedSpace(batch.take(np.random.default_rng(0).permutation(len(batch))))
    assert tiny.schema.text(space.decode(space.starts()), 0) == "P0=off T0=1 F0=1 F1=1"
