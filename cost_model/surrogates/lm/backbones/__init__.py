"""From a recipe to the backbone that it names."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from cost_model.surrogates.lm.backbones.base import Backbone
from cost_model.surrogates.lm.backbones.base_models import Base
from cost_model.surrogates.lm.backbones.tiny import Tiny
from design.errors import InputError

if TYPE_CHECKING:  # a recipe knows the sizes of a backbone
    from cost_model.surrogates.lm.recipe import Recipe


def make_backbone(recipe: Recipe, base: Base | None) -> Backbone:
    """As it begins, by torch's random numbers, ready to answer; `base` is what `base_of` says for the recipe. Raises
    InputError for a base that cannot be used, and where what reads it is not installed."""
    if base is None:
        assert recipe.backbone == "tiny", "base_of gives a base to all others"
        return Tiny(recipe.sizes).eval()
    for library in ("transformers", "peft"):
        if importlib.util.find_spec(library) is None:
            raise InputError(f"backbone {recipe.backbone}", f"needs {library}", "pip install -r requirements.txt")
    from cost_model.surrogates.lm.backbones.causal import Causal

    return Causal(base, recipe)
