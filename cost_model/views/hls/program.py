"""The program part of a prompt: a kernel as its loops, statements and recurrences, with names by order of appearance.

Two kernels that differ only in names, comments or layout have the same text, so that a model cannot know a kernel by
its names. One line a fact, indented by depth:

    array a0 f64 90 90 argument
    loop L0 90 pipeline tile parallel
      recurrence s0 1 reduction add.f64
      a0[L0] = (a1[L0] * s0) ; mul.f64 1
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from design.hls.loop_nest import CONSTANT, Array, Kernel, Loop, Recurrence, Statement

NAME = re.compile(r"[A-Za-z_]\w*")
KEYWORDS = (
    "if",
    "while",
    "switch",
    "return",
    *("int", "char", "short", "long", "float", "double", "unsigned", "signed"),
)


def program_text(kernel: Kernel) -> str:
    """A kernel as the model reads it; ends with a newline."""
    names = _names(kernel)
    lines = [_array(array, names) for array in kernel.arrays.values()]
    lines += [f"scalar {names[name]} {'f' if floating else 'i'}{bits}" for name, (bits, floating) in _scalars(kernel)]
    carried: dict[int, list[Recurrence]] = {}
    for recurrence in kernel.recurrences:
        carried.setdefault(recurrence.loop, []).append(recurrence)
    for item in kernel.body:
        lines += _item(item, names, carried, "")
    return "\n".join(lines) + "\n"


def loop_name(number: int) -> str:
    """How a loop is called in a prompt."""
    return f"L{number}"


def _scalars(kernel: Kernel) -> list[tuple[str, tuple[int, bool]]]:
    counters = {loop.variable for loop in kernel.loops}
    return [(name, kind) for name, kind in kernel.scalars.items() if name not in counters]


def _names(kernel: Kernel) -> dict[str, str]:
    found = {name: f"a{place}" for place, name in enumerate(kernel.arrays)}
    return found | {name: f"s{place}" for place, (name, _) in enumerate(_scalars(kernel))}


def _array(array: Array, names: Mapping[str, str]) -> str:
    kind = f"{'f' if array.floating else 'i'}{array.bits}"
    return " ".join(
        ["array", names[array.name], kind, *("?" if s is None else str(s) for s in array.shape), array.role]
    )


def _item(
    item: Loop | Statement, names: Mapping[str, str], carried: Mapping[int, list[Recurrence]], indent: str
) -> Iterator[str]:
    if isinstance(item, Statement):
        yield indent + _statement(item, names)
        return
    trip = item.trip
    times = str(trip.least) if trip.kind == CONSTANT else f"{trip.kind} {trip.least} {trip.mean:.0f} {trip.most}"
    kinds = [d.kind.lower() if d.parameter else f"{d.kind.lower()} {_fixed(d.value)}" for d in item.directives.values()]
    yield " ".join([f"{indent}loop {loop_name(item.number)} {times}", *kinds])
    inner = dict(names)
    if item.variable:
        inner[item.variable] = loop_name(item.number)
    for recurrence in carried.get(item.number, ()):
        yield f"{indent}  {_recurrence(recurrence, inner)}"
    for each in item.body:
        yield from _item(each, inner, carried, indent + "  ")


def _fixed(value: object) -> str:
    return "coarse" if value in ("", None) else str(value)


def _recurrence(recurrence: Recurrence, names: Mapping[str, str]) -> str:
    words = [
        "recurrence",
        names.get(recurrence.variable, "x"),
        "?" if recurrence.distance is None else str(recurrence.distance),
        *(["reduction"] if recurrence.reduction else []),
        *([] if recurrence.cycle else ["used"]),
        *recurrence.chain,
    ]
    return " ".join(words)


def _statement(statement: Statement, names: Mapping[str, str]) -> str:
    """The source text with new names; a name of something else, such as a type of the program's own, is x."""
    text = NAME.sub(lambda match: names.get(match[0], match[0] if match[0] in KEYWORDS else "x"), statement.text)
    counts = [f"{operation} {count}" for operation, count in sorted(statement.operations.items())]
    guards = [f"guards {statement.guards}"] if statement.guards else []
    return " ".join([text, *([";"] if counts or guards else []), *counts, *guards])
