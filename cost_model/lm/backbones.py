"""From a recipe to the backbone that it names."""

from __future__ import annotations

from cost_model.lm.backbone import Backbone
from cost_model.lm.bases import Base
from cost_model.lm.recipe import Recipe
from cost_model.lm.tiny import Tiny


def make_backbone(recipe: Recipe, base: Base | None) -> Backbone:
    """As it begins, by torch's random numbers; `base` is what `base_of` says for the recipe. Raises InputError for a
    base that cannot be used."""
    if base is None:
        assert recipe.backbone == "tiny", "base_of gives a base to all others"
        return Tiny(recipe.sizes)
    from cost_model.lm.causal import Causal

    return Causal(base, recipe)
