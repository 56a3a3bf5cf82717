"""Random designs, and the moves that make a child from its parents. Genes are changed in place.

Nothing here needs to be possible: decoding sees to that.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from design.core import Bools, Genomes, Ints
from dse.spaces.hls.genome import Layout

Generator = np.random.Generator
CROSSED = 0.33  # share of children that first take loops from another parent
MOST_MOVES = 4


def sample_genes(layout: Layout, count: int, rng: Generator) -> Genomes:
    """Each design uses its directives with a probability drawn for it alone, so that plain designs are not rare."""
    used = rng.random((count, len(layout.parameters))) < rng.random((count, 1))
    return np.where(used, _any_value(layout, count, rng), 0)


def vary_genes(layout: Layout, genes: Genomes, rng: Generator) -> None:
    """One to four moves on each row; a third of the rows first take a loop with all inside from another row."""
    count = len(genes)
    mate = genes[rng.permutation(count)]
    crossed = rng.random(count) < CROSSED
    np.copyto(genes, mate, where=_some_loop(layout, count, rng) & crossed[:, None])
    weights = np.array([weight for _, weight in MOVES.values()])
    moving = np.ones(count, dtype=bool)
    for _ in range(MOST_MOVES):
        pick = rng.choice(len(MOVES), size=count, p=weights / weights.sum())
        for number, (move, _) in enumerate(MOVES.values()):
            rows = np.flatnonzero(moving & (pick == number))
            if len(rows):
                genes[rows] = move(layout, genes[rows], rng)
        moving &= rng.random(count) < 0.5


def _any_value(layout: Layout, count: int, rng: Generator) -> Genomes:
    return rng.integers(0, np.array(layout.radix), (count, len(layout.radix)))


def _some_loop(layout: Layout, count: int, rng: Generator) -> Bools:
    """(count, genes): the genes of a random loop and of those inside it."""
    return layout.subtrees[rng.integers(0, len(layout.subtrees), count)]


def _step(layout: Layout, genes: Genomes, rng: Generator) -> Genomes:
    """One directive goes to the next value up or down."""
    gene, rows = _some_gene(layout, len(genes), rng), np.arange(len(genes))
    now, most = genes[rows, gene], layout.bounds[gene, 1]
    up = (now == 0) | ((now < most) & (rng.random(len(genes)) < 0.5))
    genes[rows, gene] = np.clip(now + np.where(up, 1, -1), 0, most)
    return genes


def _set(layout: Layout, genes: Genomes, rng: Generator) -> Genomes:
    """One directive takes any value."""
    gene, rows = _some_gene(layout, len(genes), rng), np.arange(len(genes))
    genes[rows, gene] = rng.integers(0, layout.bounds[gene, 1] + 1)
    return genes


def _drop(layout: Layout, genes: Genomes, rng: Generator) -> Genomes:
    """One directive is taken away."""
    genes[np.arange(len(genes)), _some_gene(layout, len(genes), rng)] = 0
    return genes


def _pipeline_elsewhere(layout: Layout, genes: Genomes, rng: Generator) -> Genomes:
    """An outer and an inner loop swap how they are pipelined."""
    if not len(layout.pipelined):
        return _step(layout, genes, rng)
    pair = layout.pipelined[rng.integers(0, len(layout.pipelined), len(genes))]
    rows = np.arange(len(genes))[:, None]
    genes[rows, pair] = genes[rows, pair[:, ::-1]]
    return genes


def _trade(layout: Layout, genes: Genomes, rng: Generator) -> Genomes:
    """One directive goes a value up, another one down."""
    rows = np.arange(len(genes))
    for step in (1, -1):
        gene = _some_gene(layout, len(genes), rng)
        genes[rows, gene] = np.clip(genes[rows, gene] + step, 0, layout.bounds[gene, 1])
    return genes


def _redraw(layout: Layout, genes: Genomes, rng: Generator) -> Genomes:
    """A loop with all inside is drawn anew. From any design this leads to any other, top loop by top loop."""
    fresh = sample_genes(layout, len(genes), rng)
    return np.where(_some_loop(layout, len(genes), rng), fresh, genes)


def _some_gene(layout: Layout, count: int, rng: Generator) -> Ints:
    return rng.integers(0, len(layout.parameters), count)


Move = Callable[[Layout, Genomes, Generator], Genomes]
MOVES: dict[str, tuple[Move, float]] = {
    "step": (_step, 4),
    "set": (_set, 2),
    "drop": (_drop, 1),
    "pipeline elsewhere": (_pipeline_elsewhere, 1.5),
    "trade": (_trade, 1.5),
    "redraw": (_redraw, 1),
}
