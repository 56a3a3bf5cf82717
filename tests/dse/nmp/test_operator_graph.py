"""The drawing of a model's operators: what flows, the text that Graphviz reads, a layout in which nothing lies on
anything else, and pictures with `dot` and without."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.image import imread

from design.core import Floats
from design.errors import InputError
from design.nmp.lowering import Usage
from design.nmp.model import HEAD, Experts, LayerKind, Model, attention_operators, weight_operator
from design.nmp.workload import ATTENTION, FFN, PROJECTION
from dse.report.pictures.nmp.operator_graph import ROLES, operator_graph_picture, route_line
from dse.report.pictures.nmp.operator_layout import BETWEEN, WIDEST, Arrow, Box, Frame, Layout, layout, shelves
from dse.studies.nmp.models import graphviz
from dse.studies.nmp.models.graphviz import draw_graph, edge_bytes, frames_of, gemm_text, graph_text, quoted
from dse.studies.nmp.models.operator_table import PHASES, human_bytes
from tests.cases import ROOT, examples
from tests.dse.nmp.test_operator_table import (
    GRAPH,
    USAGE,
    attention,
    latent,
    layer,
    shipped,
    small_models,
    usages,
    windowed,
)
from tests.dse.report.test_pictures import coloured, drawn

GOLDEN = Path(__file__).parent / "golden" / "operator_graph.gv"
HOSTILE = ('a"b', "back\\", "&lt;&", "{}];->", "n\\n", "<b>x</b>", "$a_1$", "two\nlines", "\u00e9")


def small() -> Model:
    """A window, a mixture of experts and a head, of a few elements each."""
    experts = [weight_operator(name, FFN, n, k, Experts(4, 2)) for name, n, k in (("e13", 24, 16), ("e2", 16, 12))]
    router = weight_operator("router", FFN, 4, 16)
    edges = (*GRAPH, "o>router", "o>e13", "router>e13", "e13>e2")
    kinds = (
        layer("sliding", 5, [*attention(16, 4, 2, 4, window=8), router, *experts], edges),
        layer(HEAD, 1, [weight_operator("lm_head", PROJECTION, 100, 16)]),
    )
    return Model("small", kinds)


def flows(model: Model, kind: int = 0, usage: Usage = USAGE) -> dict[str, tuple[int, int]]:
    """Edge by names -> bytes in prefill and decode."""
    one = model.kinds[kind]
    names = [op.name for op in one.operators]
    return {
        f"{names[a]}>{names[b]}": (edge_bytes(one, (a, b), "prefill", usage), edge_bytes(one, (a, b), "decode", usage))
        for a, b in one.edges
    }


def test_flows_of_llama() -> None:
    """Grouped-query attention and a gated network by hand: 2 bytes, 4 sequences, 157 tokens, then one with 224."""
    rows, f = (2 * 4 * 157, 2 * 4), 14336
    hand = {"q>qk": 4096, "k>qk": 1024, "v>sv": 1024, "sv>o": 4096, "o>f1": 4096, "o>f3": 4096, "f1>f2": f, "f3>f2": f}
    wanted = {edge: (rows[0] * width, rows[1] * width) for edge, width in hand.items()}
    wanted["qk>sv"] = (rows[0] * 32 * 157, rows[1] * 32 * 224)
    assert flows(shipped("llama3-8b")) == wanted


def test_flows_of_a_mixture_and_of_latent_attention() -> None:
    """As many rows enter experts as tokens choose, but no more than comes out; keys are the latent ones, values
    are what the producer made of them."""
    rows = (2 * 4 * 157, 2 * 4)
    found = flows(latent(), 1)
    hand = {"o>e13": 7168, "router>e13": 256, "e13>e2": 8 * 2048, "o>s1": 7168, "s1>s2": 2048, "kv_a>qk": 576}
    hand |= {"kv_a>k_b": 512, "v_b>sv": 128 * 128, "q_b>qk": 128 * 192, "q_a>q_b": 1536}
    assert {edge: found[edge] for edge in hand} == {e: (rows[0] * n, rows[1] * n) for e, n in hand.items()}


def test_flows_of_a_fused_projection() -> None:
    """Queries and keys go one way, values the other, though one operator makes them all."""
    qk, sv = attention_operators(8, 2, 16, 16)
    fused = layer("layer", 1, [weight_operator("qkv", PROJECTION, 12 * 16, 128), qk, sv], ("qkv>qk", "qkv>sv", "qk>sv"))
    found = flows(Model("fused", (fused,)))
    assert found["qkv>qk"] == (2 * 4 * 157 * 10 * 16, 2 * 4 * 10 * 16) and found["qkv>sv"][1] == 2 * 4 * 2 * 16


@given(model=small_models(), usage=usages())
@examples(40)
def test_nothing_flows_that_is_not_made(model: Model, usage: Usage) -> None:
    """At most the producer's output and at least a number; chunks change it for scores alone."""
    for kind in model.kinds:
        for a, b in kind.edges:
            producer = kind.operators[a]
            for phase in PHASES:
                tokens = usage.batch * (usage.prompt if phase == "prefill" else 1)
                size = edge_bytes(kind, (a, b), phase, usage)
                assert size > 0
                if (producer.kind, kind.operators[b].kind) != (ATTENTION, ATTENTION):
                    assert size == edge_bytes(kind, (a, b), phase, replace(usage, chunk=None))
                if producer.kind != ATTENTION:
                    each = producer.weights // (producer.experts.total if producer.experts else 1)
                    through = producer.experts.chosen if producer.experts else 1
                    made = tokens * through * each // producer.decode.K.size
                    assert size < made * usage.bytes_per_element + 1


