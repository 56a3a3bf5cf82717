"""Trained models at work: targets and validity of one kernel's designs.

A design's answer must not depend on who is asked with it, so batches always have the same size (padded with the last
design) and sums are made on one thread. What the order of sums may still change lies fourteen digits down, for answers
are worked out in double precision, and is rounded away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cost_model.surrogates.transformer_h.model import Memory, TransformerH
from cost_model.surrogates.transformer_h.training import Learned, one_thread
from cost_model.views.hls.matrix_input import design_input, design_matrices, kernel_input, kernel_matrices
from design.contracts import Task
from design.core import Floats, Ints

BATCH = 32  # designs that are worked out at once
DIGITS = 6  # of an output that are kept, after the point


@dataclass(frozen=True)
class Card:
    """What a stored model says of itself: whose results it has seen (families held out to say when to stop among
    them), from which seed, and how it was made."""

    families: tuple[str, ...]
    digests: tuple[str, ...]
    seed: int
    command: str


@dataclass(frozen=True)
class RawPrediction:
    """Of n designs: targets `y` (n, metrics), the probability that they are `valid` (n,), and the `estimate` that the
    model was shown (n, width), whose first columns are the estimate's targets."""

    y: Floats
    valid: Floats
    estimate: Floats


@dataclass(frozen=True)
class Trained:
    """Models whose outputs are averaged, each with the scaling of its own training. `digest` is that of the weights and
    all that belongs to them."""

    members: tuple[Learned, ...]
    card: Card
    digest: str = field(default="", compare=False)

    def of(self, task: Task) -> KernelModel:
        """To ask for designs of a kernel, which is encoded once."""
        return KernelModel(self.members, task)


class KernelModel:
    """The models of a `Trained` with a kernel in mind."""

    def __init__(self, members: Sequence[Learned], task: Task) -> None:
        self.task, self.metrics = task, members[0].outputs.metrics
        self._tokens = kernel_matrices(task)
        with one_thread(), torch.inference_mode():
            self._members = [_Member(member, _exact(member.model), self._encoded(member)) for member in members]

    def _encoded(self, member: Learned) -> Memory:
        told = kernel_input(self._tokens, member.scaling)
        there = torch.ones(1, len(told.places), dtype=torch.bool)
        return _exact(member.model).encode(_tensor(told.rows)[None], torch.from_numpy(told.places)[None], there)

    def predict(self, columns: Mapping[str, Ints]) -> RawPrediction:
        """Of n designs by `columns` (n,)."""
        tokens = design_matrices(self.task, columns)
        found = []
        with one_thread(), torch.inference_mode():
            for one in self._members:
                told = design_input(self._tokens, tokens, one.learned.scaling)
                raw = np.round(_asked(one, told.loops, told.places, told.tool, told.estimate), DIGITS)
                y = one.learned.outputs.targets(told.start, raw[:, :-1])
                valid = 1 / (1 + np.exp(-raw[:, -1] - told.chance))
                found.append(np.concatenate([y, valid[:, None]], axis=1))
        whole = found[0]
        for more in found[1:]:
            whole = whole + more
        whole = whole / len(found)
        return RawPrediction(whole[:, :-1], whole[:, -1], tokens.estimate)


@dataclass(frozen=True)
class _Member:
    learned: Learned
    model: TransformerH
    memory: Memory


def _asked(one: _Member, loops: Floats, places: Ints, tool: Floats, estimate: Floats) -> Floats:
    """(n, outputs), BATCH designs at a time."""
    count = len(estimate)
    found = np.empty((count, one.model.shape.outputs))
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
