"""A language model small enough to be made in a test, and examples for it."""

from __future__ import annotations

from functools import lru_cache

import torch

from cost_model.hls.store import read_fitted
from cost_model.surrogates.lm.backbones.tiny import Tiny
from cost_model.surrogates.lm.checkpoint import Checkpoint, Learned, digest_of
from cost_model.surrogates.lm.examples import Examples, Prompter, examples_of
from cost_model.surrogates.lm.recipe import Recipe
from design.hls.design import TARGETS
from frontends.hls_results.tables import KernelTable
from tests.cost_model.hls.cases import GEMM, kernel

RECIPE = Recipe(width=32, layers=2, heads=2, number_steps=4, steps=4, designs=8, unfinished=4, kernels=1, check=2)


@lru_cache
def untrained(seed: int = 0) -> Checkpoint:
    """A model as it begins, its weights made large enough for its answers to differ from design to design."""
    torch.manual_seed(seed)
    model = Tiny(RECIPE.sizes).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(3.0)
    return Checkpoint(RECIPE, model, Learned(("gemm",), ()), digest_of(model.state_dict()))


def prompter() -> Prompter:
    """Of one kernel."""
    return Prompter(kernel(GEMM), TARGETS["v20"], read_fitted("v20"), RECIPE)


def examples(table: KernelTable) -> Examples:
    """Of a table."""
    return examples_of(table, read_fitted(table.target.tool), RECIPE)
