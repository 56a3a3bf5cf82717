"""Where tables are printed to."""

from __future__ import annotations

from rich.console import Console


def terminal(width: int) -> Console:
    """The terminal as wide as it is; `width` columns where the output goes elsewhere."""
    console = Console()
    return console if console.is_terminal else Console(width=width)
