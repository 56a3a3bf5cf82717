"""What a run explores, by what it judges, and towards what."""

from __future__ import annotations

from dataclasses import dataclass

from design.contracts import Evaluator, Space
from design.core import Objective
from dse.search.engine import Effort


@dataclass(frozen=True)
class Problem:
    """What the search needs to know. Kinds of problems add what else they are made of."""

    space: Space
    evaluator: Evaluator
    objectives: tuple[Objective, ...]
    effort: Effort
