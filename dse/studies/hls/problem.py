"""From settings to the problem of a study of loop directives: kernel, target, space, evaluator, truth."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from cost_model.hls.estimate import EstimateEvaluator, EstimatePredictor
from cost_model.hls.store import read_fitted
from cost_model.surrogates.checkpoints import language_model, with_intervals
from design.contracts import Evaluator, Space, Truth
from design.core import Batch, Objective
from design.errors import InputError
from design.hls.design import OFF, TARGETS, Target
from design.hls.loop_nest import PIPELINE, Kernel
from design.metrics import parse_objectives
from dse.active.policy import Plan
from dse.options import Settings
from dse.search.engine import Effort
from dse.spaces.hls import HlsSpace
from dse.spaces.listed import ListedSpace
from dse.studies.hls.learner import HlsLearner
from dse.studies.problem import Problem
from evaluators.cascade import CascadePredictor
from evaluators.truth.command import CommandTruth
from evaluators.truth.recorded import Recorded
from frontends.c_kernel import read_kernel
from frontends.hls_results.tables import KernelTable, read_results

GRACE_S = 60.0  # for a tool that is to be ended
WITHOUT = "none"  # as a checkpoint: no language model
PAUSES = 10  # of all generations of a search, the share that widens the pool before each version of a model


@dataclass(frozen=True)
class HlsProblem(Problem):
    """`estimate` judges all designs, whatever `evaluator` is; `truth` may judge some, `checks` of the front at most.
    With a `learner` (made when it is first asked for), `evaluator` is the truth, run on `budget` designs that the
    learner's models ask for by `plan`."""

    kernel: Kernel
    target: Target
    estimate: EstimateEvaluator
    truth: Truth | None
    checks: int
    call_limit_s: float  # of a call of the truth, further tries included
    learner: Callable[[], HlsLearner] | None = None
    plan: Plan = field(default_factory=Plan)
    budget: int = 0

    @property
    def plain(self) -> Batch:
        """The kernel without directives."""
        values = {p.name: OFF if p.kind == PIPELINE else 1 for p in self.kernel.parameters}
        return Batch(self.space.schema, {name: np.array([value]) for name, value in values.items()})


def build(settings: Settings) -> HlsProblem:
    """The problem that the settings state. Raises InputError where they or the files they name are unusable."""
    if settings["kernel"] is None:
        raise InputError("--kernel", "is missing", "a C file with loop directives, for --space hls")
    path = Path(settings["kernel"])
    kernel, target = read_kernel(path), TARGETS[settings["tool-version"]]
    if not kernel.parameters:
        raise InputError(str(path), "has no directive with a value to choose", "auto{NAME} in a #pragma ACCEL or HLS")
    estimate = EstimateEvaluator(kernel, target, read_fitted(target.tool))
    table = _recorded(settings, kernel, target) if settings["truth"] == "recorded" else None
    truth = _truth(settings, path, kernel, target, table)
    learner = _learner(settings, truth, kernel, target)
    evaluator = truth if learner and truth else _judge(settings, estimate, truth, kernel, target)
    space: Space = HlsSpace(kernel, target) if table is None else ListedSpace(table.batch)
    return HlsProblem(
        space=space,
        evaluator=evaluator,
        objectives=_objectives(settings, evaluator),
        effort=Effort(
            population=settings["population-num-per-generation"],
            topk=settings["topk"],
            mutate_ratio=settings["mutate-ratio"],
            seed=settings["seed"],
        ),
        kernel=kernel,
        target=target,
        estimate=estimate,
        truth=truth,
        checks=0 if settings["evaluator"] == "cascade" else settings["truth-checks"],
        call_limit_s=settings["truth-time-limit"] * (settings["truth-repeat"] + settings["truth-retries"]) + GRACE_S,
        learner=learner,
        plan=Plan(
            every=settings["recalibrate-every"],
            generations=-(-settings["num-generations"] // PAUSES),
            least_gain=settings["least-gain"],
        ),
        budget=settings["budget"],
    )


def _cascade(settings: Settings) -> CascadePredictor:
    if settings["checkpoint"] == WITHOUT:
        return CascadePredictor(None, EstimatePredictor())
    model = language_model(settings["checkpoint"], settings["base-model"])
    return CascadePredictor(with_intervals(model, settings["checkpoint"]), EstimatePredictor())


def _learner(
    settings: Settings, truth: Truth | None, kernel: Kernel, target: Target
) -> Callable[[], HlsLearner] | None:
    """What asks the truth for labels; None where nothing is to be bought. A report of a finished run does not need it,
    and reading a model takes a while."""
    if settings["evaluator"] != "cascade" or truth is None or not settings["budget"]:
        return None
    return cache(lambda: HlsLearner(_cascade(settings), kernel, target, settings["seed"]))


def _judge(
    settings: Settings, estimate: EstimateEvaluator, truth: Truth | None, kernel: Kernel, target: Target
) -> Evaluator:
    name = settings["evaluator"]
    if name == "lm":
        model = language_model(settings["checkpoint"], settings["base-model"])
        predictor = with_intervals(model, settings["checkpoint"])
        return predictor.fitted(kernel, target, None, settings["seed"])
    if name == "cascade":
        return _cascade(settings).fitted(kernel, target, None, settings["seed"])
    if name in ("auto", "estimate"):
        return estimate
    if name == "truth":
        if truth is None:
            raise InputError(
                "--evaluator", "truth without --truth", "--truth recorded or command, or another evaluator"
            )
        return truth
    raise InputError("--evaluator", f"{name} with --space hls", "estimate, lm, cascade or truth")


def _objectives(settings: Settings, evaluator: Evaluator) -> tuple[Objective, ...]:
    return parse_objectives(settings["objectives"], list(evaluator.metrics), evaluator.name)


def _recorded(settings: Settings, kernel: Kernel, target: Target) -> KernelTable:
    """The recorded results of this very kernel."""
    if settings["data"] is None:
        raise InputError("--truth", "recorded without --data", "--data PATH of recorded results")
    tables = read_results(Path(settings["data"]), target.tool)
    for table in tables:
        if table.kernel.digest == kernel.digest:
            return table
    there = ", ".join(table.name for table in tables)
    found = f"has no results of {target.tool} for the kernel in {settings['kernel']}"
    raise InputError(settings["data"], found, f"the source of one of {there}, as it is there")


def _truth(settings: Settings, path: Path, kernel: Kernel, target: Target, table: KernelTable | None) -> Truth | None:
    if table is not None:
        return Recorded(table)
    if settings["truth"] == "none":
        return None
    if settings["truth-cmd"] is None:
        raise InputError("--truth", "command without --truth-cmd", "--truth-cmd 'PROGRAM ARGUMENTS'")
    return CommandTruth(
        command=settings["truth-cmd"],
        kernel=kernel,
        target=target,
        folder=Path(tempfile.gettempdir()),
        timeout_s=settings["truth-time-limit"],
        retries=settings["truth-retries"],
        repeat=settings["truth-repeat"],
    )
