"""Evaluator `estimate` keeps the contract of evaluators, and says what it stands for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cost_model.hls.constants import HlsConstants
from cost_model.hls.estimate import EstimateEvaluator, EstimateSurrogate
from cost_model.hls.store import Fitted, read_fitted
from design.conformance.evaluator import check_evaluator, check_other_process, check_spoiled
from design.contracts import Dataset
from design.core import Batch, Status
from design.hls.design import TARGETS, Device, Target, hls_schema
from design.hls.task import HlsTask
from design.metrics import UTILISATION
from frontends.hls_results.tables import hls_dataset
from tests.cost_model.hls.cases import GEMM, kernel
from tests.cost_model.hls.test_fit import random_columns

KERNEL = kernel(GEMM)
V18 = HlsTask(KERNEL, TARGETS["v18"])
SMALL = Target("v20", "Vitis 2020.2", Device("small", {"bram": 1_000, "dsp": 300, "lut": 90_000, "ff": 150_000}))


def batch_of(count: int, target: Target, seed: int = 0) -> Batch:
    """Random designs of the kernel."""
    return Batch(hls_schema(KERNEL, target), random_columns(KERNEL, count, seed))


def make() -> tuple[EstimateEvaluator, Batch]:
    """On a device so small that some designs do not fit."""
    return EstimateEvaluator(KERNEL, SMALL, read_fitted("v20")), batch_of(40, SMALL)


def labels_of(count: int, factor: float) -> Dataset:
    """Designs that take `factor` times what is estimated, and as much of the device."""
    batch = batch_of(count, V18.target, 9)
    answer = EstimateEvaluator(KERNEL, V18.target, read_fitted("v18")).evaluate(batch, seed=0)
    truth = {name: answer.metrics[name] * (factor if name == "cycles" else 1.0) for name in SMALL.device.resources}
    truth |= {"cycles": answer.metrics["cycles"] * factor}
    return hls_dataset(V18, batch, truth, np.ones(count, dtype=bool), "made up")


def make_adapted() -> tuple[EstimateEvaluator, Batch]:
    """Having seen 20 labels."""
    return EstimateSurrogate().condition(V18, labels_of(20, 3.0), seed=1), batch_of(40, V18.target)


@pytest.mark.parametrize("factory", [make, make_adapted])
def test_conformance(factory: Any) -> None:
    check_evaluator(*factory())


def test_some_designs_do_not_fit_and_some_do() -> None:
    evaluator, batch = make()
    answer = evaluator.evaluate(batch, seed=0)
    over = answer.metrics[UTILISATION] > 0.8
    assert over.any() and not over.all()
    assert np.array_equal(answer.status == Status.INFEASIBLE, over)
    assert all("small" in text for text in answer.reason[over])
    shares = [answer.metrics[f"{name}_share"] for name in SMALL.device.resources]
    assert np.array_equal(answer.metrics[UTILISATION], np.max(shares, axis=0))
    assert all("low fidelity" in text for text in answer.source["cycles"].tolist())


@pytest.mark.parametrize(
    "spoiled",
    [{"__PIPE__L0": 3}, {"__PIPE__L1": -1}, {"__TILE__L0": 0}, {"__PARA__L0": 25}, {"__PARA__L2": 17}]
    + [{"__PARA__L1": value} for value in (0, -1, 21, 2**40, -(2**63), 2**63 - 1)],
)
def test_factors_that_a_loop_cannot_have_fail(spoiled: dict[str, int]) -> None:
    check_spoiled(*make(), spoiled)
    check_spoiled(*make_adapted(), spoiled)


def test_the_same_in_another_process() -> None:
    check_other_process("tests.cost_model.hls.test_estimate:make")
    check_other_process("tests.cost_model.hls.test_estimate:make_adapted")


def test_labels_correct_the_estimate_and_narrow_its_interval() -> None:
    plain = EstimateSurrogate().condition(V18, None, seed=1)
    adapted = EstimateSurrogate().condition(V18, labels_of(20, 3.0), seed=1)
    batch = batch_of(50, V18.target, 21)
    before, after = (e.evaluate(batch, seed=0) for e in (plain, adapted))
    ratio = after.metrics["cycles"] / before.metrics["cycles"]
    assert 2.5 < np.median(ratio) <= 3.01
    width = [np.median(np.log2(a.interval["cycles"][:, 1] / a.interval["cycles"][:, 0])) for a in (before, after)]
    assert width[1] < width[0] / 2
    assert plain.version != adapted.version


def test_no_labels_and_labels_without_answers_teach_nothing() -> None:
    plain = EstimateSurrogate().condition(V18, None, seed=1)
    full = labels_of(6, 3.0)
    blank = hls_dataset(
        V18, full.batch, dict.fromkeys(full.evaluation.metrics, np.full(6, np.nan)), np.zeros(6, dtype=bool), ""
    )
    empty = EstimateSurrogate().condition(V18, blank, seed=1)
    batch = batch_of(10, V18.target)
    first, second = (e.evaluate(batch, seed=0).metrics for e in (plain, empty))
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_the_version_follows_constants_and_labels() -> None:
    fitted = read_fitted("v18")
    other = Fitted("v18", HlsConstants(), {}, {}, fitted.residuals)
    versions = {
        EstimateEvaluator(KERNEL, TARGETS["v18"], fitted).version,
        EstimateEvaluator(KERNEL, TARGETS["v18"], other).version,
        *(EstimateSurrogate().condition(V18, labels_of(9, f), seed=1).version for f in (2.0, 4.0)),
    }
    assert len(versions) == 4


def test_a_fitted_kernel_is_judged_by_constants_that_did_not_see_its_family() -> None:
    fitted = read_fitted("v18")
    without = HlsConstants(start_cycles=1234.0)
    known = Fitted("v18", fitted.all, {"own": without}, {"own-x": KERNEL.digest}, fitted.residuals)
    surrogate = EstimateSurrogate({"v18": known})
    assert surrogate.condition(V18, None, seed=0).estimator.constants == without
    assert not surrogate.trained_on.contains("own", KERNEL.digest)
    assert surrogate.trained_on.contains("own", "a source that nobody has seen")
    assert not surrogate.trained_on.contains("another", "a source that nobody has seen")
