"""Pictures are drawn from any table a run can make, and show what is in it."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.image import imread

from dse.report.inline import VARIABLES, inline_svg
from dse.report.pictures import style
from dse.report.pictures.compare import ComparedRun, compare_picture
from dse.report.pictures.convergence import convergence_picture
from dse.report.pictures.fronts import front_picture
from dse.report.pictures.nmp.breakdown import Whole, breakdown_picture
from dse.report.pictures.nmp.corners import corners_picture
from dse.report.pictures.nmp.roofline import RoofLine, roofline_picture
from dse.report.pictures.nmp.schedule import Boundary, Task, schedule_picture
from dse.report.pictures.scores.agreement import agreement_picture
from dse.report.pictures.sensitivity import Move, sensitivity_picture

NAMES = ["a", "b", "$c_", "<d>&"]  # the last two are neither formulas nor tags


def drawn(folder: Path, name: str, svg: str) -> list[str]:
    """The words in a picture that is there as PNG and as well-formed SVG, and nothing half-written beside them."""
    assert {path.name for path in folder.iterdir()} >= {f"{name}.png", f"{name}.svg"}
    assert not [path for path in folder.iterdir() if path.name.endswith(".part")]
    assert imread(folder / f"{name}.png").size and (folder / f"{name}.svg").read_text() == svg
    root = ElementTree.fromstring(svg)
    return [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]


def coloured(folder: Path, name: str, colour: str = style.ACCENT) -> int:
    """Pixels in a colour, by default that of the best and of the front."""
    want = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return int((np.abs(imread(folder / f"{name}.png")[:, :, :3] - want).max(axis=2) < 0.02).sum())


def test_agreement_of_small_values(tmp_path: Path) -> None:
    """Seconds and areas below 1 are drawn where they lie, as larger ones are; of counts what is less than 1 is 1."""
    truth, predicted = np.array([2.0, 40.0, 700.0]), np.array([3.0, 20.0, 900.0])

    def places(metric: str, factor: float) -> list[str]:
        groups = {"front": (truth * factor, predicted * factor)}
        svg = agreement_picture([metric], [groups], "agreement", tmp_path)
        root = ElementTree.fromstring(svg)
        return [f"{use.get('x')} {use.get('y')}" for use in root.iter("{http://www.w3.org/2000/svg}use")]

    for metric in ("latency_s", "area_mm2"):
        assert places(metric, 1e-4) == places(metric, 1.0) and len(set(places(metric, 1.0))) > 3
    assert places("lut", 1e-4) != places("lut", 1.0) == places("latency_s", 1.0)
    zero = {"front": (np.array([0.0, 0.2, 0.4]), np.array([0.1, 0.3, 0.5]))}
    assert "front" in drawn(tmp_path, "agreement", agreement_picture(["area_mm2"], [zero], "agreement", tmp_path))


@pytest.mark.parametrize("bound", [None, 0.9])
def test_convergence(tmp_path: Path, bound: float | None) -> None:
    """Improving, flat, single-generation and not yet feasible runs all draw; the last has no line. A bound has a line
    of its own, and a panel with the gap."""
    others = np.array([[1, 5.0], [2, 4.0], [3, 9.0]])
    for best in ([3.0, 2.0, 1.0], [2.0, 2.0, 2.0], [1.0]):
        series = np.array(best)[:, None]
        svg = convergence_picture(range(1, len(best) + 1), series, ["latency_s"], ["s"], None, others, bound, tmp_path)
        words = drawn(tmp_path, "convergence", svg)
        assert coloured(tmp_path, "convergence") > 20 and f"{best[-1]:g} s" in words
        assert ("proven lower bound" in words) == ("above the proven lower bound" in words) == (bound is not None)
        assert (coloured(tmp_path, "convergence", style.SECOND) > 20) == (bound is not None)
    nothing = np.full((2, 2), np.nan)
    empty = np.empty((0, 3))
    svg = convergence_picture([1, 2], nothing, ["a", "b"], ["s", "J"], [np.nan, np.nan], empty, bound, tmp_path)
    assert drawn(tmp_path, "convergence", svg).count("nothing feasible") == 3 + (bound is not None)
    assert not coloured(tmp_path, "convergence")


@pytest.mark.parametrize("objectives", [2, 3, 4])
@pytest.mark.parametrize("points", [1, 2, 40])
def test_front(tmp_path: Path, objectives: int, points: int) -> None:
    """Fronts of any size draw, also those whose points agree in an objective; the knee is marked if there is one."""
    rng = np.random.default_rng(points)
    front, others = rng.random((points, objectives)), 0.5 + rng.random((100, objectives))
    front[:, 0] = 0.3
    names, units, signs = NAMES[:objectives], ["s", "J", "", "mm2"][:objectives], [1, -1, 1, 1][:objectives]
    for knee in (None, points - 1):
        svg = front_picture(front, others, names, units, signs, knee, tmp_path)
        words = drawn(tmp_path, "front", svg)
        assert coloured(tmp_path, "front") > 20 and ("knee" in words) == (knee is not None)
        assert f"front ({points})" in words and "b (more is better)" in words


def test_front_with_error_bars(tmp_path: Path) -> None:
    """Bars where an interval is known, however far it reaches; a front of exact values draws as it does without."""
    front, labels, units = np.array([[1.0, 5.0, 0.0], [2.0, 4.0, 1.0]]), ["a", "b", "c"], ["s", "J", ""]
    ends = np.stack([0.1 * front, 40 * front], axis=2)
    ends[1, 1], ends[0, 0] = np.nan, [0.0, np.inf]
    draw = lambda interval: front_picture(front, front, labels, units, [1, -1, 1], None, tmp_path, interval)
    plain = draw(None)
    assert draw(np.full((2, 3, 2), np.nan)) == plain
    for points in (front, front[:1]):
        svg = front_picture(points, front, labels, units, [1, 1, 1], None, tmp_path, ends[: len(points)])
        words = drawn(tmp_path, "front", svg)
        assert words.count("interval") == 3 and svg.count("LineCollection") > 3
        assert coloured(tmp_path, "front") > 20
    narrow = np.stack([0.9 * front, 1.1 * front], axis=2)
    assert "interval" in drawn(tmp_path, "front", draw(narrow))


def test_corners(tmp_path: Path) -> None:
    """Each front by its name and size, an empty one too."""
    fronts = {"nominal": np.eye(2), "low": np.eye(2) * 2, "high": np.empty((0, 2))}
    words = drawn(tmp_path, "constants", corners_picture(fronts, ["x", "y"], ["s", "J"], tmp_path))
    assert {"nominal constants (2)", "low constants (2)", "high constants (0)"} <= set(words)


@pytest.mark.parametrize("channels", [0, 1, 24])
def test_schedule(tmp_path: Path, channels: int) -> None:
    """Every lane has its name and long enough bars have theirs; nothing to do draws too."""
    lanes = ["NPU", *(f"NMP {i}" for i in range(channels))]
    every = tuple(range(channels + 1))
    tasks = [Task("<d>&", every, 0.0, 1e-3), Task("$c_", (0,), 1e-3, 1.001e-3)]
    before = [Task("<d>&", (0,), 0.0, 1.0)]
    groups = [(0.0, 1e-3), (1e-3, 1.001e-3)]
    svg = schedule_picture(NAMES, lanes, tasks, [Boundary(every, 1e-3)], groups, before, tmp_path)
    words = drawn(tmp_path, "schedule", svg)
    assert set(lanes) <= set(words) and words.count("<d>&") == 3 and words.count("$c_") == 1
    assert coloured(tmp_path, "schedule", style.colour_of(NAMES)["<d>&"]) > 500
    assert set(lanes) <= set(drawn(tmp_path, "schedule", schedule_picture(NAMES, lanes, [], [], [], [], tmp_path)))


def test_roofline(tmp_path: Path) -> None:
    """Roofs and kinds are named, points that lie together share a label."""
    roofs = [RoofLine("NPU", 1e5, 70), RoofLine("NMP", 1e4, 3e3)]
    points = {"prefill": [("a", 100, 900), ("b", 101, 905), ("$c_", 1e4, 1e5)], "decode": [("<d>&", 1, 2e3)], "no": []}
    words = drawn(tmp_path, "roofline", roofline_picture(roofs, points, tmp_path))
    assert {"NPU", "NMP", "prefill", "decode", "a, b", "$c_", "<d>&"} <= set(words) and "no" not in words


def test_breakdown(tmp_path: Path) -> None:
    """Sums are said with their share, also of nothing; kinds that nobody has are not in the legend."""
    time = Whole("time", "s", {"prefill": [1.0, 2.0, 0.0, 0.0], "decode": [0.0] * 4}, {})
    energy = Whole("energy", "J", {"prefill": [0.0] * 4}, {"standby": 0.0})
    words = drawn(tmp_path, "breakdown", breakdown_picture(NAMES, [time, energy], tmp_path))
    assert {"time: 3 s", "1 s, 33%", "2 s, 67%", "0", "standby", "prefill"} <= set(words) and "decode" not in words


def test_sensitivity(tmp_path: Path) -> None:
    """Changes in figures, also those beyond the widest bar, none, unknown ones, and devices where nothing fits."""
    moves = [Move("x", [400.0, 0.0]), Move("y", [None, -3.5]), Move("z", [], empty=True)]
    words = drawn(tmp_path, "sensitivity", sensitivity_picture(["latency_s", "energy_j"], moves, tmp_path))
    assert {"+400 %", "0", "-", "-3.50 %", "x", "y", "z"} <= set(words) and words.count("nothing fits") == 2


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_compare(tmp_path: Path, objectives: int) -> None:
    """Runs by name, once; the hypervolume where all know it; one without a design among them."""
    rng = np.random.default_rng(0)
    best = np.sort(rng.random((3, objectives)), axis=0)[::-1]
    runs = [
        ComparedRun("<one>", rng.random((5, objectives)), [1, 2, 3], best, [0.1, 0.2, 0.3]),
        ComparedRun("none", np.empty((0, objectives)), [1, 2, 3], best * np.nan, [np.nan] * 3),
    ]
    labels, units, signs = NAMES[:objectives], ["s", "J", ""][:objectives], [1, -1, 1][:objectives]
    words = drawn(tmp_path, "compare", compare_picture(runs, labels, units, signs, tmp_path))
    names = ("<one>", "none") if objectives == 1 else ("<one> (5)", "none (0)")
    assert all(words.count(name) == 1 for name in names) and words.count("hypervolume") == 1
    runs[0] = ComparedRun("<one>", runs[0].front, [1, 2, 3], best)
    words = drawn(tmp_path, "compare", compare_picture(runs, labels, units, signs, tmp_path))
    assert words.count(names[0]) == 1 and "hypervolume" not in words


def test_thinning_keeps_a_point_of_each_place() -> None:
    """Points on top of each other become one; no place is lost."""
    x = np.repeat([0.0, 1.0, 5.0], 100)
    rows = style.thin(x, -x)
    assert rows.tolist() == [0, 100, 200] and style.thin(x[:0], x[:0]).size == 0


def test_inline(tmp_path: Path) -> None:
    """The same drawing twice is the same text; inline it has the page's colours, its own ids, and the same words."""
    front = np.array([[1.0, 2.0], [2.0, 1.23456789]])
    texts = [front_picture(front, front, NAMES[:2], ["s", "J"], [1, 1], None, tmp_path) for _ in range(2)]
    assert texts[0] == texts[1]
    page = str(inline_svg(texts[0], "one", 'a "label" & <more>'))
    root = ElementTree.fromstring(page)
    assert root.attrib["role"] == "img" and root.attrib["aria-label"] == 'a "label" & <more>'
    ids = re.findall(r'\sid="([^"]*)"', page)
    assert ids and all(name.startswith("one-") for name in ids) and len(set(ids)) == len(ids)
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', page)) == set(ids)
    for colour, name in VARIABLES.items():
        assert page.count(colour) == page.count(f"var(--{name}, {colour})")
    assert "var(--ink," in page and "http" not in page and "<metadata" not in page
    before = [e.text for e in ElementTree.fromstring(texts[0]).iter("{http://www.w3.org/2000/svg}text")]
    assert [e.text for e in root.iter() if e.tag.endswith("text")] == before


def test_the_palette_is_the_pages() -> None:
    """Every colour of the style that pages recolour is one that the page knows."""
    known = {style.PAPER, style.INK, style.FAINT, style.QUIET, style.ACCENT, style.SECOND, style.THIRD}
    page = (Path(style.__file__).parent.parent / "page.html").read_text()
    assert set(VARIABLES) == known
    for colour, name in VARIABLES.items():
        assert f"--{name}: {colour}" in page
