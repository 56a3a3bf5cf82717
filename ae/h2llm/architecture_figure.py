"""The fronts of the architecture study, and what their designs have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, NullFormatter

from ae.h2llm.architecture import PARAMETERS, shared
from ae.h2llm.figures import WIDTH
from ae.h2llm.points import MODELS
from design.metrics import NMP_COSTS
from dse.report.pictures.looks import looks_of
from dse.report.pictures.style import INK, ON_BAR, bare, new_figure, save

WORDS = {
    "nmp_channels": "NMP channels",
    "engines": "PE (FPU x MHz x GB/s)",
    "input_kb": "input buffer, KB",
    "weight_kb": "weight buffer, KB",
    "output_kb": "output buffer, KB",
}
SHOWN = 4  # values of a parameter, the commonest


def front_picture(designs: Sequence[Mapping[str, Any]], folder: Path, name: str) -> None:
    """A panel a model: latency and area of the front's designs, by NMP channels; the more energy, the larger the mark.
    A device stands where its dataflows are, the fastest first."""
    models = [model for model in MODELS if any(design["model"] == model for design in designs)]
    figure = new_figure(WIDTH, 1.75 * max(len(models), 1) + 0.5)
    panels = figure.subplots(max(len(models), 1), 1, squeeze=False)[:, 0]
    channels = sorted({design["nmp_channels"] for design in designs}, reverse=True)
    looks = looks_of([str(count) for count in channels])
    for axes, model in zip(panels, models, strict=False):
        least = min(design["energy_j"] for design in designs if design["model"] == model)
        for count in channels:
            some = [d for d in designs if d["model"] == model and d["nmp_channels"] == count]
            x, y = ([design[metric] for design in some] for metric in NMP_COSTS[::2])
            size = 8 * np.array([design["energy_j"] for design in some]) / least
            look = looks[str(count)]
            style = {"color": look.colour, "marker": look.mark, "linewidth": 0, "alpha": 0.6}
            axes.scatter(x, y, s=size, label=f"{count}", **style)
        bare(axes)
        axes.tick_params(labelsize=7)
        axes.set_xscale("log")
        axes.set_yscale("log")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=8))
            axis.set_minor_formatter(NullFormatter())
        axes.xaxis.set_major_formatter(EngFormatter("s"))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
        devices = {tuple(d[parameter] for parameter in PARAMETERS) for d in designs if d["model"] == model}
        title = f"{MODELS[model]}: {len(devices)} devices, {sum(d['model'] == model for d in designs)} designs"
        axes.set_title(title, fontsize=8, color=INK, loc="left", pad=2)
    figure.supylabel("area of NMP logic, mm\u00b2", fontsize=8, color=INK)
    panels[-1].set_xlabel("latency, a layer", fontsize=8, color=INK)
    style = {"frameon": False, "fontsize": 7, "labelcolor": INK, "title_fontsize": 7, "handletextpad": 0.2}
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=4, title="NMP channels; energy by size", **style)
    save(figure, folder, name)


def shared_picture(designs: Sequence[Mapping[str, Any]], folder: Path, name: str) -> None:
    """A row a parameter and model: how many of the devices on the front have which value, the commonest first."""
    models = [model for model in MODELS if any(design["model"] == model for design in designs)]
    figure = new_figure(WIDTH, 0.19 * len(PARAMETERS) * max(len(models), 1) + 0.28 * len(PARAMETERS) + 0.1)
    panels = figure.subplots(len(PARAMETERS), 1)
    found = {model: shared([dict(d) for d in designs if d["model"] == model]) for model in models}
    for axes, parameter in zip(panels, PARAMETERS, strict=True):
        for row, model in enumerate(models):
            left = 0.0
            for place, (value, share) in enumerate(list(found[model][parameter].items())[:SHOWN]):
                tone = ("#ee8866", "#f2ad95", "#f7d0c2", "#fbe7e0")[place]
                axes.barh([row], [share], left=[left], color=tone, edgecolor="white", linewidth=0.6, height=0.85)
                if share > 0.035 * (len(value) + 1):
                    axes.text(left + share / 2, row, value, ha="center", va="center", fontsize=6, color=ON_BAR)
                left += share
        axes.set_xlim(0, 1)
        axes.set_ylim(len(models) - 0.5, -0.5)
        axes.set_yticks(range(len(models)), [MODELS[model] for model in models])
        axes.tick_params(labelsize=6.5, length=0, labelbottom=False, colors=INK)
        axes.spines[:].set_visible(False)
        axes.set_title(WORDS[parameter], fontsize=7.5, color=INK, loc="left", pad=2)
    save(figure, folder, name)
