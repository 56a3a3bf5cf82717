"""Transformer-H from the command line: training, going on, asking, scoring with a prior and without, and bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cost_model.training.models import load
from cost_model.training.trainer import MODEL
from dse.studies.hls.train import CARD
from main import main
from tests.cost_model.training.small import RECIPES

BY = ["--evaluator", "transformer-h"]

pytestmark = pytest.mark.usefixtures("at_root")


def train(data: Path, out: Path, *more: str, **changed: Any) -> int:
    """Exit code of a training by the small recipe, with some fields changed."""
    recipe = out.parent / "recipe.json"
    recipe.write_text(json.dumps(RECIPES["transformer-h"].model_dump() | changed))
    given = ["--data", str(data), "--recipe", str(recipe), "--dse-output-dir", str(out), *more]
    return main(["--execution-type", "train", *given])


@pytest.fixture(scope="module")
def model(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained by the command line, with a prior."""
    out = tmp_path_factory.mktemp("trained") / "out"
    assert train(data, out, "--quiet", prior_parts=3) == 0
    return out / MODEL


def test_train(data: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Progress in lines, a model that can be read, the card of its data, what each member scored; the same again, and
    where it goes on."""
    found = load(model, "transformer-h")
    assert found.learned.families == ("dot", "scale", "twice") and len(found.model.members) == 2
    facts = json.loads((model.parent / "training.json").read_text())
    assert [one["steps"] for one in facts["members"]] == [8, 8] and facts["weights"] == found.digest
    assert all(one["validation"] == min(score for _, score in one["scores"]) for one in facts["members"])
    assert "dot" in (model.parent / CARD).read_text()
    assert train(data, tmp_path / "again") == 0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 8 and lines[0].startswith("member 1 of 2, without dot: step 2/8: loss ")
    assert all("RMSE(y) of held-back families" in line for line in lines) and "member 2 of 2" in lines[-1]
    assert load(tmp_path / "again" / MODEL, "transformer-h").digest == found.digest
    whole = (tmp_path / "again" / MODEL).read_bytes()
    assert train(data, tmp_path / "again", "--resume") == 0 and (tmp_path / "again" / MODEL).read_bytes() == whole
    assert capsys.readouterr().err == ""


def test_members_hold_back_other_families(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the recipe names none."""
    assert train(data, tmp_path / "out", validation=[], members=3, steps=2) == 0
    lines = capsys.readouterr().err.splitlines()
    assert {line.split("without ")[1].split(":")[0] for line in lines} == {"dot", "scale", "twice"}


def test_intervals_by_the_prior(data: Path, model: Path, tmp_path: Path) -> None:
    """Scored with intervals that labels and the prior beside the model make; without it there are none. Five kernels
    are too few to state 90 % without labels."""
    scores = ["--execution-type", "evaluate", *BY, "--checkpoint", str(model), "--data", str(data)]
    prior, aside = model.with_suffix(".prior.json"), tmp_path / "aside.json"
    found = {}
    for name in ("with", "without"):
        named = ["--kernels", "scale", "--labels", "0,20", "--report", "none", "--quiet"]
        assert main([*scores, *named, "--dse-output-dir", str(tmp_path / name)]) == 0
        found[name] = json.loads((tmp_path / name / "metrics.json").read_text())
        assert found[name]["seen"] == ["scale"]
        (prior if prior.exists() else aside).rename(aside if prior.exists() else prior)
    assert prior.exists()
    for labels in ("labels=0", "labels=20"):
        one, other = (found[name][labels]["cycles"] for name in ("with", "without"))
        assert one["rmse_y"] == other["rmse_y"] and other["coverage_90"] is None
        assert (one["coverage_90"] is None) == (labels == "labels=0")


def test_one_design(model: Path, tmp_path: Path) -> None:
    """What the model says of it, in a file."""
    asked = ["--execution-type", "predict", *BY, "--kernel", "config/kernels/gemm.c", "--checkpoint", str(model)]
    assert main([*asked, "--quiet", "--dse-output-dir", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "prediction.json").read_text())
    assert found["metrics"]["cycles"]["median"] > 0 and found["by"].startswith("transformer-h/1-")


def test_bad_training(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A recipe that cannot be, families that are not there or all held back, a base: one line each."""
    (tmp_path / "file").write_text("")
    cases: list[tuple[dict[str, Any], list[str], str]] = [
        ({"members": 0}, [], "members"),
        ({"seed": -1}, [], "seed"),
        ({"validation": ["nobody"]}, [], "nobody"),
        ({"validation": ["dot", "scale", "twice"]}, [], "some but not all"),
        ({"metrics": ["cycles", "power"]}, [], "power"),
        ({"prior_parts": 9}, [], "prior_parts"),
        ({}, ["--base-model", "config"], "--base-model"),
        ({}, ["--dse-output-dir", str(tmp_path / "file" / "below")], "cannot be written"),
    ]
    for changed, more, said in cases:
        assert train(data, tmp_path / "out", *more, **changed) == 2
        error = capsys.readouterr().err
        assert said in error and len(error.splitlines()) == 1
    assert main(["--execution-type", "train", "--data", str(tmp_path / "no"), "--recipe", "README.md"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
