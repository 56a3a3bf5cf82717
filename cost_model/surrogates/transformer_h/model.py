"""The transformer itself: decoder-only, a kernel's tokens first, so that all its designs share what they encode to.

Shapes: K kernels, each with P tokens of its own and B designs of S tokens; D is the width, H the heads. A token sees
the kernel's tokens before it and its own design's tokens before it, never another design.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from cost_model.views.hls.matrix_input import (
    DESIGN_WIDTHS,
    ESTIMATE,
    KERNEL_WIDTH,
    LOOP_WIDTH,
    PLACES,
    TOOLS,
)


@dataclass(frozen=True)
class Shape:
    """Of a model: `width` of its embeddings, a multiple of `heads`, and how many `layers` and `outputs`. Raises
    ValueError for one that cannot be."""

    width: int = 64
    layers: int = 3
    heads: int = 4
    outputs: int = 6

    def __post_init__(self) -> None:
        if min(self.width, self.layers, self.heads) < 1 or self.outputs < 2 or self.width % self.heads:
            raise ValueError(f"no model has {self}")


@dataclass(frozen=True)
class Regular:
    """What keeps training from learning kernels by heart: `dropout` within layers, `forget` the share of a kernel's
    tokens that a design does not see, `noise` in standard deviations on what is told of kernels."""

    dropout: float = 0.1
    forget: float = 0.1
    noise: float = 0.1


@dataclass(frozen=True)
class Memory:
    """What later tokens see of a kernel: keys and values by layer, (K, H, P, D / H) each, and which are `there`
    (K, P)."""

    layers: tuple[tuple[Tensor, Tensor], ...]
    there: Tensor


class Layer(nn.Module):
    """Attention, then two linear maps, each on normalised input and added to it."""

    def __init__(self, shape: Shape, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = shape.heads, dropout
        self.before, self.between = nn.LayerNorm(shape.width), nn.LayerNorm(shape.width)
        self.mixing = nn.Linear(shape.width, 3 * shape.width)
        self.joining = nn.Linear(shape.width, shape.width)
        self.wider = nn.Linear(shape.width, 2 * shape.width)
        self.narrower = nn.Linear(2 * shape.width, shape.width)

    def forward(self, x: Tensor, past: tuple[Tensor, Tensor], unseen: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """x (K, B, S, D); past keys and values (K, H, P, D / H); unseen (K, 1, 1, S, P + S) is 0 where a
        token sees another and minus infinity elsewhere. Returns the new x and
        its own keys and values (K, H, B, S, D / H)."""
        kernels, batch, count, width = x.shape
        mixed = self.mixing(self.before(x)).view(kernels, batch, count, 3, self.heads, width // self.heads)
        query, key, value = mixed.permute(3, 0, 4, 1, 2, 5)  # (K, H, B, S, D / H) each
        query = query * (width // self.heads) ** -0.5
        to_past = (query.flatten(2, 3) @ past[0].transpose(-1, -2)).unflatten(2, (batch, count))
        scores = torch.cat([to_past, query @ key.transpose(-1, -2)], dim=-1)
        weights = torch.softmax(scores + unseen, dim=-1)
        length = past[0].shape[2]
        told = (weights[..., :length].flatten(2, 3) @ past[1]).unflatten(2, (batch, count))
        told = told + weights[..., length:] @ value
        x = x + self._drop(self.joining(told.permute(0, 2, 3, 1, 4).flatten(3)))
        x = x + self._drop(self.narrower(functional.gelu(self.wider(self.between(x)))))
        return x, (key, value)

    def _drop(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.dropout, self.training)


class TransformerH(nn.Module):
    """`encode` a kernel once, then `answer` for its designs. What regularises is active in training mode only."""

    def __init__(self, shape: Shape, regular: Regular | None = None) -> None:
        super().__init__()
        self.shape, self.regular = shape, regular or Regular()
        self.kernel, self.loop = nn.Linear(KERNEL_WIDTH, shape.width), nn.Linear(LOOP_WIDTH, shape.width)
        self.tool = nn.Linear(len(TOOLS), shape.width)
        self.estimate = nn.Linear(DESIGN_WIDTHS[ESTIMATE], shape.width)
        self.place = nn.Embedding(PLACES + 1, shape.width)
        self.query = nn.Parameter(torch.zeros(shape.width))
        self.layers = nn.ModuleList(Layer(shape, self.regular.dropout) for _ in range(shape.layers))
        self.last = nn.LayerNorm(shape.width)
        self.head = nn.Linear(shape.width, shape.outputs)
        nn.init.normal_(self.place.weight, std=0.02)
        nn.init.normal_(self.query, std=0.02)
        nn.init.zeros_(self.head.weight)  # so that training starts from the estimate
        nn.init.zeros_(self.head.bias)

    def encode(self, rows: Tensor, places: Tensor, there: Tensor) -> Memory:
        """rows (K, P, KERNEL_WIDTH), places (K, P), there (K, P) whether it is a token or padding."""
        if self.training:
            rows = rows + self.regular.noise * torch.randn_like(rows)
            there = there & (torch.rand(there.shape) >= self.regular.forget)
        x = (self.kernel(rows) + self.place(places))[:, None]
        kernels, count, heads = len(rows), rows.shape[1], self.shape.heads
        nothing = x.new_zeros(kernels, heads, 0, self.shape.width // heads)
        unseen = _unseen(self._before(there, count), x.dtype)
        layers = []
        for layer in self.layers:
            x, (key, value) = layer(x, (nothing, nothing), unseen)
            layers.append((key[:, :, 0], value[:, :, 0]))
        return Memory(tuple(layers), there)

    def answer(
        self, memory: Memory, loops: Tensor, places: Tensor, there: Tensor, tool: Tensor, estimate: Tensor
    ) -> Tensor:
        """(K, B, outputs) from loops (K, B, L, LOOP_WIDTH), places and there (K, L), tool (K, TOOLS), estimate
        (K, B, width)."""
        batch = loops.shape[1]
        if self.training:
            loops = loops + self.regular.noise * torch.randn_like(loops)
        told = self.loop(loops) + self.place(places)[:, None]
        which = self.tool(tool)[:, None, None].expand(-1, batch, -1, -1)
        query = self.query.expand(len(loops), batch, 1, -1)
        x = torch.cat([told, which, self.estimate(estimate)[:, :, None], query], dim=2)
        there = functional.pad(there, (0, 3), value=True)
        before = self._before(there, x.shape[2])
        past = memory.there[:, None, None, None, :].expand(-1, 1, 1, x.shape[2], -1)
        unseen = _unseen(torch.cat([past, before], dim=-1), x.dtype)
        for layer, kept in zip(self.layers, memory.layers, strict=True):
            x, _ = layer(x, kept, unseen)
        found: Tensor = self.head(self.last(x[:, :, -1]))
        return found

    @staticmethod
    def _before(there: Tensor, count: int) -> Tensor:
        """(K, 1, 1, S, S): a token sees those before it that are there, and itself."""
        order = torch.ones(count, count, dtype=torch.bool)
        seen = order.tril(-1) & there[:, None, :] | torch.eye(count, dtype=torch.bool)
        return seen[:, None, None]


def _unseen(seen: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.zeros(seen.shape, dtype=dtype).masked_fill_(~seen, float("-inf"))
