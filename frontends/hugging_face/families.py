"""The families of models, by `model_type`: what a configuration class of transformers 5.23 has where a file is silent,
and the rules by which its layers are made. A family is one entry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from frontends.hugging_face import rules
from frontends.hugging_face.fields import Fields
from frontends.hugging_face.shapes import Attention, FeedForward, Latent, Mixture

Defaults = dict[str, Any]


def sizes(vocab: int, hidden: int, ffn: int | None, layers: int, heads: int, kv_heads: int | None = None) -> Defaults:
    """The defaults that every class has, by their usual names; None is null. `head_dim` and `layer_types` may be in a
    file even where the class has none; embedding and output head share weights only where a family says so."""
    names = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    found = dict(zip(names, (vocab, hidden, ffn, layers, heads), strict=True))
    usual = {"num_key_value_heads": kv_heads, "head_dim": None, "layer_types": None, "tie_word_embeddings": False}
    return {**found, **usual}


@dataclass(frozen=True)
class Family:
    """A family: `defaults` of fields, the `names` of a field where it has others than ours, the rules for attention,
    feed-forward network and window of a layer and for whether the first two are `parallel`. Fields that turn a model
    into something else `must`, if given, have the value that is stated here. Rules raise InputError for what they
    cannot use.
    """

    defaults: Defaults
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    attention: Callable[[Fields], Attention | Latent] = rules.grouped
    ffn: Callable[[Fields, int], FeedForward | Mixture] = rules.gated
    window: Callable[[Fields, int], int | None] = rules.no_window
    parallel: Callable[[Fields], bool] = rules.in_turn
    must: Mapping[str, Any] = field(default_factory=dict)


TIED: Defaults = {"tie_word_embeddings": True}
CAUSAL: Defaults = {"use_bidirectional_attention": False}
QWEN_WINDOW: Defaults = {"use_sliding_window": False, "sliding_window": 4096, "max_window_layers": 28}
GPT2_NAMES = {
    "hidden_size": ("n_embd", "hidden_size"),
    "num_hidden_layers": ("n_layer", "num_hidden_layers"),
    "num_attention_heads": ("n_head", "num_attention_heads"),
    "intermediate_size": ("n_inner",),
}
EXPERTS = ("num_local_experts", "num_experts")
ONE_WIDTH = {"num_experts": EXPERTS, "moe_intermediate_size": ("intermediate_size",)}  # no layer is dense
ROUTED = {"num_experts": ("n_routed_experts", *EXPERTS)}
DEEPSEEK: Defaults = {
    "kv_lora_rank": 512,
    "q_lora_rank": 1536,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
}

FAMILIES: dict[str, Family] = {
    "opt": Family(
        sizes(50272, 768, 3072, 12, 12) | TIED | {"word_embed_proj_dim": None},
        names={"intermediate_size": ("ffn_dim",)},
        attention=rules.equal_heads,
        ffn=rules.plain,
    ),
    "llama": Family(sizes(32000, 4096, 11008, 32, 32)),
    "mistral": Family(sizes(32000, 4096, 14336, 32, 32, 8) | {"sliding_window": 4096}, window=rules.same_window),
    "ministral": Family(
        sizes(32000, 4096, 14336, 32, 32, 8) | {"sliding_window": 4096, "sliding_window_pattern": 2**31},
        names={"sliding_window_pattern": ()},
        window=rules.typed_window,
    ),
    "mixtral": Family(
        sizes(32000, 4096, None, 32, 32, 8)
        | {"sliding_window": None, "num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 14336},
        names=ONE_WIDTH,
        ffn=rules.mixture,
        window=rules.same_window,
    ),
    "qwen2": Family(sizes(151936, 4096, 22016, 32, 32, 32) | QWEN_WINDOW, window=rules.late_window),
    "qwen3": Family(sizes(151936, 4096, 22016, 32, 32, 32) | QWEN_WINDOW | {"head_dim": 128}, window=rules.late_window),
    "qwen3_moe": Family(
        sizes(151936, 2048, 6144, 24, 32, 4)
        | {"use_sliding_window": False, "sliding_window": 4096, "decoder_sparse_step": 1, "mlp_only_layers": None}
        | {"num_experts": 128, "num_experts_per_tok": 8, "moe_intermediate_size": 768},
        names={"num_experts": EXPERTS},
        ffn=rules.mixture_at,
        window=rules.switched_window,
    ),
    "gemma": Family(sizes(256000, 3072, 24576, 28, 16, 16) | TIED | {"head_dim": 256}, must=CAUSAL),
    "gemma2": Family(
        sizes(256000, 2304, 9216, 26, 8, 4)
        | TIED
        | {"head_dim": 256, "sliding_window": 4096, "sliding_window_pattern": 2},
        names={"sliding_window_pattern": ()},
        window=rules.typed_window,
        must=CAUSAL,
    ),
    "gemma3_text": Family(
        sizes(262208, 2304, 9216, 26, 8, 4)
        | TIED
        | {"head_dim": 256, "sliding_window": 4096, "sliding_window_pattern": 6},
        window=rules.typed_window,
        must=CAUSAL,
    ),
    "phi": Family(
        sizes(51200, 2048, 8192, 24, 32),
        ffn=rules.plain,
        parallel=rules.side_by_side,
    ),
    "phi3": Family(
        sizes(32064, 3072, 8192, 32, 32) | {"sliding_window": None},
        attention=rules.grouped_fused,
        ffn=rules.gated_fused,
        window=rules.same_window,
    ),
    "falcon": Family(
        sizes(65024, 4544, None, 32, 71)
        | TIED
        | {"new_decoder_architecture": False, "multi_query": True, "parallel_attn": True},
        names={
            "hidden_size": ("hidden_size", "n_embed"),
            "intermediate_size": ("ffn_hidden_size",),
            "num_hidden_layers": ("num_hidden_layers", "n_layer"),
            "num_attention_heads": ("num_attention_heads", "n_head"),
            "num_key_value_heads": ("num_kv_heads", "n_head_kv"),
        },
        attention=rules.falcon_heads,
        ffn=rules.plain,
        parallel=rules.falcon_parallel,
    ),
    "gpt_neox": Family(
        sizes(50432, 6144, 24576, 44, 64) | {"use_parallel_residual": True},
        attention=rules.equal_heads_fused,
        ffn=rules.plain,
        parallel=rules.as_said("use_parallel_residual"),
    ),
    "deepseek_v2": Family(
        sizes(102400, 4096, 11008, 32, 32)
        | DEEPSEEK
        | {"num_experts": 64, "num_experts_per_tok": None, "moe_intermediate_size": 1407}
        | {"first_k_dense_replace": 0, "n_shared_experts": 2},
        names=ROUTED,
        attention=rules.latent,
        ffn=rules.mixture_after,
        must={"moe_layer_freq": 1},
    ),
    "deepseek_v3": Family(
        sizes(129280, 7168, 18432, 61, 128)
        | DEEPSEEK
        | {"num_experts": 256, "num_experts_per_tok": 8, "moe_intermediate_size": 2048}
        | {"first_k_dense_replace": 3, "n_shared_experts": 1},
        names=ROUTED,
        attention=rules.latent,
        ffn=rules.mixture_after,
        must={"moe_layer_freq": 1},
    ),
    "gpt_oss": Family(
        sizes(201088, 2880, None, 36, 64, 8)
        | {"head_dim": 64, "sliding_window": 128, "sliding_window_pattern": 2}
        | {"num_experts": 128, "num_experts_per_tok": 4, "moe_intermediate_size": 2880},
        names=ONE_WIDTH
        | {"num_experts_per_tok": ("num_experts_per_tok", "experts_per_token"), "sliding_window_pattern": ()},
        ffn=rules.mixture,
        window=rules.typed_window,
    ),
    "gpt2": Family(
        sizes(50257, 768, None, 12, 12) | TIED,
        names=GPT2_NAMES,
        attention=rules.equal_heads_fused,
        ffn=rules.plain,
        must={"add_cross_attention": False},
    ),
    "gpt_bigcode": Family(
        sizes(50257, 768, None, 12, 12) | TIED | {"multi_query": True},
        names=GPT2_NAMES,
        attention=rules.one_or_equal_heads,
        ffn=rules.plain,
        must={"add_cross_attention": False},
    ),
    "gptj": Family(
        sizes(50400, 4096, None, 28, 16),
        names=GPT2_NAMES,
        attention=rules.equal_heads,
        ffn=rules.plain,
        parallel=rules.side_by_side,
    ),
    "bloom": Family(
        sizes(250880, 64, None, 2, 8) | TIED,
        names=GPT2_NAMES | {"hidden_size": ("hidden_size", "n_embed"), "intermediate_size": ()},
        attention=rules.equal_heads_fused,
        ffn=rules.plain,
    ),
    "mpt": Family(
        sizes(50368, 2048, None, 24, 16) | TIED,
        names={
            "hidden_size": ("d_model", "hidden_size"),
            "num_hidden_layers": ("n_layers", "num_hidden_layers"),
            "num_attention_heads": ("n_heads", "num_attention_heads"),
            "intermediate_size": (),
        },
        attention=rules.equal_heads_fused,
        ffn=rules.plain,
        must={"expansion_ratio": 4},
    ),
    "starcoder2": Family(
        sizes(49152, 3072, 12288, 30, 24, 2) | TIED | {"sliding_window": None},
        ffn=rules.plain,
        window=rules.same_window,
    ),
    "cohere": Family(sizes(256000, 8192, 22528, 40, 64) | TIED, parallel=rules.side_by_side),
    "cohere2": Family(
        sizes(256000, 8192, 22528, 40, 64) | TIED | {"sliding_window": 4096, "sliding_window_pattern": 4},
        attention=rules.grouped_shares,
        window=rules.typed_window,
        parallel=rules.side_by_side,
    ),
    "olmo": Family(sizes(50304, 4096, 11008, 32, 32)),
    "olmo2": Family(sizes(50304, 4096, 11008, 32, 32)),
    "olmo3": Family(
        sizes(50304, 4096, 11008, 32, 32) | {"sliding_window": 4096, "sliding_window_pattern": 4},
        names={"sliding_window_pattern": ()},
        window=rules.typed_window,
    ),
    "olmoe": Family(
        sizes(50304, 2048, None, 16, 16) | {"num_experts": 64, "num_experts_per_tok": 8, "moe_intermediate_size": 2048},
        names=ONE_WIDTH,
        ffn=rules.mixture,
    ),
    "granite": Family(sizes(32000, 4096, 11008, 32, 32)),
    "granitemoe": Family(
        sizes(32000, 4096, None, 32, 32) | {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 11008},
        names=ONE_WIDTH,
        ffn=rules.mixture,
    ),
    "stablelm": Family(
        sizes(50304, 2560, 6912, 32, 32, 32) | {"use_parallel_residual": False},
        attention=rules.grouped_shares,
        parallel=rules.as_said("use_parallel_residual"),
    ),
    "nemotron": Family(sizes(256000, 6144, 24576, 32, 48), ffn=rules.plain),
    "glm": Family(sizes(151552, 4096, 13696, 40, 32, 2) | {"head_dim": 128}, ffn=rules.gated_fused),
    "glm4": Family(sizes(151552, 4096, 13696, 40, 32, 2) | {"head_dim": 128}, ffn=rules.gated_fused),
}
