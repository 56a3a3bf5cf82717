"""One transformer layer as a workload: shape and operator graph from their JSON files, GEMMs by the table of
H2-LLM (ISCA '25): projections, grouped-query attention, plain or gated feed-forward network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from design.errors import InputError
from design.loader import read_object
from design.workload import ATTENTION, FFN, PROJECTION, Gemm, Operator, Workload

KINDS = {
    **dict.fromkeys(("q", "k", "v", "o"), PROJECTION),
    **dict.fromkeys(("qk", "sv"), ATTENTION),
    **dict.fromkeys(("f1", "f2", "f3"), FFN),
}
PRECISIONS = {"fp16": 2.0, "int8": 1.0, "int4": 0.5}  # bytes an element
MODEL_TYPES = ("opt", "llama", "palm")
LARGEST = 2**31  # of any single dimension


@dataclass(frozen=True)
class ModelShape:
    """Dimensions of a decoder-only transformer; see `read_shape` for the file."""

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


@dataclass(frozen=True)
class Usage:
    """How the model is used. `max_seq_len` bounds the context and sizes the key-value cache."""

    batch: int
    prompt: int
    generated: int
    max_seq_len: int
    precision: str = "fp16"
    free_attention_cut: bool = False

    def __post_init__(self) -> None:
        for name, least in (("batch", 1), ("prompt", 1), ("generated", 0), ("max_seq_len", 1)):
            if getattr(self, name) < least:
                raise InputError(f"use of the model, {name}", f"is {getattr(self, name)}", f"at least {least}")
        if self.precision not in PRECISIONS:
            raise InputError("use of the model, precision", f"'{self.precision}'", ", ".join(PRECISIONS))
        if self.prompt > self.max_seq_len:
            found = f"prompt of {self.prompt} tokens is longer than the maximum context of {self.max_seq_len}"
            raise InputError("--input-seq-len", found, "at most --max-seq-len")


def read_shape(path: Path) -> ModelShape:
    """The model shape in a `shape.json`. Raises InputError naming file and field."""
    names = ("layer_num", "hidden_dim", "intermediate_dim", "q_head_num", "kv_head_num")
    fields = read_object(path, {"type": str, **dict.fromkeys(names, int)})
    if fields["type"] not in MODEL_TYPES:
        raise InputError(f"{path}, field 'type'", f"is '{fields['type']}'", f"one of {', '.join(MODEL_TYPES)}")
    for name in names:
        if not 1 <= fields[name] <= LARGEST:
            raise InputError(f"{path}, field '{name}'", f"is {fields[name]}", f"1 to {LARGEST}")
    shape = ModelShape(**fields)
    for part, whole in (("q_head_num", "hidden_dim"), ("kv_head_num", "q_head_num")):
        if fields[whole] % fields[part]:
            found = f"is {fields[part]}, which does not divide {whole} {fields[whole]}"
            raise InputError(f"{path}, field '{part}'", found, f"a divisor of {whole}")
    return shape


@dataclass(frozen=True)
class OperatorGraph:
    """Operator names, and the edges between them as positions in `names`."""

    names: tuple[str, ...]
    edges: tuple[tuple[int, int], ...]


def read_graph(path: Path) -> OperatorGraph:
    """The operator graph in an `operator_graph.json`. Raises InputError naming file and field."""
    fields = read_object(path, {"node": dict, "edge": list})
    nodes, where = fields["node"], f"{path}, field 'node'"
    if not nodes:
        raise InputError(where, "is empty", f"operators among {', '.join(KINDS)}")
    position: dict[int, int] = {}
    for place, (name, number) in enumerate(nodes.items()):
        if name not in KINDS:
            raise InputError(where, f"operator '{name}' is unknown", f"one of {', '.join(KINDS)}")
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


def layer_workload(name: str, shape: ModelShape, graph: OperatorGraph, usage: Usage) -> Workload:
    """The workload of one layer; its decode GEMMs are those at the final context."""
    generated_context = min(usage.max_seq_len, usage.prompt + usage.generated)
    operators = []
    for op in graph.names:
        prefill = _gemm(op, shape, usage.batch, usage.prompt, usage.prompt)
        decode = _gemm(op, shape, usage.batch, 1, generated_context)
        operators.append(
            Operator(
                name=op,
                kind=KINDS[op],
                prefill=prefill,
                decode=decode,
                stored_bytes=shape.layer_num * _stored_elements(op, shape, usage) * PRECISIONS[usage.precision],
                granule=_granule(op, shape, usage),
                context_axis={"qk": "N", "sv": "K"}.get(op, ""),
            )
        )
    return Workload(
        name=name,
        operators=tuple(operators),
        edges=graph.edges,
        batch=usage.batch,
        generated=usage.generated,
        bytes_per_element=PRECISIONS[usage.precision],
        layers=shape.layer_num,
        prompt=usage.prompt,
        max_context=usage.max_seq_len,
    )


def _gemm(op: str, shape: ModelShape, batch: int, tokens: int, context: int) -> Gemm:
    d, f, head = shape.hidden_dim, shape.intermediate_dim, shape.head_dim
    if KINDS[op] == ATTENTION:
        # The query heads that share one key-value head are rows of one GEMM.
        rows = tokens * (shape.q_head_num // shape.kv_head_num)
        n, k = (context, head) if op == "qk" else (head, context)
        return Gemm(batch * shape.kv_head_num, rows, n, k)
    n, k = {
        **dict.fromkeys(("q", "o"), (d, d)),
        **dict.fromkeys(("k", "v"), (head * shape.kv_head_num, d)),
        **dict.fromkeys(("f1", "f3"), (f, d)),
        "f2": (d, f),
    }[op]
    return Gemm(1, batch * tokens, n, k)


def _stored_elements(op: str, shape: ModelShape, usage: Usage) -> int:
    """Elements of one layer: weights, or the cache of keys (qk) or values (sv) at the longest context."""
    if KINDS[op] == ATTENTION:
        return usage.batch * shape.kv_head_num * usage.max_seq_len * shape.head_dim
    gemm = _gemm(op, shape, 1, 1, 1)
    return gemm.N * gemm.K


def _granule(op: str, shape: ModelShape, usage: Usage) -> int:
    """Attention is cut between key-value heads, all sequences of a head together, unless that is freed."""
    whole_heads = KINDS[op] == ATTENTION and shape.kv_head_num > 1 and not usage.free_attention_cut
    return usage.batch if whole_heads else 1
