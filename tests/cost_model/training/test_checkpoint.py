"""Checkpoints of both kinds of models: what was written comes back, what is unsound is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cost_model.surrogates.checkpoints import LANGUAGE_MODEL, TRANSFORMER_H, language_model, transformer_h
from cost_model.training.checkpoint import (
    SIGNATURE,
    Learned,
    digest_of,
    read_tensors,
    save,
    signature,
    write_tensors,
)
from cost_model.training.models import load, read_recipe
from design.core import Batch
from design.errors import InputError
from design.hls.design import TARGETS
from design.hls.task import HlsTask
from frontends.c_kernel import parse_kernel
from tests.cases import ROOT
from tests.cost_model.surrogates.tiny_transformer_h import RECIPE as TINY
from tests.cost_model.surrogates.tiny_transformer_h import tiny, tiny_tables
from tests.cost_model.training.small import RECIPES, VIEW, begun, shortened

GOLDEN = Path(__file__).parent / "golden" / "transformer_h.json"


@pytest.mark.parametrize("kind", RECIPES)
def test_checkpoint(kind: str, tmp_path: Path) -> None:
    """What is saved is what is loaded, and it says what it learned from."""
    path, model = tmp_path / "deep" / "model.safetensors", begun(kind)
    made = save(path, RECIPES[kind], model, Learned(("gemm",), ("abc",), "hash"), {"steps": 8})
    torch.manual_seed(2)
    found = load(path, kind)
    assert found.digest == made.digest == digest_of(found.model.kept()) and found.recipe == RECIPES[kind]
    assert found.learned == Learned(("gemm",), ("abc",), "hash") and found.facts == {"steps": 8}
    assert not any(module.training for module in modules(found.model))
    assert list(path.parent.iterdir()) == [path]


def modules(model: Any) -> list[torch.nn.Module]:
    """All of a model's."""
    return [model] if isinstance(model, torch.nn.Module) else [member.model for member in model.members]


def test_answers_come_back(tmp_path: Path) -> None:
    """A trained Transformer-H says the same from its file, and who was seen."""
    path = tmp_path / "tiny.safetensors"
    save(path, TINY, tiny().model, tiny().learned, {})
    found = load(path, "transformer-h")
    assert found.learned == tiny().learned and found.digest == tiny().digest != ""
    assert found.learned.families == ("dot", "scale", "twice") and len(found.learned.digests) == 4
    table = tiny_tables()[0]
    one, two = (made.model.of(table.task).predict(table.batch.columns) for made in (tiny(), found))
    np.testing.assert_array_equal(one.y, two.y)
    np.testing.assert_array_equal(one.valid, two.valid)


CHANGES = {
    "another prompt": (b'\\"prompt\\": 1', b'\\"prompt\\": 9'),
    "another view": (b'\\"view\\": \\"', b'\\"view\\": \\"0'),
    "another format": (b'\\"format\\": 2', b'\\"format\\": 9'),
    "another recipe": (b'\\"layers\\": 2', b'\\"layers\\": 3'),
    "another model": (b'\\"model\\": \\"', b'\\"model\\": \\"x'),
    "other families": (b'\\"families\\": [\\"gemm', b'\\"families\\": [\\"gemn'),
}


def _spoilt(path: Path, how: str) -> None:
    whole = path.read_bytes()
    if how == "truncated":
        shortened(path)
    elif how == "tampered":
        path.write_bytes(whole[:-8] + b"\1" * 8)
    elif how == "no checkpoint":
        path.write_bytes(b"MZ" + whole[2:])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "missing":
        path.unlink()
    else:
        old, new = CHANGES[how]
        at = whole.index(old)
        path.write_bytes(whole[:at] + new + whole[at + len(new) :])
    assert not path.exists() or path.read_bytes() != whole


@pytest.mark.parametrize(
    ("kind", "how", "said"),
    [
        (kind, how, said)
        for kind in RECIPES
        for how, said in (
            ("truncated", "no safetensors file"),
            ("tampered", "differ from its card"),
            ("no checkpoint", "no safetensors file"),
            ("empty", "no safetensors file"),
            ("another prompt" if kind == "lm" else "another view", "prompt version 9|view version 0"),
            ("another format", "format 9"),
            ("another recipe", "other names or shapes"),
            ("another model", "has model x"),
            ("other families", "was altered"),
            ("missing", "does not exist|cannot be read|No such"),
        )
    ],
)
def test_spoilt_checkpoints(kind: str, how: str, said: str, tmp_path: Path) -> None:
    """One line that names the file."""
    path = tmp_path / "model.safetensors"
    save(path, RECIPES[kind], begun(kind), Learned(("gemm",)), {})
    _spoilt(path, how)
    with pytest.raises(InputError, match=said) as error:
        load(path, kind)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("kind", RECIPES)
