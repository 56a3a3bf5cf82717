"""What can be made of finished runs, and of runs that were cut short, from their stores alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from design.errors import InputError
from design.metrics import metric_unit
from dse.archive import Archive
from dse.conclude import cloud, conclude, remembered
from dse.export import FORMATS, export
from dse.setup import Problem, build
from dse.settings import read_settings
from dse.store import FILE, Store


def opened(folder: Path) -> tuple[Store, Problem, dict[str, str]]:
    """The store of the run in a folder, what the run explores, and its settings. Raises InputError where there is
    none, or what it explores is not there any more."""
    path = folder / FILE
    store = Store.open(path)
    texts: dict[str, str] = store.meta("settings")
    return store, build(read_settings({name: (str(path), text) for name, text in texts.items()})), texts


def archive_of(store: Store, problem: Problem) -> Archive:
    """What the run had found, generation by generation, as it was when the store was last written."""
    archive = Archive(problem.objectives)
    seconds = 0.0
    for candidates, wall_s, _ in store.steps():
        if (part := store.answers(archive.candidates, candidates)) is not None:
            archive.add(part.ids, part.genomes, part.evaluation, wall_s)
        seconds = wall_s
    # A generation that was cut short, and a design that a proof added.
    if (rest := store.answers(archive.candidates)) is not None:
        archive.add(rest.ids, rest.genomes, rest.evaluation, seconds)
    return archive


def export_again(folder: Path, formats: Sequence[str] | None) -> int:
    """Write the tables of a run again. Returns an exit code."""
    store, problem, _ = opened(folder)
    for path in export(store, problem.space, folder, formats or FORMATS):
        print(path)
    return 0


def report_again(folder: Path) -> int:
    """Draw the report of a run again. Returns an exit code."""
    from dse.report.page import PAGE, write_report

    store, problem, texts = opened(folder)
    archive = archive_of(store, problem)
    outcome = conclude(problem, texts, archive, store, remembered(store))
    write_report(folder, problem, outcome, archive.history, cloud(problem, store))
    print(folder / PAGE)
    return 0


def compare_runs(folders: Sequence[Path], place: Path) -> int:
    """Draw runs in one picture, `compare.png` and `compare.svg` in `place`, and print what each found. Returns an
    exit code. Raises InputError unless they have the same objectives."""
    from dse.report.comparison import compared, print_comparison
    from dse.report.pictures.compare import compare_picture

    runs = []
    for folder in folders:
        store, problem, texts = opened(folder)
        runs.append(compared(str(folder), problem, texts, archive_of(store, problem), remembered(store)))
        store.close()
    first, *others = runs
    for folder, other in zip(folders[1:], others, strict=True):
        if other.objectives != first.objectives:
            names = ",".join(o.metric for o in other.objectives)
            expected = f"those of {folders[0]}: {','.join(o.metric for o in first.objectives)}"
            raise InputError(str(folder), f"has the objectives {names}", expected)
    place.mkdir(parents=True, exist_ok=True)
    labels = [o.metric for o in first.objectives]
    signs = [o.sign for o in first.objectives]
    compare_picture([run.curve for run in runs], labels, [metric_unit(label) for label in labels], signs, place)
    print_comparison(runs)
    print(place / "compare.png")
    return 0
