"""What a check raises: who broke which law."""

from __future__ import annotations

from typing import Any

import numpy as np

SHOWN = 5  # rows that a message names


class Nonconforming(AssertionError):
    """An implementation breaks its contract. The message is one line: culprit, what was found, what was expected.

    Raised as it is, not by an `assert` statement: checks hold under `python -O` too.
    """

    def __init__(self, culprit: str, found: str, expected: str) -> None:
        super().__init__(" ".join(f"{culprit}: {found}; expected {expected}".split()))


def expect(holds: object, culprit: str, found: str, expected: str) -> None:
    """Raises Nonconforming unless a law holds."""
    if not holds:
        raise Nonconforming(culprit, found, expected)


def rows_text(mask: Any) -> str:
    """'row 3' or 'rows 3, 5 and 20 more', for a mask (n,); 'no row' where there is none."""
    rows = np.flatnonzero(mask).tolist()
    if not rows:
        return "no row"
    more = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
    return f"row{'s' if len(rows) > 1 else ''} {', '.join(map(str, rows[:SHOWN]))}{more}"


def label(named: object) -> str:
    """'name/version' of an evaluator or surrogate, its class where it declares neither."""
    name, version = getattr(named, "name", None), getattr(named, "version", None)
    return f"{name}/{version}" if name and version else type(named).__name__
