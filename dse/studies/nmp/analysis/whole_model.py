"""The answer to an architect: figures of the whole model, and the design in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cost_model.nmp.analysis.time_breakdown import OperatorAccount
from design.core import Batch
from design.nmp.design import channel_text
from design.nmp.device import Platform
from design.nmp.workload import Workload


@dataclass(frozen=True)
class WholeModel:
    """Figures of all layers of a model, and of its output head where that is part of the workload.

    `ttft_s` time to first token, `token_s` between tokens, `tokens_per_s` of all sequences while decoding,
    `answer_s` for prompt and all tokens; `joule_per_token` (prefill and idle power included), `watts` and
    `area_mm2` (NMP logic) are None where nothing knows them.
    """

    layers: int
    ttft_s: float
    token_s: float
    tokens_per_s: float
    answer_s: float
    joule_per_token: float | None
    watts: float | None
    area_mm2: float | None


def whole_model(workload: Workload, times: Mapping[str, float], physics: Mapping[str, float]) -> WholeModel:
    """From metrics per layer: `times` has the latencies, `physics` energy and area where they are known. Watts are
    of the latencies that belong to that energy."""
    layers, tokens = workload.layers, max(workload.generated, 1)
    token_s = layers * times["decode_s"] / tokens
    energy = physics.get("energy_j", float("nan"))
    area = physics.get("area_mm2", float("nan"))
    return WholeModel(
        layers=layers,
        ttft_s=layers * times["prefill_s"],
        token_s=token_s,
        tokens_per_s=workload.batch / token_s if token_s > 0 else 0.0,
        answer_s=layers * times["latency_s"],
        joule_per_token=layers * energy / (tokens * workload.batch) if np.isfinite(energy) else None,
        watts=energy / physics["latency_s"] if np.isfinite(energy) and physics["latency_s"] > 0 else None,
        area_mm2=area if np.isfinite(area) else None,
    )


def describe(batch: Batch, workload: Workload, platform: Platform, operators: Sequence[OperatorAccount]) -> str:
    """The design of a batch of one, in one paragraph that one could build from."""
    c = {name: values[0] for name, values in batch.columns.items()}
    n, total = int(c["nmp_channels"]), platform.total_channels
    text = []
    if n:
        text.append(
            f"{n} of {total} memory channels process near memory: each of their {platform.banks_per_channel} banks "
            f"has a PE of {c['fpus']} FPUs, {platform.simd} multiply-accumulates wide, at {c['mhz']:g} MHz, which "
            f"reads its bank at {c['pe_gbps']:g} GB/s into a weight buffer of {c['weight_kb']} KB; each channel has an "
            f"input buffer of {c['input_kb']} KB and an output buffer of {c['output_kb']} KB, shared by its PEs."
        )
    if not n:
        text.append(f"All {total} channels are plain memory for the NPU.")
    elif n < total:
        text.append(f"The other {total - n} channels are plain memory for the NPU.")
    else:
        text.append("No channel is plain memory.")
    text.append("Prefill runs on the NPU, operator after operator.")
    text.append(f"A decode step runs {_order(c, workload)}.")
    if operators:
        total_s = sum(op.prefill_s + op.decode_s for op in operators)
        top = max(operators, key=lambda op: op.prefill_s + op.decode_s)
        share = (top.prefill_s + top.decode_s) / total_s if total_s > 0 else 0.0
        bound = top.decode_bound if top.decode_s >= top.prefill_s else top.prefill_bound
        prefill = sum(op.prefill_s for op in operators) / total_s if total_s > 0 else 0.0
        text.append(
            f"Prefill takes {prefill:.0%} of the time; of all operators {top.operator} takes most, {share:.0%}, "
            f"limited by {bound}."
        )
    return " ".join(text)


def _order(c: Mapping[str, np.ndarray], workload: Workload) -> str:
    groups = []
    for g in np.unique(c["group"]):
        parts = []
        for p in np.unique(c["part"][c["group"] == g]):
            own = (c["group"] == g) & (c["part"] == p)
            strata = []
            for s in np.unique(c["stratum"][own]):
                rows = np.flatnonzero(own & (c["stratum"] == s))
                strata.append(" with ".join(_place(c, workload, int(i)) for i in rows))
            parts.append(", then ".join(strata))
        groups.append(" beside ".join(parts))
    return "; then ".join(groups)


def _place(c: Mapping[str, np.ndarray], workload: Workload, i: int) -> str:
    op, where = workload.operators[i], channel_text(int(c["channels"][i]))
    nmp, npu = int(c["nmp_units"][i]), int(c["npu_units"][i])
    if not npu:
        return f"{op.name} on NMP channels {where}"
    if not nmp:
        return f"{op.name} on the NPU"
    unit = "GEMMs" if op.decode.B > 1 else "columns"
    return f"{op.name} on NMP channels {where} ({nmp} of {op.extent} {unit}) and the NPU (the rest)"
