"""What the designs of a front take of a device, resource by resource, against their cycles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from design.core import Floats
from dse.report.pictures.style import (
    FILLS,
    INK,
    MARKS,
    dress,
    legend,
    logarithmic,
    new_figure,
    save,
    spans_decades,
)

# Dark enough for lines on any page, told apart by colour-blind readers, and by their marks.
LINES = (FILLS[0], FILLS[1], FILLS[5], FILLS[7])


def shares_picture(cycles: Floats, shares: Mapping[str, Floats], usable: float, folder: Path) -> str:
    """`shares` are those of the device, resource -> (points,), of designs that take so many `cycles`; a design may
    take `usable` of a resource. Returns the SVG."""
    figure = new_figure(7.4, 3.8)
    axes = figure.add_subplot()
    order = np.argsort(cycles, kind="stable")
    for (name, values), colour, mark in zip(shares.items(), LINES, MARKS, strict=False):
        style: dict[str, Any] = {"color": colour, "marker": mark, "markersize": 4.5, "linewidth": 1.1}
        axes.plot(cycles[order], 100 * values[order], label=name.upper(), **style)
    top = 100 * max((float(np.max(v, initial=0.0)) for v in shares.values()), default=0.0)
    if top > 40 * usable:
        axes.axhline(100 * usable, color=INK, linewidth=0.9, linestyle="--", label=f"usable ({usable:.0%})")
    dress(axes, "cycles", "", "share of the device", "%")
    logarithmic(axes, spans_decades(cycles), False)
    axes.set_ylim(bottom=0)
    legend(axes, loc="best")
    return save(figure, folder, "shares")
