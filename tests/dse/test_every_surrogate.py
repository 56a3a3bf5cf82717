"""Every surrogate of the registry that needs no checkpoint keeps the contract, on tasks of both kinds."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from design.conformance.surrogate import check_surrogate
from design.contracts import ESTIMATE, Dataset, Task
from design.core import Batch
from design.hls.design import TARGETS
from design.hls.task import HlsTask
from design.metrics import UTILISATION
from design.nmp.device import Platform
from design.nmp.task import NmpTask
from dse.options import read_settings
from dse.studies.hls.problem import hls_domain
from dse.studies.nmp.problem import nmp_domain
from dse.studies.surrogates import SURROGATES, Domain
from tests.cases import hardware, model_workload, nmp_space
from tests.cost_model.hls.cases import GEMM, kernel
from tests.cost_model.hls.test_fit import random_columns

WITHOUT_CHECKPOINT = sorted(set(SURROGATES) - {"lm", "transformer-h"})
PLATFORM = Platform()
SHARES = ("lut_share", "ff_share", "dsp_share", "bram_share", UTILISATION)
SOURCES = {"cascade": ("lm", "estimate")}  # who answers for one that chooses among others


@cache
def nmp_designs() -> tuple[NmpTask, Batch]:
    """Of a small model's task."""
    space = nmp_space(workload := model_workload(), PLATFORM, hardware())
    return NmpTask(workload, PLATFORM), space.decode(space.sample(40, np.random.default_rng(3)))


@cache
def hls_designs() -> tuple[HlsTask, Batch]:
    """Of one kernel."""
    task = HlsTask(kernel(GEMM), TARGETS["v20"])
    return task, Batch(task.schema, random_columns(task.kernel, 40, 3))


def labels_of(task: Task, batch: Batch, domain: Domain) -> Dataset:
    """What the reference says of designs, a third off: something to learn."""
    answers = domain.reference().condition(task, None, seed=0).evaluate(batch, seed=0)
    wrong = {name: 1.3 * answers.metrics[name] for name in task.metrics}
    return Dataset(task, batch, replace(answers, metrics=wrong, interval={}, samples={}), ESTIMATE)


@pytest.mark.parametrize("name", WITHOUT_CHECKPOINT)
def test_near_memory(name: str) -> None:
    """Latency, energy and area of near-memory designs."""
    domain = nmp_domain(read_settings({"checkpoint": ("here", "none")}))
    task, batch = nmp_designs()
    labels = labels_of(task, batch.take(slice(0, 20)), domain)
    check_surrogate(
        SURROGATES[name](domain), task, labels, batch.take(slice(20, 40)), pickled=False, sources=SOURCES.get(name, ())
    )


@pytest.mark.parametrize("name", WITHOUT_CHECKPOINT)
def test_loop_directives(name: str) -> None:
    """Cycles and resources of kernels."""
    domain = hls_domain(read_settings({"space": ("here", "hls"), "checkpoint": ("here", "none")}))
    task, batch = hls_designs()
    labels = labels_of(task, batch.take(slice(0, 20)), domain)
    kept = batch.take(slice(20, 40))
    check_surrogate(
        SURROGATES[name](domain), task, labels, kept, derived=SHARES, pickled=False, sources=SOURCES.get(name, ())
    )
