"""From settings to a study: the kinds of problems, by the name of their space."""

from __future__ import annotations

from dse.options import Settings
from dse.studies.study import Study


def study_of(settings: Settings) -> Study:
    """The study that the settings state. Raises InputError where they or the files they name are unusable."""
    if settings["space"] == "hls":
        from dse.studies.hls.study import loop_directives

        return loop_directives(settings)
    from dse.studies.nmp.study import near_memory

    return near_memory(settings)
