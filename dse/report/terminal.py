"""Where tables are printed to."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table


def terminal(width: int) -> Console:
    """The terminal as wide as it is; `width` columns where the output goes elsewhere."""
    console = Console()
    return console if console.is_terminal else Console(width=width)


Cells = tuple[Sequence[str], Sequence[Sequence[str]]]  # headings, and the cells of each row


def plain_table(rows: Cells, words: tuple[str, ...]) -> Table:
    """Headings and cells as a table; the columns `words` are text, others numbers."""
    table = Table(header_style="bold", box=SIMPLE)
    for heading in rows[0]:
        table.add_column(heading, justify="left" if heading in words else "right", no_wrap=heading not in words)
    for cells in rows[1]:
        table.add_row(*cells)
    return table
