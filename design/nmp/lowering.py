"""From a model in some use to a workload: which GEMMs each operator is, how often, and what it keeps in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from design.errors import InputError
from design.nmp.model import EXPECTED, HEAD, LOADS, WORST, Extent, Extents, LayerKind, LayerOperator, Model
from design.nmp.workload import ATTENTION, Call, Gemm, Operator, Section, Workload

PRECISIONS = {"fp16": 2.0, "int8": 1.0, "int4": 0.5}  # bytes an element


@dataclass(frozen=True)
class Usage:
    """How the model is used. `max_seq_len` bounds the context and sizes the key-value cache; prefill takes `chunk`
    tokens of each sequence at a time (None: all of them).

    `expert_load` says how many experts of a mixture a call wakes. `expected`: the mean when every token chooses its
    experts at random, rounded; `worst`: as many as the tokens can reach, so that the most weights are read. Tokens
    are spread over them as evenly as whole tokens go.
    """

    batch: int
    prompt: int
    generated: int
    max_seq_len: int
    precision: str = "fp16"
    free_attention_cut: bool = False
    chunk: int | None = None
    expert_load: str = EXPECTED

    def __post_init__(self) -> None:
        least = {"batch": 1, "prompt": 1, "generated": 0, "max_seq_len": 1, "chunk": 1}
        for name, bound in least.items():
            value = getattr(self, name)
            if value is not None and value < bound:
                raise InputError(f"use of the model, {name}", f"is {value}", f"at least {bound}")
        for name, known in (("precision", tuple(PRECISIONS)), ("expert_load", LOADS)):
            if getattr(self, name) not in known:
                raise InputError(f"use of the model, {name}", f"'{getattr(self, name)}'", ", ".join(known))
        if self.prompt > self.max_seq_len:
            found = f"prompt of {self.prompt} tokens is longer than the maximum context of {self.max_seq_len}"
            raise InputError("--input-seq-len", found, "at most --max-seq-len")

    @property
    def bytes_per_element(self) -> float:
        """Of weights, activations and cache alike."""
        return PRECISIONS[self.precision]

    @property
    def last_context(self) -> int:
        """Tokens of a sequence when the last one is generated."""
        return min(self.max_seq_len, self.prompt + self.generated)

    def chunks(self) -> Iterator[tuple[int, int]]:
        """(tokens, context) of every call of prefill."""
        size = self.chunk or self.prompt
        for begin in range(0, self.prompt, size):
            end = min(begin + size, self.prompt)
            yield end - begin, end


@dataclass(frozen=True)
class Speculation:
    """A draft model proposes `length` tokens, the model checks them in one call; each is accepted with probability
    `accept`, independently (Leviathan et al., ICML '23; SpecPIM, ASPLOS '24). Both models share the device."""

    draft: Model
    length: int
    accept: float

    @property
    def tokens(self) -> float:
        """Expected tokens of a round: (1 - a^(l+1)) / (1 - a), Eq. 1 of Leviathan et al."""
        return float(sum(self.accept**place for place in range(self.length + 1)))


def calls(op: LayerOperator, extents: Extents, usage: Usage, tokens: int, context: int) -> tuple[Call, ...]:
    """The GEMMs of an operator in one call of its layer; those of a mixture may have one row more or less.

    All tokens of a call are rows of the same GEMM: with a window they meet `window - 1 + tokens` tokens together.
    """
    seen = op.seen(context, tokens)
    gemm = Gemm(*(extent.at(usage.batch, tokens, seen) for extent in extents))
    if op.experts is None:
        return (Call(gemm),)
    active = active_experts(op, gemm.M, usage.expert_load)
    rows, more = divmod(gemm.M * op.experts.chosen, active)
    found = [Call(Gemm(active - more, rows, gemm.N, gemm.K))]
    return (*found, Call(Gemm(more, rows + 1, gemm.N, gemm.K))) if more else tuple(found)


def active_experts(op: LayerOperator, rows: int, load: str) -> int:
    """How many experts are woken when `rows` rows choose theirs."""
    assert op.experts is not None
    total, chosen = op.experts
    most = min(total, rows * chosen)
    if load == WORST:
        return most
    mean = total * (1.0 - (1.0 - chosen / total) ** rows)
    return min(max(round(mean), chosen), most)


def prefill_calls(op: LayerOperator, usage: Usage) -> tuple[Call, ...]:
    """All GEMMs of an operator in the prefill of one layer, equal ones together. One whose dimensions know nothing of
    tokens or context runs once a prompt, however many chunks that has."""
    once = not any(extent.tokens or extent.context for extent in op.prefill)
    chunks = [(usage.prompt, usage.prompt)] if once else usage.chunks()
    counted: Counter[Gemm] = Counter()
    for tokens, context in chunks:
        for gemm, times in calls(op, op.prefill, usage, tokens, context):
            counted[gemm] += int(times)
    return tuple(Call(gemm, times) for gemm, times in counted.items())


def decode_calls(op: LayerOperator, usage: Usage, tokens: int = 1) -> tuple[Call, ...]:
    """The GEMMs of an operator in one decode step of one layer, at the final context; `tokens` of each sequence."""
    return calls(op, op.decode, usage, tokens, max(usage.last_context, tokens))


def model_workload(model: Model, usage: Usage, speculation: Speculation | None = None) -> Workload:
    """One layer of each kind in a row, weighted by its share of the model's layers: the workload is the mean layer,
    and `layers` of them are the model. With `speculation` the draft's layers come first.

    Raises InputError where an operator cannot be computed with.
    """
    layers = sum(kind.count for kind in model.kinds if kind.name != HEAD) or 1
    turns = _turns("", model, 1.0, 1)
    if speculation is not None:
        rounds = 1.0 / speculation.tokens
        turns = _turns("draft", speculation.draft, speculation.length * rounds, 1)
        turns += _turns("target", model, rounds, speculation.length + 1)
    operators: list[Operator] = []
    edges: list[tuple[int, int]] = []
    sections: list[Section] = []
    for turn in turns:
        first, kind = len(operators), turn.kind
        if sections:
            # All of a layer comes before any of the next: whatever ends the one, before whatever begins the other.
            before = range(first - sections[-1].operators, first)
            ends = [i for i in before if not any(a == i for a, _ in edges)]
            edges += [(a, first + b) for a in ends for b in _begins(kind)]
        edges += [(first + a, first + b) for a, b in kind.edges]
        operators += [_operator(op, turn, kind.count / layers, usage, model.name) for op in kind.operators]
        sections.append(Section(turn.name, kind.count, len(kind.operators)))
    return Workload(
        name=model.name,
        operators=tuple(operators),
        edges=tuple(edges),
        batch=usage.batch,
        generated=usage.generated,
        bytes_per_element=usage.bytes_per_element,
        layers=layers,
        prompt=usage.prompt,
        max_context=usage.max_seq_len,
        sections=tuple(sections),
    )


class _Turn(NamedTuple):
    """Layers of one kind as they take part in a decode: under which name, in how many steps for each token that is
    generated, with how many tokens of a sequence in a step. An output head also keeps `embedding` elements."""

    kind: LayerKind
    name: str
    steps: float
    tokens: int
    embedding: int


def _turns(role: str, model: Model, steps: float, tokens: int) -> list[_Turn]:
    """Of all kinds of a model; a kind is named by the model's role, if it has one, and by itself, if there are more."""
    table = model.embedding
    apart = 0 if table is None or table.tied else table.rows * table.width
    several = len(model.kinds) > 1
    return [
        _Turn(kind, "/".join([role] * bool(role) + [kind.name] * several), steps, tokens, apart) for kind in model.kinds
    ]


