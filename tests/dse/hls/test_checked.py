"""Which designs of a front are checked, and that what was said of them outlives the run."""

from __future__ import annotations

import json

import numpy as np
import pytest

from design.core import Evaluation, Status
from design.metrics import HLS_METRICS
from dse.active.validation import chosen, noted, recalled


@pytest.mark.parametrize(("front", "most"), [(1, 10), (5, 10), (100, 10), (3, 2), (7, 1), (4, 0)])
def test_chosen(front: int, most: int) -> None:
    """At most so many rows, each once, both ends where there is room for them."""
    rows = chosen(front, most)
    assert len(rows) == min(front, most) == len(set(rows.tolist()))
    if most > 1:
        assert rows[0] == 0 and rows[-1] == front - 1
    assert all(0 <= row < front for row in rows)


def evaluation(cycles: list[float], status: list[Status], reasons: list[str]) -> Evaluation:
    """Answers of a truth that knows cycles and twice as many of everything else."""
    values = np.array(cycles)
    return Evaluation(
        metrics={name: values * (1 if name == "cycles" else 2) for name in HLS_METRICS},
        violation={},
        status=np.array(status, dtype=np.int8),
        reason=np.array(reasons),
        cost_s=np.ones(len(cycles)),
        source={name: np.full(len(cycles), "tool/1") for name in HLS_METRICS},
    )


def test_round_trip() -> None:
    """Answers survive JSON; rows are found again by their ids, those that left the front are dropped."""
    answers = evaluation(
        [100.0, np.nan, 50.0], [Status.OK, Status.FAILED, Status.INFEASIBLE], ["", "no licence", "too big"]
    )
    note = json.loads(json.dumps(noted(np.array([7, 3, 9]), answers, calls=2), allow_nan=False))
    front = evaluation([80.0, 60.0, 120.0], [Status.OK] * 3, [""] * 3)
    checked = recalled(note, np.array([9, 5, 7]), front, HLS_METRICS)
    assert checked.rows.tolist() == [2, 0] and checked.calls == 2 and checked.source == "tool/1"
    assert checked.truth["cycles"].tolist() == [100.0, 50.0] and checked.truth["lut"].tolist() == [200.0, 100.0]
    assert checked.estimate["cycles"].tolist() == [120.0, 80.0]
    assert checked.status.tolist() == [Status.OK, Status.INFEASIBLE] and checked.reason == ("", "too big")
    assert checked.error == pytest.approx((0.2 + 0.6) / 2)


def test_nothing_known() -> None:
    """Where the truth failed on all designs there is no error to state."""
    note = noted(np.array([4]), evaluation([np.nan], [Status.FAILED], ["hung"]), calls=1)
    assert recalled(note, np.array([4]), evaluation([9.0], [Status.OK], [""]), HLS_METRICS).error is None
