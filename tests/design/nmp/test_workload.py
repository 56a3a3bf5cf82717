"""The shipped models as workloads: the table of GEMMs of section 1 of the reference, and what they store."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from design.errors import InputError
from design.nmp.lowering import Usage
from design.nmp.workload import ATTENTION, FFN, PROJECTION, Gemm, Operator, Workload, once
from tests.cases import MODELS, examples, model_workload

D = 4096
SHAPES = {"opt-6.7b": (16384, 32, 32), "llama3-8b": (14336, 32, 8), "palm-8b": (16384, 16, 1)}  # f, h_q, h_kv
ATTENDING = {("q", "qk"), ("k", "qk"), ("qk", "sv"), ("v", "sv"), ("sv", "o")}
EDGES = {
    "opt-6.7b": ATTENDING | {("o", "f1"), ("f1", "f2")},
    "llama3-8b": ATTENDING | {("o", "f1"), ("o", "f3"), ("f1", "f2"), ("f3", "f2")},
    "palm-8b": ATTENDING | {("f1", "f2"), ("f3", "f2")},
}


def table(model: str, b: int, tokens: int, context: int) -> dict[str, Gemm]:
    """B, M, N, K as the reference tabulates them."""
    f, h_q, h_kv = SHAPES[model]
    d_h = D // h_q
    rows = {
        **{name: Gemm(1, b * tokens, D, D) for name in ("q", "o")},
        **{name: Gemm(1, b * tokens, d_h * h_kv, D) for name in ("k", "v")},
        **{name: Gemm(1, b * tokens, f, D) for name in ("f1", "f3")},
        "f2": Gemm(1, b * tokens, D, f),
        "qk": Gemm(b * h_kv, tokens * h_q // h_kv, context, d_h),
        "sv": Gemm(b * h_kv, tokens * h_q // h_kv, d_h, context),
    }
    if model == "opt-6.7b":
        del rows["f3"]
    return rows


@pytest.mark.parametrize("model", MODELS)
@examples(25)
@given(b=st.sampled_from([1, 2, 16]), prompt=st.integers(1, 2048), generated=st.integers(0, 3000))
def test_gemms(model: str, b: int, prompt: int, generated: int) -> None:
    """Prefill over the prompt; decode of one token at the final context, which the longest sequence bounds."""
    workload = model_workload(model, batch=b, prompt=prompt, generated=generated)
    context = min(2048, prompt + generated)
    assert {op.name: op.prefill[0].gemm for op in workload.operators} == table(model, b, prompt, prompt)
    assert {op.name: op.decode for op in workload.operators} == table(model, b, 1, context)
    assert (workload.batch, workload.generated) == (b, generated)


@pytest.mark.parametrize("model", MODELS)
def test_graph(model: str) -> None:
    """The edges of the reference, by name; operators of three kinds; producers come first."""
    workload = model_workload(model)
    names = [op.name for op in workload.operators]
    assert {(names[a], names[b]) for a, b in workload.edges} == EDGES[model]
    kinds = {op.name: op.kind for op in workload.operators}
    for name, kind in kinds.items():
        assert kind == (PROJECTION if name in tuple("qkvo") else FFN if name.startswith("f") else ATTENTION)
    order = workload.order()
    assert sorted(order) == list(range(len(names)))
    assert all(order.index(a) < order.index(b) for a, b in workload.edges)


def test_stored_bytes_of_opt() -> None:
    """OPT-6.7B at batch 16 needs 28,672 MiB in all: 12,288 of weights and 16,384 of cache for 2,048 tokens."""
    workload = model_workload("opt-6.7b", batch=16)
    stored = {op.name: op.stored_bytes / 2**20 for op in workload.operators}
    assert sum(stored.values()) == 28_672
    assert stored["qk"] == stored["sv"] == 8192 and stored["q"] == 1024 and stored["f1"] == stored["f2"] == 4096


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("precision", "e"), [("fp16", 2.0), ("int8", 1.0), ("int4", 0.5)])
def test_stored_bytes(model: str, precision: str, e: float) -> None:
    """Weights of all layers whatever the use; the cache at the longest sequence, whatever the context."""
    _, h_q, h_kv = SHAPES[model]
    for batch, prompt in ((1, 10), (4, 2000)):
        workload = model_workload(model, batch=batch, prompt=prompt, precision=precision)
        for op in workload.operators:
            cache = batch * h_kv * 2048 * (D // h_q)
            elements = cache if op.kind == ATTENTION else op.decode.N * op.decode.K
            assert op.stored_bytes == 32 * elements * e


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("free", [False, True])
def test_cuts(model: str, free: bool) -> None:
    """Attention is cut by whole key-value heads where there are several and they are not freed; at batch 1 with one
    such head by columns; other operators by columns."""
    heads = SHAPES[model][2]
    for batch in (1, 4):
        for op in model_workload(model, batch=batch, free_attention_cut=free).operators:
            attention = op.kind == ATTENTION
            assert op.extent == (batch * heads if attention and batch * heads > 1 else op.decode.N)
            assert op.granule == (batch if attention and heads > 1 and not free else 1)
            assert op.steps * op.granule == op.extent


def operator(**change: object) -> Operator:
    """A small sound operator, changed."""
    fields = {
        "name": "a",
        "kind": FFN,
        "prefill": once(Gemm(1, 2, 3, 4)),
        "decode": Gemm(1, 2, 6, 4),
        "stored_bytes": 1.0,
    }
    return Operator(**(fields | change))  # type: ignore[arg-type]


@pytest.mark.parametrize("gemm", [Gemm(0, 1, 1, 1), Gemm(1, -1, 1, 1), Gemm(2**20, 2**20, 2**14, 1)], ids=str)
@pytest.mark.parametrize("phase", ["prefill", "decode"])
def test_a_gemm_that_cannot_be_computed_with(phase: str, gemm: Gemm) -> None:
    """Empty, negative, or with more multiply-accumulates than a float counts: refused by operator and phase."""
    with pytest.raises(InputError, match=f"^toy, operator a: {phase} GEMM is"):
        Workload("toy", (operator(**{phase: gemm if phase == "decode" else once(gemm)}),), (), 1, 1, 2.0)


@pytest.mark.parametrize("granule", [0, -1, 4, 7])
def test_a_granule_that_does_not_divide(granule: int) -> None:
    """Cuts are whole multiples of a divisor of the extent."""
    with pytest.raises(InputError, match="operator a: cuts in multiples"):
        Workload("toy", (operator(granule=granule),), (), 1, 1, 2.0)


@pytest.mark.parametrize("edges", [((0, 0),), ((0, 1), (1, 0)), ((0, 1), (1, 2), (2, 0))])
def test_a_cycle(edges: tuple[tuple[int, int], ...]) -> None:
    """Operators that wait for each other are refused."""
    with pytest.raises(InputError, match="wait for each other in a cycle"):
        Workload("toy", (operator(), operator(), operator()), edges, 1, 1, 2.0)


@pytest.mark.parametrize("count", [0, 63])
def test_too_few_or_too_many_operators(count: int) -> None:
    """1 to 62."""
    with pytest.raises(InputError, match=f"has {count} operators"):
        Workload("toy", (operator(),) * count, (), 1, 1, 2.0)


@examples(100)
@given(st.integers(1, 8), st.data())
def test_order(count: int, data: st.DataObject) -> None:
    """The order of any acyclic graph is a topological one, the smallest ready operator first."""
    rank = data.draw(st.permutations(range(count)))
    every = [(a, b) for a in range(count) for b in range(count) if rank[a] < rank[b]]
    edges = tuple(data.draw(st.lists(st.sampled_from(every)))) if every else ()
    order = Workload("toy", (operator(),) * count, edges, 1, 1, 2.0).order()
    done: set[int] = set()
    for chosen in order:
        ready = [i for i in range(count) if i not in done and all(a in done for a, b in edges if b == i)]
        assert chosen == min(ready)
        done.add(chosen)
    assert len(order) == count


@pytest.mark.parametrize("precision", ["fp8", "", "FP16"])
def test_an_unknown_precision(precision: str) -> None:
    """Elements have 2, 1 or half a byte; nothing else is priced."""
    with pytest.raises((InputError, KeyError)):
        model_workload(precision=precision)


def test_a_prompt_longer_than_the_longest_sequence() -> None:
    """Refused where the use is stated; as long is allowed."""
    assert Usage(1, 2048, 1, 2048).prompt == 2048
    with pytest.raises(InputError, match="--input-seq-len: prompt of 2049 tokens"):
        Usage(1, 2049, 1, 2048)
