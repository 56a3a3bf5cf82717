"""Where the energy of one design goes: an account for each operator, and what flows whatever is computed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cost_model.nmp.buffered import BufferedEvaluator
from cost_model.nmp.evaluator import NmpEvaluator
from cost_model.nmp.technology import static_w
from design.core import Batch


@dataclass(frozen=True)
class OperatorEnergy:
    """Joules of one operator, per layer, over prefill and all decode steps."""

    operator: str
    prefill_j: float
    decode_nmp_j: float
    decode_npu_j: float


@dataclass(frozen=True)
class EnergyAccount:
    """All joules of one design, per layer: `standby` has those that flow whatever is computed, by what they flow in.
    They add up to the `energy_j` of the evaluator."""

    operators: tuple[OperatorEnergy, ...]
    standby: dict[str, float]

    @property
    def total_j(self) -> float:
        """The sum of all entries."""
        return sum(op.prefill_j + op.decode_nmp_j + op.decode_npu_j for op in self.operators) + sum(
            self.standby.values()
        )


def energy_account(evaluator: NmpEvaluator, batch: Batch) -> EnergyAccount | None:
    """The energy of a batch of one sound design; None where the evaluator does not know it."""
    if "energy_j" not in evaluator.metrics:
        return None
    metrics = evaluator.evaluate(batch, seed=0).metrics
    if not np.isfinite(metrics["energy_j"][0]):
        return None
    c = evaluator.columns(batch)
    device, held = evaluator.device(c), np.bitwise_count(c["channels"]).astype(np.int64)
    prefill = evaluator.prefill_cost(held + evaluator.normal_channels(c), device).energy_j[:, 0]
    decode, costs = np.zeros((2, len(held))), evaluator.decode_costs(c, held, device)
    for steps, rows in zip(evaluator.decode.steps, evaluator.decode.rows, strict=True):
        for side, cost in enumerate(costs):
            decode[side] += steps * cost.energy_j[rows, 0]
    operators = tuple(
        OperatorEnergy(op.name, float(prefill[i]), float(decode[0, i]), float(decode[1, i]))
        for i, op in enumerate(evaluator.workload.operators)
    )
    standby = {}
    if isinstance(evaluator, BufferedEvaluator):
        constants, n = evaluator.constants, c["nmp_channels"]
        only_npu = constants.npu_static_w
        with_dram = float(static_w(replace(constants, mac_leakage_mw=0.0, sram_leakage_mw_kib=0.0), n, device)[0])
        watts = float(static_w(constants, n, device)[0])
        seconds = float(metrics["latency_s"][0])
        standby = {
            "NMP leakage": (watts - with_dram) * seconds,
            "DRAM standby": (with_dram - only_npu) * seconds,
            "NPU idle power": only_npu * seconds,
        }
    return EnergyAccount(operators, standby)
