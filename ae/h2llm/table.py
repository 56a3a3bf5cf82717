"""The tidy table of all points, as CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from design.errors import InputError
from dse.records.directory import write_whole

MOST_BYTES = 2**26


def write_table(rows: Sequence[Mapping[str, Any]], folder: Path, name: str = "table") -> None:
    """`name`.csv and `name`.json, one record a row; what is unknown is empty, null in JSON."""
    columns = list(rows[0]) if rows else []
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(columns)
    for row in rows:
        table.writerow(["" if row[column] is None else row[column] for column in columns])
    write_whole(folder / f"{name}.csv", text.getvalue())
    records = ",\n".join(" " + json.dumps(dict(row), allow_nan=False) for row in rows)
    write_whole(folder / f"{name}.json", f"[\n{records}\n]\n" if rows else "[]\n")


def read_table(path: Path, columns: Sequence[str]) -> list[dict[str, Any]]:
    """The records of a JSON table. Raises InputError for a file that is none, or lacks a column."""
    expected = "a table as run_experiments.py writes it"
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        rows = json.loads(content)
    except OSError as error:
        raise InputError(str(path), f"cannot be read ({error.strerror})", expected) from None
    except (ValueError, RecursionError):
        raise InputError(str(path), "is not JSON" if len(content) <= MOST_BYTES else "is too large", expected) from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(str(path), "is not a list of records", expected)
    for number, row in enumerate(rows):
        if missing := [column for column in columns if column not in row]:
            raise InputError(f"{path}, record {number}", f"has no '{missing[0]}'", expected)
    return rows
