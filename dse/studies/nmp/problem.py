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
from design.contracts import Space
from design.core import Objective
from design.errors import InputError
from design.metrics import parse_objectives, possible_metrics
from design.nmp.device import HardwareSpace, Platform, Processors
from design.nmp.lowering import Speculation, model_workload
from design.nmp.workload import Workload
from dse.options import Settings
from dse.search.engine import Effort
from dse.spaces.nmp import NmpSpace
from dse.spaces.nmp.fixed import FIXED_DATAFLOWS, WITHOUT_NMP, FixedSpace
from dse.studies.nmp.models.find import find_model, read_speculation, read_usage
from dse.studies.problem import Problem


@dataclass(frozen=True)
class NmpProblem(Problem):
    """`make_space` makes the space of other hardware, `evaluator_at` the evaluator with the constants of another
    corner; `physical` knows energy and area."""

    workload: Workload
    speculation: Speculation | None
    platform: Platform
    hardware: HardwareSpace
    make_space: Callable[[HardwareSpace], Space]
    evaluator: NmpEvaluator
    evaluator_at: Callable[[str], NmpEvaluator]
    physical: NmpEvaluator
    technology: Technology


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

    evaluator, objectives = _judge(settings, parts("nominal"))

    def make_space(hardware: HardwareSpace) -> Space:
        if fixed:
            return FixedSpace(dataflow, workload, platform, hardware)
        specpim, reach = dataflow == "specpim", evaluator.decode_reach
        return NmpSpace(workload, platform, hardware, evaluator.npu, evaluator.nmp, specpim, reach)

    if not (fixed or settings["quiet"]):
        _say_if_too_large(workload, platform)
    return NmpProblem(
        workload=workload,
        speculation=speculation,
        platform=platform,
        hardware=hardware,
        make_space=make_space,
        space=make_space(hardware),
        evaluator=evaluator,
        evaluator_at=lambda corner: EVALUATORS[evaluator.name](parts(corner)),
        physical=evaluator if evaluator.name == "buffered" else EVALUATORS["buffered"](parts("nominal")),
        objectives=objectives,
        technology=technology,
        effort=Effort(
            population=settings["population-num-per-generation"],
            topk=settings["topk"],
            mutate_ratio=settings["mutate-ratio"],
            seed=settings["seed"],
        ),
    )


def _say_if_too_large(workload: Workload, platform: Platform) -> None:
    """A search for what cannot be says why it finds nothing."""
    stored = sum(op.stored_bytes for op in workload.operators)
    room = platform.total_channels * platform.channel_bytes
    if stored > room:
        kept = f"weights and key-value cache take {stored / 1e9:,.1f} GB, all channels have {room / 1e9:,.1f} GB"
        print(f"note: no device can hold {workload.name}: {kept} (--bank-memory-capacity)", file=sys.stderr)


def _judge(settings: Settings, parts: Parts) -> tuple[NmpEvaluator, tuple[Objective, ...]]:
    """The evaluator and the objectives. `auto` takes the published model for a single objective that it knows."""
    name, text = settings["evaluator"], settings["objectives"]
    if name == "auto":
        evaluator = EVALUATORS["roofline"](parts)
        single = text.strip().removeprefix("min:").removeprefix("max:")
        name = "roofline" if single in possible_metrics(list(evaluator.metrics)) else "buffered"
    if name not in EVALUATORS:
        raise InputError("--evaluator", f"{name} with --space nmp", f"auto, {', '.join(EVALUATORS)}")
    evaluator = EVALUATORS[name](parts)
    return evaluator, parse_objectives(text, list(evaluator.metrics), evaluator.name)


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
