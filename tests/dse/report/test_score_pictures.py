"""Pictures of scores: drawn from what metrics.json has, the same bytes each time, left out where there is nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from design.metrics import HLS_METRICS
from dse.report.pictures.looks import looks_of
from dse.report.pictures.scores.distance import spread_out
from dse.report.scores.pictures import digits_of, draw_scores, errors_of, reliability_of
from evaluators.scoring.figures import FIELDS
from tests.cases import examples
from tests.dse.report.test_pictures import coloured, drawn

HEADINGS = ["labels=0", "labels=20"]
KERNELS = ["bicg", "bicg-large", "<d>&", "$c_"]


def block(seed: int, intervals: bool) -> dict[str, Any]:
    """Scores as the table has them, made up."""
    rng = np.random.default_rng(seed)

    def fields() -> dict[str, Any]:
        found: dict[str, Any] = dict.fromkeys(FIELDS) | {"rmse_y": float(rng.random())}
        return found | ({"coverage_90": float(rng.random()), "width_90": 9 * float(rng.random())} if intervals else {})

    def metrics() -> dict[str, Any]:
        return {metric: fields() for metric in HLS_METRICS}

    return {**metrics(), "valid": {"f1": None}, "kernels": {name: metrics() for name in KERNELS}}


def result(intervals: bool = True, samples: bool = True, near: bool = True) -> dict[str, Any]:
    """The content of a metrics.json of `mine` and two baselines; only `mine` has samples."""
    names = ["mine", "trees", "<m>"]
    tables = {n: {h: block(10 * i + j, intervals) for j, h in enumerate(HEADINGS)} for i, n in enumerate(names)}
    right = [0.9, 0.5, 0.2, 0.1]
    digits = {
        n: {h: {m: {"right": right, "pass_at_5": [1.0, 0.8, 0.4, 0.2] if samples and n == "mine" else None}
                for m in HLS_METRICS} for h in HEADINGS}
        for n in names
    }  # fmt: skip
    ranks = {n: {h: {m: [1 / 6] * 6 if samples and n == "mine" else None for m in HLS_METRICS} for h in HEADINGS}
             for n in names}  # fmt: skip
    found: dict[str, Any] = dict(tables["mine"])
    found |= {
        "evaluator": "mine",
        "tool_version": "v18",
        "metrics": list(HLS_METRICS),
        "baselines": {n: tables[n] for n in names[1:]},
    }
    distance = {"nearest": "dot", "of": 3}
    return found | {
        "digits": digits,
        "ranks": ranks,
        "distance": {n: distance | {"distance": 1.0 + 0.001 * i} if near else None for i, n in enumerate(KERNELS)},
    }


def test_all_are_drawn(tmp_path: Path) -> None:
    """Three pictures with their words and the accent of the judged surrogate; drawn again they are the same bytes."""
    draw_scores(result(), HEADINGS, tmp_path / "a")
    draw_scores(result(), HEADINGS, tmp_path / "b")
    held = {"mine, share of truths", "share of truths in the 90% interval"}
    words = {
        "reliability": held | {"mine", "trees", "<m>", "v18, 20 labels"},
        "digits": {"mine", "mine, any of 5", "<m>", *HLS_METRICS, "exp."},
        "distance": {*KERNELS, "mine", "trees", "distance to the nearest training kernel"},
    }
    assert {path.stem for path in (tmp_path / "a").iterdir()} == set(words)
    for name, wanted in words.items():
        svg = (tmp_path / "a" / f"{name}.svg").read_text()
        assert wanted <= set(drawn(tmp_path / "a", name, svg)), name
        assert coloured(tmp_path / "a", name) > 20, name
        for suffix in ("png", "svg"):
            one, other = ((tmp_path / x / f"{name}.{suffix}").read_bytes() for x in "ab")
            assert one == other, name


@pytest.mark.parametrize(
    ("lacking", "there"),
    [
        ({"intervals": False, "samples": False}, {"digits", "distance"}),
        ({"intervals": False}, {"reliability", "digits", "distance"}),
        ({"samples": False}, {"reliability", "digits", "distance"}),
        ({"near": False}, {"reliability", "digits"}),
    ],
)
def test_what_is_not_there_is_left_out(lacking: dict[str, bool], there: set[str], tmp_path: Path) -> None:
    """No intervals, no samples, no training kernels; no baselines either, and one count of labels."""
    draw_scores(result(**lacking), HEADINGS, tmp_path / "a")
    assert {path.stem for path in (tmp_path / "a").iterdir()} == there
    alone = result(**lacking) | {"baselines": None}
    alone |= {part: {"mine": alone[part]["mine"]} for part in ("digits", "ranks")}
    draw_scores(alone, HEADINGS[:1], tmp_path / "b")
    assert {path.stem for path in (tmp_path / "b").iterdir()} == there
    svg = (tmp_path / "b" / "digits.svg").read_text()
    assert ("mine, any of 5" in drawn(tmp_path / "b", "digits", svg)) == lacking.get("samples", True)


def test_what_is_drawn() -> None:
    """The numbers of the file, each where it belongs."""
    given = result()
    held = reliability_of(given, "labels=20")
    assert list(held) == ["mine", "trees", "<m>"]
    table = given["baselines"]["trees"]["labels=20"]
    assert held["trees"].coverage == [table["kernels"][name]["cycles"]["coverage_90"] for name in KERNELS]
    assert held["trees"].others["dsp"] == (table["dsp"]["coverage_90"], table["dsp"]["width_90"])
    assert (
        "cycles" not in held["trees"].others and not held["trees"].ranks and set(held["mine"].ranks) == set(HLS_METRICS)
    )
    assert digits_of(given, "labels=0")["ff"]["mine"].in_five == [1.0, 0.8, 0.4, 0.2]
    assert (
        errors_of(given, "labels=0")["<m>"]["$c_"]
        == (given["baselines"]["<m>"]["labels=0"]["kernels"]["$c_"]["cycles"]["rmse_y"])
    )


@examples(100)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.integers(0, 10**6))
def test_names_are_spread_out(places: list[float], seed: int) -> None:
    """In order and far enough apart; no other such places are nearer to those wanted."""
    wanted, least = np.sort(places), 0.1
    found = spread_out(wanted, least)
    assert (np.diff(found) >= least - 1e-9).all()
    if (np.diff(wanted) >= least).all():
        assert found == pytest.approx(wanted)
    rng = np.random.default_rng(seed)
    for _ in range(30):
        other = np.sort(found + rng.normal(0, 0.05, len(found)))
        other = other[0] + np.concatenate([[0.0], np.cumsum(np.maximum(np.diff(other), least))])
        assert ((other - wanted) ** 2).sum() >= ((found - wanted) ** 2).sum() - 1e-9


def test_looks_differ() -> None:
    """The judged one and six baselines are told apart by colour and by mark."""
    looks = looks_of(list("abcdefg"))
    assert len({look.colour for look in looks.values()}) == len({look.mark for look in looks.values()}) == 7
