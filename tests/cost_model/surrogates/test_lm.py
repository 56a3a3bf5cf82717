"""Evaluator `lm` keeps the contract of evaluators, and predictors of it that of predictors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from cost_model.surrogates.predictor import METRICS, VALID, Labelled

import cost_model.surrogates.lm.surrogate
from cost_model.hls.rows import UTILISATION
from cost_model.hls.store import read_fitted
from cost_model.surrogates.lm.surrogate import PRINTED, SAMPLES, TAILS, Heard, LmEvaluator, LmPredictor, Said
from design.conformance.answers import assert_same
from design.conformance.evaluator import check_evaluator, check_other_process, check_spoiled
from design.core import Batch, Ints, Status
from design.hls.design import TARGETS, hls_schema
from tests.cost_model.hls.cases import GEMM, kernel
from tests.cost_model.hls.test_fit import random_columns
from tests.cost_model.surrogates.lm.small import untrained

KERNEL, TARGET = kernel(GEMM), TARGETS["v20"]


def batch_of(count: int, seed: int = 0) -> Batch:
    """Random designs."""
    return Batch(hls_schema(KERNEL, TARGET), random_columns(KERNEL, count, seed))


def make() -> tuple[LmEvaluator, Batch]:
    """An untrained model's word."""
    return LmEvaluator(KERNEL, TARGET, untrained(), read_fitted("v20")), batch_of(40)


def labels_of(count: int, factor: float) -> Labelled:
    """Designs that take `factor` times what the model says."""
    batch = batch_of(count, 9)
    answer = make()[0].evaluate(batch, seed=0)
    truth = {name: np.maximum(np.rint(answer.metrics[name]), 1.0) for name in METRICS}
    return Labelled(batch, truth | {"cycles": answer.metrics["cycles"] * factor}, np.ones(count, dtype=bool))


def make_adapted() -> tuple[LmEvaluator, Batch]:
    """Having seen 20 labels."""
    return LmPredictor(untrained()).fitted(KERNEL, TARGET, labels_of(20, 3.0), 1), batch_of(40)


@pytest.mark.parametrize("factory", [make, make_adapted])
def test_conformance(factory: Any) -> None:
    check_evaluator(*factory(), pickled=False)  # it holds what it learned as functions


@pytest.mark.parametrize("factory", ["make", "make_adapted"])
def test_the_same_in_another_process(factory: str) -> None:
    check_other_process(f"tests.cost_model.surrogates.test_lm:{factory}")


def test_answers() -> None:
    """Medians lie in intervals, samples are joint in number, a model has doubts, designs differ."""
    evaluator, batch = make()
    answer = evaluator.evaluate(batch, seed=3)
    for metric in METRICS:
        low, high = answer.interval[metric].T
        assert (low <= answer.metrics[metric]).all() and (answer.metrics[metric] <= high).all() and (low < high).all()
        assert answer.samples[metric].shape == (len(batch), SAMPLES)
        assert len(np.unique(answer.samples[metric])) > 20
    assert not np.array_equal(answer.samples["cycles"], evaluator.evaluate(batch, seed=4).samples["cycles"])
    assert ((answer.metrics[VALID] > 0) & (answer.metrics[VALID] < 1)).all()
    over = answer.metrics[UTILISATION] > TARGET.device.usable
    assert np.array_equal(answer.status == Status.INFEASIBLE, over)


def test_samples_come_from_the_distribution() -> None:
    """Nine in ten of many samples lie in the interval."""
    evaluator, batch = make()
    inside = []
    for seed in range(6):
        answer = evaluator.evaluate(batch, seed=seed)
        low, high = answer.interval["cycles"].T
        drawn = answer.samples["cycles"]
        inside.append((drawn >= low[:, None]) & (drawn <= high[:, None]))
    assert np.mean(inside) == pytest.approx(0.9, abs=0.03)


def test_labels_correct() -> None:
    """A kernel that takes three times what the model says is known to after 20 labels; other metrics stay."""
    adapted, batch = make_adapted()
    plain, answer = make()[0].evaluate(batch, seed=0), adapted.evaluate(batch, seed=0)
    ratio = answer.metrics["cycles"] / plain.metrics["cycles"]
    assert np.median(ratio) == pytest.approx(3.0, rel=0.2)
    assert np.median(answer.metrics["lut"] / plain.metrics["lut"]) == pytest.approx(1.0, rel=0.2)
    assert adapted.version != make()[0].version


def test_few_or_no_labels() -> None:
    predictor = LmPredictor(untrained())
    none = predictor.fitted(KERNEL, TARGET, None, 0)
    assert none.version == predictor.fitted(KERNEL, TARGET, labels_of(0, 1.0), 0).version
    unknown = labels_of(3, 1.0)
    lost = Labelled(unknown.batch, {name: np.full(3, np.nan) for name in METRICS}, unknown.valid)
    batch = batch_of(5)
    said = predictor.fitted(KERNEL, TARGET, lost, 0).evaluate(batch, seed=0).metrics["cycles"]
    assert np.array_equal(said, none.evaluate(batch, seed=0).metrics["cycles"])
    assert predictor.fitted_on.saw("gemm", "") and not predictor.fitted_on.saw("fir", "")


