"""Models of a kernel's own labels alone: contract, what they know beforehand, what labels teach."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import numpy as np
import pytest

from cost_model.surrogates.tables.from_scratch import KNOWS_NOTHING, WIDE, TaskOnlySurrogate
from cost_model.surrogates.tables.task_only import FOREST, KINDS, PROCESS, fit_alone
from design.conformance.evaluator import check_evaluator, check_other_process, check_spoiled
from design.contracts import Dataset, Evaluator
from design.core import Batch, Floats, Status
from design.hls.design import FLATTEN
from design.metrics import HLS_METRICS, VALID
from frontends.hls_results.tables import hls_dataset
from tests.cost_model.surrogates.lm.small import TASK, VIEW, designs


@lru_cache
def labels_of(count: int, lost: bool) -> Dataset:
    """Designs that take twice the cycles that are estimated; where some are `lost`, those whose outer loop is flattened
    have no result."""
    batch = designs(count, 9)
    answer = VIEW.reference(TASK).evaluate(batch, seed=0)
    valid = (batch.columns["__PIPE__L0"] != FLATTEN) | (not lost)
    truth = {m: np.where(valid, np.rint(answer.metrics[m]) * (2 if m == "cycles" else 1), np.nan) for m in HLS_METRICS}
    return hls_dataset(TASK, batch, truth, valid, "made up")


def changed(labels: Dataset, **metrics: Floats) -> Dataset:
    """The same with other numbers."""
    return hls_dataset(TASK, labels.batch, labels.evaluation.metrics | metrics, labels.feasible, "made up")


def made(kind: str, labels: Dataset | None) -> tuple[Evaluator, Batch]:
    """A model and some designs."""
    return TaskOnlySurrogate(kind, VIEW).condition(TASK, labels, seed=1), designs(40)


make_process = partial(made, PROCESS, labels_of(20, True))


@pytest.mark.parametrize("count", [0, 1, 20])
@pytest.mark.parametrize("kind", KINDS)
def test_conformance(kind: str, count: int) -> None:
    """Without labels, with too few for a model, and with some of which a part has no result."""
    check_evaluator(
        *made(kind, labels_of(count, True) if count else None), pickled=False
    )  # it holds what it learned as functions


def test_the_same_in_another_process() -> None:
    """The one that is fitted by likelihood."""
    check_other_process("tests.cost_model.surrogates.test_from_scratch:make_process")


@pytest.mark.parametrize("kind", KINDS)
def test_company_of_many(kind: str) -> None:
    """A design's answer is the same, bit by bit, among a thousand others and in pieces of any size."""
    evaluator, _ = made(kind, labels_of(20, True))
    batch = designs(1000, 5)
    whole = evaluator.evaluate(batch, seed=0)
    for size in (1, 3, 17, 250):
        part = np.random.default_rng(size).permutation(1000)[:size]
        answer = evaluator.evaluate(batch.take(part), seed=0)
        for name, values in answer.metrics.items():
            np.testing.assert_array_equal(values, whole.metrics[name][part], name)
            np.testing.assert_array_equal(answer.interval[name], whole.interval[name][part], name)


@pytest.mark.parametrize("spoiled", [{"__PIPE__L0": 3}, {"__TILE__L0": 0}, {"__PARA__L1": 2**40}])
@pytest.mark.parametrize("kind", KINDS)
def test_spoiled(kind: str, spoiled: dict[str, int]) -> None:
    """Values that no directive has are FAILED rows, and disturb no other row."""
    for labels in (None, labels_of(20, True)):
        evaluator, batch = made(kind, labels)
        check_spoiled(evaluator, batch.take(slice(0, 6)), spoiled)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_known_without_labels(kind: str) -> None:
    """One wide answer for all designs."""
    evaluator, batch = made(kind, None)
    answer = evaluator.evaluate(batch, seed=0)
    assert set(answer.metrics[VALID]) == {0.5}
    mean, spread = KNOWS_NOTHING
    for metric in HLS_METRICS:
        assert len(set(answer.metrics[metric])) == 1
    low, high = np.log2(1e7 / answer.interval["cycles"][0]) / 2
    assert low - high == pytest.approx(2 * WIDE * spread, rel=0.05) and high == pytest.approx(mean - WIDE * spread)


