"""The GEMMs of a graph, and which of them reach which with no other GEMM on the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from design.errors import InputError
from design.nmp.workload import Gemm
from frontends.onnx_graph.graph import Graph, Node
from frontends.onnx_graph.products import ATTENTION, RULES, Shape, heads, product
from frontends.onnx_graph.shapes import Shapes

Flow = Mapping[int, frozenset[str]]  # a GEMM that reaches a tensor -> operators on the ways from it
MEASURES = ("Shape", "Size")  # what they say of a tensor is none of its content
MOVES = ("Transpose", "Cast", "Identity", "Reshape", "Unsqueeze", "Squeeze", "DequantizeLinear", "Flatten")
ADDITIONS = ("Add", "Sum")
SOFTMAX = "Softmax"


@dataclass(frozen=True)
class Multiplication:
    """A GEMM of the graph: its dimensions at some lengths, and what reaches its operands. That of `weights` has them
    on its right side."""

    name: str
    gemm: Gemm
    left: Flow
    right: Flow
    weights: bool

    @property
    def sources(self) -> frozenset[int]:
        """The GEMMs that it waits for."""
        return frozenset(self.left) | frozenset(self.right)


class _Tensor(NamedTuple):
    """What is known of a tensor on the way: `before` has a bit for each node that it depends on."""

    flow: Flow
    constant: bool
    before: int


def weight_inputs(graph: Graph) -> frozenset[str]:
    """Inputs that are weights: of fixed shape, and only ever an operand of GEMMs or a table to look up in.

    In a graph whose inputs are all fixed, they are right operands: the layer's own input may well be a left one.
    """
    readers: dict[str, list[tuple[Node, int]]] = {}
    for node in graph.nodes:
        for place, name in enumerate(node.inputs):
            readers.setdefault(name, []).append((node, place))

    def uses(name: str) -> Iterator[tuple[Node, int]]:
        waiting = [name]
        while waiting:
            for node, place in readers.get(waiting.pop(), []):
                if node.op in MOVES and place == 0:
                    waiting.append(node.outputs[0])
                else:
                    yield node, place

    def weight(name: str) -> bool:
        places = [(node.op, place) for node, place in uses(name)]
        fits = all(op in RULES or (op == "Gather" and place == 0) for op, place in places)
        return bool(places) and fits and (named or not any(op in RULES and place == 0 for op, place in places))

    named = not all(value.fixed for value in graph.inputs)
    fixed = [value for value in graph.inputs if value.fixed]
    return frozenset(value.name for value in fixed if len(value.axes) < 2 or weight(value.name))


def multiplications(graph: Graph, shapes: Shapes, weights: frozenset[str]) -> tuple[Multiplication, ...]:
    """All GEMMs, in an order in which they can run. Raises InputError for one whose shape is not known."""
    return _Walk(graph, shapes, weights).found()


class _Walk:
    """One pass over a graph."""

    def __init__(self, graph: Graph, shapes: Shapes, weights: frozenset[str]) -> None:
        self._graph, self._shapes = graph, shapes
        self._gemms: list[Multiplication] = []
        constants = {name: _Tensor({}, True, 0) for name in (*graph.constants, *weights)}
        self._tensors = {value.name: _Tensor({}, False, 0) for value in graph.inputs} | constants

    def found(self) -> tuple[Multiplication, ...]:
        for number, node in enumerate(self._graph.nodes):
            inputs = [self._tensors[name] for name in node.reads]
            before = 1 << number
            for tensor in inputs:
                before |= tensor.before
            constant = all(tensor.constant for tensor in inputs) or node.op in MEASURES
            flows = [{} for _ in node.outputs] if constant else self._flows(node)
            for name, flow in zip(node.outputs, flows, strict=True):
                self._tensors[name] = _Tensor(flow, constant, before)
        return tuple(self._gemms)

    def _flows(self, node: Node) -> list[Flow]:
        """What reaches each of a node's outputs."""
        if node.op == ATTENTION:
            return self._attention(node)
        made = self._gemm(node)
        if made is not None:
            return [made] * len(node.outputs)
        through = _passed(self._merged(node.reads, node.op in ADDITIONS), node.op)
        if node.op == "DynamicQuantizeLinear":  # its scale goes round the product that the content goes through
            return [through, *({} for _ in node.outputs[1:])]
        return [through] * len(node.outputs)

    def _gemm(self, node: Node) -> Flow | None:
        if node.op in RULES:
            self._known(node)
        found = product(self._graph.where, node, self._shaped(node.inputs), self._shaped(node.outputs))
        if found is None:
            return None
        left, right = (self._tensors[node.inputs[place]] for place in (found.left, found.right))
        if left.constant and right.constant:
            return None
        made = Multiplication(node.name, found.gemm, left.flow, right.flow, left.constant or right.constant)
        if left.constant:
            B, M, N, K = found.gemm
            made = replace(made, gemm=Gemm(B, N, M, K), left=right.flow, right={})
        self._gemms.append(made)
        flow: Flow = {len(self._gemms) - 1: frozenset()}
        if found.added is not None and node.inputs[found.added]:
            added = self._tensors[node.inputs[found.added]]
            return flow if self._earlier(added, left) or self._earlier(added, right) else {**added.flow, **flow}
        return flow

    def _attention(self, node: Node) -> list[Flow]:
        self._known(node)
        both = heads(self._graph.where, node, self._shaped(node.inputs))
        past_keys, past_values = (node.inputs[place : place + 1] for place in (4, 5))
        queries = self._merged(node.inputs[:1])
        keys, values = self._merged((node.inputs[1], *past_keys)), self._merged((node.inputs[2], *past_values))
        first = len(self._gemms)
        self._gemms.append(Multiplication(f"{node.name} (scores)", both.scores, queries, keys, False))
        scores: Flow = {first: frozenset({SOFTMAX})}
        self._gemms.append(Multiplication(f"{node.name} (values)", both.values, scores, values, False))
        made: list[Flow] = [{first + 1: frozenset()}, keys, values, {first: frozenset()}]
        return made[: len(node.outputs)]

    def _merged(self, names: tuple[str, ...], sum_: bool = False) -> Flow:
        """What reaches any of the tensors. In a sum, one that the others are made from is a residual connection round
        them, and says nothing of what they wait for."""
        merged: dict[int, frozenset[str]] = {}
        tensors = [self._tensors[name] for name in names if name]
        for tensor in tensors:
            if sum_ and any(self._earlier(tensor, other) for other in tensors if other is not tensor):
                continue
            for source, operators in tensor.flow.items():
                merged[source] = merged.get(source, frozenset()) | operators
        return merged

    @staticmethod
    def _earlier(one: _Tensor, other: _Tensor) -> bool:
        """Whether `other` is made from `one`; its own node is the last that `one` depends on."""
        own = one.before.bit_length() - 1
        return own >= 0 and bool(other.before >> own & 1) and one.before != other.before

    def _known(self, node: Node) -> None:
        for name in (*node.inputs, *node.outputs):
            if name and self._shapes.facts[name].shape is None:
                lost = self._shapes.culprits[name]
                found = f"the shape of '{name}' depends on data, since {lost.op} '{lost.name}'"
                raise InputError(f"{self._graph.where}, {node.op} '{node.name}'", found, "shapes that follow from axes")

    def _shaped(self, names: tuple[str, ...]) -> list[Shape]:
        return [(self._shapes.facts[name].shape or ()) if name else () for name in names]


def _passed(flow: Flow, op: str) -> Flow:
    return {source: operators | {op} for source, operators in flow.items()}
