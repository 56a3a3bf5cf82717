"""Which nodes are GEMMs, and of what dimensions: `B` times (M, K) . (K, N)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import NamedTuple

from design.errors import InputError
from design.nmp.workload import Gemm
from frontends.onnx_graph.graph import Node

Shape = tuple[int, ...]


class Product(NamedTuple):
    """A node that is a GEMM: its dimensions, and the places of its operands and of what is added to it."""

    gemm: Gemm
    left: int
    right: int
    added: int | None = None


def _batched(left: Shape, right: Shape) -> Gemm:
    """(..., m, k) times (..., k, n). Where one operand is the same for all of an axis, the axis gives rows or columns
    of one GEMM, not GEMMs."""
    left, right = ((1, *left) if len(left) == 1 else left), ((*right, 1) if len(right) == 1 else right)
    axes = max(len(left), len(right)) - 2
    outer = zip((1,) * (axes + 2 - len(left)) + left[:-2], (1,) * (axes + 2 - len(right)) + right[:-2], strict=True)
    B, M, N = 1, left[-2], right[-1]
    for a, b in outer:
        if a == b:
            B *= a
        elif b == 1:
            M *= a
        else:
            N *= b
    return Gemm(B, M, N, left[-1])


# A rule takes what errors call the node, the node, and the shapes of its inputs and outputs.
Rule = Callable[[str, Node, Sequence[Shape], Sequence[Shape]], Product | None]


def _matmul(places: tuple[int, int]) -> Rule:
    def found(where: str, node: Node, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Product:
        return Product(_batched(inputs[places[0]], inputs[places[1]]), *places)

    return found


def _gemm(where: str, node: Node, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Product:
    a, b = inputs[:2]
    M, K = reversed(a) if node.attributes.get("transA") else a
    N = b[0] if node.attributes.get("transB") else b[1]
    return Product(Gemm(1, M, N, K), 0, 1, 2 if len(node.inputs) > 2 else None)


def _convolution(places: tuple[int, int]) -> Rule:
    def found(where: str, node: Node, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Product:
        """As a GEMM of patches (im2col): one for each group of channels, a row for each position of the output."""
        groups, weights, made = int(str(node.attributes.get("group", 1))), inputs[places[1]], outputs[0]
        return Product(Gemm(groups, made[0] * prod(made[2:]), weights[0] // groups, prod(weights[1:])), *places)

    return found


def _einsum(where: str, node: Node, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Product | None:
    equation = "".join(str(node.attributes.get("equation", "")).split())
    sides, _, result = equation.partition("->")
    terms = sides.split(",")
    if len(terms) == 1:
        return None
    if len(terms) != 2:
        raise InputError(where, f"Einsum '{equation[:60]}' of {len(terms)} tensors", "products of two; split it up")
    left, right = (_labelled(term, shape) for term, shape in zip(terms, inputs, strict=True))
    if "->" not in equation:  # by the rule of the standard: labels that come once, and what the ellipsis stands for
        result = "..." + "".join(sorted(label for label in set(sides) - set(".,") if sides.count(label) == 1))
    spread = {label for label in {*left, *right} if label.startswith(".")}
    kept = {label for label in result if label != "."} | (spread if "..." in result else set())
    B = M = N = K = 1
    for label in {**left, **right}:
        a, b = left.get(label, 1), right.get(label, 1)
        if label in kept:
            B, M, N = (B * a, M, N) if a == b else (B, M * a, N) if b == 1 else (B, M, N * b)
        elif label in left and label in right:
            K *= max(a, b)
    return Product(Gemm(B, M, N, K), 0, 1)


def _labelled(term: str, shape: Shape) -> dict[str, int]:
    """Label -> length; the axes of an ellipsis are .1, .2, ... from its right."""
    before, dots, after = term.partition("...")
    hidden = len(shape) - len(before) - len(after) if dots else 0
    labels = [*before, *(f".{place}" for place in range(hidden, 0, -1)), *after]
    return dict(zip(labels, shape, strict=True))


RULES: dict[str, Rule] = {
    "MatMul": _matmul((0, 1)),
    "MatMulInteger": _matmul((0, 1)),
    "QLinearMatMul": _matmul((0, 3)),
    "Gemm": _gemm,
    "Einsum": _einsum,
    "Conv": _convolution((0, 1)),
    "ConvInteger": _convolution((0, 1)),
    "QLinearConv": _convolution((0, 3)),
}
ATTENTION = "Attention"  # two GEMMs in one node
MALFORMED = (ArithmeticError, LookupError, ValueError)  # of a node that only inference let pass
UNSUPPORTED = ("ConvTranspose", "DeformConv", "LSTM", "GRU", "RNN")


def product(where: str, node: Node, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Product | None:
    """The GEMM that a node is, from the shapes of its inputs (empty where left out) and outputs; None for any other.

    A product without a sum, such as that of a column and a row, is elementwise work and no GEMM.
    Raises InputError for operators that multiply matrices in another way.
    """
    where = f"{where}, node '{node.name}'"
    if node.op in UNSUPPORTED:
        raise InputError(where, f"{node.op} is unsupported", f"GEMMs as {', '.join(RULES)}")
    if node.op not in RULES:
        return None
    try:
        found = RULES[node.op](where, node, inputs, outputs)
    except MALFORMED:
        raise InputError(where, f"{node.op} does not fit its tensors", "a valid file; export again") from None
    return found if found is not None and found.gemm.K > 1 else None


class Heads(NamedTuple):
    """The two GEMMs of an `Attention` node."""

    scores: Gemm
    values: Gemm


def heads(where: str, node: Node, inputs: Sequence[Shape]) -> Heads:
    """Of an `Attention` node (operator set 23): Q, K, V of (batch, heads, tokens, width) or (batch, tokens, heads *
    width), and the past keys and values, if any, as inputs 4 and 5.

    Raises InputError where its numbers of heads do not fit.
    """
    try:
        return _heads(node, inputs)
    except MALFORMED:
        raise InputError(f"{where}, node '{node.name}'", "its heads do not fit its tensors", "a valid file") from None


def _heads(node: Node, inputs: Sequence[Shape]) -> Heads:
    split = []
    for shape, name in zip(inputs[:3], ("q_num_heads", "kv_num_heads", "kv_num_heads"), strict=True):
        count = int(str(node.attributes.get(name, 1)))
        split.append(shape if len(shape) == 4 else (shape[0], count, shape[1], shape[2] // count))
    (batch, q_heads, tokens, width), (_, kv_heads, keys, _), (*_, v_width) = split
    context = keys + (inputs[4][2] if len(inputs) > 4 and inputs[4] else 0)
    B, M = batch * kv_heads, tokens * (q_heads // kv_heads)
    return Heads(Gemm(B, M, context, width), Gemm(B, M, v_width, context))