def _begins(kind: LayerKind) -> list[int]:
    """The operators that wait for no other of their layer."""
    return [i for i in range(len(kind.operators)) if not any(b == i for _, b in kind.edges)]


def _operator(op: LayerOperator, turn: _Turn, share: float, usage: Usage, model: str) -> Operator:
    where = f"{model}, operator {op.name}"
    for axis, extent in zip("BMNK", op.decode, strict=True):
        if extent.context and (axis in "BM" or extent != Extent(context=True)):
            raise InputError(where, f"{axis} of its decode GEMM is {extent}", "the context alone, as N or K")
    axes = [axis for axis in "NK" if getattr(op.decode, axis).context]
    if len(axes) > 1:
        raise InputError(where, "N and K of its decode GEMM are both the context", "one of them at most")
    step = decode_calls(op, usage, turn.tokens)
    stored = (
        op.weights
        + op.cache * usage.batch * op.seen(usage.max_seq_len)
        + (turn.embedding if turn.kind.name == HEAD else 0)
    )
    heads = op.decode.B
    # Attention is cut between key-value heads, all sequences of a head together, unless that is freed.
    whole = op.kind == ATTENTION and heads.batch and heads.size > 1 and not usage.free_attention_cut
    return Operator(
        name=f"{turn.name}/{op.name}" if turn.name else op.name,
        kind=op.kind,
        prefill=tuple(Call(gemm, times * share) for gemm, times in prefill_calls(op, usage)),
        decode=step[0].gemm._replace(B=sum(call.gemm.B for call in step)),
        stored_bytes=turn.kind.count * stored * usage.bytes_per_element,
        granule=usage.batch if whole else 1,
        context_axis=axes[0] if axes else "",
        most_context=None if op.window is None else op.window - 1 + turn.tokens,
        longer=sum(call.gemm.B for call in step[1:]),
        decode_share=share * turn.steps,
    )
