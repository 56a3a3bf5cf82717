"""The kinds of studies, by the name of their space: the one place that says which there are. Light: `--help` reads
it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Kind:
    """Where the functions of a kind of study are, as MODULE:FUNCTION; each takes the settings. "" where there is none.
    `defaults` are those of options that follow from the space."""

    study: str
    learning: str = ""
    parse: str = ""
    sweep: str = ""
    defaults: Mapping[str, str] = field(default_factory=dict)


STUDIES: dict[str, Kind] = {
    "nmp": Kind(
        study="dse.studies.nmp.study:near_memory",
        learning="dse.studies.nmp.learning:near_memory_learning",
        parse="dse.studies.nmp.models.parse:parse_as",
        sweep="dse.studies.nmp.sweep:sweep_as",
        defaults={"objectives": "latency_s", "num-generations": "10"},
    ),
    "hls": Kind(
        study="dse.studies.hls.study:loop_directives",
        learning="dse.studies.hls.learning:loop_directives_learning",
        defaults={"objectives": "cycles,utilisation", "num-generations": "100"},
    ),
}
