"""Execution type `train`: a learned model from results of a truth, by one recipe."""

from __future__ import annotations

from pathlib import Path

from dse.options import Settings
from dse.studies.registry import learning_of


def train_as(settings: Settings, out: Path) -> int:
    """Trains as the settings say. Returns an exit code. Raises InputError for an unusable recipe, data set or
    directory, and for a kind of study without a model that is trained."""
    return learning_of(settings).train(out)
