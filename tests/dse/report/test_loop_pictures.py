"""Pictures of the active loop: every table draws, marks are as many as rows, and the arithmetic is right by hand."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import erfinv  # type: ignore[import-untyped]

from design.core import Bools, Floats
from dse.report.pictures import style
from dse.report.pictures.active.front import frame_of, loop_front_picture
from dse.report.pictures.active.prospective import LEVELS, deviations, fresh_labels_picture, shares_held
from dse.report.pictures.active.race import at_most_all, loop_race_picture, over_kernels, quartiles
from tests.cases import examples
from tests.dse.report.test_pictures import NAMES, coloured, drawn

HOLLOW = re.compile(r"<use [^>]*fill: #ffffff; stroke: #2563eb")
FULL = re.compile(r"<use [^>]*fill: #c2410c")
LEVEL = 0.9


def front_tables(bought: int, expected: int, objectives: int) -> tuple[Floats, Bools, Floats, Floats]:
    """What was bought, half of it on the front, and what is expected with its intervals, one of them endless."""
    rng = np.random.default_rng(bought + expected)
    values, medians = (10 ** rng.uniform(0, 3, (count, objectives)) for count in (bought, expected))
    interval = np.stack([medians / 2, 2 * medians], axis=2)
    interval[:1] = [-1e300, np.inf]
    interval[1:2] = np.nan
    return values, np.arange(bought) % 2 == 0, medians, interval


@pytest.mark.parametrize("objectives", [2, 3])
@pytest.mark.parametrize(("bought", "expected"), [(0, 0), (5, 0), (0, 4), (1, 1), (8, 6)])
def test_loop_front(tmp_path: Path, bought: int, expected: int, objectives: int) -> None:
    """A full mark for each design on the front and a hollow one for each that is expected, in each panel; the words say
    how many; nothing at all draws too."""
    tables = front_tables(bought, expected, objectives)
    signs, units = [1, -1, 1][:objectives], ["s", "", "mm2"][:objectives]
    svg = loop_front_picture(*tables, NAMES[:objectives], units, signs, tmp_path)
    words, panels, front = drawn(tmp_path, "loop_front", svg), objectives * (objectives - 1) // 2, -(-bought // 2)
    # A mark in each panel for each row, and one in the legend.
    assert len(HOLLOW.findall(svg)) == (panels * expected + (expected > 0))
    assert len(FULL.findall(svg)) == (panels * front + (front > 0))
    assert (f"bought, front ({front})" in words) == (front > 0)
    assert (f"expected, not bought ({expected})" in words) == (expected > 0)
    assert (f"bought, others ({bought // 2})" in words) == (bought > 1)
    assert ("nothing bought, nothing expected" in words) == (not bought and not expected)


def test_wide_bars_squeeze_nothing(tmp_path: Path) -> None:
    """The frame is that of the marks: the same marks in the same places whatever the intervals."""
    values, front, medians, interval = front_tables(8, 6, 2)
    one, other = (
        loop_front_picture(values, front, medians, ends, NAMES[:2], ["s", "J"], [1, 1], tmp_path)
        for ends in (interval, np.stack([medians, medians], axis=2))
    )
    assert FULL.findall(one) == FULL.findall(other) and HOLLOW.findall(one) == HOLLOW.findall(other)
    assert "LineCollection" in one and coloured(tmp_path, "loop_front", style.SECOND) > 20


@pytest.mark.parametrize("signs", [(1, 1), (1, -1), (-1, 1), (-1, -1)])
def test_the_staircase_lies_on_the_worse_side(tmp_path: Path, signs: tuple[int, int]) -> None:
    """Between two designs the corner has the worse of both in both objectives; an SVG counts rows downwards."""
    front = np.array([[1.0, 2.0], [2.0, 1.0]]) if signs[0] == signs[1] else np.array([[1.0, 1.0], [2.0, 2.0]])
    nothing = np.empty((0, 2)), np.empty((0, 2, 2))
    svg = loop_front_picture(front, np.full(2, True), *nothing, NAMES[:2], ["s", "J"], signs, tmp_path)
    (path,) = re.findall(r'<path d="(M[^"]*)" clip-path[^>]*stroke: #c2410c; stroke-width: 1.2', svg)
    x, y = np.array(re.findall(r"[ML] (\S+) (\S+)", path), dtype=float).T
    assert len(x) == 3 and x[1] == (x.max() if signs[0] > 0 else x.min())
    assert y[1] == (y.min() if signs[1] > 0 else y.max())


@examples(60)
@given(st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=5), st.booleans())
def test_the_frame_holds_its_marks(values: list[float], log: bool) -> None:
    """With room on both sides, also of one value."""
    low, high = frame_of(np.array(values), log)
    assert low < min(values) and high > max(values)
    assert not log or low > 0


def test_deviations_by_hand() -> None:
    """Halfway, on either edge and beyond, with ends that are not equally far; zeros, no width and gaps."""
    cases = [  # truth, said, low, high -> deviation
        (100, 100, 10, 1e4, 0.0),
        (1000, 100, 10, 1e4, 0.5),
        (10, 100, 10, 1e4, 1.0),
        (1, 100, 10, 1e4, 2.0),
        (1e6, 100, 10, 1e4, 2.0),
        (0, 5, 0, 9, 0.0),
        (0, 5, 1, 9, np.inf),
        (2, 0, 0, 3, 1.0),
        (4, 0, 0, 3, np.inf),
        (0, 0, 0, 0, 0.0),
        (7, 7, 7, 7, 0.0),
        (8, 7, 7, 7, np.inf),
        (np.nan, 7, 6, 8, np.nan),
        (7, np.nan, 6, 8, np.nan),
        (7, 7, np.nan, 8, np.nan),
    ]
    *given, wanted = np.array(cases).T
    assert deviations(*given) == pytest.approx(wanted, nan_ok=True)


@examples(100)
@given(st.lists(st.tuples(*[st.floats(0, 1e6)] * 4), min_size=1, max_size=8))
def test_in_the_interval_is_at_most_one(rows: list[tuple[float, float, float, float]]) -> None:
    """To the last bit, whatever the ends: the curve at the level stated is the share that the picture writes out."""
    truth, *ends = np.array(rows).T
    low, said, high = np.sort(ends, axis=0)
    held = (low <= truth) & (truth <= high)
    found = deviations(truth, said, low, high)
    assert ((found <= 1) == held).all() and (found >= 0).all()
    assert shares_held(found, np.array([LEVEL]), LEVEL)[0] == held.mean()


def test_shares_by_hand() -> None:
    """Quantiles of the half normal are 0.674 at 50 %, 0.842 at 60 %, 1.645 at 90 % and 2.576 at 99 %."""
    found = shares_held(np.array([0.0, 0.5, 1.0, 2.0, np.nan]), np.array([0.5, 0.6, 0.9, 0.99]), LEVEL)
    assert found.tolist() == [0.25, 0.5, 0.75, 0.75]
    assert np.isnan(shares_held(np.array([np.nan]), LEVELS, LEVEL)).all()


@pytest.mark.parametrize(("spread", "calibrated"), [(1.0, True), (2.0, False), (0.5, False)])
def test_calibrated_is_near_the_diagonal(spread: float, calibrated: bool) -> None:
    """Truths scattered as their intervals say lie on the diagonal at every level, those scattered otherwise do not."""
    rng = np.random.default_rng(0)
    said, width = 10 ** rng.uniform(0, 6, 20_000), rng.uniform(0.1, 2, 20_000)
    factor = np.exp(np.sqrt(2) * erfinv(LEVEL) * width)
    truth = said * np.exp(spread * width * rng.standard_normal(20_000))
    off = np.abs(shares_held(deviations(truth, said, said / factor, said * factor), LEVELS, LEVEL) - LEVELS).max()
    assert (off < 0.015) if calibrated else (off > 0.1)


def test_fresh_labels(tmp_path: Path) -> None:
    """A mark for each pair that a logarithmic axis has; how many labels are in their intervals, of those known; the
    first and the last version in the legend."""
    truth = {"cycles": np.array([100.0, 900, 50, np.nan]), "dsp": np.array([0.0, 4, 8, 9])}
    said = {"cycles": np.array([110.0, 300, 60, 70]), "dsp": np.array([0.0, 4, 0, np.nan])}
    low, high = ({m: np.floor(v * f) for m, v in said.items()} for f in (0.5, 2.0))
    low["cycles"][2] = np.nan
    args = (low, high, LEVEL, np.arange(4), tmp_path)
    svg = fresh_labels_picture(["cycles", "dsp"], truth, said, *args)
    words = drawn(tmp_path, "fresh_labels", svg)
    assert {"1 of 2 in the 90 % interval", "2 of 3 in the 90 % interval", "2 with a 0 not drawn"} <= set(words)
    assert {"model version 0", "model version 3", "equal"} <= set(words)
    marks = re.findall(r"<use [^>]*fill: #(?!1f2933)\w+; stroke: #1f2933; stroke-width: 0.3", svg)
    assert len(marks) == 3 + 1 + 4  # of cycles, of dsp, in the legend
    assert coloured(tmp_path, "fresh_labels") > 20


def test_no_fresh_labels(tmp_path: Path) -> None:
    """Nothing bought, and nothing that was known before, draw."""
    for values in (np.empty(0), np.full(2, np.nan)):
        none = {"cycles": values}
        svg = fresh_labels_picture(["cycles"], none, none, none, none, LEVEL, np.zeros(len(values), int), tmp_path)
        assert "no label with an interval" in drawn(tmp_path, "fresh_labels", svg)


def test_medians_by_hand() -> None:
    """Three seeds of two kernels; what found nothing, or less than nothing, is at 100 %."""
    one = at_most_all(np.array([[np.nan, 0.4], [np.inf, 0.2], [7.0, 3.0]]))
    assert one.tolist() == [[1, 0.4], [1, 0.2], [1, 1]]
    assert quartiles(one).tolist() == pytest.approx(np.array([[1, 0.3], [1, 0.4], [1, 0.7]]))
    other = np.array([[0.0, 0.0], [0.2, 0.2], [1.0, 0.4]])
    mean = over_kernels([{"a": quartiles(one), "b": other}, {"a": other}])
    assert list(mean) == ["a"] and mean["a"] == pytest.approx(np.array([[0.5, 0.15], [0.6, 0.3], [1.0, 0.55]]))


def race(kernels: int, methods: int, budget: int) -> dict[str, dict[str, dict[str, Floats]]]:
    """Made-up runs of three seeds, nothing found at first."""
    rng = np.random.default_rng(kernels)

    def curves() -> Floats:
        curve = np.minimum.accumulate(10 ** rng.uniform(-3, 1, (3, budget)), axis=1)
        curve[:, :1] = np.nan
        return curve

    adrs = {f"k{k}": {f"m{m}": curves() for m in range(methods)} for k in range(kernels)}
    return {"ADRS": adrs, "hypervolume": {k: {m: 1 / (1 + v) for m, v in row.items()} for k, row in adrs.items()}}


@pytest.mark.parametrize(("kernels", "methods", "budget"), [(1, 1, 1), (2, 3, 5), (7, 7, 120)])
def test_loop_race(tmp_path: Path, kernels: int, methods: int, budget: int) -> None:
    """Each kernel once a block, the mean where there are several, each method and the goal once."""
    svg = loop_race_picture(race(kernels, methods, budget), np.arange(1, budget + 1), {"m0": "<mine>"}, 0.02, tmp_path)
    words = drawn(tmp_path, "loop", svg)
    assert all(words.count(f"k{k}") == 2 for k in range(kernels))
    assert words.count("all kernels, mean") == (2 if kernels > 1 else 0)
    assert all(words.count(name) == 1 for name in ("<mine>", "goal, 2 %", *(f"m{m}" for m in range(1, methods))))
    blocks = -(-(kernels + (kernels > 1)) // 4)
    assert words.count("ADRS, at most 100 %") == words.count("hypervolume") == blocks and "m0" not in words
    assert coloured(tmp_path, "loop") > 20


def test_nothing_found_is_drawn_as_the_worst(tmp_path: Path) -> None:
    """An ADRS that is not known, endless or above 1 is drawn where 1 is; one of 0 at the foot, and a hypervolume that
    is not known where 0 is."""

    def drawing(title: str, value: float) -> str:
        values = np.full((2, 4), 0.5)
        values[:, :2] = value
        return loop_race_picture({title: {"k": {"m": values}}}, np.arange(1, 5), {}, 0.02, tmp_path, "one")

    assert drawing("ADRS", np.nan) == drawing("ADRS", np.inf) == drawing("ADRS", 9.0) == drawing("ADRS", 1.0)
    assert drawing("ADRS", 1.0) != drawing("ADRS", 0.9)
    assert drawing("ADRS", 0.0) == drawing("ADRS", 0.001) != drawing("ADRS", 0.002)
    assert drawing("hypervolume", np.nan) == drawing("hypervolume", 0.0) != drawing("hypervolume", 0.1)


def test_a_race_that_nobody_runs(tmp_path: Path) -> None:
    """No titles, or no kernels, or no methods, draw."""
    nobody: list[dict[str, dict[str, dict[str, Floats]]]] = [{}, {"ADRS": {}}, {"ADRS": {"k": {}}}]
    for curves in nobody:
        assert "nothing has run" in drawn(
            tmp_path, "loop", loop_race_picture(curves, np.arange(1, 3), {}, 0.02, tmp_path)
        )
