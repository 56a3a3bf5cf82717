"""Where to cut a mixed operator so that its NMP part and its NPU part take equally long.

A cut gene is the distance from this point, so that a cut stays sensible when its operator's channels change.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cost_model.nmp.operators.base import OperatorModel
from design.core import Ints
from design.nmp.device import Device, HardwareSpace, Platform
from design.nmp.workload import Workload

Reach = Callable[[Ints, Ints, Ints], Ints]  # (units on NMP, NMP channels held, normal channels) -> channels read


def balanced_cuts(
    workload: Workload,
    platform: Platform,
    hardware: HardwareSpace,
    npu: OperatorModel,
    nmp: OperatorModel,
    reach: Reach,
) -> Ints:
    """Granules of each operator on NMP so that it ends soonest when alone in its stratum.

    `reach` says how many channels the NPU reads its part of a mixed operator from.

    Shape (NMP channel choices, processors, operators, channels held + 1); 1 .. steps-1 in every entry.
    """
    most = max(hardware.nmp_channels)
    operators = workload.operators
    steps = np.array([op.steps for op in operators])[:, None]
    granule = np.array([op.granule for op in operators])[:, None]
    B, M, N, K = (x[:, None] for x in workload.decode_gemms())
    held = np.arange(most + 1)[None, :]
    normal = platform.total_channels - np.array(hardware.nmp_channels).reshape(-1, 1, 1, 1)
    device = _every_processor(workload, platform, hardware)

    def seconds(model: OperatorModel, granules: Ints, channels: Ints) -> np.ndarray:
        units = np.maximum(granules, 1) * granule
        return model.cost(
            np.where(B > 1, units, B), M, np.where(B > 1, N, units), K, np.maximum(channels, 1), device
        ).latency_s

    read = reach(np.ones_like(held), held, normal)

    # Bisection: more on NMP takes NMP longer and the NPU shorter.
    shape = (len(hardware.nmp_channels), len(hardware.processors), len(operators), most + 1)
    low = np.ones(shape, dtype=np.int64)
    high = np.broadcast_to(np.maximum(steps - 1, 1), shape).copy()
    while (open_ := low < high).any():
        middle = (low + high + 1) // 2
        nmp_first = seconds(nmp, middle, held) <= seconds(npu, steps - middle, read)
        low = np.where(open_ & nmp_first, middle, low)
        high = np.where(open_ & ~nmp_first, middle - 1, high)
    # `low` is the last cut at which NMP is not the slower side; one more may still end sooner.
    more = np.minimum(low + 1, np.maximum(steps - 1, 1))
    now = np.maximum(seconds(nmp, low, held), seconds(npu, steps - low, read))
    then = np.maximum(seconds(nmp, more, held), seconds(npu, steps - more, read))
    return np.where(then < now, more, low)


def spill_order(workload: Workload, platform: Platform, hardware: HardwareSpace, npu: OperatorModel) -> tuple[int, ...]:
    """Operators by the NPU time that a stored byte costs, cheapest first: who gives way where NMP memory is short.

    A cache is stored at the longest context but read at the present one, so attention often comes first.
    """
    B, M, N, K = workload.decode_gemms()
    channels = np.full(len(B), platform.total_channels)
    seconds = npu.cost(B, M, N, K, channels, _every_processor(workload, platform, hardware)).latency_s
    stored = np.maximum([op.stored_bytes for op in workload.operators], 1e-9)
    cost = seconds.reshape(-1, len(B))[0] / stored
    return tuple(np.argsort(cost, kind="stable").tolist())


def _every_processor(workload: Workload, platform: Platform, hardware: HardwareSpace) -> Device:
    """A device whose arrays hold every processor choice along the second of four axes."""
    processors = hardware.processors
    return Device(
        platform=platform,
        fpus=np.array([p.fpus for p in processors]).reshape(1, -1, 1, 1),
        mhz=np.array([p.mhz for p in processors], dtype=float).reshape(1, -1, 1, 1),
        pe_gbps=np.array([p.pe_gbps for p in processors], dtype=float).reshape(1, -1, 1, 1),
        # The buffers are not searched here: a cut near the balance is all that is asked.
        input_kb=np.full((1, 1, 1, 1), max(hardware.input_kb)),
        weight_kb=np.full((1, 1, 1, 1), max(hardware.weight_kb)),
        output_kb=np.full((1, 1, 1, 1), max(hardware.output_kb)),
        bytes_per_element=workload.bytes_per_element,
        batch=workload.batch,
    )
