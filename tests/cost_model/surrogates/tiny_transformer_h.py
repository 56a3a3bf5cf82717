"""A tiny Transformer-H for tests, trained within seconds on the synthetic tables of `cases_hls`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from cost_model.corpus.hls.records import gather
from cost_model.surrogates.transformer_h.recipe import Recipe
from cost_model.surrogates.transformer_h.trained import Ensemble
from cost_model.surrogates.transformer_h.training import Pupil
from cost_model.surrogates.transformer_h.training_examples import TrainingTable, lessons_of
from cost_model.training.checkpoint import Checkpoint
from cost_model.training.trainer import run, train
from cost_model.views.hls.view import HlsView
from design.contracts import Dataset
from tests.cases_hls import usual

RECIPE = Recipe(
    width=16, layers=2, heads=2, steps=40, kernels=3, designs=8, rate=3e-3, check=10, members=2, seed=3,
    validation=["dot"],
)  # fmt: skip


@cache
def tiny_tables() -> tuple[Dataset, ...]:
    """Of the families dot, scale and twice, both tool versions."""
    with TemporaryDirectory() as folder:
        return gather(usual(Path(folder))).records


@cache
def tiny_lessons() -> tuple[TrainingTable, ...]:
    """The tables as what is learned from."""
    return tuple(lessons_of(tiny_tables()))


@cache
def tiny() -> Checkpoint[Recipe, Ensemble]:
    """Two members; `dot` says when to stop."""
    return train(RECIPE, tiny_tables(), "tiny", HlsView())


def pupil(recipe: Recipe, held: Sequence[str] = ("dot",), lessons: Sequence[TrainingTable] = ()) -> Pupil:
    """The first member, trained."""
    found = Pupil(recipe, lessons or tiny_lessons(), held)
    run(recipe, found, lambda: None)
    return found
