"""From settings to the problem of a study of loop directives: kernel, target, space, evaluator, truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cost_model.hls.estimate import EstimateEvaluator, EstimateSurrogate
from cost_model.hls.store import read_fitted
from cost_model.hls.tool_form import HlsToolForm, recorded_truth
from cost_model.views.hls.view import HlsView
from design.contracts import Dataset, Evaluator, Space, Truth
from design.core import Batch
from design.errors import InputError
from design.hls.design import OFF, TARGETS, Target
from design.hls.loop_nest import PIPELINE, Kernel
from design.hls.task import HlsTask
from design.metrics import parse_objectives
from dse.options import Settings
from dse.spaces.hls import HlsSpace
from dse.spaces.listed import ListedSpace
from dse.studies.study import Problem
from dse.studies.surrogates import Domain, searched_surrogate
from dse.studies.truths import call_limit_s, command_truth, loop_surrogate, need_truth, read_effort, read_plan
from evaluators.truth.recorded import Recorded
from frontends.c_kernel import read_kernel
from frontends.hls_results.tables import read_results


@dataclass(frozen=True, kw_only=True)
class HlsProblem(Problem):
    """`estimate` answers about all designs, whatever `evaluator` is."""

    task: HlsTask
    estimate: EstimateEvaluator

    @property
    def kernel(self) -> Kernel:
        """Of the task."""
        return self.task.kernel

    @property
    def target(self) -> Target:
        """Of the task."""
        return self.task.target

    @property
    def plain(self) -> Batch:
        """The kernel without directives."""
        values = {p.name: OFF if p.kind == PIPELINE else 1 for p in self.kernel.parameters}
        return Batch(self.space.schema, {name: np.array([value]) for name, value in values.items()})


def build(settings: Settings) -> HlsProblem:
    """The problem that the settings state. Raises InputError where they or the files they name are unusable."""
    task = read_task(settings)
    estimate = EstimateEvaluator(task.kernel, task.target, read_fitted(task.target.tool))
    table = _recorded(settings, task) if settings["truth"] == "recorded" else None
    truth = _truth(settings, task, table)
    surrogate = loop_surrogate(settings, truth, lambda: hls_domain(settings))
    evaluator = truth if surrogate and truth else _judge(settings, estimate, truth, task)
    space: Space = HlsSpace(task.kernel, task.target) if table is None else ListedSpace(table.batch)
    return HlsProblem(
        task=task,
        space=space,
        evaluator=evaluator,
        objectives=parse_objectives(settings["objectives"], list(evaluator.metrics), evaluator.name),
        effort=read_effort(settings),
        estimate=estimate,
        truth=truth,
        checks=0 if settings["evaluator"] == "cascade" else settings["truth-checks"],
        call_limit_s=call_limit_s(settings),
        surrogate=surrogate,
        plan=read_plan(settings),
        budget=settings["budget"],
    )


def read_task(settings: Settings) -> HlsTask:
    """The kernel and the tool that the settings name. Raises InputError where they are unusable."""
    if settings["kernel"] is None:
        raise InputError("--kernel", "is missing", "a C file with loop directives, for --space hls")
    path = Path(settings["kernel"])
    kernel = read_kernel(path)
    if not kernel.parameters:
        raise InputError(str(path), "has no directive with a value to choose", "auto{NAME} in a #pragma ACCEL or HLS")
    return HlsTask(kernel, TARGETS[settings["tool-version"]])


def hls_domain(settings: Settings) -> Domain:
    """What surrogates of loop directives are made with."""
    return Domain(HlsView(), settings, EstimateSurrogate())


def _judge(settings: Settings, estimate: EstimateEvaluator, truth: Truth | None, task: HlsTask) -> Evaluator:
    name = settings["evaluator"]
    if name in ("auto", "estimate"):
        return estimate
    if name == "truth":
        return need_truth(truth)
    return searched_surrogate(name, hls_domain(settings), "estimate, lm, cascade or truth").condition(
        task, None, seed=settings["seed"]
    )


def _recorded(settings: Settings, task: HlsTask) -> Dataset:
    """The recorded results of this very kernel."""
    if settings["data"] is None:
        raise InputError("--truth", "recorded without --data", "--data PATH of recorded results")
    tables = read_results(Path(settings["data"]), task.target.tool)
    for table in tables:
        if table.task.digest == task.digest:
            return table
    there = ", ".join(table.task.name for table in tables)
    found = f"has no results of {task.target.tool} for the kernel in {settings['kernel']}"
    raise InputError(settings["data"], found, f"the source of one of {there}, as it is there")


def _truth(settings: Settings, task: HlsTask, table: Dataset | None) -> Truth | None:
    if table is not None:
        return Recorded(recorded_truth(table))
    return None if settings["truth"] == "none" else command_truth(settings, HlsToolForm(task))
