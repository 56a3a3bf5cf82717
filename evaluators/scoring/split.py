"""Which kernel families are kept for judging: `config/hls/split.json`, read strictly."""

from __future__ import annotations

from pathlib import Path

from design.errors import InputError
from design.loader import read_object

SPLIT = Path(__file__).parents[2] / "config" / "hls" / "split.json"


def read_test_families(path: Path = SPLIT) -> tuple[str, ...]:
    """The families of a split file {"test_families": [name, ..], "why": text}. Raises InputError for another."""
    families = read_object(path, {"test_families": list, "why": str})["test_families"]
    if not families or not all(isinstance(name, str) and name and "-" not in name for name in families):
        raise InputError(
            f"{path}, field 'test_families'", "is no list of families", "names without a '-', at least one"
        )
    if len(set(families)) < len(families):
        raise InputError(f"{path}, field 'test_families'", "names a family twice", "each family once")
    return tuple(families)
