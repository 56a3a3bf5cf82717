"""Results of HLS tools as tables: per kernel the designs that were tried, and what the tool said of each.

The layout is HLSyn's (Bai et al., NeurIPS 2023): `designs/TOOL/NAME.json` maps a design's key to {"perf": cycles,
"point": {parameter: value}, "res_util": {"util-LUT": share, "total-LUT": count, ..}, "valid": bool}.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from design.contracts import TOOL, Dataset, Provenance
from design.core import Batch, Bools, Evaluation, Floats, Rows, Status
from design.errors import InputError
from design.hls.design import TARGETS, Target, batch_of, hls_schema
from design.hls.loop_nest import Kernel
from design.hls.task import HlsTask
from design.metrics import CYCLES, RESOURCES
from frontends.c_kernel import parse_kernel
from frontends.hls_results.files import HlsFiles, open_files

FIELDS = ("perf", "point", "res_util", "valid")
DESIGN = "a design as {perf, point, res_util, valid}"


def result_names(path: Path) -> dict[str, tuple[str, ...]]:
    """Which kernels a data set has results of, by tool version. Raises InputError as `read_results` does."""
    return {tool: tuple(sorted(tables)) for tool, tables in sorted(open_files(path).tables.items())}


def read_kernels(path: Path, names: Sequence[str]) -> dict[str, Kernel]:
    """Kernels of a data set alone, by name, whatever was said of their designs. Raises InputError as above."""
    files = open_files(path) if names else None
    return {name: parse_kernel(*files.source(name)) for name in names} if files else {}


def read_results(path: Path, tool: str, names: Sequence[str] | None = None) -> list[Dataset]:
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


def _table(files: HlsFiles, target: Target, name: str) -> Dataset:
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
    numbers = {CYCLES: cycles, **counts} | {f"{name}_share": values for name, values in shares.items()}
    table = hls_dataset(HlsTask(kernel, target, name), batch, numbers, valid, where)
    return table.take(_first_of_each(table, list(designs)))


def hls_dataset(
    task: HlsTask, batch: Batch, metrics: Mapping[str, Floats], valid: Bools, where: str, sources: tuple[str, ...] = ()
) -> Dataset:
    """What a tool reported of n designs: `metrics` by name (n,), NaN where it gave none, and whether it called each
    `valid` (n,), whether or not there are cycles. `sources` name who answered, as name/version."""
    said = np.full(len(batch), sources[0] if sources else f"recorded-{task.target.tool}")
    evaluation = Evaluation(
        metrics=dict(metrics),
        violation={"tool": np.where(valid, 0.0, 1.0)},
        status=np.where(valid, Status.OK, Status.INFEASIBLE).astype(np.int8),
        reason=np.where(valid, "", "the tool calls it not valid"),
        cost_s=np.zeros(len(batch)),
        source=dict.fromkeys(metrics, said),
    )
    return Dataset(task, batch, evaluation, TOOL, Provenance(where, sources))


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


def _first_of_each(table: Dataset, keys: list[str]) -> Rows:
    """Rows without repeated designs. Raises InputError where a repeated design has another answer."""
    first: dict[tuple[int, ...], int] = {}
    if not keys:
        return np.empty(0, dtype=np.int64)
    points = np.stack([table.batch.columns[c.name] for c in table.batch.schema.columns], axis=1)
    answers = np.column_stack([*table.evaluation.metrics.values(), table.feasible])
    for row, point in enumerate(map(tuple, points.tolist())):
        earlier = first.setdefault(point, row)
        if not np.array_equal(answers[earlier], answers[row], equal_nan=True):
            found = f"designs '{keys[earlier][:120]}' and '{keys[row][:120]}' are the same with different answers"
            raise InputError(table.provenance.where, found, "one answer a design")
    return np.array(sorted(first.values()), dtype=np.int64)
