"""Conformal arithmetic: what it promises on data of any distribution, laws of its answers, and its files."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_model.surrogates.conformal.prior import POINTS, Prior, Seen, Shape, shape_of, width
from cost_model.surrogates.conformal.quantile import fewest, half_width
from cost_model.surrogates.conformal.store import read_prior, write_prior
from design.core import Floats
from design.errors import InputError
from tests.cases import examples

LABELS, LEVEL = 20, 0.9
Draw = Callable[[np.random.Generator, int], Floats]
DRAWS: dict[str, Draw] = {
    "normal": lambda rng, n: rng.normal(size=n),
    "shifted": lambda rng, n: 5 + rng.normal(size=n),
    "no mean": lambda rng, n: rng.standard_cauchy(n),
    "mostly 0": lambda rng, n: np.where(rng.random(n) < 0.8, 0.0, rng.normal(size=n)),
    "one-sided": lambda rng, n: rng.exponential(size=n),
}
sizes = st.lists(st.floats(-20, 20).filter(lambda x: x == 0 or abs(x) > 1e-6), min_size=9, max_size=60).map(np.array)


def least_share(rounds: int, level: float = LEVEL) -> float:
    """What a share that is `level` stays above, three standard deviations down, in so many rounds."""
    return level - 3 * math.sqrt(level * (1 - level) / rounds)


@pytest.mark.parametrize("name", DRAWS)
def test_what_was_promised_is_held(name: str) -> None:
    """The next residual after 20 of the same kind lies within, nine times in ten, and not much oftener."""
    rng, rounds = np.random.default_rng(3), 4000
    held = 0
    for _ in range(rounds):
        drawn = DRAWS[name](rng, LABELS + 1)
        held += abs(drawn[-1]) <= half_width(drawn[:-1], LEVEL)
    assert held / rounds >= least_share(rounds)
    if name != "mostly 0":  # with ties more is held
        assert held / rounds <= 19 / 21 + 3 * math.sqrt(0.09 / rounds)


def test_the_quantile_by_hand() -> None:
    """The ceil(0.9 (n + 1))-th of n: whole numbers that floats miss are not rounded away."""
    found = [half_width(np.arange(1, n + 1.0)[::-1], LEVEL) for n in (8, 9, 10, 18, 19, 20, 28, 29, 100)]
    assert found == [math.inf, 9, 10, 18, 18, 19, 27, 27, 91]
    assert [fewest(level) for level in (0.5, 0.8, 0.9, 0.95, 0.99)] == [1, 4, 9, 19, 99]


def test_the_library_leaves_filters_of_warnings_alone() -> None:
    """Importing it sets one for the whole process, which is taken back; few residuals are no warning."""
    with warnings.catch_warnings(record=True) as said:
        before = list(warnings.filters)
        assert half_width(np.ones(3), LEVEL) == math.inf and half_width(np.ones(9), LEVEL) == 1
        assert warnings.filters == before
    assert not said


@cache
def five_kernels(times: float) -> Shape:
    """What they teach whose residuals are `times` as large."""
    return shape_of([kernel(seed, times) for seed in range(5)])


@examples(100)
@given(residuals=sizes, levels=st.lists(st.floats(0.05, 0.99), min_size=2, max_size=2).map(sorted))
def test_a_higher_level_is_no_narrower(residuals: Floats, levels: list[float]) -> None:
    for shape_or_none in (None, five_kernels(1.0)):
        low, high = (width(residuals, level, shape_or_none) for level in levels)
        assert 0 <= low <= high


@examples(100)
@given(residuals=sizes, power=st.integers(-8, 8))
def test_in_another_unit_it_is_the_same(residuals: Floats, power: int) -> None:
    """Residuals twice as large, here and on other kernels, make intervals twice as wide; their signs do not matter."""
    times = 2.0**power
    shape, larger = five_kernels(1.0), five_kernels(times)
    assert width(times * residuals, LEVEL, None) == times * width(-residuals, LEVEL, None)
    assert width(times * residuals, LEVEL, larger) == pytest.approx(times * width(residuals, LEVEL, shape))


def kernel(seed: int, times: float, draws: int = 1, labels: int = LABELS) -> list[Seen]:
    """Residuals of a kernel whose scale is its own: heavy-tailed, with others nearly as large."""
    rng = np.random.default_rng([seed, 17])
    scale = times * rng.lognormal(0, 1)
    return [(scale * rng.standard_t(3, labels), scale * rng.standard_t(3, 300)) for _ in range(draws)]


def means(rounds: int, kernels: int, labels: int, use: Callable[[Floats, Shape], float]) -> tuple[float, float, float]:
    """Mean share held and mean width over kernels drawn like those of the prior, and the error of the share."""
    held, wide = [], []
    for number in range(rounds):
        if number % 20 == 0:
            shape = shape_of([kernel(50 * number + i, 1.0, labels=labels) for i in range(kernels)])
        own, rest = kernel(10**6 + number, 1.0, labels=labels)[0]
        half = use(own, shape)
        held.append(float(np.mean(np.abs(rest) <= half)))
        wide.append(half)
    return float(np.mean(held)), float(np.mean(wide)), float(np.std(held) / math.sqrt(rounds))


def test_kernels_like_those_of_the_prior() -> None:
    """With 20 labels nine in ten are held and intervals are narrower than labels alone make them; five labels alone say
    nothing and hold with a prior; and without labels a new kernel is held too."""
    held, wide, error = means(400, 30, LABELS, lambda own, shape: width(own, LEVEL, shape))
    assert LEVEL - 3 * error <= held <= 0.93
    alone_held, alone_wide, _ = means(400, 30, LABELS, lambda own, shape: width(own, LEVEL, None))
    assert alone_held >= LEVEL - 0.02 and wide < 0.95 * alone_wide
    held, wide, error = means(400, 30, 5, lambda own, shape: width(own, LEVEL, shape))
    assert held >= LEVEL - 3 * error and math.isfinite(wide) and width(np.ones(5), LEVEL, None) == math.inf
    held, wide, error = means(400, 30, 0, lambda own, shape: width(own, LEVEL, shape))
    assert held >= LEVEL - 3 * error and math.isfinite(wide)


def test_many_labels_outweigh_the_prior() -> None:
    """With labels enough the width is that of the labels, though the prior has another shape."""
    shape = Shape(1.0, tuple(np.linspace(0, 30, POINTS).tolist()), 4)
    residuals = np.random.default_rng(0).normal(size=4000)
    assert width(residuals, LEVEL, shape) == pytest.approx(width(residuals, LEVEL, None), rel=0.03)
    assert width(residuals[:20], LEVEL, shape) > 1.5 * width(residuals[:20], LEVEL, None)


def test_few_kernels_promise_nothing_without_labels() -> None:
    """As with residuals, nine kernels are the fewest that can tell of nine in ten."""
    shapes = [shape_of([kernel(seed, 1.0, labels=0) for seed in range(count)]) for count in (8, 9, 10)]
    assert [math.isfinite(width(np.empty(0), LEVEL, shape)) for shape in shapes] == [False, False, True]


def test_kernels_weigh_the_same() -> None:
    """A kernel of many designs is one kernel. Of two, half of the points are of either."""
    many, few = [(np.empty(0), np.full(5000, 1.0))], [(np.empty(0), np.full(10, 3.0))]
    shape = shape_of([many, few])
    assert shape.typical == 2.0 and shape.kernels == 2
    assert np.mean(np.array(shape.points) * shape.typical < 2) == pytest.approx(0.5, abs=0.01)


def test_no_error_at_all_is_no_division_by_zero() -> None:
    shape = shape_of([[(np.zeros(20), np.zeros(30))]] * 10)
    assert width(np.zeros(20), LEVEL, shape) == 0 and width(np.empty(0), LEVEL, shape) == 0


def prior() -> Prior:
    """Of ten kernels, without labels and with 20."""
    shapes = {
        count: {
            metric: shape_of([kernel(seed, 1.0, labels=count) for seed in range(10)]) for metric in ("cycles", "lut")
        }
        for count in (0, 20)
    }
    return Prior("somebody", frozenset({"a", "b"}), frozenset({"0f"}), shapes)


def test_the_shape_of_so_many_labels() -> None:
    """That of the largest count which a kernel has."""
    found = prior()
    for labels, count in ((0, 0), (19, 0), (20, 20), (500, 20)):
        assert found.shape("cycles", labels) is found.shapes[count]["cycles"]
    assert found.shape("dsp", 20) is None
    assert Prior("x", frozenset(), frozenset(), {20: found.shapes[20]}).shape("cycles", 19) is None


def test_a_prior_comes_back_from_its_file(tmp_path: Path) -> None:
    path, written = tmp_path / "some" / "prior.json", prior()
    write_prior(written, path)
    found = read_prior(path)
    assert (found.who, found.families, found.digests) == (written.who, written.families, written.digests)
    for count, by in written.shapes.items():
        for metric, shape in by.items():
            again = found.shapes[count][metric]
            assert again.kernels == 10 and again.typical == pytest.approx(shape.typical, rel=1e-5)
            assert np.allclose(again.points, shape.points, rtol=1e-5)
    write_prior(found, tmp_path / "again.json")
    assert (tmp_path / "again.json").read_text() == path.read_text()


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (("who",), 3, "who"),
        (("more",), 3, "more"),
        (("families",), [1], "families"),
        (("shapes",), {}, "shapes"),
        (("shapes", "-1"), {}, "-1"),
        (("shapes", "020"), {}, "020"),
        (("shapes", "20"), {}, "20 labels"),
        (("shapes", "20", "cycles"), [], "cycles"),
        (("shapes", "20", "cycles", "points"), [1.0], "points"),
        (("shapes", "20", "cycles", "points"), [2.0] * (POINTS - 1) + [1.0], "ascending"),
        (("shapes", "20", "cycles", "points"), [-1.0] + [1.0] * (POINTS - 1), "-1.0"),
        (("shapes", "20", "cycles", "points"), [1.0] * (POINTS - 1) + [math.inf], "inf"),
        (("shapes", "20", "cycles", "points"), [True] * POINTS, "True"),
        (("shapes", "20", "cycles", "typical"), 0.0, "typical"),
        (("shapes", "20", "cycles", "typical"), "1", "typical"),
        (("shapes", "20", "cycles", "kernels"), 2.5, "kernels"),
        (("shapes", "20", "cycles", "odd"), 1, "exactly"),
    ],
)
def test_a_damaged_file_is_refused(place: tuple[str, ...], value: Any, words: str, tmp_path: Path) -> None:
    """In one line that names the file and the place."""
    path = tmp_path / "prior.json"
    write_prior(prior(), path)
    found = json.loads(path.read_text())
    inner = found
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    path.write_text(json.dumps(found))
    with pytest.raises(InputError, match=r"prior\.json") as error:
        read_prior(path)
    assert words in str(error.value)
