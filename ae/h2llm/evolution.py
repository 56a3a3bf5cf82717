"""How near the evolutionary search alone comes to the proven optimum, after how many candidates."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ae.h2llm.points import Point
from dse.records.archive import Archive
from dse.records.directory import write_whole
from dse.search.engine import Effort, make_search
from dse.search.explore import explore
from dse.studies.nmp.problem import build

MARKS = (1_000, 5_000, 25_000)  # candidates
POPULATION, PARENTS, VARIED = 500, 50, 0.8  # so many fit into each mark; the share is the published one
ALGORITHM = "ga"


def evolved(point: Point, folder: Path, evaluator: str, seeds: Sequence[int], marks: Sequence[int] = MARKS) -> None:
    """Leave a record for each seed and mark: the best latency found by then, None where nothing was feasible. No solver
    takes part. What is in the folder is not done again."""
    for seed in seeds:
        path = folder / f"{point.name}.{ALGORITHM}.{seed}.json"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, json.dumps(_evolved(point, evaluator, seed, marks)) + "\n")


def kept(point: Point, folder: Path) -> list[Any]:
    """All records of a point that are in the folder, by seed."""
    paths = sorted(folder.glob(f"{point.name}.{ALGORITHM}.*.json"), key=lambda path: int(path.suffixes[-2][1:]))
    return [record for path in paths for record in json.loads(path.read_text(encoding="utf-8"))]


def _evolved(point: Point, evaluator: str, seed: int, marks: Sequence[int]) -> list[dict[str, Any]]:
    problem = build(point.settings(evaluator, seed, Path()))
    search = make_search(problem.space, Effort(POPULATION, PARENTS, VARIED, seed), ALGORITHM, 1, max(marks))
    best: dict[int, float | None] = {}

    def watch(archive: Archive) -> None:
        if archive.candidates in marks:
            best[archive.candidates] = float(archive.values[0, 0]) if len(archive.values) else None

    explore(search, problem.evaluator, problem.objectives, max(marks) // POPULATION, seed, watch=[watch])
    about = {"design": point.design, "model": point.model, "data_set": point.data_set, "batch": point.batch}
    last: float | None = None
    records = []
    for mark in marks:
        last = best.get(mark, last)  # a search that ends early has found what it can
        records.append(about | {"seed": seed, "candidates": mark, "latency": last})
    return records
