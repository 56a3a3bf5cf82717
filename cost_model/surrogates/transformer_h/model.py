"""The transformer itself: decoder-only, a kernel's tokens first, so that all its designs share what they encode to.

Shapes: K kernels, each with P tokens of its own and B designs of S tokens; D is the width, H the heads. A token sees
the kernel's tokens before it and its own design's tokens before it, never another design.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from cost_model.surrogates.transformer_h.recipe import Recipe
from cost_model.views.hls.matrix_input import (
    DESIGN_WIDTHS,
    ESTIMATE,
    KERNEL_WIDTH,
    LOOP_WIDTH,
    PLACES,
    TOOLS,
    DesignInput,
    KernelInput,
)
from design.core import Floats, Ints, Rows


@dataclass(frozen=True)
class Memory:
    """What later tokens see of a kernel: keys and values by layer, (K, H, P, D / H) each, and which are `there`
    (K, P)."""

    layers: tuple[tuple[Tensor, Tensor], ...]
    there: Tensor


class Layer(nn.Module):
    """Attention, then two linear maps, each on normalised input and added to it."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        width, self.heads, self.dropout = recipe.width, recipe.heads, recipe.dropout
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mixing, self.joining = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wider, self.narrower = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

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

    def __init__(self, recipe: Recipe) -> None:
        """With an output for each metric, and the logit of validity last."""
        super().__init__()
        self.recipe, width = recipe, recipe.width
        self.kernel, self.loop = nn.Linear(KERNEL_WIDTH, width), nn.Linear(LOOP_WIDTH, width)
        self.tool, self.estimate = nn.Linear(len(TOOLS), width), nn.Linear(DESIGN_WIDTHS[ESTIMATE], width)
        self.place = nn.Embedding(PLACES + 1, width)
        self.query = nn.Parameter(torch.zeros(width))
        self.layers = nn.ModuleList(Layer(recipe) for _ in range(recipe.layers))
        self.last, self.head = nn.LayerNorm(width), nn.Linear(width, len(recipe.metrics) + 1)
        nn.init.normal_(self.place.weight, std=0.02)
        nn.init.normal_(self.query, std=0.02)
        nn.init.zeros_(self.head.weight)  # so that training starts from the estimate
        nn.init.zeros_(self.head.bias)

    def remember(self, kernels: Sequence[KernelInput]) -> Memory:
        """What K kernels are encoded to, padded to the longest."""
        places = [kernel.places for kernel in kernels]
        rows = _padded([kernel.rows for kernel in kernels], self.query.dtype)
        return self.encode(rows, _padded(places, torch.int64), _there(places))

    def reply(self, memory: Memory, asked: Sequence[tuple[DesignInput, Rows]]) -> Tensor:
        """(K, B, outputs) for as many rows B of the designs of each kernel of a memory."""
        dtype, designs = self.query.dtype, [one for one, _ in asked]
        loops = _padded([np.moveaxis(one.loops[rows], 1, 0) for one, rows in asked], dtype)
        places = [one.places for one in designs]
        tool = tensor_of(np.stack([one.tool for one in designs]), dtype)
        estimate = tensor_of(np.stack([one.estimate[rows] for one, rows in asked]), dtype)
        return self.answer(memory, loops.transpose(1, 2), _padded(places, torch.int64), _there(places), tool, estimate)

    def encode(self, rows: Tensor, places: Tensor, there: Tensor) -> Memory:
        """rows (K, P, KERNEL_WIDTH), places (K, P), there (K, P) whether it is a token or padding."""
        if self.training:
            rows = rows + self.recipe.noise * torch.randn_like(rows)
            there = there & (torch.rand(there.shape) >= self.recipe.forget)
        x = (self.kernel(rows) + self.place(places))[:, None]
        kernels, count, heads = len(rows), rows.shape[1], self.recipe.heads
        nothing = x.new_zeros(kernels, heads, 0, self.recipe.width // heads)
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
            loops = loops + self.recipe.noise * torch.randn_like(loops)
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


def tensor_of(values: Floats, dtype: torch.dtype) -> Tensor:
    """The same numbers as a tensor, in the model's precision."""
    return torch.from_numpy(np.ascontiguousarray(values)).to(dtype)


def _padded(parts: Sequence[NDArray[Any]], dtype: torch.dtype) -> Tensor:
    """(K, longest, ..) of parts (length, ..), zeros behind the shorter."""
    whole = np.zeros((len(parts), max(len(part) for part in parts), *parts[0].shape[1:]), dtype=parts[0].dtype)
    for place, part in enumerate(parts):
        whole[place, : len(part)] = part
    return tensor_of(whole, dtype)


def _there(parts: Sequence[Ints]) -> Tensor:
    lengths = torch.tensor([len(part) for part in parts])
    return torch.arange(int(lengths.max()))[None] < lengths[:, None]


@contextmanager
def one_thread() -> Iterator[None]:
    """So that sums are made in the same order whatever the machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
