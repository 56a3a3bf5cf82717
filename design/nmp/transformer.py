"""The published description of a decoder-only transformer: its dimensions in a `shape.json`, and which of its operators
depend on which in an `operator_graph.json`. GEMMs by the table of H2-LLM (ISCA '25)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from design.errors import InputError
from design.loader import checked, read_object
from design.nmp.model import LARGEST, LAYER, LayerKind, LayerOperator, Model, attention_operators, weight_operator
from design.nmp.workload import FFN, PROJECTION

MODEL_TYPES = ("opt", "llama", "palm")
OPERATORS = ("q", "k", "v", "o", "qk", "sv", "f1", "f2", "f3")


@dataclass(frozen=True)
class ModelShape:
    """Dimensions of a decoder-only transformer; see `parse_shape` for the file."""

    type: str
    layer_num: int
    hidden_dim: int
    intermediate_dim: int
    q_head_num: int
    kv_head_num: int

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.hidden_dim // self.q_head_num


def parse_shape(where: str, content: Mapping[str, Any]) -> ModelShape:
    """The model shape in the content of a `shape.json`. Raises InputError naming file and field."""
    names = ("layer_num", "hidden_dim", "intermediate_dim", "q_head_num", "kv_head_num")
    fields = checked(where, content, {"type": str, **dict.fromkeys(names, int)})
    if fields["type"] not in MODEL_TYPES:
        raise InputError(f"{where}, field 'type'", f"is '{fields['type']}'", f"one of {', '.join(MODEL_TYPES)}")
    for name in names:
        if not 1 <= fields[name] <= LARGEST:
            raise InputError(f"{where}, field '{name}'", f"is {fields[name]}", f"1 to {LARGEST}")
    shape = ModelShape(**fields)
    for part, whole in (("q_head_num", "hidden_dim"), ("kv_head_num", "q_head_num")):
        if fields[whole] % fields[part]:
            found = f"is {fields[part]}, which does not divide {whole} {fields[whole]}"
            raise InputError(f"{where}, field '{part}'", found, f"a divisor of {whole}")
    return shape


@dataclass(frozen=True)
class OperatorGraph:
    """Operator names, and the edges between them as positions in `names`."""

    names: tuple[str, ...]
    edges: tuple[tuple[int, int], ...]


def read_graph(path: Path, known: tuple[str, ...] = OPERATORS) -> OperatorGraph:
    """The operator graph in an `operator_graph.json`, of known operators. Raises InputError naming file and field."""
    fields = read_object(path, {"node": dict, "edge": list})
    nodes, where = fields["node"], f"{path}, field 'node'"
    if not nodes:
        raise InputError(where, "is empty", f"operators among {', '.join(known)}")
    position: dict[int, int] = {}
    for place, (name, number) in enumerate(nodes.items()):
        if name not in known:
            raise InputError(where, f"operator '{name}' is unknown", f"one of {', '.join(known)}")
        if type(number) is not int:
            raise InputError(where, f"id of '{name}' is {number!r}", "a whole number")
        if number in position:
            raise InputError(where, f"id {number} is given to two operators", "one id each")
        position[number] = place
    where, edges = f"{path}, field 'edge'", set()
    for pair in fields["edge"]:
        if not (isinstance(pair, list) and len(pair) == 2):
            raise InputError(where, f"entry {str(pair)[:60]}", "pairs [from id, to id]")
        for number in pair:
            if type(number) is not int or number not in position:
                raise InputError(where, f"edge {str(pair)[:60]} names unknown id {str(number)[:20]}", "ids of 'node'")
        edges.add((position[pair[0]], position[pair[1]]))
    return OperatorGraph(tuple(nodes), tuple(sorted(edges)))


def published_model(name: str, shape: ModelShape, graph: OperatorGraph) -> Model:
    """The model of a shape and a graph whose operators are among `OPERATORS`."""
    d, f, head = shape.hidden_dim, shape.intermediate_dim, shape.head_dim
    qk, sv = attention_operators(shape.q_head_num, shape.kv_head_num, head, head)
    made: dict[str, LayerOperator] = {"qk": qk, "sv": sv}
    for op in ("q", "o"):
        made[op] = weight_operator(op, PROJECTION, d, d)
    for op in ("k", "v"):
        made[op] = weight_operator(op, PROJECTION, head * shape.kv_head_num, d)
    for op in ("f1", "f3"):
        made[op] = weight_operator(op, FFN, f, d)
    made["f2"] = weight_operator("f2", FFN, d, f)
    return Model(name, (LayerKind(LAYER, shape.layer_num, tuple(made[op] for op in graph.names), graph.edges),))


def published_form(model: Model) -> tuple[ModelShape, OperatorGraph] | None:
    """Shape and graph that say all there is to say of a model; None where there are none."""
    if len(model.kinds) > 1 or model.embedding is not None:
        return None
    kind = model.kinds[0]
    ops = {op.name: op for op in kind.operators}
    if not {"q", "qk", "f1"} <= set(ops) <= set(OPERATORS):
        return None
    hidden, head, kv = ops["q"].prefill.K.size, ops["qk"].prefill.K.size, ops["qk"].prefill.B.size
    graph = OperatorGraph(tuple(op.name for op in kind.operators), tuple(sorted(kind.edges)))
    joined = any(graph.names[b] in ("f1", "f3") for _, b in graph.edges)
    shape = ModelShape(
        type="palm" if not joined else "llama" if "f3" in ops else "opt",
        layer_num=kind.count,
        hidden_dim=hidden,
        intermediate_dim=ops["f1"].prefill.N.size,
        q_head_num=max(hidden // head, 1),
        kv_head_num=kv,
    )
    if hidden % head or shape.q_head_num % kv:
        return None
    again = published_model(model.name, shape, graph).kinds[0]
    return (shape, graph) if again.operators == kind.operators and again.count == kind.count else None
