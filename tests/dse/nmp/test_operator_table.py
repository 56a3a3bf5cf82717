"""The table of operators: every figure by another way of counting, and what a reader of the file or terminal sees."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from design.nmp.lowering import LOADS, PRECISIONS, Usage
from design.nmp.model import (
    HEAD,
    Embedding,
    Experts,
    Extent,
    Extents,
    LayerKind,
    LayerOperator,
    Model,
    attention_operators,
    weight_operator,
)
from design.nmp.workload import ATTENTION, FFN, PROJECTION
from dse.studies.nmp.models.operator_table import (
    COLUMNS,
    OperatorRow,
    counted,
    human_bytes,
    operator_rows,
    operator_table,
    size_in_bytes,
    totals,
    write_operators,
)
from tests.cases import ROOT, examples

USAGE = Usage(batch=4, prompt=157, generated=67, max_seq_len=2048)
GRAPH = ("q>qk", "k>qk", "qk>sv", "v>sv", "sv>o")
GATED = ("o>f1", "o>f3", "f1>f2", "f3>f2")


def layer(name: str, count: int, operators: Sequence[LayerOperator], edges: Sequence[str] = ()) -> LayerKind:
    """Layers of a kind, the edges by names: `a>b`."""
    place = {op.name: i for i, op in enumerate(operators)}
    pairs = [edge.split(">") for edge in edges]
    return LayerKind(name, count, tuple(operators), tuple((place[a], place[b]) for a, b in pairs))


def attention(hidden: int, heads: int, kv_heads: int, width: int, window: int | None = None) -> list[LayerOperator]:
    """Projections and grouped-query attention."""
    inputs = [
        weight_operator(name, PROJECTION, n * width, hidden)
        for name, n in (("q", heads), ("k", kv_heads), ("v", kv_heads))
    ]
    qk, sv = attention_operators(heads, kv_heads, width, width, window)
    return [*inputs, qk, sv, weight_operator("o", PROJECTION, hidden, heads * width)]


def gated(hidden: int, inner: int) -> list[LayerOperator]:
    """A gated feed-forward network."""
    shapes = {"f1": (inner, hidden), "f3": (inner, hidden), "f2": (hidden, inner)}
    return [weight_operator(name, FFN, n, k) for name, (n, k) in shapes.items()]


def shipped(name: str) -> Model:
    """A model of `config/`, from its files."""
    folder = ROOT / "config" / name
    shape = json.loads((folder / "shape.json").read_text())
    graph = json.loads((folder / "operator_graph.json").read_text())
    hidden, heads = shape["hidden_dim"], shape["q_head_num"]
    all_operators = attention(hidden, heads, shape["kv_head_num"], hidden // heads)
    all_operators += gated(hidden, shape["intermediate_dim"])
    known = {op.name: op for op in all_operators}
    name_of = {number: op for op, number in graph["node"].items()}
    edges = [f"{name_of[a]}>{name_of[b]}" for a, b in graph["edge"]]
    return Model(name, (layer("layer", shape["layer_num"], [known[op] for op in graph["node"]], edges),))


def windowed() -> Model:
    """Two kinds of layers, one with a window, and a head that is tied to the embedding (the sizes of Gemma 3 27B)."""
    kinds = [
        layer(name, count, [*attention(5376, 32, 16, 128, window), *gated(5376, 21504)], (*GRAPH, *GATED))
        for name, count, window in (("sliding", 52, 1024), ("full", 10, None))
    ]
    head = layer(HEAD, 1, [weight_operator("lm_head", PROJECTION, 262208, 5376)])
    return Model("windowed", (*kinds, head), Embedding(262208, 5376, tied=True))


def latent() -> Model:
    """Latent attention, a dense network in some layers and a mixture of experts in the others (the sizes of
    DeepSeek-V3)."""
    wide, heads, rank, nope, rope = 7168, 128, 512, 128, 64
    shapes = {
        "q_a": (1536, wide),
        "q_b": (heads * (nope + rope), 1536),
        "kv_a": (rank + rope, wide),
        "k_b": (heads * nope, rank),
        "v_b": (heads * nope, rank),
    }
    inputs = [weight_operator(name, PROJECTION, n, k) for name, (n, k) in shapes.items()]
    B, M, C = Extent(heads, batch=True), Extent(tokens=True), Extent(context=True)
    scores, values = Extents(B, M, C, Extent(nope + rope)), Extents(B, M, Extent(nope), C)
    qk = LayerOperator("qk", ATTENTION, scores, scores, cache=rank + rope)
    sv = LayerOperator("sv", ATTENTION, values, values)
    both = [*inputs, qk, sv, weight_operator("o", PROJECTION, wide, heads * nope)]
    edges = ("q_a>q_b", "q_b>qk", "kv_a>qk", "kv_a>k_b", "kv_a>v_b", "k_b>qk", "qk>sv", "v_b>sv", "sv>o")
    chosen = Experts(256, 8)
    experts = [
        weight_operator("router", FFN, 256, wide),
        weight_operator("e13", FFN, 4096, wide, chosen),
        weight_operator("e2", FFN, wide, 2048, chosen),
        *(replace(op, name=name) for op, name in zip(gated(wide, 2048), ("s1", "s3", "s2"), strict=True)),
    ]
    mixture = ("o>router", "o>e13", "router>e13", "e13>e2", "o>s1", "o>s3", "s1>s2", "s3>s2")
    kinds = (
        layer("dense", 3, [*both, *gated(wide, 18432)], (*edges, *GATED)),
        layer("moe", 58, [*both, *experts], (*edges, *mixture)),
        layer(HEAD, 1, [weight_operator("lm_head", PROJECTION, 129280, wide)]),
    )
    return Model("latent", kinds, Embedding(129280, wide, tied=False))


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    """Any use of a model, with small numbers."""
    prompt, generated = draw(st.integers(1, 40)), draw(st.integers(0, 20))
    return Usage(
        batch=draw(st.integers(1, 5)),
        prompt=prompt,
        generated=generated,
        max_seq_len=prompt + draw(st.integers(0, 30)),
        precision=draw(st.sampled_from(sorted(PRECISIONS))),
        chunk=draw(st.none() | st.integers(1, 50)),
        expert_load=draw(st.sampled_from(LOADS)),
    )


@st.composite
def small_models(draw: st.DrawFn) -> Model:
    """A kind with attention and a dense network, and perhaps one with experts and a window."""
    kv_heads, group, width, hidden = (draw(st.integers(1, 6)) for _ in range(4))
    total = draw(st.integers(1, 9))
    experts = Experts(total, draw(st.integers(1, total)))
    first = [*attention(hidden, kv_heads * group, kv_heads, width), *gated(hidden, draw(st.integers(1, 9)))]
    window = draw(st.integers(1, 50))
    mixed = [
        *attention(hidden, kv_heads * group, kv_heads, width, window),
        weight_operator("e1", FFN, 5, hidden, experts),
        weight_operator("e2", FFN, hidden, 5, experts),
    ]
    kinds = [layer("first", draw(st.integers(1, 9)), first, (*GRAPH, *GATED))]
    if draw(st.booleans()):
        kinds.append(layer("mixed", draw(st.integers(1, 9)), mixed, (*GRAPH, "o>e1", "e1>e2")))
    return Model("small", tuple(kinds), draw(st.none() | st.just(Embedding(11, hidden, draw(st.booleans())))))


def row(rows: Sequence[OperatorRow], phase: str, op: str, kind: str = "layer") -> OperatorRow:
    """The only row of an operator in a phase."""
    (found,) = [r for r in rows if (r.phase, r.layer_kind, r.op) == (phase, kind, op)]
    return found


def test_llama_by_hand() -> None:
    """Sizes of Llama 3 8B: the GEMMs of both phases, what they read, and their intensities."""
    rows = operator_rows(shipped("llama3-8b"), USAGE)
    assert [r.phase for r in rows] == ["prefill"] * 9 + ["decode"] * 9
    k, f2 = row(rows, "prefill", "k"), row(rows, "decode", "f2")
    figures = (628 * 1024 * 4096, 2 * 1024 * 4096, 0)
    assert replace(k, intensity=0.0) == OperatorRow("prefill", "layer", 32, "k", 1, 628, 1024, 4096, 1, *figures, 0.0)
    assert k.intensity == pytest.approx(628 * 1024 / (2 * (628 + 1024)))
    assert (f2.B, f2.M, f2.N, f2.K, f2.weight_bytes, f2.kv_bytes) == (1, 4, 4096, 14336, 2 * 4096 * 14336, 0)
    qk, sv = row(rows, "decode", "qk"), row(rows, "decode", "sv")
    # 4 query heads share one of 8 key-value heads; 157 + 67 tokens of 4 sequences.
    assert (qk.B, qk.M, qk.N, qk.K) == (32, 4, 224, 128) and (sv.B, sv.M, sv.N, sv.K) == (32, 4, 128, 224)
    assert qk.kv_bytes == sv.kv_bytes == 4 * 224 * 1024 * 2 and qk.weight_bytes == 0
    assert qk.intensity == pytest.approx(4 * 224 * 128 / (2 * (4 * 128 + 128 * 224)))


@given(model=small_models(), usage=usages())
@examples(60)
def test_rows_add_up(model: Model, usage: Usage) -> None:
    """However prefill is parted: all tokens go once through each matrix (or through as many experts as they choose),
    and each token meets all before it that its chunk and window let it see."""
    rows, e = operator_rows(model, usage), usage.bytes_per_element
    for r in rows:
        assert r.macs == r.B * r.M * r.N * r.K * r.calls
        second = r.B * r.N * r.K * r.calls
        if r.op == "embedding":
            assert (r.macs, r.kv_bytes, r.intensity, r.K, r.layer_count) == (0, 0, 0.0, 0, 1)
            assert r.weight_bytes == size_in_bytes(r.M * r.N, usage)
            continue
        assert max(r.weight_bytes, r.kv_bytes) == size_in_bytes(second, usage) >= second * e
        assert (r.kv_bytes > 0) == (r.op in ("qk", "sv")) == (r.weight_bytes == 0)
        moved = r.B * (r.M * r.K + r.K * r.N) * r.calls * e
        assert r.intensity == pytest.approx(r.macs / moved)
    for phase, tokens in (("prefill", usage.prompt), ("decode", 1)):
        assert sum(r.op == "embedding" and r.phase == phase for r in rows) == (model.embedding is not None)
        for kind in model.kinds:
            for op in kind.operators:
                mine = [r for r in rows if (r.phase, r.layer_kind, r.op) == (phase, kind.name, op.name)]
                assert {r.layer_count for r in mine} == {kind.count}
                assert len({(r.B, r.M, r.N, r.K) for r in mine}) == len(mine)
                if op.kind != ATTENTION:
                    through = op.experts.chosen if op.experts else 1
                    each = op.weights // (op.experts.total if op.experts else 1)
                    assert sum(r.macs for r in mine) == usage.batch * tokens * through * each
                else:
                    assert sum(r.macs for r in mine) == attended(op, phase, usage)


def attended(op: LayerOperator, phase: str, usage: Usage) -> int:
    """Multiply-accumulates of attention, chunk by chunk: heads * width for each pair of tokens that meet."""
    gemm = [extent.at(usage.batch, 1, 1) for extent in op.prefill]
    a_pair = gemm[0] * gemm[1] * gemm[2] * gemm[3]  # tokens and context are 1 here
    if phase == "decode":
        chunks = [(1, min(usage.max_seq_len, usage.prompt + usage.generated))]
    else:
        size = usage.chunk or usage.prompt
        ends = [*range(size, usage.prompt, size), usage.prompt]
        chunks = [(end - begin, end) for begin, end in zip([0, *ends[:-1]], ends, strict=True)]
    limit = 10**9 if op.window is None else op.window - 1
    return a_pair * sum(tokens * min(context, limit + tokens) for tokens, context in chunks)


@given(model=small_models(), usage=usages())
@examples(40)
def test_totals_are_sums(model: Model, usage: Usage) -> None:
    """Of all rows times their layers; the cache is that of every token that some later one may still see."""
    rows, found = operator_rows(model, usage), totals(model, usage)
    for phase, macs in (("prefill", found.prefill_macs), ("decode", found.decode_macs)):
        assert macs == sum(r.macs * r.layer_count for r in rows if r.phase == phase)
    context, e = min(usage.max_seq_len, usage.prompt + usage.generated), usage.bytes_per_element
    held = token = 0
    for kind in model.kinds:
        for op in kind.operators:
            for place in range(context):
                seen = op.window is None or place >= context - op.window
                held += kind.count * op.cache * usage.batch * seen
            token += kind.count * op.cache
    assert found.cache_bytes == size_in_bytes(held, usage) and found.cache_bytes_per_token == size_in_bytes(
        token, usage
    )
    assert held * e <= found.cache_bytes < held * e + 1
    assert found.active_parameters <= found.parameters
    # Each key-value head keeps as much as a decode step reads of it.
    read = sum(r.kv_bytes * r.layer_count for r in rows if r.phase == "decode")
    if e >= 1:
        assert read == found.cache_bytes


def test_totals_of_known_models() -> None:
    """Published sizes: OPT, Gemma 3 27B (its table tied), DeepSeek-V3 with 671 billion parameters, of which 37 billion
    work on a token, and 576 elements of cache a token and layer."""
    opt = totals(shipped("opt-6.7b"), USAGE)
    assert opt.parameters == opt.active_parameters == 32 * 12 * 4096**2
    assert opt.cache_bytes_per_token == 32 * 2 * 4096 * 2 and "active" not in str(opt)
    gemma = totals(windowed(), replace(USAGE, prompt=2000, generated=48))
    assert round(gemma.parameters / 1e9) == 27
    # 52 of 62 layers keep 1024 tokens at most.
    assert gemma.cache_bytes == 4 * 2 * 2 * 16 * 128 * (52 * 1024 + 10 * 2048)
    deep = totals(latent(), USAGE)
    assert round(deep.parameters / 1e9) == 671 and 37 <= deep.active_parameters / 1e9 < 38
    assert deep.cache_bytes_per_token == 61 * 576 * 2 == 70272
    line = str(deep)
    assert line.startswith("671 G parameters (37.6 G active); cache 70.3 KB a token, ") and "\n" not in line


def test_a_tied_table_counts_once() -> None:
    """Where the head is accounted for, its weights are the table's; else the table is counted."""
    model = windowed()
    headless = Model(model.name, model.kinds[:2], model.embedding)
    apart = Model(model.name, model.kinds, Embedding(262208, 5376, tied=False))
    one, same, two = (totals(each, USAGE).parameters for each in (model, headless, apart))
    assert one == same == two - 262208 * 5376


