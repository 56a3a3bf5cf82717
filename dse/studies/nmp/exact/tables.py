"""What every operator costs on one device, for every way it may run: all that the solver needs to know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cost_model.nmp.evaluator import NmpEvaluator
from design.core import Floats

NEVER_S = 1e200  # seconds of what cannot be


@dataclass(frozen=True)
class Tables:
    """Costs on one device with `nmp` NMP channels and `normal` other ones.

    Per operator i: `on_nmp[i]` and `on_npu[i]` (nmp + 1, steps + 1, nodes) seconds of a decode step at each
    context, by NMP channels held and granules on NMP; 0 granules cost NMP nothing, all granules cost the NPU
    nothing. `prefill[i]` (nmp + 1, 2) seconds by channels held and whether the normal ones are used (inf where
    there are no channels at all). `weight` (nodes,) is what a second of one step at each context counts.
    `granule_bytes[i]` are stored for each granule, `channel_bytes` fit in a channel.
    """

    nmp: int
    normal: int
    on_nmp: tuple[Floats, ...]
    on_npu: tuple[Floats, ...]
    prefill: tuple[Floats, ...]
    weight: Floats
    granule_bytes: tuple[float, ...]
    channel_bytes: float

    @property
    def room(self) -> float:
        """Bytes that may be put into a channel: as the evaluator does, a sum that rounds up is not held over it."""
        return self.channel_bytes * (1 + 1e-12)

    @property
    def stored(self) -> float:
        """Bytes of all operators, a rounding of their sum below: what fits to the last byte must not look a byte
        short."""
        return sum(b * s for b, s in zip(self.granule_bytes, self.steps, strict=True)) * (1 - 1e-15)

    @property
    def steps(self) -> tuple[int, ...]:
        """Granules of each operator."""
        return tuple(table.shape[1] - 1 for table in self.on_nmp)


def operator_tables(
    evaluator: NmpEvaluator, hardware: Mapping[str, NDArray], prefill_counts: bool, decode_counts: bool
) -> Tables:
    """The tables of one device: `hardware` has its columns, each (1,). Either phase may count or not."""
    workload, platform = evaluator.workload, evaluator.platform
    n = int(hardware["nmp_channels"][0])
    normal = platform.total_channels - n
    on_nmp: list[Floats] = []
    on_npu: list[Floats] = []
    prefill: list[Floats] = []
    count = len(workload.operators)
    device = evaluator.device(hardware)
    reach = np.arange(n + 1)[:, None] + normal * np.arange(2)[None, :]
    before = evaluator.prefill_cost(np.broadcast_to(reach.reshape(1, -1), (count, reach.size)), device).latency_s
    before = np.where(reach.ravel() > 0, np.nan_to_num(before, nan=NEVER_S, posinf=NEVER_S), NEVER_S)
    for i, op in enumerate(workload.operators):
        shape = (n + 1, op.steps + 1)
        held, granules = (index.ravel() for index in np.indices(shape))
        mixed = (granules > 0) & (granules < op.steps)
        # Without a mix the flag matters to the prefill only, which is asked for below.
        columns = {
            "nmp_channels": np.broadcast_to(hardware["nmp_channels"], held.shape),
            "normal": np.broadcast_to(mixed | (granules == 0), (count, len(held))).astype(np.int64),
            "nmp_units": np.broadcast_to(granules * op.granule, (count, len(held))),
            "npu_units": np.broadcast_to((op.steps - granules) * op.granule, (count, len(held))),
        }
        nmp, npu = evaluator.decode_costs(columns, np.broadcast_to(held, (count, len(held))), device, only=i)
        nodes = evaluator.decode.rows[:, i] - evaluator.decode.rows[0, i]  # rows of this operator alone
        # What a model gives no cost for is never worth it.
        for tables, cost in ((on_nmp, nmp), (on_npu, npu)):
            seconds = np.nan_to_num(cost.latency_s, nan=NEVER_S, posinf=NEVER_S)
            tables.append(np.stack([seconds[node].reshape(shape) for node in nodes], axis=-1))
        prefill.append(before[i].reshape(reach.shape) * prefill_counts)
    return Tables(
        nmp=n,
        normal=normal,
        on_nmp=tuple(on_nmp),
        on_npu=tuple(on_npu),
        prefill=tuple(prefill),
        weight=evaluator.decode.steps.astype(np.float64) * decode_counts,
        granule_bytes=tuple(op.stored_bytes / op.steps for op in workload.operators),
        channel_bytes=float(platform.channel_bytes),
    )
