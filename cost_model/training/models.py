"""The models that are trained, by the name that recipes and checkpoints have for their kind.

PyTorch is loaded here: import this file late.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cost_model.surrogates.lm import training as lm
from cost_model.surrogates.lm.backbones import make_backbone
from cost_model.surrogates.lm.backbones.base_models import Base, base_of
from cost_model.surrogates.lm.recipe import Recipe as LmRecipe
from cost_model.surrogates.lm.surrogate import LmSurrogate
from cost_model.surrogates.transformer_h import training as transformer_h
from cost_model.surrogates.transformer_h.recipe import Recipe as TransformerHRecipe
from cost_model.surrogates.transformer_h.surrogate import TransformerHSurrogate
from cost_model.surrogates.transformer_h.trained import untrained
from cost_model.training.checkpoint import Checkpoint, filled, read_card, require
from cost_model.training.recipe import TrainingRecipe, validated
from cost_model.training.state import Learner
from cost_model.views.plain import PlainView
from design.contracts import Dataset, Surrogate
from design.errors import InputError
from design.loader import read_content

LM = "lm"  # of recipes and checkpoints that name no kind


@dataclass(frozen=True)
class Kind:
    """Of models: what their recipes hold, the `backbone` that a recipe asks for, how a model begins, and the trainings
    that make one, which `together` joins. `surrogate` asks a model. `unsure`: its answers have intervals of their
    own."""

    recipe: type[TrainingRecipe]
    backbone: Callable[[Any], str]
    begin: Callable[[Any, Base | None], Any]
    learners: Callable[[Any, Sequence[Dataset], PlainView, Base | None], Sequence[Callable[[], Learner]]]
    together: Callable[[Any], Any]
    surrogate: Callable[[Any, PlainView], Surrogate]
    unsure: bool


MODELS: dict[str, Kind] = {
    LM: Kind(
        recipe=LmRecipe,
        backbone=lambda recipe: str(recipe.backbone),
        begin=lambda recipe, base: make_backbone(recipe, base).eval(),
        learners=lm.learners,
        together=lambda learners: learners[0].model,
        surrogate=LmSurrogate,
        unsure=True,
    ),
    "transformer-h": Kind(
        recipe=TransformerHRecipe,
        backbone=lambda recipe: "transformer-h",
        begin=lambda recipe, base: untrained(recipe),
        learners=transformer_h.learners,
        together=transformer_h.together,
        surrogate=TransformerHSurrogate,
        unsure=False,
    ),
}


def read_recipe(path: Path) -> Any:
    """The recipe in a JSON file. Raises InputError naming file and field."""
    return recipe_of(read_content(path, "a recipe, such as config/lm/tiny.json"), str(path))


def recipe_of(entry: Mapping[str, Any], where: str) -> Any:
    """The recipe that JSON holds, of the kind that it names. Raises InputError naming the field."""
    name = entry.get("model", LM) if isinstance(entry, Mapping) else LM
    if name not in tuple(MODELS):
        raise InputError(f"{where}, field 'model'", f"is {str(name)[:40]}", f"one of {', '.join(MODELS)}")
    return validated(MODELS[name].recipe, entry, where)


def base_for(recipe: TrainingRecipe, given: str | None) -> Base | None:
    """The base of a recipe's model; `given` is the folder that --base-model names. Raises InputError as `base_of`."""
    return base_of(MODELS[recipe.model].backbone(recipe), given)


def load(path: Path, model: str, base: str | None = None) -> Checkpoint[Any, Any]:
    """Read a checkpoint of a kind of model; `base` is the folder of the model that it was trained on, where its recipe
    asks for one. Raises InputError naming the file and what is wrong with it, or the base, which is read last."""
    card, tensors = read_card(path)
    kind = MODELS[model]
    require(path, "model", card.get("model", LM), model)
    for name, version in kind.recipe.READS.items():
        require(path, f"{name} version", card.get(name), version)
    recipe = validated(kind.recipe, card.get("recipe", {}), f"{path}, recipe")
    below = base_for(recipe, base)
    if below is not None and card.get("base") != below.digest:
        found = f"was trained on base {str(card.get('base'))[:16]}, and {below.where} is {below.digest}"
        raise InputError(str(path), found, "the same configuration and weights, byte for byte")
    return filled(path, card, recipe, kind.begin(recipe, below), tensors)