def test_the_file(tmp_path: Path) -> None:
    """The columns by name and in order, whole numbers as such, and every row comes back; nothing half-written."""
    rows = operator_rows(latent(), Usage(4, 157, 67, 2048, precision="int4", chunk=100))
    path = tmp_path / "operators.csv"
    write_operators(rows, path)
    lines = path.read_text().splitlines()
    heading = "phase,layer_kind,layer_count,op,B,M,N,K,calls,macs,weight_bytes,kv_bytes,intensity"
    assert lines[0] == heading == ",".join(COLUMNS) and len(lines) == len(rows) + 1
    for one, line in zip(rows, csv.DictReader(io.StringIO(path.read_text())), strict=True):
        for name in COLUMNS[2:3] + COLUMNS[4:12]:
            assert line[name].isdigit() and int(line[name]) == getattr(one, name)
        assert (line["phase"], line["layer_kind"], line["op"]) == (one.phase, one.layer_kind, one.op)
        assert float(line["intensity"]) == pytest.approx(one.intensity, rel=1e-5) and len(line["intensity"]) < 13
    assert [each.name for each in tmp_path.iterdir()] == ["operators.csv"]


def printed(rows: Sequence[OperatorRow], width: int = 120) -> list[str]:
    """The table as a terminal shows it."""
    console = Console(width=width, file=io.StringIO())
    console.print(operator_table(rows))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("usage", [USAGE, Usage(64, 100_000, 31_072, 131_072, chunk=30_000)])
