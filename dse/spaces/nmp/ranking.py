"""Dealing sets of channels: among the parts of a group, and among the operators of a stratum."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from design.core import Bools, Ints


def deal(available: Ints, parent: Ints, member: Bools, must: Bools, want: Ints) -> Ints:
    """Disjoint channel sets for children, as near to what they want as the rules allow. Arrays (slots, n).

    available[p] is the set that parent p deals out; child slot c belongs to parent[c] where member[c]. Every
    channel is dealt, every `must` child gets at least one (the caller sees to it that there are enough), and
    a dealing that is already legal comes back unchanged. Earlier children choose first; the last one takes
    what is left.
    """
    slots, n = parent.shape
    row = np.arange(n)
    free = available.copy().reshape(-1)
    waiting, hungry = np.zeros(slots * n, dtype=np.int64), np.zeros(slots * n, dtype=np.int64)
    at = parent * n + row
    for c in range(slots):
        waiting[at[c]] += member[c]
        hungry[at[c]] += must[c]
    dealt = np.zeros((slots, n), dtype=np.int64)
    for c in range(slots):
        i = at[c]
        left = free[i]
        waiting[i] -= member[c]
        hungry[i] -= must[c]
        take = want[c] & left
        np.copyto(take, left & -left, where=must[c] & (take == 0))
        excess = hungry[i] - np.bitwise_count(left & ~take).astype(np.int64)
        take = drop_highest(take, excess)
        np.copyto(take, left, where=waiting[i] == 0)
        take = np.where(member[c], take, 0)
        dealt[c] = take
        free[i] = left & ~take
    return dealt


def drop_highest(sets: Ints, count: Ints) -> Ints:
    """Each set without its `count` highest members (none where the count is negative)."""
    keep = np.bitwise_count(sets).astype(np.int64) - np.maximum(count, 0)
    if (count <= 0).all():
        return sets
    left, kept = sets.copy(), np.zeros_like(sets)
    while (more := keep > 0).any():
        lowest = np.where(more, left & -left, 0)
        kept |= lowest
        left &= ~lowest
        keep = keep - 1
    return np.where(count > 0, kept, sets)


def dense_rank(values: Ints, within: Ints) -> Ints:
    """Rank of each value (0 .. 62) among the distinct values of the slots with the same `within`. (slots, n)."""
    bit = np.int64(1) << values
    return np.bitwise_count(union_in(bit, within) & (bit - 1)).astype(np.int64)


def union_in(sets: Ints, within: Ints) -> Ints:
    """For each slot, the union of the sets of all slots with the same `within` (a slot number). (slots, n)."""
    slots, n = sets.shape
    found = np.zeros(slots * n, dtype=np.int64)
    at = within * n + np.arange(n)
    for c in range(slots):
        found[at[c]] |= sets[c]
    return found[at]


def canonical_channels(channels: Ints, count: int) -> Ints:
    """The same sets (slots, n) with channels renumbered so that designs alike but for names become equal.

    A channel's profile is the set of slots that hold it; channels are numbered by falling profile.
    """
    slot_bit = np.int64(1) << np.arange(len(channels))[::-1]
    profile: NDArray[np.int64] = np.zeros((count, channels.shape[1]), dtype=np.int64)
    for channel in range(count):
        held = channels >> channel & 1
        for bit, one in zip(slot_bit, held, strict=True):
            profile[channel] += bit * one
    profile = -np.sort(-profile, axis=0)
    renamed = np.zeros_like(channels)
    for channel in range(count):
        for slot, bit in enumerate(slot_bit):
            renamed[slot] |= ((profile[channel] & bit) != 0).astype(np.int64) << channel
    return renamed


def lowest_bit(sets: Ints) -> Ints:
    """The lowest member of each set, as a set."""
    return sets & -sets
