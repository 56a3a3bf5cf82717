"""How predictors look in every picture of scores: the judged one first, in the accent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dse.report.pictures.style import ACCENT, STROKES

SHAPES = ("^", "s", "D", "v", "P", "X", "<")


@dataclass(frozen=True)
class Look:
    """A colour and a mark."""

    colour: str
    mark: str


def looks_of(names: Sequence[str]) -> dict[str, Look]:
    """A look for each name, the first of them that of the one that is judged."""
    rivals = {
        name: Look(STROKES[place % len(STROKES)], SHAPES[place % len(SHAPES)]) for place, name in enumerate(names[1:])
    }
    return {name: Look(ACCENT, "o") for name in names[:1]} | rivals
