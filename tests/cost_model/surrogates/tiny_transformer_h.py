"""A tiny Transformer-H for tests, trained within seconds on the synthetic tables of `cases_hls`."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from cost_model.surrogates.transformer_h.train import read_tables, train_members
from cost_model.surrogates.transformer_h.trained import Trained
from cost_model.surrogates.transformer_h.training import Settings
from cost_model.surrogates.transformer_h.training_examples import TrainingTable, lessons_of
from design.contracts import Dataset
from tests.cases_hls import usual

SETTINGS = Settings(width=16, layers=2, heads=2, steps=40, kernels=3, designs=8, rate=3e-3, check=10)


@cache
def tiny_tables() -> tuple[Dataset, ...]:
    """Of the families dot, scale and twice, both tool versions."""
    with TemporaryDirectory() as folder:
        return tuple(read_tables(usual(Path(folder))))


@cache
def tiny_lessons() -> tuple[TrainingTable, ...]:
    """The tables as what is learned from."""
    return tuple(lessons_of(tiny_tables()))


@cache
def tiny() -> Trained:
    """Two members; `dot` says when to stop. It has not been stored, so it has no digest."""
    return train_members(tiny_lessons(), SETTINGS, 2, 3, ("dot",), "tiny")
