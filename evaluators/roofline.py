"""Evaluator `roofline`: whole designs priced by an NPU and an NMP operator model, section 4 of the reference.

Arrays inside are (operators, n): one operator of all candidates is contiguous. Sums over operators are written
as loops so that a row's rounding does not depend on the batch that it came in.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from cost_model.operator_model import OperatorCost, OperatorModel
from cost_model.roofline import NmpRoofline, NpuRoofline
from design.core import Batch, Bools, Evaluation, Floats, Ints, Status
from design.device import Device, Platform
from design.metrics import METRICS
from design.nmp import DATAFLOW, stratum_heads
from design.workload import Workload
from evaluators.base import AtOnce

Columns = Mapping[str, NDArray]
NMP_CAPACITY, NORMAL_CAPACITY = "nmp_capacity_bytes", "normal_capacity_bytes"


class RooflineEvaluator(AtOnce):
    """Prices NMP designs of one workload on one platform, per layer.

    `latency_s` = `prefill_s` + `decode_s`, decode being all generated tokens, each at the final context.
    `energy_j` is answered where both operator models know it. The violations are the bytes that find no room
    in NMP channels and in the normal ones; `check_capacity=False` leaves them out.
    """

    name = "roofline"
    fidelity = 0

    def __init__(
        self,
        workload: Workload,
        platform: Platform,
        npu: OperatorModel | None = None,
        nmp: OperatorModel | None = None,
        check_capacity: bool = True,
    ) -> None:
        self.workload, self.platform, self.check_capacity = workload, platform, check_capacity
        self.npu: OperatorModel = npu or NpuRoofline()
        self.nmp: OperatorModel = nmp or NmpRoofline()
        self.version = f"1({self.npu.name}/{self.npu.version},{self.nmp.name}/{self.nmp.version})"
        names = ["latency_s", "prefill_s", "decode_s"] + ["energy_j"] * self._knows_energy()
        self.metrics: Mapping[str, str] = {name: METRICS[name].unit for name in names}

    def evaluate(self, batch: Batch, *, seed: int) -> Evaluation:
        """Answers for all rows; the model is exact and has no use for the seed. Raises nothing for bad rows."""
        begin = time.process_time()
        columns = self._columns(batch)
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

    def _columns(self, batch: Batch) -> Columns:
        wide = {name for name, _, _ in DATAFLOW}
        return {k: np.ascontiguousarray(v.T) if k in wide else v for k, v in batch.columns.items()}

    def _faults(self, c: Columns) -> NDArray[np.str_]:
        """Per row, why it is no design at all ("" where it is one). Whether it is a good one is not asked."""
        operators = len(self.workload.operators)
        n = c["nmp_channels"]
        machine = (n < 0) | (n > self.platform.total_channels) | (c["fpus"] < 1)
        for name in ("mhz", "pe_gbps"):
            machine |= ~((c[name] > 0) & (c[name] < np.inf))
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
        device = self._device(c)
        held = np.bitwise_count(c["channels"]).astype(np.int64)
        reach = held + c["normal"] * (self.platform.total_channels - c["nmp_channels"])
        on_nmp = self._part(c["nmp_units"], self.nmp, held, device)
        on_npu = self._part(c["npu_units"], self.npu, reach, device)
        B, M, N, K = (x[:, None] for x in self.workload.gemms("prefill"))
        prefill = self.npu.cost(B, M, N, K, np.maximum(reach, 1), device)

        prefill_s = sum_operators(prefill.latency_s)
        decode_s = self.workload.generated * layer_latency(c, on_nmp.latency_s, on_npu.latency_s)
        metrics = {"latency_s": prefill_s + decode_s, "prefill_s": prefill_s, "decode_s": decode_s}
        if "energy_j" in self.metrics:
            decode_j = sum_operators(on_nmp.energy_j) + sum_operators(on_npu.energy_j)
            metrics["energy_j"] = sum_operators(prefill.energy_j) + self.workload.generated * decode_j
        return metrics, self._violation(c, held) if self.check_capacity else {}

    def _device(self, c: Columns) -> Device:
        return Device(
            platform=self.platform,
            **{name: c[name] for name in ("fpus", "mhz", "pe_gbps", "input_kb", "weight_kb", "output_kb")},
            bytes_per_element=self.workload.bytes_per_element,
            batch=self.workload.batch,
        )

    def _part(self, units: Ints, model: OperatorModel, channels: Ints, device: Device) -> OperatorCost:
        """Decode cost of the part of each operator that one processor does; 0 where it does none of it."""
        B, M, N, K = (x[:, None] for x in self.workload.gemms("decode"))
        some, batched = units > 0, B > 1
        units = np.maximum(units, 1)
        cost = model.cost(
            np.where(batched, units, B), M, np.where(batched, N, units), K, np.maximum(channels, 1), device
        )
        return OperatorCost(np.where(some, cost.latency_s, 0.0), np.where(some, cost.energy_j, 0.0))

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
        names = ("fpus", "mhz", "pe_gbps", "input_kb", "weight_kb", "output_kb")
        device = self._device(dict.fromkeys(names, np.ones(1)))
        return all(np.isfinite(m.cost(one, one, one, one, one, device).energy_j).all() for m in (self.npu, self.nmp))


def layer_latency(c: Columns, nmp_s: Floats, npu_s: Floats) -> Floats:
    """Decode of one layer, (n,) seconds: NMP channels of a stratum run side by side and beside the NPU, which
    takes the stratum's operators in turn; strata add up, the slowest part of a group counts, groups add up."""
    stratum, part = stratum_heads(c["group"], c["part"], c["stratum"])
    slots = Slots(*nmp_s.shape)
    slowest = slots.fold(np.maximum, nmp_s, stratum)
    strata = np.maximum(slowest, slots.fold(np.add, npu_s, stratum))
    # A slot that no stratum (or part) is headed by holds 0 and adds nothing.
    parts = slots.fold(np.add, strata, part)
    return sum_operators(slots.fold(np.maximum, parts, c["group"]))


class Slots:
    """Reductions of (operators, n) values into (operators, n) slots, one slot number an operator and row."""

    def __init__(self, operators: int, rows: int) -> None:
        self.shape, self.row = (operators, rows), np.arange(rows)

    def fold(self, join: Callable[[Floats, Floats], Floats], values: Floats, slot: Ints) -> Floats:
        """`join` of the values that fall into each slot, in operator order; 0 where none does."""
        found = np.zeros(self.shape[0] * self.shape[1])
        for one, where in zip(values, slot, strict=True):
            at = where * self.shape[1] + self.row
            found[at] = join(found[at], one)
        return found.reshape(self.shape)


def sum_operators(values: Floats) -> Floats:
    """Sum over the first axis, in its order whatever the shape."""
    total = np.zeros(values.shape[1])
    for one in values:
        total = total + one
    return total


def _beyond(load: Floats, room: Floats | float) -> Floats:
    """Bytes of a load that find no room. Less than 1e-12 of the room is the rounding of a sum, not a byte."""
    return np.where(load > room * (1 + 1e-12), load - room, 0.0)


def _spread(found: dict[str, Floats], rows: Bools) -> dict[str, Floats]:
    """Values of the marked rows among NaN ones."""
    wide = {name: np.full(len(rows), np.nan) for name in found}
    for name, values in found.items():
        wide[name][rows] = values
    return wide
