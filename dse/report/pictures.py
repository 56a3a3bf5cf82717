"""Pictures from plain tables. Nothing here knows a run, a space or an evaluator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, StrMethodFormatter

from design.core import Floats

PREFIXED = ("s", "J", "W")
INK, ACCENT, QUIET = "#1f2933", "#c2410c", "#9aa5b1"


def convergence_picture(
    candidates: Sequence[int],
    best: Floats,
    labels: Sequence[str],
    units: Sequence[str],
    hypervolume: Sequence[float] | None,
    others: Floats,
    path: Path,
) -> None:
    """Best value so far of each objective, (generations, objectives), against candidates evaluated.

    `others` are feasible candidates to show behind it, (points, 1 + objectives): number of the candidate, then
    its values. With several objectives a last panel shows the dominated hypervolume. NaN (nothing feasible yet)
    is a gap.
    """
    panels = [(best[:, i], label, unit) for i, (label, unit) in enumerate(zip(labels, units, strict=True))]
    if hypervolume is not None:
        panels.append((np.asarray(hypervolume, dtype=float), "hypervolume (first front's box = 1)", ""))
    figure = Figure(figsize=(4.9 * len(panels), 3.6), layout="constrained")
    for place, (series, label, unit) in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), place + 1)
        if place < len(labels) and len(others):
            values = others[:, 1 + place]
            axes.scatter(others[:, 0], values, s=5, color=QUIET, alpha=0.5, linewidths=0, label="feasible candidates")
            best_now = series[np.isfinite(series)][-1]
            middle = np.median(values)  # the worse half would squeeze the better one flat
            span = 1.15 * (middle - best_now) or 0.05 * abs(best_now) or 1.0
            axes.set_ylim(*sorted((best_now - 0.12 * span, best_now + span)))
        axes.step(candidates, series, where="post", color=ACCENT, linewidth=1.8, label="best so far")
        axes.plot(candidates, series, ".", color=ACCENT, markersize=4)
        known = series[np.isfinite(series)]
        if len(known):
            axes.annotate(
                f"{known[-1]:.6g} {unit}".strip(),
                (candidates[-1], known[-1]),
                (-4, -13),
                textcoords="offset points",
                ha="right",
                color=INK,
            )
        else:
            axes.text(0.5, 0.5, "nothing feasible yet", transform=axes.transAxes, ha="center", color=QUIET)
        if place < len(labels):
            axes.legend(frameon=True, framealpha=0.9, edgecolor="none", fontsize=8, loc="upper right")
        _dress(axes, "candidates evaluated", "", label, unit)
        if not len(others) or place >= len(labels):
            axes.margins(y=0.2)
        axes.set_xlim(left=0)
    _save(figure, path)


def front_picture(
    front: Floats,
    others: Floats,
    labels: Sequence[str],
    units: Sequence[str],
    signs: Sequence[int],
    path: Path,
) -> None:
    """Pareto front, (points, objectives), and other feasible designs; one panel for each pair of objectives.

    `signs` are +1 where less is better, -1 where more is. Far-off others are left outside the frame.
    """
    pairs = [(a, b) for a in range(len(labels)) for b in range(a + 1, len(labels))]
    figure = Figure(figsize=(5.4 * len(pairs), 4.2), layout="constrained")
    for place, (a, b) in enumerate(pairs):
        axes = figure.add_subplot(1, len(pairs), place + 1)
        x, y = front[:, a], front[:, b]
        low, high = (np.array([f(x), f(y)]) for f in (np.min, np.max))
        margin = np.maximum(0.5 * (high - low), 0.04 * np.abs(high) + 1e-12)
        # The worse side of the front gets more room than the better one, where no design is.
        minimised = np.array([signs[a], signs[b]]) > 0
        low, high = low - np.where(minimised, 0.25, 1.0) * margin, high + np.where(minimised, 1.0, 0.25) * margin
        near = ((others[:, [a, b]] >= low) & (others[:, [a, b]] <= high)).all(axis=1)
        axes.scatter(
            others[near, a], others[near, b], s=7, color=QUIET, alpha=0.45, linewidths=0, label="other designs"
        )
        if len(labels) == 2:
            order = np.argsort(x)
            # The staircase that the front dominates: the corner lies on the worse side of each step.
            axes.step(x[order], y[order], where="post" if signs[a] > 0 else "pre", color=ACCENT, linewidth=1.2)
        axes.scatter(x, y, s=26, color=ACCENT, zorder=3, label=f"Pareto front ({len(front)})")
        axes.set_xlim(low[0], high[0])
        axes.set_ylim(low[1], high[1])
        words = [f"{labels[i]} ({_better(signs[i])})" for i in (a, b)]
        _dress(axes, words[0], units[a], words[1], units[b])
        axes.legend(frameon=False, fontsize=8, loc="best")
    _save(figure, path)


def corners_picture(fronts: Mapping[str, Floats], labels: Sequence[str], units: Sequence[str], path: Path) -> None:
    """The same designs' fronts under other constants: name -> (points, objectives); one panel a pair of objectives.

    The first named is drawn on top in the accent colour.
    """
    pairs = [(a, b) for a in range(len(labels)) for b in range(a + 1, len(labels))]
    figure = Figure(figsize=(5.4 * len(pairs), 4.2), layout="constrained")
    marks = dict(zip(fronts, (("o", ACCENT), ("v", "#2563eb"), ("^", "#15803d")), strict=False))
    for place, (a, b) in enumerate(pairs):
        axes = figure.add_subplot(1, len(pairs), place + 1)
        for rank, (name, values) in enumerate(fronts.items()):
            mark, colour = marks[name]
            label = f"{name} constants ({len(values)})"
            axes.scatter(
                values[:, a],
                values[:, b],
                s=20,
                marker=mark,
                color=colour,
                alpha=0.75,
                linewidths=0,
                zorder=4 - rank,
                label=label,
            )
        _dress(axes, labels[a], units[a], labels[b], units[b])
        axes.legend(frameon=False, fontsize=8, loc="best")
    _save(figure, path)


def _better(sign: int) -> str:
    return "less is better" if sign > 0 else "more is better"


def _dress(axes: Any, x: str, x_unit: str, y: str, y_unit: str) -> None:
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)
    for axis, unit in ((axes.xaxis, x_unit), (axes.yaxis, y_unit)):
        axis.set_tick_params(labelsize=8, colors=INK)
        # A prefix needs a plain unit to stand before: 60 ms, but 0.06 mm2 and 0.06 of no unit.
        plain = StrMethodFormatter(f"{{x:,.4g}} {unit}".rstrip())
        axis.set_major_formatter(EngFormatter(unit) if unit in PREFIXED else plain)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def _save(figure: Figure, path: Path) -> None:
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    figure.savefig(part, dpi=150)
    part.replace(path)
