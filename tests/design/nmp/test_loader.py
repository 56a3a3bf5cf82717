"""Model files as they go wrong: every mistake is one line that names the file and, where there is one, the field."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from design.errors import InputError
from design.nmp.lowering import Usage
from design.nmp.transformer import read_graph
from tests.cases import MODELS, ROOT, examples, layer_workload, read_shape

SHAPE: dict[str, Any] = json.loads((ROOT / "config" / "opt-6.7b" / "shape.json").read_text())
GRAPH: dict[str, Any] = json.loads((ROOT / "config" / "opt-6.7b" / "operator_graph.json").read_text())
NUMBERS = ("layer_num", "hidden_dim", "intermediate_dim", "q_head_num", "kv_head_num")


def refused(read: Callable[[Path], object], path: Path, *words: str) -> None:
    """The error is of one readable line with the path first, and all the words."""
    with pytest.raises(InputError) as error:
        read(path)
    text = str(error.value)
    assert text.startswith(str(path)) and "; expected " in text
    assert "\n" not in text and "\r" not in text and text == text.strip()
    for word in words:
        assert word in text, text


def written(folder: Path, text: str | bytes) -> Path:
    """A file of that content."""
    path = folder / "model.json"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


READERS = {"shape": (read_shape, SHAPE), "graph": (read_graph, GRAPH)}


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("", "is empty"),
        (" \n\t ", "is empty"),
        ("{", "is not JSON"),
        ("{}x", "is not JSON"),
        ("{'type': 1}", "is not JSON"),
        ('{"type": 1,}', "is not JSON"),
        (b"\xff\xfe{\x00}\x00", "cannot be read"),
        (b"\xef\xbb\xbf{}", "is not JSON"),
        ("null", "holds null"),
        ("[]", "holds a list"),
        ("3", "holds a whole number"),
        ("3.5", "holds a number"),
        ("NaN", "holds a number"),
        ('"type"', "holds a text"),
        ("true", "holds true or false"),
        ("[" * 200_000, "nested too deeply"),
        ('{"type":' * 100_000 + "1" + "}" * 100_000, "nested too deeply"),
        ("9" * 5000, "thousands of digits"),
        ('{"layer_num": ' + "9" * 5000 + "}", "thousands of digits"),
        ("{}", "is missing"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_no_object(kind: str, content: str | bytes, word: str, tmp_path: Path) -> None:
    """Empty, truncated, no JSON, no object, nested a hundred thousand times, a number of 5,000 digits."""
    refused(READERS[kind][0], written(tmp_path, content), word)


@pytest.mark.parametrize("kind", READERS)
def test_every_truncation(kind: str, tmp_path: Path) -> None:
    """A file that ends early is refused wherever it ends."""
    read, fields = READERS[kind]
    text = json.dumps(fields, indent=2)
    for length in range(len(text)):
        refused(read, written(tmp_path, text[:length]))


@pytest.mark.parametrize("kind", READERS)
def test_no_file(kind: str, tmp_path: Path) -> None:
    """Absent, a folder, or larger than any model description."""
    read = READERS[kind][0]
    refused(read, tmp_path / "absent.json", "cannot be read", "No such file")
    refused(read, tmp_path, "cannot be read")
    with (tmp_path / "large.json").open("wb") as file:
        file.truncate(2**30)
    refused(read, tmp_path / "large.json", "1073741824 bytes")


@pytest.mark.parametrize("kind", READERS)
def test_fields(kind: str, tmp_path: Path) -> None:
    """Each field once, none missing, no other, each of its type; the field is named."""
    read, fields = READERS[kind]
    for name, value in fields.items():
        absent = {key: other for key, other in fields.items() if key != name}
        refused(read, written(tmp_path, json.dumps(absent)), f"field '{name}': is missing")
        twice = json.dumps(fields)[:-1] + f', "{name}": {json.dumps(value)}}}'
        refused(read, written(tmp_path, twice), f"field '{name}'", "given twice")
        others: list[Any] = [None, True, 1.5, "", [], {}, float("nan"), float("inf")]
        for other in [value for value in others if type(value) is not type(fields[name])]:
            refused(read, written(tmp_path, json.dumps(fields | {name: other})), f"field '{name}'")
    refused(read, written(tmp_path, json.dumps(fields | {"layers": 3})), "field 'layers'", "unknown")
    refused(read, written(tmp_path, json.dumps(fields | {"a\nb": 3})), "unknown")


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [0, -1, -4096, 2**31 + 1, 2**63, 10**400])
def test_shape_numbers_out_of_range(name: str, value: int, tmp_path: Path) -> None:
    """Zero, negative and huge dimensions."""
    refused(read_shape, written(tmp_path, json.dumps(SHAPE | {name: value})), f"field '{name}'", str(value)[:20])


@pytest.mark.parametrize("value", [4096.0, 1e3, "4096", "", True, None, [32], {"a": 1}])
def test_shape_numbers_of_another_type(value: object, tmp_path: Path) -> None:
    """A whole number is wanted, and nothing is converted into one."""
    refused(read_shape, written(tmp_path, json.dumps(SHAPE | {"hidden_dim": value})), "field 'hidden_dim'")


@pytest.mark.parametrize("value", ["OPT", "", "gpt", "opt ", "o\npt", 3, None])
def test_shape_of_an_unknown_type(value: object, tmp_path: Path) -> None:
    """Only the three kinds of model."""
    refused(read_shape, written(tmp_path, json.dumps(SHAPE | {"type": value})), "field 'type'")


@pytest.mark.parametrize(
    ("name", "value"), [("q_head_num", 3), ("q_head_num", 8192), ("kv_head_num", 5), ("kv_head_num", 64)]
)
def test_heads_that_do_not_divide(name: str, value: int, tmp_path: Path) -> None:
    """Query heads divide the hidden dimension, key-value heads the query heads."""
    refused(read_shape, written(tmp_path, json.dumps(SHAPE | {name: value})), f"field '{name}'", "does not divide")


NODE: dict[str, Any] = GRAPH["node"]


@pytest.mark.parametrize(
    ("node", "word"),
    [
        ({}, "is empty"),
        (NODE | {"f9": 8}, "'f9' is unknown"),
        (NODE | {"Q": 8}, "'Q' is unknown"),
        (NODE | {"": 8}, "'' is unknown"),
        (NODE | {"f3": 0}, "id 0 is given to two operators"),
        (NODE | {"f3": "8"}, "id of 'f3'"),
        (NODE | {"f3": 8.0}, "id of 'f3'"),
        (NODE | {"f3": True}, "id of 'f3'"),
        (NODE | {"f3": None}, "id of 'f3'"),
        (NODE | {"f3": ["a\nb"]}, "id of 'f3'"),
    ],
    ids=repr,
)
def test_nodes(node: dict[str, Any], word: str, tmp_path: Path) -> None:
    """Known operators, each with a number of its own."""
    refused(read_graph, written(tmp_path, json.dumps(GRAPH | {"node": node})), "field 'node'", word)


@pytest.mark.parametrize(
    "entry",
    [
        *([0, 99], [-1, 0], [0, "1"], [0, 1.0], [False, 1], [[0], 1], [10**4000, 0]),
        *([0], [0, 1, 2], [], 3, "01", None, {"0": 1}),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_edges(entry: object, tmp_path: Path) -> None:
    """Pairs of known ids; the line stays short whatever the entry."""
    path = written(tmp_path, json.dumps(GRAPH | {"edge": [*GRAPH["edge"], entry]}))
    refused(read_graph, path, "field 'edge'")
    with pytest.raises(InputError) as error:
        read_graph(path)
    assert len(str(error.value)) < len(str(path)) + 200


@pytest.mark.parametrize("depth", range(880, 1000, 7))
def test_an_entry_nested_nearly_too_deep(depth: int, tmp_path: Path) -> None:
    """What can be read can be reported: near the limit of nesting there is no other error either."""
    deep = "[" * depth + "]" * depth
    text = json.dumps(GRAPH | {"edge": ["@"]}).replace('"@"', deep)
    refused(read_graph, written(tmp_path, text))
    refused(read_graph, written(tmp_path, json.dumps(GRAPH | {"node": {"q": "@"}}).replace('"@"', deep)))


def test_a_cycle(tmp_path: Path) -> None:
    """A graph is read as it is; the layer that it would be is refused."""
    path = written(tmp_path, json.dumps(GRAPH | {"edge": [*GRAPH["edge"], [7, 0]]}))
    shape = read_shape(ROOT / "config" / "opt-6.7b" / "shape.json")
    with pytest.raises(InputError, match=r"^opt: operators .* wait for each other in a cycle") as error:
        layer_workload("opt", shape, read_graph(path), Usage(1, 10, 10, 100))
    assert "\n" not in str(error.value)


def test_a_huge_model_is_refused_before_it_is_priced(tmp_path: Path) -> None:
    """Dimensions within bounds whose product is not exact in a float."""
    wide = SHAPE | {"hidden_dim": 2**30, "intermediate_dim": 2**31}
    shape, graph = (
        read_shape(written(tmp_path, json.dumps(wide))),
        read_graph(ROOT / "config/opt-6.7b/operator_graph.json"),
    )
    with pytest.raises(InputError, match="operator q: prefill GEMM is"):
        layer_workload("wide", shape, graph, Usage(1, 10, 10, 100))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("kind", READERS)
@examples(150)
@given(data=st.data())
def test_any_json_is_read_or_refused(kind: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No value of any field ends in anything but an object or an InputError of one line."""
    read, fields = READERS[kind]
    name = data.draw(st.sampled_from(sorted(fields)))
    path = written(tmp_path_factory.getbasetemp(), json.dumps(fields | {name: data.draw(JSON)}))
    try:
        read(path)
    except InputError as error:
        assert str(error).startswith(str(path)) and len(str(error).splitlines()) == 1


@pytest.mark.parametrize("model", MODELS)
def test_shipped_files_are_read(model: str, tmp_path: Path) -> None:
    """As they are, and with their fields in another order and layout."""
    folder = ROOT / "config" / model
    for read, name in ((read_shape, "shape.json"), (read_graph, "operator_graph.json")):
        fields = json.loads((folder / name).read_text())
        turned = json.dumps(dict(reversed(fields.items())), indent=3)
        assert read(folder / name) == read(written(tmp_path, turned))


def test_edges_are_a_set(tmp_path: Path) -> None:
    """An edge given twice is one edge; ids need not be positions."""
    graph = {"node": {"q": 70, "k": -3, "qk": 5}, "edge": [[70, 5], [-3, 5], [70, 5]]}
    found = read_graph(written(tmp_path, json.dumps(graph)))
    assert found.names == ("q", "k", "qk") and found.edges == ((0, 2), (1, 2))
