"""What the terminal shows of scores: one table a label count, the evaluator first and the baselines below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE
from rich.table import Table

from dse.report.terminal import terminal
from evaluators.scoring.protocol import VALIDITY

FIRST: tuple[tuple[str, str, bool], ...] = (  # heading, field of the first metric, as a percentage
    ("RMSE(y)", "rmse_y", False),
    ("Spearman", "spearman", False),
    ("median APE", "median_ape", True),
    ("MAPE", "mape", True),
    ("within 10 %", "within_10", True),
    ("pass@5", "pass_at_5", True),
    ("90 % holds", "coverage_90", True),
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
    first, *others = result["metrics"]
    columns = [(heading, first, field, percent) for heading, field, percent in FIRST]
    columns += [(metric.upper(), metric, "rmse_y", False) for metric in others]
    columns.append(("valid F1", VALIDITY, "f1", False))
    shown = [c for c in columns if any(block[c[1]][c[2]] is not None for block in blocks.values())]
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
    first, *others = result["metrics"]
    listed = [name.upper() for name in others]
    rest = f"; {', '.join(listed[:-1])} and {listed[-1]} are RMSE(y)" if len(listed) > 1 else ""
    print(f"First columns of {first}{rest}. In y, 1 is a factor of 4.")
    if result["seen"]:
        print(f"Not unseen: {result['evaluator']} was fitted on the families of {', '.join(result['seen'])}.")
    blank = {k: v["filled"] for name in headings for k, v in result[name]["kernels"].items() if v["filled"]}
    for name, count in blank.items():
        print(
            f"{result['evaluator']} has no number for {count:g} designs of {name}; the median of the others stands in."
        )
    for name, why in result["skipped"].items():
        print(f"Skipped {name}: {why}.")
    if not any(result.get("distance", {}).values()):
        print("No distances to training kernels: the data set has none of another family.")
    if result["baselines"] is None:
        print(f"No baselines: {result['baselines_absent']}.")
