"""A sweep: the same search for each of several uses."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from design.errors import InputError
from dse.options import Settings
from dse.studies.kinds import STUDIES
from dse.studies.registry import function_of


def sweep_as(given: Mapping[str, tuple[str, str]], settings: Settings, folder: Path) -> int:
    """Explores every use that --sweep names. Returns an exit code. Raises InputError where the space has no uses to
    sweep, or one of them cannot be explored."""
    place = STUDIES[settings["space"]].sweep
    if not place:
        raise InputError("--sweep", f"with --space {settings['space']}", "--space nmp: uses of a model are swept")
    code: int = function_of(place)(given, settings, folder)
    return code
