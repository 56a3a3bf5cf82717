"""Models read from configurations do as many multiply-accumulates as transformers does, operator by operator.

Small models of every family are run on torch's meta device, which computes nothing, under its counter of operations.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode

from design.nmp.lowering import Usage, decode_calls, prefill_calls
from design.nmp.model import Model
from design.nmp.workload import Call
from frontends.hugging_face import FAMILIES, read_config

BATCH, CHUNK = 3, 4
PROMPTS = (6, 12)
USUAL = {"vocab_size": 70, "hidden_size": 40, "num_hidden_layers": 3, "num_attention_heads": 4}
DENSE = {**USUAL, "num_key_value_heads": 2, "intermediate_size": 88}
GPT2 = {"vocab_size": 70, "n_embd": 40, "n_layer": 3, "n_head": 4}
MIXTURE = {"num_experts_per_tok": 2, "num_local_experts": 5}
LATENT = {"kv_lora_rank": 14, "qk_nope_head_dim": 6, "qk_rope_head_dim": 4, "v_head_dim": 7, "num_key_value_heads": 4}
DEEPSEEK = {
    **DENSE,
    **LATENT,
    **{"n_routed_experts": 8, "num_experts_per_tok": 3, "moe_intermediate_size": 18, "n_shared_experts": 2},
    **{"n_group": 2, "topk_group": 1, "first_k_dense_replace": 1},
}
# The windows are longer and shorter than prompts and contexts, and as long.
CASES: dict[str, dict[str, Any]] = {
    "opt": {**USUAL, "ffn_dim": 90},
    "llama": {**DENSE, "head_dim": 14},
    "mistral": {**DENSE, "sliding_window": 8},
    "mistral no-window": {**DENSE, "sliding_window": None, "head_dim": 6},
    "ministral": {
        **{**DENSE, "head_dim": 6, "sliding_window": 5},
        "layer_types": ["full_attention", "sliding_attention", "sliding_attention"],
    },
    "mixtral": {**DENSE, **MIXTURE, "sliding_window": 7},
    "qwen2": {**DENSE, "use_sliding_window": True, "sliding_window": 5, "max_window_layers": 1},
    "qwen3": {**DENSE, "head_dim": 12, "sliding_window": 5},
    "qwen3_moe": {
        **DENSE,
        **{"num_hidden_layers": 4, "head_dim": 12, "num_experts": 5, "num_experts_per_tok": 2},
        **{"moe_intermediate_size": 22, "mlp_only_layers": [1], "use_sliding_window": True, "sliding_window": 8},
    },
    "qwen3_moe step": {**DENSE, **MIXTURE, "moe_intermediate_size": 22, "decoder_sparse_step": 2},
    "gemma": {**DENSE, "head_dim": 14},
    "gemma2": {**DENSE, "head_dim": 14, "sliding_window": 8},
    "gemma3_text": {**DENSE, "head_dim": 14, "sliding_window": 5, "sliding_window_pattern": 3},
    "phi": {**DENSE, "partial_rotary_factor": 0.4},
    "phi3": {**DENSE, "sliding_window": 7, "pad_token_id": 0},
    "falcon": USUAL,
    "falcon grouped": {**USUAL, "new_decoder_architecture": True, "num_kv_heads": 2, "ffn_hidden_size": 90},
    "falcon in-turn": {**USUAL, "multi_query": False, "parallel_attn": False, "alibi": True},
    "gpt_neox": {**USUAL, "intermediate_size": 90},
    "gpt_neox in-turn": {**USUAL, "intermediate_size": 90, "use_parallel_residual": False},
    "deepseek_v2": {**DEEPSEEK, "q_lora_rank": None},
    "deepseek_v3": {**DEEPSEEK, "q_lora_rank": 22},
    "gpt_oss": {**DENSE, **MIXTURE, "head_dim": 14, "sliding_window": 5},
    "gpt2": {**GPT2, "n_inner": 90},
    "gpt_bigcode": GPT2,
    "gptj": {**GPT2, "rotary_dim": 4},
    "bloom": {**USUAL, "n_layer": 3, "n_head": 4},
    "mpt": {"vocab_size": 70, "d_model": 40, "n_layers": 3, "n_heads": 4},
    "starcoder2": {**DENSE, "sliding_window": 8},
    "cohere": DENSE,
    "cohere2": {**DENSE, "sliding_window": 5, "sliding_window_pattern": 2},
    "olmo": DENSE,
    "olmo2": {**DENSE, "head_dim": 14},
    "olmo3": {**DENSE, "num_hidden_layers": 4, "sliding_window": 8},
    "olmoe": {**DENSE, "num_experts": 5, "num_experts_per_tok": 2},
    "granite": {**DENSE, "tie_word_embeddings": True},
    "granitemoe": {**DENSE, **MIXTURE},
    "stablelm": {**DENSE, "use_parallel_residual": True},
    "nemotron": {**DENSE, "head_dim": 14},
    "glm": {**DENSE, "head_dim": 8, "pad_token_id": 0},
    "glm4": {**DENSE, "head_dim": 8, "pad_token_id": 0},
}
# The operators that a module of transformers does itself, by the end of its name; of several ends the longest counts.
# A plain up-projection is f1 where there is no f3.
DONE_BY = {
    **dict.fromkeys(("self_attn", "self_attention", "attention", "attn"), "qk sv"),
    **dict.fromkeys(("self_attn.out_proj", "attn.out_proj", "attn.c_proj", "self_attn.dense"), "o"),
    **dict.fromkeys(("self_attention.dense", "attention.dense", "o_proj"), "o"),
    **dict.fromkeys(("qkv_proj", "query_key_value", "c_attn", "Wqkv"), "qkv"),
    **{"q_proj": "q", "k_proj": "k", "v_proj": "v", "gate_up_proj": "f13", "lm_head": "lm_head"},
    **dict.fromkeys(("gate_proj", "fc1", "fc_in", "c_fc", "dense_h_to_4h"), "f1"),
    **{"up_proj": "f3"},
    **dict.fromkeys(("down_proj", "fc2", "fc_out", "mlp.c_proj", "dense_4h_to_h"), "f2"),
    **dict.fromkeys(("mlp.gate", "mlp.router", "block_sparse_moe.router"), "router"),
    **{"experts": "e13 e2", "shared_experts.gate_proj": "s1", "shared_experts.up_proj": "s3"},
    **{"shared_experts.down_proj": "s2"},
    **{"q_a_proj": "q_a", "q_b_proj": "q_b", "kv_a_proj_with_mqa": "kv_a", "kv_b_proj": "k_b v_b"},
}


class Run(NamedTuple):
    """Multiply-accumulates of a prompt and of the step after it, by operators; numbers in the cache in between."""

    prefill: Counter[str]
    decode: Counter[str]
    cached: int


class Built(NamedTuple):
    """A model of transformers, and what is read from its configuration."""

    config: Any
    network: Any
    model: Model

    @property
    def operators(self) -> dict[str, int]:
        """How many layers have an operator of that name."""
        return Counter({op.name: kind.count for kind in self.model.kinds for op in kind.operators})


@cache
def built(case: str, folder: Path) -> Built:
    """The model of a case; `folder` is where its configuration is written to be read."""
    config = transformers.AutoConfig.for_model(case.split()[0], **CASES[case])
    path = folder / f"{case}.json"
    config.to_json_file(path)
    with torch.device("meta"):
        network = transformers.AutoModelForCausalLM.from_config(
            config, attn_implementation="eager", experts_implementation="batched_mm"
        ).eval()
    return Built(config, network, read_config(path, latent="expanded", head=True))


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Every case in turn, built once."""
    return built(request.param, tmp_path_factory.getbasetemp())


