"""Print the figures that docs/findings.md talks about, from the tables of `run_experiments.py`.

    python ae/findings.py

By both evaluators, where both have been run.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, from anywhere

import numpy as np

from ae.h2llm.architecture import shared
from ae.h2llm.command import ARCHITECTURE, EVOLUTION, TABLE
from ae.h2llm.one import COLUMNS
from ae.h2llm.points import EVALUATORS, MODELS, results_of
from ae.h2llm.ratios import Table, geomean, ratios, table_of
from ae.h2llm.table import read_table
from design.core import Floats
from design.errors import InputError

PAIRS = (  # faster, over; what of
    ("H2-LLM", "ID-NMP+", "latency"),
    ("H2-LLM", "ID-NMP+", "energy"),
    ("CC-NMP", "ID-NMP+", "latency"),
    ("H2-LLM", "CC-NMP", "latency"),
    ("H2-LLM", "CC-NMP", "prefill"),
    ("H2-LLM", "CC-NMP", "decode"),
    ("H2-LLM", "FC-NMP", "latency"),
    ("CC-NMP", "FC-NMP", "latency"),
    ("Attn-NMP-Split", "Attn-NMP", "latency"),
    ("H2-LLM-Full", "H2-LLM", "latency"),
)


def factor_rows(table: Table) -> Iterator[list[str]]:
    """Geometric means by model and over all, the least and the most, and on how many points the first is slower."""
    for design, over, what in PAIRS:
        each = {model: ratios(table, model, design, over, what) for model in MODELS}
        every = np.concatenate(list(each.values()))
        known = every[np.isfinite(every)]
        if len(known):
            means = [f"{geomean(values):.3f}" for values in (*each.values(), every)]
            slower = int((known < 1 - 1e-9).sum())
            yield [f"{design} over {over}", what, *means, f"{known.min():.3f}", f"{known.max():.3f}", f"{slower}"]


def believed_rows(tables: Mapping[str, Table]) -> Iterator[list[str]]:
    """By how much `buffered` holds the optimum of a design to be slower than `roofline` does, by model and over all."""
    for design in dict.fromkeys(key[0] for key in tables["roofline"]):
        each = {model: _both(tables, design, model) for model in MODELS}
        every = np.concatenate(list(each.values()))
        if np.isfinite(every).any():
            yield [design, *(f"{geomean(values):.3f}" for values in (*each.values(), every))]


def _both(tables: Mapping[str, Table], design: str, model: str) -> Floats:
    """(workloads,) `buffered` over `roofline`."""
    rough, fine = (tables[name] for name in EVALUATORS)
    keys = [key for key in rough if key[:2] == (design, model)]
    return np.array([fine[key]["latency"] / rough[key]["latency"] if key in fine else np.nan for key in keys])


def gap_rows(records: Sequence[Mapping[str, Any]]) -> Iterator[list[str]]:
    """By candidates: median gap, nine tenths, the worst, and on how many searches it is nothing."""
    for mark in sorted({record["candidates"] for record in records}):
        some = [record["gap"] for record in records if record["candidates"] == mark]
        gaps = np.array([np.inf if gap is None else gap for gap in some])
        cells = [f"{np.quantile(gaps, share, method='higher'):.3%}" for share in (0.5, 0.9, 1.0)]
        yield [f"{mark:,}", *cells, f"{int((gaps <= 1e-6).sum())} of {len(gaps)}"]


def hardware_rows(table: Table) -> Iterator[list[str]]:
    """Which hardware the best of the list is, and on how many workloads, by model."""
    for model in MODELS:
        found = [row["hardware"] for key, row in table.items() if key[:2] == ("H2-LLM-Full", model)]
        for hardware in sorted(dict.fromkeys(found), key=lambda one: -found.count(one)):
            yield [MODELS[model], hardware, str(found.count(hardware))]


def shared_rows(designs: Sequence[Mapping[str, Any]]) -> Iterator[list[str]]:
    """Of the front of each model, the three commonest values of each parameter."""
    for model in MODELS:
        front = [dict(design) for design in designs if design["model"] == model]
        for parameter, shares in shared(front).items() if front else ():
            cells = [f"{value} ({share:.0%})" for value, share in list(shares.items())[:3]]
            yield [MODELS[model], parameter, ", ".join(cells)]


def show(title: str, headings: Sequence[str], rows: Iterator[list[str]]) -> None:
    """A Markdown table."""
    if lines := list(rows):
        print(f"\n{title}\n")
        print("\n".join(f"| {' | '.join(row)} |" for row in [[*headings], ["---"] * len(headings), *lines]))


def main(arguments: list[str]) -> int:
    """Run the command line. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="ae/findings.py", description="Print the figures behind docs/findings.md.")
    parser.add_argument("--out", type=Path, default=Path("ae/results"), help="as given to run_experiments.py")
    out: Path = parser.parse_args(arguments).out
    folders = {name: results_of(name, out) for name in EVALUATORS}
    models = [*MODELS.values(), "all"]
    try:
        tables = {n: table_of(read_table(f / f"{TABLE}.json", COLUMNS)) for n, f in folders.items() if f.exists()}
        if not tables:
            raise InputError(str(out), "has no results", "those of run_experiments.py")
        for name, table in tables.items():
            headings = ["", "of", *models, "least", "most", "slower"]
            show(f"By {name}: how many times as fast (as little energy), geometric means", headings, factor_rows(table))
            show(
                f"By {name}: the best of the published hardware", ["model", "device", "workloads"], hardware_rows(table)
            )
        if len(tables) > 1:
            show("Optimum by buffered over optimum by roofline", ["design", *models], believed_rows(tables))
        for name, folder in folders.items():
            if (path := folder / f"{EVOLUTION}.json").exists():
                headings = ["candidates", "median gap", "nine tenths", "worst", "optimal"]
                records = read_table(path, ("candidates", "gap"))
                show(f"By {name}: H2-LLM, evolution alone", headings, gap_rows(records))
        studies = [path for folder in folders.values() if (path := folder / f"{ARCHITECTURE}.json").exists()]
        if studies:
            designs = read_table(studies[0], ("model", "engines"))
            show("Devices on the front by buffered", ["model", "parameter", "values"], shared_rows(designs))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
