"""The models that are trained, by the name that recipes and checkpoints have for their kind.

PyTorch is loaded here: import this file late.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from cost_model.surrogates.lm import training as lm
from cost_model.surrogates.lm.backbones import make_backbone
from cost_model.surrogates.lm.backbones.base_models import Base, base_of
from cost_model.surrogates.lm.recipe import Recipe as LmRecipe
from cost_model.surrogates.lm.surrogate import LmSurrogate
from cost_model.surrogates.transformer_h import training as transformer_h
from cost_model.surrogates.transformer_h.recipe import Recipe as TransformerHRecipe
from cost_model.surrogates.transformer_h.surrogate import TransformerHSurrogate
from cost_model.surrogates.transformer_h.trained import untrained
from cost_model.training.checkpoint import (
    FORMAT,
    SIGNATURE,
    Checkpoint,
    Kept,
    Learned,
    digest_of,
    read_tensors,
    signature,
)
from cost_model.training.learner import Learner
from cost_model.training.recipe import TrainingRecipe, validated
from cost_model.views.plain import PlainView
from design.contracts import Dataset, Surrogate
from design.errors import InputError
from design.loader import read_content

LM = "lm"  # of recipes and checkpoints that name no kind
EXPECTED = "a checkpoint that --execution-type train wrote"


@dataclass(frozen=True)
class Kind:
    """Of models: what their recipes hold, how a model begins, and the trainings that make one, which `together` joins.
    `surrogate` asks a model. `unsure`: its answers have intervals of their own."""

    recipe: type[TrainingRecipe]
    begin: Callable[[Any, Base | None], Kept]
    learners: Callable[[Any, Sequence[Dataset], PlainView, Base | None], Sequence[Callable[[], Learner]]]
    together: Callable[[Any], Kept]
    surrogate: Callable[[Any, PlainView], Surrogate]
    unsure: bool


MODELS = {
    LM: Kind(LmRecipe, make_backbone, lm.learners, lambda learners: learners[0].scored, LmSurrogate, True),
    "transformer-h": Kind(
        TransformerHRecipe, untrained, transformer_h.learners, transformer_h.together, TransformerHSurrogate, False
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
    return base_of(getattr(recipe, "backbone", recipe.model), given)


def load(path: Path, model: str, base: str | None = None) -> Checkpoint[Any, Any]:
    """Read a checkpoint of a kind of model; `base` is the folder of the model that it was trained on, where its recipe
    asks for one. Raises InputError naming the file and what is wrong with it, or the base, which is read last."""
    (card, tensors), kind = read_tensors(path, EXPECTED), MODELS[model]
    versions = {f"{name} version": (card.get(name), version) for name, version in kind.recipe.READS.items()}
    same = {"format": (card.get("format"), FORMAT), "model": (card.get("model", LM), model), **versions}
    for what, (found, expected) in same.items():
        if found != expected:
            raise InputError(str(path), f"has {what} {str(found)[:40]}", f"{what} {expected}; train it anew")
    recipe = validated(kind.recipe, card.get("recipe", {}), f"{path}, recipe")
    if any(tensor.dtype not in (torch.float32, torch.float64) for tensor in tensors.values()):
        raise InputError(str(path), "has weights of another type than its recipe", EXPECTED)
    digest = digest_of(tensors)
    if card.get("weights") != digest:
        raise InputError(str(path), "has weights that differ from its card", EXPECTED)
    below = base_for(recipe, base)
    if below is not None and card.get("base") != below.digest:
        other = f"was trained on base {str(card.get('base'))[:16]}, and {below.where} is {below.digest}"
        raise InputError(str(path), other, "the same configuration and weights, byte for byte")
    whole = kind.begin(recipe, below)
    try:
        whole.bring(tensors)
    except ValueError:
        raise InputError(str(path), "has tensors of other names or shapes than its recipe", EXPECTED) from None
    if not all(tensor.isfinite().all() for tensor in tensors.values()):
        raise InputError(str(path), "has a weight that is no number", EXPECTED)
    names = [card.get(name, []) for name in ("families", "digests")]
    if not all(isinstance(each, list) and all(isinstance(text, str) for text in each) for each in names):
        raise InputError(f"{path}, card", "has families or digests that are no lists of texts", EXPECTED)
    if "model" in card and card.get(SIGNATURE) != signature(card):  # files from before it named the model are unsigned
        raise InputError(f"{path}, card", "was altered", EXPECTED)
    learned = Learned(tuple(names[0]), tuple(names[1]), str(card.get("corpus", "")))
    return Checkpoint(recipe, whole, learned, card.get("known_as", digest), card.get("facts", {}))
