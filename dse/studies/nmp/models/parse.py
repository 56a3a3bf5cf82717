"""From a model in a file to its operator graph: shape, graph, table of operators and drawing, in one folder."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from design.errors import InputError
from design.loader import read_content
from design.nmp.lowering import model_workload
from design.nmp.model import LayerKind, Model
from design.nmp.model_files import GRAPH, OF_KINDS, SHAPE, model_texts, read_model
from design.nmp.transformer import ModelShape, parse_shape
from dse.options import Settings
from dse.studies.nmp.models.find import Found, find_model, model_file, need, read_usage, repeated

OPERATORS = "operators.csv"


def parse_as(settings: Settings) -> int:
    """Derive the model that the settings name, write and show it. Returns an exit code. Raises InputError before
    anything is written where it cannot be read or would replace another model."""
    found, usage = parsed_model(settings), read_usage(settings)
    for kind in found.model.kinds:
        model_workload(replace(found.model, kinds=(kind,)), usage)  # refuses what no workload can be made of
    folder = Path(settings["parser-output-dir"] or f"parsed/{found.model.name}")
    known = _already(found.model, folder, settings["overwrite"])

    from dse.records.directory import write_whole
    from dse.studies.nmp.models.graphviz import draw_graph
    from dse.studies.nmp.models.operator_table import operator_rows, operator_table, totals, write_operators

    rows = operator_rows(found.model, usage)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError.unreadable(str(folder), error, "a folder to write to") from None
    if not known:
        for name, text in zip((SHAPE, GRAPH), model_texts(found.model), strict=True):
            write_whole(folder / name, text)
    write_operators(rows, folder / OPERATORS)
    drawn = draw_graph(found.model, usage, folder)
    if not settings["quiet"]:
        from dse.report.terminal import terminal

        console = terminal(120)
        console.print(operator_table(rows))
        console.print(str(totals(found.model, usage)), highlight=False, soft_wrap=True)
        for note in found.notes:
            print(f"note: {note}")
        names = ", ".join([SHAPE, GRAPH, OPERATORS, *(path.name for path in drawn)])
        print(f"{folder}: {names}\nExplore it: python main.py --model-shape {folder / SHAPE}")
    return 0


def parsed_model(settings: Settings) -> Found:
    """The model, derived: one of the published form is built in torch, exported and read from its ONNX graph."""
    if settings["onnx"] is not None:
        return find_model(settings)
    path = model_file(Path(settings["model-shape"]))
    content = read_content(path)
    if "type" not in content or content["type"] == OF_KINDS:
        return find_model(settings)
    shape = parse_shape(str(path), content)
    if settings["model-type"] is not None:
        shape = replace(shape, type=settings["model-type"])
    return _exported(path.resolve().parent.name, shape, settings["exporter"])


def _exported(name: str, shape: ModelShape, exporter: str) -> Found:
    """One layer through torch and ONNX, as many times as the shape says."""
    need("--execution-type parse with --model-type", "torch", "onnx", "onnxscript")
    from frontends.export import export_layer
    from frontends.onnx_graph import read_onnx

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{shape.type}.onnx"
        export_layer(shape, path, exporter)
        reading = read_onnx(path, {})
    model = repeated(reading.model, shape.layer_num)
    return Found(replace(model, name=name), reading.notes)


def _already(model: Model, folder: Path, overwrite: bool) -> bool:
    """Whether the folder holds this model. Raises InputError where it holds another that is not to be replaced."""
    shape, graph = folder / SHAPE, folder / GRAPH
    if overwrite or not (shape.exists() or graph.exists()):
        return False
    try:
        if _alike(read_model(model.name, shape, graph), model):
            return True
        found = "holds another model"
    except InputError as error:
        found = f"holds files that are no model ({error})"
    raise InputError(str(folder), found, "another --parser-output-dir, or --overwrite")


def _alike(one: Model, other: Model) -> bool:
    """Whether two models are the same but for their names and the order of operators."""
    return one.embedding == other.embedding and [_named(k) for k in one.kinds] == [_named(k) for k in other.kinds]


def _named(kind: LayerKind) -> tuple[object, ...]:
    names = [op.name for op in kind.operators]
    edges = {(names[a], names[b]) for a, b in kind.edges}
    return kind.name, kind.count, {op.name: op for op in kind.operators}, edges
