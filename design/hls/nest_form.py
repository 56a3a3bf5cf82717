"""What a kernel does, written so that two kernels can be compared: names as the caller gives them, order only where it
matters.

Loops keep their order. Statements between two loops do not: that they may be swapped is for the rewriter to know.
Neither do the loads of a statement nor the recurrences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from typing import Any

from design.hls.loop_nest import Access, Affine, Array, Kernel, Loop, Statement

Naming = Callable[[str], str]  # of arrays and scalars
Form = tuple[Any, ...]  # of tuples, texts and numbers, to be compared as a whole


def form_of(kernel: Kernel, naming: Naming) -> Form:
    """All that space, estimate and features see of a kernel but for the names of loops and parameters and for lines."""
    arrays = _sorted((naming(a.name), *_shape(a)) for a in kernel.arrays.values())
    scalars = _sorted((naming(name), *kind) for name, kind in kernel.scalars.items())
    return arrays, scalars, body_form(kernel, naming, directives=True), recurrence_form(kernel, naming)


def body_form(kernel: Kernel, naming: Naming, directives: bool) -> Form:
    """Loops with their trips, and directives if asked for; statements with operations and accesses."""
    return _body(kernel.body, naming, directives)


def recurrence_form(kernel: Kernel, naming: Naming) -> Form:
    """What must wait for what."""
    return _sorted((r.loop, naming(r.variable), r.distance, r.chain, r.reduction, r.cycle) for r in kernel.recurrences)


def by_use(kernel: Kernel) -> Naming:
    """Names made of what a variable is and where it is used, so that they are the same whatever it is called. Two
    variables of one use have one name."""
    uses: dict[str, list[Any]] = {}
    for statement in kernel.statements:
        place = (statement.loops, tuple(statement.operations.items()), statement.guards)
        for access in statement.accesses:
            uses.setdefault(access.array, []).append((place, access.write, _index(access)))
        for write, names in ((False, statement.reads), (True, statement.writes)):
            for name in names:
                uses.setdefault(name, []).append((place, write))
    kinds: dict[str, Any] = {**kernel.scalars, **{a.name: _shape(a) for a in kernel.arrays.values()}}
    known = {name: short_hash(repr((kinds.get(name), _sorted(found)))) for name, found in uses.items()}
    return lambda name: known.get(name, "?")


def short_hash(text: str) -> str:
    """32 hexadecimal digits."""
    return blake2b(text.encode(), digest_size=16).hexdigest()


def renamed_by(names: Mapping[str, str], naming: Naming) -> Naming:
    """A naming that first turns each C name within a kernel's name ('ctx.key', 'x.2') into another."""

    def found(name: str) -> str:
        return naming(".".join(names.get(part, part) for part in name.split(".")))

    return found


def _shape(array: Array) -> tuple[Any, ...]:
    return array.bits, array.floating, array.shape, array.role


def _body(body: tuple[Loop | Statement, ...], naming: Naming, directives: bool) -> Form:
    parts: list[Form] = []
    waiting: list[Form] = []
    for item in body:
        if isinstance(item, Statement):
            waiting.append(_statement(item, naming))
        else:
            parts += [_sorted(waiting), _loop(item, naming, directives)]
            waiting = []
    return (*parts, _sorted(waiting))


def _loop(loop: Loop, naming: Naming, directives: bool) -> Form:
    trip = loop.trip
    said = [
        (d.kind, d.parameter is not None, d.value, naming(d.reduction) if d.reduction else d.reduction)
        for d in loop.directives.values()
    ]
    inside = _body(loop.body, naming, directives)
    return (trip.kind, trip.least, trip.most, trip.mean), _sorted(said) if directives else (), inside


def _statement(statement: Statement, naming: Naming) -> Form:
    accesses = _sorted((naming(a.array), a.write, _index(a)) for a in statement.accesses)
    reads, writes = (_sorted(naming(name) for name in names) for names in (statement.reads, statement.writes))
    return tuple(statement.operations.items()), accesses, reads, writes, statement.guards


def _index(access: Access) -> Form:
    return tuple((i.constant, i.terms) if isinstance(i, Affine) else None for i in access.index)


def _sorted(items: Iterable[Any]) -> Form:
    return tuple(sorted(items, key=repr))
