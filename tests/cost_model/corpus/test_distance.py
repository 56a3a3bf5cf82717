"""Distances between programs: those of a metric, blind to names, spelling and directives, not to what is done."""

from __future__ import annotations

import re

import numpy as np
import pytest

from cost_model.corpus.hls.distance import FEATURES, LEAST, distances, features_of, program_features, spread_of
from cost_model.corpus.hls.rewrites import REWRITES
from frontends.c_kernel import parse_kernel
from tests.cases_hls import DOT, scale_source
from tests.cost_model.corpus.kernels import TWISTED

SOURCES = [DOT, TWISTED, scale_source(), scale_source(512), scale_source(64).replace("* 3.0", "* 3.0 + in[i][0]")]


def feature(source: str, name: str) -> float:
    """One feature of a source."""
    return float(program_features(parse_kernel(source, "test.c"))[FEATURES.index(name)])


def test_a_metric() -> None:
    """0 to itself, symmetric, no way round is shorter; different kernels are apart. Against loops that say it."""
    features = features_of([parse_kernel(source, "test.c") for source in SOURCES])
    spread = spread_of(features)
    found = distances(features, features, spread)
    assert (np.diag(found) == 0).all() and (found == found.T).all()
    assert (found[~np.eye(len(SOURCES), dtype=bool)] > 0.1).all()
    assert (found[:, None, :] <= found[:, :, None] + found[None] + 1e-12).all()
    for i, one in enumerate(features):
        for j, other in enumerate(features):
            want = sum(((a - b) / s) ** 2 for a, b, s in zip(one, other, spread, strict=True)) ** 0.5
            assert found[i, j] == pytest.approx(want)
    assert found[2, 3] < found[2, 1]  # other sizes are nearer than another program


@pytest.mark.parametrize("way", sorted(REWRITES))
@pytest.mark.parametrize("source", [DOT, TWISTED])
def test_copies_are_not_apart(way: str, source: str) -> None:
    """Other names, other order, other forms: the same features but for rounding."""
    kernel = parse_kernel(source, "test.c")
    copy = parse_kernel(REWRITES[way](kernel, np.random.default_rng(5)).source, "copy.c")
    assert program_features(copy) == pytest.approx(program_features(kernel), abs=1e-12)


def test_directives_do_not_count() -> None:
    """A kernel without its pragmas, or with others, is the same program."""
    bare = re.sub(r"#pragma ACCEL (?!kernel).*\n", "", DOT)
    fixed = DOT.replace("auto{PARA}", "8").replace("auto{PIPE}", "flatten")
    assert bare != DOT != fixed
    for source in (bare, fixed):
        assert (program_features(parse_kernel(source, "x.c")) == program_features(parse_kernel(DOT, "x.c"))).all()


def test_features_by_hand() -> None:
    """Of a dot product of 256: one loop, a load of each array, one addition and one multiplication a time."""
    assert feature(DOT, "log2 loops") == 1 and feature(DOT, "log2 longest trip") == 8
    assert feature(DOT, "depth") == 1 and feature(DOT, "share of recurrences that are reductions") == 1
    assert feature(DOT, "log2 loads") == pytest.approx(np.log2(3)) and feature(DOT, "log2 stores") == 0
    assert feature(DOT, "log2 bytes of arguments") == pytest.approx(np.log2(1 + 2 * 256 * 8))
    assert feature(DOT, "log2 operations executed") == pytest.approx(np.log2(1 + 512))
    assert feature(DOT, "share of operations executed: fadd") == 0.5
    assert feature(scale_source(), "depth") == 2 and feature(scale_source(), "log2 recurrences") == 0
    assert feature(TWISTED, "share of operations executed: fhard") > 0


def test_what_is_alike_everywhere_counts_as_it_is() -> None:
    """No feature is divided by next to nothing; of one kernel all are alike."""
    features = np.array([[1.0, 5.0], [3.0, 5.0]])
    assert spread_of(features).tolist() == [1.0, LEAST] and spread_of(features[:1]).tolist() == [LEAST, LEAST]
    assert distances(np.array([[1.0, 6.0]]), features, np.array([2.0, 1.0])) == pytest.approx(
        np.array([[1.0, np.sqrt(2)]])
    )
    assert features_of([]).shape == (0, len(FEATURES))
