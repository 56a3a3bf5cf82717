"""Training: seeded, on one thread, with families held out whole to say when to stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from math import cos, pi
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from cost_model.surrogates.transformer_h.model import Regular, Shape, TransformerH
from cost_model.surrogates.transformer_h.training_examples import (
    Outputs,
    Scaled,
    TrainingTable,
    outputs_from,
    scaled,
    scaling_from,
)
from cost_model.views.hls.matrix_input import Scaling
from design.core import Floats, Rows
from design.errors import InputError
from design.metrics import HLS_METRICS

JUDGED = 120  # designs of a table that they are asked about
WARM = 50  # steps until the learning rate is whole


@dataclass(frozen=True)
class Settings:
    """Of a training. A step sees `designs` of each of `kernels` tables; every `check` steps the held-out families are
    asked, and after `patience` times without a better answer it ends. `known` is the share of drawn designs that have
    targets. `average` is the weight of the past in the running mean of the weights, which is what is judged and kept.
    """

    metrics: tuple[str, ...] = HLS_METRICS
    difference: bool = True
    width: int = 64
    layers: int = 3
    heads: int = 4
    regular: Regular = field(default_factory=Regular)
    rate: float = 1e-3
    decay: float = 0.05
    steps: int = 250
    kernels: int = 8
    designs: int = 16
    known: float = 0.75
    validity: float = 0.3
    average: float = 0.98
    check: int = 25
    patience: int = 4

    @property
    def shape(self) -> Shape:
        """Of the model: an output for each target, and the logit of validity last."""
        return Shape(self.width, self.layers, self.heads, len(self.metrics) + 1)


@dataclass(frozen=True)
class Learned:
    """A trained model with what its inputs and outputs are measured in, and which families said when to stop. Of them
    are `error`, see `error_of`, and `agreement` (2, targets), see `agreement_of`."""

    model: TransformerH
    scaling: Scaling
    outputs: Outputs
    validation: tuple[str, ...]
    error: float
    agreement: Floats


@contextmanager
def one_thread() -> Iterator[None]:
    """So that sums are made in the same order whatever the machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def folds_of(lessons: Sequence[TrainingTable], count: int, seed: int) -> list[tuple[str, ...]]:
    """The families in `count` parts, or as many as there are families, with about as many known designs in each."""
    sizes: dict[str, int] = {}
    for lesson in lessons:
        sizes[lesson.family] = sizes.get(lesson.family, 0) + int(lesson.known.sum())
    count = min(count, len(sizes))
    order = sorted(sizes, key=lambda name: (-sizes[name], name))
    rng, parts = np.random.default_rng(seed), [list[str]() for _ in range(count)]
    for begin in range(0, len(order), count):
        row = order[begin : begin + count]
        for part, name in zip(rng.permutation(count)[: len(row)], row, strict=True):
            parts[part].append(name)
    return [tuple(sorted(part)) for part in parts]


def train(
    lessons: Sequence[TrainingTable],
    settings: Settings,
    validation: Sequence[str],
    seed: int,
    progress: Callable[[str], None] = lambda line: None,
) -> Learned:
    """A model that learned from the families that are not in `validation`. The same seed gives the same model.

    Raises InputError where either side is left without known designs.
    """
    held = [lesson for lesson in lessons if lesson.family in validation and lesson.known.any()]
    taught = [lesson for lesson in lessons if lesson.family not in validation and lesson.known.any()]
    if not held or not taught:
        there = ", ".join(sorted({lesson.family for lesson in lessons}))
        raise InputError("validation families", ", ".join(validation) or "are none", f"some but not all of {there}")
    scaling, outputs = scaling_from(taught), outputs_from(taught, settings.metrics, settings.difference)
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = TransformerH(settings.shape, settings.regular)
        mean = deepcopy(model).eval().requires_grad_(False)
        best, error = deepcopy(mean), np.inf
        pupil = Pupil(model, [scaled(lesson, scaling, outputs) for lesson in taught], settings, seed)
        exam = [scaled(_some(lesson), scaling, outputs) for lesson in held]
        since = 0
        for step in range(settings.steps):
            loss = pupil.step(step)
            with torch.no_grad():
                weight = min(settings.average, (1 + step) / (10 + step))
                for kept, new in zip(mean.parameters(), model.parameters(), strict=True):
                    kept.lerp_(new, 1 - weight)
            if (step + 1) % settings.check and step + 1 < settings.steps:
                continue
            found = error_of(mean, exam, outputs)
            progress(f"step {step + 1}: loss {loss:.3f}, held-out error {found:.3f}")
            since += 1
            if found < error:
                best, error, since = deepcopy(mean), found, 0
            if since >= settings.patience:
                break
        agreement = agreement_of(best, exam, outputs)
    return Learned(best, scaling, outputs, tuple(sorted(validation)), float(error), agreement)


