"""What a run explores, by what it judges, and towards what."""

from __future__ import annotations

from dataclasses import dataclass

from design.core import Objective
from dse.engine import Effort
from dse.space import Space
from evaluators.base import Evaluator


@dataclass(frozen=True)
class Problem:
    """What the search needs to know. Kinds of problems add what else they are made of."""

    space: Space
    evaluator: Evaluator
    objectives: tuple[Objective, ...]
    effort: Effort
