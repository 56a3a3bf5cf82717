"""How designs and their answers stand behind a program: who sees whom, and at which position.

Each metric's answer is a branch of its own behind the design: it sees the program, the design and itself, no other
answer. So every metric has an exact distribution, whatever the order of metrics, and all are read in one pass.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cost_model.views.tokens import IDS
from design.core import Bools, Ints

VALID = "valid"  # asked last, answered by one token


@dataclass(frozen=True)
class Layout:
    """Answers to `metrics` of at most `longest` tokens, and one to whether a design is valid."""

    metrics: tuple[str, ...]
    longest: int

    @property
    def width(self) -> int:
        """Tokens of all answers: each begins with its metric's name, which takes the place of the last token."""
        return len(self.metrics) * self.longest + 1

    def tokens(self, design: Ints, answers: Ints) -> Ints:
        """(n, design width + width): designs, then what is known of their answers (n, metrics, longest - 1)."""
        count = len(design)
        named = np.empty((count, len(self.metrics), self.longest), dtype=np.int64)
        named[:, :, 0] = [IDS[metric] for metric in self.metrics]
        named[:, :, 1:] = answers
        valid = np.full((count, 1), IDS[VALID])
        return np.concatenate([design, named.reshape(count, -1), valid], axis=1)

    def places(self, program: int, lengths: Ints, design_width: int) -> Ints:
        """Positions (n, design width + width) behind a program of so many tokens; each answer begins behind the last
        token of its design (`lengths` (n,))."""
        design = np.broadcast_to(np.arange(design_width), (len(lengths), design_width))
        steps = np.concatenate([np.tile(np.arange(self.longest), len(self.metrics)), [0]])
        return program + np.concatenate([design, lengths[:, None] + steps], axis=1)

    def mask(self, program: int, lengths: Ints, design_width: int) -> Bools:
        """(n, tokens, program + tokens): who sees whom."""
        tokens = design_width + self.width
        own = np.zeros((tokens, tokens), dtype=bool)
        own[:design_width, :design_width] = np.tri(design_width, dtype=bool)
        for first in range(design_width, tokens - 1, self.longest):
            own[first : first + self.longest, first : first + self.longest] = np.tri(self.longest, dtype=bool)
        own[-1, -1] = True
        found = np.ones((len(lengths), tokens, program + tokens), dtype=bool)
        found[:, :, program:] = own
        there = np.arange(design_width) < lengths[:, None]
        found[:, design_width:, program : program + design_width] = there[:, None, :]
        return found
