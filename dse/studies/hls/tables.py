"""The tables of a study of loop directives: how the loops of the best design run."""

from __future__ import annotations

from rich.console import Console

from dse.report.terminal import plain_table
from dse.studies.hls.findings import Findings

Rows = tuple[list[str], list[list[str]]]  # headings, cells


def loop_table(found: Findings) -> Rows:
    """How each loop of the best design runs."""
    rows = []
    for state in found.loops:
        trip = state.loop.trip
        count = f"{trip.most}" if trip.least == trip.most else f"{trip.least} to {trip.most}, {trip.mean:.4g}"
        name = "  " * state.depth + state.loop.variable
        rows.append([name, str(state.loop.line), f"{count} ({trip.kind})", state.words or "sequential"])
    return ["loop", "line", "trips", "runs"], rows


def print_tables(console: Console, found: Findings) -> None:
    """What the terminal says of the best design."""
    print("\nLoops of the best design:")
    console.print(plain_table(loop_table(found), ("loop", "runs")))