def statements(text: str) -> tuple[dict[str, str], list[tuple[str, str, str]], list[str]]:
    """(labels of nodes, edges with labels, labels of clusters) of a `.gv` text, read by the grammar: strings first."""
    strings: list[str] = []

    def keep(found: re.Match[str]) -> str:
        strings.append(found[1])
        return f"S{len(strings) - 1}S"

    bare = re.sub(r'"((?:[^"\\]|\\.)*)"', keep, text, flags=re.DOTALL)
    assert '"' not in bare and bare.count("{") == bare.count("}") and bare.count("[") == bare.count("]")
    depth = 0
    for letter in bare:
        depth += {"{": 1, "}": -1}.get(letter, 0)
        assert depth >= 0
    shown = lambda code: "" if code is None else strings[int(code)]
    nodes, edges, clusters = {}, [], []
    for line in map(str.strip, bare.splitlines()):
        if not line or line in ("}",):
            continue
        if match := re.fullmatch(r"(digraph S\d+S|subgraph cluster_\w+) \{", line):
            continue
        match = re.fullmatch(r"(\w+)(?: -> (\w+))? \[((?:\w+=S\d+S(?:, )?)+)\];", line)
        assert match, line
        label = re.search(r"\blabel=S(\d+)S", match[3])
        if match[2]:
            edges.append((match[1], match[2], shown(label and label[1])))
        elif match[1] == "graph":
            clusters.append(shown(label and label[1]))
        elif match[1] not in ("node", "edge"):
            assert match[1] not in nodes
            nodes[match[1]] = shown(label and label[1])
    return nodes, edges, clusters


@pytest.mark.parametrize("make", [small, windowed, latent])
def test_the_text_has_everything(make: Callable[[], Model]) -> None:
    """A node for each operator, with its name and both GEMMs, an edge for each edge, with its bytes, and a cluster for
    each kind, with how many layers it has."""
    model = make()
    nodes, edges, clusters = statements(graph_text(model, USAGE))
    frames = frames_of(model, USAGE)
    assert clusters[1:-1] == [frame.title for frame in frames]
    assert len(nodes) == sum(len(kind.operators) for kind in model.kinds) + len(ROLES) + 1
    wanted = []
    for place, (kind, frame) in enumerate(zip(model.kinds, frames, strict=True)):
        for number, op in enumerate(kind.operators):
            label = nodes[f"n{place}_{number}"]
            assert label.split(":")[0].split("\\n")[0] == op.name
            assert label.endswith("".join(f"\\n{phase} {gemm_text(op, phase, USAGE)}" for phase in PHASES))
        wanted += [(f"n{place}_{a.start}", f"n{place}_{a.end}", a.label) for a in frame.arrows]
        assert [(a.start, a.end) for a in frame.arrows] == list(kind.edges)
    assert edges == wanted and {a for a, _, _ in edges} <= set(nodes)
    assert "legend_text" in nodes


def test_the_golden_text(golden: Callable[[Path, str], None]) -> None:
    """Byte for byte, prefill in chunks."""
    golden(GOLDEN, graph_text(small(), Usage(batch=2, prompt=12, generated=4, max_seq_len=32, chunk=8)))


def test_the_same_text_in_another_process() -> None:
    """Hash seeds change nothing."""
    code = "from tests.dse.nmp.test_operator_graph import *; sys.stdout.write(graph_text(latent(), USAGE))"
    setting = {**os.environ, "PYTHONHASHSEED": "77", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=setting, capture_output=True, check=True)
    assert done.stdout.decode() == graph_text(latent(), USAGE)


