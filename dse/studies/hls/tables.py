"""The tables of a study of loop directives: loops of the best design, designs that were checked."""

from __future__ import annotations

import textwrap

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from design.core import Status
from dse.studies.hls.checked import Checked
from dse.studies.hls.findings import Findings
from dse.studies.hls.loop import said_in_words

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


def check_table(checked: Checked | None) -> Rows:
    """Designs that were checked: estimate and truth."""
    headings = ["#", "cycles", "estimate", "error", "LUT", "FF", "DSP", "BRAM", "status"]
    if checked is None:
        return headings, []
    rows = []
    for i, row in enumerate(checked.rows.tolist()):
        truth, guess = checked.truth["cycles"][i], checked.estimate["cycles"][i]
        known = truth == truth and truth > 0
        rows.append(
            [str(row + 1), f"{truth:,.0f}" if known else "-", f"{guess:,.0f}"]
            + [f"{guess / truth - 1:+.1%}" if known else "-"]
            + [_count(checked.truth[name][i]) for name in ("lut", "ff", "dsp", "bram")]
            + ["OK" if checked.status[i] == Status.OK else checked.reason[i][:60]]
        )
    return headings, rows


def _count(value: float) -> str:
    return f"{value:,.0f}" if value == value else "-"


def print_tables(console: Console, found: Findings, note: str) -> None:
    """What the terminal says of the best design and of those checked."""
    print("\nLoops of the best design:")
    console.print(_table(loop_table(found), ("loop", "runs")))
    if found.checked is not None:
        calls = f"{found.checked.calls} call{'s' * (found.checked.calls != 1)}"
        print(f"Designs of the front checked by {found.checked.source} ({calls}):")
        console.print(_table(check_table(found.checked), ("status",)))
        if found.checked.error is not None:
            print(f"Median error of the estimated cycles: {found.checked.error:.1%}")
    if found.bought is not None:
        print("\n".join(textwrap.fill(words, 118) for words in said_in_words(found.bought)))
    print(f"{textwrap.fill(found.description, 118)}\n")
    if note:
        print(f"{textwrap.fill(note, 118)}\n")


def _table(rows: Rows, words: tuple[str, ...]) -> Table:
    table = Table(header_style="bold", box=SIMPLE)
    for heading in rows[0]:
        table.add_column(heading, justify="left" if heading in words else "right", no_wrap=heading not in words)
    for cells in rows[1]:
        table.add_row(*cells)
    return table
