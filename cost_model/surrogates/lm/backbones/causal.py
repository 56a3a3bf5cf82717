"""Any causal language model of transformers as a backbone: its body stays as it is, beside it a low-rank change (LoRA,
Hu et al., 2021) and two small tables of our vocabulary are trained.

It reads our tokens by embeddings, not by its own vocabulary (`transplant.py`). Keys and values go through our own past,
so that a program is encoded once and answers branch. transformers is imported here: import this file late.
"""

from __future__ import annotations

from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor, nn
from torch.nn import functional
from transformers import Cache
from transformers.pytorch_utils import Conv1D

from cost_model.surrogates.lm.backbones.base import Backbone
from cost_model.surrogates.lm.backbones.base_models import Base
from cost_model.surrogates.lm.backbones.kv_cache import Memory, Pair, Past, Shared
from cost_model.surrogates.lm.backbones.vocabulary_adapter import transplanted
from cost_model.surrogates.lm.recipe import Recipe
from design.errors import InputError

EXPECTED = "a decoder-only transformer that caches keys and values and takes any mask, such as Llama, Qwen2 or GPT-2"
CLOSE = 1e-3  # of the largest state, between two ways to the same answer


class Causal(Backbone):
    """A model from elsewhere. What of a program comes before a token is all that the token sees of it. Raises
    InputError for a model that cannot be asked so, or that knows too few positions for the recipe's context."""

    def __init__(self, base: Base, recipe: Recipe) -> None:
        super().__init__()
        self.base = base.digest
        model, tokenizer = base.read()
        most = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        needed = recipe.context + recipe.make_codec().longest
        if most is not None and needed > most:
            raise InputError(base.where, f"knows {most} positions, the recipe needs {needed}", "a smaller 'context'")
        pieces = lambda text: list(tokenizer(text, add_special_tokens=False).input_ids)
        head = model.get_output_embeddings()
        try:
            self.body: Any = model.base_model.requires_grad_(False)
            self.read = nn.Parameter(transplanted(pieces, model.get_input_embeddings()))
            self.said = nn.Parameter(transplanted(pieces, lambda numbers: functional.embedding(numbers, head.weight)))
            inject_adapter_in_model(_lora(recipe, self.body), self.body)
            away = self._away()
        except Exception as error:  # of any kind: a model may be built in any way
            found = f"cannot be a backbone ({type(error).__name__}: {' '.join(str(error).split())[:100]})"
            raise InputError(base.where, found, EXPECTED) from None
        if not away < CLOSE:
            raise InputError(base.where, "answers otherwise when the text before is remembered", EXPECTED)
        self.to("cuda" if torch.cuda.is_available() else "cpu")

    def program(self, tokens: Tensor) -> Memory:
        """See `Backbone`."""
        notes, count = _Notes(), len(tokens)
        causal = torch.ones(1, count, count, dtype=torch.bool).tril()
        self.behind(notes, tokens[None], torch.arange(count)[None], causal)
        return notes.memory

    def behind(self, past: Past, tokens: Tensor, places: Tensor, mask: Tensor) -> Tensor:
        """See `Backbone`."""
        x = self.read[tokens.to(self.read.device)]
        hidden = torch.zeros(mask.shape, dtype=x.dtype).masked_fill(~mask, torch.finfo(x.dtype).min)
        found: Tensor = self.body(
            inputs_embeds=x,
            position_ids=places.to(x.device),
            attention_mask=hidden[:, None].to(x.device),
            past_key_values=_Bridge(past, mask.shape[2] - mask.shape[1]),
            use_cache=True,
        ).last_hidden_state
        return found

    def logits(self, states: Tensor, tokens: Tensor) -> Tensor:
        """See `Backbone`."""
        return (states @ self.said[tokens.to(self.said.device)].T).cpu()

    def kept(self) -> dict[str, Tensor]:
        """The tables and the low-rank change."""
        return {name: weight.detach() for name, weight in self.named_parameters() if weight.requires_grad}

    def _away(self) -> float:
        """How far the last state of three tokens is from what it is behind two that are remembered, beside one that it
        must not see; in shares of the largest state."""
        self.eval()
        tokens, own = torch.tensor([10, 20, 30, 40]), torch.eye(2, dtype=torch.bool)
        mask = torch.cat([torch.ones(2, 2, dtype=torch.bool), own], dim=1)[None]
        with torch.no_grad():
            past = Shared(self.program(tokens[:2]))
            behind = self.behind(past, tokens[None, 2:], torch.tensor([[2, 2]]), mask)[0, -1]
            whole = self.body(inputs_embeds=self.read[tokens[[0, 1, 3]]][None]).last_hidden_state[0, -1]
        return float((behind - whole).abs().max() / whole.abs().max())


class _Notes:
    """A past of nothing, which remembers what is written behind it."""

    def __init__(self) -> None:
        self.memory: Memory = []

    def joined(self, layer: int, keys: Tensor, values: Tensor) -> Pair:
        """See `Past`."""
        assert layer == len(self.memory), "layers come in order"
        self.memory.append((keys, values))
        return keys, values


class _Bridge(Cache):
    """Our past, where transformers looks for its cache."""

    def __init__(self, past: Past, length: int) -> None:
        super().__init__(layers=[])
        self._past, self._length = past, length

    def update(self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: object, **__: object) -> Pair:
        """Keys and values of a layer with all before them; transformers passes more to some caches."""
        return self._past.joined(layer_idx, key_states, value_states)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Tokens before those of this call."""
        return self._length


def _lora(recipe: Recipe, body: nn.Module) -> LoraConfig:
    return LoraConfig(
        r=recipe.lora_rank,
        lora_alpha=recipe.lora_alpha,
        lora_dropout=recipe.lora_dropout,
        target_modules="all-linear",
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in body.modules()),
    )
