"""What a model had said of designs just before their labels were bought."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from scipy.special import erfinv

from design.core import Floats, Ints
from dse.report.pictures.active.front import frame_of
from dse.report.pictures.style import ACCENT, INK, QUIET, dress, logarithmic, new_figure, save, shared_legend

LEVELS: Floats = np.linspace(0.05, 0.99, 95)
AGES = LinearSegmentedColormap.from_list("ages", ["#f6c9a8", "#e07b39", "#8a2c06"])  # of models, the first the lightest
NAMED = 5  # versions in the legend
OUTSIDE = float(np.nextafter(1.0, 2.0))


def fresh_labels_picture(
    metrics: Sequence[str],
    truth: Mapping[str, Floats],
    said: Mapping[str, Floats],
    low: Mapping[str, Floats],
    high: Mapping[str, Floats],
    level: float,
    version: Ints,
    folder: Path,
) -> str:
    """A row a metric: what was said against the truth, on equal logarithmic axes, and how much the intervals held.

    Metric -> (n,) in the order of buying: the `truth`, the median that was `said`, the ends of the central interval of
    that `level`, above 0 and below 1; NaN where not known. `version` (n,) is that of the model that said it. Values of
    0 or less have no place on the left. Saved as `fresh_labels`. Returns the SVG.
    """
    figure = new_figure(9.0, 3.4 * len(metrics) + 0.4)
    grid = figure.subplots(len(metrics), 2, squeeze=False, width_ratios=[1.15, 1.0])
    for metric, (left, right) in zip(metrics, grid, strict=True):
        given = truth[metric], said[metric], low[metric], high[metric]
        _agreement(left, metric, *given, version)
        _calibration(right, deviations(*given), level, metric)
    shared_legend(figure, grid[0][0])
    return save(figure, folder, "fresh_labels")


def deviations(truth: Floats, said: Floats, low: Floats, high: Floats) -> Floats:
    """How far each truth (n,) lies from what was said, in logarithms, as a share of the way to the interval's end on
    its side: at most 1 in the interval, more outside, NaN where something is not known.

    In the interval, a truth of 0 is as said, and one above a median of 0, from where every way is endless, on the edge.
    """
    held = (low <= truth) & (truth <= high)
    truth, said, low, high = (np.maximum(values, 0.0) for values in (truth, said, low, high))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        way = np.where(truth > said, np.log(high / said), np.log(said / low))
        share = np.abs(np.log(truth / said)) / way
    share = np.where((truth == said) | (held & (truth == 0)), 0.0, np.where(np.isnan(share), np.inf, share))
    share = np.where(held, np.minimum(share, 1.0), np.maximum(share, OUTSIDE))
    return np.where(np.isnan(truth + said + low + high), np.nan, share)


def shares_held(deviation: Floats, levels: Floats, level: float) -> Floats:
    """Shares (levels,) of the known `deviations` that lie in the central intervals of these levels, if intervals of
    `level` grow and shrink with the quantiles of a half-normal distribution; NaN where none is known."""
    known = deviation[~np.isnan(deviation)]
    if not len(known):
        return np.full(len(levels), np.nan)
    shares: Floats = (known[:, None] <= erfinv(levels) / erfinv(level)).mean(axis=0)
    return shares


def _agreement(axes: Any, metric: str, truth: Floats, said: Floats, low: Floats, high: Floats, version: Ints) -> None:
    dress(axes, f"{metric}, the tool's", "", f"{metric}, said before", "")
    drawn = (truth > 0) & (said > 0)
    ends = frame_of(np.concatenate([truth[drawn], said[drawn]]) if drawn.any() else np.array([1.0, 10.0]), True)
    axes.plot(ends, ends, color=INK, linewidth=0.8, label="equal")
    versions = np.unique(version)
    named = set(
        versions[np.unique(np.linspace(0, len(versions) - 1, NAMED).round().astype(int))] if len(versions) else ()
    )
    for place, one in enumerate(versions):
        rows = drawn & (version == one)
        colour = AGES(place / max(len(versions) - 1, 1))
        bars = np.clip(low[rows], *ends), np.clip(high[rows], *ends)
        axes.vlines(truth[rows], *bars, color=colour, linewidth=0.8, alpha=0.7, zorder=2)
        style: dict[str, Any] = {"s": 20, "color": [colour], "edgecolors": INK, "linewidths": 0.3, "zorder": 3}
        axes.scatter(truth[rows], said[rows], label=f"model version {one}" if one in named else None, **style)
    logarithmic(axes, True, True)
    axes.set(xlim=ends, ylim=ends)
    left_out = int((~drawn & ~np.isnan(truth + said)).sum())
    if left_out:
        corner: dict[str, Any] = {"xycoords": "axes fraction", "ha": "right", "fontsize": 8, "color": QUIET}
        axes.annotate(f"{left_out} with a 0 not drawn", (0.98, 0.03), **corner)


def _calibration(axes: Any, deviation: Floats, level: float, metric: str) -> None:
    dress(axes, "level of the interval", "%", f"{metric}, labels in the interval", "%")
    axes.plot([0, 100], [0, 100], color=INK, linewidth=0.8)
    axes.axvline(100 * level, color=QUIET, linewidth=0.9, linestyle="--")
    known = int((~np.isnan(deviation)).sum())
    if known:
        held = int((deviation <= 1).sum())
        axes.plot(100 * LEVELS, 100 * shares_held(deviation, LEVELS, level), color=ACCENT, linewidth=1.6)
        axes.plot([100 * level], [100 * held / known], "o", color=ACCENT, markersize=7)
        words = f"{held} of {known} in the {level:.0%} interval".replace("%", " %")
    else:
        words = "no label with an interval"
    axes.annotate(words, (0.97, 0.05), xycoords="axes fraction", ha="right", color=INK)
    axes.set(xlim=(0, 100), ylim=(-2, 102))