@pytest.mark.parametrize("spoiled", [{"__PIPE__L0": 3}, {"__TILE__L0": 0}, {"__PARA__L0": 25}, {"__PARA__L1": 2**40}])
def test_spoiled(spoiled: dict[str, int]) -> None:
    """Values that no directive has are FAILED rows, and disturb no other row."""
    check_spoiled(*make(), spoiled)


def test_digits() -> None:
    """The median's tokens, each with a probability."""
    evaluator, batch = make()
    one = batch.take(np.array([0]))
    digits = evaluator.digits(one)
    for metric, said in digits.items():
        assert tuple(token for token, _ in said) == PRINTED.encode(evaluator.evaluate(one, seed=0).metrics[metric][0])
        assert all(0 <= share <= 1 for _, share in said)


# --- what was read is remembered


class CountingLm(LmEvaluator):
    """It counts the designs that its model reads."""

    read = 0

    def said(self, columns: Mapping[str, Ints]) -> Said:
        """See `LmEvaluator`."""
        CountingLm.read += len(next(iter(columns.values())))
        return super().said(columns)


@pytest.fixture
def counting() -> LmEvaluator:
    """Nothing read yet."""
    CountingLm.read = 0
    return CountingLm(KERNEL, TARGET, untrained(), read_fitted("v20"))


def test_heard_comes_back() -> None:
    """Rows and all of them are the same thing, for any number of designs and metrics."""
    rng = np.random.default_rng(0)
    for count, metrics in ((0, 5), (1, 5), (7, 5), (4, 7)):
        said = len(METRICS)
        heard = Heard(
            rng.random((count, len(TAILS) + SAMPLES, metrics)),
            rng.random((count, said)),
            rng.random((count, said)),
            rng.random(count),
        )
        again = Heard.of([heard.row(place) for place in range(count)], metrics)
        for name in ("numbers", "y", "estimate", "valid"):
            assert np.array_equal(getattr(again, name), getattr(heard, name)), name


def test_a_design_is_read_once(counting: LmEvaluator) -> None:
    """A seed; also by those that were taught labels later; and an answer is the same from memory."""
    batch = batch_of(20)
    batch = batch.take(np.unique(batch.schema.key(batch), axis=0, return_index=True)[1])
    count = len(batch)
    first = counting.evaluate(batch, seed=3)
    assert CountingLm.read == count
    assert_same(counting.evaluate(batch, seed=3), first)
    order = np.random.default_rng(0).permutation(count)
    assert_same(counting.evaluate(batch.take(order), seed=3), first.take(order))
    assert CountingLm.read == count
    other = batch_of(25, 4)
    mixed = counting.evaluate(Batch.concat([batch.take(slice(0, 5)), other]), seed=3)
    assert_same(mixed.take(slice(0, 5)), first.take(slice(0, 5)))
    assert_same(mixed.take(slice(5, 30)), make()[0].evaluate(other, seed=3))
    assert count < CountingLm.read <= count + 25
    before = CountingLm.read
    counting.evaluate(batch, seed=4)
    assert CountingLm.read == before + count, "samples are another seed's"


def test_labels_are_no_reason_to_read_again(counting: LmEvaluator) -> None:
    """A version that learned labels answers from what was read before; the one without labels answers as ever."""
    batch = batch_of(20)
    predictor = LmPredictor(untrained())
    predictor._last = (KERNEL.digest, TARGET), counting
    plain = counting.evaluate(batch, seed=1)
    taught = predictor.fitted(KERNEL, TARGET, labels_of(12, 3.0), 1)
    before = CountingLm.read
    assert_same(
        taught.evaluate(batch, seed=1),
        LmPredictor(untrained()).fitted(KERNEL, TARGET, labels_of(12, 3.0), 1).evaluate(batch, seed=1),
    )
    assert CountingLm.read == before
    predictor.fitted(KERNEL, TARGET, labels_of(12, 5.0), 1).evaluate(batch, seed=1)
    assert CountingLm.read == before, "the labels' own designs were read for the version before"
    assert_same(counting.evaluate(batch, seed=1), plain)


def test_memory_is_bounded(counting: LmEvaluator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the most that are remembered it begins anew, and answers as ever."""
    monkeypatch.setattr(cost_model.surrogates.lm.surrogate, "MOST_KNOWN", 12)
    batch = batch_of(16)
    first = counting.evaluate(batch, seed=0)
    for rows in (slice(0, 10), slice(5, 16), slice(0, 16), slice(14, 16)):
        assert_same(counting.evaluate(batch.take(rows), seed=0), first.take(rows))
        assert len(counting._known) <= 16
