"""A whole run in its directory: the loop with store, result files, pictures and progress around it."""

from __future__ import annotations

import importlib.util
import logging
import sys
import time
from pathlib import Path

import numpy as np

from design.core import Batch, key_bytes
from design.errors import InputError
from design.metrics import METRICS
from dse.archive import Archive
from dse.conclude import ENDING, SITTING, Ending, cloud, conclude, hardware_steps, remember
from dse.engine import Search, make_search
from dse.exact.prove import provable
from dse.exact.search import ExactSearch
from dse.explore import FAILING, explore
from dse.export import export
from dse.interrupt import INTERRUPTED, OVER_TIME, Interrupt
from dse.proof import Bound, bound_of_run, quick_bound
from dse.report.console import print_outcome
from dse.report.progress import ProgressLine
from dse.report.results import Outcome, versions, write_results
from dse.run_directory import RunDirectory, write_whole
from dse.run_log import RunLog
from dse.settings import Settings
from dse.setup import Problem
from dse.spaces.fixed import FixedSpace
from dse.spaces.nmp import NmpSpace
from dse.store import FILE, LATER, Store
from evaluators.guarded import Guarded
from evaluators.pace import Pace
from evaluators.workers import Workers

LOG = logging.getLogger("tilewright")
FIRST_LOOK_S, NEXT_LOOK_S = 5.0, 15.0  # wall seconds until results are first written, and between later times
LOOK_SHARE = 0.05  # of the time that such writing may take
POLISHED = "then polished by the exact solver"
UNFINISHED = (INTERRUPTED, OVER_TIME)


