"""From the settings to the study that they state, and what it lends to commands. A study is imported when it is asked
for; `kinds.py` says which there are."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from design.errors import InputError
from dse.options import Settings
from dse.studies.kinds import STUDIES
from dse.studies.learning import Learning
from dse.studies.study import Study


def study_of(settings: Settings) -> Study:
    """The study that the settings state. Raises InputError where they or the files they name are unusable."""
    found: Study = function_of(STUDIES[settings["space"]].study)(settings)
    return found


def learning_of(settings: Settings) -> Learning:
    """What `evaluate`, `train` and `predict` need of the study that the settings name. Raises InputError where there is
    no such thing, or the settings are unusable."""
    if not (place := STUDIES[settings["space"]].learning):
        what = f"{settings['execution-type']} with --space {settings['space']}"
        raise InputError("--execution-type", what, "a space whose designs can be learned")
    found: Learning = function_of(place)(settings)
    return found


def function_of(place: str) -> Callable[..., Any]:
    """A function by MODULE:FUNCTION."""
    module, _, name = place.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), name)
    return found
