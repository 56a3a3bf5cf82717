"""Layers in ONNX: names from structure alone, dimensions in batch, tokens and context, edges without all that is no
GEMM."""

from __future__ import annotations

import time
from pathlib import Path

import onnx
import pytest

from design.nmp.lowering import Usage, model_workload
from design.nmp.model import HEAD, Experts
from design.nmp.workload import ATTENTION, FFN, PROJECTION
from frontends.onnx_graph import Reading, read_onnx
from tests.frontends.onnx_cases import (
    HEAD_WIDTH,
    HEADS,
    INNER,
    REPEATS,
    WIDTH,
    arrows,
    constants,
    graph_text,
    layer_lines,
    layer_text,
    only,
    parsed,
    read_text,
    shapes,
    weights,
)

ROWS = "batch*tokens"
AROUND = {"q>qk", "k>qk", "qk>sv", "v>sv", "sv>o"}
FEED = {
    "plain": {"o>f1", "f1>f2"},
    "gated": {"o>f1", "o>f3", "f1>f2", "f3>f2"},
    "fused": {"o>f13", "f13>f2"},
    "parallel": {"f1>f2", "f3>f2"},
}


def attention(kv_heads: int) -> dict[str, str]:
    """Dimensions of an attention with so many key-value heads."""
    count, share = f"{kv_heads}*batch" if kv_heads > 1 else "batch", HEADS // kv_heads
    rows = f"{share}*tokens" if share > 1 else "tokens"
    width = kv_heads * HEAD_WIDTH
    return {
        "q": f"1 x {ROWS} x {WIDTH} x {WIDTH}",
        "k": f"1 x {ROWS} x {width} x {WIDTH}",
        "v": f"1 x {ROWS} x {width} x {WIDTH}",
        "qk": f"{count} x {rows} x context x {HEAD_WIDTH}",
        "sv": f"{count} x {rows} x {HEAD_WIDTH} x context",
        "o": f"1 x {ROWS} x {WIDTH} x {WIDTH}",
    }


def usable(reading: Reading) -> None:
    """A workload can be made of it."""
    model_workload(reading.model, Usage(3, 17, 12, 64))


@pytest.mark.parametrize("feed_forward", FEED)
@pytest.mark.parametrize("past", [False, True])
def test_kinds_of_layer(feed_forward: str, past: bool, tmp_path: Path) -> None:
    """Plain, gated, fused and parallel feed-forward, with keys and values of a past and without."""
    reading = read_text(tmp_path, layer_text(feed_forward=feed_forward, past=past))
    kind = only(reading.model)
    assert arrows(kind) == AROUND | FEED[feed_forward]
    up, down = f"1 x {ROWS} x {INNER} x {WIDTH}", f"1 x {ROWS} x {WIDTH} x {INNER}"
    ups = {"plain": {"f1": up}, "fused": {"f13": f"1 x {ROWS} x {2 * INNER} x {WIDTH}"}}
    assert shapes(kind) == attention(2) | ups.get(feed_forward, {"f1": up, "f3": up}) | {"f2": down}
    assert {op.name: op.kind for op in kind.operators if op.name[0] != "f"} == {
        **dict.fromkeys("qkvo", PROJECTION),
        **dict.fromkeys(("qk", "sv"), ATTENTION),
    }
    assert all(op.kind == FFN for op in kind.operators if op.name[0] == "f")
    assert (kind.name, kind.count, reading.notes, reading.model.name) == ("layer", 1, (), "graph")
    usable(reading)


def test_what_an_operator_keeps(tmp_path: Path) -> None:
    """Weights are counted in elements, the cache in elements of a token and sequence; decode is as prefill."""
    for op in only(read_text(tmp_path, layer_text()).model).operators:
        extents = op.prefill
        assert op.decode == extents and op.window is None and op.experts is None
        expected = (0, 2 * HEAD_WIDTH) if op.kind == ATTENTION else (extents.N.size * extents.K.size, 0)
        assert (op.weights, op.cache) == expected


@pytest.mark.parametrize("repeat", REPEATS)
@pytest.mark.parametrize("kv_heads", [1, 2, 3, 6])
def test_grouped_queries(repeat: str, kv_heads: int, tmp_path: Path) -> None:
    """However keys and values are repeated: query heads of one key-value head are rows of one GEMM."""
    kind = only(read_text(tmp_path, layer_text(repeat, "plain", kv_heads=kv_heads)).model)
    found = shapes(kind)
    assert {name: found[name] for name in ("q", "k", "v", "qk", "sv", "o")} == attention(kv_heads)


