"""Results of HLS tools as tables: per kernel the designs that were tried, and what the tool said of each.

The layout is HLSyn's (Bai et al., NeurIPS 2023): `designs/TOOL/NAME.json` maps a design's key to {"perf": cycles,
"point": {parameter: value}, "res_util": {"util-LUT": share, "total-LUT": count, ..}, "valid": bool}.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from design.core import Batch, Bools, Floats, Rows
from design.errors import InputError
from design.hls.design import TARGETS, Target, batch_of, hls_schema
from design.hls.loop_nest import Kernel
from frontends.c_kernel import parse_kernel
from frontends.hls_results.files import HlsFiles, open_files

RESOURCES = ("lut", "ff", "dsp", "bram")
FIELDS = ("perf", "point", "res_util", "valid")
DESIGN = "a design as {perf, point, res_util, valid}"


@dataclass(frozen=True)
class KernelTable:
    """What a tool said of n designs of a kernel.

    `cycles` (n,) is NaN where the tool gave none. `counts` and `shares` of the device by resource, (n,) each, are NaN
    where the tool gave neither cycles nor resources. `valid` (n,) is the tool's word, whether or not there are cycles.
    """

    kernel: Kernel = field(repr=False)
    name: str
    target: Target
    batch: Batch = field(repr=False)
    cycles: Floats = field(repr=False)
    counts: Mapping[str, Floats] = field(repr=False)
    shares: Mapping[str, Floats] = field(repr=False)
    valid: Bools = field(repr=False)
    where: str

    def __len__(self) -> int:
        return len(self.batch)

    @property
    def family(self) -> str:
        """Kernels of one family are variants of one another: bicg, bicg-medium and bicg-large."""
        return family_of(self.name)

    def take(self, rows: Rows | slice) -> KernelTable:
        """The given rows, in the given order."""
        return KernelTable(
            kernel=self.kernel,
            name=self.name,
            target=self.target,
            batch=self.batch.take(rows),
            cycles=self.cycles[rows],
            counts={name: values[rows] for name, values in self.counts.items()},
            shares={name: values[rows] for name, values in self.shares.items()},
            valid=self.valid[rows],
            where=self.where,
        )


def family_of(name: str) -> str:
    """A kernel's name up to its first '-'."""
    return name.split("-")[0]


def result_names(path: Path) -> dict[str, tuple[str, ...]]:
    """Which kernels a data set has results of, by tool version. Raises InputError as `read_results` does."""
    return {tool: tuple(sorted(tables)) for tool, tables in sorted(open_files(path).tables.items())}


def read_kernels(path: Path, names: Sequence[str]) -> dict[str, Kernel]:
    """Kernels of a data set alone, by name, whatever was said of their designs. Raises InputError as above."""
    files = open_files(path) if names else None
    return {name: parse_kernel(*files.source(name)) for name in names} if files else {}


def read_results(path: Path, tool: str, names: Sequence[str] | None = None) -> list[KernelTable]:
    """The tables of a tool version, of all kernels or of those named, in order of names.

    Raises InputError, one line that names the file, for another layout, a tool version or a kernel that is not there,
    damage, designs of other parameters than the kernel's, or one design with two answers.
    """
    files = open_files(path)
    if tool not in TARGETS or tool not in files.tables:
        there = ", ".join(sorted(set(files.tables) & set(TARGETS))) or f"none of {', '.join(TARGETS)}"
        raise InputError(f"{path}, tool version {tool}", "has no results", f"one of those there: {there}")
    kernels = sorted(files.tables[tool])
    for name in names or ():
        if name not in files.tables[tool]:
            raise InputError(f"{path}, kernel {name}", f"has no results of {tool}", f"one of {', '.join(kernels)}")
    return [_table(files, TARGETS[tool], name) for name in kernels if names is None or name in names]


