"""Known simple designs to begin a search with."""

from __future__ import annotations

import numpy as np

from design.core import Genomes
from design.hls.loop_nest import PARALLEL, PIPELINE
from dse.spaces.hls.genome import FLATTENED, Layout

FACTORS = (2, 4, 8, 16, 32)


def simple_designs(layout: Layout) -> Genomes:
    """No directives; with none, with the innermost that can be and with each depth of loops flattened: as they are,
    then with the innermost loops, or the flattened ones, in a few copies."""
    kernel = layout.kernel
    depth = {loop.number: 0 if loop.parent is None else -1 for loop in kernel.loops}
    for loop in kernel.loops:  # a parent has the smaller number
        if loop.parent is not None:
            depth[loop.number] = depth[loop.parent] + 1
    pipelined = [loop for loop, kind in layout.at if kind == PIPELINE]
    innermost = [n for n in pipelined if not any((m, PIPELINE) in layout.at for m in kernel.inside(n))]
    levels = [[n for n in pipelined if depth[n] == level] for level in range(max(depth.values(), default=0) + 1)]
    leaves = [n for n, kind in layout.at if kind == PARALLEL and not kernel.loops[n].loops]
    found = []
    for flat in ([], innermost, *levels):
        for parallel in ([], leaves, [n for n in flat if (n, PARALLEL) in layout.at]):
            for factor in FACTORS if parallel else (1,):
                genes = np.zeros(len(layout.parameters), dtype=np.int64)
                genes[[layout.at[n, PIPELINE] for n in flat]] = FLATTENED
                for n in parallel:
                    gene = layout.at[n, PARALLEL]
                    # The largest factor on offer that is not above: loops too short for it take what they have.
                    genes[gene] = np.searchsorted(layout.offered[gene], factor, side="right") - 1
                found.append(genes)
    return np.array(found)
