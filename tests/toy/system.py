"""A whole system in one file: how a matrix is transposed in blocks on a machine with one cache.

A task, a space, an analytic evaluator, a view and a study. Search, truth, active loop, surrogates, store, resume,
report, `evaluate` and `predict` come with them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np

from cost_model.views.plain import PlainView
from design.contracts import AtOnce, Dataset, Task
from design.core import Batch, Column, Evaluation, Floats, Schema, Status
from design.errors import InputError
from design.metrics import metric_unit, parse_objectives
from design.tool_form import StandardForm
from dse.options import Settings
from dse.spaces.choices import ChoiceSpace
from dse.studies.learning import Judged, Learning
from dse.studies.study import Problem, Study
from dse.studies.surrogates import Domain, searched_surrogate
from dse.studies.truths import call_limit_s, command_truth, loop_surrogate, need_truth, read_effort, read_plan
from frontends.recorded_answers import read_recorded

CHOICES = {"rows": (1, 2, 4, 8, 16, 32, 64), "columns": (1, 2, 4, 8, 16, 32, 64), "prefetch": (0, 1)}


@dataclass(frozen=True)
class Transpose:
    """The task: an n x n matrix of doubles."""

    n: int = 1024
    metrics = ("latency_s", "energy_j")

    name = property(lambda self: f"transpose-{self.n}")
    family = property(lambda self: "transpose")
    digest = property(lambda self: blake2b(self.name.encode(), digest_size=16).hexdigest())
    fingerprints = property(lambda self: (self.digest,))

    @property
    def schema(self) -> Schema:
        columns = tuple(Column(name, "elements" if name != "prefetch" else "", "int64") for name in CHOICES)
        return Schema(
            "toy", columns, self.digest, lambda b, row: " ".join(f"{n}={v[row]}" for n, v in b.columns.items())
        )


class CacheModel(AtOnce):
    """The analytic evaluator: misses of lines of eight doubles, cold in one of two directions unless blocks are
    square."""

    name, version, fidelity = "cache-model", "1", 0

    def __init__(self, task: Task) -> None:
        self.task = task
        self.metrics: Mapping[str, str] = {name: metric_unit(name) for name in task.metrics}

    def evaluate(self, batch: Batch, *, seed: int) -> Evaluation:
        began, n = time.process_time(), int(self.task.name.rpartition("-")[2])
        rows, columns = (batch.columns[name].astype(np.float64) for name in ("rows", "columns"))
        misses = n * n * (1 / np.minimum(columns, 8) + 1 / np.minimum(rows, 8)) / (1 + 0.3 * batch.columns["prefetch"])
        latency: Floats = misses * 1e-7
        metrics = {"latency_s": latency, "energy_j": misses * 2e-8 * (1 + batch.columns["prefetch"])}
        fits = rows * columns <= 1024
        return Evaluation(
            metrics=metrics,
            violation={"block": np.where(fits, 0.0, 1.0)},
            status=np.where(fits, Status.OK, Status.INFEASIBLE).astype(np.int8),
            reason=np.where(fits, "", "the block is larger than the cache"),
            cost_s=np.full(len(batch), time.process_time() - began),
            source=dict.fromkeys(metrics, np.full(len(batch), f"{self.name}/{self.version}")),
        )


class ToyView(PlainView):
    """What learners see beside the schema: the analytic model."""

    def reference(self, task: Task) -> CacheModel:
        return CacheModel(task)


def toy_study(settings: Settings) -> Study:
    task, domain = Transpose(), Domain(ToyView(), settings)
    truth = None if settings["truth"] == "none" else command_truth(settings, StandardForm(task, "toy"))
    surrogate = loop_surrogate(settings, truth, lambda: domain)
    name = settings["evaluator"]
    if surrogate and truth:
        evaluator = truth
    elif name in ("auto", "truth"):
        evaluator = CacheModel(task) if name == "auto" else need_truth(truth)
    else:
        evaluator = searched_surrogate(name, domain, "auto").condition(task, None, seed=settings["seed"])
    problem = Problem(
        task=task,
        space=ChoiceSpace(task.schema, CHOICES),
        evaluator=evaluator,
        objectives=parse_objectives(settings["objectives"], list(evaluator.metrics), evaluator.name),
        effort=read_effort(settings),
        truth=truth,
        checks=settings["truth-checks"],
        call_limit_s=call_limit_s(settings),
        surrogate=surrogate,
        plan=read_plan(settings),
        budget=settings["budget"],
    )
    return Study(problem, task.name, "blocks of a transpose", tools_only=truth is not None)


def toy_learning(settings: Settings) -> Learning:
    task = Transpose()

    def labels(task: Task) -> Dataset | None:
        return None if settings["data"] is None else read_recorded(Path(settings["data"]), task)

    def judged(counts: tuple[int, ...]) -> Judged:
        data = labels(task)
        if data is None:
            raise InputError("--data", "is missing", "recorded answers")
        return Judged([data], [], {}, {"tool_version": "recorded"})

    space = ChoiceSpace(task.schema, CHOICES)
    return Learning(
        domain=Domain(ToyView(), settings),
        read_judged=judged,
        read_task=lambda: task,
        read_labels=labels,
        design=lambda task: space.decode(space.starts()),
        train=lambda out: 2,
        default={"evaluate": "estimate", "predict": "estimate"},
    )
