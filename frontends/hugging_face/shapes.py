"""What a layer is made of, before it is operators: attention, feed-forward network and how they stand together."""

from __future__ import annotations

from typing import NamedTuple


class Attention(NamedTuple):
    """Grouped-query attention, with heads of `width`; `fused`: q, k and v are one matrix."""

    q_heads: int
    kv_heads: int
    width: int
    fused: bool = False


class Latent(NamedTuple):
    """Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434): keys and values of all heads are made of `kv_rank`
    numbers of a token, beside `rope` ones with its position that all heads share; queries of `q_rank` numbers, or
    straight of the token (None). A head's query and key are `nope` + `rope` wide, its value `value`."""

    heads: int
    q_rank: int | None
    kv_rank: int
    nope: int
    rope: int
    value: int


class FeedForward(NamedTuple):
    """One up, one down, and with `gated` a gate beside the up; `fused`: gate and up are one matrix."""

    width: int
    gated: bool = True
    fused: bool = False


class Mixture(NamedTuple):
    """`chosen` of `total` gated networks of `width` for each token, gate and up in one matrix, and one of width
    `shared` (0: none), with gate and up apart, for all."""

    total: int
    chosen: int
    width: int
    shared: int = 0


class Layer(NamedTuple):
    """One layer. With a `window` a token attends to that many tokens at most, itself included; `parallel`: the
    feed-forward network takes what the attention takes, and does not wait for it."""

    hidden: int
    attention: Attention | Latent
    ffn: FeedForward | Mixture
    window: int | None = None
    parallel: bool = False