def test_hostile_names() -> None:
    """Whatever a name is, the text stays well-formed and Graphviz shows the name as it stands."""
    for name in HOSTILE:
        kind = layer(name, 2, [weight_operator(name, FFN, 3, 5), weight_operator("b", FFN, 5, 3)])
        model = Model(name, (LayerKind(name, 2, kind.operators, ((0, 1),)),))
        nodes, edges, clusters = statements(graph_text(model, USAGE))
        assert len(edges) == 1 and len(clusters) == 3
        assert unescaped(nodes["n0_0"]).startswith(" ".join(name.split(" ")) + ": 30 B\n")
        assert unescaped(clusters[1]) == f"{name}, 2 layers"


def unescaped(label: str) -> str:
    """What Graphviz shows for a label between quotes: escapes of strings, escapes of labels, entities."""
    found = re.sub(r"\\(.)", lambda m: "\n" if m[1] in "nl" else m[1], label)
    return found.replace("&amp;", "&")


@given(st.text(st.characters(codec="utf-8"), max_size=30))
@examples(200)
def test_quoting(text: str) -> None:
    """Any text is one string of the language, on one line, that says the same again."""
    string = quoted(text)
    assert re.fullmatch(r'"(?:[^"\\\n]|\\.)*"', string)
    assert unescaped(string[1:-1]) == "\n".join(" ".join(line.split()) for line in text.split("\n"))


def test_edges_said_twice_are_one_arrow() -> None:
    """A producer that a consumer takes twice is drawn once."""
    kind = layer("k", 1, [weight_operator("a", FFN, 3, 5), weight_operator("b", FFN, 5, 3)])
    (frame,) = frames_of(Model("m", (LayerKind("k", 1, kind.operators, ((0, 1), (0, 1))),)), USAGE)
    assert frame.title == "k, 1 layer" and len(frame.arrows) == 1


def box(name: str) -> Box:
    """A box of ordinary size."""
    return Box(name, FFN, "117 MB", (("prefill", "1x628x4096x4096"), ("decode", "1x4x4096x4096")))


@st.composite
def frames(draw: st.DrawFn, most: int = 14) -> Frame:
    """Any graph without cycles, with labels of any length."""
    count = draw(st.integers(1, most))
    pairs = list(combinations(draw(st.permutations(range(count))), 2))
    chosen = draw(st.lists(st.sampled_from(pairs), max_size=2 * count, unique=True)) if pairs else []
    labels = st.sampled_from(["1 B / 1 B", "5.14 MB / 32.8 KB", "a label that is longer than any of a picture of ours"])
    arrows = tuple(Arrow(a, b, draw(labels)) for a, b in chosen)
    return Frame("a kind, 9 layers", tuple(box(f"op{i}") for i in range(count)), arrows)


def apart(one: Sequence[float], other: Sequence[float], room: float = 0.0) -> bool:
    """Whether two rectangles (left, top, width, height) have so much room between them."""
    gaps = (max(one[i] - other[i] - other[i + 2], other[i] - one[i] - one[i + 2]) for i in (0, 1))
    return max(gaps) >= room - 1e-6


def sampled(route: Floats) -> Floats:
    """Points all along an arrow as it is drawn."""
    pieces = [np.array(c) for c in route_line(route).to_polygons(closed_only=False)]
    dense = [a + (b - a) * np.linspace(0, 1, 40)[:, None] for piece in pieces for a, b in pairwise(piece)]
    return np.concatenate(dense)


def crossed(points: Floats, rectangle: Sequence[float]) -> bool:
    """Whether any point is inside, not on the border."""
    x, y, wide, high = rectangle
    inside = (points > [x + 1e-6, y + 1e-6]) & (points < [x + wide - 1e-6, y + high - 1e-6])
    return bool(inside.all(axis=1).any())


def check(frame: Frame, one: Layout) -> None:
    """Boxes and labels apart from each other and within the frame; arrows from border to border, downwards, through no
    box and no label but their own."""
    solid = [*one.boxes.tolist(), *one.labels.tolist()]
    for a, b in combinations(solid, 2):
        assert apart(a, b, 0.1), (a, b)
    for x, y, wide, high in solid:
        assert x >= 0 and y >= 0.3 and x + wide <= one.width and y + high <= one.height
    for number, (arrow, route) in enumerate(zip(frame.arrows, one.routes, strict=True)):
        start, end = one.boxes[arrow.start], one.boxes[arrow.end]
        assert np.allclose(route[0], [start[0] + start[2] / 2, start[1] + start[3]])
        assert np.allclose(route[-1], [end[0] + end[2] / 2, end[1]])
        points = sampled(route)
        assert (np.diff(points[:, 1]) >= -1e-9).all()
        for place, rectangle in enumerate(solid):
            assert crossed(points, rectangle) == (place == len(one.boxes) + number)


