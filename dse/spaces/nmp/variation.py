"""Random dataflows, and the moves that make a child from its parent. All work in place on gene blocks.

Blocks have shape (n, 5, operators). Nothing here needs to be legal: decoding sees to that.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from design.core import Ints
from dse.spaces.nmp.genome import CHANNELS, GROUP, NORMAL, SHIFT, STRATUM, Layout

Generator = np.random.Generator


def sample_blocks(layout: Layout, blocks: Ints, order: tuple[int, ...], rng: Generator) -> None:
    """Fill with random dataflows: a new group opens with a probability drawn for each candidate."""
    n, operators = len(blocks), layout.operators
    opens = rng.random((n, operators)) < rng.random((n, 1))
    blocks[:, GROUP, list(order)] = np.cumsum(opens, axis=1) * (operators - 1) // operators
    blocks[:, STRATUM] = rng.integers(0, operators, (n, operators))
    full = (1 << layout.most_nmp) - 1
    random_sets = rng.integers(0, full + 1, (n, operators))
    blocks[:, CHANNELS] = np.where(rng.random((n, operators)) < 0.5, full, random_sets)
    blocks[:, NORMAL] = rng.integers(0, 2, (n, operators))
    shift = np.where(rng.random((n, operators)) < 0.5, 0, _jump(layout.steps, (n, operators), rng))
    blocks[:, SHIFT] = np.clip(shift, 1 - layout.steps, layout.steps - 1)


def vary_blocks(layout: Layout, blocks: Ints, rng: Generator) -> None:
    """One to four moves on each row; a third of the rows first take some operators from another row."""
    n = len(blocks)
    crossed = rng.random(n) < 0.33
    taken = crossed[:, None] & (rng.random((n, layout.operators)) < rng.random((n, 1)))
    mate = blocks[rng.permutation(n)]
    np.copyto(blocks, mate, where=taken[:, None, :])
    names = list(MOVES)
    weights = np.array([weight for _, weight in MOVES.values()])
    moving = np.ones(n, dtype=bool)
    for _ in range(4):
        pick = rng.choice(len(names), size=n, p=weights / weights.sum())
        for number, name in enumerate(names):
            rows = np.flatnonzero(moving & (pick == number))
            if len(rows):
                MOVES[name][0](layout, blocks, rows, rng)
        moving &= rng.random(n) < 0.5


def _jump(steps: Ints, shape: tuple[int, ...], rng: Generator) -> Ints:
    """Cut changes of every scale, from one granule to the whole extent, either way."""
    scale = np.maximum(steps - 1, 1) ** rng.random(shape)
    return np.round(rng.standard_normal(shape) * scale).astype(np.int64)


def _move_operator(layout: Layout, blocks: Ints, rows: Ints, rng: Generator) -> None:
    """An operator joins the group of another, in its stratum or a random one."""
    a, b = _two_operators(layout, rows, rng)
    blocks[rows, GROUP, a] = blocks[rows, GROUP, b]
    same = rng.random(len(rows)) < 0.5
    other = rng.integers(0, layout.operators, len(rows))
    blocks[rows, STRATUM, a] = np.where(same, blocks[rows, STRATUM, b], other)


def _side_by_side(layout: Layout, blocks: Ints, rows: Ints, rng: Generator) -> None:
    """Two operators that need not wait for each other share a group and part the channels.

    Half of the time each takes relatives along that need not wait for the other side, as a chain of strata.
    """
    pair = rng.integers(0, len(layout.sides.first), len(rows))
    number = np.arange(len(rows))
    company = rng.random((len(rows), 1)) * (rng.random((len(rows), 1)) < 0.5)
    members = []
    for lead, relatives in zip(layout.sides[:2], layout.sides[2:], strict=True):
        side = relatives[pair] & (rng.random((len(rows), layout.operators)) < company)
        side[number, lead[pair]] = True
        members.append(side)
    one, other = members
    both = one | other
    blocks[rows, GROUP] = np.where(
        both, np.where(both, blocks[rows, GROUP], 0).max(axis=1)[:, None], blocks[rows, GROUP]
    )
    blocks[rows, STRATUM] = np.where(both, 0, blocks[rows, STRATUM])
    # One side gets the lowest channels; names of channels do not matter, only how many there are.
    full = (1 << layout.most_nmp) - 1
    some = ((np.int64(1) << rng.integers(0, layout.most_nmp + 1, len(rows))) - 1)[:, None]
    blocks[rows, CHANNELS] = np.where(one, full & ~some, np.where(other, some, blocks[rows, CHANNELS]))
    for side in members:
        wants = rng.random((len(rows), 1)) < 0.7
        blocks[rows, NORMAL] = np.where(side, wants, blocks[rows, NORMAL])


def _merge_groups(layout: Layout, blocks: Ints, rows: Ints, rng: Generator) -> None:
    """A group joins the one before it."""
    group = blocks[rows, GROUP]
    boundary = group[np.arange(len(rows)), rng.integers(0, layout.operators, len(rows))][:, None]
    blocks[rows, GROUP] = np.maximum(group - ((group >= boundary) & (boundary > 0)), 0)


def _split_group(layout: Layout, blocks: Ints, rows: Ints, rng: Generator) -> None:
    """Some operators of a group move to a new group behind it."""
    group = blocks[rows, GROUP]
    chosen = group[np.arange(len(rows)), rng.integers(0, layout.operators, len(rows))][:, None]
    goes = (group > chosen) | ((group == chosen) & (rng.random(group.shape) < 0.5))
    blocks[rows, GROUP] = np.minimum(group + goes, layout.operators - 1)


def _move_stratum(layout: Layout, blocks: Ints, rows: Ints, rng: Generator) -> None:
    """An operator goes one stratum earlier or later, or to that of another operator."""
    a, b = _two_operators(layout, rows, rng)
    step = np.clip(blocks[rows, STRATUM, a] + rng.choice([-1, 1], len(rows)), 0, layout.operators - 1)
    blocks[rows, STRATUM, a] = np.where(rng.random(len(rows)) < 0.5, step, blocks[rows, STRATUM, b])


def _spread_strata(layout: Layout, blocks: Ints, rows: Ints, rng: Generator) -> None:
    """Strata are drawn anew for all operators, or all set to the earliest."""
    drawn = rng.integers(0, layout.operators, (len(rows), layout.operators))
    blocks[rows, STRATUM] = np.where(rng.random((len(rows), 1)) < 0.5, drawn, 0)


def _toggle_channel(layout: Layout, blocks: Ints, rows: Ints, rng: Generator) -> None:
    """One channel goes from one operator to another (or to and from nobody)."""
    if not layout.most_nmp:
        return
    a, b = _two_operators(layout, rows, rng)
    bit = np.int64(1) << rng.integers(0, layout.most_nmp, len(rows))
    blocks[rows, CHANNELS, a] |= bit
    blocks[rows, CHANNELS, b] &= np.where(a != b, ~bit, -1)


def _redraw_channels(layout: Layout, blocks: Ints, rows: Ints, rng: Generator) -> None:
    """An operator wants all channels, none, a random set, or what another operator has not."""
    a, b = _two_operators(layout, rows, rng)
    full = np.full(len(rows), (1 << layout.most_nmp) - 1)
    options = [full, 0 * full, rng.integers(0, full + 1), full & ~blocks[rows, CHANNELS, b]]
    blocks[rows, CHANNELS, a] = np.choose(rng.integers(0, 4, len(rows)), options)


def _flip_normal(layout: Layout, blocks: Ints, rows: Ints, rng: Generator) -> None:
    """An operator begins or ceases to want the normal channels."""
    a, _ = _two_operators(layout, rows, rng)
    blocks[rows, NORMAL, a] ^= 1


def _shift_cut(layout: Layout, blocks: Ints, rows: Ints, rng: Generator) -> None:
    """One operator's cut moves, by any scale; one time in eight it returns to the balance."""
    a, _ = _two_operators(layout, rows, rng)
    moved = blocks[rows, SHIFT, a] + _jump(layout.steps[a], (len(rows),), rng)
    moved = np.clip(moved, 1 - layout.steps[a], layout.steps[a] - 1)
    blocks[rows, SHIFT, a] = np.where(rng.random(len(rows)) < 0.125, 0, moved)


