"""A whole run in its directory: the loop with store, result files, pictures and progress around it."""

from __future__ import annotations

import importlib.util
import logging
import sys
import time
from pathlib import Path

import numpy as np

from design.contracts import Evaluator, together_of
from design.core import Batch, key_bytes
from design.errors import InputError
from dse.options import Settings
from dse.records.archive import Archive
from dse.records.directory import RunDirectory, write_whole
from dse.records.export import export
from dse.records.log import RunLog
from dse.records.store import FILE, LATER, Store
from dse.report.console import print_outcome
from dse.report.progress import ProgressLine
from dse.report.results import versions, write_results
from dse.run.conclude import ENDING, SITTING, cloud, conclude, remember
from dse.run.interrupt import INTERRUPTED, OVER_TIME, Interrupt
from dse.search.engine import Search
from dse.search.explore import FAILING, explore
from dse.studies.outcome import Bound, Ending, Outcome
from dse.studies.study import RunContext, Study
from evaluators.execution.batching import Pace
from evaluators.execution.fault_tolerant import Guarded
from evaluators.execution.workers import Workers

LOG = logging.getLogger("tilewright")
FIRST_LOOK_S, NEXT_LOOK_S = 5.0, 15.0  # wall seconds until results are first written, and between later times
LOOK_SHARE = 0.05  # of the time that such writing may take
POLISHED = "then polished by the exact solver"
UNFINISHED = (INTERRUPTED, OVER_TIME)


class Run:
    """One exploration of a problem, written to `folder` as it goes; with `resume` in the settings, one that goes on
    from what is there."""

    def __init__(self, study: Study, settings: Settings, folder: Path) -> None:
        self.study, self.problem, self.settings, self.folder = study, study.problem, settings, folder
        self._begin = time.monotonic()
        self._look_at = self._begin + FIRST_LOOK_S
        self._guards: list[Guarded] = []

    def execute(self) -> int:
        """Explore to the end. Returns an exit code. Raises InputError before anything is written."""
        problem, settings, folder = self.problem, self.settings, self.folder
        self._check()
        with (
            RunDirectory(folder, settings["resume"]),
            RunLog(folder),
            Interrupt(settings["time-limit"]) as interrupt,
            self.study.judge(self._context(interrupt), self._candidates()) as evaluator,
        ):
            self.store = self._store()
            write_whole(folder / "settings.yaml", _yaml(settings))
            search, generations = self._search()
            active = self.study.active(evaluator, self.store, self._context(interrupt))
            steps, more = (generations, None) if active is None else (active.budget, active.state)
            with ProgressLine(steps, interrupt, settings["quiet"], self.study.quick_bound, more) as line:
                if active is not None:
                    archive, ended = active.run([line, self._look])
                else:
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
                        self._cpu_s,
                    )
                outcome = self._conclude(search, archive, ended, interrupt, line)
            if settings["export"]:
                export(self.store, problem.space, folder, settings["export"])
            self.store.close()
            LOG.info("%d candidates, %s", outcome.candidates, outcome.ended)
            unused = not self.study.tools_only and not any(guarded.shipped for guarded in self._guards)
            through = not ended.startswith((*UNFINISHED, FAILING))
            if settings["process-num"] > 1 and through and unused and not settings["quiet"]:
                print("note: evaluation was so cheap that workers would have slowed it", file=sys.stderr)
        if not settings["quiet"]:
            print_outcome(self.study, outcome, str(folder))
        return 130 if interrupt.asked else 3 if ended.startswith(FAILING) else 0

    def _cpu_s(self) -> float:
        """Of this process and of its workers."""
        return time.process_time() + sum(guarded.remote_cpu_s for guarded in self._guards)

    def _context(self, interrupt: Interrupt) -> RunContext:
        """What the study may use."""
        count, address = self.settings["process-num"], self.settings["ray-address"]
        limit_s, stop = self.settings["row-time-limit"], lambda: interrupt.reason() is not None

        def guarded(evaluator: Evaluator, needs: list[str], rows: int) -> Guarded:
            def workers() -> Workers:
                from evaluators.execution.ray_workers import RayWorkers

                return RayWorkers(evaluator, count, address, limit_s)

            pace, several = Pace(count, rows, limit_s, together_of(evaluator)), count > 1 and not self.study.tools_only
            self._guards.append(Guarded(evaluator, needs, limit_s, stop, workers if several else None, pace))
            return self._guards[-1]

        failures = self.settings["max-failures"]
        return RunContext(self.folder, count, address, stop, interrupt.reason, failures, self._cpu_s, guarded)

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
        count, address = self.settings["process-num"], self.settings["ray-address"]
        if address is not None and count < 2:
            raise InputError("--ray-address", f"{address} with {count} worker", "--process-num of 2 or more")
        if count > 1 and not self.study.tools_only and importlib.util.find_spec("ray") is None:
            raise InputError("--process-num", "workers need Ray", "pip install -r requirements.txt, or 1")
        self.study.check(self.settings["algorithm"], self._candidates())

    def _candidates(self, generations: int | None = None) -> int:
        return (generations or self.settings["num-generations"]) * self.problem.effort.population

    def _search(self) -> tuple[Search, int]:
        """The search, and for how many generations at most it is asked."""
        name = self.settings["algorithm"]
        # What `auto` stands for is decided when a run begins, however long it then goes on.
        candidates = self._candidates(int(self.store.meta("settings")["num-generations"]))
        search = self.study.search(name, candidates, self.store.facts)
        return search, self.study.generations(name, search, self.settings["num-generations"])

    def _conclude(
        self, search: Search, archive: Archive, ended: str, interrupt: Interrupt, line: ProgressLine
    ) -> Outcome:
        """Prove, improve and explain what was found, and write it all."""
        # Of the search: what is worked out about its result afterwards is not its speed.
        seconds, cpu_s = self._spent()
        full = self.settings["report"] == "full" and not ended.startswith((*UNFINISHED, FAILING))
        line.say("proving how good the best design is" if full else "writing results")
        bound = self.study.bound(search, archive, full)
        if bound.better is not None:
            self._polish(archive, bound.better, seconds)
            ended += f", {POLISHED}"
        line.say("writing results")
        further = checked = None
        if not ended.startswith((*UNFINISHED, FAILING)):
            context = self._context(interrupt)
            further = self.study.further(archive, context, full, line.say)
            checked = self.study.validate(archive, context, line.say)
        end = Ending(ended, cpu_s, seconds, bound, further, full, checked)
        outcome = conclude(self.study, archive, self.store, end)
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
            self._write(archive, conclude(self.study, archive, self.store, end), brief=True)
            now = time.monotonic()
            self._look_at = now + max(NEXT_LOOK_S, (now - begin) / LOOK_SHARE)

    def _write(self, archive: Archive, outcome: Outcome, brief: bool = False) -> None:
        write_results(self.folder, self.study, outcome)
        if self.settings["report"] == "none":
            return
        from dse.report.page import write_report

        others = cloud(self.problem, self.store)
        write_report(self.folder, self.study, outcome, archive.history, others, brief=brief)


def _yaml(settings: Settings) -> str:
    import yaml

    return "# Repeat this run: python main.py --config settings.yaml\n" + yaml.safe_dump(
        dict(settings.text), sort_keys=False
    )