@given(frame=frames())
@examples(60)
def test_nothing_lies_on_anything(frame: Frame) -> None:
    """In the layout of any graph."""
    check(frame, layout(frame))


@pytest.mark.parametrize("name", ["opt-6.7b", "llama3-8b", "palm-8b", "windowed", "latent"])
def test_layouts_of_models(name: str) -> None:
    """Nor of models; there no arrows cross, and what can be below what it takes from is."""
    model = {"windowed": windowed, "latent": latent}.get(name, lambda: shipped(name))()
    for frame in frames_of(model, USAGE):
        one = layout(frame)
        check(frame, one)
        assert not sum(crossings(a, b) for a, b in combinations(one.routes, 2))
        middle = {b.name: box[0] + box[2] / 2 for b, box in zip(frame.boxes, one.boxes, strict=True)}
        if "qk" in middle:
            assert middle["qk"] == pytest.approx(middle["sv"]) == pytest.approx(middle["o"])
        if "f3" in middle:
            assert middle["f2"] == pytest.approx((middle["f1"] + middle["f3"]) / 2)


def crossings(one: Floats, other: Floats) -> int:
    """How often two arrows change sides, by their heights: both go down all the way."""
    a, b = sampled(one), sampled(other)
    low, high = max(a[0, 1], b[0, 1]), min(a[-1, 1], b[-1, 1])
    if high <= low:
        return 0
    at = np.linspace(low, high, 4001)[1:-1]
    side = np.sign(np.round(np.interp(at, a[:, 1], a[:, 0]) - np.interp(at, b[:, 1], b[:, 0]), 3))
    side = side[side != 0]
    return int((side[1:] != side[:-1]).sum())


def test_crossings_that_can_be_avoided() -> None:
    """A graph drawn in its own order has three crossings; another order has none."""
    frame = Frame("t", tuple(map(box, "abcdef")), tuple(Arrow(a, 5 - a, "x") for a in range(3)))
    routes = layout(frame).routes
    assert sum(crossings(a, b) for a, b in combinations(routes, 2)) == 0
    both = Frame("t", tuple(map(box, "abcd")), tuple(Arrow(a, b, "x") for a in (0, 1) for b in (2, 3)))
    assert sum(crossings(a, b) for a, b in combinations(layout(both).routes, 2)) == 1


def test_a_cycle_is_one_line(tmp_path: Path) -> None:
    """Operators that wait for each other, or one for itself, are refused; the kind is named."""
    for edges in (((0, 1), (1, 0)), ((0, 0),)):
        kind = layer("loop", 1, [weight_operator("a", FFN, 3, 5), weight_operator("b", FFN, 5, 3)])
        model = Model("m", (LayerKind("loop", 1, kind.operators, edges),))
        with pytest.raises(InputError, match=r"^loop, 1 layer: operators wait for each other in a cycle; expected"):
            draw_graph(model, USAGE, tmp_path)


@given(sizes=st.lists(st.tuples(st.floats(0.5, 25), st.floats(0.5, 12)), max_size=9))
@examples(60)
def test_frames_side_by_side(sizes: list[tuple[float, float]]) -> None:
    """Never on each other, within the width where each one is, and all in one row where that is wide enough."""
    layouts = [Layout(w, h, np.empty((0, 4)), np.empty((0, 4)), ()) for w, h in sizes]
    places = [(x, y, w, h) for (x, y), (w, h) in zip(shelves(layouts), sizes, strict=True)]
    for a, b in combinations(places, 2):
        assert apart(a, b, BETWEEN)
    assert all(x == 0 or x + w <= WIDEST for x, _, w, _ in places)
    if sum(w + BETWEEN for w, _ in sizes) <= WIDEST:
        assert all(y + h <= max(h for _, h in sizes) + 1e-9 for _, y, _, h in places)


