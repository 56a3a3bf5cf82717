"""The command `evaluate`, whole: a data set in, a table and metrics.json out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cost_model.corpus.leaks import apart
from cost_model.hls.constants import HlsConstants
from cost_model.hls.estimator import Estimator
from cost_model.surrogates.function_evaluator import FunctionEvaluator
from cost_model.surrogates.tables.transfer import BASELINES, baselines
from cost_model.views.hls.view import HlsView
from design.conformance.evaluator import check_evaluator, check_spoiled
from design.contracts import ANALYTIC, Dataset, Evaluator, Task, TrainingSet
from design.core import Batch, Floats
from design.errors import InputError
from design.hls.task import hls_task, hls_task_of
from design.metrics import HLS_METRICS
from dse.commands.evaluate import evaluate_as
from dse.options import read_settings
from dse.studies.hls.learning import read_judged, training_programs
from dse.studies.surrogates import SURROGATES
from evaluators.scoring.figures import FIELDS
from frontends.hls_results.tables import read_results
from tests.cases_hls import DOT, dot_designs, scale_designs, scale_source, usual, write_data


class Estimated:
    """The analytic estimate, unfitted."""

    name, version = "estimate", "unfitted"
    trained_on = TrainingSet(frozenset({"twice"}))

    def condition(self, task: Task, labels: Dataset | None, *, seed: int) -> Evaluator:
        """See `Surrogate`."""

        def answer(batch: Batch) -> dict[str, Floats]:
            return Estimator(hls_task(task).kernel, HlsConstants()).estimate(batch.columns)

        evaluator = FunctionEvaluator(self.name, self.version, task, HlsView(), answer, validity=False)
        evaluator.fidelity = ANALYTIC
        return evaluator


@pytest.fixture(autouse=True)
def _unfitted(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is scored where nothing is named."""
    monkeypatch.setitem(SURROGATES, "estimate", lambda domain: Estimated())


def run(data: Path, out: Path, kernels: list[str] | None, **more: str) -> dict[str, Any]:
    """The file that a run writes. `more` are options, with underscores."""
    said = {"seed": "1", "tool-version": "v18", "data": str(data), "report": "none", "quiet": "true"}
    said |= {"execution-type": "evaluate"} | ({} if kernels is None else {"kernels": ",".join(kernels)})
    said |= {name.replace("_", "-"): text for name, text in more.items()}
    assert evaluate_as(read_settings({name: (f"--{name}", text) for name, text in said.items()}), out) == 0
    text = (out / "metrics.json").read_text()
    found: dict[str, Any] = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    return found


def test_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The shape of the file, the table on the terminal, and the same figures from the same seed."""
    data = usual(tmp_path / "data")
    found = run(data, tmp_path / "out", ["scale", "twice", "dot"], quiet="false")
    said = capsys.readouterr().out
    for word in ("low fidelity", "Skipped dot: 27 of 27", "twice", "No baselines", "RMSE(y)", "Not unseen"):
        assert word in said, word
    assert found["seen"] == ["twice"] and list(found["skipped"]) == ["dot"]
    assert found["seeds"] == {"labels=0": [1], "labels=20": [1, 2, 3]} and found["fidelity"] == 0
    assert found["baselines"] is None and "no design with cycles" in found["baselines_absent"]  # all families asked
    assert list(found["labels=0"]["kernels"]) == ["scale", "twice"]
    assert found["labels=0"]["valid"] == {"f1": None} and found["labels=0"]["cycles"]["pass_at_5"] is None
    found = run(data, tmp_path / "out", ["scale"], quiet="false")
    said = capsys.readouterr().out
    assert all(name in said for name in BASELINES) and "Not unseen" not in said and "Skipped" not in said
    assert set(found["baselines"]) == set(BASELINES) and found["baselines_fitted_on"] == ["dot", "twice"]
    for table in (found, *found["baselines"].values()):
        for heading in ("labels=0", "labels=20"):
            block = table[heading]
            assert set(block) == {*HLS_METRICS, "valid", "kernels"} and set(block["kernels"]) == {"scale"}
            for metric in HLS_METRICS:
                assert set(block[metric]) == set(FIELDS) and block[metric]["rmse_y"] > 0
                assert block["kernels"]["scale"][metric] == block[metric]
    assert found["baselines"]["extra-trees"]["labels=20"]["cycles"]["pass_at_5"] is None
    for rival in found["baselines"].values():  # their intervals come from labels
        assert rival["labels=0"]["cycles"]["coverage_90"] is None and rival["labels=20"]["cycles"]["width_90"] > 0
        assert 0.6 < rival["labels=20"]["cycles"]["coverage_90"] <= 1
    assert set(found["digits"]) == set(found["ranks"]) == {"estimate", *BASELINES}
    for digits in found["digits"].values():
        right = digits["labels=20"]["cycles"]["right"]
        assert (
            len(right) == 4
            and right == sorted(right, reverse=True)
            and digits["labels=20"]["cycles"]["pass_at_5"] is None
        )
    assert found["distance"]["scale"]["nearest"] == "twice" and {"digits", "ranks", "distance"} <= set(found["units"])
    assert run(data, tmp_path / "again", ["scale"]) == found and not capsys.readouterr().out
    assert run(data, tmp_path / "other", ["scale"], seed="2")["labels=20"] != found["labels=20"]


def test_training_data_from_elsewhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Only what shares no family and no content with a judged kernel is learned from."""
    data = write_data(tmp_path / "data", {"scale_kernel.c": scale_source()}, {"v18/scale": scale_designs()})
    found = run(data, tmp_path / "out", ["scale"], quiet="false", report="full")
    assert found["baselines"] is None and found["baselines_fitted_on"] == [] and found["distance"] == {"scale": None}
    assert "No distances to training kernels" in capsys.readouterr().out
    pictures = {f"{name}.{suffix}" for name in ("agreement", "digits") for suffix in ("png", "svg")}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"metrics.json", *pictures}  # nobody has intervals
    sources = {"copy_kernel.c": scale_source(), "scale-b_kernel.c": scale_source(32), "dot_kernel.c": DOT}
    designs = {"v18/copy": scale_designs(), "v18/scale-b": scale_designs(32), "v20/dot": dot_designs()}
    other = write_data(tmp_path / "other", sources, designs)
    found = run(data, tmp_path / "out", ["scale"], train_data=str(other))
    assert found["baselines_fitted_on"] == ["dot"]
    # The copy, had it been learned from, would have taught the answers.
    assert found["baselines"]["extra-trees"]["labels=0"]["cycles"]["rmse_y"] > 0.2
    judged = read_judged(data, "v18", ["scale"], (0,), other)
    assert [t.task.name for t in apart(judged.training, judged.tables)] == ["dot"]


