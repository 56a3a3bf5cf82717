"""Whether an iteration surely writes an element before it reads it: then no earlier iteration's value arrives."""

from __future__ import annotations

from collections.abc import Sequence

from design.hls.loop_nest import CONSTANT, Affine, Trip
from frontends.c_kernel.analysis import affine
from frontends.c_kernel.drafts import Event, LoopDraft


def covered(load: Event, loop: int, stores: Sequence[Event], loops: Sequence[LoopDraft], trips: Sequence[Trip]) -> bool:
    """Whether some store of the same iteration of `loop` comes first wherever the load goes."""
    return any(
        store.array == load.array
        and store.number < load.number
        and loop in store.loops
        and len(store.index) == len(load.index)
        and _covers(store, load, loops, trips)
        for store in stores
    )


def _covers(store: Event, load: Event, loops: Sequence[LoopDraft], trips: Sequence[Trip]) -> bool:
    if store.conditions != load.conditions[: len(store.conditions)]:
        return False
    together = sum(1 for a, b in zip(store.loops, load.loops, strict=False) if a == b)
    own = list(store.loops[together:])
    if own and (store.skips or any(loops[n].leaves or trips[n].kind != CONSTANT or not trips[n].least for n in own)):
        return False
    if store.skips > load.skips:
        return False
    free = set(own)
    for written, read in zip(store.index, load.index, strict=True):
        if written is None or read is None:
            return False
        used = _reaches(written, read, own, free, trips)
        if used is None:
            return False
        free -= used
    return True


def _reaches(
    written: Affine, read: Affine, own: Sequence[int], free: set[int], trips: Sequence[Trip]
) -> set[int] | None:
    """The store's own counters that bring its index to wherever the load's is; None where they do not."""
    mine = sorted(((c, n) for n, c in written.terms if n in own), key=lambda term: -abs(term[0]))
    if any(n not in free for _, n in mine):
        return None
    rest = affine.add(read, Affine(written.constant, tuple((n, c) for n, c in written.terms if n not in own)), -1)
    open_ones = []
    for coefficient, number in mine:
        match = next((n for n, c in rest.terms if c == coefficient and trips[n].most <= trips[number].least), None)
        if match is None:
            open_ones.append((coefficient, number))
        else:
            rest = affine.add(rest, Affine(0, ((match, coefficient),)), -1)
    if not open_ones:
        return {n for _, n in mine} if rest == Affine(0) else None
    if len(open_ones) > 1 or abs(open_ones[0][0]) != 1:
        # The counters that are left stand at 0 where nothing is left to reach.
        return {n for _, n in mine} if rest == Affine(0) else None
    coefficient, number = open_ones[0]
    place = affine.scale(rest, coefficient)
    low = place.constant + sum(min(0, c * (trips[n].most - 1)) for n, c in place.terms)
    high = place.constant + sum(max(0, c * (trips[n].most - 1)) for n, c in place.terms)
    return {n for _, n in mine} if low >= 0 and high < trips[number].least else None
