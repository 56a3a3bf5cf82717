"""From the make-up of layers to kinds of layers: their operators, and which of them waits for which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from design.nmp.model import (
    HEAD,
    ROWS,
    Experts,
    Extent,
    Extents,
    LayerKind,
    LayerOperator,
    attention_operators,
    dense,
    weight_operator,
)
from design.nmp.workload import FFN, PROJECTION
from frontends.hugging_face.shapes import Attention, FeedForward, Latent, Layer, Mixture

Part = tuple[list[LayerOperator], list[tuple[str, str]]]  # operators, and edges between them by name


def layer_kinds(layers: Sequence[Layer], absorbed: bool) -> tuple[LayerKind, ...]:
    """The kinds among `layers`, in the order in which they first come. `absorbed` says how latent attention decodes.

    A kind is named by what sets it apart: "sliding" or "full" where only some layers have a window, "dense" or "moe"
    where only some are mixtures, both with a dash between; "layer" where all are alike.
    """
    windows = len({layer.window for layer in layers}) > 1
    mixtures = len({type(layer.ffn) for layer in layers}) > 1
    found = []
    for layer, count in Counter(layers).items():
        words = ["sliding" if layer.window else "full"] * windows
        words += ["moe" if isinstance(layer.ffn, Mixture) else "dense"] * mixtures
        found.append(layer_kind("-".join(words) or "layer", count, layer, absorbed))
    return tuple(found)


def layer_kind(name: str, count: int, layer: Layer, absorbed: bool) -> LayerKind:
    """`count` layers that are made up like `layer`."""
    if isinstance(layer.attention, Latent):
        operators, edges = _latent(layer.hidden, layer.attention, absorbed)
    else:
        operators, edges = _attention(layer.hidden, layer.attention, layer.window)
    if isinstance(layer.ffn, Mixture):
        more, inner = _mixture(layer.hidden, layer.ffn)
    else:
        more, inner = _feed_forward(layer.hidden, layer.ffn)
    # The network waits for the attention where it takes its result, at each operator that waits for no other of it;
    # experts wait for the router besides.
    begins = [op.name for op in more if not any(b == op.name and a != "router" for a, b in inner)]
    edges = edges + inner + ([] if layer.parallel else [("o", begin) for begin in begins])
    operators = operators + more
    place = {op.name: i for i, op in enumerate(operators)}
    assert len(place) == len(operators)
    return LayerKind(name, count, tuple(operators), tuple(sorted((place[a], place[b]) for a, b in edges)))


def output_head(vocab: int, hidden: int) -> LayerKind:
    """The output head: of a prompt only the last token goes through it."""
    once = Extents(Extent(), Extent(batch=True), Extent(vocab), Extent(hidden))
    head = LayerOperator("lm_head", PROJECTION, once, dense(vocab, hidden), weights=vocab * hidden)
    return LayerKind(HEAD, 1, (head,), ())


def _attention(hidden: int, shape: Attention, window: int | None) -> Part:
    q, kv = shape.q_heads * shape.width, shape.kv_heads * shape.width
    qk, sv = attention_operators(shape.q_heads, shape.kv_heads, shape.width, shape.width, window)
    rest = [qk, sv, weight_operator("o", PROJECTION, hidden, q)]
    if shape.fused:
        first = [weight_operator("qkv", PROJECTION, q + 2 * kv, hidden)]
        return first + rest, [("qkv", "qk"), ("qkv", "sv"), ("qk", "sv"), ("sv", "o")]
    first = [weight_operator(name, PROJECTION, n, hidden) for name, n in (("q", q), ("k", kv), ("v", kv))]
    return first + rest, [("q", "qk"), ("k", "qk"), ("v", "sv"), ("qk", "sv"), ("sv", "o")]


def _latent(hidden: int, shape: Latent, absorbed: bool) -> Part:
    """`k_b` and `v_b` are the halves of one matrix of weights that make keys and values of the latent numbers."""
    heads, rank = shape.heads, shape.kv_rank
    last, width = ("q", hidden) if shape.q_rank is None else ("q_b", shape.q_rank)
    first = [] if shape.q_rank is None else [weight_operator("q_a", PROJECTION, shape.q_rank, hidden)]
    edges = [] if shape.q_rank is None else [("q_a", "q_b")]
    query = weight_operator(last, PROJECTION, heads * (shape.nope + shape.rope), width)
    latent = weight_operator("kv_a", PROJECTION, rank + shape.rope, hidden)
    k_b = weight_operator("k_b", PROJECTION, heads * shape.nope, rank)
    v_b = weight_operator("v_b", PROJECTION, heads * shape.value, rank)
    qk, sv = attention_operators(heads, heads, shape.nope + shape.rope, shape.value)
    out = weight_operator("o", PROJECTION, hidden, heads * shape.value)
    edges += [(last, "qk"), ("kv_a", "qk"), ("qk", "sv")]
    if not absorbed:
        edges += [("kv_a", "k_b"), ("k_b", "qk"), ("kv_a", "v_b"), ("v_b", "sv"), ("sv", "o")]
        return [*first, query, latent, k_b, v_b, qk, sv, out], edges
    edges += [(last, "k_b"), ("k_b", "qk"), ("kv_a", "sv"), ("sv", "v_b"), ("v_b", "o")]
    return [*first, query, latent, *_absorbed(shape, k_b, qk, sv, v_b), out], edges


def _absorbed(
    shape: Latent, k_b: LayerOperator, qk: LayerOperator, sv: LayerOperator, v_b: LayerOperator
) -> list[LayerOperator]:
    """The same with decode steps that attend to the latent numbers themselves: queries are taken to their space by
    `k_b` and what comes of it is taken back by `v_b`, a GEMM for each head (section 2.1.2 of DeepSeek-V2). All query
    heads are rows against one cached row a token, which `qk` and `sv` share: `qk` accounts for it."""
    heads, rank, context = Extent(shape.heads), Extent(shape.kv_rank), Extent(context=True)
    each, rows = Extent(batch=True), Extent(shape.heads, tokens=True)
    row = shape.kv_rank + shape.rope
    return [
        replace(k_b, decode=Extents(heads, ROWS, rank, Extent(shape.nope))),
        replace(qk, decode=Extents(each, rows, context, Extent(row)), cache=row),
        replace(sv, decode=Extents(each, rows, rank, context), cache=0),
        replace(v_b, decode=Extents(heads, ROWS, Extent(shape.value), rank)),
    ]


def _feed_forward(hidden: int, shape: FeedForward, letter: str = "f") -> Part:
    one, two, three, fused = (f"{letter}{number}" for number in ("1", "2", "3", "13"))
    down = weight_operator(two, FFN, hidden, shape.width)
    if shape.gated and shape.fused:
        return [weight_operator(fused, FFN, 2 * shape.width, hidden), down], [(fused, two)]
    ups = [one, three] if shape.gated else [one]
    return [*(weight_operator(up, FFN, shape.width, hidden) for up in ups), down], [(up, two) for up in ups]


def _mixture(hidden: int, shape: Mixture) -> Part:
    experts = Experts(shape.total, shape.chosen)
    operators = [
        weight_operator("router", FFN, shape.total, hidden),
        weight_operator("e13", FFN, 2 * shape.width, hidden, experts),
        weight_operator("e2", FFN, hidden, shape.width, experts),
    ]
    edges = [("router", "e13"), ("e13", "e2")]
    if shape.shared:
        more, inner = _feed_forward(hidden, FeedForward(shape.shared), "s")
        operators, edges = operators + more, edges + inner
    return operators, edges
