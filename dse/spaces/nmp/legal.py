"""From any genes to a legal dataflow: the rules of H2-LLM's data-centric dataflow (section 4), for many
candidates at once. What is legal already comes back unchanged, so every legal dataflow can be reached.

Arrays are (operators, n). Repairs are made in the order of the concepts: groups, parts, the normal unit, the
parts' channels, strata, the operators' channels, who uses the normal unit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from design.core import Bools, Ints
from design.nmp.design import lowest_twin
from design.nmp.workload import Workload
from dse.spaces.nmp.ranking import canonical_channels, deal, dense_rank, lowest_bit, union_in

NARROW = 31  # operators up to which the numbers of strata, wishes and waiting added up, are bits of one word


class Dataflow(NamedTuple):
    """Where and when each operator runs; see `design/nmp/design.py`. All arrays (operators, n)."""

    group: Ints
    part: Ints
    stratum: Ints
    channels: Ints
    normal: Ints


def legalise(wish: Dataflow, nmp: Ints, total: int, workload: Workload, specpim: bool) -> Dataflow:
    """The legal dataflow nearest to a wish, given (n,) NMP channel counts out of `total`.

    Of the wish, `part` is not read: it follows from the groups and the operator graph.
    """
    operators, n = wish.group.shape
    own = np.arange(operators)[:, None]
    has_unit = (nmp < total)[None, :]
    every_channel = (np.int64(1) << nmp) - 1

    group = _respect_order(wish.group, workload)
    part_head = _weak_components(group, workload)
    group, part = _as_many_parts_as_units(group, part_head, nmp + has_unit[0])

    is_head = part_head == own
    wants_normal = _any_in(wish.normal != 0, part_head) & is_head
    alone = _any_in(part > 0, group) == 0  # in a group of one part
    normal_part = _owner_of_normal(wants_normal, is_head, group, part_head) & has_unit
    if specpim:
        wished = np.take_along_axis(wants_normal, part_head, axis=0)
        normal_part &= ~alone | wished | (nmp == 0)

    wanted = union_in(wish.channels & every_channel, part_head)
    members, must = is_head, is_head & ~normal_part
    if specpim:
        members = must
    dealt = deal(np.broadcast_to(every_channel, (operators, n)), group, members, must, wanted)
    if specpim:
        # A lone part may leave channels idle: it gets what it wants, all where it wants none.
        chosen = np.where(wanted != 0, wanted, every_channel)
        dealt = np.where(must & alone, chosen, dealt)
    part_channels = np.take_along_axis(dealt, part_head, axis=0)

    stratum = _strata(wish.stratum, part_head, workload)
    stratum = _no_wider_than(stratum, part_head, part_channels, normal_part)
    head = lowest_twin(part_head * 64 + stratum)
    every = np.ones((operators, n), dtype=bool)
    channels = deal(part_channels, head, every, ~normal_part, wish.channels & part_channels)

    normal = normal_part & ((wish.normal != 0) | (channels == 0))
    if specpim:
        normal = normal_part
    normal |= normal_part & ~_any_in(normal, head) & (head == own)
    channels = canonical_channels(channels, int(np.max(nmp, initial=0)))
    return Dataflow(group, part, stratum, channels, normal.astype(np.int64))


def _respect_order(group: Ints, workload: Workload) -> Ints:
    """Groups numbered 0, 1, ... without gaps, no operator before what it depends on."""
    group = group.copy()
    for t in workload.order():
        for p in workload.producers(t):
            np.maximum(group[t], group[p], out=group[t])
    return dense_rank(group, np.zeros_like(group))


def _weak_components(group: Ints, workload: Workload) -> Ints:
    """The lowest operator of each operator's weakly connected component inside its group."""
    head = np.broadcast_to(np.arange(len(group))[:, None], group.shape).copy()
    while True:
        before = head.copy()
        for a, b in (*workload.edges, *reversed(workload.edges)):
            together = group[a] == group[b]
            low = np.minimum(head[a], head[b])
            np.copyto(head[a], low, where=together)
            np.copyto(head[b], low, where=together)
        if np.array_equal(head, before):
            return head


def _as_many_parts_as_units(group: Ints, part_head: Ints, units: Ints) -> tuple[Ints, Ints]:
    """Groups with more parts than units are split into groups that follow each other."""
    operators = len(group)
    part = dense_rank(part_head, group)
    if (part >= units).any():
        group = dense_rank_wide(group * operators + part // units)
        part = part % units
    return group, part


def dense_rank_wide(values: Ints) -> Ints:
    """Rank of each value among the distinct ones of its row; values of any size. (slots, n)."""
    rank = np.zeros_like(values)
    first = lowest_twin(values) == np.arange(len(values))[:, None]
    for slot in range(len(values)):
        rank += first[slot] & (values[slot] < values)
    return rank


def _owner_of_normal(wants: Bools, is_head: Bools, group: Ints, part_head: Ints) -> Bools:
    """Whether an operator's part has the normal unit: the first part of the group that wants it, or the first."""
    own = np.arange(len(group))[:, None]
    wanting = union_in(wants.astype(np.int64) << own, group)
    present = union_in(is_head.astype(np.int64) << own, group)
    owner = lowest_bit(np.where(wanting != 0, wanting, present))
    return (owner >> part_head & 1).astype(bool)


def _strata(stratum: Ints, part_head: Ints, workload: Workload) -> Ints:
    """Strata numbered without gaps in each part, every one after those it depends on."""
    stratum = stratum.copy()
    for t in workload.order():
        for p in workload.producers(t):
            later = np.where(part_head[p] == part_head[t], stratum[p] + 1, 0)
            np.maximum(stratum[t], later, out=stratum[t])
    if len(stratum) > NARROW:
        stratum = dense_rank_wide(stratum)
    return dense_rank(stratum, part_head)


def _no_wider_than(stratum: Ints, part_head: Ints, part_channels: Ints, normal_part: Bools) -> Ints:
    """Without the normal unit a stratum has at most as many operators as its part has channels."""
    head = lowest_twin(part_head * 64 + stratum)
    place = dense_rank(np.broadcast_to(np.arange(len(stratum))[:, None], stratum.shape), head)
    room = np.bitwise_count(part_channels).astype(np.int64)
    lot = np.where(normal_part, 0, place // np.maximum(room, 1))
    if not lot.any():
        return stratum
    spread = part_head * len(stratum) ** 2 + stratum * len(stratum) + lot
    return dense_rank(dense_rank_wide(spread), part_head)


def _any_in(flags: Bools, head: Ints) -> Bools:
    """For each operator, whether any operator with the same head is flagged."""
    return union_in(flags.astype(np.int64), head) != 0
