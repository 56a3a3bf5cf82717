"""Designs of a kernel as a model is trained on them and asked about them: token numbers, and what it should answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace

import numpy as np

from cost_model.hls.estimator import Estimator
from cost_model.hls.store import Fitted
from cost_model.surrogates.lm.recipe import Recipe
from cost_model.views.hls.design import METRICS, design_tokens
from cost_model.views.hls.program import program_text
from cost_model.views.tokens import encode
from design.core import Bools, Floats, Ints
from design.errors import InputError
from design.hls.design import Target
from design.hls.loop_nest import Kernel
from frontends.hls_results.tables import KernelTable

ONE = 3000.0  # how a relative answer says that the estimate is right: far from where its first digits turn over


@dataclass(frozen=True)
class Prompts:
    """One kernel's `program` (tokens,), and of n designs `designs` (n, width), padded on the right, with `lengths`, and
    the `units` (n, metrics) that their answers to `metrics` are told in."""

    program: Ints
    designs: Ints
    lengths: Ints
    units: Floats
    metrics: tuple[str, ...] = METRICS

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
    tool: str
    prompts: Prompts
    values: Floats
    valid: Bools

    @property
    def known(self) -> Ints:
        """Rows with cycles."""
        return np.flatnonzero(np.isfinite(self.values[:, 0]))


class Prompter:
    """Makes prompts of one kernel's designs for one tool. The estimate in them is by constants that never saw results
    of the kernel's family. Raises InputError for a kernel whose program is longer than the recipe's context."""

    def __init__(
        self, kernel: Kernel, target: Target, fitted: Fitted, recipe: Recipe, ancestor: str | None = None
    ) -> None:
        self.kernel, self.target = kernel, target
        self.estimator = Estimator(kernel, fitted.constants_of(ancestor or kernel.digest))
        self.program = encode(program_text(kernel))
        self._relative, self._metrics = recipe.answers == "relative", tuple(recipe.metrics)
        self._room = recipe.context - len(self.program)
        if self._room <= 0:
            found, most = f"makes a prompt of {len(self.program)} tokens", f"at most {recipe.context} tokens"
            raise InputError(f"kernel {kernel.name}", found, f"{most}, as the model was made for")

    def behind(self, labels: Ints) -> Prompter:
        """The same with labelled designs (tokens,) behind the program. Raises InputError where they leave no room."""
        found = copy(self)
        found.program, found._room = np.concatenate([self.program, labels]), self._room - len(labels)
        if found._room <= 0:
            what = f"makes a prompt of {len(found.program)} tokens with its labels"
            raise InputError(f"kernel {self.kernel.name}", what, f"at most {len(self.program) + self._room}")
        return found

    def prompts(self, columns: Mapping[str, Ints]) -> tuple[Prompts, dict[str, Floats]]:
        """Prompts of n designs, and the estimate that they hold. Raises InputError where they are too long."""
        estimate = self.estimator.estimate(columns)
        designs, lengths = design_tokens(self.kernel, self.target, columns, estimate)
        if designs.shape[1] > self._room:
            found = f"makes prompts of {len(self.program) + designs.shape[1]} tokens"
            raise InputError(f"kernel {self.kernel.name}", found, f"at most {len(self.program) + self._room}")
        units = np.ones((len(designs), len(self._metrics)))
        if self._relative:
            units[:, : len(METRICS)], units[:, len(METRICS) :] = told_in(self.target, estimate), 1 / ONE
        return Prompts(self.program, designs, lengths, units, self._metrics), estimate


def told_in(target: Target, estimate: Mapping[str, Floats]) -> Floats:
    """(n, metrics): what a relative answer of 1 stands for. Of a resource it is told against no less than the least
    count that tables report."""
    device = target.device
    least = {name: device.reported * count for name, count in device.resources.items()} | {"cycles": 1.0}
    return np.stack([np.maximum(estimate[metric], least[metric]) for metric in METRICS], axis=1) / ONE


def answers_of(metrics: Sequence[str], known: Mapping[str, Floats]) -> Floats:
    """(n, metrics) of what is `known` by metric, (n,), cycles at least; NaN of the rest."""
    nothing = np.full_like(known["cycles"], np.nan)
    return np.stack([known.get(metric, nothing) for metric in metrics], axis=1)


def examples_of(table: KernelTable, fitted: Fitted, recipe: Recipe, ancestor: str | None = None) -> Examples:
    """All designs of a table, whose kernel may be another in other words, with the digest `ancestor`. Raises InputError
    as `Prompter` does."""
    prompts, _ = Prompter(table.kernel, table.target, fitted, recipe, ancestor).prompts(table.batch.columns)
    values = answers_of(prompts.metrics, {"cycles": table.cycles, **table.counts})
    return Examples(table.name, table.family, table.target.tool, prompts, values, table.valid)
