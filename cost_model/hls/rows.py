"""What all evaluators of HLS designs say in the same way: rows that are no designs, and shares of the device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cost_model.views.plain import completed
from design.contracts import Prediction
from design.core import Bools, Evaluation, Floats, Ints, Status
from design.hls.design import FLATTEN, OFF, Device, Target
from design.hls.loop_nest import PIPELINE, Kernel
from design.metrics import UTILISATION


def faults(kernel: Kernel, columns: Mapping[str, Ints]) -> NDArray[np.str_]:
    """Per row, which directive its loop cannot have ("" where there is none), (n,)."""
    count = len(next(iter(columns.values())))
    conditions: list[Bools] = []
    texts: list[str] = []
    for parameter in kernel.parameters:
        value, trip = columns[parameter.name], kernel.loops[parameter.loop].trip
        if parameter.kind == PIPELINE:
            conditions.append((value < OFF) | (value > FLATTEN))
            texts.append(f"{parameter.name} is neither off, coarse nor flatten")
            continue
        conditions.append((value < 1) | (value > max(trip.most, 1)))
        texts.append(f"{parameter.name} is not within 1 and the loop's {max(trip.most, 1)} iterations")
    if not conditions:
        return np.full(count, "")
    return np.select(conditions, texts, default="")


def sound_columns(kernel: Kernel, columns: Mapping[str, Ints], sound: Bools) -> dict[str, Ints]:
    """Columns in which rows that are no designs are the plain one, so that a model can be asked about all rows."""
    plain = {p.name: OFF if p.kind == PIPELINE else 1 for p in kernel.parameters}
    return {name: np.where(sound, values, plain[name]) for name, values in columns.items()}


def add_shares(values: dict[str, Floats], interval: dict[str, Floats], device: Device) -> None:
    """Of counts (n,) and their intervals (n, 2) also the shares of the device, and the largest as `utilisation`."""
    names = [f"{name}_share" for name in device.resources]
    for name, amount in device.resources.items():
        values[f"{name}_share"] = values[name] / amount
        interval[f"{name}_share"] = interval[name] / amount
    values[UTILISATION] = np.max([values[name] for name in names], axis=0)
    interval[UTILISATION] = np.max([interval[name] for name in names], axis=0)


def answered(prediction: Prediction, target: Target) -> Evaluation:
    """The answer for n rows; those with a fault FAILED and unknown in all, those over the device's usable share
    INFEASIBLE by as much."""
    found, sound = completed(prediction), prediction.fault == ""
    over = np.maximum(found.metrics[UTILISATION] - target.device.usable, 0.0)
    reason = f"{prediction.how} to take more than {target.device.usable:.0%} of {target.device.name}"
    status = np.where(over > 0, Status.INFEASIBLE, Status.OK)
    return replace(
        found,
        violation={UTILISATION: over},
        status=np.where(sound, status, Status.FAILED).astype(np.int8),
        reason=np.where(sound, np.where(over > 0, reason, ""), prediction.fault),
    )
