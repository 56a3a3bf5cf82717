"""The one strict reader of JSON files: a mistake in a file is one line that names file and field."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from design.errors import InputError

LARGEST_FILE = 16 * 2**20  # bytes; a model description is a few hundred


def read_object(path: Path, fields: Mapping[str, type], optional: Mapping[str, type] | None = None) -> dict[str, Any]:
    """The JSON object in `path`, which must have exactly `fields`, each of the given type; those of `optional` may be
    there too.

    Raises InputError when the file is unreadable, empty, truncated, repeats a field, lacks one or has another.
    """
    return checked(str(path), read_content(path, f"a JSON object with {', '.join(fields)}"), fields, optional)


def read_content(path: Path, expected: str = "a JSON object") -> dict[str, Any]:
    """The JSON object in `path`, whatever its fields, each of them given once. Raises InputError."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise InputError(str(path), f"{path.stat().st_size} bytes", f"at most {LARGEST_FILE}")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError.unreadable(str(path), error, "a readable JSON file") from None
    if not text.strip():
        raise InputError(str(path), "is empty", expected)
    try:
        value = json.loads(text, object_pairs_hook=lambda pairs: _unique(path, pairs), parse_constant=float)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise InputError(str(path), f"is not JSON ({error.msg}, {place})", "a complete JSON object") from None
    except ValueError:
        raise InputError(str(path), "holds a number of thousands of digits", "numbers of a sane size") from None
    except RecursionError:
        raise InputError(str(path), "is nested too deeply", "a flat JSON object") from None
    if not isinstance(value, dict):
        raise InputError(str(path), f"holds {kind(value)}", expected)
    return value


def checked(
    where: str, value: Mapping[str, Any], fields: Mapping[str, type], optional: Mapping[str, type] | None = None
) -> dict[str, Any]:
    """An object found at `where`, which must have exactly `fields`, each of the given type, and may have those of
    `optional`. Raises InputError naming the field."""
    known = {**fields, **(optional or {})}
    for name in value:
        if name not in known:
            raise InputError(f"{where}, field '{name}'", "is unknown", f"only {', '.join(known)}")
    for name, wanted in known.items():
        if name not in value and name not in fields:
            continue
        if name not in value:
            raise InputError(f"{where}, field '{name}'", "is missing", kind(wanted()))
        if type(value[name]) is not wanted:
            raise InputError(f"{where}, field '{name}'", f"is {kind(value[name])}", kind(wanted()))
    return dict(value)


def _unique(path: Path, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise InputError(f"{path}, field '{name[:60]}'", "is given twice", "each field once")
        found[name] = value
    return found


def kind(value: object) -> str:
    """What sort of JSON value it is, in words; long values are never printed."""
    names = {dict: "an object", list: "a list", str: "a text", int: "a whole number", bool: "true or false"}
    return "null" if value is None else names.get(type(value), "a number")
