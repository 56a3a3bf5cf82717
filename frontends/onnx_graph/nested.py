"""Graphs inside nodes: the branches and bodies of If, Loop and Scan, as protocol buffers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def subgraphs(node: Any) -> Iterator[Any]:
    """The graphs among a node's attributes."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def all_nodes(graph: Any) -> Iterator[Any]:
    """The nodes of a graph, and of all graphs inside."""
    for node in graph.node:
        yield node
        for inner in subgraphs(node):
            yield from all_nodes(inner)


def captured(graph: Any) -> set[str]:
    """Tensors that a graph takes from outside without naming them as inputs."""
    own = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    own |= {name for node in graph.node for name in node.output}
    used = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    inner = (captured(sub) for node in graph.node for sub in subgraphs(node))
    return used.union(*inner) - own - {""}


def take_branch(node: Any, first: bool) -> None:
    """Makes both branches of an If the one that is taken: nothing else can come of it."""
    taken = "then_branch" if first else "else_branch"
    branch = type(node)()
    branch.CopyFrom(node)
    kept = next(attribute.g for attribute in branch.attribute if attribute.name == taken)
    for attribute in node.attribute:
        attribute.g.CopyFrom(kept)
