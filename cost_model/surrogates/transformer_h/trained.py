"""Trained models at work: targets and validity of one kernel's designs.

A design's answer must not depend on who is asked with it, so batches always have the same size (padded with the last
design) and sums are made on one thread. What the order of sums may still change lies fourteen digits down, for answers
are worked out in double precision, and is rounded away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cost_model.surrogates.transformer_h.model import Memory, TransformerH, one_thread
from cost_model.surrogates.transformer_h.recipe import Recipe
from cost_model.surrogates.transformer_h.training_examples import Outputs
from cost_model.training.checkpoint import Kept
from cost_model.views.hls.matrix_input import (
    BLOCKS,
    DesignInput,
    Scaling,
    design_input,
    design_matrices,
    kernel_input,
    kernel_matrices,
)
from design.contracts import Task
from design.core import Floats, Ints

BATCH = 32  # designs that are worked out at once
DIGITS = 6  # of an output that are kept, after the point


@dataclass(frozen=True)
class RawPrediction:
    """Of n designs: targets `y` (n, metrics), the probability that they are `valid` (n,), and the `estimate` that the
    model was shown (n, width), whose first columns are the estimate's targets."""

    y: Floats
    valid: Floats
    estimate: Floats


@dataclass(frozen=True)
class Member(Kept):
    """A trained model with what its inputs and outputs are measured in."""

    model: TransformerH
    scaling: Scaling
    outputs: Outputs

    def kept(self) -> dict[str, Tensor]:
        """See `Kept`: the weights, and of the rest what is an array."""
        arrays = {f"mean.{name}": values for name, values in self.scaling.mean.items()}
        arrays |= {f"deviation.{name}": values for name, values in self.scaling.deviation.items()}
        arrays |= {name: getattr(self.outputs, name) for name in ("center", "spread", "trust")}
        weights = {f"model.{name}": weight for name, weight in self.model.state_dict().items()}
        return weights | {name: torch.from_numpy(values) for name, values in arrays.items()}


@dataclass(frozen=True)
class Ensemble(Kept):
    """Members whose answers are averaged."""

    members: tuple[Member, ...]

    def of(self, task: Task) -> KernelModel:
        """To ask for designs of a kernel, which is encoded once."""
        return KernelModel(self.members, task)

    def kept(self) -> dict[str, Tensor]:
        """See `Kept`."""
        return {f"{n}.{name}": tensor for n, one in enumerate(self.members) for name, tensor in one.kept().items()}


def untrained(recipe: Recipe, base: object = None) -> Ensemble:
    """With room for what training finds."""
    members, count = [], len(recipe.metrics)
    for _ in range(recipe.members):
        scaling = Scaling(*({name: np.zeros(width) for name, width in BLOCKS.items()} for _ in range(2)))
        outputs = Outputs(tuple(recipe.metrics), np.zeros(count), np.zeros(count), recipe.difference, np.zeros(count))
        members.append(Member(TransformerH(recipe).eval().requires_grad_(False), scaling, outputs))
    return Ensemble(tuple(members))


class KernelModel:
    """The members of an ensemble with a kernel in mind."""

    def __init__(self, members: Sequence[Member], task: Task) -> None:
        self.task, self._members, self._tokens = task, members, kernel_matrices(task)
        with one_thread(), torch.inference_mode():
            self._models = [deepcopy(member.model).double() for member in members]
            self._memories = [
                model.remember([kernel_input(self._tokens, member.scaling)])
                for model, member in zip(self._models, members, strict=True)
            ]

    def predict(self, columns: Mapping[str, Ints]) -> RawPrediction:
        """Of n designs by `columns` (n,)."""
        tokens = design_matrices(self.task, columns)
        found = []
        with one_thread(), torch.inference_mode():
            for member, model, memory in zip(self._members, self._models, self._memories, strict=True):
                designs = design_input(self._tokens, tokens, member.scaling)
                raw = np.round(_in_batches(model, memory, designs), DIGITS)
                y = member.outputs.targets(designs.start, raw[:, :-1])
                valid = 1 / (1 + np.exp(-raw[:, -1] - designs.chance))
                found.append(np.concatenate([y, valid[:, None]], axis=1))
        whole = sum(found[1:], found[0]) / len(found)
        return RawPrediction(whole[:, :-1], whole[:, -1], tokens.estimate)


def _in_batches(model: TransformerH, memory: Memory, designs: DesignInput) -> Floats:
    """(n, outputs), BATCH designs at a time."""
    count, found = len(designs.chance), []
    for begin in range(0, count, BATCH):
        rows = np.minimum(np.arange(begin, begin + BATCH), count - 1)
        found.append(model.reply(memory, [(designs, rows)])[0, : count - begin].numpy())
    return np.concatenate([*found, np.empty((0, len(model.recipe.metrics) + 1))])
