"""From settings to what every study has in common: its truth, the loop that asks it, and how hard a search tries."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from design.contracts import Surrogate, Truth
from design.errors import InputError
from design.tool_form import ToolForm
from dse.active.policy import Plan
from dse.options import Settings
from dse.search.engine import Effort
from dse.studies.surrogates import FIRST_LABELS, FROM_LABELS, SURROGATES, Domain
from evaluators.truth.command import CommandTruth

GRACE_S = 60.0  # for a tool that is to be ended
PAUSES = 10  # of all generations of a search, the share that widens the pool before each version of a model
CASCADE = "cascade"


def command_truth(settings: Settings, form: ToolForm) -> CommandTruth:
    """The tool that --truth-cmd names, asked in a form. Raises InputError where it is missing or cannot be one."""
    if settings["truth-cmd"] is None:
        raise InputError("--truth", "command without --truth-cmd", "--truth-cmd 'PROGRAM ARGUMENTS'")
    return CommandTruth(
        command=settings["truth-cmd"],
        form=form,
        folder=Path(tempfile.gettempdir()),
        timeout_s=settings["truth-time-limit"],
        retries=settings["truth-retries"],
        repeat=settings["truth-repeat"],
    )


def need_truth(truth: Truth | None) -> Truth:
    """The truth. Raises InputError where there is none."""
    if truth is None:
        raise InputError("--evaluator", "truth without --truth", "--truth recorded or command, or another evaluator")
    return truth


def call_limit_s(settings: Settings) -> float:
    """Seconds of a call, further tries included."""
    limit: float = settings["truth-time-limit"] * (settings["truth-repeat"] + settings["truth-retries"]) + GRACE_S
    return limit


def loop_surrogate(
    settings: Settings, truth: Truth | None, domain: Callable[[], Domain]
) -> Callable[[], Surrogate] | None:
    """What asks the truth for labels; None where none are to be acquired. A report of a finished run does not need it,
    and reading a model takes a while."""
    name = settings["evaluator"]
    if truth is None or not settings["budget"] or name not in (CASCADE, *FROM_LABELS):
        return None
    return cache(lambda: SURROGATES[name](domain()))


def read_plan(settings: Settings) -> Plan:
    """How the loop goes on."""
    return Plan(
        first=FIRST_LABELS if settings["evaluator"] in FROM_LABELS else 0,
        every=settings["recalibrate-every"],
        generations=-(-settings["num-generations"] // PAUSES),
        least_gain=settings["least-gain"],
    )


def read_effort(settings: Settings) -> Effort:
    """How hard a search tries."""
    return Effort(
        population=settings["population-num-per-generation"],
        topk=settings["topk"],
        mutate_ratio=settings["mutate-ratio"],
        seed=settings["seed"],
    )
