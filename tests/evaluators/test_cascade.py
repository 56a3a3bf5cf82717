"""Evaluator `cascade` keeps the contract; its gate takes each number from who is to give it; labels teach validity."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from cost_model.hls.estimate import EstimateEvaluator, EstimateSurrogate
from cost_model.hls.store import read_fitted
from cost_model.surrogates.lm.examples import Prompter
from cost_model.surrogates.lm.surrogate import LmSurrogate
from cost_model.views.hls.view import HlsView
from design.conformance.answers import assert_same
from design.conformance.evaluator import check_evaluator, check_other_process, check_spoiled
from design.contracts import Dataset, Evaluator, TrainingSet
from design.core import Batch, Evaluation, Floats
from design.hls.design import FLATTEN, TARGETS
from design.hls.task import HlsTask
from design.metrics import HLS_METRICS, UTILISATION, VALID
from design.metrics import target as y_of
from evaluators.cascade import Cascade, CascadeSurrogate
from frontends.hls_results.tables import hls_dataset
from tests.cost_model.hls.cases import GEMM, kernel
from tests.cost_model.hls.test_fit import random_columns
from tests.cost_model.surrogates.lm.small import untrained

SOURCES = ("lm", "estimate")
KERNEL, TARGET = kernel(GEMM), TARGETS["v20"]
TASK, VIEW = HlsTask(KERNEL, TARGET), HlsView()
LM = LmSurrogate(untrained(), VIEW)  # what it reads of a program is remembered
INF = float("inf")


def batch_of(count: int, seed: int = 0) -> Batch:
    """Random designs."""
    return Batch(TASK.schema, random_columns(KERNEL, count, seed))


@lru_cache
def labels_of(count: int, lost: bool) -> Dataset:
    """Designs that take twice the cycles that are estimated; where some are `lost`, those whose outer loop is flattened
    have no result."""
    batch = batch_of(count, 9)
    answer = EstimateEvaluator(KERNEL, TARGET, read_fitted("v20")).evaluate(batch, seed=0)
    valid = (batch.columns["__PIPE__L0"] != FLATTEN) | (not lost)
    truth = {m: np.where(valid, np.rint(answer.metrics[m]) * (2 if m == "cycles" else 1), np.nan) for m in HLS_METRICS}
    return hls_dataset(TASK, batch, truth, valid, "made up")


@lru_cache
def middle_width() -> float:
    """Half of all half intervals are narrower, so that a gate of this width has both speak."""
    return float(np.median(np.stack([halves(LM.condition(TASK, None, seed=0).evaluate(batch_of(40), seed=0))])))


def halves(answer: Evaluation) -> Floats:
    """(metrics, n) half of each interval in y."""
    ends = [y_of(metric, answer.interval[metric]) for metric in HLS_METRICS]
    return np.stack([np.abs(end[:, 1] - end[:, 0]) / 2 for end in ends])


def cascade(widest: float, labels: Dataset | None = None) -> Cascade:
    """Of the untrained model and the estimate."""
    return CascadeSurrogate(LM, EstimateSurrogate(), VIEW, widest).condition(TASK, labels, seed=1)


def make() -> tuple[Evaluator, Batch]:
    """Both speak."""
    return cascade(middle_width()), batch_of(40)


def make_adapted() -> tuple[Evaluator, Batch]:
    """Both speak, and labels of which some have no result have taught them."""
    return cascade(middle_width(), labels_of(20, True)), batch_of(40)


@pytest.mark.parametrize("factory", [make, make_adapted])
def test_conformance(factory: Any) -> None:
    check_evaluator(*factory(), sources=SOURCES, pickled=False)  # it holds what it learned as functions


def test_conformance_of_the_estimate_alone() -> None:
    """Where there is no model, with labels and without."""
    for labels in (None, labels_of(20, True)):
        found = CascadeSurrogate(None, EstimateSurrogate(), VIEW).condition(TASK, labels, seed=1)
        check_evaluator(found, batch_of(12), sources=SOURCES, pickled=False)


def test_the_same_in_another_process() -> None:
    check_other_process("tests.evaluators.test_cascade:make_adapted")


@pytest.mark.parametrize("spoiled", [{"__PIPE__L0": 3}, {"__TILE__L0": 0}, {"__PARA__L1": 2**40}])
@pytest.mark.parametrize("factory", [make, make_adapted])
def test_spoiled(factory: Any, spoiled: dict[str, int]) -> None:
    """Values that no directive has are FAILED rows, and disturb no other row."""
    evaluator, batch = factory()
    check_spoiled(evaluator, batch.take(slice(0, 6)), spoiled, sources=SOURCES)


def expected(answer: Evaluation) -> Floats:
    """What was said of validity but for the room on the device, which counts beside it."""
    room = VIEW.fits(TASK, answer.metrics, answer.interval, answer.level)
    assert (room > 0).all()
    found: Floats = answer.metrics[VALID] / room
    return found


def test_room_on_the_device() -> None:
    """A median of what is usable fits in half of all cases; with the interval's end there, in 95 of 100; without a
    number, nothing is known against it."""
    usable = TARGET.device.usable
    share = np.array([usable, usable / 2, usable * 2, usable * 2, usable / 2, np.nan, 0.0])
    ends = [[0.1, 4.0], [0.01, usable], [usable, 9.0], [usable * 2, usable * 2], [usable / 2, usable / 2]]
    interval = np.array([*ends, [np.nan, np.nan], [0.0, 1.0]])
    found = VIEW.fits(TASK, {UTILISATION: share}, {UTILISATION: interval}, 0.9)
    np.testing.assert_allclose(found, [0.5, 0.95, 0.05, 1e-3, 1.0, 1.0, 1.0], atol=1e-9)


# --- the gate


@pytest.mark.parametrize("labels", [None, labels_of(20, False)], ids=["none", "labels"])
def test_a_closed_gate_is_the_estimate(labels: Dataset | None) -> None:
    """All numbers are its own, and it says so; there are no samples."""
    batch = batch_of(30)
    answer = cascade(0.0, labels).evaluate(batch, seed=3)
    estimate = EstimateSurrogate().condition(TASK, labels, seed=1).evaluate(batch, seed=3)
    np.testing.assert_allclose(expected(answer), estimate.metrics[VALID])
    for metric in set(estimate.metrics) - {VALID}:
        np.testing.assert_array_equal(answer.metrics[metric], estimate.metrics[metric], metric)
        np.testing.assert_array_equal(answer.interval[metric], estimate.interval[metric], metric)
        assert answer.source[metric].tolist() == estimate.source[metric].tolist(), metric
    assert np.array_equal(answer.status, estimate.status)
    assert all(np.isnan(drawn).all() for drawn in answer.samples.values())


@pytest.mark.parametrize("labels", [None, labels_of(20, False)], ids=["none", "labels"])
def test_an_open_gate_is_the_model(labels: Dataset | None) -> None:
    """All costs are its own words; of validity the estimate speaks."""
    batch = batch_of(30)
    answer = cascade(INF, labels).evaluate(batch, seed=3)
    model = LM.condition(TASK, labels, seed=1).evaluate(batch, seed=3)
    estimate = EstimateSurrogate().condition(TASK, labels, seed=1).evaluate(batch, seed=3)
    np.testing.assert_allclose(expected(answer), estimate.metrics[VALID])
    assert answer.source[VALID].tolist() == estimate.source[VALID].tolist()
    for metric in set(model.metrics) - {VALID}:
        np.testing.assert_array_equal(answer.metrics[metric], model.metrics[metric], metric)
        np.testing.assert_array_equal(answer.interval[metric], model.interval[metric], metric)
        assert answer.source[metric].tolist() == model.source[metric].tolist(), metric
    for metric in HLS_METRICS:
        np.testing.assert_array_equal(answer.samples[metric], model.samples[metric], metric)
    assert np.array_equal(answer.status, model.status)


@pytest.mark.parametrize("labels", [None, labels_of(20, False)], ids=["none", "labels"])
def test_a_gate_that_is_half_open(labels: Dataset | None) -> None:
    """Metric by metric and row by row the word of the one whose turn it is, whatever the other metrics of the row."""
    batch, widest = batch_of(40), middle_width()
    answer = cascade(widest, labels).evaluate(batch, seed=3)
    model = LM.condition(TASK, labels, seed=1).evaluate(batch, seed=3)
    estimate = EstimateSurrogate().condition(TASK, labels, seed=1).evaluate(batch, seed=3)
    sure = dict(zip(HLS_METRICS, halves(model) <= widest, strict=True))
    table = np.stack(list(sure.values()))
    assert 0.1 < table.mean() < 0.9 and (table.any(axis=0) & ~table.all(axis=0)).any()
    shares = np.stack([answer.metrics[f"{name}_share"] for name in TARGET.device.resources])
    for metric, open_ in sure.items():
        for row, mine in enumerate(open_.tolist()):
            who = model if mine else estimate
            assert answer.metrics[metric][row] == who.metrics[metric][row]
            assert answer.interval[metric][row].tolist() == who.interval[metric][row].tolist()
            assert answer.source[metric][row] == who.source[metric][row]
            if metric != "cycles":
                assert answer.metrics[f"{metric}_share"][row] == who.metrics[f"{metric}_share"][row]
                assert answer.source[f"{metric}_share"][row] == who.source[metric][row]
            samples = answer.samples[metric][row]
            assert samples.tolist() == model.samples[metric][row].tolist() if mine else np.isnan(samples).all()
    np.testing.assert_allclose(expected(answer), estimate.metrics[VALID])
    np.testing.assert_array_equal(answer.metrics[UTILISATION], shares.max(axis=0))
    names = list(TARGET.device.resources)
    said = [answer.source[names[place]][row] for row, place in enumerate(np.argmax(shares, axis=0).tolist())]
    assert answer.source[UTILISATION].tolist() == said


def test_versions_differ() -> None:
    """By the gate, by the labels and by the model."""
    one = [cascade(1.0), cascade(2.0), cascade(1.0, labels_of(20, False)), cascade(1.0, labels_of(20, True))]
    one.append(CascadeSurrogate(None, EstimateSurrogate(), VIEW, 1.0).condition(TASK, None, seed=1))
    assert len({found.version for found in one}) == 5 and cascade(1.0).version == one[0].version
    surrogates = [CascadeSurrogate(model, EstimateSurrogate(), VIEW, 1.0) for model in (LM, None)]
    assert surrogates[0].version != surrogates[1].version


# --- validity from labels


@pytest.mark.parametrize("widest", [0.0, INF])
def test_validity_is_learned(widest: float) -> None:
    """Designs like those that never had a result are held less likely than each is without labels; others are not."""
    batch = batch_of(60, 3)
    bad = batch.columns["__PIPE__L0"] == FLATTEN
    before = expected(cascade(widest).evaluate(batch, seed=0))
    answer = cascade(widest, labels_of(40, True)).evaluate(batch, seed=0)
    after = expected(answer)
    assert 10 < bad.sum() < 50 and after[bad].max() < after[~bad].min()
    assert (after[bad] < before[bad]).mean() > 0.9
    assert ((after >= 0) & (after <= 1)).all() and set(answer.source[VALID]) != set(answer.source["cycles"])


def test_labels_that_are_all_sound_rank_nothing_anew() -> None:
    """They were chosen so, or nothing fails: what was expected of validity stands."""
    batch = batch_of(60, 3)
    plain, told = (expected(cascade(INF, labels).evaluate(batch, seed=0)) for labels in (None, labels_of(40, False)))
    np.testing.assert_allclose(plain, told, rtol=1e-3)  # what the estimate learns of costs moves it by a hair
    assert np.ptp(plain) > 0


def test_labels_that_are_all_lost() -> None:
    """Teach that little is valid; every other answer is as before."""
    some = labels_of(12, True)
    nothing = dict.fromkeys(HLS_METRICS, np.full(12, np.nan))
    lost = hls_dataset(TASK, some.batch, nothing, np.zeros(12, dtype=bool), "made up")
    batch = batch_of(20, 3)
    for widest in (0.0, INF):
        before, after = (cascade(widest, labels).evaluate(batch, seed=0) for labels in (None, lost))
        assert (after.metrics[VALID] < before.metrics[VALID]).all()
        for metric in HLS_METRICS:
            np.testing.assert_array_equal(before.metrics[metric], after.metrics[metric])


# --- kernels that the model cannot read


def short(tokens: int) -> LmSurrogate:
    """A model that reads so many tokens."""
    checkpoint = untrained()
    recipe = checkpoint.recipe.model_copy(update={"context": tokens})
    return LmSurrogate(replace(checkpoint, recipe=recipe), VIEW)


def program_length() -> int:
    """Tokens of the kernel."""
    return len(Prompter(TASK, VIEW, untrained().recipe).program)


@pytest.mark.parametrize("labels", [None, labels_of(20, True)], ids=["none", "labels"])
@pytest.mark.parametrize("more", [0, 4], ids=["program", "design"])
def test_a_kernel_too_long_for_the_model(more: int, labels: Dataset | None) -> None:
    """Is the estimate's alone, also where the program fits and no design does behind it; the reason is told."""
    found = CascadeSurrogate(short(program_length() + more), EstimateSurrogate(), VIEW).condition(TASK, labels, seed=1)
    batch = batch_of(10)
    alone = CascadeSurrogate(None, EstimateSurrogate(), VIEW).condition(TASK, labels, seed=1)
    assert_same(found.evaluate(batch, seed=0), alone.evaluate(batch, seed=0))
    assert found.model is None and "tokens" in found.why and alone.why == "no model"


def test_what_was_seen() -> None:
    """By either."""

    class Seen(EstimateSurrogate):
        def __init__(self) -> None:
            super().__init__()
            self.trained_on = TrainingSet(frozenset({"own"}), frozenset({"digest"}))

    found = CascadeSurrogate(LM, Seen(), VIEW).trained_on
    assert found.contains("gemm", "") and found.contains("own", "") and found.contains("", "digest")
    assert not found.contains("fir", "")


def test_other_targets() -> None:
    """A model asked for another tool version answers for that."""
    found = CascadeSurrogate(None, EstimateSurrogate(), VIEW).condition(HlsTask(KERNEL, TARGETS["v18"]), None, seed=1)
    assert found.evaluate(batch_of(3), seed=0).source["cycles"][0].startswith("estimate/1(v18")
