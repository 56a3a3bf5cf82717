"""Language models from the command line: training, going on, asking, searching, scoring, and bad input."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from cost_model.corpus.split import read_split
from cost_model.surrogates.checkpoints import LANGUAGE_MODEL, language_model, with_intervals
from cost_model.surrogates.conformal.prior import POINTS, Prior, Shape
from cost_model.surrogates.conformal.store import read_prior, write_prior
from cost_model.training.models import load, read_recipe
from cost_model.training.trainer import MODEL, STATE
from cost_model.views.hls.view import HlsView
from dse.studies.hls.train import CARD
from main import main
from tests.cases import ROOT
from tests.cost_model.surrogates.lm.small import RECIPE

GEMM = ["--kernel", "config/kernels/gemm.c"]
PREDICT = ["--execution-type", "predict", *GEMM]
VIEW = HlsView()


pytestmark = pytest.mark.usefixtures("at_root")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of a minute's fraction; one family is held back."""
    path = tmp_path_factory.mktemp("recipe") / "recipe.json"
    path.write_text(json.dumps(RECIPE.model_dump() | {"validation": ["dot"]}))
    return path


def train(data: Path, recipe: Path, out: Path, *more: str) -> int:
    """Exit code of a training."""
    given = ["--data", str(data), "--recipe", str(recipe), "--dse-output-dir", str(out), *more]
    return main(["--execution-type", "train", *given])


