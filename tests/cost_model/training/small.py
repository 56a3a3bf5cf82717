"""Both kinds of models, small enough to be made and trained in a test."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch

from cost_model.surrogates.lm import training as lm
from cost_model.surrogates.lm.recipe import Recipe as LmRecipe
from cost_model.surrogates.transformer_h import training as transformer_h
from cost_model.surrogates.transformer_h.recipe import Recipe as TransformerHRecipe
from cost_model.training.learner import Learner
from cost_model.training.models import MODELS
from cost_model.views.hls.view import HlsView
from tests.cost_model.surrogates.lm.small import RECIPE as LM
from tests.cost_model.surrogates.tiny_transformer_h import tiny_tables

VIEW = HlsView()
RECIPES: dict[str, LmRecipe | TransformerHRecipe] = {
    "lm": LM.model_copy(update={"validation": ["dot"]}),
    "transformer-h": TransformerHRecipe(
        width=16, layers=2, heads=2, members=2, steps=8, check=2, kernels=2, designs=4, validation=["dot"]
    ),
}


@cache
def learners(kind: str) -> list[Callable[[], Learner]]:
    """The trainings of a recipe on three families, of which `dot` is held back."""
    recipe: Any = RECIPES[kind]
    makers = lm.learners if kind == "lm" else transformer_h.learners
    found: Any = makers(recipe, tiny_tables(), VIEW, None)
    return list(found)


def begun(kind: str) -> Any:
    """A model that was not trained; of no two the weights are the same."""
    torch.manual_seed(1)
    return MODELS[kind].begin(RECIPES[kind], None)


def shortened(path: Path, count: int = 40) -> None:
    """Cut a file off."""
    path.write_bytes(path.read_bytes()[:-count])
