"""What a numeric language model is made of inside: the one interface of `tiny` and of causal models from elsewhere.

Layout, reader and trainer use nothing else. Tokens are numbers of `cost_model/views/tokens.py`, whatever the backbone.
"""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor, nn

from cost_model.surrogates.lm.backbones.kv_cache import Memory, Past
from cost_model.training.checkpoint import Kept


class Backbone(nn.Module, Kept):
    """A decoder whose program part is encoded once. Tokens, places and masks come on the CPU and logits go back there;
    what lies between may be elsewhere. Deterministic when dropout is off."""

    @abstractmethod
    def program(self, tokens: Tensor) -> Memory:
        """What later tokens need of a program (tokens,)."""

    @abstractmethod
    def behind(self, past: Past, tokens: Tensor, places: Tensor, mask: Tensor) -> Tensor:
        """States (batch, tokens, width) of tokens (batch, tokens) behind what `past` remembers.

        `places` (batch, tokens) are positions; `mask` (batch, tokens, remembered + tokens) says who sees whom.
        """

    @abstractmethod
    def logits(self, states: Tensor, tokens: Tensor) -> Tensor:
        """How likely each of some tokens (k,) is to follow, (..., k), up to a constant."""
