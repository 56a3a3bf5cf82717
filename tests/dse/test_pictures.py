"""Pictures are drawn from any table a run can make, and show what is in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from dse.report.pictures import convergence_picture, front_picture

ACCENT = np.array([0xC2, 0x41, 0x0C]) / 255


def coloured(path: Path) -> int:
    """Pixels in the colour of the best and of the front."""
    return int((np.abs(imread(path)[:, :, :3] - ACCENT).max(axis=2) < 0.02).sum())


def test_convergence(tmp_path: Path) -> None:
    """Improving, flat, single-generation and not yet feasible runs all draw; the last has no line."""
    path = tmp_path / "c.png"
    others = np.array([[1, 5.0], [2, 4.0], [3, 9.0]])
    for best in ([3.0, 2.0, 1.0], [2.0, 2.0, 2.0], [1.0]):
        series = np.array(best)[:, None]
        convergence_picture(range(1, len(best) + 1), series, ["latency_s"], ["s"], None, others, path)
        assert coloured(path) > 20
    nothing = np.full((2, 2), np.nan)
    convergence_picture([1, 2], nothing, ["a", "b"], ["s", "J"], [np.nan, np.nan], np.empty((0, 3)), path)
    assert imread(path).size


@pytest.mark.parametrize("objectives", [2, 3])
@pytest.mark.parametrize("points", [1, 2, 40])
def test_front(tmp_path: Path, objectives: int, points: int) -> None:
    """Fronts of any size draw, also those whose points agree in an objective."""
    rng = np.random.default_rng(points)
    front, others = rng.random((points, objectives)), 0.5 + rng.random((100, objectives))
    front[:, 0] = 0.3
    names, units = ["a", "b", "c"][:objectives], ["s", "J", ""][:objectives]
    front_picture(front, others, names, units, [1, -1, 1][:objectives], tmp_path / "f.png")
    assert coloured(tmp_path / "f.png") > 20
