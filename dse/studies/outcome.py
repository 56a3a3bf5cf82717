"""A run as far as it got: what results, report and terminal are written from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from design.core import Batch, Evaluation, Objective
from dse.active.acquired import Acquired
from dse.active.validation import Validation


@dataclass(frozen=True)
class Bound:
    """For the first objective. `lower_bound` None: none is known. `better` is a design that beats the search's best.
    `how` says in words where the bound comes from, or why there is none."""

    lower_bound: float | None
    how: str
    better: Batch | None = None


@dataclass(frozen=True)
class Ending:
    """How a run ended: why, after how many CPU and wall seconds of search, with which proof, and what the study found
    out beyond (`further`, fit for JSON; None: not worked out). `full` says whether all was worked out that can be,
    `checked` what a truth answered about designs of the front (see `validation.noted`)."""

    ended: str
    cpu_s: float
    wall_s: float
    bound: Bound
    further: Any
    full: bool
    checked: Any = None


@dataclass(frozen=True)
class Outcome:
    """`front` and `answers` hold the front's designs, the best one first; `findings` what the study has to say of
    them, None where there is nothing. `validation` is what a truth answered about some of them, `acquired` the labels
    that an active loop acquired."""

    objectives: Sequence[Objective]
    front: Batch
    answers: Evaluation
    front_ids: Sequence[int]
    candidates: int
    failed: Mapping[str, int]  # reason -> how many
    cpu_seconds: float
    wall_seconds: float
    seed: int
    ended: str
    settings: Mapping[str, str]
    versions: Mapping[str, str]
    bound: Bound
    findings: Any
    validation: Validation | None = None
    acquired: Acquired | None = None