def test_grouped_queries_by_broadcasting(tmp_path: Path) -> None:
    """Keys that are not repeated at all: (batch, kv, share, tokens, width) times (batch, kv, 1, width, tokens)."""
    shape = f"int64[5] q5 = {{0, 0, 2, 3, {HEAD_WIDTH}}}, int64[5] k5 = {{0, 0, 2, 1, {HEAD_WIDTH}}}"
    lines = ["a = MatMul(x, q0)", "b = MatMul(x, k0)", "c = MatMul(x, v0)"]
    for name, to in (("a", "q5"), ("b", "k5"), ("c", "k5")):
        lines += [f"{name}r = Reshape({name}, {to})", f"{name}t = Transpose<perm=[0, 2, 3, 1, 4]>({name}r)"]
    lines += ["bt2 = Transpose<perm=[0, 1, 2, 4, 3]>(bt)", "s = MatMul(at, bt2)", "p = Softmax(s)", "m = MatMul(p, ct)"]
    lines += ["mt = Transpose<perm=[0, 3, 1, 2, 4]>(m)", "mr = Reshape(mt, rows)", "y = MatMul(mr, o0)"]
    inputs = f"float[batch,tokens,{WIDTH}] x, {weights(feed_forward='plain')}"
    kind = only(read_text(tmp_path, graph_text(inputs, lines, "y", f"{constants()}, {shape}")).model)
    assert shapes(kind) == attention(2)
    assert arrows(kind) == AROUND


def test_order_of_nodes_is_no_matter(tmp_path: Path) -> None:
    """v before q, f3 before f1: names and edges are the same."""
    lines, output = layer_lines()
    graph = graph_text(f"float[batch,tokens,{WIDTH}] x, {weights()}", lines[::-1], output, constants())
    turned, straight = (read_text(tmp_path, text).model for text in (graph, layer_text()))
    assert turned == straight


def test_names_are_no_matter(tmp_path: Path) -> None:
    """Queries that are called v, values that are called q: roles follow from the structure."""
    turned = layer_text().replace("q0", "@").replace("v0", "q0").replace("@", "v0").replace("qp", "gate9")
    assert read_text(tmp_path, turned).model == read_text(tmp_path, layer_text()).model


def test_other_names_of_axes(tmp_path: Path) -> None:
    """By the usual names, and by what the caller says."""
    expected = read_text(tmp_path, layer_text(past=True)).model
    usual = {"batch": "batch_size", "tokens": "seq_len", "past": "past_sequence_length"}
    said = {"batch": "A", "tokens": "B", "past": "C"}
    for names in (usual, said):
        text = layer_text(past=True).replace("past,", "@past,")
        for meaning, name in names.items():
            text = text.replace(f"[{meaning},", f"[{name},").replace(f",{meaning},", f",{name},")
            text = text.replace(f"@{meaning},", f"{name},")
        axes = {} if names is usual else {name: meaning for meaning, name in names.items()}
        assert read_text(tmp_path, text, axes=axes).model == expected


def test_several_layers(tmp_path: Path) -> None:
    """Equal layers are one kind; a last GEMM behind them is the output head."""
    lines, source = [], "x"
    kinds = ["gated", "gated", "plain", "gated"]
    for number, feed_forward in enumerate(kinds):
        more, source = layer_lines(number, source, feed_forward=feed_forward)
        lines += more
    lines.append(f"logits = MatMul({source}, table)")
    given = ", ".join(dict.fromkeys(f"{weights(4)}, float[{WIDTH},101] table".split(", ")))
    model = read_text(tmp_path, graph_text(f"float[batch,tokens,{WIDTH}] x, {given}", lines, "logits", constants()))
    assert [(kind.name, kind.count) for kind in model.model.kinds] == [("layer1", 3), ("layer2", 1), (HEAD, 1)]
    gated, plain, head = model.model.kinds
    assert (arrows(gated), arrows(plain)) == (AROUND | FEED["gated"], AROUND | FEED["plain"])
    assert shapes(head) == {"lm_head": f"1 x batch x 101 x {WIDTH}"} and head.operators[0].weights == 101 * WIDTH
    usable(model)