@pytest.fixture(scope="module")
def model(data: Path, recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained by the command line."""
    out = tmp_path_factory.mktemp("trained")
    assert train(data, recipe, out, "--quiet") == 0
    return out / MODEL


def test_train(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Leaves the model, the card of its data and the scores of the family held back."""
    facts = json.loads((model.parent / "training.json").read_text())
    assert facts["steps"] == 8 and [step for step, _ in facts["scores"]] == [6, 8]
    assert facts["validation"] == min(score for _, score in facts["scores"])
    assert "dot" in (model.parent / CARD).read_text()


def test_train_goes_on(
    data: Path, recipe: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the state of fewer steps to the same model, bit for bit; a finished training stays as it is."""
    before = model.read_bytes()
    assert train(data, recipe, model.parent, "--resume") == 0
    assert model.read_bytes() == before
    assert train(data, recipe, tmp_path / "again") == 0
    assert (tmp_path / "again" / MODEL).read_bytes() == before
    assert "step 8/8" in capsys.readouterr().err


def test_predict(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Median, interval, confidence of each digit, validity; the same in the file."""
    chosen = ["--set", "PIPE_COLUMN=flatten,PARA_ROW=8", "--checkpoint", str(model)]
    assert main([*PREDICT, *chosen, "--dse-output-dir", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    found = json.loads((tmp_path / "prediction.json").read_text())
    assert "PIPE_COLUMN=flatten" in found["design"] and "PARA_ROW=8" in found["design"] and "TILE_ROW=1" in out
    for metric, said in found["metrics"].items():
        low, high = said["interval"]
        assert low <= said["median"] <= high and metric in out and len(said["samples"]) == 5
        assert all(0 <= share <= 1 for _, share in said["digits"]) and len(said["digits"]) == 4
    assert f"valid with probability {found['valid_probability']:.0%}" in out


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--set", "PARA_ROW=8,PARA_ROW=4"], "twice"),
        (["--set", "PARA_NOWHERE=8"], "names no parameter"),
        (["--set", "PARA_ROW"], "names no parameter"),
        (["--set", "PARA_ROW=1000"], "PARA_ROW"),
        (["--set", "PARA_ROW=-1"], "PARA_ROW"),
        (["--set", "PIPE_ROW=sometimes"], "PIPE_ROW"),
        (["--kernel", "nowhere.c"], "nowhere.c"),
        (["--checkpoint", "README.md"], "README.md"),
    ],
)
def test_bad_questions(
    given: list[str], said: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, exit code 2, nothing written."""
    out = tmp_path / "out"
    assert main([*PREDICT, "--checkpoint", str(model), "--dse-output-dir", str(out), *given]) == 2
    error = capsys.readouterr().err
    assert said in error and len(error.splitlines()) == 1 and not out.exists()


def test_a_kernel_that_is_too_long(
    data: Path, recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """More tokens than the model's context: one line."""
    small = tmp_path / "small.json"
    small.write_text(json.dumps(json.loads(recipe.read_text()) | {"context": 260}))
    assert train(data, small, tmp_path / "out", "--quiet") == 0
    lines = "\n".join(f"      c[r][s] += a[r][{i}] * b[{i}][s];" for i in range(40))
    source = (ROOT / "config/kernels/gemm.c").read_text().replace("      c[r][s] = total;", lines)
    (tmp_path / "long.c").write_text(source)
    asked = [*PREDICT, "--kernel", str(tmp_path / "long.c"), "--checkpoint", str(tmp_path / "out" / MODEL)]
    assert main([*asked, "--dse-output-dir", str(tmp_path / "said")]) == 2
    error = capsys.readouterr().err
    assert "tokens" in error and "260" in error and len(error.splitlines()) == 1


def test_bad_training(data: Path, recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No data, none left, another state, a validation family that is not there: one line each."""
    odd = tmp_path / "odd.json"
    odd.write_text(json.dumps(json.loads(recipe.read_text()) | {"validation": ["nowhere"]}))
    many, other = tmp_path / "many.json", tmp_path / "other.json"
    many.write_text(json.dumps(json.loads(recipe.read_text()) | {"prior_parts": 9}))
    other.write_text('{"model": "forest"}')
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / STATE).write_bytes(b"junk")
    kept = ["--execution-type", "train", "--data", str(data), "--recipe", str(recipe)]
    cases = [
        (["--execution-type", "train", "--dse-output-dir", str(tmp_path / "a")], "--data"),
        (["--execution-type", "train", "--data", "README.md"], "README.md"),
        (["--execution-type", "train", "--data", str(data), "--recipe", str(odd)], "nowhere"),
        (["--execution-type", "train", "--data", str(data), "--recipe", "README.md"], "README.md"),
        (["--execution-type", "train", "--data", str(data), "--recipe", str(many)], "prior_parts"),
        (["--execution-type", "train", "--data", str(data), "--recipe", str(other)], "one of lm, transformer-h"),
        ([*kept, "--resume", "--dse-output-dir", str(tmp_path / "out")], "damaged"),
    ]
    for given, said in cases:
        assert main(given) == 2
        error = capsys.readouterr().err
        assert said in error and len(error.splitlines()) == 1


def test_search_and_scores(data: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A search by the model, and its scores beside the baselines'."""
    search = ["--space", "hls", *GEMM, "--evaluator", "lm", "--checkpoint", str(model)]
    effort = [
        "--population-num-per-generation",
        "32",
        "--num-generations",
        "2",
        "--dse-output-dir",
        str(tmp_path / "run"),
    ]
    assert main([*search, *effort]) == 0
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["candidates"] == 64
    scores = ["--execution-type", "evaluate", "--evaluator", "lm", "--checkpoint", str(model), "--data", str(data)]
    named = ["--kernels", "scale", "--labels", "0,20", "--report", "none", "--quiet"]
    assert main([*scores, *named, "--dse-output-dir", str(tmp_path / "scores")]) == 0
    found = json.loads((tmp_path / "scores" / "metrics.json").read_text())
    assert found["evaluator"] == "lm" and found["seen"] == ["scale"]
    for labels in ("labels=0", "labels=20"):
        assert found[labels]["cycles"]["pass_at_5"] is not None and found[labels]["cycles"]["coverage_90"] is not None


def test_labels_that_are_asked_for(data: Path, model: Path, tmp_path: Path) -> None:
    """Another choice of labels gives other scores, and the file says which it was."""
    given = ["--execution-type", "evaluate", "--data", str(data), "--kernels", "scale", "--labels", "20"]
    scores = {}
    for choice in ("random", "asked"):
        out = tmp_path / choice
        assert (
            main([*given, "--label-choice", choice, "--report", "none", "--quiet", "--dse-output-dir", str(out)]) == 0
        )
        found = json.loads((out / "metrics.json").read_text())
        assert found["label_choice"] == choice
        scores[choice] = found["labels=20"]["cycles"]
    assert scores["random"] != scores["asked"]


def test_a_prior_beside_the_checkpoint(
    data: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It makes the intervals; a damaged one is one line."""
    copy, beside = tmp_path / "model.safetensors", tmp_path / "model.prior.json"
    shutil.copy(model, copy)
    asked = [*PREDICT, "--set", "PARA_ROW=8", "--checkpoint", str(copy), "--dse-output-dir", str(tmp_path / "said")]
    widths = []
    for half in (0.0, 0.01, 2.0):
        if half:
            shapes = {0: {"cycles": Shape(half, (1.0,) * POINTS, 60)}}
            write_prior(Prior("lm, normalised", frozenset({"dot"}), frozenset({"abc"}), shapes), beside)
        assert main([*asked, "--quiet"]) == 0
        low, high = json.loads((tmp_path / "said" / "prediction.json").read_text())["metrics"]["cycles"]["interval"]
        widths.append(high / low)
    assert widths[1] < widths[2] and widths[0] not in widths[1:]
    beside.write_text("{}")
    assert main(asked) == 2
    error = capsys.readouterr().err
    assert "prior.json" in error and len(error.splitlines()) == 1


def test_a_prior_by_training(
    data: Path, recipe: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The recipe's parts make it, beside the same model as without; it is gone with the next model that has none."""
    parts, out = tmp_path / "parts.json", tmp_path / "out"
    parts.write_text(json.dumps(json.loads(recipe.read_text()) | {"prior_parts": 3}))
    assert train(data, parts, out) == 0
    said, beside = capsys.readouterr(), out / "model.prior.json"
    assert str(beside) in said.out and "part 1 of 3: without " in said.err and "step 8/8" in said.err
    prior = read_prior(beside)
    assert prior.families == {"scale", "twice"} and set(prior.shapes) == {20} and prior.who == "lm, normalised"
    weights = [load(path, "lm").digest for path in (out / MODEL, model)]
    assert weights[0] == weights[1]
    before = beside.read_bytes()
    beside.unlink()
    assert train(data, parts, out, "--resume", "--quiet") == 0 and beside.read_bytes() == before
    assert with_intervals(language_model(VIEW, str(out / MODEL)), VIEW, str(out / MODEL)).prior == prior
    assert train(data, recipe, out, "--quiet") == 0 and not beside.exists()


def test_the_shipped_model() -> None:
    """It was made by the shipped recipe, small, and neither it nor its prior has seen a held-out family."""
    model = language_model(VIEW, None, None)
    assert model.checkpoint.recipe == read_recipe(Path("config/lm/tiny.json"))
    assert LANGUAGE_MODEL.stat().st_size <= 20e6
    prior = with_intervals(model, VIEW, None).prior
    assert prior is not None and set(prior.shapes) == {20}
    held = set(read_split().families)
    assert held and not held & (set(model.checkpoint.learned.families) | prior.families)
    assert prior.families <= set(model.checkpoint.learned.families)
