"""`--augmentation` of `--execution-type train`: what the model learned from, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cost_model.training.models import load
from cost_model.training.trainer import MODEL
from dse.studies.hls.train import CARD
from main import main
from tests.cases_hls import DOT, entry, scale_source, write_data
from tests.cost_model.corpus.acquired_cases import changed, kernel_of, label_of, labels_of, written
from tests.cost_model.surrogates.lm.small import RECIPE

pytestmark = pytest.mark.usefixtures("at_root")

SOURCE = scale_source(80).replace("scale", "thrice")
COPY = DOT.replace("256", "250").replace("sum", "total").replace("left", "a").replace("dot", "product")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of a minute's fraction; nothing is held back."""
    path = tmp_path_factory.mktemp("recipe") / "recipe.json"
    path.write_text(json.dumps(RECIPE.model_dump() | {"validation": []}))
    return path


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """Of a kernel that the data set lacks."""
    return written(tmp_path / "bought.json", labels_of(kernel_of(SOURCE), range(30)), SOURCE)


def train(data: Path, recipe: Path, out: Path, *more: str) -> int:
    """Exit code of a training."""
    given = ["--data", str(data), "--recipe", str(recipe), "--dse-output-dir", str(out), "--quiet", *more]
    return main(["--execution-type", "train", *given])


def test_learned_from(
    data: Path, recipe: Path, labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The checkpoint says so, and so does the card; without the file neither; going on is with the same files only."""
    again = written(tmp_path / "more.json", [label_of(kernel_of(SOURCE), entry(ODD, 70.0))], SOURCE)
    files = f"{labels},{again}"
    assert train(data, recipe, tmp_path / "with", "--augmentation", files) == 0
    assert train(data, recipe, tmp_path / "without") == 0
    found, plain = load(tmp_path / "with" / MODEL, "lm").learned, load(tmp_path / "without" / MODEL, "lm").learned
    digest = kernel_of(SOURCE).digest
    assert set(found.digests) - set(plain.digests) == {digest} and found.corpus != plain.corpus
    assert set(found.families) - set(plain.families) == {"thrice"}
    card = (tmp_path / "with" / CARD).read_text()
    assert f"{labels}: 30 designs of thrice (v18), said by recorded-v18/01ab" in card and str(again) in card
    assert digest in card and digest not in (tmp_path / "without" / CARD).read_text()
    assert train(data, recipe, tmp_path / "with", "--augmentation", files, "--resume") == 0
    capsys.readouterr()
    assert train(data, recipe, tmp_path / "with", "--resume") == 2
    error = capsys.readouterr().err
    assert "is of another corpus" in error and len(error.splitlines()) == 1


ODD = {"P0": "", "T0": 4, "U0": 8, "U1": 8}


def test_refused(data: Path, recipe: Path, labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A held-out kernel under another name, another answer, damage, no file: one line that names the file, exit code 2,
    and nothing written."""
    (tmp_path / "set").mkdir()
    held = write_data(
        tmp_path / "set", {"bicg_kernel.c": DOT.replace("256", "250"), "scale_kernel.c": scale_source()}, {}
    )
    (held / "designs").symlink_to(data / "designs")
    for source in ("scale-large_kernel.c", "twice_kernel.c", "dot_of_two_kernel.c"):
        (held / "sources" / source).symlink_to(data / "sources" / source)
    kernel = kernel_of(COPY)
    copy = written(tmp_path / "copy.json", [label_of(kernel, entry({"PIPE": "off", "PARA": 2}, 50.0))], COPY)
    other = changed(
        written(tmp_path / "other.json", labels_of(kernel_of(), [0])), lambda c: c["labels"][0].update(cycles=5)
    )
    damaged = tmp_path / "damaged.json"
    damaged.write_text(labels.read_text()[:-40])
    cases = [
        (f"{labels},{copy}", "copy.json): is a copy of the held-out kernel bicg"),
        (f"{labels},{other}", "other.json, design P0=off"),
        (str(damaged), "damaged.json: is not JSON"),
        (str(tmp_path / "nowhere.json"), "nowhere.json: cannot be read"),
        (f"{labels},{labels}", "repeats a value"),
    ]
    for given, said in cases:
        assert train(held, recipe, tmp_path / "out", "--augmentation", given) == 2
        error = capsys.readouterr().err
        assert said in error and len(error.splitlines()) == 1 and not (tmp_path / "out").exists()
