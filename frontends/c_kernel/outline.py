"""A kernel as text, for people: its loops, what is in them and what must wait for what."""

from __future__ import annotations

from design.hls.loop_nest import CONSTANT, Directive, Kernel, Loop, Recurrence


def outline(kernel: Kernel) -> str:
    """One line a loop, indented by depth, with its recurrences under it."""
    lines = [f"{kernel.name}: {len(kernel.loops)} loops, {len(kernel.statements)} statements"]
    arrays = [f"{a.name}{''.join(f'[{s or str()}]' for s in a.shape)} {a.role}" for a in kernel.arrays.values()]
    lines.append(f"  arrays: {', '.join(arrays) or 'none'}")
    by_loop: dict[int, list[Recurrence]] = {}
    for recurrence in kernel.recurrences:
        by_loop.setdefault(recurrence.loop, []).append(recurrence)

    def tell(loop: Loop, depth: int) -> None:
        indent = "  " * depth
        label = f" {loop.label}" if loop.label else ""
        said = "; ".join(_directive(each) for each in loop.directives.values())
        trip = loop.trip
        times = (
            f"{trip.least}" if trip.kind == CONSTANT else f"{trip.kind} {trip.least}..{trip.most} mean {trip.mean:g}"
        )
        own = len(loop.statements)
        lines.append(
            f"{indent}{loop.number}{label} {loop.variable or '?'} line {loop.line}: {times} x, {own} statements"
            + (f" [{said}]" if said else "")
        )
        lines.extend(f"{indent}    ~ {_recurrence(each)}" for each in by_loop.get(loop.number, []))
        for inner in loop.loops:
            tell(inner, depth + 1)

    for item in kernel.body:
        if isinstance(item, Loop):
            tell(item, 1)
    return "\n".join(lines) + "\n"


def _directive(said: Directive) -> str:
    value = f"auto{{{said.parameter}}}" if said.parameter is not None else "" if said.value is None else str(said.value)
    reduction = "" if said.reduction is None else f" reduction {said.reduction}".rstrip()
    return f"{said.kind} {value}".rstrip() + reduction


def _recurrence(found: Recurrence) -> str:
    distance = "?" if found.distance is None else str(found.distance)
    kind = ", reduction" if found.reduction else ""
    how = (" ".join(found.chain) or "copy") if found.cycle else "not passed on"
    return f"{found.variable} distance {distance}: {how}{kind}"
