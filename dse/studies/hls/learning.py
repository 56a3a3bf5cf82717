"""What a study of loop directives lends to `evaluate`, `train` and `predict`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cost_model.corpus.hls.nearest import nearest_kernels
from cost_model.corpus.label_draws import LEAST_ROWS, why_skipped
from cost_model.corpus.split import read_split
from design.contracts import Dataset, Task
from design.core import Batch
from design.errors import InputError
from design.hls.design import TARGETS, batch_of
from design.hls.directives import broken
from design.hls.loop_nest import PIPELINE, Kernel
from design.hls.task import family_of, hls_task
from dse.options import Settings
from dse.studies.hls.problem import hls_domain, read_task
from dse.studies.hls.train import train_as
from dse.studies.learning import Judged, Learning
from frontends.hls_results.tables import read_kernels, read_results, result_names


def loop_directives_learning(settings: Settings) -> Learning:
    """By the settings of a command."""
    return Learning(
        domain=hls_domain(settings),
        read_judged=lambda label_counts: judged_as(settings, label_counts),
        read_task=lambda: read_task(settings),
        read_labels=lambda task: None,
        design=lambda task: chosen(task, settings["set"] or ()),
        train=lambda out: train_as(settings, out),
        default={"evaluate": "estimate", "predict": "lm"},
    )


def judged_as(settings: Settings, label_counts: Sequence[int]) -> Judged:
    """The kernels that the settings name. Raises InputError as `read_judged` does, and without data."""
    if settings["data"] is None:
        raise InputError("--data", "is missing", "a folder or .tar.gz with sources/ and designs/TOOL/")
    train_data = None if settings["train-data"] is None else Path(settings["train-data"])
    return read_judged(Path(settings["data"]), settings["tool-version"], settings["kernels"], label_counts, train_data)


def read_judged(
    data: Path, tool_version: str, kernels: Sequence[str] | None, label_counts: Sequence[int], train_data: Path | None
) -> Judged:
    """Reads the kernels to judge and all that may be learned from, of every known tool version. `kernels` None are all
    kernels of the test families of config/hls/split.json. Raises InputError for a data set that cannot be read and
    where no kernel can be judged."""
    there = result_names(data)
    if kernels is None:
        families = read_split().families
        kernels = [name for name in there.get(tool_version, ()) if family_of(name) in families]
        if tool_version in there and not kernels:
            found = f"has no results of {tool_version} for the test families {', '.join(families)}"
            raise InputError(str(data), found, "--kernels with the names of some that are there")
    asked = read_results(data, tool_version, list(kernels))
    skipped = {table.task.name: why for table in asked if (why := why_skipped(table, label_counts))}
    tables = [table for table in asked if table.task.name not in skipped]
    if not tables:
        reason = "; ".join(f"{name}: {why}" for name, why in skipped.items())
        raise InputError(str(data), f"has no kernel to judge ({reason})", f"one with {LEAST_ROWS} designs with cycles")
    # A kernel that was asked for keeps its family out even where it has too few designs to be judged.
    source, families_out = train_data or data, {table.task.family for table in asked}
    training: list[Dataset] = []
    for tool, names in result_names(source).items():
        others = [name for name in names if family_of(name) not in families_out]
        if tool in TARGETS and others:
            training += read_results(source, tool, others)
    programs = training_programs(source, training)
    about = {
        "tool_version": tool_version,
        "data": str(data),
        "train_data": str(train_data or data),
        "distance": nearest_kernels(tables, programs),
    }
    return Judged(tables, training, skipped, about)


def training_programs(source: Path, training: Sequence[Dataset]) -> dict[str, Kernel]:
    """Kernels with results, of a known tool version, whose family is not held out; those in `training` are read."""
    held_out, read = read_split().families, {table.task.name: hls_task(table.task).kernel for table in training}
    names = {name for tool, there in result_names(source).items() if tool in TARGETS for name in there}
    wanted = sorted(name for name in names if family_of(name) not in held_out)
    return {name: read[name] for name in wanted if name in read} | read_kernels(source, sorted(set(wanted) - set(read)))


def chosen(task: Task, pairs: tuple[str, ...]) -> Batch:
    """The one design that NAME=VALUE pairs say; what they leave out is off, or a factor of 1. Raises InputError for a
    parameter that is not there or comes twice, and for a value outside its range."""
    kernel = hls_task(task).kernel
    point: dict[str, str | int] = {p.name: "off" if p.kind == PIPELINE else 1 for p in kernel.parameters}
    seen: set[str] = set()
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or name not in point:
            raise InputError("--set", f"'{pair[:60]}' names no parameter", f"NAME=VALUE of {', '.join(point)}")
        if name in seen:
            raise InputError("--set", f"{name} comes twice", "each parameter once")
        seen.add(name)
        point[name] = int(value) if value.isdigit() and len(value) < 10 else value
    batch = batch_of(kernel, task.schema, [point], "--set")
    for reason in broken(kernel, batch.columns):
        raise InputError("--set", reason, "a design that the tool can make")
    return batch
