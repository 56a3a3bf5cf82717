"""The fronts at the ends of the constants against comparing every design with every other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_model.nmp.buffered import BufferedEvaluator
from cost_model.nmp.evaluator import NmpEvaluator
from cost_model.nmp.technology import read_technology
from design.core import Batch, Objective, Status
from design.nmp.device import Platform
from dse.records.archive import objective_values
from dse.studies.nmp.analysis.constant_corners import Corner, corner_fronts
from tests.cases import examples
from tests.dse.nmp.small import (
    BUFFERED,
    CONSTANTS,
    FAST,
    LAYER,
    PLATFORM,
    SLOW,
    TECHNOLOGY,
    devices,
    sampled,
    space_for,
)

ENDS = ("low", "high")
CHOICES = devices((1, 2, 3), (FAST, SLOW), (1, 4, 64), (1, 16), (1, 8))
SPACE = space_for(BUFFERED, CHOICES)
CRAMPED = replace(PLATFORM, bank_bytes=10_000)  # most designs find no room
OBJECTIVES = [
    tuple(Objective(metric, sign) for metric, sign in goals)
    for goals in (
        [("latency_s", 1), ("energy_j", 1)],
        [("energy_j", 1), ("area_mm2", 1)],
        [("latency_s", 1), ("energy_j", 1), ("area_mm2", 1)],
        [("edp", 1), ("power_w", -1)],
    )
]


def at_the_ends(platform: Platform) -> dict[str, NmpEvaluator]:
    """The evaluator with all constants of the shipped file at either end."""
    technology = read_technology(TECHNOLOGY)
    return {end: BufferedEvaluator(LAYER, platform, technology.constants(end)) for end in ENDS}


EVALUATORS = {platform: at_the_ends(platform) for platform in (PLATFORM, CRAMPED)}


def check(corner: Corner, evaluator: NmpEvaluator, objectives: tuple[Objective, ...], pool: Batch, front: int) -> int:
    """One corner against all pairs of designs. Returns how many of the nominal front are lost."""
    answer = evaluator.evaluate(pool, seed=0)
    values = objective_values(answer, objectives)
    points = [
        tuple(o.sign * v for o, v in zip(objectives, row, strict=True)) if status == Status.OK else None
        for row, status in zip(values.tolist(), answer.status, strict=True)
    ]
    sound = [point for point in points if point is not None]

    def beaten(point: tuple[float, ...]) -> bool:
        return any(other != point and all(b <= a for a, b in zip(point, other, strict=True)) for other in sound)

    best = {point for point in sound if not beaten(point)}
    assert corner.kept.tolist() == [point in best for point in points[:front]]
    assert sorted(points[row] for row in corner.rows.tolist()) == sorted(best)  # type: ignore[type-var]
    assert np.array_equal(corner.values, values[corner.rows])
    assert (np.diff(corner.values[:, 0]) >= 0).all()
    return front - int(corner.kept.sum())


@pytest.mark.parametrize("platform", [PLATFORM, CRAMPED], ids=["roomy", "cramped"])
@pytest.mark.parametrize("objectives", OBJECTIVES, ids=lambda goals: ",".join(o.metric for o in goals))
@examples(6)
@given(
    st.integers(1, 30),
    st.lists(st.integers(0, 29), max_size=12),
    st.integers(0, 30),
    st.integers(0, 99),
)
def test_all_pairs(
    objectives: tuple[Objective, ...], platform: Platform, rows: int, again: list[int], front: int, seed: int
) -> None:
    """Any designs, some of them several times: one of equal designs is on the front, and all of them are kept."""
    order = np.array([*range(rows), *(row % rows for row in again)])
    pool = sampled(SPACE, rows, seed).take(np.random.default_rng(seed).permutation(order))
    evaluators, front = EVALUATORS[platform], min(front, len(pool))
    feasible = evaluators["low"].evaluate(pool, seed=0).status == Status.OK
    if not feasible.any():
        return
    corners = corner_fronts(evaluators, objectives, pool, front, 0)
    assert [corner.name for corner in corners] == list(ENDS)
    for corner in corners:
        check(corner, evaluators[corner.name], objectives, pool, front)


def test_equal_designs_are_all_kept() -> None:
    """The nominal front twice, and all that it beats: what holds for a design holds for its twin."""
    objectives = OBJECTIVES[2]
    others = sampled(SPACE, 60, 1)
    values = objective_values(BUFFERED.evaluate(others, seed=0), objectives)
    wins = (values[None] <= values[:, None]).all(axis=2) & (values[None] < values[:, None]).any(axis=2)
    best = others.take(np.flatnonzero(~wins.any(axis=1)))
    pool = Batch.concat([best, best, others])
    corners = corner_fronts(EVALUATORS[PLATFORM] | {"nominal": BUFFERED}, objectives, pool, 2 * len(best), 0)
    for corner in corners:
        assert np.array_equal(corner.kept[: len(best)], corner.kept[len(best) :])
        assert len(corner.rows) < len(pool) / 2
    nominal = corners[-1]
    assert nominal.name == "nominal" and nominal.kept.all() and len(nominal.rows) <= len(best)


def test_constants_that_turn_the_front() -> None:
    """Where only the SRAM has an area, more channels with less of it win; where only PEs have one, they lose."""
    zero = {name: 0.0 for name in CONSTANTS.__dataclass_fields__}
    evaluators = {
        name: BufferedEvaluator(LAYER, PLATFORM, type(CONSTANTS)(**(zero | {name: 1.0})))
        for name in ("sram_um2_kib", "pe_control_um2")
    }
    space = space_for(BUFFERED, devices((1, 2), (FAST,), (64, 1), (16,), (8,)))
    pool = sampled(space, 100, 2)
    objectives = (Objective("area_mm2"), Objective("latency_s"))
    lost = []
    for corner in corner_fronts(evaluators, objectives, pool, len(pool), 0):
        lost.append(check(corner, evaluators[corner.name], objectives, pool, len(pool)))
        one, small = (pool.columns[name][corner.rows] for name in ("nmp_channels", "input_kb"))
        assert one[0] == 1 and (small[0] == 1 or corner.name == "pe_control_um2")
    assert min(lost) > 0


@pytest.mark.parametrize("end", ENDS)
def test_some_of_a_front_is_lost(end: str) -> None:
    """The shipped constants matter: of many designs that are best by nominal ones, some are not at this end."""
    objectives = OBJECTIVES[1]
    pool = sampled(SPACE, 400, 3)
    values = objective_values(BUFFERED.evaluate(pool, seed=0), objectives)
    wins = (values[None] <= values[:, None]).all(axis=2) & (values[None] < values[:, None]).any(axis=2)
    best = np.flatnonzero(~wins.any(axis=1))
    pool = Batch.concat([pool.take(best), pool])
    (corner,) = corner_fronts({end: EVALUATORS[PLATFORM][end]}, objectives, pool, len(best), 0)
    assert 0 < check(corner, EVALUATORS[PLATFORM][end], objectives, pool, len(best)) < len(best)
