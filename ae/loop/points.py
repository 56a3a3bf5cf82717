"""The race of loops: every method on every kernel with every seed, each point done once and kept."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ae.job_pool import Piece, work_off
from ae.loop.race import METHODS, Course, distances, raced
from cost_model.hls.estimate import EstimateSurrogate
from cost_model.surrogates.checkpoints import language_model, with_intervals
from cost_model.surrogates.tables.from_scratch import TaskOnlySurrogate
from cost_model.surrogates.tables.task_only import KINDS
from cost_model.views.hls.view import HlsView
from design.contracts import Surrogate
from design.errors import InputError, in_one_line
from dse.records.directory import write_whole
from dse.report.repeat import revision
from evaluators.cascade import CascadeSurrogate
from frontends.hls_results.tables import read_results

POINTS = "points"  # a file a point, in the experiment's folder
COST = {"lm loop": 25.0, "estimate loop": 10.0, "nsga-ii": 0.1, "random": 0.1}  # CPU-seconds a point; others about 5
Point = dict[str, Any]


@dataclass(frozen=True)
class Race:
    """What is run: kernels of a data set, by one tool, with each seed, for at most `budget` tool runs."""

    data: Path
    tool: str
    kernels: tuple[str, ...]
    methods: tuple[str, ...]
    seeds: tuple[int, ...]
    budget: int
    out: Path
    checkpoint: str | None = None  # of the language model; None: the shipped one

    def path(self, kernel: str, method: str, seed: int) -> Path:
        """Where a point is kept."""
        words = method.replace(",", "").replace(" ", "-")
        return self.out / POINTS / f"{self.tool}.{kernel}.{words}.{self.budget}.{seed}.json"


@dataclass(frozen=True)
class Leg:
    """Points that one worker does, one after another: methods that learn with the same surrogate, on one kernel."""

    race: Race
    kernel: str
    methods: tuple[str, ...]

    @property
    def name(self) -> str:
        """Kernel and methods."""
        return f"{self.kernel}, {'; '.join(self.methods)}"

    @property
    def cost(self) -> float:
        """About how many CPU-seconds its points take."""
        return sum(COST.get(method, 5.0) for method, _ in self.left())

    def left(self) -> Iterator[tuple[str, int]]:
        """Method and seed of points not done yet."""
        for method in self.methods:
            for seed in self.race.seeds:
                if not self.race.path(self.kernel, method, seed).exists():
                    yield method, seed


def surrogate_of(name: str, checkpoint: str | None) -> Surrogate | None:
    """What a method learns with. Raises InputError for an unusable checkpoint, and where PyTorch is not installed."""
    view = HlsView()
    if name in KINDS:
        return TaskOnlySurrogate(name, view)
    if name == "estimate":
        return CascadeSurrogate(None, EstimateSurrogate(), view)
    if name == "lm":
        model = with_intervals(language_model(view, checkpoint), view, checkpoint)
        return CascadeSurrogate(model, EstimateSurrogate(), view)
    return None


def run_race(race: Race, workers: int, say: Callable[[str], None]) -> list[Point]:
    """All points of a race; those that are there already are not done again. A point that goes wrong is left out and
    told of. Raises InputError for a kernel that is not there or has no valid design, and for one whose family the
    surrogate of a method has learned from."""
    _check(race)
    legs = [leg for leg in _legs(race) if next(leg.left(), None) is not None]
    left = sum(len(list(leg.left())) for leg in legs)
    whole = len(race.kernels) * len(race.methods) * len(race.seeds)
    say(f"{whole} points, {whole - left} of them done before")
    if legs:
        (race.out / POINTS).mkdir(parents=True, exist_ok=True)
        pieces = [Piece(leg.name, _run, (leg,), leg.cost) for leg in legs]
        found, _ = work_off(pieces, workers, say)
        for line in (line for lines in found.values() for line in lines):
            say(line)
    paths = [race.path(k, m, s) for k in race.kernels for m in race.methods for s in race.seeds]
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.exists()]


def _check(race: Race) -> None:
    for table in read_results(race.data, race.tool, race.kernels):
        Course.of(table)
        for name in {METHODS[method].surrogate for method in race.methods}:
            surrogate = surrogate_of(name, race.checkpoint)
            if surrogate is not None and surrogate.trained_on.contains(table.task.family, table.task.digest):
                found = f"{table.task.name} is of a family that {surrogate.name} ({name}) has learned from"
                raise InputError("--kernels", found, "kernels that no method has seen")


def _legs(race: Race) -> list[Leg]:
    """One for each surrogate and kernel."""
    kinds = {METHODS[method].surrogate: None for method in race.methods}
    return [
        Leg(race, kernel, tuple(m for m in race.methods if METHODS[m].surrogate == kind))
        for kind in kinds
        for kernel in race.kernels
    ]


def _run(leg: Leg) -> list[str]:
    """Do the points of a leg. Returns what went wrong."""
    race, wrong = leg.race, []
    (table,) = read_results(race.data, race.tool, [leg.kernel])
    course, surrogate = Course.of(table), surrogate_of(METHODS[leg.methods[0]].surrogate, race.checkpoint)
    for method, seed in leg.left():
        began = time.process_time()
        try:
            rows = raced(course, METHODS[method], seed, race.budget, surrogate)
            adrs, share = distances(course, rows)
        except Exception as error:  # one bad point does not stop the others
            wrong.append(f"{leg.kernel}, {method}, seed {seed}: {in_one_line(error)}")
            continue
        about = {"kernel": leg.kernel, "tool": race.tool, "method": method, "seed": seed, "budget": race.budget}
        curve = {"adrs": [a if a < float("inf") else None for a in adrs.tolist()], "hypervolume": share.tolist()}
        spent = {"cpu_seconds": time.process_time() - began, "commit": revision()}
        size = {"designs": len(table), "front": len(course.front), "rows": rows}
        write_whole(race.path(leg.kernel, method, seed), json.dumps(about | size | curve | spent) + "\n")
        last = f"{adrs[-1]:.1%}" if len(adrs) and adrs[-1] < float("inf") else "nothing valid"
        print(f"{leg.kernel}, {method}, seed {seed}: ADRS {last} after {len(rows)} runs", file=sys.stderr, flush=True)
    return wrong
