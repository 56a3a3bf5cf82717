"""Tables for other programs: all candidates, or some, as CSV, JSON or Parquet with named columns."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from design.contracts import Space
from design.core import Batch, Evaluation, Floats, Ints, key_bytes
from design.errors import InputError
from dse.records.columns import HIGH, LOW, SAMPLES, draws
from dse.records.store import Store

FORMATS = ("csv", "json", "parquet")
Table = dict[str, list[Any]]


def candidate_table(store: Store, space: Space) -> Table:
    """Every candidate of a run, design and answer side by side.

    Raises InputError where the stored genomes do not decode into the designs they were evaluated as.
    """
    names, rows = store.candidates()
    columns: Table = {}
    for name, values in zip(names, zip(*rows, strict=True), strict=True):
        columns |= _numbered(name, draws(values)) if name.startswith(SAMPLES) else {name: list(values)}
    if not rows:
        return columns
    genomes = store.genomes()
    if genomes.shape[1] != len(space.bounds):
        raise InputError(str(store.path), f"genomes of {genomes.shape[1]} genes", f"{len(space.bounds)}")
    batch = space.decode(genomes)
    keys = [key.hex().upper() for key in key_bytes(space.schema.key(batch))]
    if keys != columns["key"]:
        found = "holds designs that this version decodes otherwise, or of models changed since"
        raise InputError(str(store.path), found, "the version and the model files that wrote it")
    return columns | design_table(batch)


def design_table(batch: Batch) -> Table:
    """One list a design column, `name_i` where it has several values a row."""
    table: Table = {}
    for column in batch.schema.columns:
        values: Ints = np.asarray(batch.columns[column.name]).reshape(len(batch), max(column.width, 1))
        for label, one in zip(column.labels, values.T, strict=True):
            table[label] = one.tolist()
    return table


def interval_table(answers: Evaluation) -> Table:
    """The ends of each metric's intervals and its samples, named as in the table of all candidates; None: unknown."""
    table: Table = {}
    for name, ends in answers.interval.items():
        table |= {LOW + name: known(ends[:, 0]), HIGH + name: known(ends[:, 1])}
    for name, drawn in answers.samples.items():
        table |= _numbered(SAMPLES + name, drawn)
    return table


def known(values: Floats) -> list[float | None]:
    """Numbers for other programs: None where they are not finite."""
    return [value if math.isfinite(value) else None for value in values.tolist()]


def _numbered(name: str, drawn: Floats | None) -> Table:
    """A column for each of k samples (n, k)."""
    return {} if drawn is None else {f"{name}_{i}": known(values) for i, values in enumerate(drawn.T)}


def write_table(table: Table, path: Path) -> None:
    """Write by the ending of `path`; the old file stays until the new one is whole."""
    part = path.with_name(path.name + ".part")
    if path.suffix == ".csv":
        with part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(table)
            writer.writerows(zip(*table.values(), strict=True))
    elif path.suffix == ".json":
        rows = (dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True))
        part.write_text("[" + ",\n".join(json.dumps(row) for row in rows) + "]\n", encoding="utf-8")
    else:
        import pyarrow
        from pyarrow import parquet

        parquet.write_table(pyarrow.table(table), part)
    part.replace(path)


def export(store: Store, space: Space, folder: Path, formats: Sequence[str]) -> list[Path]:
    """Write `candidates.<format>` for each format, and say where."""
    table = candidate_table(store, space)
    paths = [folder / f"candidates.{suffix}" for suffix in formats]
    for path in paths:
        write_table(table, path)
    return paths
