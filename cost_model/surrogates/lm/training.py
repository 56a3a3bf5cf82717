"""Training: made-up numbers first, then results, program by program; the best state by whole held-back families.

Each step's designs are drawn by seed and step alone, so that training goes on after any interruption as if there had
been none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from cost_model.corpus.hls.augment import augmented
from cost_model.numbers import Codec
from cost_model.surrogates.lm.backbones import make_backbone
from cost_model.surrogates.lm.backbones.base import Backbone
from cost_model.surrogates.lm.backbones.base_models import Base
from cost_model.surrogates.lm.backbones.kv_cache import Shared
from cost_model.surrogates.lm.digit_targets import DigitTargets, digit_targets
from cost_model.surrogates.lm.examples import ONE, Examples, examples_of
from cost_model.surrogates.lm.grammar import Grammar
from cost_model.surrogates.lm.inference import Reader
from cost_model.surrogates.lm.labels import labels_text
from cost_model.surrogates.lm.layout import Layout
from cost_model.surrogates.lm.recipe import Recipe
from cost_model.surrogates.lm.synthetic_numbers import first_places, numerals
from cost_model.training.learner import Learner
from cost_model.views.plain import PlainView
from cost_model.views.tokens import IDS
from design.contracts import Dataset
from design.core import Floats, Ints
from design.errors import InputError

FORGETTING = 0.98  # of the running mean of the loss
MOST = 100  # designs of a kernel that is held back that are asked about
LEAST = 20  # fewer say nothing of a kernel


@dataclass(frozen=True)
class TrainingExamples:
    """Examples with their targets, ready to be drawn from."""

    examples: Examples
    targets: list[DigitTargets]  # by metric

    @cached_property
    def unfinished(self) -> Ints:
        """Rows without cycles: only their validity is known."""
        return np.setdiff1d(np.arange(len(self.examples.valid)), self.examples.known)


def lesson(examples: Examples, codec: Codec, spread: float, centred: bool = False) -> TrainingExamples:
    """Examples with their targets. `centred`: as if the estimate were right on most designs of the kernel."""
    told = examples.values / examples.prompts.units
    if centred:
        told /= usual(told) / ONE
    return TrainingExamples(examples, [digit_targets(codec, column, spread) for column in told.T])


def lessons_of(records: Sequence[Dataset], view: PlainView, recipe: Recipe) -> list[TrainingExamples]:
    """Of data sets, in their own words and in the recipe's variants; none of what has no cycles. Raises InputError for
    a kernel that is too long."""
    found = []
    for record in records:
        variants = [record, *(augmented(record, recipe.seed + 1 + number) for number in range(recipe.variants))]
        for one in {each.task.digest: each for each in variants}.values():
            examples = examples_of(one, view, recipe, record.task.digest)
            if len(examples.known):
                found.append(lesson(examples, recipe.make_codec(), recipe.spread, recipe.centres))
    return found


def usual(told: Floats) -> Floats:
    """(metrics,) the median of relative answers (n, metrics) above 0; ONE where there are none."""
    above = np.where(told > 0, told, np.nan)
    known = np.isfinite(above).any(axis=0)
    found: Floats = np.where(known, np.nanmedian(np.where(known, above, ONE), axis=0), ONE)
    return found


def learners(
    recipe: Recipe, tables: Sequence[Dataset], view: PlainView, base: Base | None
) -> list[Callable[[], Trainer]]:
    """The training of a model. Raises InputError for a kernel that is too long, and where no results are left."""
    held = [examples_of(table, view, recipe) for table in tables if table.task.family in recipe.validation]
    lessons = lessons_of([table for table in tables if table.task.family not in recipe.validation], view, recipe)
    if not lessons:
        raise InputError("--data", "has no kernel with cycles beside those of validation", "more results")
    return [lambda: Trainer(recipe, lessons, base, held=held)]


def score(model: Backbone, codec: Codec, kernels: Sequence[Examples]) -> float:
    """Mean over kernels of the RMSE of log2(cycles) / 2 of the medians; NaN where there is no kernel to ask about."""
    grammar, found = Grammar(codec), []
    for examples in kernels:
        rows = np.random.default_rng(0).permutation(examples.known)[:MOST]
        if len(rows) < LEAST:
            continue
        answers = Reader(model, grammar, examples.prompts.program).read(examples.prompts.take(rows)).metrics["cycles"]
        medians = np.maximum(answers.quantiles(np.array([0.5]))[:, 0], 1.0)
        found.append(float(np.sqrt(np.mean((np.log2(medians / examples.values[rows, 0]) / 2) ** 2))))
    return float(np.mean(found)) if found else float("nan")


class Trainer(Learner):
    """See `Learner`: `step` counts both stages. `losses` are running means by metric, in nats a number. Kernels that
    are `held` back say how well the model does."""

    model: Backbone

    def __init__(
        self,
        recipe: Recipe,
        lessons: Sequence[TrainingExamples],
        base: Base | None = None,
        model: Backbone | None = None,
        held: Sequence[Examples] = (),
    ) -> None:
        """From the beginning, with what the recipe's backbone is made of; or on from a `model`, of which learns what
        requires a gradient."""
        torch.set_num_threads(1)
        torch.manual_seed(recipe.seed)
        self.recipe, self.lessons, self.held = recipe, list(lessons), held
        self.codec = recipe.make_codec()
        self.layout = Layout(tuple(recipe.metrics), self.codec.longest)
        model = make_backbone(recipe, base) if model is None else model
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        super().__init__(recipe, model, model, weights, recipe.number_steps + recipe.steps)
        self.losses: Floats = np.zeros(len(recipe.metrics))

    def score(self) -> float | None:
        """See `Learner`. Made-up numbers are not scored."""
        learning = self.step > self.recipe.number_steps and self.held
        return score(self.model, self.codec, self.held) if learning else None

    def loss(self) -> str:
        """See `Learner`."""
        return f"cycles {self.losses[0]:.2f} nats a number"

    def state(self) -> dict[str, Tensor]:
        """See `Learner`."""
        return super().state() | {"losses": torch.from_numpy(self.losses)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """See `Learner`."""
        super().restore(tensors)
        self.losses = tensors["losses"].numpy()

    def learn(self) -> None:
        """See `Learner`."""
        recipe, seed = self.recipe, (self.recipe.seed, self.step)
        torch.manual_seed(recipe.seed * 1_000_003 + self.step)  # of dropout
        if self.step < recipe.number_steps:
            examples = numerals(recipe, recipe.designs * recipe.kernels, seed)
            every = np.arange(len(examples.prompts))
            drawn = [(lesson(examples, self.codec, recipe.spread), every, every[:0])]
        else:
            drawn = self._drawn(np.random.default_rng(seed))
        for each, rows, shown in drawn:
            loss, metrics = self._loss(each, rows, shown)
            (loss / len(drawn)).backward()
            self.losses = FORGETTING * self.losses + (1 - FORGETTING) * metrics

    def rate(self) -> float:
        """See `Learner`."""
        recipe, numbers = self.recipe, self.step < self.recipe.number_steps
        first, count = (0, recipe.number_steps) if numbers else (recipe.number_steps, recipe.steps)
        done, most = self.step - first, recipe.number_rate if numbers else recipe.rate
        fall = 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * done / max(count, 1)))
        return most * min(1.0, (done + 1) / max(recipe.warmup, 1)) * fall

    def _drawn(self, rng: np.random.Generator) -> list[tuple[TrainingExamples, Ints, Ints]]:
        """Every kernel of a tool as often as any other, whatever the size of its table."""
        found = []
        for place in rng.integers(len(self.lessons), size=self.recipe.kernels):
            each = self.lessons[place]
            known = rng.permutation(each.examples.known)
            shown = self._shown(rng, len(known))
            asked = known[shown : shown + self.recipe.designs]
            others = rng.permutation(each.unfinished)[: self.recipe.unfinished]
            found.append((each, np.concatenate([asked, others]), known[:shown]))
        return found

    def _shown(self, rng: np.random.Generator, known: int) -> int:
        """How many labels stand in the prompt: none half of the time, and never more than half of those known."""
        most = min(self.recipe.shots, known // 2)
        return int(rng.integers(1, most + 1)) if most and rng.random() < 0.5 else 0

    def _loss(self, each: TrainingExamples, rows: Ints, shown: Ints) -> tuple[Tensor, Floats]:
        """The loss of some rows behind labels that are shown, and its part by metric in nats a number."""
        prompts = each.examples.prompts.take(rows)
        if len(shown):
            prompts = prompts.after(
                labels_text(self.codec, each.examples.prompts.take(shown), each.examples.values[shown])
            )
        targets = [metric.take(rows) for metric in each.targets]
        answers = np.stack([metric.inputs for metric in targets], axis=1)
        width, program = prompts.designs.shape[1], len(prompts.program)
        tokens = self.layout.tokens(prompts.designs, answers)
        places = self.layout.places(program, prompts.lengths, width)
        if not program:
            places = places + first_places(len(rows), (self.recipe.seed, self.step), self.recipe.context // 8)[:, None]
        mask = self.layout.mask(program, prompts.lengths, width)
        past = Shared(self.model.program(torch.from_numpy(prompts.program)) if program else None)
        states = self.model.behind(past, *(torch.from_numpy(each) for each in (tokens, places, mask)))
        states = states[:, width:]
        alphabet = torch.tensor([IDS[token] for token in self.codec.alphabet])
        logits = self.model.logits(states[:, :-1], alphabet).view(*answers.shape[:2], self.layout.longest, -1)
        allowed, wanted, asked = (
            torch.from_numpy(np.stack([getattr(metric, name) for metric in targets], axis=1))
            for name in ("allowed", "wanted", "asked")
        )
        likely = functional.log_softmax(logits.masked_fill(~allowed, -1e9), dim=-1)
        numbers = -(wanted.float() * likely).sum(dim=-1) * asked
        metrics = numbers.sum(dim=(0, 2)) / asked[:, :, 0].sum(dim=0).clamp(min=1)
        weights = torch.tensor([1.0] + [self.recipe.resources] * (len(metrics) - 1))
        loss = (metrics * weights).sum()
        if program:
            words = self.model.logits(states[:, -1], torch.tensor([IDS["no"], IDS["yes"]]))
            valid = torch.from_numpy(each.examples.valid[rows].astype(np.int64))
            loss = loss + self.recipe.validity * functional.cross_entropy(words, valid)
        return loss, metrics.detach().double().numpy()
