"""Labels of a tool that reports no FF and no BRAM teach all the same; of what it does not report nothing is learned."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

from cost_model.hls.estimate import EstimateSurrogate
from cost_model.surrogates.lm.surrogate import LmSurrogate
from cost_model.surrogates.tables.from_scratch import TaskOnlySurrogate
from cost_model.surrogates.tables.task_only import KINDS
from design.contracts import Dataset, Surrogate
from design.metrics import HLS_METRICS
from evaluators.cascade import CascadeSurrogate
from frontends.hls_results.tables import hls_dataset
from tests.cost_model.surrogates.lm.small import TASK, VIEW, untrained
from tests.cost_model.surrogates.test_lm import batch_of

ABSENT = ("ff", "bram")


@lru_cache
def surrogate(name: str) -> Surrogate:
    """By name; what a model reads of a program is remembered."""
    if name == "lm":
        return LmSurrogate(untrained(), VIEW)
    if name == "estimate":
        return EstimateSurrogate()
    return CascadeSurrogate(None, EstimateSurrogate(), VIEW) if name == "cascade" else TaskOnlySurrogate(name, VIEW)


@lru_cache
def labels(seed: int, absent: tuple[str, ...], holes: bool = False) -> Dataset:
    """30 designs, whose cycles and resources are a formula. With `holes` each third label lacks LUT."""
    batch = batch_of(30, seed)
    copies = (batch.columns["__PARA__L1"] * batch.columns["__PARA__L2"]).astype(float)
    truth = {"cycles": 3e6 / copies} | {name: 2000.0 + 40 * copies for name in HLS_METRICS if name != "cycles"}
    truth |= {name: np.full(30, np.nan) for name in absent}
    if holes:
        truth["lut"] = np.where(np.arange(30) % 3 == 0, np.nan, truth["lut"])
    return hls_dataset(TASK, batch, truth, np.ones(30, dtype=bool), "made up")


@pytest.mark.parametrize("name", ["lm", "estimate", "cascade", *KINDS])
def test_they_teach(name: str) -> None:
    """Cycles and LUT of other designs are nearer; of FF and BRAM all is said as without labels."""
    of, rest = surrogate(name), labels(2, ())
    plain, told = (
        of.condition(TASK, known, seed=1).evaluate(rest.batch, seed=0) for known in (None, labels(1, ABSENT))
    )
    for metric in ("cycles", "lut"):
        before, after = (np.abs(np.log2(a.metrics[metric] / rest.metric(metric))).mean() for a in (plain, told))
        assert after < 0.85 * before, metric
    for metric in ABSENT:
        np.testing.assert_allclose(told.metrics[metric], np.maximum(plain.metrics[metric], 1.0), rtol=1e-9)
        low = np.maximum(plain.interval[metric], 1e-6)
        np.testing.assert_allclose(np.maximum(told.interval[metric], 1e-6), low, rtol=0.01, err_msg=metric)


@pytest.mark.parametrize("name", ["lm", "estimate", *KINDS])
def test_labels_with_holes_are_left_out(name: str) -> None:
    """A metric that only some labels lack: those teach nothing, the others as if they were alone."""
    of, holed = surrogate(name), labels(1, (), True)
    whole = np.flatnonzero(np.isfinite(holed.metric("lut")))
    others = holed.take(whole)
    batch = labels(2, ()).batch
    one, two = (of.condition(TASK, known, seed=1).evaluate(batch, seed=0) for known in (holed, others))
    for metric in HLS_METRICS:
        np.testing.assert_allclose(one.metrics[metric], two.metrics[metric], rtol=1e-9)


@pytest.mark.parametrize("name", ["lm", "estimate", *KINDS])
def test_labels_that_say_nothing_teach_nothing(name: str) -> None:
    """All unknown is as if there were none."""
    of, batch = surrogate(name), batch_of(8)
    none, lost = (of.condition(TASK, known, seed=1).evaluate(batch, seed=0) for known in (None, labels(1, HLS_METRICS)))
    for metric in HLS_METRICS:
        np.testing.assert_array_equal(none.metrics[metric], lost.metrics[metric])
        np.testing.assert_array_equal(none.interval[metric], lost.interval[metric])
