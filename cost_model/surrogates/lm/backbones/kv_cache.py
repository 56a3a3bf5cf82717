"""What tokens stand behind: keys and values of a program and of what was written behind it, layer by layer."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

Pair = tuple[Tensor, Tensor]  # keys and values, (batch, heads, tokens, size) each
Memory = list[Pair]  # of all layers


class Past(Protocol):
    """What tokens stand behind."""

    def joined(self, layer: int, keys: Tensor, values: Tensor) -> Pair:
        """All keys and values (batch, heads, remembered + tokens, size) of a layer, those of new tokens last."""
        ...


class Shared:
    """One program, remembered once for a whole batch; without one, nothing."""

    def __init__(self, program: Memory | None) -> None:
        self._program = program

    def joined(self, layer: int, keys: Tensor, values: Tensor) -> Pair:
        """See `Past`."""
        if self._program is None:
            return keys, values
        earlier = [part.expand(len(keys), -1, -1, -1) for part in self._program[layer]]
        return torch.cat([earlier[0], keys], dim=2), torch.cat([earlier[1], values], dim=2)


class Notebook:
    """Room for a batch of so many, into which tokens are written where they stay: nothing is copied when more follow.
    The program stands at the beginning and is written once."""

    def __init__(self, program: Memory, batch: int, tokens: int) -> None:
        length = program[0][0].shape[2]
        self._program = self.length = length
        self._pages = [tuple(_room(part, batch, tokens) for part in pair) for pair in program]
        for page, pair in zip(self._pages, program, strict=True):
            for room, part in zip(page, pair, strict=True):
                room[:, :, :length] = part

    def rewind(self) -> None:
        """Forget all but the program."""
        self.length = self._program

    def advance(self, tokens: int) -> None:
        """Keep the tokens that were written last; the next ones are written behind them."""
        self.length += tokens

    def joined(self, layer: int, keys: Tensor, values: Tensor) -> Pair:
        """See `Past`."""
        end = self.length + keys.shape[2]
        first, second = self._pages[layer]
        first[:, :, self.length : end], second[:, :, self.length : end] = keys, values
        return first[:, :, :end], second[:, :, :end]


def _room(part: Tensor, batch: int, tokens: int) -> Tensor:
    """For a batch of keys or values (1, heads, length, size) and so many tokens more; where they are, of their kind."""
    _, heads, length, size = part.shape
    return part.new_empty(batch, heads, length + tokens, size)
