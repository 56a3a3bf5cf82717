"""Which kernels are kept for judging: `config/hls/split.json`, read strictly."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from design.errors import InputError
from design.loader import read_object

SPLIT = Path(__file__).parents[2] / "config" / "hls" / "split.json"
MARK = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Split:
    """Families that are held out whole, `why`, and hashes of held-out kernels by which copies of them are found where
    the kernels are not at hand: `likenesses` has hash -> kernel."""

    families: tuple[str, ...]
    why: str
    likenesses: Mapping[str, str] = field(default_factory=dict)


def read_split(path: Path = SPLIT) -> Split:
    """The split of a file {"test_families": [name, ..], "why": text} and, where it has them, "likenesses": {hash:
    kernel}, of 32 hexadecimal digits each (`likenesses` of design/hls/fingerprint.py). Raises InputError for
    another."""
    given = read_object(path, {"test_families": list, "why": str}, {"likenesses": dict})
    families, marks = given["test_families"], given.get("likenesses", {})
    if not families or not all(isinstance(name, str) and name and "-" not in name for name in families):
        raise InputError(
            f"{path}, field 'test_families'", "is no list of families", "names without a '-', at least one"
        )
    if len(set(families)) < len(families):
        raise InputError(f"{path}, field 'test_families'", "names a family twice", "each family once")
    for mark, name in marks.items():
        if not MARK.fullmatch(mark) or not isinstance(name, str) or not name:
            found = f"has {mark[:40]}: {str(name)[:40]}"
            raise InputError(f"{path}, field 'likenesses'", found, "32 hexadecimal digits: a kernel's name")
    return Split(tuple(families), given["why"], marks)
