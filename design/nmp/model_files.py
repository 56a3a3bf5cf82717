"""A model in its two files: `shape.json` says what the operators are, `operator_graph.json` what depends on what.

A model that the published form can state is written in it (`design/nmp/transformer.py`), any other with the dimensions
of every operator, kind of layer by kind of layer:

    {"type": "kinds", "kinds": [{"name": "layer", "count": 48, "operators": {
        "q": {"kind": "projection", "B": "1", "M": "batch*tokens", "N": "4096", "K": "2048", "weights": 8388608}, ...

An operator may also have `cache` (elements a token of the context), `window` (tokens), `experts` [total, chosen] and,
where its decode is another GEMM than its prefill, `decode` with B, M, N and K of its own. Where there are several kinds
the graph's nodes are called KIND/OPERATOR.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from design.errors import InputError
from design.loader import checked, read_content
from design.nmp.model import KINDS, LARGEST, Embedding, Experts, Extent, Extents, LayerKind, LayerOperator, Model
from design.nmp.transformer import OperatorGraph, parse_shape, published_form, published_model, read_graph

SHAPE, GRAPH = "shape.json", "operator_graph.json"
OF_KINDS = "kinds"  # the `type` of a shape that is not of the published form
MOST = 2**50  # elements that an operator may keep


def read_model(name: str, shape: Path, graph: Path) -> Model:
    """The model in these two files. Raises InputError naming file and field."""
    content = read_content(shape)
    if content.get("type") != OF_KINDS:
        return published_model(name, parse_shape(str(shape), content), read_graph(graph))
    fields = checked(str(shape), content, {"type": str, "kinds": list}, {"name": str, "embedding": dict})
    kinds = [_kind(f"{shape}, kinds[{place}]", value) for place, value in enumerate(fields["kinds"])]
    if not kinds or len({kind.name for kind in kinds}) < len(kinds):
        raise InputError(
            f"{shape}, field 'kinds'", "is empty or repeats a name", "kinds of layers with names of their own"
        )
    nodes = [_node(kind, op, kinds) for kind in kinds for op in kind.operators]
    found = read_graph(graph, tuple(nodes))
    if missing := sorted(set(nodes) - set(found.names)):
        raise InputError(f"{graph}, field 'node'", f"{missing[0]} of {shape} is missing", "every operator")
    place_of = {name: place for place, name in enumerate(nodes)}
    edges = [(place_of[found.names[a]], place_of[found.names[b]]) for a, b in found.edges]
    made, first = [], 0
    for kind in kinds:
        last = first + len(kind.operators)
        for a, b in edges:
            if (first <= a < last) != (first <= b < last):
                raise InputError(f"{graph}, field 'edge'", f"{nodes[a]} to {nodes[b]}", "edges inside a kind of layer")
        own = sorted((a - first, b - first) for a, b in edges if first <= a < last)
        made.append(LayerKind(kind.name, kind.count, kind.operators, tuple(own)))
        first = last
    embedding = None
    if "embedding" in fields:
        kept = checked(f"{shape}, embedding", fields["embedding"], {"rows": int, "width": int, "tied": bool})
        embedding = Embedding(**kept)
    return Model(fields.get("name", name), tuple(made), embedding)


def model_texts(model: Model) -> tuple[str, str]:
    """The contents of `shape.json` and `operator_graph.json`."""
    if (form := published_form(model)) is not None:
        shape, graph = form
        return json.dumps(asdict(shape), indent=2) + "\n", _graph_text(graph)
    content: dict[str, Any] = {
        "type": OF_KINDS,
        "name": model.name,
        "kinds": [
            {"name": k.name, "count": k.count, "operators": {op.name: _fields(op) for op in k.operators}}
            for k in model.kinds
        ],
    }
    if model.embedding is not None:
        content["embedding"] = model.embedding._asdict()
    names = [_node(kind, op, model.kinds) for kind in model.kinds for op in kind.operators]
    edges, first = [], 0
    for kind in model.kinds:
        edges += [(first + a, first + b) for a, b in kind.edges]
        first += len(kind.operators)
    return json.dumps(content, indent=1) + "\n", _graph_text(OperatorGraph(tuple(names), tuple(edges)))


def _graph_text(graph: OperatorGraph) -> str:
    nodes = json.dumps({name: place for place, name in enumerate(graph.names)})
    return f'{{\n  "node": {nodes},\n  "edge": {json.dumps([list(edge) for edge in graph.edges])}\n}}\n'


def _node(kind: LayerKind, op: LayerOperator, kinds: list[LayerKind] | tuple[LayerKind, ...]) -> str:
    return f"{kind.name}/{op.name}" if len(kinds) > 1 else op.name


def _fields(op: LayerOperator) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": op.kind, **_texts(op.prefill)}
    if op.decode != op.prefill:
        found["decode"] = _texts(op.decode)
    found |= {name: getattr(op, name) for name in ("weights", "cache") if getattr(op, name)}
    if op.window is not None:
        found["window"] = op.window
    if op.experts is not None:
        found["experts"] = list(op.experts)
    return found


def _texts(extents: Extents) -> dict[str, str]:
    return {axis: str(extent) for axis, extent in extents._asdict().items()}


def _kind(where: str, value: Any) -> LayerKind:
    if not isinstance(value, dict):
        raise InputError(where, "is no object", "name, count and operators")
    fields = checked(where, value, {"name": str, "count": int, "operators": dict})
    if not 1 <= fields["count"] <= LARGEST or not fields["operators"]:
        raise InputError(where, f"count {fields['count']}, {len(fields['operators'])} operators", "at least 1 of each")
    operators = [_operator(f"{where}, {name}", name, op) for name, op in fields["operators"].items()]
    return LayerKind(fields["name"], fields["count"], tuple(operators), ())


def _operator(where: str, name: str, value: Any) -> LayerOperator:
    if not isinstance(value, dict):
        raise InputError(where, "is no object", "kind, B, M, N, K and what the operator keeps")
    axes = dict.fromkeys(Extents._fields, str)
    kept = {"weights": int, "cache": int, "window": int}
    fields = checked(where, value, {"kind": str, **axes}, {"decode": dict, "experts": list, **kept})
    if fields["kind"] not in KINDS:
        raise InputError(f"{where}, field 'kind'", f"'{fields['kind'][:40]}'", f"one of {', '.join(KINDS)}")
    for field in kept:
        if field in fields and not 1 <= fields[field] <= MOST:
            raise InputError(f"{where}, field '{field}'", f"is {fields[field]}", f"1 to {MOST}")
    prefill = decode = _extents(where, fields)
    if "decode" in fields:
        inside = f"{where}, decode"
        decode = _extents(inside, checked(inside, fields["decode"], axes))
    return LayerOperator(
        name,
        fields["kind"],
        prefill,
        decode,
        weights=fields.get("weights", 0),
        cache=fields.get("cache", 0),
        window=fields.get("window"),
        experts=_experts(f"{where}, field 'experts'", fields["experts"]) if "experts" in fields else None,
    )


def _extents(where: str, fields: Mapping[str, Any]) -> Extents:
    return Extents(*(Extent.read(f"{where}, field '{axis}'", fields[axis]) for axis in Extents._fields))


def _experts(where: str, value: list[Any]) -> Experts:
    if len(value) != 2 or not all(type(v) is int for v in value) or not 1 <= value[1] <= value[0] <= LARGEST:
        raise InputError(where, str(value)[:60], "[total, chosen], chosen of them for each token")
    return Experts(*value)
