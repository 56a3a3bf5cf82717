"""Training learns, goes on where it was, and its files are read back or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cost_model.corpus.hls.records import gather
from cost_model.surrogates.lm.checkpoint import Learned, digest_of, load, save
from cost_model.surrogates.lm.recipe import Recipe, read_recipe, recipe_of
from cost_model.surrogates.lm.training import Trainer, TrainingExamples, lesson, lessons_of
from cost_model.surrogates.lm.training_state import Progress, load_state, save_state
from cost_model.surrogates.lm.validation import score
from design.errors import InputError
from frontends.hls_results.tables import read_results
from tests.cases_hls import usual
from tests.cost_model.surrogates.lm.small import RECIPE, VIEW, examples, untrained


@pytest.fixture(scope="module")
def lessons(tmp_path_factory: pytest.TempPathFactory) -> list[TrainingExamples]:
    """Of a small data set."""
    tables = read_results(usual(tmp_path_factory.mktemp("data")), "v20")
    return [lesson(examples(table), RECIPE.make_codec(), RECIPE.spread) for table in tables]


def trained(recipe: Recipe, lessons: list[TrainingExamples], steps: int) -> Trainer:
    """A trainer after some steps."""
    trainer = Trainer(recipe, lessons)
    while trainer.step < steps:
        trainer.advance()
    return trainer


def test_it_learns(lessons: list[TrainingExamples]) -> None:
    """Kernels that were trained on are known far better after training than before."""
    kernels = [each.examples for each in lessons]
    recipe = RECIPE.model_copy(update={"number_steps": 0, "steps": 80, "rate": 0.01})
    trainer = Trainer(recipe, lessons)
    before = score(trainer.model, recipe.make_codec(), kernels)
    while trainer.step < trainer.last:
        trainer.advance()
    assert score(trainer.model, recipe.make_codec(), kernels) < before / 2


def test_plain_digits_are_learned(lessons: list[TrainingExamples]) -> None:
    """The other codec goes through the same training: the loss on one kernel's designs falls."""
    changed: dict[str, object] = {"number_steps": 0, "steps": 50, "warmup": 5, "rate": 0.02, "dropout": 0.0}
    recipe = RECIPE.model_copy(update=changed | {"codec": "plain", "digits": 8, "designs": 32, "unfinished": 0})
    trainer = Trainer(recipe, [lesson(lessons[-1].examples, recipe.make_codec(), 0.0)])
    found = []
    while trainer.step < trainer.last:
        trainer.losses = np.zeros(5)
        trainer.advance()
        found.append(trainer.losses[0])
    assert np.mean(found[-5:]) < 0.9 * np.mean(found[:5])


def test_made_up_numbers_teach_digits() -> None:
    """The loss of made-up numbers falls; they need no results."""
    recipe = RECIPE.model_copy(update={"number_steps": 60, "number_rate": 0.01})
    trainer = Trainer(recipe, [])
    found = []
    for _ in range(60):
        trainer.losses = np.zeros(5)
        trainer.advance()
        found.append(trainer.losses[0])
    assert np.mean(found[-10:]) < 0.95 * np.mean(found[:10])


def test_variants(tmp_path: Path) -> None:
    """Kernels in other words come beside their own, with the same answers in the same units: the estimate of a variant
    is by constants that have not seen its parent's family."""
    records = gather(usual(tmp_path)).records
    plain = lessons_of(records, VIEW, RECIPE)
    more = lessons_of(records, VIEW, RECIPE.model_copy(update={"variants": 2}))
    assert len(plain) < len(more) <= 3 * len(plain)
    for one in more:
        parent = next(p for p in plain if one.examples.name.startswith(p.examples.name) and same(one, p))
        assert np.array_equal(one.examples.prompts.units, parent.examples.prompts.units)
    texts = {one.examples.prompts.program.tobytes() for one in more}
    assert len(texts) > len({one.examples.prompts.program.tobytes() for one in plain})


def same(one: TrainingExamples, other: TrainingExamples) -> bool:
    """Whether two have the same answers by the same tool."""
    tools = [each.examples.prompts.designs[0, 0] for each in (one, other)]  # the first word of a design
    return tools[0] == tools[1] and np.array_equal(one.examples.values, other.examples.values, equal_nan=True)


