"""What the terminal says of the best near-memory design."""

from __future__ import annotations

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from design.metrics import NMP_COSTS
from dse.studies.nmp.findings import Findings
from dse.studies.nmp.problem import NmpProblem
from dse.studies.nmp.tables import KIND_HEADINGS, kind_rows, operator_rows
from dse.studies.outcome import Outcome


def print_findings(console: Console, problem: NmpProblem, outcome: Outcome, found: Findings) -> None:
    """The answer block: whole-model figures, proof, operators, sensitivity, constants, the design in words."""
    model, workload = found.model, problem.workload
    print(
        f"\nWhole model ({workload.name}, {model.layers} layers, batch {workload.batch}, {workload.prompt} + "
        f"{workload.generated} tokens), best {outcome.objectives[0].metric}:"
    )
    known = [
        ("time to first token", f"{model.ttft_s:.4g} s"),
        ("per token", f"{model.token_s * 1e3:.4g} ms ({model.tokens_per_s:.4g} tokens/s, all sequences)"),
        ("prompt and all tokens", f"{model.answer_s:.4g} s"),
    ]
    if found.second is not None:
        other = f"{found.second.ttft_s:.4g} s to the first token, {found.second.token_s * 1e3:.4g} ms per token"
        known.append((f"this design by {found.physics}", other))
    if model.joule_per_token is not None:
        known.append(("energy", f"{model.joule_per_token:.4g} J/token, {model.watts:.4g} W (by {found.physics})"))
    if model.area_mm2 is not None:
        known.append(("NMP logic and buffers", f"{model.area_mm2:.4g} mm2"))
    if outcome.bound.lower_bound is not None and found.gap is not None:
        least = f"no design is below {outcome.bound.lower_bound:.6g}"
        bound = f"at most {max(found.gap, 0):.2%} above the optimum ({least})"
    else:
        bound = "no bound"
    known.append(("proof", f"{bound}: {outcome.bound.how}"))
    for name, value in known:
        print(f"  {name:<24} {value}")
    if found.operators:
        if found.kinds:
            print("\nWhere the time of the model goes, by kind of layer:")
            console.print(kind_table(found))
        print(f"\nWhere the time of {'the mean' if found.kinds else 'a'} layer goes:")
        console.print(operator_table(found))
    if found.steps:
        print("One step of the hardware, the mapping re-optimised for each:")
        console.print(step_table(found))
    for corner in found.corners:
        print(
            f"With all constants at their {corner.name} end {int(corner.kept.sum())} of the front's {len(corner.kept)} "
            f"designs stay on it (front of {len(corner.rows)})."
        )


def operator_table(found: Findings) -> Table:
    """Per operator: where it runs, its share of the time, what bounds it."""
    table = Table(header_style="bold", box=SIMPLE)
    for name in ("operator", "NMP channels", "on NMP", "share", "prefill", "bound by", "decode", "bound by"):
        table.add_column(name, justify="left" if name in ("operator", "bound by") else "right", no_wrap=True)
    for row in operator_rows(found):
        table.add_row(*row)
    return table


def kind_table(found: Findings) -> Table:
    """What each kind of layer takes."""
    table = Table(header_style="bold", box=SIMPLE)
    for place, name in enumerate(KIND_HEADINGS):
        table.add_column(name, justify="right" if place else "left", no_wrap=True)
    for row in kind_rows(found):
        table.add_row(*row)
    return table


def step_table(found: Findings) -> Table:
    """What one step of each hardware parameter changes, the mapping re-optimised for each."""
    table = Table(header_style="bold", box=SIMPLE)
    names = [name for name in NMP_COSTS if name in found.base]
    for heading in ("parameter", "from", "to", *names):
        table.add_column(heading, justify="left" if heading == "parameter" else "right", no_wrap=True)
    for step in found.steps:
        changes = ["nothing fits"] * len(names)
        if step.metrics:
            changes = [_change(found.base[name], step.metrics[name]) for name in names]
        table.add_row(step.parameter, f"{step.before:g}", f"{step.after:g}", *changes)
    return table


def _change(before: float, after: float) -> str:
    """In percent; the value itself where there was none before (area without NMP channels)."""
    return f"{after / before - 1:+.2%}" if before else f"{after:.4g}"
