"""How often loops run, from their heads and from the counters outside."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from design.hls.loop_nest import CONSTANT, TRIANGULAR, UNKNOWN, Trip
from frontends.c_kernel.drafts import LoopDraft

MOST_POINTS = 1 << 22  # of an outer iteration space that is looked at point by point
NO_ARRAYS = 1024  # trips of an unknown loop that goes through no array of known size

Ints = NDArray[np.int64]


def trips_of(loops: list[LoopDraft]) -> list[Trip]:
    """The trips of all loops, which are listed by number (so outer before inner)."""
    found: list[Trip] = []
    for loop in loops:
        found.append(_trip(loop, loops, found))
    return found


def _trip(loop: LoopDraft, loops: list[LoopDraft], known: list[Trip]) -> Trip:
    span = loop.span.span
    if span is None:
        return _unknown(loop, _guess(loop, loops, known))
    if not span.terms:
        count = _ceiling(np.array(span.constant), loop)
        trip = Trip(CONSTANT, int(count), int(count), float(count))
        return _unknown(loop, trip) if loop.leaves else trip
    weights, counts = _outer_space(loop, loops, known)
    total = int(weights.sum())
    if not total:
        return Trip(TRIANGULAR, 0, 0, 0.0)
    reached = counts[weights > 0]
    trip = Trip(TRIANGULAR, int(reached.min()), int(reached.max()), float((counts * weights).sum() / total))
    if trip.least == trip.most and not loop.leaves:
        return Trip(CONSTANT, trip.least, trip.most, trip.mean)
    involved = _relevant(loop, loops)
    unknown = loop.leaves or any(known[number].kind == UNKNOWN for number in involved)
    return _unknown(loop, trip) if unknown else trip


def _ceiling(span: Ints, loop: LoopDraft) -> Ints:
    return np.maximum(-(-span // loop.span.step), loop.span.atleast)


def _unknown(loop: LoopDraft, trip: Trip) -> Trip:
    """What is left to say of a loop that may end any time: what its source says, else what arrays allow."""
    said = loop.tripcount
    most = said.get("max", trip.most)
    least = min(said.get("min", loop.span.atleast), most)
    mean = said.get("avg", (least + most) / 2 if "min" in said and "max" in said else min(trip.mean, most))
    return Trip(UNKNOWN, least, most, float(mean))


def _guess(loop: LoopDraft, loops: list[LoopDraft], known: list[Trip]) -> Trip:
    """The loop goes through all of the smallest array it walks through; where it does not start at its first
    element, every time a part."""
    most = min(loop.extents, default=NO_ARRAYS)
    mean = float(most)
    if loop.span.from_unknown and loop.extents:
        outer, times = loop.parent, 1.0
        while outer is not None:
            times *= known[outer].mean
            outer = loops[outer].parent
        mean = max(1.0, most / max(times, 1.0))
    return Trip(UNKNOWN, 0, most, mean)


def _relevant(loop: LoopDraft, loops: list[LoopDraft]) -> list[int]:
    """Loops around whose counters matter for how often this one runs, or for how often they let it be reached."""
    around = []
    parent = loop.parent
    while parent is not None:
        around.append(parent)
        parent = loops[parent].parent
    wanted = {number for number, _ in loop.span.span.terms} if loop.span.span is not None else set()
    grown = True
    while grown:
        grown = False
        for number in around:
            span = loops[number].span.span
            uses = {n for n, _ in span.terms} if span is not None else set()
            if (number in wanted and not uses <= wanted) or (number not in wanted and uses & wanted):
                wanted |= {number} | uses
                grown = True
    return sorted(wanted)


def _outer_space(loop: LoopDraft, loops: list[LoopDraft], known: list[Trip]) -> tuple[Ints, Ints]:
    """(weights, trips) at the points of the outer iteration space: how often each is reached and what runs there."""
    points: dict[int, Ints] = {}
    size = 1
    for number in _relevant(loop, loops):
        outer = loops[number]
        if outer.span.span is None:
            counts = np.full(size, max(1, round(known[number].mean)), dtype=np.int64)
        else:
            counts = _at(outer, points, size)
        if int(counts.sum()) > MOST_POINTS:
            counts = np.minimum(counts, max(1, MOST_POINTS // max(size, 1)))  # the first ones stand for all
        repeat = np.repeat(np.arange(size), counts)
        starts = np.cumsum(counts) - counts
        points = {n: v[repeat] for n, v in points.items()}
        points[number] = np.arange(len(repeat)) - np.repeat(starts, counts)
        size = len(repeat)
    return np.ones(size, dtype=np.int64), _at(loop, points, size)


def _at(loop: LoopDraft, points: dict[int, Ints], size: int) -> Ints:
    span = loop.span.span
    assert span is not None
    total = np.full(size, span.constant, dtype=np.int64)
    for number, coefficient in span.terms:
        total = total + coefficient * points[number]
    return _ceiling(total, loop)
