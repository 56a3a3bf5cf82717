"""Execution type `parse`: what a file from outside is, as a task."""

from __future__ import annotations

from dse.options import Settings
from dse.studies.kinds import STUDIES
from dse.studies.registry import function_of


def parse_as(settings: Settings) -> int:
    """Parses what the settings name. Returns an exit code. Raises InputError where it cannot be read."""
    # Kernels are parsed by the study that explores them; until it says how, models are all that is parsed.
    place = STUDIES[settings["space"]].parse or STUDIES["nmp"].parse
    found: int = function_of(place)(settings)
    return found
