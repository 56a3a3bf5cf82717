"""What the terminal shows of scores: one table a label count, the evaluator first and the baselines below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE
from rich.table import Table

from dse.report.terminal import terminal
from evaluators.scoring.protocol import VALIDITY

COLUMNS: tuple[tuple[str, str, str, bool], ...] = (  # heading, metric, field, as a percentage
    ("RMSE(y)", "cycles", "rmse_y", False),
    ("Spearman", "cycles", "spearman", False),
    ("median APE", "cycles", "median_ape", True),
    ("MAPE", "cycles", "mape", True),
    ("within 10 %", "cycles", "within_10", True),
    ("pass@5", "cycles", "pass_at_5", True),
    ("90 % holds", "cycles", "coverage_90", True),
    ("LUT", "lut", "rmse_y", False),
    ("FF", "ff", "rmse_y", False),
    ("DSP", "dsp", "rmse_y", False),
    ("BRAM", "bram", "rmse_y", False),
    ("valid F1", VALIDITY, "f1", False),
)


def print_scores(result: Mapping[str, Any], headings: Sequence[str]) -> None:
    """The content of metrics.json for people. Columns that nobody has are left out."""
    console = terminal(150)
    for name in headings:
        blocks = {result["evaluator"]: result[name]}
        blocks |= {rival: block[name] for rival, block in (result["baselines"] or {}).items()}
        console.print(_table(result, name, blocks))
    _notes(result, headings)


def _table(result: Mapping[str, Any], name: str, blocks: Mapping[str, Mapping[str, Any]]) -> Table:
    kernels = list(blocks[result["evaluator"]]["kernels"])
    seeds = result["seeds"][name]
    over = f", {len(seeds)} draws of labels" if len(seeds) > 1 else ""
    title = f"{result['tool_version']}, {name}: means over {', '.join(kernels)}{over}"
    table = Table(title=title, title_justify="left", header_style="bold", box=SIMPLE)
    table.add_column("evaluator", no_wrap=True)
    shown = [c for c in COLUMNS if any(block[c[1]][c[2]] is not None for block in blocks.values())]
    for heading, _, _, _ in shown:
        table.add_column(heading, justify="right", no_wrap=True)
    for row, block in blocks.items():
        low = " (low fidelity)" if row == result["evaluator"] and result["fidelity"] == 0 else ""
        table.add_row(f"{row}{low}", *(_cell(block[metric][field], percent) for _, metric, field, percent in shown))
    return table


def _cell(value: float | None, percent: bool) -> str:
    if value is None:
        return "-"
    return f"{value:.1%}" if percent else f"{value:.3f}"


def _notes(result: Mapping[str, Any], headings: Sequence[str]) -> None:
    print("First columns of cycles; LUT, FF, DSP and BRAM are RMSE(y). In y, 1 is a factor of 4.")
    if result["seen"]:
        print(f"Not unseen: {result['evaluator']} was fitted on the families of {', '.join(result['seen'])}.")
    blank = {k: v["filled"] for name in headings for k, v in result[name]["kernels"].items() if v["filled"]}
    for name, count in blank.items():
        print(
            f"{result['evaluator']} has no number for {count:g} designs of {name}; the median of the others stands in."
        )
    for name, why in result["skipped"].items():
        print(f"Skipped {name}: {why}.")
    if not any(result["distance"].values()):
        print("No distances to training kernels: the data set has none of another family.")
    if result["baselines"] is None:
        print(f"No baselines: {result['baselines_absent']}.")
