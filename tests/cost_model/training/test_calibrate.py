"""Priors of intervals by training: parts of the families, a model without each, and what they leave behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from cost_model.surrogates.conformal.prior import Prior
from cost_model.surrogates.conformal.store import write_prior
from cost_model.training.calibrate import PARTS, make_prior, parts_of, prior_by_training, some
from cost_model.training.models import MODELS, load
from cost_model.training.trainer import MODEL, train
from design.contracts import Dataset, Surrogate
from design.errors import InputError
from tests.cost_model.surrogates.tiny_transformer_h import tiny_tables
from tests.cost_model.training.small import RECIPES, VIEW

FAMILIES = {"dot", "scale", "twice"}


class Interrupted(Exception):
    """Of a test."""


@pytest.mark.parametrize("kind", RECIPES)
def test_prior_by_training(kind: str, tmp_path: Path) -> None:
    """It is what models without each part make, which are left; the same by hand; `dot` has too few designs to say
    anything, and where it is left out itself nothing is held back."""
    recipe = RECIPES[kind].model_copy(update={"prior_parts": 3})
    lines: list[str] = []
    made = prior_by_training(recipe, tiny_tables(), "corpus", VIEW, tmp_path, say=lines.append)
    assert made.families == FAMILIES - {"dot"} and made.who == ("lm, normalised" if kind == "lm" else "transformer-h")
    assert set(made.shapes) == ({20} if kind == "lm" else {0, 20})
    parts = parts_of(tiny_tables(), 3, recipe.seed)
    assert sorted(name for part in parts for name in part) == sorted(FAMILIES)
    assert [line for line in lines if line.startswith("part")] == [
        f"part {number} of 3: without {name}" for number, (name,) in enumerate(parts, 1) if name != "dot"
    ]

    def refit(number: int, rest: list[Dataset]) -> Surrogate:
        (name,) = parts[number]
        assert {table.task.family for table in rest} == FAMILIES - {name}
        found = load(tmp_path / PARTS / f"{number + 1}-of-3" / MODEL, kind)
        assert set(found.learned.families) == FAMILIES - {name} and f"without {name}" in found.learned.corpus
        assert found.recipe == RECIPES[kind]
        again = train(RECIPES[kind], rest, found.learned.corpus, VIEW)
        assert again.digest == found.digest
        return MODELS[kind].surrogate(again, VIEW)

    counts = tuple(sorted(made.shapes))
    by_hand = make_prior(tiny_tables(), refit, VIEW, counts, recipe.seed, MODELS[kind].unsure, parts)
    assert by_hand == made


@pytest.mark.parametrize("kind", RECIPES)
def test_it_goes_on_part_by_part(kind: str, tmp_path: Path) -> None:
    """Interrupted in its second part, it does not train the first one again, and ends in the same prior."""
    recipe = RECIPES[kind].model_copy(update={"prior_parts": 3})

    def made(folder: Path, stop: str = "never") -> tuple[Prior, list[str]]:
        lines: list[str] = []

        def say(line: str) -> None:
            lines.append(line)
            steps = [one for one in lines if "step" in one]
            if len(steps) == stop_after:
                raise Interrupted

        stop_after = {"never": 99, "second": len(whole) // 2 + 1 if whole else 99}[stop]
        return prior_by_training(recipe, tiny_tables(), "corpus", VIEW, folder, None, True, say), lines

    whole: list[str] = []
    expected, lines = made(tmp_path / "whole")
    whole = [line for line in lines if "step" in line]
    with pytest.raises(Interrupted):
        made(tmp_path / "cut", "second")
    found, lines = made(tmp_path / "cut")
    assert len([line for line in lines if "step" in line]) == len(whole) - len(whole) // 2 - 1
    for prior, name in ((expected, "a.json"), (found, "b.json")):
        write_prior(prior, tmp_path / name)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


@pytest.mark.parametrize("kind", RECIPES)
def test_validation_that_is_left_out(kind: str, tmp_path: Path) -> None:
    """Without the family that is held back, the language model trains to the end, and Transformer-H holds others
    back."""
    recipe = RECIPES[kind].model_copy(update={"prior_parts": 3, "validation": ["scale"]})
    prior_by_training(recipe, tiny_tables(), "corpus", VIEW, tmp_path)
    for number, (name,) in enumerate(parts_of(tiny_tables(), 3, recipe.seed), 1):
        if name != "dot":
            found = load(tmp_path / PARTS / f"{number}-of-3" / MODEL, kind)
            assert found.recipe.validation == ([] if name == "scale" else ["scale"]) and not found.recipe.prior_parts
            scores = [one["scores"] for one in found.facts.get("members", [found.facts])]
            assert all(scores) == (name != "scale" or kind == "transformer-h")


def test_parts() -> None:
    """Dealt out by the seed, each family once; too many parts and too few designs are one line each."""
    assert parts_of(tiny_tables(), 0, 0) == []
    two = [parts_of(tiny_tables(), 2, seed) for seed in range(8)]
    assert all(frozenset().union(*parts) == FAMILIES and len(parts) == 2 for parts in two)
    assert len({tuple(parts) for parts in two}) > 1
    dots = [table for table in tiny_tables() if table.task.family == "dot"]
    for tables, parts, said in ((tiny_tables(), 4, "at most 3"), (dots, 1, "27 of 27 designs have cycles")):
        with pytest.raises(InputError, match=said) as error:
            parts_of(tables, parts, 0)
        assert "prior_parts" in str(error.value) and "\n" not in str(error.value)


def test_large_tables_are_thinned() -> None:
    """At most so many designs with an answer, with the share of those without one; small ones stay as they are."""
    table = next(table for table in tiny_tables() if table.task.name == "scale")
    assert some(table) is table
    assert len(some(table.take([*range(len(table))] * 5))) == pytest.approx(150 * 90 / 72, abs=1)
