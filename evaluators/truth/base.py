"""Truth: what designs cost in fact, as a tool says it, at a price per call.

A truth is an evaluator of the highest fidelity. What was answered is kept by `ledger.Ledger`; `bought.Bought` buys what
is not there yet. `recorded.Recorded` looks designs up in results that someone else paid for, `command.CommandTruth`
runs a user's tool.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from design.core import Batch, Bools, Evaluation, Status
from evaluators.base import Evaluator

FIDELITY = 9  # above all that is computed or learned


class Truth(Evaluator, Protocol):
    """Says what a design costs in fact. A call is one design put to the tool, until it answers or has failed for good:
    runs that are tried again because the tool broke belong to one call.

    `price` is what a call costs, in units of the user's choice. Answers are exact: intervals have zero width. A design
    is answered by itself, whatever stands beside it, so that rows can be bought one by one, at once and anywhere.
    """

    price: float

    def sells(self, batch: Batch) -> Bools:
        """(n,): which designs can be put to the tool at all. The others are FAILED, and are no call."""
        ...

    def give_up(self) -> None:
        """Stop what is under way in other threads; it ends there with an exception. Later calls are as ever."""
        ...


def called(answer: Evaluation) -> Bools:
    """(n,): for which rows the tool was asked. A row that FAILED at no cost was never put to it: it says nothing about
    the design, neither for training nor for a budget."""
    return ~((answer.status == Status.FAILED) & (np.asarray(answer.cost_s) == 0))


def labels(answer: Evaluation) -> Bools:
    """(n,): which rows say something about their design. INFEASIBLE does; FAILED does not."""
    found: Bools = answer.status != Status.FAILED
    return found
