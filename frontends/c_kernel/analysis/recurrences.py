"""What an iteration takes from earlier ones, and by which operations it passes it on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from design.hls.loop_nest import Recurrence, Trip
from frontends.c_kernel.analysis.coverage import covered
from frontends.c_kernel.analysis.dependence import Dependences
from frontends.c_kernel.drafts import Event, LoopDraft, Snapshot
from frontends.c_kernel.values import GUARD, Path, Source

ASSOCIATIVE = ({"add"}, {"mul"}, {"minmax"}, {"and"}, {"or"}, {"xor"})
Output = int | str  # a store, or a scalar as an iteration ends


@dataclass(frozen=True)
class Carried:
    """A value that leaves an iteration by `output` and enters a later one by `source`."""

    output: Output
    source: Source
    variable: str
    distance: int | None


class Iteration:
    """One loop's iteration as a graph: its loads and carried scalars lead to its stores and scalars at the end."""

    def __init__(self, snapshot: Snapshot, events: Sequence[Event], ask: Dependences) -> None:
        self.loop = snapshot.loop
        self.events = [event for event in events if snapshot.loop in event.loops]
        self.outputs: dict[Output, Mapping[Source, Path]] = {}
        self.outputs.update({number: sources for number, sources in snapshot.stores.items()})
        self.outputs.update(snapshot.ends)
        self.ask = ask
        self.stores = [event for event in self.events if event.write]
        self.loads = {event.number: event for event in self.events if not event.write}
        self._reached: dict[Source, dict[Output, Path]] = {}
        self._feeders: dict[int, list[int]] = {}

    def feeders(self, load: int) -> list[int]:
        """Earlier stores of the same iteration that a load may read from."""
        if load not in self._feeders:
            event = self.loads[load]
            self._feeders[load] = [
                store.number
                for store in self.stores
                if store.array == event.array
                and store.number < load
                and self.ask.between(store, event, self.loop, later=False).possible
            ]
        return self._feeders[load]

    def reached(self, source: Source) -> dict[Output, Path]:
        """Where a value that enters goes within the iteration, by the longest way; through elements too."""
        if source in self._reached:
            return self._reached[source]
        found: dict[Output, Path] = {}
        for output, sources in self.outputs.items():  # stores by number, scalars' ends last
            paths = [sources[source]] if source in sources else []
            for load in sources:
                if load in self.loads and load != source:
                    feeders = self.feeders(int(load))
                    paths += [found[store].on(sources[load]) for store in feeders if store in found]
            for path in paths:
                found[output] = found[output].beside(path) if output in found else path
        self._reached[source] = found
        return found


def recurrences_of(
    loops: Sequence[LoopDraft], trips: Sequence[Trip], events: Sequence[Event], snapshots: Sequence[Snapshot]
) -> tuple[Recurrence, ...]:
    """All recurrences, by loop."""
    ask = Dependences(loops, trips)
    found: list[Recurrence] = []
    for snapshot in sorted(snapshots, key=lambda each: each.loop):
        if trips[snapshot.loop].most >= 2:
            found += _of_loop(Iteration(snapshot, events, ask), snapshot, loops, trips)
    return tuple(found)


def _of_loop(
    iteration: Iteration, snapshot: Snapshot, loops: Sequence[LoopDraft], trips: Sequence[Trip]
) -> list[Recurrence]:
    carried = [Carried(name, (name, snapshot.loop), name, 1) for name in snapshot.ends]
    for load in iteration.loads.values():
        stores = [store for store in iteration.stores if store.array == load.array]
        if not stores or covered(load, snapshot.loop, stores, loops, trips):
            continue
        for store in stores:
            answer = iteration.ask.between(store, load, snapshot.loop, later=True)
            if answer.possible:
                carried.append(Carried(store.number, load.number, load.array, answer.distance))
    found: list[Recurrence] = []
    open_ones: list[Carried] = []
    for edge in carried:
        path = iteration.reached(edge.source).get(edge.output)
        if path is not None:
            reduction = _reduces(iteration, snapshot, edge, path)
            found.append(Recurrence(snapshot.loop, edge.variable, edge.distance, path.chain, reduction))
        elif iteration.reached(edge.source):
            open_ones.append(edge)
    closed: set[Carried] = set()
    for one in open_ones:
        for two in carried:
            there = iteration.reached(one.source).get(two.output)
            back = iteration.reached(two.source).get(one.output)
            if there is None or back is None or one == two:
                continue
            both = None if one.distance is None or two.distance is None else one.distance + two.distance
            found.append(Recurrence(snapshot.loop, one.variable, both, there.on(back).chain, False))
            closed.add(one)
    for edge in open_ones:
        if edge not in closed:
            found.append(Recurrence(snapshot.loop, edge.variable, edge.distance, (), False, cycle=False))
    return _strictest(found)


def _reduces(iteration: Iteration, snapshot: Snapshot, edge: Carried, path: Path) -> bool:
    """Whether one associative operation is all that happens to a place between its load and its store, and nothing
    else looks at what it holds on the way."""
    if (path.tags - {GUARD}) not in ASSOCIATIVE:
        return False
    if isinstance(edge.output, str):
        return edge.output in snapshot.alone
    events = {event.number: event for event in iteration.events}
    store = events[edge.output]
    for load in iteration.loads.values():
        if load.array != store.array:
            continue
        meets = any(iteration.ask.between(store, load, iteration.loop, later).possible for later in (False, True))
        if not meets:
            continue
        for output, sources in iteration.outputs.items():
            if load.number in sources:
                if isinstance(output, str) or events[output].place != load.place or events[output].array != load.array:
                    return False
                if (sources[load.number].tags - {GUARD}) != (path.tags - {GUARD}):
                    return False
    return True


def _strictest(found: Sequence[Recurrence]) -> list[Recurrence]:
    """Without those that another of the same variable implies: no shorter distance, no other operations."""
    ordered = sorted(
        dict.fromkeys(found),
        key=lambda r: (r.variable, not r.cycle, r.distance or 1, -len(r.chain), r.chain, r.reduction),
    )
    kept: list[Recurrence] = []
    for one in ordered:
        implied = any(
            other.variable == one.variable
            and (other.distance or 1) <= (one.distance or 1)
            and (not one.cycle or (other.cycle and not Counter(one.chain) - Counter(other.chain)))
            and (one.reduction or not other.reduction)
            for other in kept
        )
        if not implied:
            kept.append(one)
    return kept
