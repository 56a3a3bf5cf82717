"""What a near-memory study lends to `evaluate`, `train` and `predict`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cost_model.corpus.label_draws import LEAST_ROWS, why_skipped
from design.contracts import Dataset, Task
from design.core import Batch
from design.errors import InputError
from design.nmp.design import HARDWARE
from dse.options import Settings
from dse.studies.learning import Judged, Learning
from dse.studies.nmp.problem import NmpProblem, build, nmp_domain
from frontends.recorded_answers import read_recorded


def near_memory_learning(settings: Settings) -> Learning:
    """By the settings of a command."""
    # What is scored and asked is a surrogate, which no search has to be able to ask; nor is a truth asked.
    analytic = {"evaluator": "auto", "truth": "none"}
    problem = build(replace(settings, values={**settings.values, **analytic}))

    def train(out: Path) -> int:
        found = "train with --space nmp: no model of near-memory designs is trained"
        raise InputError("--execution-type", found, "--space hls; labels condition the other surrogates")

    return Learning(
        domain=nmp_domain(settings),
        read_judged=lambda label_counts: read_judged(settings, problem.task, label_counts),
        read_task=lambda: problem.task,
        read_labels=lambda task: _labels(settings, task),
        design=lambda task: chosen(problem, settings["set"] or ()),
        train=train,
        default={"evaluate": "estimate", "predict": "estimate"},
    )


def read_judged(settings: Settings, task: Task, label_counts: Sequence[int]) -> Judged:
    """The recorded answers about the task. Raises InputError where there are too few."""
    data = _labels(settings, task)
    if data is None:
        raise InputError("--data", "is missing", "recorded answers as .jsonl or .parquet (docs/truth.md)")
    if why := why_skipped(data, label_counts):
        raise InputError(settings["data"], f"is too little to judge by ({why})", f"{LEAST_ROWS} designs at least")
    return Judged([data], [], {}, {"tool_version": "recorded", "data": settings["data"], "distance": {}})


def _labels(settings: Settings, task: Task) -> Dataset | None:
    return None if settings["data"] is None else read_recorded(Path(settings["data"]), task)


def chosen(problem: NmpProblem, pairs: tuple[str, ...]) -> Batch:
    """The design whose hardware NAME=VALUE pairs say, of the choices that the options give; the rest is the first
    choice of each, and the dataflow the first of the space's known simple ones. Raises InputError for a name that is no
    hardware or a value that is no choice."""
    space = problem.space
    genomes = space.starts()
    if not len(genomes):
        genomes = space.sample(1, np.random.default_rng(0))
    names = {column.name for column in HARDWARE}
    wanted: dict[str, float] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or name not in names or name in wanted:
            raise InputError("--set", f"'{pair[:60]}'", f"each once: NAME=VALUE of {', '.join(sorted(names))}")
        try:
            wanted[name] = float(value)
        except ValueError:
            raise InputError("--set", f"'{pair[:60]}' is no number", "NAME=NUMBER") from None
    batch = space.decode(genomes)
    fits = np.ones(len(batch), dtype=bool)
    for name, number in wanted.items():
        fits &= batch.columns[name] == number
    if not fits.any():
        said = ", ".join(f"{name}={value:g}" for name, value in wanted.items())
        raise InputError("--set", f"{said} is no device that the options give", "values of the --..-space options")
    return batch.take(np.flatnonzero(fits)[:1])
