"""From settings to the problem of a near-memory study: workload, platform, space, evaluator, objectives."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from cost_model.nmp.buffered import BufferedEvaluator
from cost_model.nmp.evaluator import NmpEvaluator
from cost_model.nmp.operators.base import OperatorModel
from cost_model.nmp.operators.plugins import NMP_MODELS, NPU_MODELS, operator_model
from cost_model.nmp.roofline import RooflineEvaluator
from cost_model.nmp.technology import Constants, Technology, read_technology
from cost_model.views.nmp.view import NmpView
from design.contracts import Evaluator, Space, Truth
from design.errors import InputError
from design.metrics import parse_objectives, possible_metrics
from design.nmp.device import HardwareSpace, Platform, Processors
from design.nmp.lowering import Speculation, model_workload
from design.nmp.task import NmpTask
from design.nmp.workload import Workload
from design.tool_form import StandardForm
from dse.options import Settings
from dse.spaces.listed import ListedSpace
from dse.spaces.nmp import NmpSpace
from dse.spaces.nmp.fixed import FIXED_DATAFLOWS, WITHOUT_NMP, FixedSpace
from dse.studies.nmp.models.find import find_model, read_speculation, read_usage
from dse.studies.study import Problem
from dse.studies.surrogates import Domain, searched_surrogate
from dse.studies.truths import call_limit_s, command_truth, loop_surrogate, need_truth, read_effort, read_plan
from evaluators.truth.recorded import Recorded
from frontends.recorded_answers import read_recorded

TASK = "task.json"  # workload and platform, in a tool's working directory


@dataclass(frozen=True, kw_only=True)
class NmpProblem(Problem):
    """`analytic` prices all designs operator by operator, whatever `evaluator` is. `make_space` makes the space of
    other hardware, `evaluator_at` the analytic evaluator with the constants of another corner; `physical` knows energy
    and area."""

    task: NmpTask
    speculation: Speculation | None
    hardware: HardwareSpace
    make_space: Callable[[HardwareSpace], Space]
    analytic: NmpEvaluator
    evaluator_at: Callable[[str], NmpEvaluator]
    physical: NmpEvaluator
    technology: Technology

    @property
    def workload(self) -> Workload:
        """Of the task."""
        return self.task.workload

    @property
    def platform(self) -> Platform:
        """Of the task."""
        return self.task.platform


@dataclass(frozen=True)
class Parts:
    """What an evaluator is made of."""

    workload: Workload
    platform: Platform
    constants: Constants
    npu: OperatorModel | None
    nmp: OperatorModel | None
    check_capacity: bool


EVALUATORS: dict[str, Callable[[Parts], NmpEvaluator]] = {
    "roofline": lambda p: RooflineEvaluator(p.workload, p.platform, p.npu, p.nmp, p.check_capacity),
    "buffered": lambda p: BufferedEvaluator(p.workload, p.platform, p.constants, p.npu, p.nmp, p.check_capacity),
}


def build(settings: Settings) -> NmpProblem:
    """The problem that the settings state. Raises InputError where they or the files they name are unusable."""
    dataflow = settings["is-dataflow-fixed"]
    fixed = dataflow in FIXED_DATAFLOWS
    speculation = read_speculation(settings)
    workload = read_workload(settings, speculation)
    platform = read_platform(settings)
    hardware = read_hardware(settings)
    if dataflow in WITHOUT_NMP:
        # All channels are normal ones, so that only one point of the hardware space makes sense.
        hardware = HardwareSpace((0,), *(choices[:1] for choices in hardware.choices[1:]))
    technology = read_technology(Path(settings["technology"]))

    def parts(corner: str) -> Parts:
        constants = technology.constants(corner)
        models = [
            None if settings[name] is None else operator_model(f"--{name}", settings[name], known, constants)
            for name, known in (("npu-model", NPU_MODELS), ("nmp-model", NMP_MODELS))
        ]
        return Parts(workload, platform, constants, models[0], models[1], not fixed)

    task = NmpTask(workload, platform)
    truth = _truth(settings, task)
    analytic = _analytic(settings, parts("nominal"))
    physical = analytic if analytic.name == "buffered" else EVALUATORS["buffered"](parts("nominal"))
    domain = nmp_domain(settings)
    surrogate = loop_surrogate(settings, truth, lambda: domain)
    evaluator = truth if surrogate and truth else _judge(settings, analytic, truth, domain, task)

    def make_space(hardware: HardwareSpace) -> Space:
        if fixed:
            return FixedSpace(dataflow, workload, platform, hardware)
        specpim, reach = dataflow == "specpim", analytic.decode_reach
        return NmpSpace(workload, platform, hardware, analytic.npu, analytic.nmp, specpim, reach)

    if not (fixed or settings["quiet"]):
        _say_if_too_large(workload, platform)
    space, table = make_space(hardware), None
    if settings["truth"] == "recorded" and isinstance(truth, Recorded):
        table = truth.data
    return NmpProblem(
        task=task,
        speculation=speculation,
        hardware=hardware,
        make_space=make_space,
        space=space if table is None else ListedSpace(table.batch),
        evaluator=evaluator,
        analytic=analytic,
        evaluator_at=lambda corner: EVALUATORS[analytic.name](parts(corner)),
        physical=physical,
        objectives=parse_objectives(settings["objectives"], list(evaluator.metrics), evaluator.name),
        technology=technology,
        effort=read_effort(settings),
        truth=truth,
        checks=0 if surrogate else settings["truth-checks"],
        call_limit_s=call_limit_s(settings),
        surrogate=surrogate,
        plan=read_plan(settings),
        budget=settings["budget"],
    )


def nmp_domain(settings: Settings) -> Domain:
    """What surrogates of near-memory designs are made with; their reference is the model that knows energy and area."""
    constants = read_technology(Path(settings["technology"])).constants()
    return Domain(NmpView(lambda task: BufferedEvaluator(task.workload, task.platform, constants)), settings)


def _truth(settings: Settings, task: NmpTask) -> Truth | None:
    """What designs are checked against, or labelled by."""
    if settings["truth"] == "none":
        return None
    if settings["truth"] == "command":
        return command_truth(settings, StandardForm(task, "nmp", {"task": (TASK, task.described())}))
    if settings["data"] is None:
        raise InputError("--truth", "recorded without --data", "--data FILE of recorded answers")
    return Recorded(read_recorded(Path(settings["data"]), task))


def _say_if_too_large(workload: Workload, platform: Platform) -> None:
    """A search for what cannot be says why it finds nothing."""
    stored = sum(op.stored_bytes for op in workload.operators)
    room = platform.total_channels * platform.channel_bytes
    if stored > room:
        kept = f"weights and key-value cache take {stored / 1e9:,.1f} GB, all channels have {room / 1e9:,.1f} GB"
        print(f"note: no device can hold {workload.name}: {kept} (--bank-memory-capacity)", file=sys.stderr)


def _analytic(settings: Settings, parts: Parts) -> NmpEvaluator:
    """The analytic evaluator. `auto` takes the published model for a single objective that it knows; where something
    else answers, the model that knows energy and area stands beside it."""
    name, text = settings["evaluator"], settings["objectives"]
    if name == "auto":
        known = list(EVALUATORS["roofline"](parts).metrics)
        single = text.strip().removeprefix("min:").removeprefix("max:")
        name = "roofline" if single in possible_metrics(known) else "buffered"
    return EVALUATORS[name if name in EVALUATORS else "buffered"](parts)


def _judge(settings: Settings, analytic: NmpEvaluator, truth: Truth | None, domain: Domain, task: NmpTask) -> Evaluator:
    name = settings["evaluator"]
    if name == "auto" or name in EVALUATORS:
        return analytic
    if name == "truth":
        return need_truth(truth)
    if name in ("lm", "transformer-h"):
        raise InputError("--evaluator", f"{name} with --space nmp", f"auto, {', '.join(EVALUATORS)}, estimate, cascade")
    others = f"auto, {', '.join(EVALUATORS)}"
    return searched_surrogate(name, domain, others).condition(task, None, seed=settings["seed"])


def read_workload(settings: Settings, speculation: Speculation | None = None) -> Workload:
    """The model that the settings name, as they say that it is used, with a draft model or without."""
    found = find_model(settings)
    for note in () if settings["quiet"] else found.notes:
        print(f"note: {note}", file=sys.stderr)
    return model_workload(found.model, read_usage(settings), speculation)


def read_platform(settings: Settings) -> Platform:
    """The constants of the machine."""
    platform = Platform(
        total_channels=settings["total-channel-num"],
        banks_per_channel=settings["bank-num-per-channel"],
        bank_bytes=settings["bank-memory-capacity"] * 2**20,
        simd=settings["fpu-simd-width"],
    )
    twice = settings["is-dataflow-fixed"] == "2x_npu_only"
    return replace(platform, npu_gmacs=2 * platform.npu_gmacs) if twice else platform


def read_hardware(settings: Settings) -> HardwareSpace:
    """The choices of hardware."""
    return HardwareSpace(
        nmp_channels=settings["nmp-channel-num-space"],
        processors=tuple(Processors(*triple) for triple in settings["fpu-pe-bw-space"]),
        input_kb=settings["input-buffer-size-space"],
        weight_kb=settings["weight-buffer-size-space"],
        output_kb=settings["output-buffer-total-size-space"],
    )