@pytest.mark.parametrize("kind", KINDS)
def test_labels_teach(kind: str) -> None:
    """Cycles and resources of designs that were not among them, better than their median, and what is valid."""
    batch = designs(80, 4)
    copies = batch.columns["__PARA__L1"] * batch.columns["__PARA__L2"]
    bad = batch.columns["__PIPE__L0"] == FLATTEN
    truth = {"cycles": 1e6 / copies, "lut": 300.0 * copies} | {m: 10.0 + copies for m in ("ff", "dsp", "bram")}
    told = {metric: np.where(bad, np.nan, values)[:60] for metric, values in truth.items()}
    evaluator, _ = made(kind, hls_dataset(TASK, batch.take(slice(0, 60)), told, ~bad[:60], "made up"))
    rest = np.flatnonzero(~bad[60:]) + 60
    answer, wide = (one.evaluate(batch.take(rest), seed=0) for one in (evaluator, made(kind, None)[0]))
    for metric in ("cycles", "lut"):
        true, said = np.log2(truth[metric][rest]), np.log2(answer.metrics[metric])
        middle = np.median(np.log2(truth[metric][:60]))
        assert np.abs(said - true).mean() < 0.5 * np.abs(true - middle).mean(), metric
        spans = [np.log2((1 + a.interval[metric][:, 1]) / (1 + a.interval[metric][:, 0])) for a in (answer, wide)]
        assert np.median(spans[0]) < np.median(spans[1])
    likely = evaluator.evaluate(batch.take(slice(60, 80)), seed=0).metrics[VALID]
    assert likely[bad[60:]].max() < 0.5 < likely[~bad[60:]].min()


@pytest.mark.parametrize("kind", KINDS)
def test_designs_that_do_not_fit(kind: str) -> None:
    """Are INFEASIBLE where the median says so."""
    some = labels_of(20, False)
    evaluator, batch = made(kind, changed(some, lut=np.full(20, 2.0e6)))
    assert (evaluator.evaluate(batch, seed=0).status == Status.INFEASIBLE).all()


@pytest.mark.parametrize("kind", KINDS)
def test_versions(kind: str) -> None:
    """Follow the labels, what they say, and the seed."""
    some = labels_of(20, True)
    other = changed(some, cycles=some.metric("cycles") * 2)
    invalid = hls_dataset(TASK, some.batch, some.evaluation.metrics, np.zeros(20, dtype=bool), "made up")
    surrogate = TaskOnlySurrogate(kind, VIEW)
    found = [surrogate.condition(TASK, labels, seed=1).version for labels in (None, some, other, invalid)]
    found.append(surrogate.condition(TASK, some, seed=2).version)
    assert len(set(found)) == 5 and surrogate.condition(TASK, some, seed=1).version == found[1]
    assert not surrogate.trained_on.contains("gemm", "")


@pytest.mark.parametrize("kind", KINDS)
def test_models_are_sure_of_what_they_were_shown(kind: str) -> None:
    """And less so far from it; a constant feature or a constant target harms nobody."""
    rng = np.random.default_rng(0)
    rows = np.column_stack([rng.uniform(0, 1, (30, 3)), np.ones(30)])
    y = np.stack([np.sin(3 * rows[:, 0]) + rows[:, 1], np.full(30, 4.0)], axis=1)
    model: Any = fit_alone(kind, rows, y, 3)
    near, far = model(rows), model(rows + np.array([3.0, 3.0, 3.0, 0.0]))
    assert np.abs(near.mean[:, 0] - y[:, 0]).max() < 0.05 and np.abs(near.mean[:, 1] - 4).max() < 1e-6
    assert near.mean.shape == near.spread.shape == (30, 2) and (near.spread >= 0).all()
    assert np.median(far.spread[:, 0]) > np.median(near.spread[:, 0]) or kind == FOREST
    assert np.isfinite(far.mean).all() and np.isfinite(far.spread).all()
