"""Trained models at work: targets and validity of one kernel's designs.

A design's answer must not depend on who is asked with it, so batches always have the same size (padded with the last
design) and sums are made on one thread. What the order of sums may still change lies fourteen digits down, for answers
are worked out in double precision, and is rounded away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cost_model.surrogates.transformer_h.model import Memory, TransformerH, one_thread
from cost_model.surrogates.transformer_h.recipe import Recipe
from cost_model.surrogates.transformer_h.training_examples import Outputs
from cost_model.training.checkpoint import bring
from cost_model.views.hls.matrix_input import (
    BLOCKS,
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
class Member:
    """A trained model with what its inputs and outputs are measured in."""

    model: TransformerH
    scaling: Scaling
    outputs: Outputs

    def kept(self) -> dict[str, Tensor]:
        """See `Model`: the weights, and of the rest what is an array."""
        arrays = {f"mean.{name}": values for name, values in self.scaling.mean.items()}
        arrays |= {f"deviation.{name}": values for name, values in self.scaling.deviation.items()}
        arrays |= {name: getattr(self.outputs, name) for name in ("center", "spread", "trust")}
        weights = {f"model.{name}": weight for name, weight in self.model.state_dict().items()}
        return weights | {name: torch.from_numpy(values) for name, values in arrays.items()}

    def bring(self, tensors: Mapping[str, Tensor]) -> None:
        """See `Model`."""
        bring(self.kept(), tensors)


@dataclass(frozen=True)
class Ensemble:
    """Members whose answers are averaged."""

    members: tuple[Member, ...]
    base: str = ""  # see `Model`

    def of(self, task: Task) -> KernelModel:
        """To ask for designs of a kernel, which is encoded once."""
        return KernelModel(self.members, task)

    def kept(self) -> dict[str, Tensor]:
        """See `Model`."""
        return {f"{n}.{name}": tensor for n, one in enumerate(self.members) for name, tensor in one.kept().items()}

    def bring(self, tensors: Mapping[str, Tensor]) -> None:
        """See `Model`."""
        bring(self.kept(), tensors)


def untrained(recipe: Recipe) -> Ensemble:
    """With room for what training finds."""
    members, count = [], len(recipe.metrics)
    for _ in range(recipe.members):
        scaling = Scaling(*({name: np.zeros(width) for name, width in BLOCKS.items()} for _ in range(2)))
        outputs = Outputs(tuple(recipe.metrics), np.zeros(count), np.zeros(count), recipe.difference, np.zeros(count))
        members.append(Member(TransformerH(recipe).eval().requires_grad_(False), scaling, outputs))
    return Ensemble(tuple(members))


class KernelModel:
    """The models of a `Trained` with a kernel in mind."""

    def __init__(self, members: Sequence[Member], task: Task) -> None:
        self.task, self.metrics = task, members[0].outputs.metrics
        self._tokens = kernel_matrices(task)
        with one_thread(), torch.inference_mode():
            self._members = [_Asked(member, _exact(member.model), self._encoded(member)) for member in members]

    def _encoded(self, member: Member) -> Memory:
        told = kernel_input(self._tokens, member.scaling)
        there = torch.ones(1, len(told.places), dtype=torch.bool)
        return _exact(member.model).encode(_tensor(told.rows)[None], torch.from_numpy(told.places)[None], there)

    def predict(self, columns: Mapping[str, Ints]) -> RawPrediction:
        """Of n designs by `columns` (n,)."""
        tokens = design_matrices(self.task, columns)
        found = []
        with one_thread(), torch.inference_mode():
            for one in self._members:
                told = design_input(self._tokens, tokens, one.member.scaling)
                raw = np.round(_asked(one, told.loops, told.places, told.tool, told.estimate), DIGITS)
                y = one.member.outputs.targets(told.start, raw[:, :-1])
                valid = 1 / (1 + np.exp(-raw[:, -1] - told.chance))
                found.append(np.concatenate([y, valid[:, None]], axis=1))
        whole = found[0]
        for more in found[1:]:
            whole = whole + more
        whole = whole / len(found)
        return RawPrediction(whole[:, :-1], whole[:, -1], tokens.estimate)


@dataclass(frozen=True)
class _Asked:
    member: Member
    model: TransformerH
    memory: Memory


def _asked(one: _Asked, loops: Floats, places: Ints, tool: Floats, estimate: Floats) -> Floats:
    """(n, outputs), BATCH designs at a time."""
    count = len(estimate)
    found = np.empty((count, len(one.member.outputs.metrics) + 1))
    there = torch.ones(1, len(places), dtype=torch.bool)
    for begin in range(0, count, BATCH):
        rows = np.minimum(np.arange(begin, begin + BATCH), count - 1)
        said = one.model.answer(
            one.memory,
            _tensor(loops[rows])[None],
            torch.from_numpy(places)[None],
            there,
            _tensor(tool)[None],
            _tensor(estimate[rows])[None],
        )
        found[begin : begin + BATCH] = said[0, : min(BATCH, count - begin)].numpy()
    return found


def _exact(model: TransformerH) -> TransformerH:
    copy: Any = deepcopy(model)
    found: TransformerH = copy.eval().requires_grad_(False).double()
    return found


def _tensor(values: Floats) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float64))
