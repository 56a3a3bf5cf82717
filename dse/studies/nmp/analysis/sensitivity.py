"""What one step up or down in each hardware parameter would change, the mapping made anew for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from cost_model.nmp.evaluator import NmpEvaluator
from cost_model.nmp.operators.plugins import ModelFault
from design.contracts import Space
from design.core import Batch, Objective, Status
from design.errors import InputError
from design.nmp.design import HARDWARE
from design.nmp.device import HardwareSpace, Processors
from dse.search.engine import Effort, make_search
from dse.search.explore import explore
from dse.spaces.nmp import NmpSpace
from dse.spaces.nmp.hardware import GENES
from dse.studies.nmp.exact.prove import provable, prove

MakeSpace = Callable[[HardwareSpace], Space]
SEARCH = Effort(population=100, topk=50, mutate_ratio=1.0, seed=1)
GENERATIONS = 10  # where the objective has no solver


@dataclass(frozen=True)
class Step:
    """One parameter moved from one value to another. `metrics` are of the best design there; empty where none
    is feasible."""

    parameter: str
    before: float
    after: float
    metrics: dict[str, float]


@dataclass(frozen=True)
class Sensitivity:
    """`base` are the metrics that the `steps` compare with: of the same device, its mapping made anew as theirs."""

    base: dict[str, float]
    steps: list[Step]


def sensitivity(
    make_space: MakeSpace,
    hardware: HardwareSpace,
    evaluator: NmpEvaluator,
    objective: Objective,
    best: Batch,
    stop: Callable[[], bool] = lambda: False,
) -> Sensitivity:
    """All steps from the device of `best` (one row), or those there is time for until `stop` says so. None where
    there is nothing to compare them with."""
    base = base_metrics(make_space, evaluator, objective, best)
    if not base:
        return Sensitivity({}, [])
    found = []
    for step in steps(make_space, hardware, evaluator, objective, best):
        found.append(step)
        if stop():
            break
    return Sensitivity(base, found)


def steps(
    make_space: MakeSpace,
    hardware: HardwareSpace,
    evaluator: NmpEvaluator,
    objective: Objective,
    best: Batch,
) -> Iterator[Step]:
    """All steps from the device of `best` (one row). `make_space` builds the space of a hardware space.

    A parameter steps to the next value among the choices in `hardware`. A processor's parameters double or halve
    beyond them; so do the others where they have one choice only (NMP channels: one more or fewer).
    """
    now = {column.name: best.columns[column.name][0] for column in HARDWARE}
    choices: dict[str, list[float]] = {
        name: sorted({getattr(processor, name) for processor in hardware.processors})
        for name in ("fpus", "mhz", "pe_gbps")
    }
    listed = ("nmp_channels", "input_kb", "weight_kb", "output_kb")
    choices |= {name: sorted(getattr(hardware, name)) for name in listed}
    for column in HARDWARE:
        name, value = column.name, float(now[column.name])
        for sign in (-1, 1):
            place = choices[name].index(now[name]) + sign
            if 0 <= place < len(choices[name]):
                after = float(choices[name][place])
            elif name in listed and len(choices[name]) > 1:
                continue
            else:
                after = value + sign if name == "nmp_channels" else value * 2.0**sign
            if (after != int(after) and column.dtype == "i8") or after <= 0:
                continue
            moved = {key: float(old) for key, old in now.items()} | {name: after}
            metrics = _best(make_space, moved, evaluator, objective)
            if metrics is not None:
                yield Step(name, value, after, metrics)


def base_metrics(
    make_space: MakeSpace, evaluator: NmpEvaluator, objective: Objective, best: Batch
) -> dict[str, float] | None:
    """What the steps compare with: the device of `best` with its mapping made anew in the same way."""
    now = {column.name: float(best.columns[column.name][0]) for column in HARDWARE}
    return _best(make_space, now, evaluator, objective)


def _best(
    make_space: MakeSpace,
    device: dict[str, float],
    evaluator: NmpEvaluator,
    objective: Objective,
) -> dict[str, float] | None:
    """Metrics of the best design on one device; {} where none fits, None where the device cannot be, or a user's
    model cannot price it."""
    try:
        return _made_anew(make_space, device, evaluator, objective)
    except ModelFault:
        return None


def _made_anew(
    make_space: MakeSpace,
    device: dict[str, float],
    evaluator: NmpEvaluator,
    objective: Objective,
) -> dict[str, float] | None:
    """See `_best`."""
    if device["nmp_channels"] > evaluator.platform.total_channels:
        return None
    hardware = HardwareSpace(
        (int(device["nmp_channels"]),),
        (Processors(int(device["fpus"]), device["mhz"], device["pe_gbps"]),),
        (int(device["input_kb"]),),
        (int(device["weight_kb"]),),
        (int(device["output_kb"]),),
    )
    try:
        space = make_space(hardware)
    except InputError:  # such as no normal channel left where the dataflow needs one
        return None
    if isinstance(space, NmpSpace) and provable(objective):
        one = space.genes.decode(np.zeros((1, GENES), dtype=np.int64))
        design = prove(space, evaluator, one, objective.metric).design
    else:
        search = make_search(space, SEARCH, "auto", 1, SEARCH.population * GENERATIONS)
        archive, _ = explore(search, evaluator, [objective], GENERATIONS, SEARCH.seed)
        found = archive.genomes is not None and len(archive.genomes)
        design = space.decode(archive.genomes[:1]) if found and archive.genomes is not None else None
    if design is None:
        return {}
    answer = evaluator.evaluate(design, seed=0)
    assert answer.status[0] == Status.OK
    return {name: float(values[0]) for name, values in answer.metrics.items()}