@pytest.mark.parametrize("feed_forward", FEED)
def test_equal_layers(feed_forward: str, tmp_path: Path) -> None:
    """Three layers are three times one, of any sort: residual connections make no layer unlike the first."""
    one, three = (read_text(tmp_path, layer_text(feed_forward=feed_forward, layers=n)).model for n in (1, 3))
    assert only(three).count == 3
    assert only(three).operators == only(one).operators and only(three).edges == only(one).edges


def fixed_text(batch: int, tokens: int, reshaped: bool) -> str:
    """A layer of fixed lengths; `reshaped`: its reshapes too hold for these alone."""
    text = layer_text().replace("batch,tokens", f"{batch},{tokens}")
    return text.replace(constants(), constants(2, batch, tokens)) if reshaped else text


@pytest.mark.parametrize(
    ("batch", "tokens", "reshaped"),
    [(*lengths, way) for lengths in ((1, 128), (2, 7), (1, HEAD_WIDTH), (3, WIDTH)) for way in (False, True)]
    + [(1, 1, False)],
)
def test_fixed_lengths(batch: int, tokens: int, reshaped: bool, tmp_path: Path) -> None:
    """A graph for one length only is read like one for any; also where tokens are as many as a head is wide."""
    reading = read_text(tmp_path, fixed_text(batch, tokens, reshaped))
    assert reading.model == read_text(tmp_path, layer_text()).model
    assert f"batch {batch} and tokens {tokens}" in reading.notes[0]
    assert ("by value" in reading.notes[0]) == reshaped


def test_a_batch_of_one_and_any_tokens(tmp_path: Path) -> None:
    """The usual export of one sequence: only its tokens are named."""
    reading = read_text(tmp_path, layer_text().replace("batch,", "1,"))
    assert reading.model == read_text(tmp_path, layer_text()).model
    assert len(reading.notes) == 1 and "batch 1" in reading.notes[0]


def test_a_decode_step(tmp_path: Path) -> None:
    """One token and any past: what it attends to is the context."""
    text = layer_text(past=True).replace("batch,tokens", "batch,1")
    for graph in (text, text.replace(constants(), constants(2, 0, 1))):
        reading = read_text(tmp_path, graph)
        assert reading.model == read_text(tmp_path, layer_text(past=True)).model


def test_a_matrix_of_rows(tmp_path: Path) -> None:
    """The rows of a matrix without a batch are all tokens of a call."""
    graph = "g (float[T, 6] x, float[6,10] a, float[10,6] b) => (float[r,c] y) { h = MatMul(x, a) r = Relu(h)"
    graph += " y = MatMul(r, b) }"
    for text in (graph, graph.replace("[T,", "[128,")):
        reading = read_text(tmp_path, text)
        assert shapes(only(reading.model)) == {"f1": f"1 x {ROWS} x 10 x 6", "f2": f"1 x {ROWS} x 6 x 10"}


FUSED_WITH_GATE = f"float[{WIDTH},{WIDTH + INNER}] qf0"


def merged_text() -> str:
    """A layer whose queries and up-projection are one GEMM, beside keys and values."""
    lines, output = layer_lines(feed_forward="plain")
    lines = [line for line in lines if not line.startswith(("qp0", "up0"))]
    lines += ["both = MatMul(x, qf0)", "qp0, up0 = Split<axis=-1>(both, parts)"]
    inputs = f"float[batch,tokens,{WIDTH}] x, {weights(feed_forward='plain')}, {FUSED_WITH_GATE}"
    parts = f"int64[2] parts = {{{WIDTH}, {INNER}}}"
    return graph_text(inputs, lines, output, f"{constants()}, {parts}")


def test_a_merged_gemm(tmp_path: Path) -> None:
    """One that has the work of two roles has neither name; its dimensions and edges are right, and a note says so."""
    reading = read_text(tmp_path, merged_text())
    kind = only(reading.model)
    assert shapes(kind)["g0"] == f"1 x {ROWS} x {WIDTH + INNER} x {WIDTH}"
    assert arrows(kind) == {"g0>qk", "k>qk", "qk>sv", "v>sv", "sv>o", "g0>g1"}
    assert {op.name: op.kind for op in kind.operators if op.name[0] == "g"} == {"g0": PROJECTION, "g1": PROJECTION}
    assert len(reading.notes) == 1 and "g0" in reading.notes[0] and "no role" in reading.notes[0]
    usable(reading)


