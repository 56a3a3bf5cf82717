"""From a model to a workload: calls of prefill and decode, mixtures of experts, windows, kinds of layers, drafts."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from design.errors import InputError
from design.nmp.lowering import Speculation, Usage, calls, decode_calls, model_workload, prefill_calls
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
from design.nmp.workload import FFN, PROJECTION, Call, Gemm
from tests.cases import examples
from tests.design.nmp.small_models import layer, model

USE = Usage(batch=2, prompt=24, generated=8, max_seq_len=64)
QK, SV = attention_operators(8, 2, 16, 12)
WINDOWED = attention_operators(8, 2, 16, 12, window=10)[0]
EXPERT = weight_operator("e1", FFN, 48, 32, Experts(8, 3))


def macs(found: tuple[Call, ...]) -> int:
    """Of all calls."""
    return sum(int(call.times) * call.gemm.macs for call in found)


def test_plain_calls() -> None:
    """A weight matrix sees all tokens; the query heads of one key-value head are rows of one GEMM."""
    assert prefill_calls(weight_operator("q", PROJECTION, 48, 32), USE) == (Call(Gemm(1, 48, 48, 32), 1),)
    assert prefill_calls(QK, USE) == (Call(Gemm(4, 96, 24, 16), 1),)
    assert decode_calls(QK, USE) == (Call(Gemm(4, 4, 32, 16)),)
    assert decode_calls(SV, USE) == (Call(Gemm(4, 4, 12, 32)),)


@given(chunk=st.integers(1, 40), prompt=st.integers(1, 40), window=st.none() | st.integers(1, 30))
@examples(60)
def test_chunks(chunk: int, prompt: int, window: int | None) -> None:
    """Chunks share the tokens out; a query never meets fewer keys than it may see, nor more than its whole call."""
    use = replace(USE, prompt=prompt, chunk=chunk)
    whole = replace(use, chunk=None)
    q = weight_operator("q", PROJECTION, 48, 32)
    assert macs(prefill_calls(q, use)) == macs(prefill_calls(q, whole))
    qk = attention_operators(8, 2, 16, 16, window)[0]
    least = sum(min(place + 1, window or prompt) for place in range(prompt)) * 2 * 8 * 16
    assert least <= macs(prefill_calls(qk, use)) <= macs(prefill_calls(qk, whole))
    if chunk == 1:
        assert macs(prefill_calls(qk, use)) == least
    if chunk >= prompt:
        assert prefill_calls(qk, use) == prefill_calls(qk, whole)


def test_an_operator_without_tokens_runs_once_a_prompt() -> None:
    """The output head asks for the last token only, however many chunks the prompt has."""
    once = Extents(Extent(), Extent(batch=True), Extent(100), Extent(32))
    head = LayerOperator("lm_head", PROJECTION, once, once, weights=3200)
    assert prefill_calls(head, replace(USE, chunk=5)) == (Call(Gemm(1, 2, 100, 32), 1),)


@given(tokens=st.integers(1, 50), load=st.sampled_from(["expected", "worst"]), total=st.integers(1, 16), data=st.data())
@examples(100)
def test_experts(tokens: int, load: str, total: int, data: st.DataObject) -> None:
    """Every row goes through exactly as many experts as are chosen, spread as evenly as whole rows go."""
    chosen = data.draw(st.integers(1, total))
    op = weight_operator("e1", FFN, 48, 32, Experts(total, chosen))
    found = calls(op, op.prefill, replace(USE, expert_load=load), tokens, tokens)
    rows = Counter({call.gemm.M: call.gemm.B for call in found})
    assert sum(rows.elements()) == 2 * tokens * chosen
    assert max(rows) - min(rows) <= 1
    active, most = rows.total(), min(total, 2 * tokens * chosen)
    mean = total * (1 - (1 - chosen / total) ** (2 * tokens))
    assert active == most if load == "worst" else abs(active - min(mean, most)) <= 0.5 or active == chosen


def test_a_decode_step_of_experts() -> None:
    """Two tokens choose 3 of 8 each: 5 experts on average (4.875), one of which has two rows."""
    work = model_workload(Model("m", (LayerKind("layer", 4, (EXPERT,), ()),)), USE)
    (op,) = work.operators
    assert (op.decode, op.longer) == (Gemm(5, 1, 48, 32), 1)
    assert op.stored_bytes == 4 * 8 * 48 * 32 * 2.0


def test_a_window_ends_the_context() -> None:
    """What a token sees and what the cache holds both end at the window."""
    work = model_workload(Model("m", (LayerKind("layer", 4, (WINDOWED,), ()),)), USE)
    (op,) = work.operators
    assert op.decode == Gemm(4, 4, 10, 16)
    assert [op.decode_at(context).N for context in (5, 10, 11, 60)] == [5, 10, 10, 10]
    assert op.stored_bytes == 4 * (2 * 16) * 2 * 10 * 2.0


def test_kinds_are_weighted_by_their_layers() -> None:
    """The mean layer: each kind's calls count by its share of the layers, one kind after the other."""
    work = model_workload(model(3, 1), USE)
    assert work.layers == 4
    assert [(s.name, s.layers, s.operators) for s in work.sections] == [("one", 3, 3), ("two", 1, 3)]
    assert {op.name: op.decode_share for op in work.operators}["one/q"] == 0.75
    assert work.operators[0].prefill[0].times == 0.75 and work.operators[3].prefill[0].times == 0.25
    # `one` ends with qk; q and k of `two` begin it.
    assert {(2, 3), (2, 4)} <= set(work.edges)
    assert work.operators[0].stored_bytes == 3 * work.operators[3].stored_bytes


