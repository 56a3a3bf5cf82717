"""Layers exported by torch, read again: the published operators of the published models, and nothing large on the way.

Ten exports of a second or more each: torch's newer exporter is slow whatever the size.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import networkx
import pytest

from design.errors import InputError
from design.nmp.lowering import Usage, model_workload
from design.nmp.model import Model
from design.nmp.transformer import ModelShape
from frontends.export import EXPORTERS, HIDDEN, export_layer, layer_weights
from frontends.onnx_graph import read_onnx
from tests.cases import MODELS, ROOT
from tests.frontends.onnx_cases import only

BATCH, PROMPT, CONTEXT = 3, 17, 29


def shape_of(model: str) -> ModelShape:
    """Of a published model."""
    return ModelShape(**json.loads((ROOT / "config" / model / "shape.json").read_text()))


class Case(NamedTuple):
    """A model and its layer as it was exported and read."""

    shape: ModelShape
    graph: networkx.DiGraph
    path: Path
    layer: Model


@pytest.fixture(scope="module", params=[(model, exporter) for model in MODELS for exporter in EXPORTERS], ids="-".join)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """Each published model by each exporter."""
    model, exporter = request.param
    path = tmp_path_factory.mktemp("export") / f"{model}.onnx"
    shape = shape_of(model)
    export_layer(shape, path, exporter)
    reading = read_onnx(path, {})
    assert reading.notes == ()
    published = json.loads((ROOT / "config" / model / "operator_graph.json").read_text())
    graph = networkx.DiGraph([tuple(edge) for edge in published["edge"]])
    for name, number in published["node"].items():
        graph.add_node(number, name=name)
    return Case(shape, graph, path, reading.model)


def test_published_graph(case: Case) -> None:
    """The operators and edges of the published graph, by their names."""
    kind = only(case.layer)
    found = networkx.DiGraph()
    found.add_nodes_from((place, {"name": op.name}) for place, op in enumerate(kind.operators))
    found.add_edges_from(kind.edges)
    assert networkx.is_isomorphic(found, case.graph, node_match=lambda a, b: a["name"] == b["name"])


def table(shape: ModelShape, name: str, tokens: int, context: int) -> tuple[int, int, int, int]:
    """B, M, N, K of an operator, by the table of operators of H2-LLM (ISCA '25)."""
    d, f, head = shape.hidden_dim, shape.intermediate_dim, shape.hidden_dim // shape.q_head_num
    share = shape.q_head_num // shape.kv_head_num
    return {
        **dict.fromkeys(("q", "o"), (1, BATCH * tokens, d, d)),
        **dict.fromkeys(("k", "v"), (1, BATCH * tokens, head * shape.kv_head_num, d)),
        **dict.fromkeys(("f1", "f3"), (1, BATCH * tokens, f, d)),
        "f2": (1, BATCH * tokens, d, f),
        "qk": (BATCH * shape.kv_head_num, tokens * share, context, head),
        "sv": (BATCH * shape.kv_head_num, tokens * share, head, context),
    }[name]


def test_published_dimensions(case: Case) -> None:
    """Prefill of 17 tokens and decode at a context of 29, of 3 sequences."""
    for op in only(case.layer).operators:
        prefill = tuple(extent.at(BATCH, PROMPT, PROMPT) for extent in op.prefill)
        decode = tuple(extent.at(BATCH, 1, CONTEXT) for extent in op.decode)
        assert prefill == table(case.shape, op.name, PROMPT, PROMPT), op.name
        assert decode == table(case.shape, op.name, 1, CONTEXT), op.name


def test_published_storage(case: Case) -> None:
    """All matrices' elements, and keys and values of a token."""
    matrices = [extents for extents in layer_weights(case.shape).values() if len(extents) == 2]
    assert sum(op.weights for op in only(case.layer).operators) == sum(a * b for a, b in matrices)
    cache = 2 * case.shape.kv_head_num * case.shape.head_dim
    assert sum(op.cache for op in only(case.layer).operators) == cache


def test_small_files(case: Case) -> None:
    """Shapes of weights are kept, weights are not, not even in a file beside."""
    assert case.path.stat().st_size < 100_000
    assert [path.name for path in case.path.parent.iterdir()] == [case.path.name]


def test_a_workload_can_be_made(case: Case) -> None:
    """For costs to be told."""
    workload = model_workload(case.layer, Usage(BATCH, PROMPT, CONTEXT - PROMPT, 64))
    assert [op.name for op in workload.operators] == [op.name for op in only(case.layer).operators]


MEASURED = """
import resource, sys
from pathlib import Path
import torch, torch.onnx, onnxscript
from frontends.export import EXPORTERS, export_layer
from tests.frontends.test_export import shape_of
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for exporter in reversed(EXPORTERS):
    export_layer(shape_of("opt-6.7b"), Path(sys.argv[1]) / f"{exporter}.onnx", exporter)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_little_memory_and_no_noise(tmp_path: Path) -> None:
    """Both exporters together need far less than the 805 MB of weights, and print nothing."""
    command = [sys.executable, "-c", MEASURED, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert int(done.stdout) < 250_000  # kilobytes


def test_unknown_exporter(tmp_path: Path) -> None:
    """There are two."""
    with pytest.raises(InputError, match=r"^exporter: is 'onnx'; expected dynamo or torchscript$"):
        export_layer(shape_of("opt-6.7b"), tmp_path / "layer.onnx", "onnx")


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_a_path_that_cannot_be_written(exporter: str, tmp_path: Path) -> None:
    """A folder in the file's place, or a file in the folder's."""
    shape = ModelShape("opt", 1, 8, 16, 2, 2)
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "layer.onnx"):
        with pytest.raises(InputError, match="cannot be written") as error:
            export_layer(shape, path, exporter)
        assert "\n" not in str(error.value)


def test_inputs_are_named(tmp_path: Path) -> None:
    """The layer's input comes first and is the only one whose axes are of any length."""
    import onnx

    shape = ModelShape("palm", 1, 24, 40, 6, 2)
    for exporter in EXPORTERS:
        path = tmp_path / "sub" / f"{exporter}.onnx"
        export_layer(shape, path, exporter)
        inputs = onnx.load(path).graph.input
        axes = {value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim] for value in inputs}
        assert axes == {HIDDEN: ["batch", "tokens", 24], **{k: list(v) for k, v in layer_weights(shape).items()}}
