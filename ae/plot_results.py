"""Draw what `run_experiments.py` has found, as PNG and SVG.

    python ae/plot_results.py --experiment-type all

The figures are in `figures/` of the results' folder (ae/README.md says what each shows). What has not been run is left
out of a figure; a figure of which nothing has been run is not drawn, and a line says so.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, from anywhere

from ae.h2llm.command import ARCHITECTURE, EVOLUTION, TABLE
from ae.h2llm.one import COLUMNS
from ae.h2llm.points import ALL, EVALUATORS, EXPERIMENTS, results_of
from ae.h2llm.ratios import table_of
from ae.h2llm.table import read_table
from design.errors import InputError
from design.metrics import NMP_COSTS

Rows = list[dict[str, Any]]
DESIGN_COLUMNS = ("model", *NMP_COSTS, "engines", "nmp_channels")
COMPARED = ("Attn-NMP", "Attn-NMP-Split", "FC-NMP", "CC-NMP", "H2-LLM")
Drawer = Callable[[Rows, Path, str], None]


def end_to_end(rows: Rows, folder: Path, name: str) -> None:
    """CP, ID-NMP, ID-NMP+ and H2-LLM as speed-up over ID-NMP+."""
    from ae.h2llm.figures import speed_up_picture

    speed_up_picture(table_of(rows), EXPERIMENTS["e2e"], "ID-NMP+", "speed-up over ID-NMP+", folder, name)


def dataflow(rows: Rows, folder: Path, name: str) -> None:
    """Fixed and explored dataflows, latency divided by the plot utilisation, as speed-up over FC-NMP."""
    from ae.h2llm.figures import speed_up_picture

    speed_up_picture(table_of(rows), COMPARED, "FC-NMP", "speed-up over FC-NMP", folder, name, plotted=True)


def ablation(rows: Rows, folder: Path, name: str) -> None:
    """Geometric mean of the speed-up over ID-NMP+."""
    from ae.h2llm.figures import ablation_picture

    ablation_picture(table_of(rows), ("ID-NMP+", *COMPARED), "ID-NMP+", folder, name)


def prefill(rows: Rows, folder: Path, name: str) -> None:
    """Prefill's share, and its speed-up of H2-LLM over CC-NMP."""
    from ae.h2llm.figures import prefill_picture

    prefill_picture(table_of(rows), "H2-LLM", "CC-NMP", folder, name)


def architecture(rows: Rows, folder: Path, name: str) -> None:
    """H2-LLM over the best hardware of the list, H2-LLM-Full."""
    from ae.h2llm.figures import speed_up_picture

    speed_up_picture(table_of(rows), EXPERIMENTS["arch"], "H2-LLM-Full", "speed over H2-LLM-Full", folder, name)


FIGURES: Mapping[str, Mapping[str, tuple[tuple[str, ...], Drawer]]] = {  # experiment -> name -> designs needed, drawer
    "e2e": {"end-to-end": (("ID-NMP+", "H2-LLM"), end_to_end)},
    "dataflow": {
        "dataflow": (("FC-NMP", "H2-LLM"), dataflow),
        "dataflow-ablation": (("ID-NMP+", "H2-LLM"), ablation),
        "prefill": (("CC-NMP", "H2-LLM"), prefill),
    },
    "arch": {"architecture": (EXPERIMENTS["arch"], architecture)},
}


def plot(kind: str, folder: Path, say: Callable[[str], None]) -> int:
    """Draw all figures of an experiment. Returns the exit code. Raises InputError where there is no table."""
    rows = read_table(folder / f"{TABLE}.json", COLUMNS)
    out, there, drawn = folder / "figures", {row["design"] for row in rows}, 0
    for experiment, figures in FIGURES.items():
        for name, (needed, drawer) in figures.items() if kind in (ALL, experiment) else ():
            if missing := [design for design in needed if design not in there]:
                say(f"{name}: not drawn, {missing[0]} has not been run")
                continue
            drawer(rows, out, name)
            drawn += 1
    if kind == ALL:
        from ae.h2llm.gap_figure import gap_picture

        path = folder / f"{EVOLUTION}.json"
        evolved = read_table(path, ("batch", "candidates", "gap", "seed")) if path.exists() else []
        gap_picture(rows, evolved, out, "gaps")
        drawn += 1
    if kind in (ALL, "arch") and (folder / f"{ARCHITECTURE}.json").exists():
        from ae.h2llm.architecture_figure import front_picture, shared_picture

        designs = read_table(folder / f"{ARCHITECTURE}.json", DESIGN_COLUMNS)
        front_picture(designs, out, "architecture-front")
        shared_picture(designs, out, "architecture-shared")
        drawn += 2
    say(f"{drawn} figures, PNG and SVG, are in {out}")
    return 0 if drawn else 2


def main(arguments: list[str]) -> int:
    """Run the command line. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="ae/plot_results.py", description="Draw the figures of an experiment.")
    parser.add_argument("--experiment-type", choices=sorted(EXPERIMENTS), required=True)
    parser.add_argument("--evaluator", choices=EVALUATORS, default=EVALUATORS[0])
    parser.add_argument("--out", type=Path, default=Path("ae/results"), help="as given to run_experiments.py")
    given = parser.parse_args(arguments)
    try:
        return plot(given.experiment_type, results_of(given.evaluator, given.out), print)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {error.filename or 'output'}: {error.strerror or error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
