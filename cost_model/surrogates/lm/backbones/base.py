"""What a numeric language model is made of inside: the one interface of `tiny` and of causal models from elsewhere.

Layout, reader and trainer use nothing else. Tokens are numbers of `cost_model/views/tokens.py`, whatever the backbone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

from cost_model.surrogates.lm.backbones.kv_cache import Memory, Past
from cost_model.training.checkpoint import bring


class Backbone(nn.Module, ABC):
    """A decoder whose program part is encoded once. Tokens, places and masks come on the CPU and logits go back there;
    what lies between may be elsewhere. Deterministic when dropout is off. `base` is the digest of a model from
    elsewhere whose weights a checkpoint does not hold, or nothing."""

    base: str = ""

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

    @abstractmethod
    def kept(self) -> dict[str, Tensor]:
        """What training changes, by name: what a checkpoint holds. They are the model's own tensors, no copies."""

    def bring(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `kept` gave. Raises ValueError for other names, shapes or types, and changes nothing then."""
        bring(self.kept(), tensors)
