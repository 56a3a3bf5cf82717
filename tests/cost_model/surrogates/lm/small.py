"""A language model small enough to be made in a test, and examples for it."""

from __future__ import annotations

from functools import lru_cache

import torch

from cost_model.surrogates.lm.backbones.base import Backbone
from cost_model.surrogates.lm.backbones.tiny import Tiny
from cost_model.surrogates.lm.examples import Examples, Prompter, examples_of
from cost_model.surrogates.lm.recipe import Recipe
from cost_model.training.checkpoint import Checkpoint, Learned, digest_of
from cost_model.views.hls.view import HlsView
from design.contracts import Dataset
from design.core import Batch
from design.hls.design import TARGETS
from design.hls.task import HlsTask
from tests.cost_model.hls.cases import GEMM, kernel
from tests.cost_model.hls.test_fit import random_columns

VIEW = HlsView()
TASK = HlsTask(kernel(GEMM), TARGETS["v20"])
RECIPE = Recipe(width=32, layers=2, heads=2, number_steps=4, steps=4, designs=8, unfinished=4, kernels=1, check=2)


@lru_cache
def untrained(seed: int = 0) -> Checkpoint[Recipe, Backbone]:
    """A model as it begins, its weights made large enough for its answers to differ from design to design."""
    torch.manual_seed(seed)
    model = Tiny(RECIPE.sizes).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(3.0)
    return Checkpoint(RECIPE, model, Learned(("gemm",), ()), digest_of(model.state_dict()))


def prompter() -> Prompter:
    """Of one task."""
    return Prompter(TASK, VIEW, RECIPE)


def designs(count: int, seed: int = 0) -> Batch:
    """Random designs of that task."""
    return Batch(TASK.schema, random_columns(TASK.kernel, count, seed))


def examples(data: Dataset) -> Examples:
    """Of a data set."""
    return examples_of(data, VIEW, RECIPE)
