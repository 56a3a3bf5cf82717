"""What a tool says of designs of a kernel, as an evaluation: one form for recorded results and for a user's tool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from design.core import Bools, Evaluation, Floats, Status
from design.hls.design import Device
from design.metrics import CYCLES, HLS_METRICS, RESOURCES, UTILISATION, metric_unit

UNITS: Mapping[str, str] = {
    name: metric_unit(name) for name in (*HLS_METRICS, *(f"{name}_share" for name in RESOURCES), UTILISATION)
}
NO_CYCLES = "the tool gave no cycles"
NOT_VALID = "the tool calls it not valid"


@dataclass(frozen=True)
class ToolResults:
    """What a tool said of n designs, (n,) each. NaN is what it did not say. `none` marks designs that it took and gave
    no cycles for, `reason` is its own word for what is wrong, else "". Rows with a `fault` have no answer."""

    cycles: Floats
    counts: Mapping[str, Floats]
    shares: Mapping[str, Floats]
    valid: Bools
    none: Bools
    reason: NDArray[np.str_]
    fault: NDArray[np.str_]
    cost_s: Floats


def shares_of(counts: Mapping[str, Floats], device: Device) -> dict[str, Floats]:
    """Counts as shares of what the device has."""
    return {name: values / device.resources[name] for name, values in counts.items()}


def hls_evaluation(said: ToolResults, device: Device, source: str) -> Evaluation:
    """A design without cycles is INFEASIBLE, and all else of it unknown: a tool that stopped half way reports parts.
    One that takes `device.usable` of a resource or more, or is called not valid, is INFEASIBLE with what is known of
    it. `utilisation` is known where all four shares are. Rows with a fault are FAILED."""
    failed = said.fault != ""
    table = np.stack([said.shares[name] for name in RESOURCES])
    over = np.nan_to_num(np.max(np.nan_to_num(table, nan=-np.inf), axis=0), neginf=0.0)
    too_large = (over >= device.usable) & ~said.none & ~failed
    refused = said.none | ~said.valid | too_large
    unknown = failed | said.none
    metrics = {
        CYCLES: said.cycles,
        **{name: said.counts[name] for name in RESOURCES},
        **{f"{name}_share": said.shares[name] for name in RESOURCES},
        UTILISATION: np.max(table, axis=0),
    }
    metrics = {name: np.where(unknown, np.nan, values) for name, values in metrics.items()}
    # A share of exactly what is usable is too much, by the least amount that there is.
    excess = np.where(too_large, np.maximum(over - device.usable, np.finfo(np.float64).tiny), 0.0)
    other = np.where(refused & ~too_large, 1.0, 0.0)
    violation = {UTILISATION: excess, "tool": other}
    wrong = np.where(said.none, NO_CYCLES, NOT_VALID).astype(object)
    for row in np.flatnonzero(too_large):
        wrong[row] = f"utilisation {over[row]:.3g} of {device.usable:g} usable"
    wrong = np.where(said.reason != "", said.reason, wrong)
    status = np.where(failed, Status.FAILED, np.where(refused, Status.INFEASIBLE, Status.OK))
    return Evaluation(
        metrics=metrics,
        violation={name: np.where(failed, np.nan, values) for name, values in violation.items()},
        status=status.astype(np.int8),
        reason=np.where(failed, said.fault, np.where(refused, wrong, "")).astype(str),
        cost_s=said.cost_s,
        source=dict.fromkeys(UNITS, np.full(len(status), source)),
        interval={name: np.stack([values, values], axis=1) for name, values in metrics.items()},
    )
