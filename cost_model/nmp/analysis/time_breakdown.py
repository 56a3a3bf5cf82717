"""Where the time of one design goes: an account for each operator that adds up to the latency."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cost_model.nmp.evaluator import NmpEvaluator
from cost_model.nmp.operators.base import Explained
from design.core import Batch, Floats, Ints
from design.nmp.design import channel_text

# What the parts of an operator model are called on each processor.
CAUSES = {
    "NMP": {"compute": "PE compute", "bandwidth": "bank bandwidth", "transfer": "transfer", "buffer": "buffers"},
    "NPU": {"compute": "NPU compute", "bandwidth": "channel bandwidth", "transfer": "transfer", "buffer": "buffers"},
}
UNKNOWN = "not said by its model"


@dataclass(frozen=True)
class OperatorAccount:
    """One operator of one design, per layer.

    `channels` are its NMP channels in words, `nmp_share` the share of its work done there. `decode_s` counts what
    the layer waits for it: operators beside it that end earlier count 0, those that take turns count their turn.
    Over all operators, `prefill_s` and `decode_s` add up to those of the design. `side` is the processor that
    decides its decode time; the `bound` texts name what limits it in either phase.
    """

    operator: str
    channels: str
    normal: bool
    nmp_share: float
    prefill_s: float
    decode_s: float
    side: str
    prefill_bound: str
    decode_bound: str


def accounts(evaluator: NmpEvaluator, batch: Batch) -> list[OperatorAccount]:
    """The accounts of a batch of one sound design."""
    c = evaluator.columns(batch)
    device = evaluator.device(c)
    held = np.bitwise_count(c["channels"]).astype(np.int64)
    normal = evaluator.normal_channels(c)
    on_nmp, on_npu = evaluator.decode_costs(c, held, device)
    prefill = evaluator.prefill_cost(held + normal, device)
    nmp = [on_nmp.latency_s[rows, 0] for rows in evaluator.decode.rows]
    npu = [on_npu.latency_s[rows, 0] for rows in evaluator.decode.rows]
    waits = np.zeros(len(held))
    for steps, slow, busy in zip(evaluator.decode.steps, nmp, npu, strict=True):
        waits = waits + steps * waited(c, slow, busy)
    node = evaluator.decode.middle
    side = np.where(nmp[node] >= npu[node], "NMP", "NPU")
    reach = evaluator.decode_reach(c["nmp_units"], held, normal)
    rows, causes = evaluator.decode, {}
    for name, model, units, channels in (
        ("NMP", evaluator.nmp, c["nmp_units"], held),
        ("NPU", evaluator.npu, c["npu_units"], reach),
    ):
        parts = None
        if isinstance(model, Explained):
            parts = rows.parts(model, units, channels, device, up=name == "NMP", node=node)
        causes[name] = _causes(parts, name, len(held))
    before = [UNKNOWN] * len(held)
    if isinstance(evaluator.npu, Explained):
        before = _causes(evaluator.prefill.parts(evaluator.npu, held + normal, device), "NPU", len(held))
    found = []
    for i, op in enumerate(evaluator.workload.operators):
        found.append(
            OperatorAccount(
                operator=op.name,
                channels=channel_text(int(c["channels"][i, 0])),
                normal=bool(c["normal"][i, 0]),
                nmp_share=float(c["nmp_units"][i, 0] / op.extent),
                prefill_s=float(prefill.latency_s[i, 0]),
                decode_s=float(waits[i]),
                side=str(side[i]),
                prefill_bound=before[i],
                decode_bound=causes[str(side[i])][i],
            )
        )
    return found


def waited(c: Mapping[str, NDArray], nmp_s: Floats, npu_s: Floats) -> Floats:
    """(operators,) seconds that a layer waits for each operator in one decode step."""
    group, part, stratum = (c[name][:, 0] for name in ("group", "part", "stratum"))
    found = np.zeros(len(nmp_s))
    for g in np.unique(group):
        best: tuple[float, Floats] = (-1.0, found)
        for p in np.unique(part[group == g]):
            own = np.zeros(len(nmp_s))
            for s in np.unique(stratum[(group == g) & (part == p)]):
                rows = np.flatnonzero((group == g) & (part == p) & (stratum == s))
                slowest = rows[np.argmax(nmp_s[rows])]
                if nmp_s[slowest] >= npu_s[rows].sum():
                    own[slowest] += nmp_s[slowest]
                else:
                    own[rows] += npu_s[rows]
            if own.sum() > best[0]:
                best = (float(own.sum()), own)
        found = found + best[1]
    return found


def _causes(parts: Mapping[str, Floats] | None, side: str, count: int) -> list[str]:
    """The largest part of each operator in words."""
    if parts is None:
        return [UNKNOWN] * count
    names = list(parts)
    largest: Ints = np.argmax(np.stack([np.broadcast_to(parts[name], (count, 1))[:, 0] for name in names]), axis=0)
    return [CAUSES[side].get(names[row], names[row]) for row in largest]
