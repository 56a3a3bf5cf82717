"""Evaluator `lm` keeps the contract of evaluators, and its surrogate that of surrogates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import cost_model.surrogates.lm.surrogate
from cost_model.surrogates.lm.surrogate import PRINTED, SAMPLES, TAILS, Heard, LmEvaluator, LmSurrogate, Said
from design.conformance.answers import assert_same
from design.conformance.evaluator import check_evaluator, check_other_process, check_spoiled
from design.contracts import Dataset
from design.core import Batch, Status
from design.metrics import HLS_METRICS, UTILISATION, VALID
from frontends.hls_results.tables import hls_dataset
from tests.cost_model.surrogates.lm.small import TASK, VIEW, designs, untrained

KERNEL, TARGET = TASK.kernel, TASK.target


def batch_of(count: int, seed: int = 0) -> Batch:
    """Random designs."""
    return designs(count, seed)


def make() -> tuple[LmEvaluator, Batch]:
    """An untrained model's word."""
    return LmEvaluator(TASK, VIEW, untrained()), batch_of(40)


def labels_of(count: int, factor: float) -> Dataset:
    """Designs that take `factor` times what the model says."""
    batch = batch_of(count, 9)
    answer = make()[0].evaluate(batch, seed=0)
    truth = {name: np.maximum(np.rint(answer.metrics[name]), 1.0) for name in HLS_METRICS}
    truth |= {"cycles": answer.metrics["cycles"] * factor}
    return hls_dataset(TASK, batch, truth, np.ones(count, dtype=bool), "made up")


def make_adapted() -> tuple[LmEvaluator, Batch]:
    """Having seen 20 labels."""
    return LmSurrogate(untrained(), VIEW).condition(TASK, labels_of(20, 3.0), seed=1), batch_of(40)


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
    for metric in HLS_METRICS:
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
    surrogate = LmSurrogate(untrained(), VIEW)
    none = surrogate.condition(TASK, None, seed=0)
    assert none.version == surrogate.condition(TASK, labels_of(0, 1.0), seed=0).version
    unknown = dict.fromkeys(HLS_METRICS, np.full(3, np.nan))
    lost = hls_dataset(TASK, labels_of(3, 1.0).batch, unknown, np.ones(3, dtype=bool), "made up")
    batch = batch_of(5)
    said = surrogate.condition(TASK, lost, seed=0).evaluate(batch, seed=0).metrics["cycles"]
    assert np.array_equal(said, none.evaluate(batch, seed=0).metrics["cycles"])
    assert surrogate.trained_on.contains("gemm", "") and not surrogate.trained_on.contains("fir", "")


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

    def said(self, batch: Batch) -> Said:
        """See `LmEvaluator`."""
        CountingLm.read += len(batch)
        return super().said(batch)


@pytest.fixture
def counting() -> LmEvaluator:
    """Nothing read yet."""
    CountingLm.read = 0
    return CountingLm(TASK, VIEW, untrained())


def test_heard_comes_back() -> None:
    """Rows and all of them are the same thing, for any number of designs and metrics."""
    rng = np.random.default_rng(0)
    for count, metrics in ((0, 5), (1, 5), (7, 5), (4, 7)):
        said = len(HLS_METRICS)
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
    surrogate = LmSurrogate(untrained(), VIEW)
    surrogate._last = TASK, counting
    plain = counting.evaluate(batch, seed=1)
    taught = surrogate.condition(TASK, labels_of(12, 3.0), seed=1)
    before = CountingLm.read
    assert_same(
        taught.evaluate(batch, seed=1),
        LmSurrogate(untrained(), VIEW).condition(TASK, labels_of(12, 3.0), seed=1).evaluate(batch, seed=1),
    )
    assert CountingLm.read == before
    surrogate.condition(TASK, labels_of(12, 5.0), seed=1).evaluate(batch, seed=1)
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