def test_well_signed_nonsense_is_refused(kind: str, tmp_path: Path) -> None:
    """A card with right digests but of another model is refused as well."""
    path = tmp_path / "model.safetensors"
    save(path, RECIPES[kind], begun(kind), Learned(("gemm",)), {})
    card, tensors = read_tensors(path, "")
    name = next(name for name, tensor in tensors.items() if tensor.dtype == torch.float32)
    recipe, odd = card["recipe"], torch.full_like(tensors[name], torch.nan)
    without = {other: tensor for other, tensor in tensors.items() if other != name}
    cases: list[tuple[dict[str, Any], dict[str, torch.Tensor], str]] = [
        ({"recipe": recipe | {"width": 2 * recipe["width"]}}, tensors, "names or shapes"),
        ({"recipe": recipe | {"heads": 0}}, tensors, "field 'heads'"),
        ({"recipe": recipe | {"heads": 3}}, tensors, "multiple"),
        ({"recipe": {**recipe, "more": 1}}, tensors, "field 'more'"),
        ({"recipe": None}, tensors, "field 'recipe'"),
        ({"families": "gemm"}, tensors, "no lists of texts"),
        ({"digests": [1]}, tensors, "no lists of texts"),
        ({}, {}, "names or shapes"),
        ({}, without, "names or shapes"),
        ({}, without | {name: tensors[name].double() + 1}, "names or shapes"),
        ({}, without | {name: tensors[name].half()}, "another type"),
        ({}, without | {name: odd}, "no number"),
    ]
    for changed, weights, said in cases:
        new = card | changed | {"weights": digest_of(weights)}
        write_tensors(path, weights, new | {SIGNATURE: signature(new)})
        with pytest.raises(InputError, match=said) as error:
            load(path, kind)
        assert str(path) in str(error.value) and "\n" not in str(error.value)
    write_tensors(path, tensors, {name: value for name, value in card.items() if name != SIGNATURE})
    with pytest.raises(InputError, match="was altered"):
        load(path, kind)


def test_fewer_members_are_another_model(tmp_path: Path) -> None:
    """An ensemble has as many as its recipe says."""
    path = tmp_path / "model.safetensors"
    save(path, TINY.model_copy(update={"members": 1}), tiny().model, Learned(), {})
    with pytest.raises(InputError, match="names or shapes"):
        load(path, "transformer-h")


def test_models_that_went_astray_are_not_saved(tmp_path: Path) -> None:
    """A weight that is no number is one line, and no file."""
    model = begun("lm")
    with torch.no_grad():
        next(iter(model.kept().values())).fill_(torch.nan)
    with pytest.raises(InputError, match="smaller rate"):
        save(tmp_path / "model.safetensors", RECIPES["lm"], model, Learned(), {})
    assert not list(tmp_path.iterdir())


def test_one_kind_is_not_the_other() -> None:
    """The shipped files, each asked for as the other."""
    for path, model in ((LANGUAGE_MODEL, "transformer-h"), (TRANSFORMER_H, "lm")):
        with pytest.raises(InputError, match="has model") as error:
            load(path, model)
        assert str(path) in str(error.value)


def test_the_shipped_transformer_h() -> None:
    """It was made by the shipped recipe, and answers as the two files did that it was in before (golden numbers by the
    program of that time, commit 3ae5fac), under the same version."""
    assert load(TRANSFORMER_H, "transformer-h").recipe == read_recipe(ROOT / "config/transformer_h/recipe.json")
    golden, surrogate = json.loads(GOLDEN.read_text()), transformer_h(VIEW, None)
    assert surrogate.version == golden["version"]
    for one in golden["kernels"]:
        kernel = parse_kernel((ROOT / f"config/kernels/{one['kernel']}.c").read_text(), one["kernel"])
        task = HlsTask(kernel, TARGETS[one["tool"]])
        batch = Batch(task.schema, {name: np.array(column) for name, column in one["designs"].items()})
        answer = surrogate.condition(task, None, seed=0).evaluate(batch, seed=0)
        assert answer.status.tolist() == one["status"]
        for metric, values in one["metrics"].items():
            np.testing.assert_allclose(answer.metrics[metric], values, rtol=1e-12)


def test_the_shipped_language_model_names_no_kind() -> None:
    """It is from before cards named the kind of model, and is read as it is."""
    card, _ = read_tensors(LANGUAGE_MODEL, "")
    assert "model" not in card and language_model(VIEW, None).checkpoint.digest == card["weights"]
