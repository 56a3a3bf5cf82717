"""ONNX files that cannot be read: every mistake is one line that names the file, what is wrong and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from design.errors import InputError
from design.nmp.lowering import Usage, model_workload
from frontends.onnx_graph import read_onnx
from tests.frontends.onnx_cases import layer_text, only, parsed, read_text, shapes, written

PLAIN = "g (float[batch,tokens,6] x, float[6,10] w) => (float[a,b,c] y) { y = MatMul(x, w) }"


def refused(path: Path, *words: str, axes: Mapping[str, str] | None = None) -> None:
    """The error is one readable line with the path, and all the words."""
    with pytest.raises(InputError) as error:
        read_onnx(path, axes or {})
    text = str(error.value)
    assert (text.startswith(str(path)) or axes) and "; expected " in text
    assert "\n" not in text and len(text) < len(str(path)) + 400
    for word in words:
        assert word in text, text


def refused_text(folder: Path, graph: str, *words: str, axes: Mapping[str, str] | None = None) -> None:
    """The same, of a graph in text form."""
    refused(written(folder, graph), *words, axes=axes)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "is empty"),
        (b"\x00", "is not ONNX"),
        (b"{}", "is not ONNX"),
        (b'{"model_type": "llama"}', "is not ONNX"),
        (b"PK\x03\x04" + bytes(100), "is not ONNX"),
        (b"\x89PNG\r\n\x1a\n" + bytes(64), "is not ONNX"),
        (b"\x08\x09", "no graph"),
        ("# Modell für ONNX\n".encode(), "is not ONNX"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_no_onnx(content: bytes, word: str, tmp_path: Path) -> None:
    """Empty, other formats, and protocol buffers of another kind."""
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    refused(path, word)


def test_no_file(tmp_path: Path) -> None:
    """Absent, a folder, or larger than a protocol buffer can be."""
    refused(tmp_path / "absent.onnx", "cannot be read", "No such file")
    refused(tmp_path, "cannot be read")
    with (tmp_path / "large.onnx").open("wb") as file:
        file.truncate(2**31)
    refused(tmp_path / "large.onnx", "2147483648 bytes", "external data")


def test_every_truncation(tmp_path: Path) -> None:
    """A file that ends early is refused, or nothing of the graph was lost."""
    content = parsed(PLAIN).SerializeToString()
    path, whole = tmp_path / "cut.onnx", 0
    for length in range(len(content)):
        path.write_bytes(content[:length])
        try:
            reading = read_onnx(path, {})
        except InputError as error:
            assert "\n" not in str(error) and str(path) in str(error)
        else:
            whole += 1
            assert shapes(only(reading.model)) == {"g0": "1 x batch*tokens x 10 x 6"}
    assert whole < 30  # only the versions of domains that are not used come after the graph


def test_bytes_changed(tmp_path: Path) -> None:
    """Whatever bytes are wrong: a model that costs can be told of, or one line."""
    content, generator = parsed(layer_text()).SerializeToString(), np.random.default_rng(7)
    path, read = tmp_path / "changed.onnx", 0
    for _ in range(400):
        changed = bytearray(content)
        for place in generator.integers(len(content), size=generator.integers(1, 4)):
            changed[place] = generator.integers(256)
        path.write_bytes(changed)
        try:
            model_workload(read_onnx(path, {}).model, Usage(1, 5, 2, 16))
            read += 1
        except InputError as error:
            assert "\n" not in str(error)
    assert 0 < read < 400


def test_missing_external_data(tmp_path: Path) -> None:
    """A file of weights that is not there is missed; of one that is, only small tensors are looked into."""
    large = numpy_helper.from_array(np.zeros((6, 5000), np.float32), "w")
    small = numpy_helper.from_array(np.array([-1, 5000], np.int64), "s")
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", "tokens", 6])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["r", "c"])
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Reshape", ["h", "s"], ["y"])]
    model = helper.make_model(helper.make_graph(nodes, "g", [x], [y], [large, small]))
    path, data = tmp_path / "model.onnx", tmp_path / "weights.bin"
    onnx.save(model, path, save_as_external_data=True, location=data.name, size_threshold=0)
    assert shapes(only(read_onnx(path, {}).model)) == {"g0": "1 x batch*tokens x 5000 x 6"}
    data.write_bytes(b"")
    refused(path, "tensor 's' cannot be read")
    data.unlink()
    refused(path, "external data 'weights.bin'", "is missing")


@pytest.mark.parametrize(
    ("graph", "axes", "words"),
    [
        (PLAIN.replace("tokens", "s77"), {}, ("input 'x'", "axis 1 is 's77'", "--axes s77=batch, tokens")),
        (PLAIN.replace("tokens", "?"), {}, ("input 'x'", "--axes x.1=")),
        (PLAIN, {"rows": "batch"}, ("no axis 'rows'", "batch, tokens")),
        (PLAIN, {"tokens": "rows"}, ("--axes tokens", "'rows'")),
        (PLAIN, {"tokens": "0"}, ("--axes tokens", "'0'")),
        (PLAIN, {"tokens": "-5"}, ("--axes tokens", "'-5'")),
        (PLAIN, {"tokens": "9" * 5000}, ("--axes tokens",)),
        (PLAIN, {"tokens": "٣"}, ("--axes tokens",)),
    ],
)
def test_axes(graph: str, axes: dict[str, str], words: tuple[str, ...], tmp_path: Path) -> None:
    """An axis without a meaning, and meanings of nothing."""
    refused_text(tmp_path, graph, *words, axes=axes)


def test_axes_can_be_given(tmp_path: Path) -> None:
    """What the error asks for is what helps, also for an axis without a name."""
    named = read_text(tmp_path, PLAIN.replace("tokens", "s77"), axes={"s77": "tokens"}).model
    nameless = read_onnx(written(tmp_path, PLAIN.replace("tokens", "?")), {"x.1": "tokens"}).model
    assert named == nameless == read_text(tmp_path, PLAIN).model


CONTROL = """g (float[batch,tokens,6] x, float[6,6] w, bool c) => (float[a,b,d] y) {
    h = If (c) <then_branch = t () => (float[e,f,g] p) { p = OP }, else_branch = f () => (float[h,i,j] q)
    { q = Identity(x) }> y = MatMul(h, w) }"""


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        ("g (float[batch,tokens,6] x) => (float[a,b,c] y) { y = Relu(x) }", ("has no GEMM",)),
        (PLAIN.replace("MatMul(x, w)", "Add(x, x)"), ("has no GEMM",)),
        (CONTROL.replace("OP", "MatMul(x, w)"), ("If", "MatMul inside", "unsupported")),
        (PLAIN.replace("float[6,10]", "float[7,10]"), ("shapes do not fit", "node 'MatMul 0'")),
        (PLAIN.replace("MatMul(x, w)", "Nonsense(x, w)"), ("Nonsense",)),
        (PLAIN.replace("MatMul(x, w)", "local.MatMul(x, w)"), ("local.MatMul", "ONNX standard")),
        (PLAIN.replace("MatMul(x, w)", "MatMul(x, v)"), ("reads tensor 'v', which nothing makes",)),
        (PLAIN.replace("{ y", "{ h = Relu(z) z = Relu(h) y"), ("in a cycle", "Relu")),
        (PLAIN.replace("{ y", "{ h = Relu(h) y"), ("in a cycle",)),
        (PLAIN.replace("{ y", "{ y = Relu(x) y"), ("'y' is made twice",)),
        (
            PLAIN.replace("{ y = MatMul(x", "{ n = NonZero(x) f = Cast<to=1>(n) t = Transpose(f) y = MatMul(t"),
            ("depends on data", "NonZero"),
        ),
        (
            PLAIN.replace("{ y = MatMul(x", "{ p = Concat<axis=1>(x, o) y = MatMul(p").replace(
                "x, float", "x, float[batch,1,6] o, float"
            ),
            ("no products of batch, tokens and context",),
        ),
        (PLAIN.replace("tokens", "context"), ("batch*context x 10 x 6", "the context alone")),
        ("g (float[batch,tokens,6] x, float[1,3,6] w, float[1,3,3] r) => (float[a,b,c] y) "
         "{ y, h, c = LSTM<hidden_size=3>(x, w, r) }", ("LSTM is unsupported",)),
        ("g (float[batch,tokens,6] x, float[6,6] w) => (float[a,b,c] y) "
         '{ y = Einsum<equation="btk,kn,nm->btm">(x, w, w) }', ("Einsum", "3 tensors")),
        ("g (float[batch,0,6] x, float[6,10] w) => (float[a,b,c] y) { y = MatMul(x, w) }", ("--axes x.1=",)),
    ],
)  # fmt: skip
def test_graphs(graph: str, words: tuple[str, ...], tmp_path: Path) -> None:
    """Nothing to multiply, control flow, shapes that do not fit, operators of others, cycles, and the rest."""
    refused_text(tmp_path, graph, *words)


def test_control_flow_without_gemms(tmp_path: Path) -> None:
    """A branch that multiplies nothing is no obstacle."""
    found = read_text(tmp_path, CONTROL.replace("OP", "Relu(x)")).model
    assert shapes(only(found)) == {"g0": "1 x batch*tokens x 6 x 6"}


def test_too_many_operators(tmp_path: Path) -> None:
    """More than an evaluator takes in one layer: the message asks for one layer."""
    for count in (62, 63):
        chain = " ".join(f"h{n + 1} = MatMul(h{n}, w)" for n in range(count))
        graph = f"g (float[batch,tokens,6] h0, float[6,6] w) => (float[a,b,c] h{count}) {{ {chain} }}"
        if count == 62:
            assert len(only(read_text(tmp_path, graph).model).operators) == 62
        else:
            refused_text(tmp_path, graph, "63 operators", "at most 62", "one layer")


@pytest.mark.parametrize("opset", [0, 99])
def test_operator_sets(opset: int, tmp_path: Path) -> None:
    """Of no version that the library knows."""
    model = parsed(PLAIN)
    model.opset_import[0].version = opset
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    refused(path, f"operator set {opset}")


@pytest.mark.parametrize("name", ["", "a" * 500, "x y\nz", "ä/..", "-"])
def test_names_of_models(name: str, tmp_path: Path) -> None:
    """Of the file's name what can stand in a report."""
    path = tmp_path / f"{name[:100].replace('/', '_') or 'x'}.onnx"
    onnx.save(parsed(PLAIN), path)
    found = read_onnx(path, {}).model.name
    assert 1 <= len(found) <= 60 and all(c.isascii() and (c.isalnum() or c in "._-") for c in found)
