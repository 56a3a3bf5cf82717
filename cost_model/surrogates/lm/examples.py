"""Designs of a kernel as a model is trained on them and asked about them: token numbers, and what it should answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace

import numpy as np

from cost_model.surrogates.lm.recipe import Recipe
from cost_model.views.plain import PlainView
from design.contracts import Dataset, Task
from design.core import Batch, Bools, Floats, Ints
from design.errors import InputError
from design.metrics import HLS_METRICS

ONE = 3000.0  # how a relative answer says that the estimate is right: far from where its first digits turn over


@dataclass(frozen=True)
class Prompts:
    """One kernel's `program` (tokens,), and of n designs `designs` (n, width), padded on the right, with `lengths`, and
    the `units` (n, metrics) that their answers to `metrics` are told in."""

    program: Ints
    designs: Ints
    lengths: Ints
    units: Floats
    metrics: tuple[str, ...] = HLS_METRICS

    def __len__(self) -> int:
        return len(self.designs)

    def after(self, labels: Ints) -> Prompts:
        """The same behind labelled designs (tokens,), which become part of the program."""
        return replace(self, program=np.concatenate([self.program, labels]))

    def take(self, rows: Ints) -> Prompts:
        """Some designs."""
        return replace(self, designs=self.designs[rows], lengths=self.lengths[rows], units=self.units[rows])


@dataclass(frozen=True)
class Examples:
    """A kernel's designs with answers: `values` (n, metrics) with NaN where the tool gave none, `valid` (n,)."""

    name: str
    family: str
    prompts: Prompts
    values: Floats
    valid: Bools

    @property
    def known(self) -> Ints:
        """Rows with cycles."""
        return np.flatnonzero(np.isfinite(self.values[:, 0]))


class Prompter:
    """Makes prompts of one task's designs. The estimate in them is by constants that never saw results of the task's
    family. Raises InputError for a task whose program is longer than the recipe's context."""

    def __init__(self, task: Task, view: PlainView, recipe: Recipe, ancestor: str | None = None) -> None:
        self.task, self.source = task, view.prompts(task, ancestor)
        self.program = self.source.program
        self._relative, self._metrics = recipe.answers == "relative", tuple(recipe.metrics)
        self._room = recipe.context - len(self.program)
        if self._room <= 0:
            found, most = f"makes a prompt of {len(self.program)} tokens", f"at most {recipe.context} tokens"
            raise InputError(f"kernel {task.name}", found, f"{most}, as the model was made for")

    def behind(self, labels: Ints) -> Prompter:
        """The same with labelled designs (tokens,) behind the program. Raises InputError where they leave no room."""
        found = copy(self)
        found.program, found._room = np.concatenate([self.program, labels]), self._room - len(labels)
        if found._room <= 0:
            what = f"makes a prompt of {len(found.program)} tokens with its labels"
            raise InputError(f"kernel {self.task.name}", what, f"at most {len(self.program) + self._room}")
        return found

    def prompts(self, batch: Batch) -> tuple[Prompts, Mapping[str, Floats]]:
        """Prompts of n designs, and the estimate that they hold. Raises InputError where they are too long."""
        designs, lengths, estimate = self.source.designs(batch)
        if designs.shape[1] > self._room:
            found = f"makes prompts of {len(self.program) + designs.shape[1]} tokens"
            raise InputError(f"kernel {self.task.name}", found, f"at most {len(self.program) + self._room}")
        units = np.ones((len(designs), len(self._metrics)))
        if self._relative:
            known = len(self.task.metrics)
            units[:, :known], units[:, known:] = self.source.units(estimate) / ONE, 1 / ONE
        return Prompts(self.program, designs, lengths, units, self._metrics), estimate


def answers_of(metrics: Sequence[str], known: Mapping[str, Floats]) -> Floats:
    """(n, metrics) of what is `known` by metric, (n,); NaN of the rest."""
    nothing = np.full_like(next(iter(known.values())), np.nan)
    return np.stack([known.get(metric, nothing) for metric in metrics], axis=1)


def examples_of(data: Dataset, view: PlainView, recipe: Recipe, ancestor: str | None = None) -> Examples:
    """All designs of a data set, whose task may be another in other words, with the digest `ancestor`. Raises
    InputError as `Prompter` does."""
    task = data.task
    prompts, _ = Prompter(task, view, recipe, ancestor).prompts(data.batch)
    values = answers_of(prompts.metrics, {name: data.metric(name) for name in task.metrics})
    return Examples(task.name, task.family, prompts, values, data.feasible)