def test_other_feed_forward_graphs(tmp_path: Path) -> None:
    """Any graph of GEMMs: a chain has no roles, and products of activations are of attention's kind."""
    graph = "g (float[batch,tokens,6] x, float[6,9] a, float[9,7] b, float[7,5] c) => (float[r,s,c] y)"
    graph += "{ h = MatMul(x, a) i = MatMul(h, b) j = MatMul(i, c) t = Transpose<perm=[0,2,1]>(j) y = MatMul(j, t) }"
    reading = read_text(tmp_path, graph)
    kind = only(reading.model)
    assert list(shapes(kind)) == ["g0", "g1", "g2", "g3"] and arrows(kind) == {"g0>g1", "g1>g2", "g2>g3"}
    assert shapes(kind)["g3"] == "batch x tokens x context x 5"
    assert [op.kind for op in kind.operators] == [PROJECTION] * 3 + [ATTENTION]
    assert [op.weights for op in kind.operators] == [54, 63, 35, 0]
    usable(reading)


def test_experts_are_not_guessed(tmp_path: Path) -> None:
    """What the graph does is what is read: nothing is taken for a mixture."""
    assert not any(isinstance(op.experts, Experts) for op in only(read_text(tmp_path, layer_text()).model).operators)


@pytest.mark.parametrize("name", ["context", "past + tokens", "tokens+past", "past_sequence_length + sequence_length"])
def test_a_mask_over_the_context(name: str, tmp_path: Path) -> None:
    """An input as long as past and tokens together, as exporters name such an axis."""
    text = layer_text(past=True).replace("scores0 = MatMul(qt0, kk0)", "raw0 = MatMul(qt0, kk0) scores0 = Add(raw0, m)")
    model = parsed(text.replace("] x,", "] x, float[batch,1,1,context] m,", 1))
    model.graph.input[1].type.tensor_type.shape.dim[3].dim_param = name
    onnx.save(model, tmp_path / "graph.onnx")
    assert read_onnx(tmp_path / "graph.onnx", {}).model == read_text(tmp_path, layer_text(past=True)).model


def test_a_whole_model_is_read_in_seconds(tmp_path: Path) -> None:
    """As many layers as models have, each of them like the first."""
    start = time.process_time()
    kind = only(read_text(tmp_path, layer_text(layers=48)).model)
    assert kind.count == 48 and time.process_time() - start < 10


def test_a_mask_over_the_tokens(tmp_path: Path) -> None:
    """Without a past the context of a mask is the tokens, whatever its axis is called."""
    text = layer_text().replace("scores0 = MatMul(qt0, kk0)", "raw0 = MatMul(qt0, kk0) scores0 = Add(raw0, m)")
    reading = read_text(tmp_path, text.replace("] x,", "] x, float[batch,1,tokens,total_sequence_length] m,", 1))
    assert reading.model == read_text(tmp_path, layer_text()).model


def test_a_table_of_positions(tmp_path: Path) -> None:
    """Constants that hold all numbers up to the longest context leave lengths to evaluate at."""
    table = f"int64[3000] table = {{{', '.join(map(str, range(3000)))}}}"
    text = layer_text().replace("<int64[4] heads", f"<{table}, int64[4] heads")
    scaled = "i = Cast<to=1>(table) s = ReduceSum(i) xs = Mul(x, s) qp0 = MatMul(xs, q0)"
    text = text.replace("qp0 = MatMul(x, q0)", scaled)
    assert read_text(tmp_path, text).model == read_text(tmp_path, layer_text()).model


def test_keys_and_values_from_outside(tmp_path: Path) -> None:
    """Attention over a context that the graph is given: only what computes queries waits before it."""
    text = """g (float[batch,tokens,24] x, float[24,24] a, float[24,24] d, float[batch,6,context,4] k,
    float[batch,6,context,4] v) => (float[e,f,g] y) < int64[4] heads = {0, 0, 6, 4}, int64[3] rows = {0, 0, 24}>
    { q = MatMul(x, a) r = Reshape(q, heads) t = Transpose<perm=[0, 2, 1, 3]>(r) u = Transpose<perm=[0, 1, 3, 2]>(k)
    s = MatMul(t, u) p = Softmax(s) m = MatMul(p, v) n = Transpose<perm=[0, 2, 1, 3]>(m) w = Reshape(n, rows)
    y = MatMul(w, d) }"""
    kind = only(read_text(tmp_path, text).model)
    assert arrows(kind) == {"g0>qk", "qk>sv", "sv>o"}
    assert shapes(kind)["qk"] == "6*batch x tokens x context x 4"
    assert shapes(kind)["sv"] == "6*batch x tokens x 4 x context"
