"""Causal language models of transformers, of random weights and small enough to be made in a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from cost_model.surrogates.lm.backbones.base_models import base_of
from cost_model.surrogates.lm.backbones.causal import Causal
from tests.cost_model.surrogates.lm.small import RECIPE

TEXT = ["loop L0 48 pipeline tile parallel array a0 argument estimate cycles e4 5 2 lut add float32 mul int32 \n"] * 4
RECIPE_OF_BASE = RECIPE.model_copy(update={"backbone": "base", "context": 1000, "lora_rank": 4, "rate": 0.01})
KINDS = ("llama", "qwen2", "gpt2")


def write_base(folder: Path, kind: str = "llama", seed: int = 0) -> Path:
    """A folder as `save_pretrained` makes it; llama and qwen2 with fewer heads of keys than of queries."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(TEXT, vocab_size=300, show_progress=False)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer._tokenizer).save_pretrained(folder)
    sizes: dict[str, Any] = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 1024,
        "vocab_size": tokenizer.get_vocab_size(),
        "initializer_range": 0.2,
    }
    if kind != "gpt2":
        sizes |= {"intermediate_size": 48, "num_key_value_heads": 2}
    torch.manual_seed(seed)
    AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **sizes)).save_pretrained(folder)
    return folder


def causal(folder: Path, changed: bool = True) -> Causal:
    """A backbone on a base; `changed` from it, as if it had been trained."""
    base = base_of("base", str(folder))
    assert base is not None
    torch.manual_seed(1)
    model = Causal(base, RECIPE_OF_BASE).eval()
    if changed:
        with torch.no_grad():
            for name, weight in model.kept().items():
                if "lora" in name:
                    weight.add_(0.1 * torch.randn_like(weight))
    return model