def test_going_on(lessons: list[TrainingExamples], tmp_path: Path) -> None:
    """Stopped after any step and gone on with, the weights are those of an unbroken training, bit for bit."""
    whole = digest_of(trained(RECIPE, lessons, 8).model.state_dict())
    for stop in (1, 4, 7):
        first, path = trained(RECIPE, lessons, stop), tmp_path / f"{stop}.safetensors"
        weights = {name: tensor + 1 for name, tensor in first.model.state_dict().items()}
        save_state(path, RECIPE, "corpus", first, Progress(0.5, 2, [(2, 0.5)], weights))
        second = Trainer(RECIPE, lessons)
        progress = load_state(path, RECIPE, "corpus", second)
        assert second.step == stop and progress.best == 0.5 and progress.scores == [(2, 0.5)]
        assert digest_of(progress.weights) == digest_of(weights)
        while second.step < 8:
            second.advance()
        assert digest_of(second.model.state_dict()) == whole


def test_states_of_others(lessons: list[TrainingExamples], tmp_path: Path) -> None:
    """Another recipe, other data, and damage are one line each."""
    path, trainer = tmp_path / "state", trained(RECIPE, lessons, 1)
    save_state(path, RECIPE, "corpus", trainer, Progress())
    other = RECIPE.model_copy(update={"seed": 5})
    for recipe, corpus, word in ((other, "corpus", "recipe"), (RECIPE, "elsewhere", "corpus")):
        with pytest.raises(InputError, match=word):
            load_state(path, recipe, corpus, Trainer(recipe, lessons))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="damaged"):
        load_state(path, RECIPE, "corpus", Trainer(RECIPE, lessons))


def test_checkpoint(tmp_path: Path) -> None:
    """What is saved is what is loaded, and it says what it learned from."""
    path, made = tmp_path / "deep" / "model.safetensors", untrained()
    save(path, RECIPE, made.model, Learned(("gemm",), ("abc",), "hash"), {"steps": 8})
    found = load(path)
    assert found.digest == made.digest and found.recipe == RECIPE and not found.model.training
    assert found.learned == Learned(("gemm",), ("abc",), "hash") and found.facts == {"steps": 8}
    assert list(path.parent.iterdir()) == [path]


def _spoilt(path: Path, how: str) -> None:
    whole = path.read_bytes()
    if how == "truncated":
        path.write_bytes(whole[:-40])
    elif how == "tampered":
        path.write_bytes(whole[:-8] + b"\1" * 8)
    elif how == "no checkpoint":
        path.write_bytes(b"MZ" + whole[2:])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "another prompt":
        path.write_bytes(whole.replace(b'\\"prompt\\": 1', b'\\"prompt\\": 9'))
    elif how == "another format":
        path.write_bytes(whole.replace(b'\\"format\\": 2', b'\\"format\\": 9'))
    elif how == "another recipe":
        path.write_bytes(whole.replace(b'\\"layers\\": 2', b'\\"layers\\": 3'))
    else:
        path.unlink()


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("truncated", "no safetensors file"),
        ("tampered", "differ from its card"),
        ("no checkpoint", "no safetensors file"),
        ("empty", "no safetensors file"),
        ("another prompt", "prompt version 9"),
        ("another format", "format 9"),
        ("another recipe", "other names or shapes"),
        ("missing", "does not exist|cannot be read|No such"),
    ],
)
def test_spoilt_checkpoints(how: str, said: str, tmp_path: Path) -> None:
    """One line that names the file."""
    path = tmp_path / "model.safetensors"
    save(path, RECIPE, untrained().model, Learned(), {})
    before = path.read_bytes()
    _spoilt(path, how)
    assert not path.exists() or path.read_bytes() != before
    with pytest.raises(InputError, match=said) as error:
        load(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"widht": 64}, "widht"),
        ({"width": "64"}, "width"),
        ({"width": 50}, "multiple"),
        ({"dropout": 1.5}, "dropout"),
        ({"codec": "roman"}, "codec"),
        ({"validation": "atax"}, "validation"),
        ([], "recipe"),
    ],
)
def test_recipes(entry: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        recipe_of(entry, "recipe.json")


def test_recipe_files(tmp_path: Path) -> None:
    path = tmp_path / "recipe.json"
    path.write_text('{"width": 64, "validation": ["atax"]}')
    assert read_recipe(path) == Recipe(width=64, validation=["atax"])
    for text in ("", "{", "[1]"):
        path.write_text(text)
        with pytest.raises(InputError, match=r"recipe\.json"):
            read_recipe(path)
    with pytest.raises(InputError, match="absent"):
        read_recipe(tmp_path / "absent.json")


def test_models_differ_by_seed() -> None:
    """The small model of these tests is no constant."""
    assert digest_of(untrained(0).model.state_dict()) != digest_of(untrained(1).model.state_dict())
    assert torch.isfinite(untrained().model.rows.weight).all()