@pytest.fixture
def path_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Makes a program named `dot` the only one on the path (no text: none at all), and a folder to draw into."""

    def make(script: str) -> Path:
        programs = tmp_path / "programs"
        programs.mkdir()
        if script:
            (programs / "dot").write_text(f"#!/bin/sh\n{script}\n")
            (programs / "dot").chmod(0o755)
        monkeypatch.setenv("PATH", str(programs))
        return tmp_path / "there" / "drawn"

    return make


def test_a_picture_without_dot(path_of: Callable[[str], Path]) -> None:
    """All names, GEMMs, flows, frames and roles are in it, coloured by role; the text is beside it."""
    folder, model = path_of(""), small()
    drawing = draw_graph(model, USAGE, folder)
    assert drawing.text.read_text(encoding="utf-8") == graph_text(model, USAGE)
    assert sorted(path.name for path in folder.iterdir()) == [f"operator_graph.{s}" for s in ("gv", "png", "svg")]
    words = drawn(folder, "operator_graph", drawing.svg.read_text())
    frames_drawn = frames_of(model, USAGE)
    for frame in frames_drawn:
        assert frame.title in words
        for one in frame.boxes:
            assert one.name in words and {cell for line in one.lines for cell in line} <= set(words)
        for arrow in frame.arrows:
            assert words.count(arrow.label) == [a.label for f in frames_drawn for a in f.arrows].count(arrow.label)
    assert {"projection", "attention", "feed-forward", "small"} <= set(words)
    for role in (PROJECTION, ATTENTION, FFN):
        assert coloured(folder, "operator_graph", ROLES[role]) > 2000


def test_dot_is_asked_first(path_of: Callable[[str], Path]) -> None:
    """Where it makes pictures they are taken as they are."""
    folder = path_of(r"""printf '%s' "$*" >> "${4%/*}/asked"; echo >> "${4%/*}/asked"
case "$1" in -Tpng) printf '\211PNG made by dot' > "$4" ;; *) printf '<?xml made by dot' > "$4" ;; esac""")
    drawing = draw_graph(small(), USAGE, folder)
    assert drawing.png.read_bytes() == b"\x89PNG made by dot" and drawing.svg.read_text() == "<?xml made by dot"
    asked = (folder / "asked").read_text().splitlines()
    assert len(asked) == 2 and all(line.endswith(f" {drawing.text}") for line in asked)


@pytest.mark.parametrize(
    "script",
    [
        "exit 1",
        "exit 0",
        'echo "no picture" > "$4"',
        'printf "\\211PNG" > "$4"; exit 3',
        "kill -9 $$",
        'case "$1" in -Tpng) printf "\\211PNG half" > "$4" ;; *) exit 1 ;; esac',
        "while :; do :; done",
    ],
)
def test_dot_that_fails(script: str, path_of: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it does, or does for ever, there is our picture, and nothing half-made is left."""
    monkeypatch.setattr(graphviz, "DOT_SECONDS", 0.5)
    model = Model("m", (layer("k", 1, [weight_operator("a", FFN, 3, 5)]),))
    drawing = draw_graph(model, USAGE, path_of(script))
    assert imread(drawing.png).size and "<svg" in drawing.svg.read_text()
    assert len(list(drawing.png.parent.iterdir())) == 3


def test_pictures_of_odd_tables(tmp_path: Path) -> None:
    """Frames without boxes or arrows, roles that no colour is for, words that are no formulas, and no frame at all."""
    odd = Frame("$a_", (Box("$x$", "other", "", ()),), ())
    svg = operator_graph_picture("<t>", "", [odd, Frame("empty", (), ())], ["note"], tmp_path)
    assert {"$a_", "$x$", "<t>", "note", "empty"} <= set(drawn(tmp_path, "operator_graph", svg))
    assert "<t>" in drawn(tmp_path, "operator_graph", operator_graph_picture("<t>", "s", [], [], tmp_path))


def test_notes_of_boxes() -> None:
    """What an operator keeps, for whom, and the largest of its GEMMs."""
    usage = Usage(batch=2, prompt=12, generated=4, max_seq_len=32, chunk=8)
    (frame, _) = frames_of(small(), usage)
    notes = {b.name: b.note for b in frame.boxes}
    assert notes["qk"] == f"window 8, cache {human_bytes(2 * 2 * 4 * 2 * 8)}" and notes["q"] == "512 B"
    assert notes["e13"] == f"2 of 4, {human_bytes(2 * 4 * 24 * 16)}"
    lines = {b.name: dict(b.lines) for b in frame.boxes}
    # The first chunk's 8 tokens meet 8, the second's 4 meet 11 of 12.
    assert lines["qk"] == {"prefill": "4\u00d716\u00d78\u00d74, 2 calls", "decode": "4\u00d72\u00d78\u00d74"}
    assert lines["o"]["prefill"] == "1\u00d716\u00d716\u00d716, 2 calls"
