"""Designs of a kernel as a model is trained on them and asked about them: token numbers, and what it should answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cost_model.hls.estimator import Estimator
from cost_model.hls.store import Fitted
from cost_model.prompt.design import METRICS, design_tokens
from cost_model.prompt.program import program_text
from cost_model.prompt.tokens import encode
from design.core import Bools, Floats, Ints
from design.errors import InputError
from design.hls import Target
from design.loop_nest import Kernel
from frontends.hls_results import KernelTable


@dataclass(frozen=True)
class Prompts:
    """One kernel's `program` (tokens,), and of n designs `designs` (n, width), padded on the right, with `lengths`."""

    program: Ints
    designs: Ints
    lengths: Ints

    def __len__(self) -> int:
        return len(self.designs)

    def take(self, rows: Ints) -> Prompts:
        """Some designs."""
        return Prompts(self.program, self.designs[rows], self.lengths[rows])


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
    of the kernel's family. Raises InputError for a kernel whose program is longer than `context` leaves room for."""

    def __init__(self, kernel: Kernel, target: Target, fitted: Fitted, context: int) -> None:
        self.kernel, self.target = kernel, target
        self.estimator = Estimator(kernel, fitted.constants_of(kernel.digest))
        self.program = encode(program_text(kernel))
        self._room = context - len(self.program)
        if self._room <= 0:
            found = f"makes a prompt of {len(self.program)} tokens"
            raise InputError(f"kernel {kernel.name}", found, f"at most {context} tokens, as the model was made for")

    def prompts(self, columns: Mapping[str, Ints]) -> tuple[Prompts, dict[str, Floats]]:
        """Prompts of n designs, and the estimate that they hold. Raises InputError where they are too long."""
        estimate = self.estimator.estimate(columns)
        designs, lengths = design_tokens(self.kernel, self.target, columns, estimate)
        if designs.shape[1] > self._room:
            found = f"makes prompts of {len(self.program) + designs.shape[1]} tokens"
            raise InputError(f"kernel {self.kernel.name}", found, f"at most {len(self.program) + self._room}")
        return Prompts(self.program, designs, lengths), estimate


def examples_of(table: KernelTable, fitted: Fitted, context: int) -> Examples:
    """All designs of a table. Raises InputError as `Prompter` does."""
    prompts, _ = Prompter(table.kernel, table.target, fitted, context).prompts(table.batch.columns)
    values = np.stack([table.cycles, *(table.counts[metric] for metric in METRICS[1:])], axis=1)
    return Examples(table.name, table.family, table.target.tool, prompts, values, table.valid)
