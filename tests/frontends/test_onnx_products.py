"""Operators as GEMMs, against counts made one multiplication at a time, and numpy's own shapes."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from design.nmp.workload import Gemm
from frontends.onnx_graph.graph import Node
from frontends.onnx_graph.products import heads, product
from tests.cases import examples
from tests.frontends.onnx_cases import arrows, only, read_text, shapes

Shape = tuple[int, ...]


def gemm(op: str, inputs: list[Shape], output: Shape, **attributes: int | str) -> Gemm | None:
    """The GEMM of one node."""
    node = Node(op, op, tuple(map(str, range(len(inputs)))), ("y",), attributes, (), b"")
    found = product("graph", node, inputs, [output])
    return found.gemm if found else None


@st.composite
def broadcast(draw: st.DrawFn) -> tuple[Shape, Shape]:
    """Outer axes of two operands, either of which may lack some or have them of length 1."""
    full = draw(st.lists(st.integers(2, 4), max_size=3))
    sides = []
    for _ in range(2):
        kept = [length if draw(st.booleans()) else 1 for length in full]
        sides.append(tuple(kept[draw(st.integers(0, len(kept))) :]))
    return sides[0], sides[1]


@given(broadcast(), st.tuples(*[st.integers(2, 5)] * 3))
@examples(150)
def test_matmul(outer: tuple[Shape, Shape], mnk: tuple[int, int, int]) -> None:
    """As many multiplications as elements of the result times the length of a sum; K is that length. What one operand
    has only once is read only once: no operand is smaller than its part of the GEMMs."""
    m, n, k = mnk
    left, right = (*outer[0], m, k), (*outer[1], k, n)
    result = np.matmul(np.ones(left), np.ones(right)).shape
    found = gemm("MatMul", [left, right], result)
    assert found is not None and k == found.K
    assert found.macs == prod(result) * k
    assert prod(result) == found.B * found.M * found.N
    assert found.B * found.M * k >= prod(left) and found.B * k * found.N >= prod(right)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ((4,), (4, 6), (1, 1, 6, 4)),
        ((5, 4), (4,), (1, 5, 1, 4)),
        ((2, 3, 5, 4), (4, 6), (1, 30, 6, 4)),
        ((2, 3, 5, 4), (2, 3, 4, 6), (6, 5, 6, 4)),
        ((2, 3, 5, 4), (2, 1, 4, 6), (2, 15, 6, 4)),
        ((5, 4), (2, 3, 4, 6), (1, 5, 36, 4)),
    ],
)
def test_matmul_axes(left: Shape, right: Shape, expected: Shape) -> None:
    """An axis that one operand lacks gives rows or columns of one GEMM, not GEMMs."""
    result = np.matmul(np.ones(left), np.ones(right)).shape
    assert gemm("MatMul", [left, right], result) == Gemm(*expected)


@pytest.mark.parametrize("trans_a", [0, 1])
@pytest.mark.parametrize("trans_b", [0, 1])
def test_gemm(trans_a: int, trans_b: int) -> None:
    """Either operand may be stored the other way round."""
    a, b = ((4, 5) if trans_a else (5, 4)), ((6, 4) if trans_b else (4, 6))
    assert gemm("Gemm", [a, b, (6,)], (5, 6), transA=trans_a, transB=trans_b) == Gemm(1, 5, 6, 4)


def counted(equation: str, left: Shape, right: Shape) -> int:
    """Multiplications of a product of two tensors: one for each choice of all indices, after what only one tensor has
    and the result has not is summed up."""
    sides, result = equation.split("->")
    lengths: dict[str, int] = {}
    terms = sides.split(",")
    for term, shape in zip(terms, (left, right), strict=True):
        for label, length in zip(term, shape, strict=True):
            lengths[label] = max(length, lengths.get(label, 1))
    used = (set(terms[0]) & set(terms[1])) | set(result)
    return prod(length for label, length in lengths.items() if label in used)


@given(st.data())
@examples(200)
def test_einsum(data: st.DataObject) -> None:
    """Any equation of two tensors: multiplications by brute force, K the length of what is summed over."""
    lengths = {label: data.draw(st.integers(2, 5)) for label in "abcdef"}
    terms = ["".join(data.draw(st.permutations("abcdef"))[: data.draw(st.integers(1, 4))]) for _ in range(2)]
    result = "".join(label for label in data.draw(st.permutations("abcdef")) if label in "".join(terms))
    result = "".join(label for label in result if data.draw(st.booleans()))
    shape = [tuple(lengths[label] for label in term) for term in terms]
    equation = f"{','.join(terms)}->{result}"
    found = gemm("Einsum", shape, tuple(lengths[label] for label in result), equation=equation)
    summed = set(terms[0]) & set(terms[1]) - set(result)
    if summed:
        assert found is not None and found.macs == counted(equation, *shape)
        assert prod(lengths[label] for label in summed) == found.K
    else:
        assert found is None


@pytest.mark.parametrize(
    ("equation", "left", "right", "expected"),
    [
        ("bhqd,bhkd->bhqk", (2, 3, 5, 4), (2, 3, 7, 4), (6, 5, 7, 4)),
        ("bqhd,bkhd->bhqk", (2, 5, 3, 4), (2, 7, 3, 4), (6, 5, 7, 4)),
        ("bkgqd,bkcd->bkgqc", (2, 3, 2, 5, 4), (2, 3, 7, 4), (6, 10, 7, 4)),
        ("...k,kn->...n", (2, 5, 4), (4, 6), (1, 10, 6, 4)),
        ("...mk,...kn->...mn", (2, 3, 5, 4), (3, 4, 6), (3, 10, 6, 4)),
        ("ij,jk", (5, 4), (4, 6), (1, 5, 6, 4)),
        ("ij , kj -> ik", (5, 4), (6, 4), (1, 5, 6, 4)),
        ("bshw,hwd->bsd", (2, 5, 3, 4), (3, 4, 6), (1, 10, 6, 12)),
        ("bij,bij->b", (2, 5, 4), (2, 5, 4), (2, 1, 1, 20)),
    ],
)
def test_einsum_axes(equation: str, left: Shape, right: Shape, expected: Shape) -> None:
    """Equations as they are written for layers."""
    assert gemm("Einsum", [left, right], (), equation=equation) == Gemm(*expected)


def convolved(x: Shape, w: Shape, out: Shape, groups: int) -> int:
    """Multiplications of a convolution: each output element meets one kernel of one group."""
    return prod(out) * (x[1] // groups) * prod(w[2:])


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 2))
@examples(60)
def test_conv(batch: int, groups: int, into: int, out: int, kernel: int, rank: int) -> None:
    """A GEMM for each group, a row for each position; 1x1 and depthwise are nothing special."""
    x = (batch, groups * into, *(9,) * rank)
    w = (groups * out, into, *(kernel,) * rank)
    y = (batch, groups * out, *(10 - kernel,) * rank)
    found = gemm("Conv", [x, w], y, group=groups)
    if into * kernel**rank == 1:
        assert found is None  # a factor for each channel
    else:
        assert found == Gemm(groups, batch * prod(y[2:]), out, into * kernel**rank)
        assert found.macs == convolved(x, w, y, groups)


@pytest.mark.parametrize(
    ("op", "inputs"),
    [
        ("MatMul", [(5, 1), (1, 7)]),
        ("MatMul", [(2, 4, 1), (2, 1, 5)]),
        ("Einsum", [(5,), (7,)]),
        ("Conv", [(1, 8, 9), (8, 1, 1)]),
        ("Add", [(5, 4), (5, 4)]),
    ],
)
def test_no_gemm(op: str, inputs: list[Shape]) -> None:
    """Without a sum there is no GEMM: outer products, as rotary embeddings make their angles, and factors."""
    group = 8 if op == "Conv" else 1
    assert gemm(op, inputs, (1, 8, 9), equation="i,j->ij", group=group) is None


def test_quantised() -> None:
    """Operands stand elsewhere among the inputs, and the GEMM is the same."""
    one: Shape = ()
    assert gemm("MatMulInteger", [(5, 4), (4, 6), one], (5, 6)) == Gemm(1, 5, 6, 4)
    assert gemm("QLinearMatMul", [(5, 4), one, one, (4, 6), one, one, one, one], (5, 6)) == Gemm(1, 5, 6, 4)
    assert gemm("QLinearConv", [(1, 4, 9), one, one, (6, 4, 1), one, one, one, one], (1, 6, 9)) == Gemm(1, 9, 6, 4)


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("past", [0, 11])
def test_attention_node(flat: bool, past: int) -> None:
    """Two GEMMs for each sequence and key-value head."""
    q, k, v = ((2, 5, 24), (2, 7, 8), (2, 7, 6)) if flat else ((2, 6, 5, 4), (2, 2, 7, 4), (2, 2, 7, 3))
    inputs: list[Shape] = [q, k, v, ()] + ([(2, 2, past, 4), (2, 2, past, 3)] if past else [])
    attributes = {"q_num_heads": 6, "kv_num_heads": 2} if flat else {}
    node = Node("a", "Attention", ("q", "k", "v"), ("y",), attributes, (), b"")
    assert heads("graph", node, inputs) == (Gemm(4, 15, 7 + past, 4), Gemm(4, 15, 3, 7 + past))


ONES = ", ".join(["1"] * 60)
WEIGHTED = {
    "initializer": ("", f"float[6,10] w = {{{ONES}}}", ["y = MatMul(x, w)"]),
    "input": (", float[6,10] w", "", ["y = MatMul(x, w)"]),
    "transposed": (", float[10,6] w", "", ["t = Transpose(w)", "y = MatMul(x, t)"]),
    "cast": (", float16[10,6] w", "", ["c = Cast<to=1>(w)", "t = Transpose(c)", "y = MatMul(x, t)"]),
    "on the left": (
        ", float[10,6] w",
        "",
        ["t = Transpose<perm=[0, 2, 1]>(x)", "z = MatMul(w, t)", "y = Transpose<perm=[0, 2, 1]>(z)"],
    ),
    "dequantised": (
        ", int8[6,10] w",
        "float s = {0.5}, int8 z = {0}",
        ["d = DequantizeLinear(w, s, z)", "y = MatMul(x, d)"],
    ),
    "einsum": (
        ", float[10,2,3] w",
        "int64[4] h = {0, 0, 2, 3}",
        ["r = Reshape(x, h)", 'y = Einsum<equation="btij,oij->bto">(r, w)'],
    ),
    "dynamically quantised": (
        ", int8[6,10] w",
        "",
        ["q, s, z = DynamicQuantizeLinear(x)", "i = MatMulInteger(q, w, z)", "f = Cast<to=1>(i)", "y = Mul(f, s)"],
    ),
    "Gemm": (
        ", float[10,6] w",
        "int64[2] flat = {-1, 6}, float[1] c = {0}",
        ["r = Reshape(x, flat)", "y = Gemm<transB=1>(r, w, c)"],
    ),
}


@pytest.mark.parametrize("form", WEIGHTED)
def test_weights(form: str, tmp_path: Path) -> None:
    """However weights get to a GEMM: 10 columns of 6."""
    inputs, constants, lines = WEIGHTED[form]
    text = f"g (float[batch,tokens,6] x{inputs}) => (float[a,b,c] y) <{constants}> {{ {chr(10).join(lines)} }}"
    kind = only(read_text(tmp_path, text).model)
    assert shapes(kind) == {"g0": "1 x batch*tokens x 10 x 6"}
    assert kind.operators[0].weights == 60


def test_a_convolution_network(tmp_path: Path) -> None:
    """Depthwise and pointwise, on pictures of any number."""
    text = """g (float[batch,8,12,12] x, float[8,1,3,3] d, float[16,8,1,1] p) => (float[a,b,c,e] y)
    { h = Conv<group=8>(x, d) r = Relu(h) y = Conv(r, p) }"""
    kind = only(read_text(tmp_path, text).model)
    assert shapes(kind) == {"g0": "8 x 100*batch x 1 x 9", "g1": "1 x 100*batch x 16 x 8"}
    assert [op.weights for op in kind.operators] == [72, 128] and arrows(kind) == {"g0>g1"}


def test_attention_operator(tmp_path: Path) -> None:
    """The standard's own operator for attention is two operators here, with grouped queries as they are."""
    text = """g (float[batch,tokens,24] x, float[24,24] a, float[24,8] b, float[24,8] c, float[24,24] d)
    => (float[e,f,g] y) { q = MatMul(x, a) k = MatMul(x, b) v = MatMul(x, c)
    m = Attention<q_num_heads=6, kv_num_heads=2, is_causal=1>(q, k, v) y = MatMul(m, d) }"""
    kind = only(read_text(tmp_path, text, opset=23).model)
    assert arrows(kind) == {"q>qk", "k>qk", "qk>sv", "v>sv", "sv>o"}
    assert shapes(kind)["qk"] == "2*batch x 3*tokens x context x 4"
    assert shapes(kind)["sv"] == "2*batch x 3*tokens x 4 x context"
    assert [op.cache for op in kind.operators] == [0, 0, 0, 8, 8, 0]


def test_local_functions(tmp_path: Path) -> None:
    """A graph of functions, one within another, is the graph of what they do."""
    text = """g (float[batch,tokens,6] x, float[6,10] w, float[10,6] u) => (float[a,b,c] y) { y = local.ffn(x, w, u) }
    <domain: "local", opset_import: ["" : 18, "local" : 1]>
    ffn (x, w, u) => (y) { h = MatMul(x, w) r = local.act(h) y = MatMul(r, u) }
    <domain: "local", opset_import: ["" : 18]>
    act (x) => (y) { y = Relu(x) }"""
    kind = only(read_text(tmp_path, text).model)
    assert shapes(kind) == {"f1": "1 x batch*tokens x 10 x 6", "f2": "1 x batch*tokens x 6 x 10"}
