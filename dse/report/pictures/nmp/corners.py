"""The front at both ends of the uncertain constants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from design.core import Floats
from dse.report.pictures.fronts import pairs_of
from dse.report.pictures.style import ACCENT, SECOND, THIRD, dress, grid_of_axes, save, shared_legend, thin

LOOKS = (("o", ACCENT), ("v", SECOND), ("^", THIRD))


def corners_picture(fronts: Mapping[str, Floats], labels: Sequence[str], units: Sequence[str], folder: Path) -> str:
    """The same designs' fronts under other constants: name -> (points, objectives); one panel a pair of objectives.

    The first named is drawn on top in the accent colour. Returns the SVG.
    """
    pairs = pairs_of(len(labels))
    figure, panels = grid_of_axes(len(pairs), 3.7)
    for axes, (a, b) in zip(panels, pairs, strict=True):
        for rank, ((name, values), (mark, colour)) in enumerate(zip(fronts.items(), LOOKS, strict=False)):
            rows = thin(values[:, a], values[:, b], 400)
            style = {"s": 20, "marker": mark, "color": colour, "alpha": 0.75, "linewidths": 0, "zorder": 4 - rank}
            axes.scatter(values[rows, a], values[rows, b], label=f"{name} constants ({len(values)})", **style)
        dress(axes, labels[a], units[a], labels[b], units[b])
    shared_legend(figure, panels[0])
    return save(figure, folder, "constants")
