"""Backbone `tiny`: a small decoder of our own, with the program part encoded once and shared by all designs.

Llama-like blocks (RMS norm, rotary positions), tied embeddings. A digit's embedding is its own row plus a linear map
of what it is worth, so that 4 starts out between 3 and 5. The program part sees all of itself; a design sees the
program and what of itself comes before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from cost_model.surrogates.lm.backbones.base import Backbone
from cost_model.surrogates.lm.backbones.kv_cache import Memory, Pair, Past
from cost_model.views.tokens import DIGITS, IDS, VOCABULARY

WORTH = 8  # numbers that say what a digit or an exponent is worth


@dataclass(frozen=True)
class TinyConfig:
    """Sizes. `width` is a multiple of `heads`."""

    width: int = 128
    layers: int = 4
    heads: int = 4
    dropout: float = 0.1
    context: int = 4096


class Block(nn.Module):
    """Attention and a feed-forward net, each on a normed input and added to it."""

    def __init__(self, config: TinyConfig) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.before, self.between = nn.RMSNorm(width), nn.RMSNorm(width)
        self.attend, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.up, self.down = nn.Linear(width, 4 * width, bias=False), nn.Linear(4 * width, width, bias=False)
        self.drop = nn.Dropout(config.dropout)

    def project(self, x: Tensor, turn: Pair) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values (batch, heads, tokens, size) of x (batch, tokens, width)."""
        batch, tokens, width = x.shape
        parts = self.attend(self.before(x)).view(batch, tokens, 3, self.heads, width // self.heads)
        parts = parts.permute(2, 0, 3, 1, 4)
        queries, keys = _turned(parts[:2], turn)
        return queries, keys, parts[2]

    def finish(self, x: Tensor, seen: Tensor) -> Tensor:
        """x with what attention saw (batch, heads, tokens, size), and the feed-forward net's word on it."""
        x = x + self.drop(self.out(seen.transpose(1, 2).reshape(x.shape)))
        found: Tensor = x + self.drop(self.down(functional.gelu(self.up(self.between(x)))))
        return found


class Tiny(Backbone):
    """The decoder. All its methods are deterministic when dropout is off."""

    def __init__(self, config: TinyConfig) -> None:
        super().__init__()
        self.config = config
        self.rows = nn.Embedding(len(VOCABULARY), config.width)
        self.worth_in = nn.Linear(WORTH, config.width, bias=False)
        self.worth_out = nn.Linear(WORTH, config.width, bias=False)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self._layers: list[Block] = list(self.blocks)  # type: ignore[arg-type]
        self.last, self.drop = nn.RMSNorm(config.width), nn.Dropout(config.dropout)
        size = config.width // config.heads // 2
        self._pace, self._worth = 10000.0 ** (-torch.arange(size) / size), _worth()
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                added = name.endswith(("out.weight", "down.weight")) and name.startswith("blocks")
                scale = 0.05 if name.startswith("worth") else 0.02
                nn.init.normal_(weight, std=scale / math.sqrt(2 * config.layers) if added else scale)

    def program(self, tokens: Tensor) -> Memory:
        """See `Backbone`. All of the program sees all of it."""
        x = self.drop(self._embedded(tokens))[None]
        turn = self._turn(torch.arange(len(tokens)))
        memory = []
        for block in self._layers:
            queries, keys, values = block.project(x, turn)
            memory.append((keys, values))
            x = block.finish(x, functional.scaled_dot_product_attention(queries, keys, values))
        return memory

    def behind(self, past: Past, tokens: Tensor, places: Tensor, mask: Tensor) -> Tensor:
        """See `Backbone`."""
        x = self.drop(self._embedded(tokens))
        turn = self._turn(places)
        turn = (turn[0][:, None], turn[1][:, None])
        for layer, block in enumerate(self._layers):
            queries, keys, values = block.project(x, turn)
            keys, values = past.joined(layer, keys, values)
            x = block.finish(x, functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask[:, None]))
        found: Tensor = self.last(x)
        return found

    def logits(self, states: Tensor, tokens: Tensor) -> Tensor:
        """See `Backbone`."""
        weights = self.rows.weight[tokens] + self.worth_out(self._worth[tokens])
        found: Tensor = states @ weights.T
        return found

    def kept(self) -> dict[str, Tensor]:
        """All of it."""
        return dict(self.state_dict())

    def _embedded(self, tokens: Tensor) -> Tensor:
        found: Tensor = self.rows(tokens) + self.worth_in(self._worth[tokens])
        return found

    def _turn(self, places: Tensor) -> Pair:
        angles = places[..., None].float() * self._pace
        return angles.cos(), angles.sin()


def _turned(x: Tensor, turn: Pair) -> Tensor:
    """Rotary positions (Su et al., RoFormer, 2021) by halves."""
    half = x.shape[-1] // 2
    first, second = x[..., :half], x[..., half:]
    cosine, sine = turn
    return torch.cat([first * cosine - second * sine, first * sine + second * cosine], dim=-1)


def _worth() -> Tensor:
    """(vocabulary, WORTH): of digits their value and its logarithm, of exponents theirs; nothing of other tokens."""
    found = torch.zeros(len(VOCABULARY), WORTH)
    for digit, token in enumerate(DIGITS):
        middle = digit / 9 - 0.5
        found[IDS[token], :4] = torch.tensor([1.0, middle, math.log10(max(digit, 0.5)), middle**2])
    for power in range(16):
        found[IDS[f"E{power}"], 4:] = torch.tensor([1.0, power / 7 - 1, math.sin(power), math.cos(power)])
    return found