def test_what_cannot_be_judged(tmp_path: Path) -> None:
    """No kernel of the test families, none with enough designs, no such tool version, a place that is a file."""
    data = usual(tmp_path / "data")
    for kernels, tool, words in (
        (None, "v18", "bicg"),
        (["dot"], "v18", "27 of 27"),
        (["dot"], "v20", "no results of v20"),
    ):
        with pytest.raises(InputError, match=words):
            run(data, tmp_path / "out", kernels, tool_version=tool)
    with pytest.raises(InputError, match="v18, v20"):
        read_judged(data, "v19", ["scale"], (0, 20), None)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="writable directory"):
        run(data, tmp_path / "file", ["scale"])


def test_test_families_are_the_default(tmp_path: Path) -> None:
    """Those of them that are there; a kernel of theirs that was not asked for teaches nothing."""
    sources = {name: scale_source(size) for name, size in (("bicg_kernel.c", 64), ("bicg-large_kernel.c", 128))}
    sources |= {"dot_kernel.c": DOT}
    designs = {"v18/bicg": scale_designs(), "v18/bicg-large": scale_designs(128), "v18/dot": dot_designs()}
    data = write_data(tmp_path / "data", sources, designs)
    judged = read_judged(data, "v18", None, (0,), None)
    assert [t.task.name for t in judged.tables] == ["bicg", "bicg-large"]
    assert [t.task.name for t in judged.training] == ["dot"]
    judged = read_judged(data, "v18", ["bicg"], (0,), None)
    assert [t.task.name for t in judged.tables] == ["bicg"] and [t.task.name for t in judged.training] == ["dot"]
    assert list(training_programs(data, judged.training)) == ["dot"]
    judged = read_judged(data, "v18", ["dot", "bicg"], (0,), None)
    assert not judged.training
    assert list(training_programs(data, judged.training)) == ["dot"]  # to learn from elsewhere, though not here


def test_baselines_are_evaluators(tmp_path: Path) -> None:
    """They keep to the contract, with labels and without, and say what they learned from."""
    data = usual(tmp_path)
    tables = [t for tool in ("v18", "v20") for t in read_results(data, tool)]
    judged = [t for t in tables if t.task.name == "twice" and hls_task_of(t).target.tool == "v20"]
    table = judged[0]
    for surrogate in baselines(tables, judged, HlsView(), 0):
        known = surrogate.trained_on
        assert known.families == {"scale", "dot"} and not known.contains("twice", "")
        assert known.contains("scale", "") and known.contains("", tables[0].task.digest)
        for labels in (None, table):
            evaluator = surrogate.condition(table.task, labels, seed=3)
            check_evaluator(evaluator, table.batch.take(np.arange(12)), intervals=False, pickled=False)
            for spoiled in ({"P0": 3}, {"P0": -1}, {"T0": 0}, {"U1": -8}):
                check_spoiled(evaluator, table.batch.take(np.arange(5)), spoiled)
