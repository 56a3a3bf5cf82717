"""The tables of a near-memory study as text: device, whole model, operators, hardware steps."""

from __future__ import annotations

from collections.abc import Mapping

from design.metrics import NMP_COSTS
from design.nmp.design import HARDWARE
from dse.studies.nmp.findings import Findings
from dse.studies.outcome import Outcome

HARDWARE_HEADINGS = ("NMP channels", "PE (FPU, MHz, GB/s)", "buffers KB")


def hardware_cells(outcome: Outcome, row: int) -> list[str]:
    """The device of a design of the front, under `HARDWARE_HEADINGS`."""
    return device_cells({column.name: outcome.front.columns[column.name][row] for column in HARDWARE})


def device_cells(c: Mapping[str, float]) -> list[str]:
    """A device, by the names of its columns, under `HARDWARE_HEADINGS`."""
    return [
        str(c["nmp_channels"]),
        f"{c['fpus']}, {c['mhz']:g}, {c['pe_gbps']:g}",
        f"{c['input_kb']}/{c['weight_kb']}/{c['output_kb']}",
    ]


def headline(outcome: Outcome) -> list[tuple[str, str, str]]:
    """The whole model's figures: what, how much, and a word on it."""
    found = outcome.findings
    if found is None:
        return []
    m = found.model
    by = f"by {found.physics}"
    cards = [
        ("time to first token", f"{m.ttft_s:.4g} s", ""),
        ("per token", f"{m.token_s * 1e3:.4g} ms", f"{m.tokens_per_s:.4g} tokens/s, all sequences"),
        ("prompt and all tokens", f"{m.answer_s:.4g} s", ""),
    ]
    if m.joule_per_token is not None:
        cards.append(("energy", f"{m.joule_per_token:.4g} J/token", f"{m.watts:.4g} W, {by}"))
    if m.area_mm2 is not None:
        cards.append(("NMP logic and buffers", f"{m.area_mm2:.4g} mm²", by))
    if outcome.bound.lower_bound is not None and found.gap is not None:
        least = f"no design is below {outcome.bound.lower_bound:.6g}"
        cards.append(("above the optimum", f"at most {max(found.gap, 0):.2%}", least))
    if found.second is not None:
        second = f"{found.second.token_s * 1e3:.4g} ms"
        cards.append((f"per token {by}", second, f"{found.second.ttft_s:.4g} s to the first token"))
    return cards


def operator_rows(found: Findings | None) -> list[list[str]]:
    """Per operator: where it runs, its share of the time, what bounds it."""
    if found is None:
        return []
    total = sum(op.prefill_s + op.decode_s for op in found.operators) or 1.0
    return [
        [
            op.operator,
            op.channels + (" + NPU" if op.normal and op.nmp_share > 0 else ""),
            f"{op.nmp_share:.1%}",
            f"{(op.prefill_s + op.decode_s) / total:.1%}",
            f"{op.prefill_s * 1e3:.4g} ms",
            op.prefill_bound,
            f"{op.decode_s * 1e3:.4g} ms" if op.decode_s else "hidden",
            f"{op.side}: {op.decode_bound}",
        ]
        for op in found.operators
    ]


KIND_HEADINGS = ("layers of kind", "layers", "prefill of one", "of all", "a token of one", "of all", "share")


def kind_rows(found: Findings | None) -> list[list[str]]:
    """Per kind of layer: how many, what one and all of them take in either phase, their share of the time."""
    return [
        [
            kind.kind,
            str(kind.layers),
            f"{kind.prefill_s * 1e3:.4g} ms",
            f"{kind.all_prefill_s * 1e3:.4g} ms",
            f"{kind.token_s * 1e3:.4g} ms",
            f"{kind.all_token_s * 1e3:.4g} ms",
            f"{kind.share:.1%}",
        ]
        for kind in (() if found is None else found.kinds)
    ]


def step_table(found: Findings | None) -> tuple[list[str], list[list[str]]]:
    """Headings, and a row per hardware step: parameter, from, to, and each metric there."""
    names = [name for name in NMP_COSTS if found is not None and name in found.base]
    rows = [
        [step.parameter, f"{step.before:g}", f"{step.after:g}"]
        + [f"{step.metrics[name]:.6g}" if step.metrics else "nothing fits" for name in names]
        for step in (() if found is None else found.steps)
    ]
    return ["parameter", "from", "to", *names], rows
