"""The published figures, drawn from the table of points: a panel a model, as wide as a column."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from ae.h2llm.points import BATCHES, DATA_SETS, MODELS
from ae.h2llm.ratios import WORKLOADS, Table, geomean, ratios
from design.core import Floats
from dse.report.pictures.looks import looks_of
from dse.report.pictures.style import ACCENT, INK, QUIET, bare, new_figure, save

WIDTH, HEIGHT = 3.5, 1.55  # inches of a column, and of a panel
FRESH = "H2-LLM"  # in the accent
PLACES = np.array([4 * i + j for i in range(len(DATA_SETS)) for j in range(len(BATCHES))], dtype=np.float64)
MEAN = float(PLACES[-1] + 2.5)  # where the geometric mean stands


def speed_up_picture(
    table: Table, designs: Sequence[str], over: str, label: str, folder: Path, name: str, plotted: bool = False
) -> None:
    """A mark for each design and workload, and for the geometric mean; logarithmic, so that equal ratios look equal."""
    models = _models(table)
    figure = new_figure(WIDTH, HEIGHT * len(models) + 0.75)
    panels = figure.subplots(len(models), 1, sharex=True, squeeze=False)[:, 0]
    looks = looks_of([FRESH, *(design for design in designs if design != FRESH)])
    for axes, model in zip(panels, models, strict=True):
        every = {design: ratios(table, model, design, over, plotted=plotted) for design in designs}
        for design, values in every.items():
            look, first = looks[design], design == FRESH
            style = {"color": look.colour, "marker": look.mark, "markersize": 4.2 if first else 3.4}
            style |= {"markeredgewidth": 0, "zorder": 5 if first else 4}
            for begin in range(0, len(values), len(BATCHES)):
                part = slice(begin, begin + len(BATCHES))
                axes.plot(PLACES[part], values[part], linewidth=0.7, label=design if not begin else None, **style)
            axes.plot([MEAN], [geomean(values)], **style)
        axes.axhline(1.0, color=QUIET, linewidth=0.7, zorder=1)
        axes.axvline((PLACES[-1] + MEAN) / 2, color=QUIET, linewidth=0.5)
        _log(axes, np.concatenate(list(every.values())))
        axes.set_title(MODELS[model], fontsize=8, color=INK, loc="left", pad=2)
    _workloads(panels[-1], True)
    figure.supylabel(label, fontsize=8, color=INK)
    figure.legend(*panels[0].get_legend_handles_labels(), **_above(3))
    save(figure, folder, name)


def ablation_picture(table: Table, designs: Sequence[str], over: str, folder: Path, name: str) -> None:
    """The geometric mean over all workloads, a bar a design."""
    models = _models(table)
    figure = new_figure(WIDTH, 0.17 * len(designs) * len(models) + 0.34 * len(models) + 0.35)
    panels = figure.subplots(len(models), 1, sharex=True, squeeze=False)[:, 0]
    values = {model: [geomean(ratios(table, model, design, over)) for design in designs] for model in models}
    most = max((v for row in values.values() for v in row if np.isfinite(v)), default=1.0)
    for axes, model in zip(panels, models, strict=True):
        colours = [ACCENT if design == FRESH else "#b6bec8" for design in designs]
        axes.barh(range(len(designs)), np.nan_to_num(values[model]), color=colours, height=0.72)
        for place, value in enumerate(values[model]):
            told = f"{value:.2f}" if np.isfinite(value) else "-"
            at = (value if np.isfinite(value) else 0.0, place)
            axes.annotate(told, at, (3, 0), textcoords="offset points", va="center", fontsize=7, color=INK)
        bare(axes)
        axes.grid(visible=False, axis="y")
        axes.set_yticks(range(len(designs)), designs)
        axes.tick_params(axis="y", length=0, labelsize=7)
        axes.set_ylim(len(designs) - 0.4, -0.6)
        axes.set_xlim(0, 1.15 * most)
        axes.set_title(MODELS[model], fontsize=8, color=INK, loc="left", pad=2)
    panels[-1].set_xlabel(f"speed-up over {over}, geometric mean", fontsize=8, color=INK)
    save(figure, folder, name)


def prefill_picture(table: Table, design: str, over: str, folder: Path, name: str) -> None:
    """Above which share of the latency is prefill, of both designs; below how many times as fast one's prefill is."""
    models = _models(table)
    figure = new_figure(WIDTH, 2 * HEIGHT + 0.6)
    shares, speed = figure.subplots(2, 1, sharex=True)
    looks = looks_of(models)
    for model in models:
        look = looks[model]
        style = {"color": look.colour, "marker": look.mark, "markersize": 3.6, "markeredgewidth": 0, "linewidth": 0.8}
        gain = ratios(table, model, design, over, "prefill")
        for begin in range(0, len(WORKLOADS), len(BATCHES)):
            part = slice(begin, begin + len(BATCHES))
            label = MODELS[model] if not begin else None
            for which, line in ((design, "-"), (over, ":")):
                shares.plot(PLACES[part], _prefill_share(table, model, which)[part], linestyle=line, **style)
            speed.plot(PLACES[part], gain[part], label=label, **style)
        speed.plot([MEAN], [geomean(gain)], **style)
    for axes, title in (
        (shares, f"share of prefill: {design} (line), {over} (dots)"),
        (speed, f"{design} over {over}"),
    ):
        bare(axes)
        axes.tick_params(labelsize=7)
        axes.set_ylim(bottom=0)
        axes.set_title(title, fontsize=8, color=INK, loc="left", pad=2)
    shares.set_ylabel("share", fontsize=8, color=INK)
    shares.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{100 * y:g} %"))
    speed.set_ylabel("prefill speed-up", fontsize=8, color=INK)
    speed.yaxis.set_major_locator(MaxNLocator(5))
    _workloads(speed, True)
    figure.legend(*speed.get_legend_handles_labels(), **_above(3))
    save(figure, folder, name)


def _prefill_share(table: Table, model: str, design: str) -> Floats:
    rows = [table.get((design, model, *w)) for w in WORKLOADS]
    return np.array([np.nan if row is None else row["prefill"] / row["latency"] for row in rows])


def _models(table: Table) -> list[str]:
    return [model for model in MODELS if any(key[1] == model for key in table)] or list(MODELS)


def _above(columns: int) -> dict[str, Any]:
    style = {"frameon": False, "fontsize": 7, "labelcolor": INK, "handlelength": 1.4, "columnspacing": 1.0}
    return {"loc": "outside upper left", "ncols": columns, **style}


def _log(axes: Any, values: Floats) -> None:
    bare(axes)
    axes.tick_params(labelsize=7)
    axes.set_yscale("log")
    known = values[np.isfinite(values)]
    if len(known) and known.max() / known.min() < 8:
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 1.25, 1.5, 2, 3, 5, 7), numticks=8))
    else:
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 3), numticks=7))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _workloads(axes: Any, mean: bool) -> None:
    """Data sets, and batch sizes below them."""
    ticks, labels = list(PLACES), [str(batch) for _, batch in WORKLOADS]
    for place, data_set in enumerate(DATA_SETS):
        middle = len(BATCHES) * place + len(BATCHES) // 2
        labels[middle] = f"{labels[middle]}\n{data_set}"
    labels[0] = f"{labels[0]}"
    if mean:
        ticks, labels = [*ticks, MEAN], [*labels, "mean"]
    axes.set_xticks(ticks, labels)
    axes.tick_params(axis="x", labelsize=7, length=2)
    axes.set_xlabel("batch size and data set", fontsize=8, color=INK)
