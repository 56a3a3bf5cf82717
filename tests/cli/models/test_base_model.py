"""A causal model from elsewhere from the command line: trained, asked, searched with and scored, and bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cost_model.training.trainer import MODEL
from main import main
from tests.cost_model.surrogates.lm.small_base import RECIPE_OF_BASE, write_base

LONGER = {"number_steps": 40, "number_rate": 0.01, "steps": 20, "check": 20, "validation": ["dot"]}
GEMM = ["--kernel", "config/kernels/gemm.c"]


pytestmark = pytest.mark.usefixtures("at_root")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model that is built upon."""
    return write_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def training(data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What all trainings are called with, but for the base; long enough for cycles to be no longer 0."""
    recipe = tmp_path_factory.mktemp("recipe") / "recipe.json"
    recipe.write_text(json.dumps(RECIPE_OF_BASE.model_dump() | LONGER))
    return ["--execution-type", "train", "--data", str(data), "--recipe", str(recipe)]


@pytest.fixture(scope="module")
def model(training: list[str], base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained by the command line."""
    out = tmp_path_factory.mktemp("trained")
    given = ["--base-model", str(base), "--quiet", "--dse-output-dir", str(out)]
    assert main([*training, *given]) == 0
    return out / MODEL


def test_predict(model: Path, base: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """One design's prediction; nothing of transformers' own talk."""
    asked = ["--execution-type", "predict", *GEMM, "--checkpoint", str(model), "--base-model", str(base)]
    assert main([*asked, "--set", "PARA_ROW=8", "--dse-output-dir", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "prediction.json").read_text())
    assert all(said["interval"][0] <= said["median"] for said in found["metrics"].values())
    assert capfd.readouterr().err == ""


def test_search_and_scores(data: Path, model: Path, base: Path, tmp_path: Path) -> None:
    """A search by the model, and its scores."""
    by = ["--evaluator", "lm", "--checkpoint", str(model), "--base-model", str(base), "--quiet", "--report", "none"]
    effort = ["--population-num-per-generation", "8", "--num-generations", "1"]
    assert main(["--space", "hls", *GEMM, *by, *effort, "--dse-output-dir", str(tmp_path / "run")]) == 0
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["candidates"] == 8
    scores = ["--execution-type", "evaluate", *by, "--data", str(data), "--kernels", "scale", "--labels", "0"]
    assert main([*scores, "--dse-output-dir", str(tmp_path / "scores")]) == 0
    found = json.loads((tmp_path / "scores" / "metrics.json").read_text())
    assert found["labels=0"]["cycles"]["pass_at_5"] is not None


def test_bases_that_do_not_fit(
    training: list[str], model: Path, base: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Another base, none, one for a model that has its own, and a folder that is none: one line each."""
    other = write_base(tmp_path / "other", "qwen2")
    asked = ["--execution-type", "predict", *GEMM]
    cases = [
        ([*asked, "--checkpoint", str(model), "--base-model", str(other)], "trained on base"),
        ([*asked, "--checkpoint", str(model)], "--base-model"),
        ([*asked, "--base-model", str(base)], "--base-model"),
        ([*training, "--base-model", "config"], "lacks"),
        (training, "--base-model"),
    ]
    capfd.readouterr()
    for given, said in cases:
        assert main([*given, "--dse-output-dir", str(tmp_path / "out")]) == 2
        error = capfd.readouterr().err
        assert said in error and len(error.splitlines()) == 1
