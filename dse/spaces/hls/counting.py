"""How many designs a kernel has, equal ones once, without listing them.

Counted loop by loop, the innermost first. What the rules of `design.hls.directives` ask about the loops inside a loop
is only whether nothing there is parallel (`still`) and whether all of it is unrolled (`gone`), so it is enough to know
how many designs of the loops inside there are of each such sort.
"""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import NamedTuple

from design.hls.design import COARSE, FLATTEN, choices
from design.hls.directives import Site, sites
from design.hls.loop_nest import PARALLEL, PIPELINE, TILE, Kernel


class Sort(NamedTuple):
    """Of the designs of a loop with all inside, or of several loops beside each other."""

    still: bool
    gone: bool


def count_designs(kernel: Kernel) -> int:
    """Designs that are possible and stand for their equals."""
    offered = {(p.loop, p.kind): choices(kernel, p) for p in kernel.parameters}
    found: dict[int, Counter[Sort]] = {}  # of each loop with all inside
    plain: dict[int, Sort] = {}  # the same where nothing is chosen
    known = sites(kernel)
    for site in reversed(known):
        inside, blank = _beside([found[c] for c in site.children]), _all([plain[c] for c in site.children])
        values = [offered.get((site.number, kind), (site.unchosen(kind),)) for kind in (PIPELINE, TILE, PARALLEL)]
        found[site.number] = Counter()
        for pipeline, tile, factor in product(*values):
            flat = pipeline == FLATTEN and site.flattens
            for sort, count in Counter({blank: 1}).items() if flat else inside.items():
                if _stands(site, pipeline, tile, factor, flat, sort):
                    found[site.number][_sort(site, factor, flat, sort)] += count
        own = [site.unchosen(kind) for kind in (PIPELINE, TILE, PARALLEL)]
        plain[site.number] = _sort(site, own[2], own[0] == FLATTEN and site.flattens, blank)
    tops = [found[loop.number] for loop in kernel.loops if loop.parent is None]
    return sum(_beside(tops).values())


def _stands(site: Site, pipeline: int, tile: int, factor: int, flat: bool, inside: Sort) -> bool:
    """Whether the directives of a loop are possible and no rule turns them into others."""
    trip, piped, tiled = site.trip, PIPELINE in site.parameters, TILE in site.parameters
    if piped and not site.children and pipeline == FLATTEN:
        return False
    if trip is None:
        return not (piped and _gone_anyway(site, tile, factor, inside) and not flat)
    if tiled and tile > 1 and tile * max(factor, 1) > trip:
        return False
    if tiled and tile > 1 and tile == trip and factor == 1 and inside.still and pipeline != FLATTEN:
        return False
    if tiled and tile > 1 and factor == trip:
        return False
    if piped and pipeline == COARSE and (factor == trip or 1 < tile < trip):
        return False
    return flat or not (piped and _gone_anyway(site, tile, factor, inside))


def _gone_anyway(site: Site, tile: int, factor: int, inside: Sort) -> bool:
    return site.flattens and inside.gone and factor > 1 and tile == 1


def _sort(site: Site, factor: int, flat: bool, inside: Sort) -> Sort:
    return Sort(factor == 1 and inside.still, factor == site.trip and (flat or inside.gone))


def _all(sorts: list[Sort]) -> Sort:
    return Sort(all(sort.still for sort in sorts), all(sort.gone for sort in sorts))


def _beside(loops: list[Counter[Sort]]) -> Counter[Sort]:
    """Of loops beside each other, chosen independently."""
    found = Counter({_all([]): 1})
    for loop in loops:
        joined: Counter[Sort] = Counter()
        for (one, many), (other, more) in product(found.items(), loop.items()):
            joined[_all([one, other])] += many * more
        found = joined
    return found