def _shift_cuts(layout: Layout, blocks: Ints, rows: Ints, rng: Generator) -> None:
    """All cuts move by one common share of their extent: more or less of everything on NMP."""
    share = rng.standard_normal((len(rows), 1)) * 10.0 ** rng.uniform(-3, -0.5, (len(rows), 1))
    moved = blocks[rows, SHIFT] + np.round(share * layout.steps).astype(np.int64)
    blocks[rows, SHIFT] = np.clip(moved, 1 - layout.steps, layout.steps - 1)


def _trade_cuts(layout: Layout, blocks: Ints, rows: Ints, rng: Generator) -> None:
    """One operator gives another its place in NMP memory, byte for byte: what fitted still fits."""
    a, b = _two_operators(layout, rows, rng)
    gain = np.abs(_jump(layout.steps[a], (len(rows),), rng)) + 1
    given, taken = layout.granule_bytes[a], layout.granule_bytes[b]
    # An operator may keep nothing: there is no place to give then.
    loss = np.ceil(gain * given / np.where(taken > 0, taken, np.inf)).astype(np.int64)
    differ = (a != b) & (taken > 0)
    for operator, change in ((a, gain), (b, -loss)):
        moved = blocks[rows, SHIFT, operator] + np.where(differ, change, 0)
        blocks[rows, SHIFT, operator] = np.clip(moved, 1 - layout.steps[operator], layout.steps[operator] - 1)


def _two_operators(layout: Layout, rows: Ints, rng: Generator) -> tuple[Ints, Ints]:
    drawn = rng.integers(0, layout.operators, (2, len(rows)))
    return drawn[0], drawn[1]


Move = Callable[[Layout, Ints, Ints, Generator], None]
MOVES: dict[str, tuple[Move, float]] = {
    "move operator": (_move_operator, 3),
    "side by side": (_side_by_side, 4),
    "merge groups": (_merge_groups, 2),
    "split group": (_split_group, 1),
    "move stratum": (_move_stratum, 2),
    "spread strata": (_spread_strata, 0.5),
    "toggle channel": (_toggle_channel, 2),
    "redraw channels": (_redraw_channels, 2),
    "flip normal": (_flip_normal, 2),
    "shift cut": (_shift_cut, 4),
    "shift cuts": (_shift_cuts, 1),
    "trade cuts": (_trade_cuts, 2),
}
