"""Training of the language model learns; `tests/cost_model/training` has how it goes on, and its files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from cost_model.corpus.hls.records import gather
from cost_model.surrogates.lm.training import Trainer, TrainingExamples, lesson, lessons_of, score
from cost_model.training.checkpoint import digest_of
from frontends.hls_results.tables import read_results
from tests.cases_hls import usual
from tests.cost_model.surrogates.lm.small import RECIPE, VIEW, examples, untrained


@pytest.fixture(scope="module")
def lessons(tmp_path_factory: pytest.TempPathFactory) -> list[TrainingExamples]:
    """Of a small data set."""
    tables = read_results(usual(tmp_path_factory.mktemp("data")), "v20")
    return [lesson(examples(table), RECIPE.make_codec(), RECIPE.spread) for table in tables]


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


def test_models_differ_by_seed() -> None:
    """The small model of these tests is no constant."""
    assert digest_of(untrained(0).model.state_dict()) != digest_of(untrained(1).model.state_dict())
    assert torch.isfinite(untrained().model.rows.weight).all()
