"""What a study lends to `evaluate`, `train` and `predict`: how learners see its tasks, data sets to score on,
designs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from design.contracts import Dataset, Task
from design.core import Batch
from dse.studies.surrogates import Domain


@dataclass(frozen=True)
class Judged:
    """The data sets that are scored, those that baselines may learn from, and why others are not scored, by name.
    `about` is what `metrics.json` says of them beside their scores."""

    tables: list[Dataset]
    training: list[Dataset]
    skipped: Mapping[str, str]
    about: Mapping[str, Any]


@dataclass(frozen=True)
class Learning:
    """Of one kind of study, by the settings of a command. `read_judged` reads what is scored, with so many labels;
    `read_task` the task that the settings name, `read_labels` what is known of it beforehand (None: nothing), and
    `design` the one design that --set says. `default` is the surrogate that is asked where none is named."""

    domain: Domain
    read_judged: Callable[[tuple[int, ...]], Judged]
    read_task: Callable[[], Task]
    read_labels: Callable[[Task], Dataset | None]
    design: Callable[[Task], Batch]
    train: Callable[[Any], int]  # of an output directory
    default: Mapping[str, str]  # by execution type
