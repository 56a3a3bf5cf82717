"""The kinds of studies, by the name of their space: the one place that knows which there are. A study is imported when
it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from dse.options import Settings
from dse.studies.learning import Learning
from dse.studies.study import Study


@dataclass(frozen=True)
class Kind:
    """Where the functions of a kind of study are, as MODULE:FUNCTION; each takes the settings. "" where there is
    none."""

    study: str
    learning: str = ""
    parse: str = ""
    sweep: str = ""


STUDIES: dict[str, Kind] = {
    "nmp": Kind(
        study="dse.studies.nmp.study:near_memory",
        learning="dse.studies.nmp.learning:near_memory_learning",
        parse="dse.studies.nmp.models.parse:parse_as",
        sweep="dse.studies.nmp.sweep:sweep_as",
    ),
    "hls": Kind(
        study="dse.studies.hls.study:loop_directives",
        learning="dse.studies.hls.learning:loop_directives_learning",
    ),
}


def study_of(settings: Settings) -> Study:
    """The study that the settings state. Raises InputError where they or the files they name are unusable."""
    found: Study = function_of(STUDIES[settings["space"]].study)(settings)
    return found


def learning_of(settings: Settings) -> Learning:
    """What `evaluate`, `train` and `predict` need of the study that the settings name."""
    found: Learning = function_of(STUDIES[settings["space"]].learning)(settings)
    return found


def function_of(place: str) -> Callable[..., Any]:
    """A function by MODULE:FUNCTION."""
    module, _, name = place.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), name)
    return found
