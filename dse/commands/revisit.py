"""What can be made of finished runs, and of runs that were cut short, from their stores alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from design.core import Objective
from design.errors import InputError
from design.metrics import metric_unit
from dse.options import read_settings
from dse.records.archive import Archive, Box, box_of
from dse.records.export import FORMATS, export
from dse.records.store import FILE, Store
from dse.run.conclude import cloud, conclude, remembered
from dse.search.explore import recall
from dse.studies.registry import study_of
from dse.studies.study import Study

if TYPE_CHECKING:
    from dse.report.comparison import Compared


def opened(folder: Path) -> tuple[Store, Study]:
    """The store of the run in a folder, and what the run explores. Raises InputError where there is none, or what it
    explores is not there any more."""
    path = folder / FILE
    store = Store.open(path)
    texts: dict[str, str] = store.meta("settings")
    return store, study_of(read_settings({name: (str(path), text) for name, text in texts.items()}))


def archive_of(store: Store, study: Study, box: Box | None = None) -> Archive:
    """What the run had found, generation by generation, as it was when the store was last written."""
    archive = Archive(study.problem.objectives, box)
    recall(archive, store)
    return archive


def export_again(folder: Path, formats: Sequence[str] | None) -> int:
    """Write the tables of a run again. Returns an exit code."""
    store, study = opened(folder)
    for path in export(store, study.problem.space, folder, formats or FORMATS):
        print(path)
    return 0


def report_again(folder: Path) -> int:
    """Draw the report of a run again. Returns an exit code."""
    from dse.report.page import PAGE, write_report

    store, study = opened(folder)
    archive = archive_of(store, study)
    outcome = conclude(study, archive, store, remembered(store))
    write_report(folder, study, outcome, archive.history, cloud(study.problem, store))
    print(folder / PAGE)
    return 0


def compare_runs(folders: Sequence[Path], place: Path) -> int:
    """Draw runs in one picture, `compare.png` and `compare.svg` in `place`, and print what each found. Returns an
    exit code. Raises InputError unless they have the same objectives."""
    from dse.report.comparison import print_comparison
    from dse.report.pictures.compare import compare_picture

    stores = [opened(folder) for folder in folders]
    objectives = stores[0][1].problem.objectives
    for folder, (_, study) in zip(folders, stores, strict=True):
        if study.problem.objectives != objectives:
            found = f"has the objectives {_goals(study.problem.objectives)}"
            raise InputError(str(folder), found, f"those of {folders[0]}: {_goals(objectives)}")
    fronts = [archive_of(store, study).values for store, study in stores]
    sign = np.array([o.sign for o in objectives])
    points = np.concatenate(fronts) * sign
    box = box_of(points) if len(points) and len(sign) > 1 else None
    runs = [_compared(str(folder), *pair, box) for folder, pair in zip(folders, stores, strict=True)]
    place.mkdir(parents=True, exist_ok=True)
    labels = [o.metric for o in objectives]
    units = [metric_unit(label) for label in labels]
    compare_picture([run.curve for run in runs], labels, units, sign.tolist(), place)
    print_comparison(runs)
    print(place / "compare.png")
    return 0


def _compared(name: str, store: Store, study: Study, box: Box | None) -> Compared:
    from dse.report.comparison import Compared
    from dse.report.pictures.compare import ComparedRun

    archive, end, problem = archive_of(store, study, box), remembered(store), study.problem
    history = archive.history
    volumes = [np.nan if p.hypervolume is None else p.hypervolume for p in history]
    curve = ComparedRun(
        name=name,
        front=archive.values,
        candidates=[p.candidates for p in history],
        best=np.array([p.best for p in history]).reshape(len(history), len(problem.objectives)),
        hypervolume=volumes if box is not None else None,
    )
    return Compared(
        curve=curve,
        objectives=problem.objectives,
        workload=f"{study.title}, {study.subject}",
        evaluator=store.meta("evaluator"),
        seed=problem.effort.seed,
        seconds=end.wall_s,
        lower_bound=end.bound.lower_bound,
        volume=(volumes[-1] if volumes else np.nan) if box is not None else None,
        ended=end.ended,
    )


def _goals(objectives: Sequence[Objective]) -> str:
    return ",".join(f"{o.goal}:{o.metric}" for o in objectives)