class Run:
    """One exploration of a problem, written to `folder` as it goes; with `resume` in the settings, one that goes on
    from what is there."""

    def __init__(self, problem: Problem, settings: Settings, folder: Path) -> None:
        self.problem, self.settings, self.folder = problem, settings, folder
        self._begin = time.monotonic()
        self._look_at = self._begin + FIRST_LOOK_S

    def execute(self) -> int:
        """Explore to the end. Returns an exit code. Raises InputError before anything is written."""
        problem, settings, folder = self.problem, self.settings, self.folder
        self._check()
        with (
            RunDirectory(folder, settings["resume"]),
            RunLog(folder),
            Interrupt(settings["time-limit"]) as interrupt,
            self._guarded(interrupt) as evaluator,
        ):
            self.store = self._store()
            write_whole(folder / "settings.yaml", _yaml(settings))
            search, generations = self._search()
            with ProgressLine(generations, interrupt, settings["quiet"], self._quick_bound) as line:
                archive, ended = explore(
                    search,
                    evaluator,
                    problem.objectives,
                    generations,
                    problem.effort.seed,
                    self.store,
                    [line, self._look],
                    interrupt.reason,
                    settings["max-failures"],
                    lambda: time.process_time() + evaluator.remote_cpu_s,
                )
                outcome = self._conclude(search, archive, ended, interrupt, line)
            if settings["export"]:
                export(self.store, problem.space, folder, settings["export"])
            self.store.close()
            LOG.info("%d candidates, %s", outcome.candidates, outcome.ended)
            through = not ended.startswith((*UNFINISHED, FAILING))
            if settings["process-num"] > 1 and through and not evaluator.shipped and not settings["quiet"]:
                print("note: evaluation was so cheap that workers would have slowed it", file=sys.stderr)
        if not settings["quiet"]:
            print_outcome(outcome, str(folder))
        return 130 if interrupt.asked else 3 if ended.startswith(FAILING) else 0

    def _guarded(self, interrupt: Interrupt) -> Guarded:
        """The evaluator, guarded against faults; on workers where there are to be several and that pays."""
        settings, count, limit_s = self.settings, self.settings["process-num"], self.settings["row-time-limit"]
        evaluator, address = self.problem.evaluator, self.settings["ray-address"]
        needs = {need for o in self.problem.objectives for need in METRICS[o.metric].needs or (o.metric,)}
        rows = settings["num-generations"] * self.problem.effort.population

        def workers() -> Workers:
            from evaluators.pool import RayWorkers

            return RayWorkers(evaluator, count, address, limit_s)

        pace = Pace(count, rows, limit_s)
        stop = lambda: interrupt.reason() is not None
        return Guarded(evaluator, sorted(needs), limit_s, stop, workers if count > 1 else None, pace)

    def _store(self) -> Store:
        """A new store, or the one to go on with."""
        path, evaluator = self.folder / FILE, self.problem.evaluator
        now = {"settings": dict(self.settings.text), "versions": versions()}
        said = f"{evaluator.name}/{evaluator.version}"
        if not Store.begun(path):
            LOG.info("begun: python %s", " ".join(sys.argv))
            return Store.create(path, {"settings": now["settings"], "evaluator": said}, {SITTING: now})
        store = Store.open(path)
        if store.meta("evaluator") != said:
            found = f"was priced by {store.meta('evaluator')}, and the evaluator now is {said}"
            raise InputError(str(path), found, "the same, or another directory")
        if (before := store.facts[SITTING]["versions"]) != now["versions"]:
            LOG.warning("other versions than last time, %s: %s", before, now["versions"])
        store.take_back()
        store.facts.pop(ENDING, None)
        store.facts[SITTING] = now
        LOG.info("resumed after %d complete generations: python %s", len(store.steps()), " ".join(sys.argv))
        return store

    def _check(self) -> None:
        """Raise InputError where workers or the algorithm cannot do what is asked, before anything is written."""
        problem, name = self.problem, self.settings["algorithm"]
        count, address = self.settings["process-num"], self.settings["ray-address"]
        if address is not None and count < 2:
            raise InputError("--ray-address", f"{address} with {count} worker", "--process-num of 2 or more")
        if count > 1 and importlib.util.find_spec("ray") is None:
            raise InputError("--process-num", "workers need Ray", "pip install -r requirements.txt, or 1")
        if name != "exact":
            make_search(problem.space, problem.effort, name, len(problem.objectives), self._candidates())
            return
        objective = problem.objectives[0]
        if len(problem.objectives) > 1 or not (isinstance(problem.space, FixedSpace) or provable(objective)):
            found = f"exact with {self.settings['objectives']}"
            raise InputError("--algorithm", found, "one of latency_s, prefill_s, decode_s as the only objective")

    def _candidates(self, generations: int | None = None) -> int:
        return (generations or self.settings["num-generations"]) * self.problem.effort.population

    def _search(self) -> tuple[Search, int]:
        """The search, and for how many generations at most it is asked."""
        problem, name = self.problem, self.settings["algorithm"]
        if name != "exact":
            # What `auto` stands for is decided when a run begins, however long it then goes on.
            candidates = self._candidates(int(self.store.meta("settings")["num-generations"]))
            search = make_search(problem.space, problem.effort, name, len(problem.objectives), candidates)
            return search, self.settings["num-generations"]
        if not isinstance(problem.space, NmpSpace):
            size = problem.space.size or 1
            search = make_search(problem.space, problem.effort, "enumerate", 1, size)
            return search, -(-size // problem.effort.population)
        exact = ExactSearch(problem.space, problem.evaluator, problem.objectives[0].metric, self.store.facts)
        return exact, exact.devices + 1

    def _quick_bound(self) -> float | None:
        return quick_bound(self.problem.space, self.problem.evaluator, self.problem.objectives[0])

    def _conclude(
        self, search: Search, archive: Archive, ended: str, interrupt: Interrupt, line: ProgressLine
    ) -> Outcome:
        """Prove, improve and explain what was found, and write it all."""
        problem = self.problem
        # Of the search: what is worked out about its result afterwards is not its speed.
        seconds, cpu_s = self._spent()
        full = self.settings["report"] == "full" and not ended.startswith((*UNFINISHED, FAILING))
        line.say("proving how good the best design is" if full else "writing results")
        bound = bound_of_run(problem.space, problem.evaluator, problem.objectives, search, archive, full)
        if bound.better is not None:
            self._polish(archive, bound.better, seconds)
            ended += f", {POLISHED}"
        line.say("trying one step in each hardware parameter" if full else "writing results")
        steps = hardware_steps(problem, archive, lambda: interrupt.asked) if full else None
        end = Ending(ended, cpu_s, seconds, bound, steps, full)
        outcome = conclude(problem, archive, self.store, end)
        remember(self.store, end)
        self._write(archive, outcome)
        return outcome

    def _spent(self) -> tuple[float, float]:
        """Wall and CPU seconds of search, all sittings together."""
        steps = self.store.steps()
        return steps[-1][1:] if steps else (time.monotonic() - self._begin, time.process_time())

    def _polish(self, archive: Archive, better: Batch, seconds: float) -> None:
        """Add a design that the solver found to what the search found."""
        space, ids = self.problem.space, np.array([archive.candidates])
        genomes = space.encode(better)
        evaluation = self.problem.evaluator.evaluate(better, seed=self.problem.effort.seed)
        self.store.add(LATER, ids, genomes, key_bytes(space.schema.key(better)), evaluation)
        archive.add(ids, genomes, evaluation, seconds)

    def _look(self, archive: Archive) -> None:
        """Write what there is, now and then, so that a long run can be watched."""
        begin = time.monotonic()
        if begin >= self._look_at:
            seconds, cpu_s = self._spent()
            end = Ending("running", cpu_s, seconds, Bound(None, "the run is not over"), None, False)
            self._write(archive, conclude(self.problem, archive, self.store, end), brief=True)
            now = time.monotonic()
            self._look_at = now + max(NEXT_LOOK_S, (now - begin) / LOOK_SHARE)

    def _write(self, archive: Archive, outcome: Outcome, brief: bool = False) -> None:
        write_results(self.folder, outcome)
        if self.settings["report"] == "none":
            return
        from dse.report.page import write_report

        others = cloud(self.problem, self.store)
        write_report(self.folder, self.problem, outcome, archive.history, others, brief=brief)


def _yaml(settings: Settings) -> str:
    import yaml

    return "# Repeat this run: python main.py --config settings.yaml\n" + yaml.safe_dump(
        dict(settings.text), sort_keys=False
    )