class Pupil:
    """A model under training, with its optimiser and its draws."""

    def __init__(self, model: TransformerH, tables: Sequence[Scaled], settings: Settings, seed: int) -> None:
        self.model, self.tables, self.settings = model.train(), tables, settings
        self.rng = np.random.default_rng(seed)
        weights = np.sqrt([table.known.sum() for table in tables])
        self.chance = weights / weights.sum()
        maps = [p for name, p in model.named_parameters() if p.ndim == 2 and "place" not in name]
        others = [p for name, p in model.named_parameters() if p.ndim != 2 or "place" in name]
        groups = [{"params": maps, "weight_decay": settings.decay}, {"params": others, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=settings.rate, betas=(0.9, 0.98))

    def step(self, number: int) -> float:
        """One step; returns the loss."""
        warm = min(1.0, (number + 1) / WARM)
        for group in self.optimiser.param_groups:
            group["lr"] = self.settings.rate * warm * (0.02 + 0.98 * (1 + cos(pi * number / self.settings.steps)) / 2)
        picked = self.rng.choice(len(self.tables), self.settings.kernels, p=self.chance)
        drawn = [(self.tables[place], *self._designs(self.tables[place])) for place in picked]
        y, valid, weight = (_tensor(np.stack(part)) for part in zip(*(self._truth(*one) for one in drawn), strict=True))
        said = answer(self.model, [(table, rows) for table, rows, _ in drawn])
        there = ~torch.isnan(y)
        off = functional.huber_loss(said[..., :-1], torch.where(there, y, said[..., :-1].detach()), reduction="none")
        loss = (off * there).sum() / there.sum().clamp(min=1)
        wrong = functional.binary_cross_entropy_with_logits(said[..., -1], valid, weight=weight)
        loss = loss + self.settings.validity * wrong
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        return float(loss.detach())

    def _designs(self, table: Scaled) -> tuple[Rows, Floats]:
        """Rows of a table with the share of known ones, and what makes up for that in what is learned of validity."""
        known, unknown = np.flatnonzero(table.known), np.flatnonzero(~table.known)
        share = self.settings.known if len(unknown) else 1.0
        many = round(share * self.settings.designs)
        rows = np.concatenate(
            [
                self.rng.choice(known, many),
                self.rng.choice(unknown, self.settings.designs - many) if len(unknown) else known[:0],
            ]
        )
        true = len(known) / len(table.known)
        weight = np.where(table.known[rows], true / share, (1 - true) / max(1 - share, 1e-9))
        return rows, weight

    def _truth(self, table: Scaled, rows: Rows, weight: Floats) -> tuple[Floats, Floats, Floats]:
        return table.y[rows], table.valid[rows].astype(np.float64), weight


def answer(model: TransformerH, asked: Sequence[tuple[Scaled, Rows]]) -> Tensor:
    """(K, B, outputs) of as many rows of each of K tables, padded to the longest; the last is the logit of validity,
    counted from the estimate's."""
    kernels = [table.kernel for table, _ in asked]
    designs = [table.designs for table, _ in asked]
    memory = model.encode(
        _padded([kernel.rows for kernel in kernels]),
        _padded([kernel.places for kernel in kernels]),
        _there([len(kernel.places) for kernel in kernels]),
    )
    loops = [np.moveaxis(one.loops[rows], 1, 0) for one, (_, rows) in zip(designs, asked, strict=True)]
    said = model.answer(
        memory,
        _padded(loops).transpose(1, 2),
        _padded([one.places for one in designs]),
        _there([len(one.places) for one in designs]),
        _tensor(np.stack([one.tool for one in designs])),
        _tensor(np.stack([one.estimate[rows] for one, (_, rows) in zip(designs, asked, strict=True)])),
    )
    chance = _tensor(np.stack([one.chance[rows] for one, (_, rows) in zip(designs, asked, strict=True)]))
    return torch.cat([said[..., :-1], said[..., -1:] + chance[..., None]], dim=-1)


def error_of(model: TransformerH, exam: Sequence[Scaled], outputs: Outputs) -> float:
    """Root mean square error in y, mean over tables; cycles count as much as the other targets together."""
    found = []
    for table in exam:
        rows = np.arange(len(table.y))
        with torch.no_grad():
            said = answer(model, [(table, rows)])[0].numpy().astype(np.float64)
        there = np.isfinite(table.y)
        square = np.where(there, (said[:, :-1] - table.y) ** 2, 0.0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
        weight = np.array([max(there.shape[1] - 1, 1) if name == "cycles" else 1.0 for name in outputs.metrics])
        if (some := there.any(axis=0)).any():
            found.append(np.average((np.sqrt(square) * outputs.spread)[some], weights=weight[some]))
    return float(np.mean(found))


def agreement_of(model: TransformerH, exam: Sequence[Scaled], outputs: Outputs) -> Floats:
    """(2, targets): of the change that the model wants and the change that is right, the mean of their product and of
    the square of the first, tables counting the same. Their ratio is how much of what it wants is best done."""
    found = np.zeros((2, len(outputs.metrics)))
    for table in exam:
        with torch.no_grad():
            said = answer(model, [(table, np.arange(len(table.y)))])[0].numpy().astype(np.float64)
        wanted = outputs.change(table.designs.start, said[:, :-1])
        right = outputs.change(table.designs.start, table.y)
        there = np.isfinite(right)
        both = np.stack([np.where(there, wanted * right, 0.0), np.where(there, wanted**2, 0.0)])
        found += both.sum(axis=1) / np.maximum(there.sum(axis=0), 1)
    return found


def trusted(members: Sequence[Learned]) -> tuple[Learned, ...]:
    """The members with the trust that all of them together earned on the families they held out."""
    product, square = np.sum([member.agreement for member in members], axis=0)
    trust = np.clip(product / np.maximum(square, 1e-12), 0.0, 1.0)
    return tuple(replace(member, outputs=replace(member.outputs, trust=trust)) for member in members)


def _some(lesson: TrainingTable) -> TrainingTable:
    """At most JUDGED known designs at even distances."""
    known = np.flatnonzero(lesson.known)
    rows = known[np.linspace(0, len(known) - 1, min(len(known), JUDGED)).astype(np.int64)]
    one = lesson.designs
    designs = replace(
        one,
        directives=one.directives[rows],
        estimate=one.estimate[rows],
        start=one.start[rows],
        chance=one.chance[rows],
    )
    return replace(lesson, designs=designs, y=lesson.y[rows], valid=lesson.valid[rows])


def _tensor(values: Floats) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


def _padded(parts: Sequence[NDArray[Any]]) -> Tensor:
    """(K, longest, ..) of parts (length, ..), zeros behind the shorter."""
    longest = max(len(part) for part in parts)
    whole = np.zeros((len(parts), longest, *parts[0].shape[1:]), dtype=parts[0].dtype)
    for place, part in enumerate(parts):
        whole[place, : len(part)] = part
    return torch.from_numpy(whole if whole.dtype == np.int64 else whole.astype(np.float32))


def _there(lengths: Sequence[int]) -> Tensor:
    return torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]
