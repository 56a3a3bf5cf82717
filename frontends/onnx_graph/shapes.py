"""The shape of every tensor of a graph when its axes have given lengths, and the value of the small ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from design.errors import InputError
from frontends.onnx_graph.axes import Axes, Point
from frontends.onnx_graph.file import Inference, Unfit
from frontends.onnx_graph.graph import Fact, Graph, Node

UNKNOWN = Fact(0, None)


@dataclass(frozen=True)
class Shapes:
    """Facts of all tensors; for one without a shape, `culprits` has the node where it got lost."""

    facts: Mapping[str, Fact]
    culprits: Mapping[str, Node]


def shapes_at(graph: Graph, axes: Axes, point: Point, inference: Inference) -> Shapes:
    """All shapes. Raises InputError where a node cannot take what it is given: the graph holds for other lengths."""
    facts = dict(graph.constants)
    culprits: dict[str, Node] = {}
    for value in graph.inputs:
        facts[value.name] = Fact(value.element, axes.shape(value, point))
    for node in graph.nodes:
        missing = [name for name in node.inputs if name and facts[name].shape is None]
        made = [UNKNOWN] * len(node.outputs) if missing else _outcome(graph, node, facts, point, inference)
        for name, fact in zip(node.outputs, made, strict=True):
            facts[name] = fact
            if fact.shape is None:
                culprits[name] = culprits[missing[0]] if missing else node
    return Shapes(facts, culprits)


def _outcome(graph: Graph, node: Node, facts: Mapping[str, Fact], point: Point, inference: Inference) -> list[Fact]:
    inputs = [facts[name] if name else None for name in node.inputs]
    try:
        made = inference.outcome(node, inputs, [facts[name] for name in node.captured])
        if node.op in ("Shape", "Size") and inputs[0] is not None and inputs[0].shape is not None:
            return [made[0]._replace(value=_measure(node, inputs[0].shape))]
        if node.op == "Reshape" and inputs[0] is not None and inputs[0].shape is not None and made[0].shape is not None:
            # Inference takes the numbers of a reshape as they are.
            before, after = inputs[0].shape, made[0].shape
            if prod(before) != prod(after):
                raise Unfit(f"{before} cannot become {after}")
        return made
    except Unfit as error:
        found = f"shapes do not fit for batch {point.batch}, {point.tokens} tokens ({error})"
        raise InputError(f"{graph.where}, node '{node.name}'", found, "an export with these axes dynamic") from None


def _measure(node: Node, shape: tuple[int, ...]) -> NDArray[Any]:
    """What `Shape` and `Size` say of a tensor of which nothing else need be known."""
    if node.op == "Size":
        return np.array(prod(shape), dtype=np.int64)
    begin, end = int(str(node.attributes.get("start", 0))), int(str(node.attributes.get("end", len(shape))))
    return np.array(shape[begin:end], dtype=np.int64)