def own(counts: dict[str, dict[Any, int]]) -> Iterator[tuple[str, int]]:
    """(module, operations that none of its parts did)."""
    totals = {name: sum(kinds.values()) for name, kinds in counts.items() if name != "Global"}
    within = {name: max((n for n in totals if name.startswith(f"{n}.")), key=len, default=None) for name in totals}
    for name, total in totals.items():
        yield name, total - sum(totals[part] for part, whole in within.items() if whole == name)


def operators_of(module: str, known: Iterable[str]) -> str:
    """Names of the operators that a module does."""
    ends = [end for end in DONE_BY if module.endswith(f".{end}")]
    names = DONE_BY[max(ends, key=len)]
    return "f1" if names == "f3" and "f3" not in known else names


def step(case: Built, tokens: int, past: Any) -> Counter[str]:
    """Multiply-accumulates of one call, by operators. Rotary positions are no operator of a layer."""
    ids = torch.zeros((BATCH, tokens), dtype=torch.long, device="meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        case.network(input_ids=ids, past_key_values=past, use_cache=True, logits_to_keep=1)
    found: Counter[str] = Counter()
    for module, count in own(counter.get_flop_counts()):
        if count and not module.endswith(".rotary_emb"):
            assert count % 2 == 0
            found[operators_of(module, case.operators)] += count // 2
    return found


def run(case: Built, prompt: int, chunk: int | None = None) -> Run:
    """A prompt, in chunks or at once, and one step. All but the last chunk's output head is work for nothing."""
    past = transformers.DynamicCache(config=case.config)
    prefill: Counter[str] = Counter()
    for tokens, context in usage(prompt, chunk).chunks():
        counts = step(case, tokens, past)
        prefill += Counter({names: n for names, n in counts.items() if names != "lm_head" or context == prompt})
    cached = sum(layer.keys.numel() + layer.values.numel() for layer in past.layers)
    return Run(prefill, step(case, 1, past), cached)


def usage(prompt: int, chunk: int | None = None) -> Usage:
    """That prompt, with one token to come."""
    return Usage(BATCH, prompt, 1, 100, chunk=chunk)


def macs(calls: tuple[Call, ...]) -> int:
    """Of all calls."""
    return sum(call.gemm.macs * int(call.times) for call in calls)


def ours(case: Built, prompt: int, like: Run, chunk: int | None = None) -> tuple[Counter[str], Counter[str]]:
    """Prefill and step by our account, operators put together as in the other one."""
    together = {name: names for names in (*like.prefill, *like.decode) for name in names.split()}
    prefill: Counter[str] = Counter()
    decode: Counter[str] = Counter()
    for kind in case.model.kinds:
        for op in kind.operators:
            prefill[together[op.name]] += kind.count * macs(prefill_calls(op, usage(prompt, chunk)))
            decode[together[op.name]] += kind.count * macs(decode_calls(op, usage(prompt)))
    return prefill, decode


def test_every_family_has_a_case() -> None:
    """None is read that was not counted."""
    assert {name.split()[0] for name in CASES} == set(FAMILIES)


@pytest.mark.parametrize("chunk", [None, CHUNK], ids=["at-once", "chunks"])
@pytest.mark.parametrize("prompt", PROMPTS)
def test_multiply_accumulates(case: Built, prompt: int, chunk: int | None) -> None:
    """The same for every operator, in prefill and in a step, with windows longer, shorter and as long as the context.

    Where attention is latent, transformers keeps the latent numbers and makes keys and values of the whole context
    anew in every call; the expanded form keeps keys and values: `k_b` and `v_b` do the new tokens only.
    """
    theirs = run(case, prompt, chunk)
    prefill, decode = ours(case, prompt, theirs, chunk)
    if "k_b" in case.operators:
        made = sum(context for _, context in usage(prompt, chunk).chunks())
        assert prefill["k_b v_b"] * made == theirs.prefill["k_b v_b"] * prompt
        assert decode["k_b v_b"] * (prompt + 1) == theirs.decode["k_b v_b"]
        for counts in (*theirs[:2], prefill, decode):
            del counts["k_b v_b"]
    assert prefill == theirs.prefill
    assert decode == theirs.decode


def test_cache(case: Built, tmp_path: Path) -> None:
    """As many numbers are kept as transformers keeps; where a window is full, one row that it has just forgotten."""
    absorbed = read_back(case, tmp_path) if "k_b" in case.operators else case.model
    prompt = 12
    expected = sum(
        kind.count * op.cache * BATCH * min(prompt, prompt if op.window is None else op.window - 1)
        for kind in absorbed.kinds
        for op in kind.operators
    )
    # Falcon's new architecture copies a shared key for all that share it, before it is kept.
    copies = case.config.num_attention_heads // 2 if getattr(case.config, "new_decoder_architecture", False) else 1
    assert run(case, prompt).cached == expected * copies


def read_back(case: Built, folder: Path) -> Model:
    """The model with latent attention in absorbed form."""
    path = folder / "config.json"
    case.config.to_json_file(path)
    return read_config(path, head=True)


def test_weights(case: Built) -> None:
    """As many as all matrices of the model have together; learnt positions aside."""
    theirs = sum(
        value.numel()
        for name, value in case.network.named_parameters()
        if value.dim() > 1 and not name.endswith("bias") and "wpe" not in name and "embed_positions" not in name
    )
    table = case.model.embedding
    apart = 0 if table is None or table.tied else table.rows * table.width
    assert apart + sum(kind.count * op.weights for kind in case.model.kinds for op in kind.operators) == theirs
