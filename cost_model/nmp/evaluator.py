"""What all evaluators of near-memory designs share: which rows are designs at all, what finds no room in memory,
and how the decode of a layer is composed of its operators (section 4 of the H2-LLM reference).

Arrays inside are (operators, n); see `cost_model/nmp/layer_latency.py`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from cost_model.nmp.decode_gemms import DecodeRows
from cost_model.nmp.layer_latency import Columns, LayerClock, sum_operators
from cost_model.nmp.operators.base import OperatorCost, OperatorModel
from cost_model.nmp.prefill_gemms import PrefillRows
from design.contracts import AtOnce
from design.core import Batch, Bools, Evaluation, Floats, Ints, Status
from design.metrics import METRICS, NMP_TIMES
from design.nmp.design import DATAFLOW
from design.nmp.device import Device, Platform
from design.nmp.workload import Workload

NMP_CAPACITY, NORMAL_CAPACITY = "nmp_capacity_bytes", "normal_capacity_bytes"
HARDWARE_NAMES = ("fpus", "mhz", "pe_gbps", "input_kb", "weight_kb", "output_kb")


class NmpEvaluator(AtOnce):
    """Prices NMP designs of one workload on one platform, per layer: the mean of all where there are several kinds.

    `latency_s` = `prefill_s` + `decode_s`, decode being all generated tokens. `energy_j` is answered where both
    operator models know it. The violations are the bytes that find no room in NMP channels and in the normal
    ones; `check_capacity=False` leaves them out. `nodes` is at how many contexts the decode is priced; None
    prices every token at the final one.
    """

    name: str
    fidelity = 0

    def __init__(
        self,
        workload: Workload,
        platform: Platform,
        npu: OperatorModel,
        nmp: OperatorModel,
        check_capacity: bool,
        nodes: int | None,
    ) -> None:
        self.workload, self.platform, self.check_capacity = workload, platform, check_capacity
        self.npu, self.nmp = npu, nmp
        self.decode, self.prefill = DecodeRows(workload, nodes), PrefillRows(workload)
        self.version = f"1({npu.name}/{npu.version},{nmp.name}/{nmp.version})"
        names = [*NMP_TIMES] + ["energy_j"] * self._knows_energy()
        self.metrics: Mapping[str, str] = {name: METRICS[name].unit for name in names}

    def evaluate(self, batch: Batch, *, seed: int) -> Evaluation:
        """Answers for all rows; the model is exact and has no use for the seed. Raises nothing for bad rows."""
        begin = time.process_time()
        columns = self.columns(batch)
        fault = self._faults(columns)
        sound = fault == ""
        if sound.all():
            metrics, violation = self._price(columns)
        else:
            part = {name: np.ascontiguousarray(values[..., sound]) for name, values in columns.items()}
            metrics, violation = (_spread(found, sound) for found in self._price(part))

        unpriced = sound & ~np.all([np.isfinite(values) for values in metrics.values()], axis=0)
        for values in metrics.values():
            values[unpriced] = np.nan
        short = [violation.get(name, np.zeros(len(batch))) > 0 for name in (NMP_CAPACITY, NORMAL_CAPACITY)]
        status = np.where(short[0] | short[1], Status.INFEASIBLE, Status.OK)
        status = np.where(sound & ~unpriced, status, Status.FAILED).astype(np.int8)
        reasons = [
            "an operator model gave no finite cost",
            "NMP channels are too small",
            "normal channels are too small",
        ]
        reason = np.select([~sound, unpriced, *short], [fault, *reasons], default="")
        source = np.broadcast_to(np.array(f"{self.name}/{self.version}"), len(batch))
        return Evaluation(
            metrics=metrics,
            violation=violation,
            status=status,
            reason=reason,
            cost_s=np.full(len(batch), (time.process_time() - begin) / max(len(batch), 1)),
            source=dict.fromkeys(metrics, source),
            interval={name: np.stack([values, values], axis=1) for name, values in metrics.items()},
        )

    def columns(self, batch: Batch) -> Columns:
        """The columns of a batch as all methods here take them: (n,) for hardware, (operators, n) for the dataflow."""
        wide = {name for name, _, _ in DATAFLOW}
        return {k: np.ascontiguousarray(v.T) if k in wide else v for k, v in batch.columns.items()}

    def _faults(self, c: Columns) -> NDArray[np.str_]:
        """Per row, why it is no design at all ("" where it is one). Whether it is a good one is not asked."""
        operators = len(self.workload.operators)
        n = c["nmp_channels"]
        machine = (n < 0) | (n > self.platform.total_channels) | (c["fpus"] < 1)
        for name in ("mhz", "pe_gbps"):
            machine |= ~((c[name] > 0) & (c[name] < np.inf))
        for name in ("input_kb", "weight_kb", "output_kb"):
            machine |= c[name] < 0
        order = np.zeros(len(n), dtype=bool)
        for name in ("group", "part", "stratum"):
            order |= ((c[name] < 0) | (c[name] >= operators)).any(axis=0)
        place = ((c["channels"] < 0) | (c["channels"] >> np.clip(n, 0, 62) != 0)).any(axis=0)
        place |= ((c["normal"] < 0) | (c["normal"] > 1)).any(axis=0)
        extent = np.array([[op.extent] for op in self.workload.operators])
        nmp, npu = c["nmp_units"], c["npu_units"]
        work = ((nmp < 0) | (npu < 0) | (nmp > extent) | (npu > extent) | (nmp + npu < extent)).any(axis=0)
        reach = c["normal"] * (self.platform.total_channels - n)
        work |= (((nmp > 0) & (c["channels"] == 0)) | ((npu > 0) & (c["channels"] == 0) & (reach <= 0))).any(axis=0)
        texts = ["no such hardware", "group, part or stratum out of range", "no such channels"]
        return np.select(
            [machine, order, place, work], [*texts, "work without channels, or not all of the work"], default=""
        )

    def _price(self, c: Columns) -> tuple[dict[str, Floats], dict[str, Floats]]:
        """Metrics and violations of sound rows."""
        device = self.device(c)
        held = np.bitwise_count(c["channels"]).astype(np.int64)
        on_nmp, on_npu = self.decode_costs(c, held, device)
        prefill = self.prefill_cost(held + self.normal_channels(c), device)
        clock = LayerClock(c)
        prefill_s = sum_operators(prefill.latency_s)
        decode_s = np.zeros(len(prefill_s))
        for steps, rows in zip(self.decode.steps, self.decode.rows, strict=True):
            decode_s = decode_s + steps * clock.latency(on_nmp.latency_s[rows], on_npu.latency_s[rows])
        metrics = {"latency_s": prefill_s + decode_s, "prefill_s": prefill_s, "decode_s": decode_s}
        if "energy_j" in self.metrics:
            energy_j = sum_operators(prefill.energy_j)
            for steps, rows in zip(self.decode.steps, self.decode.rows, strict=True):
                decode_j = sum_operators(on_nmp.energy_j[rows]) + sum_operators(on_npu.energy_j[rows])
                energy_j = energy_j + steps * decode_j
            metrics["energy_j"] = energy_j
        return metrics, self._violation(c, held) if self.check_capacity else {}

    def decode_costs(
        self, c: Columns, held: Ints, device: Device, only: int | None = None
    ) -> tuple[OperatorCost, OperatorCost]:
        """Decode on NMP and on the NPU, (rows of `self.decode`, n).

        `held` (operators, n) counts the NMP channels of each operator. `only` restricts both to one operator.
        """
        on_nmp = self.decode.cost(self.nmp, c["nmp_units"], held, device, up=True, only=only)
        reach = self.decode_reach(c["nmp_units"], held, self.normal_channels(c))
        return on_nmp, self.decode.cost(self.npu, c["npu_units"], reach, device, up=False, only=only)

    def prefill_cost(self, reach: Ints, device: Device) -> OperatorCost:
        """Prefill on the NPU, (operators, n), of operators that read from `reach` channels."""
        return self.prefill.cost(self.npu, reach, device)

    def normal_channels(self, c: Columns) -> Ints:
        """Normal channels that each operator may use, (operators, n)."""
        usable: Ints = c["normal"] * (self.platform.total_channels - c["nmp_channels"])
        return usable

    def decode_reach(self, nmp_units: Ints, held: Ints, normal: Ints) -> Ints:
        """Channels, (operators, n), that the NPU reads its part of an operator from; `normal` counts those that
        the operator may use."""
        raise NotImplementedError

    def device(self, c: Columns) -> Device:
        """The machines of the rows."""
        return Device(
            platform=self.platform,
            **{name: c[name] for name in HARDWARE_NAMES},
            bytes_per_element=self.workload.bytes_per_element,
            batch=self.workload.batch,
        )

    def _violation(self, c: Columns, held: Ints) -> dict[str, Floats]:
        """Bytes without room: summed over the NMP channels, and in the normal channels as a whole."""
        extent = np.array([[op.extent] for op in self.workload.operators])
        stored = np.array([[op.stored_bytes] for op in self.workload.operators])
        on_nmp = np.where(held > 0, np.minimum(c["nmp_units"] / extent, 1.0), 0.0)
        each = stored * on_nmp / np.maximum(held, 1)
        room = float(self.platform.channel_bytes)
        excess = np.zeros(each.shape[1])
        for channel in range(int(np.max(c["nmp_channels"], initial=0))):
            load = sum_operators(np.where(c["channels"] >> channel & 1, each, 0.0))
            excess += _beyond(load, room)
        normal = sum_operators(stored * (1.0 - on_nmp))
        room_normal = room * (self.platform.total_channels - c["nmp_channels"])
        return {NMP_CAPACITY: excess, NORMAL_CAPACITY: _beyond(normal, room_normal)}

    def _knows_energy(self) -> bool:
        one = np.ones((1, 1), dtype=np.int64)
        device = self.device(dict.fromkeys(HARDWARE_NAMES, np.ones(1)))
        return all(np.isfinite(m.cost(one, one, one, one, one, device).energy_j).all() for m in (self.npu, self.nmp))


def _beyond(load: Floats, room: Floats | float) -> Floats:
    """Bytes of a load that find no room. Less than 1e-12 of the room is the rounding of a sum, not a byte."""
    return np.where(load > room * (1 + 1e-12), load - room, 0.0)


def _spread(found: dict[str, Floats], rows: Bools) -> dict[str, Floats]:
    """Values of the marked rows among NaN ones."""
    wide = {name: np.full(len(rows), np.nan) for name in found}
    for name, values in found.items():
        wide[name][rows] = values
    return wide