def _table(files: HlsFiles, target: Target, name: str) -> KernelTable:
    kernel = parse_kernel(*files.source(name))
    designs, where = files.table(target.tool, name)
    if not kernel.parameters:
        raise InputError(where, "is of a kernel without parameters", "a kernel with auto{NAME} in its directives")
    for key, design in designs.items():
        _check(key, design, f"{where}, design {key[:160]}")
    values = list(designs.values())
    batch = batch_of(kernel, hls_schema(kernel, target), [design["point"] for design in values], where)
    for row, key in enumerate(designs):
        _check_key(key, batch, row, f"{where}, design {key[:160]}")
    cycles = _floats([design["perf"] for design in values])
    counts = {r: _floats([d["res_util"][f"total-{r.upper()}"] for d in values]) for r in RESOURCES}
    shares = {r: _floats([d["res_util"][f"util-{r.upper()}"] for d in values]) for r in RESOURCES}
    nothing = (cycles == 0) & np.all([counts[r] == 0 for r in RESOURCES], axis=0)
    for columns in (counts, shares):
        for column in columns.values():
            column[nothing] = np.nan
    cycles[cycles == 0] = np.nan
    valid = np.array([design["valid"] for design in values], dtype=bool)
    table = KernelTable(kernel, name, target, batch, cycles, counts, shares, valid, where)
    return table.take(_first_of_each(table, list(designs)))


def _floats(values: list[float]) -> Floats:
    return np.array(values, dtype=np.float64)


def _check(key: str, design: Any, where: str) -> None:
    """Raises InputError unless a design's entry has all that is read, and numbers that can be."""
    if not isinstance(design, dict):
        raise InputError(where, "is no object", DESIGN)
    if missing := [name for name in FIELDS if name not in design]:
        raise InputError(where, f"lacks {missing[0]}", DESIGN)
    if not isinstance(design["point"], dict) or not isinstance(design["res_util"], dict):
        raise InputError(where, "has a point or res_util that is no object", DESIGN)
    if not isinstance(design["valid"], bool):
        raise InputError(where, "has a valid that is neither true nor false", "true or false")
    needed = {f"{kind}-{r.upper()}" for kind in ("util", "total") for r in RESOURCES}
    if missing := sorted(needed - set(design["res_util"])):
        raise InputError(where, f"lacks {missing[0]} in res_util", ", ".join(sorted(needed)))
    for name, value in [("perf", design["perf"]), *((name, design["res_util"][name]) for name in sorted(needed))]:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 2**63:
            raise InputError(where, f"has {name} {str(value)[:40]}", "a number that is 0 or more")
        if name == "perf" and 0 < value < 1:
            raise InputError(where, f"has {name} {value}", "a count of cycles, or 0 for none")
    for name, value in design["point"].items():
        if isinstance(value, (dict, list, float)) or value is None:
            raise InputError(where, f"has {name} = {str(value)[:40]}", "a word or a whole factor")


def _check_key(key: str, batch: Batch, row: int, where: str) -> None:
    """Raises InputError where a key of the form NAME-value.NAME-value says another design than the point beside it."""
    said = dict(part.rsplit("-", 1) for part in key.split(".") if "-" in part)
    if set(said) != set(batch.columns):
        return  # keys of another form are names only
    point = batch.schema.text(batch, row)
    words = {"NA": "coarse", "": "coarse"}
    other = [p for p in point.split(" ") if words.get(w := said[p.split("=")[0]], w) != p.split("=")[1]]
    if other:
        raise InputError(where, f"is the key of a point with {other[0]}", "a key and a point that agree")


def _first_of_each(table: KernelTable, keys: list[str]) -> Rows:
    """Rows without repeated designs. Raises InputError where a repeated design has another answer."""
    first: dict[tuple[int, ...], int] = {}
    if not keys:
        return np.empty(0, dtype=np.int64)
    points = np.stack([table.batch.columns[c.name] for c in table.batch.schema.columns], axis=1)
    answers = np.column_stack([table.cycles, *table.counts.values(), *table.shares.values(), table.valid])
    for row, point in enumerate(map(tuple, points.tolist())):
        earlier = first.setdefault(point, row)
        if not np.array_equal(answers[earlier], answers[row], equal_nan=True):
            found = f"designs '{keys[earlier][:120]}' and '{keys[row][:120]}' are the same with different answers"
            raise InputError(table.where, found, "one answer a design")
    return np.array(sorted(first.values()), dtype=np.int64)
