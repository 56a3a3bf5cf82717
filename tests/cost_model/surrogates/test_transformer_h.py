"""Surrogate `transformer-h` keeps the contract of evaluators, with labels and without, and learns from labels."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cost_model.corpus.label_draws import label_rows
from cost_model.surrogates.checkpoints import transformer_h
from cost_model.surrogates.transformer_h.surrogate import TransformerHSurrogate
from cost_model.surrogates.transformer_h.trained import Ensemble
from cost_model.training.checkpoint import save
from cost_model.views.hls.view import HlsView
from design.conformance.evaluator import check_evaluator, check_other_process, check_spoiled
from design.contracts import Dataset, Evaluator
from design.core import Batch
from design.errors import InputError
from design.hls.design import TARGETS
from design.hls.task import HlsTask, hls_task_of
from design.metrics import HLS_METRICS, VALID
from evaluators.scoring.protocol import score_task
from frontends.c_kernel import parse_kernel
from frontends.hls_results.tables import hls_dataset
from tests.cases import ROOT
from tests.cases_hls import scale_source
from tests.cost_model.surrogates.tiny_transformer_h import RECIPE, tiny, tiny_tables

STORED = "TRANSFORMER_H_OF_A_TEST"
VIEW = HlsView()
OTHER = HlsTask(parse_kernel(scale_source(48).replace("3.0", "in[i][0]"), "other"), TARGETS["v20"])  # never seen


def scale() -> Dataset:
    """Of the kernel that has the most designs."""
    return next(table for table in tiny_tables() if table.task.name == "scale")


def make() -> tuple[Evaluator, Batch]:
    """Without labels, on a kernel that is new to it: 45 designs, so that two batches are begun."""
    rng = np.random.default_rng(5)
    values = {"P0": (0, 1, 2), "T0": (1, 2, 4), "U0": (1, 2, 8, 48), "U1": (1, 2, 3, 8)}
    batch = Batch(OTHER.schema, {n: rng.choice(np.array(v), 45) for n, v in values.items()})
    return TransformerHSurrogate(tiny(), VIEW).condition(OTHER, None, seed=0), batch


def make_adapted(surrogate: TransformerHSurrogate | None = None) -> tuple[Evaluator, Batch]:
    """Having seen 20 labels."""
    table, surrogate = scale(), surrogate or TransformerHSurrogate(tiny(), VIEW)
    evaluator = surrogate.condition(table.task, table.take(label_rows(table, 20, 4)), seed=1)
    return evaluator, table.batch.take(np.arange(45))


@pytest.mark.parametrize("factory", [make, make_adapted])
def test_conformance(factory: Any) -> None:
    check_evaluator(*factory(), intervals=False, pickled=False)  # it holds what it learned as functions


@pytest.mark.parametrize("factory", [make, make_adapted])
def test_values_that_no_directive_has(factory: Any) -> None:
    evaluator, batch = factory()
    for spoiled in ({"P0": 3}, {"P0": -1}, {"U0": 0}, {"T0": 2**40}, {"U1": -(2**63)}, {"U1": 2**63 - 1}):
        check_spoiled(evaluator, batch, spoiled)


def make_stored() -> tuple[Evaluator, Batch]:
    """As `make_adapted`, with the model in the file that the environment names."""
    return make_adapted(transformer_h(VIEW, os.environ[STORED]))


def test_the_same_in_another_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "model.safetensors", RECIPE, tiny().model, tiny().learned, {})
    monkeypatch.setenv(STORED, str(tmp_path / "model.safetensors"))
    check_other_process("tests.cost_model.surrogates.test_transformer_h:make_stored")


def test_scored_better_with_labels() -> None:
    """By the protocol that scores every surrogate; it says of itself what it has seen."""
    surrogate, table = TransformerHSurrogate(tiny(), VIEW), scale()
    without, with_labels = (score_task(surrogate, table, count, 0) for count in (0, 20))
    assert without.seen and not surrogate.trained_on.contains("other", OTHER.digest)
    for metric in HLS_METRICS:
        before, after = (score.blocks[metric]["rmse_y"] for score in (without, with_labels))
        assert before is not None and after is not None and after < before


def test_labels_without_answers_teach_nothing() -> None:
    table = scale()
    full = table.take(np.flatnonzero(table.metric("cycles") > 0)[:8])
    nothing = dict.fromkeys(full.evaluation.metrics, np.full(8, np.nan))
    blank = hls_dataset(hls_task_of(table), full.batch, nothing, full.feasible, "made up")
    surrogate = TransformerHSurrogate(tiny(), VIEW)
    answers = [
        surrogate.condition(table.task, labels, seed=0).evaluate(table.batch, seed=0).metrics
        for labels in (None, blank, full)
    ]
    for name in HLS_METRICS:
        np.testing.assert_array_equal(answers[0][name], answers[1][name])
        assert not np.array_equal(answers[0][name], answers[2][name])
    np.testing.assert_array_equal(answers[0][VALID], answers[2][VALID])


def test_from_a_file(tmp_path: Path) -> None:
    """The same answers and a version that follows the weights; other targets are refused."""
    path = tmp_path / "model.safetensors"
    save(path, RECIPE, tiny().model, tiny().learned, {})
    table, surrogate = scale(), transformer_h(VIEW, str(path))
    one, two = (s.condition(table.task, None, seed=0) for s in (surrogate, TransformerHSurrogate(tiny(), VIEW)))
    np.testing.assert_array_equal(*(e.evaluate(table.batch, seed=0).metrics["cycles"] for e in (one, two)))
    save(path, RECIPE.model_copy(update={"members": 1}), Ensemble(tiny().model.members[:1]), tiny().learned, {})
    assert transformer_h(VIEW, str(path)).version != surrogate.version
    few = RECIPE.model_copy(update={"metrics": ["cycles"]})
    with pytest.raises(InputError, match="predicts cycles"):
        TransformerHSurrogate(replace(tiny(), recipe=few), VIEW)


def test_nothing_heavy_until_it_is_used() -> None:
    """Importing the surrogate loads no torch."""
    code = "import sys, cost_model.surrogates.transformer_h.surrogate; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