def test_speculation() -> None:
    """In a round the draft takes a step for each token, the target one for all; the tokens accepted share them."""
    target, draft = Model("t", (layer("layer", 8),)), Model("d", (layer("layer", 2),))
    work = model_workload(target, USE, Speculation(draft, 3, 0.5))
    tokens = 1 + 0.5 + 0.25 + 0.125
    assert Speculation(draft, 3, 0.5).tokens == tokens and Speculation(draft, 3, 1.0).tokens == 4
    by_name = {op.name: op for op in work.operators}
    assert by_name["draft/q"].decode.M == 2 and by_name["target/q"].decode.M == 2 * 4
    assert by_name["draft/q"].decode_share == pytest.approx(2 / 8 * 3 / tokens)
    assert by_name["target/q"].decode_share == pytest.approx(1 / tokens)
    assert by_name["draft/q"].prefill[0].times == 2 / 8 and by_name["target/q"].prefill[0].times == 1
    assert work.layers == 8


@pytest.mark.parametrize("tied", [True, False])
def test_the_embedding_lies_with_the_head(tied: bool) -> None:
    """Where it is a table of its own it takes memory, and nothing else; the head is no layer of the model."""
    head = LayerKind(HEAD, 1, (weight_operator("lm_head", PROJECTION, 100, 32),), ())
    work = model_workload(Model("m", (layer("layer", 4), head), Embedding(100, 32, tied)), USE)
    assert work.operators[-1].stored_bytes == 100 * 32 * 2.0 * (1 if tied else 2)
    assert work.layers == 4 and work.operators[-1].decode_share == 0.25


@pytest.mark.parametrize("axis", ["B", "M", "N"])
def test_a_context_in_the_wrong_place(axis: str) -> None:
    """The context is N or K of a decode GEMM and stands alone there."""
    good = QK.decode._asdict()
    bad = Extents(**(good | {axis: Extent(3, context=True)}))
    with pytest.raises(InputError, match=f"operator qk: {axis} of its decode GEMM is 3\\*context"):
        model_workload(Model("m", (LayerKind("layer", 1, (replace(QK, decode=bad),), ()),)), USE)


@pytest.mark.parametrize(
    ("change", "word"),
    [({"chunk": 0}, "chunk"), ({"expert_load": "best"}, "expert_load"), ({"precision": "fp8"}, "precision")],
)
def test_unusable_use(change: dict[str, object], word: str) -> None:
    """Each setting of the use has its bounds."""
    with pytest.raises(InputError, match=f"use of the model, {word}"):
        replace(USE, **change)  # type: ignore[arg-type]
