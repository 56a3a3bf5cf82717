"""A model under training: the steps that all models share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from cost_model.training.checkpoint import Kept, under
from cost_model.training.recipe import TrainingRecipe


class Learner(ABC):
    """`model` learns; `scored` is what is scored and kept, the model itself or a mean of it. `step` counts the steps
    that were made, of `last` in all; what they draw depends on the recipe and the steps before alone. `best` is the
    best score yet, of the step `at` with its `weights`, and `scores` are all by step. `name` says which of a run's
    trainings it is."""

    name = ""

    def __init__(self, recipe: TrainingRecipe, model: nn.Module, scored: Kept, weights: Any, last: int) -> None:
        """`weights` are those that learn, as optimisers of torch take them."""
        self.model, self.scored, self.last, self.step = model, scored, last, 0
        self.optimiser = torch.optim.AdamW(weights, lr=recipe.rate, betas=(0.9, 0.98), weight_decay=recipe.weight_decay)
        self.best, self.at = float("inf"), 0
        self.scores: list[tuple[int, float]] = []
        self.weights: dict[str, Tensor] = {}

    def advance(self) -> None:
        """One step."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate()
        self.optimiser.zero_grad()
        self.model.train()
        self.learn()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1

    @abstractmethod
    def rate(self) -> float:
        """The learning rate of this step."""

    @abstractmethod
    def learn(self) -> None:
        """Add up the gradients of this step."""

    @abstractmethod
    def score(self) -> float | None:
        """Of `scored` on families that it does not learn from: the less the better, NaN where they have too few
        designs. None where nothing is to be scored yet, or no family is held back."""

    @abstractmethod
    def loss(self) -> str:
        """For people."""

    def state(self) -> dict[str, Tensor]:
        """What further steps depend on, and the best weights."""
        found = {f"scored.{name}": tensor for name, tensor in self.scored.kept().items()}
        found |= {f"best.{name}": tensor for name, tensor in self.weights.items()}
        for number, moments in self.optimiser.state_dict()["state"].items():
            found |= {f"optimiser.{number}.{name}": value for name, value in moments.items()}
        return found

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `state` gave. Raises KeyError, RuntimeError, TypeError or ValueError for anything else."""
        self.scored.bring(under(tensors, "scored."))
        self.weights = under(tensors, "best.")
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in under(tensors, "optimiser.").items():
            number, what = name.split(".", 1)
            moments.setdefault(int(number), {})[what] = tensor
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": moments, "param_groups": groups})
