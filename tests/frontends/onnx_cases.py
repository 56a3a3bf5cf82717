"""Small ONNX graphs in the library's text form, for the tests of the reader."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import onnx
import onnx.parser

from design.nmp.model import LayerKind, LayerOperator, Model
from frontends.onnx_graph import Reading, read_onnx

WIDTH, HEADS, HEAD_WIDTH, INNER = 24, 6, 4, 40  # of the layers made here


def parsed(graph: str, opset: int = 18) -> onnx.ModelProto:
    """A model of one graph (and perhaps functions) in text form."""
    domains = f'"" : {opset}, "local" : 1'
    return onnx.parser.parse_model(f"<ir_version: 9, opset_import: [{domains}]>\n{graph}")


def written(folder: Path, graph: str, opset: int = 18, name: str = "graph") -> Path:
    """The file of a graph in text form."""
    path = folder / f"{name}.onnx"
    onnx.save(parsed(graph, opset), path)
    return path


def read_text(folder: Path, graph: str, opset: int = 18, axes: Mapping[str, str] | None = None) -> Reading:
    """What the reader makes of a graph in text form; `axes` as of the command line."""
    return read_onnx(written(folder, graph, opset), axes or {})


def graph_text(inputs: str, lines: list[str], output: str, constants: str = "") -> str:
    """A graph: inputs and constants with their types, and one line for each node."""
    body = "\n".join(lines)
    return f"layer ({inputs}) => (float[a, b, c] {output})\n<{constants}>\n{{\n{body}\n}}"


def weights(layers: int = 1, kv_heads: int = 2, feed_forward: str = "gated") -> str:
    """Types of the matrices of `layer_lines`, as inputs of the graph."""
    kv = kv_heads * HEAD_WIDTH
    shapes = {"q": (WIDTH, WIDTH), "k": (WIDTH, kv), "v": (WIDTH, kv), "o": (WIDTH, WIDTH), "f2": (INNER, WIDTH)}
    shapes |= {"f13": (WIDTH, 2 * INNER)} if feed_forward == "fused" else {"f1": (WIDTH, INNER)}
    shapes |= {"f3": (WIDTH, INNER)} if feed_forward in ("gated", "parallel") else {}
    return ", ".join(f"float[{a},{b}] {name}{n}" for n in range(layers) for name, (a, b) in shapes.items())


REPEATS = {  # of keys or values (batch, kv_heads, tokens, width) to as many heads as there are queries
    "expand": [
        "@u = Unsqueeze(@, two)",
        "@e = Expand(@u, expanded)",
        "@r = Reshape(@e, joined)",
    ],
    "tile": ["@u = Unsqueeze(@, two)", "@e = Tile(@u, expanded)", "@r = Reshape(@e, joined)"],
    "gather": ["@r = Gather<axis=1>(@, repeats)"],
}


def constants(kv_heads: int = 2, batch: int = 0, tokens: int = 0) -> str:
    """What `layer_lines` needs of shapes; 0 stands for any length."""
    share = HEADS // kv_heads
    repeats = ", ".join(str(head // share) for head in range(HEADS))
    return (
        f"int64[4] heads = {{{batch}, {tokens}, {HEADS}, {HEAD_WIDTH}}}, "
        f"int64[4] kv_heads = {{{batch}, {tokens}, {kv_heads}, {HEAD_WIDTH}}}, "
        f"int64[3] rows = {{{batch}, {tokens}, {WIDTH}}}, "
        f"int64[4] joined = {{{batch}, {HEADS}, -1, {HEAD_WIDTH}}}, "
        f"int64[5] expanded = {{1, 1, {share}, 1, 1}}, int64[1] two = {{2}}, int64[{HEADS}] repeats = {{{repeats}}}"
    )


def layer_lines(
    number: int = 0, source: str = "x", repeat: str = "expand", feed_forward: str = "gated", past: bool = False
) -> tuple[list[str], str]:
    """A decoder layer without norms, and its output. `feed_forward`: plain, gated, fused, or parallel (and gated)."""
    n = str(number)
    lines = []
    for name, count in (("q", "heads"), ("k", "kv_heads"), ("v", "kv_heads")):
        lines += [
            f"{name}p{n} = MatMul({source}, {name}{n})",
            f"{name}h{n} = Reshape({name}p{n}, {count})",
            f"{name}t{n} = Transpose<perm=[0, 2, 1, 3]>({name}h{n})",
        ]
    if past:
        lines += [f"kc{n} = Concat<axis=2>(past_k, kt{n})", f"vc{n} = Concat<axis=2>(past_v, vt{n})"]
    k, v = (f"kc{n}", f"vc{n}") if past else (f"kt{n}", f"vt{n}")
    lines += [line.replace("@", tensor) for tensor in (k, v) for line in REPEATS[repeat]]
    lines += [
        f"kk{n} = Transpose<perm=[0, 1, 3, 2]>({k}r)",
        f"scores{n} = MatMul(qt{n}, kk{n})",
        f"soft{n} = Softmax<axis=-1>(scores{n})",
        f"mixed{n} = MatMul(soft{n}, {v}r)",
        f"mt{n} = Transpose<perm=[0, 2, 1, 3]>(mixed{n})",
        f"mr{n} = Reshape(mt{n}, rows)",
        f"op{n} = MatMul(mr{n}, o{n})",
        f"after{n} = Add({source}, op{n})",
    ]
    into = source if feed_forward == "parallel" else f"after{n}"
    lines += FEED_FORWARD[feed_forward](into, n)
    return [*lines, f"y{n} = Add(after{n}, down{n})"], f"y{n}"


def _plain(x: str, n: str) -> list[str]:
    return [f"up{n} = MatMul({x}, f1{n})", f"act{n} = Relu(up{n})", f"down{n} = MatMul(act{n}, f2{n})"]


def _gated(x: str, n: str) -> list[str]:
    return [
        f"gate{n} = MatMul({x}, f1{n})",
        f"sig{n} = Sigmoid(gate{n})",
        f"silu{n} = Mul(gate{n}, sig{n})",
        f"up{n} = MatMul({x}, f3{n})",
        f"inner{n} = Mul(silu{n}, up{n})",
        f"down{n} = MatMul(inner{n}, f2{n})",
    ]


def _fused(x: str, n: str) -> list[str]:
    return [
        f"both{n} = MatMul({x}, f13{n})",
        f"gate{n}, up{n} = Split<axis=-1, num_outputs=2>(both{n})",
        f"act{n} = Sigmoid(gate{n})",
        f"inner{n} = Mul(act{n}, up{n})",
        f"down{n} = MatMul(inner{n}, f2{n})",
    ]


FEED_FORWARD = {"plain": _plain, "gated": _gated, "fused": _fused, "parallel": _gated}


def layer_text(
    repeat: str = "expand", feed_forward: str = "gated", past: bool = False, kv_heads: int = 2, layers: int = 1
) -> str:
    """A graph of decoder layers whose batch and tokens are of any length."""
    lines, source = [], "x"
    for number in range(layers):
        more, source = layer_lines(number, source, repeat, feed_forward, past)
        lines += more
    cache = f"float[batch,{kv_heads},past,{HEAD_WIDTH}]"
    inputs = f"float[batch,tokens,{WIDTH}] x, " + (f"{cache} past_k, {cache} past_v, " if past else "")
    return graph_text(inputs + weights(layers, kv_heads, feed_forward), lines, source, constants(kv_heads))


def dimensions(operator: LayerOperator) -> str:
    """Such as `1 x batch*tokens x 24 x 8`."""
    return " x ".join(str(extent) for extent in operator.prefill)


def only(model: Model) -> LayerKind:
    """The only kind of layer."""
    assert len(model.kinds) == 1
    return model.kinds[0]


def shapes(kind: LayerKind) -> dict[str, str]:
    """Name -> dimensions of all operators."""
    return {operator.name: dimensions(operator) for operator in kind.operators}


def arrows(kind: LayerKind) -> set[str]:
    """Such as `q>qk`."""
    return {f"{kind.operators[a].name}>{kind.operators[b].name}" for a, b in kind.edges}
