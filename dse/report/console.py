"""What the terminal shows at the end of a run: the best design or the front, and what there is to say about it."""

from __future__ import annotations

import textwrap

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from dse.findings import Findings
from dse.report.results import Outcome
from dse.report.tables import HARDWARE_HEADINGS, hardware_cells, operator_rows


def print_findings(console: Console, outcome: Outcome, found: Findings) -> None:
    """The answer block: whole-model figures, proof, operators, sensitivity, constants, the design in words."""
    model, workload = found.model, outcome.workload
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
        print("\nWhere the time of a layer goes:")
        console.print(operator_table(found))
    if found.steps:
        print("One step of the hardware, the mapping re-optimised for each:")
        console.print(step_table(found))
    for corner in found.corners:
        print(
            f"With all constants at their {corner.name} end {int(corner.kept.sum())} of the front's {len(corner.kept)} "
            f"designs stay on it (front of {len(corner.rows)})."
        )
    print(f"\n{textwrap.fill(found.description, 118)}\n")


def operator_table(found: Findings) -> Table:
    """Per operator: where it runs, its share of the time, what bounds it."""
    table = Table(header_style="bold", box=SIMPLE)
    for name in ("operator", "NMP channels", "on NMP", "share", "prefill", "bound by", "decode", "bound by"):
        table.add_column(name, justify="left" if name in ("operator", "bound by") else "right", no_wrap=True)
    for row in operator_rows(found):
        table.add_row(*row)
    return table


def step_table(found: Findings) -> Table:
    """What one step of each hardware parameter changes, the mapping re-optimised for each."""
    table = Table(header_style="bold", box=SIMPLE)
    names = [name for name in ("latency_s", "energy_j", "area_mm2") if name in found.base]
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


def print_outcome(outcome: Outcome, folder: str) -> None:
    """The table at the end: the best design, or the first designs of the front."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=120)
    count = len(outcome.front)
    rate = outcome.candidates / max(outcome.wall_seconds, 1e-9)
    print(
        f"{outcome.candidates} candidates in {outcome.wall_seconds:.2f} s ({rate:,.0f}/s, "
        f"{outcome.cpu_seconds:.2f} CPU-s), {outcome.ended}"
    )
    if outcome.failed:
        most, times = next(iter(outcome.failed.items()))
        share = f", {times} of them" if len(outcome.failed) > 1 else ""
        print(f"{sum(outcome.failed.values())} designs failed{share}: {most}")
    if not count:
        print("No feasible design was found; the store has the reason for every candidate.")
        return
    title = "Best design" if len(outcome.objectives) == 1 else f"Pareto front: {min(count, 10)} of {count} designs"
    table = Table(title=title, title_justify="left", header_style="bold", box=SIMPLE)
    metrics = list(outcome.answers.metrics)
    for name in metrics:
        table.add_column(name, justify="right", no_wrap=True)
    for name in HARDWARE_HEADINGS:
        table.add_column(name, justify="right", no_wrap=True)
    shown = sorted({round(i * (count - 1) / 9) for i in range(10)}) if count > 10 else range(count)
    for row in shown:
        table.add_row(*(f"{outcome.answers.metrics[name][row]:.6g}" for name in metrics), *hardware_cells(outcome, row))
    console.print(table)
    print(f"Best: {outcome.front.schema.text(outcome.front, 0)}")
    if outcome.findings is not None:
        print_findings(console, outcome, outcome.findings)
    print(f"Results are in {folder}")
