"""Recipes of both kinds of models: what is read, and one line for each mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cost_model.surrogates.lm.recipe import Recipe as LmRecipe
from cost_model.surrogates.transformer_h.recipe import Recipe as TransformerHRecipe
from cost_model.training.models import read_recipe, recipe_of
from design.errors import InputError
from tests.cases import ROOT


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"widht": 64}, "widht"),
        ({"width": "64"}, "width"),
        ({"width": 50}, "multiple"),
        ({"dropout": 1.5}, "dropout"),
        ({"codec": "roman"}, "codec"),
        ({"validation": "atax"}, "validation"),
        ({"prior_parts": -1}, "prior_parts"),
        ({"prior_parts": 2.5}, "prior_parts"),
        ({"model": "boosting"}, "one of lm, transformer-h"),
        ({"model": ["lm"]}, "one of lm, transformer-h"),
        ({"model": "transformer-h", "codec": "plain"}, "codec"),
        ({"model": "transformer-h", "width": 50}, "multiple"),
        ({"model": "transformer-h", "members": 0}, "members"),
        ({"model": "transformer-h", "steps": 0}, "steps"),
        ({"model": "transformer-h", "seed": -1}, "seed"),
        ({"model": "transformer-h", "known": 0}, "known"),
        ([], "recipe"),
    ],
)
def test_recipes(entry: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        recipe_of(entry, "recipe.json")


def test_recipe_files(tmp_path: Path) -> None:
    path = tmp_path / "recipe.json"
    path.write_text('{"width": 64, "validation": ["atax"]}')
    assert read_recipe(path) == LmRecipe(width=64, validation=["atax"])
    path.write_text('{"model": "transformer-h", "width": 64}')
    assert read_recipe(path) == TransformerHRecipe(width=64)
    for text in ("", "{", "[1]"):
        path.write_text(text)
        with pytest.raises(InputError, match=r"recipe\.json"):
            read_recipe(path)
    with pytest.raises(InputError, match="absent"):
        read_recipe(tmp_path / "absent.json")


def test_shipped_recipes() -> None:
    """That of Transformer-H spells out what is so anyway; those of the language model name no kind."""
    assert read_recipe(ROOT / "config/transformer_h/recipe.json") == TransformerHRecipe()
    for name in ("tiny", "smollm2"):
        assert isinstance(read_recipe(ROOT / f"config/lm/{name}.json"), LmRecipe)
