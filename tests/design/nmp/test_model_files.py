"""A model in its two files: what is written is read again, and mistakes are named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from design.errors import InputError
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
from design.nmp.model_files import GRAPH, SHAPE, model_texts, read_model
from design.nmp.transformer import published_form
from design.nmp.workload import ATTENTION, FFN, PROJECTION
from tests.cases import MODELS, ROOT, examples
from tests.design.nmp.small_models import model

EXTENTS = st.builds(Extent, st.integers(1, 2**31), st.booleans(), st.booleans(), st.booleans())


@given(EXTENTS)
@examples(100)
def test_extents_round_trip(extent: Extent) -> None:
    """The text of a dimension says all of it."""
    assert Extent.read("here", str(extent)) == extent


@pytest.mark.parametrize(
    "text", ["", "0", "-3", "4096.0", "x", "batch*batch", "3*4", "batch*3", "3*", "*batch", "2147483649", "1e3", " 3"]
)
def test_no_extent(text: str) -> None:
    """Anything else is refused by where it stands."""
    with pytest.raises(InputError, match=r"^here: "):
        Extent.read("here", text)


def write(folder: Path, texts: tuple[str, str]) -> tuple[Path, Path]:
    """Both files."""
    for name, text in zip((SHAPE, GRAPH), texts, strict=True):
        (folder / name).write_text(text)
    return folder / SHAPE, folder / GRAPH


def rich() -> Model:
    """One of everything that the form can state."""
    qk, sv = attention_operators(8, 2, 16, 12, 10)
    latent = Extents(Extent(8), Extent(batch=True, tokens=True), Extent(64), Extent(16))
    up = replace(weight_operator("k_b", PROJECTION, 128, 64), decode=latent)
    ops: tuple[LayerOperator, ...] = (up, qk, sv, weight_operator("e1", FFN, 48, 32, Experts(8, 2)))
    head = LayerKind(HEAD, 1, (weight_operator("lm_head", PROJECTION, 100, 32),), ())
    kinds = (LayerKind("sliding", 3, ops, ((0, 1), (1, 2), (2, 3))), *model(2, 1).kinds, head)
    return Model("rich", kinds, Embedding(100, 32, True))


def test_round_trip(tmp_path: Path) -> None:
    """Windows, experts, another decode, several kinds, the embedding."""
    assert read_model("other", *write(tmp_path, model_texts(rich()))) == rich()


@pytest.mark.parametrize("name", MODELS)
def test_published_models_keep_their_form(name: str, tmp_path: Path) -> None:
    """What the published form can state is written in it."""
    folder = ROOT / "config" / name
    shipped = read_model(name, folder / SHAPE, folder / GRAPH)
    texts = model_texts(shipped)
    assert texts[0] == (folder / SHAPE).read_text()
    assert read_model(name, *write(tmp_path, texts)) == shipped


def test_what_the_published_form_cannot_state() -> None:
    """A head dimension of its own, a window, a second kind, an output head: none of it is lost to that form."""
    folder = ROOT / "config" / "llama3-8b"
    shipped = read_model("llama", folder / SHAPE, folder / GRAPH)
    (kind,) = shipped.kinds
    assert published_form(shipped) is not None
    qk, sv = attention_operators(32, 8, 256, 256)
    changed = {"qk": qk, "sv": sv}
    wide = replace(kind, operators=tuple(changed.get(op.name, op) for op in kind.operators))
    windowed = replace(
        kind, operators=tuple(replace(op, window=9 if op.kind == ATTENTION else None) for op in kind.operators)
    )
    for kinds in ((wide,), (windowed,), (kind, replace(kind, name="again"))):
        assert published_form(replace(shipped, kinds=kinds)) is None
    assert published_form(replace(shipped, embedding=Embedding(9, 9, True))) is None


def changed(path: list[Any], value: Any) -> str:
    """The shape of `rich` with one value changed."""
    content = json.loads(model_texts(rich())[0])
    place = content
    for key in path[:-1]:
        place = place[key]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return json.dumps(content)


OPS = ["kinds", 0, "operators"]


@pytest.mark.parametrize(
    ("path", "value", "word"),
    [
        (["kinds"], [], "field 'kinds'"),
        (["kinds"], [3], "is no object"),
        (["kinds", 0, "count"], 0, "count 0"),
        (["kinds", 0, "operators"], {}, "0 operators"),
        (["kinds", 1, "name"], "sliding", "repeats a name"),
        ([*OPS, "qk"], 3, "is no object"),
        ([*OPS, "qk", "M"], "3.5*tokens", "field 'M'"),
        ([*OPS, "qk", "M"], None, "field 'M': is missing"),
        ([*OPS, "qk", "kind"], "conv", "field 'kind'"),
        ([*OPS, "qk", "window"], 0, "field 'window'"),
        ([*OPS, "qk", "weights"], 2**60, "field 'weights'"),
        ([*OPS, "qk", "bias"], 1, "field 'bias': is unknown"),
        ([*OPS, "e1", "experts"], [2, 3], "field 'experts'"),
        ([*OPS, "e1", "experts"], [2], "field 'experts'"),
        ([*OPS, "k_b", "decode", "K"], "0", "decode, field 'K'"),
        (["embedding", "tied"], 3, "embedding, field 'tied'"),
        (["extra"], 1, "field 'extra': is unknown"),
    ],
)
def test_a_broken_shape(path: list[Any], value: Any, word: str, tmp_path: Path) -> None:
    """The line says which kind, operator and field."""
    with pytest.raises(InputError) as error:
        read_model("m", *write(tmp_path, (changed(path, value), model_texts(rich())[1])))
    assert word in str(error.value) and SHAPE in str(error.value)


def test_a_graph_of_another_model(tmp_path: Path) -> None:
    """Operators that the graph lacks or the shape does not know, and edges between kinds."""
    shape, graph = model_texts(rich())
    content = json.loads(graph)
    less = {name: number for name, number in content["node"].items() if name != "sliding/e1"}
    for node, edge, word in (
        (less, content["edge"][:2], "sliding/e1 of"),
        (content["node"] | {"q": 99}, content["edge"], "'q' is unknown"),
        (content["node"], [*content["edge"], [0, 5]], "sliding/k_b to one/k"),
    ):
        with pytest.raises(InputError, match=word):
            read_model("m", *write(tmp_path, (shape, json.dumps({"node": node, "edge": edge}))))
