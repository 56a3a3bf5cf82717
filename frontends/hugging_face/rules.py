"""How families of models say what their layers are: each rule reads the fields that its families have."""

from __future__ import annotations

from collections.abc import Callable

from frontends.hugging_face.fields import Fields, kind
from frontends.hugging_face.shapes import Attention, FeedForward, Latent, Mixture

SLIDING, FULL = "sliding_attention", "full_attention"


def grouped(fields: Fields, fused: bool = False) -> Attention:
    """Heads share keys and values; a head's width is `head_dim`, or else the heads' share of `hidden_size`."""
    heads = fields.number("num_attention_heads")
    kv_heads = fields.optional("num_key_value_heads") or heads
    fields.divisor("num_key_value_heads", kv_heads, "num_attention_heads", heads)
    return Attention(heads, kv_heads, fields.optional("head_dim") or _share(fields, heads), fused)


def grouped_fused(fields: Fields) -> Attention:
    """The same with one matrix for q, k and v."""
    return grouped(fields, fused=True)


def grouped_shares(fields: Fields) -> Attention:
    """As `grouped`, but the width is the heads' share of `hidden_size`, whatever else the file says."""
    return grouped(fields)._replace(width=_share(fields, fields.number("num_attention_heads")))


def equal_heads(fields: Fields, fused: bool = False) -> Attention:
    """Every head has keys and values of its own, and its share of `hidden_size`."""
    heads = fields.number("num_attention_heads")
    return Attention(heads, heads, _share(fields, heads), fused)


def equal_heads_fused(fields: Fields) -> Attention:
    """The same with one matrix for q, k and v."""
    return equal_heads(fields, fused=True)


def falcon_heads(fields: Fields) -> Attention:
    """`num_kv_heads` counts in the new architecture only; before, all heads share one key and value, or none does."""
    every = equal_heads_fused(fields)
    if not fields.flag("new_decoder_architecture"):
        return every._replace(kv_heads=1) if fields.flag("multi_query") else every
    kv_heads = fields.optional("num_key_value_heads") or every.q_heads
    fields.divisor("num_key_value_heads", kv_heads, "num_attention_heads", every.q_heads)
    return every._replace(kv_heads=kv_heads)


def one_or_equal_heads(fields: Fields) -> Attention:
    """GPT-BigCode: all heads share one key and value, or none does."""
    every = equal_heads_fused(fields)
    return every._replace(kv_heads=1) if fields.flag("multi_query") else every


def latent(fields: Fields) -> Latent:
    """Multi-head latent attention."""
    return Latent(
        fields.number("num_attention_heads"),
        fields.optional("q_lora_rank"),
        fields.number("kv_lora_rank"),
        fields.number("qk_nope_head_dim"),
        fields.number("qk_rope_head_dim"),
        fields.number("v_head_dim"),
    )


def _share(fields: Fields, heads: int) -> int:
    hidden = fields.number("hidden_size")
    return hidden // fields.divisor("num_attention_heads", heads, "hidden_size", hidden)


def gated(fields: Fields, layer: int) -> FeedForward:
    """Gate and up apart."""
    return FeedForward(fields.number("intermediate_size"))


def gated_fused(fields: Fields, layer: int) -> FeedForward:
    """Gate and up in one matrix."""
    return FeedForward(fields.number("intermediate_size"), fused=True)


def plain(fields: Fields, layer: int) -> FeedForward:
    """No gate; four times `hidden_size` where nothing is said."""
    return FeedForward(fields.optional("intermediate_size") or 4 * fields.number("hidden_size"), gated=False)


def mixture(fields: Fields, layer: int) -> Mixture:
    """A mixture in every layer."""
    total = fields.number("num_experts")
    chosen = fields.number("num_experts_per_tok")
    if chosen > total:
        raise fields.wrong("num_experts_per_tok", f"is {chosen} of {total} experts", f"at most {total}")
    return Mixture(total, chosen, fields.number("moe_intermediate_size"))


def mixture_after(fields: Fields, layer: int) -> FeedForward | Mixture:
    """DeepSeek: dense layers first, then mixtures, with experts that all tokens share."""
    if layer < fields.number("first_k_dense_replace", least=0):
        return gated(fields, layer)
    every = mixture(fields, layer)
    return every._replace(shared=every.width * (fields.optional("n_shared_experts", least=0) or 0))


def mixture_at(fields: Fields, layer: int) -> FeedForward | Mixture:
    """Qwen: a mixture in every layer of a step, but for those that are said to be dense."""
    step = fields.number("decoder_sparse_step")
    if layer in fields.places("mlp_only_layers") or (layer + 1) % step or not fields.number("num_experts", least=0):
        return gated(fields, layer)
    return mixture(fields, layer)


def no_window(fields: Fields, layer: int) -> int | None:
    """All layers attend to all tokens before."""
    return None


def same_window(fields: Fields, layer: int) -> int | None:
    """`sliding_window` in all layers, null for none."""
    return fields.optional("sliding_window")


def switched_window(fields: Fields, layer: int) -> int | None:
    """`sliding_window` in all layers if it is to be used at all."""
    return fields.optional("sliding_window") if fields.flag("use_sliding_window") else None


def late_window(fields: Fields, layer: int) -> int | None:
    """Qwen: as `layer_types` say or else from layer `max_window_layers` on, if it is to be used at all."""
    if not fields.flag("use_sliding_window"):
        return None
    return _typed(fields, layer, layer >= fields.number("max_window_layers", least=0))


def typed_window(fields: Fields, layer: int) -> int | None:
    """As `layer_types` say, or else in all layers but every `sliding_window_pattern`-th."""
    return _typed(fields, layer, bool((layer + 1) % fields.number("sliding_window_pattern")))


def _typed(fields: Fields, layer: int, otherwise: bool) -> int | None:
    types, layers = fields.value("layer_types"), fields.number("num_hidden_layers")
    if types is None:
        return fields.optional("sliding_window") if otherwise else None
    if type(types) is not list or len(types) != layers:
        found = f"has {len(types)} entries" if type(types) is list else f"is {kind(types)}"
        raise fields.wrong("layer_types", found, f"one for each of the {layers} layers")
    if types[layer] not in (SLIDING, FULL):
        shown = f"'{types[layer][:40]}'" if type(types[layer]) is str else kind(types[layer])
        raise fields.wrong("layer_types", f"layer {layer} is {shown}", f"{SLIDING} or {FULL}")
    return fields.optional("sliding_window") if types[layer] == SLIDING else None


def in_turn(fields: Fields) -> bool:
    """The feed-forward network after the attention."""
    return False


def side_by_side(fields: Fields) -> bool:
    """Both at once."""
    return True


def as_said(name: str) -> Callable[[Fields], bool]:
    """Both at once where the field says so."""
    return lambda fields: fields.flag(name)


def falcon_parallel(fields: Fields) -> bool:
    """Both at once where either field says so."""
    return fields.flag("new_decoder_architecture") or fields.flag("parallel_attn")
