"""Training: seeded, on one thread, with families held back whole to say when to stop and how far to trust a model."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import partial
from math import cos, pi

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from cost_model.surrogates.transformer_h.model import TransformerH, one_thread, tensor_of
from cost_model.surrogates.transformer_h.recipe import Recipe
from cost_model.surrogates.transformer_h.trained import Ensemble, Member
from cost_model.surrogates.transformer_h.training_examples import (
    Outputs,
    Scaled,
    TrainingTable,
    lessons_of,
    outputs_from,
    scaled,
    scaling_from,
)
from cost_model.training.checkpoint import copy_into, under
from cost_model.training.learner import Learner
from cost_model.views.plain import PlainView
from design.contracts import Dataset
from design.core import Floats, Rows
from design.errors import InputError

JUDGED = 120  # designs of a table that they are asked about
WARM = 50  # steps until the learning rate is whole
FEWEST_PARTS = 4  # of the families, of which each member holds one back


def learners(recipe: Recipe, tables: Sequence[Dataset], view: PlainView, base: object) -> list[Callable[[], Pupil]]:
    """The trainings of the members. Raises InputError where there is nothing to learn from or to hold back."""
    lessons = lessons_of(tables)
    parts = [tuple(recipe.validation)]
    if not recipe.validation:
        parts = folds_of(lessons, max(recipe.members, FEWEST_PARTS), recipe.seed)
    return [partial(Pupil, recipe, lessons, parts[n % len(parts)], n) for n in range(recipe.members)]


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


class Pupil(Learner):
    """A member under training, see `Learner`; its running mean is what is scored and kept. The same seed gives the same
    member."""

    model: TransformerH

    def __init__(self, recipe: Recipe, lessons: Sequence[TrainingTable], held: Sequence[str], number: int = 0) -> None:
        """Learns from the families that are not `held` back. Raises InputError where either side is left without known
        designs."""
        exam = [lesson for lesson in lessons if lesson.family in held and lesson.known.any()]
        taught = [lesson for lesson in lessons if lesson.family not in held and lesson.known.any()]
        if not exam or not taught:
            there = ", ".join(sorted({lesson.family for lesson in lessons}))
            raise InputError("validation families", ", ".join(held) or "are none", f"some but not all of {there}")
        self.recipe, seed = recipe, recipe.seed + number
        self.name = f"member {number + 1} of {recipe.members}, without {', '.join(held)}: "
        scaling, outputs = scaling_from(taught), outputs_from(taught, tuple(recipe.metrics), recipe.difference)
        self.tables = [scaled(lesson, scaling, outputs) for lesson in taught]
        self.exam = [scaled(_some(lesson), scaling, outputs) for lesson in exam]
        self.rng = np.random.default_rng(seed)
        weights = np.sqrt([table.known.sum() for table in self.tables])
        self.chance = weights / weights.sum()
        with one_thread(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = TransformerH(recipe)
            self._random = torch.get_rng_state()
        self.member = Member(deepcopy(model).eval().requires_grad_(False), scaling, outputs)
        maps = [p for name, p in model.named_parameters() if p.ndim == 2 and "place" not in name]
        others = [p for name, p in model.named_parameters() if p.ndim != 2 or "place" in name]
        groups = [{"params": maps}, {"params": others, "weight_decay": 0.0}]
        super().__init__(recipe, model, self.member, groups, recipe.steps)
        self._loss = 0.0

    def advance(self) -> None:
        """See `Learner`. Draws of torch go on from the step before, and those of others are left as they were."""
        weight = min(self.recipe.average, (1 + self.step) / (10 + self.step))
        with one_thread(), torch.random.fork_rng(devices=[]):
            torch.set_rng_state(self._random)
            super().advance()
            self._random = torch.get_rng_state()
        with torch.no_grad():
            for mean, new in zip(self.member.model.parameters(), self.model.parameters(), strict=True):
                mean.lerp_(new, 1 - weight)

    def score(self) -> float:
        """See `Learner`."""
        with one_thread():
            return error_of(self.member.model, self.exam, self.member.outputs)

    def loss(self) -> str:
        """See `Learner`."""
        return f"loss {self._loss:.3f}"

    def state(self) -> dict[str, Tensor]:
        """See `Learner`."""
        drawn = torch.tensor(list(json.dumps(self.rng.bit_generator.state).encode()), dtype=torch.uint8)
        own = {f"model.{name}": weight for name, weight in self.model.state_dict().items()}
        return super().state() | own | {"torch": self._random, "numpy": drawn}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """See `Learner`."""
        super().restore(tensors)
        copy_into(self.model.state_dict(), under(tensors, "model."))
        self._random = tensors["torch"]
        self.rng.bit_generator.state = json.loads(bytes(tensors["numpy"].tolist()))

    def rate(self) -> float:
        """See `Learner`."""
        warm = min(1.0, (self.step + 1) / WARM)
        return self.recipe.rate * warm * (0.02 + 0.98 * (1 + cos(pi * self.step / self.recipe.steps)) / 2)

    def learn(self) -> None:
        """See `Learner`."""
        picked = self.rng.choice(len(self.tables), self.recipe.kernels, p=self.chance)
        drawn = [(self.tables[place], *self._designs(self.tables[place])) for place in picked]
        y, valid, weight = (
            tensor_of(np.stack(values), torch.float32)
            for values in zip(
                *((table.y[rows], table.valid[rows], weight) for table, rows, weight in drawn), strict=True
            )
        )
        said = answer(self.model, [(table, rows) for table, rows, _ in drawn])
        there = ~torch.isnan(y)
        off = functional.huber_loss(said[..., :-1], torch.where(there, y, said[..., :-1].detach()), reduction="none")
        loss = (off * there).sum() / there.sum().clamp(min=1)
        wrong = functional.binary_cross_entropy_with_logits(said[..., -1], valid, weight=weight)
        loss = loss + self.recipe.validity * wrong
        loss.backward()
        self._loss = float(loss.detach())

    def _designs(self, table: Scaled) -> tuple[Rows, Floats]:
        """Rows of a table with the share of known ones, and what makes up for that in what is learned of validity."""
        known, unknown = np.flatnonzero(table.known), np.flatnonzero(~table.known)
        share = self.recipe.known if len(unknown) else 1.0
        many = round(share * self.recipe.designs)
        rows = np.concatenate(
            [
                self.rng.choice(known, many),
                self.rng.choice(unknown, self.recipe.designs - many) if len(unknown) else known[:0],
            ]
        )
        true = len(known) / len(table.known)
        weight = np.where(table.known[rows], true / share, (1 - true) / max(1 - share, 1e-9))
        return rows, weight


def answer(model: TransformerH, asked: Sequence[tuple[Scaled, Rows]]) -> Tensor:
    """(K, B, outputs) of as many rows of each of K tables, padded to the longest; the last is the logit of validity,
    counted from the estimate's."""
    memory = model.remember([table.kernel for table, _ in asked])
    found = model.reply(memory, [(table.designs, rows) for table, rows in asked])
    chance = tensor_of(np.stack([table.designs.chance[rows] for table, rows in asked]), found.dtype)
    return torch.cat([found[..., :-1], found[..., -1:] + chance[..., None]], dim=-1)


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


def together(pupils: Sequence[Pupil]) -> Ensemble:
    """The members, with the trust that all of them earned on the families they held back."""
    with one_thread():
        earned = [agreement_of(one.member.model, one.exam, one.member.outputs) for one in pupils]
    return Ensemble(trusted([one.member for one in pupils], earned))


def trusted(members: Sequence[Member], agreements: Sequence[Floats]) -> tuple[Member, ...]:
    """The members with the trust that their agreements, (2, targets) each, add up to."""
    product, square = np.sum(agreements, axis=0)
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
