"""A whole run in its directory: the loop with store, result files, pictures and progress around it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from design.core import Batch, Floats, Status, key_bytes
from design.errors import InputError
from design.metrics import metric_values
from dse.archive import Archive
from dse.engine import Search, make_search
from dse.exact.prove import provable
from dse.exact.search import ExactSearch
from dse.explore import Limits, explore
from dse.export import export
from dse.findings import findings, pool_of
from dse.interrupt import Interrupt
from dse.proof import Bound, bound_of_run
from dse.report.console import ProgressLine, print_outcome
from dse.report.results import Outcome, write_results
from dse.run_directory import RunDirectory, write_whole
from dse.settings import Settings
from dse.setup import Problem
from dse.spaces.fixed import FixedSpace
from dse.spaces.nmp import NmpSpace
from dse.store import FILE, Store

FIRST_LOOK_S, NEXT_LOOK_S = 2.0, 15.0  # wall seconds until results are first written, and between later times
CLOUD = 4000  # other designs drawn beside a front
POLISHED = "then polished by the exact solver"


class Run:
    """One exploration of a problem, written to `folder` as it goes."""

    def __init__(self, problem: Problem, settings: Settings, folder: Path) -> None:
        self.problem, self.settings, self.folder = problem, settings, folder
        self._cpu, self._wall = time.process_time(), time.monotonic()
        self._look_at = self._wall + FIRST_LOOK_S
        self._searched: tuple[float, float] | None = None

    def _time(self) -> tuple[float, float]:
        """CPU and wall seconds since the run was made."""
        return time.process_time() - self._cpu, time.monotonic() - self._wall

    def execute(self) -> str:
        """Explore to the end. Returns why it ended. Raises InputError before anything is written."""
        problem, settings = self.problem, self.settings
        search, generations = self._search()
        with RunDirectory(self.folder), Interrupt() as interrupt, ProgressLine(generations) as line:
            write_whole(self.folder / "settings.yaml", _yaml(settings))
            self.store = Store.create(self.folder / FILE, {"text": dict(settings.text)})
            archive, ended = explore(
                search,
                problem.evaluator,
                problem.objectives,
                Limits(generations, settings["time-limit"]),
                problem.effort.seed,
                self.store,
                [line, self._look],
                lambda: interrupt.asked,
            )
            self._searched = self._time()
            full = settings["report"] == "full" and ended not in ("interrupted", "time limit reached")
            line.say("proving how good the best design is" if full else "writing results")
            bound = bound_of_run(problem.space, problem.evaluator, problem.objectives, search, archive, full)
            if bound.better is not None:
                self._polish(archive, bound.better)
                ended += f", {POLISHED}"
            line.say("trying one step in each hardware parameter" if full else "writing results")
            outcome = self._write(archive, ended, bound, full, lambda: interrupt.asked)
            if settings["export"]:
                export(self.store, problem.space, self.folder, settings["export"])
            self.store.close()
        print_outcome(outcome, str(self.folder))
        return "interrupted" if interrupt.asked else ended

    def _search(self) -> tuple[Search, int]:
        """The search, and for how many generations at most it is asked."""
        problem, name = self.problem, self.settings["algorithm"]
        generations = self.settings["num-generations"]
        if name != "exact":
            candidates = generations * problem.effort.population
            return make_search(problem.space, problem.effort, name, len(problem.objectives), candidates), generations
        objective = problem.objectives[0]
        if len(problem.objectives) > 1 or not (isinstance(problem.space, FixedSpace) or provable(objective)):
            found = f"exact with {self.settings['objectives']}"
            raise InputError("--algorithm", found, "one of latency_s, prefill_s, decode_s as the only objective")
        if not isinstance(problem.space, NmpSpace):
            size = problem.space.size or 1
            search = make_search(problem.space, problem.effort, "enumerate", 1, size)
            return search, -(-size // problem.effort.population)
        exact = ExactSearch(problem.space, problem.evaluator, objective.metric)
        return exact, exact.devices + 1

    def _polish(self, archive: Archive, better: Batch) -> None:
        """Add a design that the solver found to what the search found."""
        space = self.problem.space
        genomes = space.encode(better)
        evaluation = self.problem.evaluator.evaluate(better, seed=self.problem.effort.seed)
        self.store.add(len(archive.history), genomes, key_bytes(space.schema.key(better)), evaluation)
        archive.add(genomes, evaluation, time.monotonic() - self._wall)

    def _look(self, archive: Archive) -> None:
        """Write what there is, now and then, so that a long run can be watched."""
        if time.monotonic() >= self._look_at:
            self._write(archive, "running", Bound(None, "the run is not over"), full=False)
            self._look_at = time.monotonic() + NEXT_LOOK_S

    def _write(
        self, archive: Archive, ended: str, bound: Bound, full: bool, stop: Callable[[], bool] = lambda: False
    ) -> Outcome:
        problem = self.problem
        genomes = archive.genomes
        if genomes is None:
            genomes = np.empty((0, len(problem.space.bounds)), dtype=np.int64)
        front = problem.space.decode(genomes)
        answers = problem.evaluator.evaluate(front, seed=problem.effort.seed)
        pool = pool_of(problem, self.store, front) if full else None
        # Of the search: what is worked out about its result afterwards is not its speed.
        cpu_seconds, wall_seconds = self._searched or self._time()
        outcome = Outcome(
            workload=problem.workload,
            objectives=problem.objectives,
            front=front,
            answers=answers,
            front_ids=archive.rows.tolist(),
            candidates=archive.candidates,
            cpu_seconds=cpu_seconds,
            wall_seconds=wall_seconds,
            seed=problem.effort.seed,
            ended=ended,
            settings=self.settings.text,
            bound=bound,
            findings=findings(problem, archive, front, answers, bound, pool, full, stop),
        )
        write_results(self.folder, outcome)
        self._draw(archive, outcome)
        return outcome

    def _draw(self, archive: Archive, outcome: Outcome) -> None:
        from dse.report.page import write_report

        running = outcome.ended == "running"
        write_report(self.folder, self.problem, outcome, archive.history, self._cloud(), brief=running)

    def _cloud(self) -> Floats:
        """An even choice of feasible candidates, (n, 1 + objectives): number, then objectives."""
        names = list(self.problem.evaluator.metrics)
        table = np.array(self.store.even_choice(Status.OK, names, CLOUD), dtype=np.float64).reshape(-1, 1 + len(names))
        known = dict(zip(names, table[:, 1:].T, strict=True))
        values = [metric_values(o.metric, known) for o in self.problem.objectives]
        return np.stack([table[:, 0], *values], axis=1)


def _yaml(settings: Settings) -> str:
    import yaml

    return "# Repeat this run: python main.py --config settings.yaml\n" + yaml.safe_dump(
        dict(settings.text), sort_keys=False
    )
