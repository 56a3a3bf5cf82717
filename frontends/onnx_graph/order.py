"""Nodes in an order in which they can run; ONNX promises one, files do not always keep it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from design.errors import InputError
from frontends.onnx_graph.graph import Node


def ordered(where: str, nodes: Sequence[Node], given: Iterable[str]) -> tuple[Node, ...]:
    """The nodes, each after all that it reads, in the file's order where there is a choice.

    `given` are the tensors that no node makes. Raises InputError for a cycle, and for a tensor made twice or never.
    """
    maker: dict[str, int | None] = dict.fromkeys(given)
    for place, node in enumerate(nodes):
        for output in filter(None, node.outputs):
            if output in maker:
                raise InputError(where, f"tensor '{output}' is made twice", "each tensor made once")
            maker[output] = place
    for node in nodes:
        for name in node.reads:
            if name not in maker:
                found = f"node '{node.name}' reads tensor '{name}', which nothing makes"
                raise InputError(where, found, "a whole file; export again")
    done: dict[int, None] = {}  # in order
    open_: set[int] = set()
    for start in range(len(nodes)):
        waiting = [start]
        while waiting:
            place = waiting[-1]
            before = [m for name in nodes[place].reads if (m := maker[name]) is not None and m not in done]
            if place in done or not before:
                done[place] = None
                open_.discard(waiting.pop())
                continue
            open_.add(place)
            if open_ & set(before):
                names = ", ".join(sorted({nodes[m].name for m in open_ & set(before)}))
                raise InputError(where, f"node {names} waits for itself in a cycle", "a graph without cycles")
            waiting.append(before[0])
    return tuple(nodes[place] for place in done)