def test_the_terminal(usage: Usage) -> None:
    """Nothing is cut at 120 columns, numbers with thousands separators; the last line of a phase is the model's."""
    rows = operator_rows(latent(), usage)
    lines, found = printed(rows), totals(latent(), usage)
    text = "\n".join(lines)
    assert max(map(len, lines)) <= 120 and "\u2026" not in text
    assert all(f" {one.N:,} " in text and f" {one.M:,} " in text for one in rows)
    whole = [line for line in lines if "whole model" in line]
    assert len(whole) == 2 and counted(found.prefill_macs) in whole[0] and counted(found.decode_macs) in whole[1]
    read = sum(one.weight_bytes * one.layer_count for one in rows if one.phase == "decode")
    assert human_bytes(read) in whole[1]
    assert text.count("moe x 58") == 2 and text.count("prefill") == 1
    # One line a row: names are not broken over lines.
    assert len([line for line in lines if line.strip()]) == len(rows) + len(whole) + 3


def test_names_are_no_markup() -> None:
    """A name in brackets is shown as it is."""
    model = Model("m", (layer("[bold]", 2, [weight_operator("[red]x[/red]", FFN, 3, 5)]),))
    text = "\n".join(printed(operator_rows(model, USAGE)))
    assert "[bold] x 2" in text and "[red]x[/red]" in text


def test_numbers_for_people() -> None:
    """Three digits, and the next prefix where they would be four."""
    sizes = {0: "0 B", 999: "999 B", 1000: "1.00 KB", 9_994: "9.99 KB", 9_995: "10.0 KB"}
    sizes |= {99_950: "100 KB", 999_499: "999 KB", 999_500: "1.00 MB", 2 * 4096**2: "33.6 MB", 10**12: "1.00 TB"}
    sizes[10**24] = "1,000,000 EB"
    assert {size: human_bytes(size) for size in sizes} == sizes
    assert [counted(number) for number in (7, 1500, 671_026_419_200)] == ["7", "1.50 k", "671 G"]


def test_halves_are_whole_bytes() -> None:
    """Three numbers of four bits lie in two bytes."""
    assert size_in_bytes(3, Usage(1, 1, 0, 1, precision="int4")) == 2
    assert size_in_bytes(10**17 + 1, Usage(1, 1, 0, 1)) == 2 * 10**17 + 2
