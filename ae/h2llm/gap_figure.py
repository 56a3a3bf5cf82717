"""How far from the optimum every point can be at most, and how near the evolutionary search comes by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ae.h2llm.figures import HEIGHT, WIDTH
from ae.h2llm.points import BATCHES, DESIGNS, MODELS
from design.core import Floats
from dse.report.pictures.looks import looks_of
from dse.report.pictures.style import ACCENT, INK, QUIET, bare, new_figure, save

LEAST = 1e-6  # a gap below is drawn there
JITTER = 0.28


def gap_picture(
    rows: Sequence[Mapping[str, Any]], evolved: Sequence[Mapping[str, Any]], folder: Path, name: str
) -> None:
    """Above a dot a point, by design; below, by batch size, of the search alone a dot for each workload's median over
    seeds, and from the first to the third quartile over workloads and seeds a bar."""
    figure = new_figure(WIDTH, 2.3 * HEIGHT + 0.6)
    proven, alone = figure.subplots(2, 1, height_ratios=(1.1, 1))
    _proven(proven, rows)
    _alone(alone, evolved)
    save(figure, folder, name)


def _proven(axes: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    rng = np.random.default_rng(0)  # dots that would lie on each other lie beside each other
    designs = [design for design in DESIGNS if any(row["design"] == design for row in rows)]
    for place, design in enumerate(designs):
        gaps = _known([row["gap"] for row in rows if row["design"] == design])
        at = place + rng.uniform(-JITTER, JITTER, len(gaps))
        colour = ACCENT if DESIGNS[design].explored else QUIET
        axes.plot(at, np.maximum(gaps, LEAST), "o", markersize=2.6, markeredgewidth=0, alpha=0.7, color=colour)
    _gaps(axes)
    axes.set_xlim(-0.6, max(len(designs), 1) - 0.4)
    axes.set_xticks(range(len(designs)), designs, rotation=30, ha="right", rotation_mode="anchor")
    without = sum(row["gap"] is None for row in rows)
    title = f"proven gap of {len(rows) - without} points" + (f"; {without} without a bound" if without else "")
    axes.set_title(title, fontsize=8, color=INK, loc="left", pad=2)


def _alone(axes: Any, records: Sequence[Mapping[str, Any]]) -> None:
    marks = sorted({record["candidates"] for record in records})
    batches = [batch for batch in BATCHES if any(record["batch"] == batch for record in records)]
    looks = looks_of([str(batch) for batch in batches])
    for turn, batch in enumerate(batches):
        look = looks[str(batch)]
        for place, mark in enumerate(marks):
            at = place + (turn - (len(batches) - 1) / 2) * 0.24
            some = [r for r in records if r["batch"] == batch and r["candidates"] == mark]
            gaps = np.maximum(_known([r["gap"] for r in some]), LEAST)
            if not len(gaps):
                continue
            low, high = np.quantile(gaps, (0.25, 0.75))
            axes.plot([at, at], [low, high], color=look.colour, linewidth=5, alpha=0.25, solid_capstyle="butt")
            each = _medians(some)
            style = {"color": look.colour, "marker": look.mark, "markersize": 3.2, "markeredgewidth": 0, "alpha": 0.8}
            label = f"batch {batch}" if not place else None
            axes.plot(np.full(len(each), at), np.maximum(each, LEAST), linestyle="", label=label, **style)
    _gaps(axes)
    axes.set_xticks(range(len(marks)), [f"{mark:,}" for mark in marks])
    axes.set_xlim(-0.6, max(len(marks), 1) - 0.4)
    axes.set_xlabel("candidates", fontsize=8, color=INK)
    count = len({record["seed"] for record in records})
    title = f"H2-LLM, evolution alone, {count} seeds" if records else "evolution alone: not run"
    axes.set_title(title, fontsize=8, color=INK, loc="left", pad=2)
    if records:
        axes.legend(fontsize=7, frameon=False, labelcolor=INK, loc="upper right", handletextpad=0.2)


def _medians(records: Sequence[Mapping[str, Any]]) -> Floats:
    """(workloads,) over seeds."""
    works = [(model, data) for model in MODELS for data in dict.fromkeys(r["data_set"] for r in records)]
    each = [_known([r["gap"] for r in records if (r["model"], r["data_set"]) == work]) for work in works]
    return np.array([np.median(gaps) for gaps in each if len(gaps)])


def _known(gaps: Sequence[float | None]) -> Floats:
    return np.array([gap for gap in gaps if gap is not None], dtype=np.float64)


def _gaps(axes: Any) -> None:
    bare(axes)
    axes.tick_params(labelsize=7)
    axes.set_yscale("log")
    axes.set_ylim(LEAST / 2, 1)
    axes.yaxis.set_major_locator(LogLocator(numticks=8))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: "0" if y <= LEAST else f"{100 * y:g} %"))
    axes.set_ylabel("above the optimum, at most", fontsize=8, color=INK)
