"""What learns in the loop: a maker of evaluators from designs with known answers."""

from __future__ import annotations

from typing import Protocol

from design.contracts import Evaluator
from design.core import Batch, Evaluation


class Learner(Protocol):
    """Makes model versions. `metrics` of an evaluator hold those of the objectives, and `valid_probability` if it
    knows how likely a design is to count."""

    def learned(self, designs: Batch | None, answers: Evaluation | None) -> Evaluator:
        """The version that has seen these designs (None: none yet) and what the truth said of them."""
        ...
