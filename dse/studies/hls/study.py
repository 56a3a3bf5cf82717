"""The study of loop directives of a C kernel."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from design.contracts import Evaluator
from design.core import Batch, Evaluation, Status
from dse.active.loop import ActiveRun
from dse.active.policy import ActiveSearch
from dse.options import Settings
from dse.records.archive import Archive
from dse.records.outcome import Ending, Outcome
from dse.records.store import Store
from dse.studies.desk import Desk
from dse.studies.hls.book import BOOK, AugmentationBook
from dse.studies.hls.checked import Checked, chosen, noted, recalled
from dse.studies.hls.findings import Findings, findings
from dse.studies.hls.loop import label_table, loop_pictures, loop_summary, purchases_of, said_in_words
from dse.studies.hls.loops import filled_in
from dse.studies.hls.problem import HlsProblem, build
from dse.studies.hls.tables import check_table, loop_table, print_tables
from dse.studies.study import Study
from evaluators.execution.threads import Threads
from evaluators.execution.workers import Workers
from evaluators.truth.cached import CachedTruth
from evaluators.truth.ledger import Ledger

if TYPE_CHECKING:
    from dse.report.figures import Picture

CALLS = "calls.sqlite"  # in a run's directory; outlives its runs
LEGEND = (
    "A design is a value for each directive: off, coarse or flatten for pipelining, a factor for tiling and unrolling."
)
LOW_FIDELITY = (
    "Estimates are analytic and of low fidelity: on kernels that they were not fitted on cycles are off by half and "
    "more. Check what you mean to build with --truth."
)
PREDICTED = "Costs are medians that a language model predicts. Check what you mean to build with --truth."
ONLY_RECORDED = "The search walks the recorded designs only; designs that the table lacks may be better."


def loop_directives(settings: Settings) -> HlsStudy:
    """The study that the settings state. Raises InputError where they or the files they name are unusable."""
    problem = build(settings)
    kernel, target = problem.kernel, problem.target
    size = f"{problem.space.size:,} designs" if problem.space.size is not None else "more designs than can be counted"
    subject = (
        f"{len(kernel.loops)} loops with {len(kernel.parameters)} directives to choose ({size}), {target.name}, "
        f"{target.device.name}"
    )
    notes = [LOW_FIDELITY] if problem.evaluator is problem.estimate else []
    notes += [PREDICTED] if settings["evaluator"] == "lm" else []
    notes += [ONLY_RECORDED] if settings["truth"] == "recorded" else []
    tools_alone = problem.truth is not None and settings["ray-address"] is None
    note = " ".join(notes)
    return HlsStudy(problem, kernel.name, subject, (), LEGEND, note, tools_alone, "hls/sections.html")


@dataclass(frozen=True)
class HlsStudy(Study):
    """See `Study`. What is found out further is what the truth says of designs of the front."""

    problem: HlsProblem

    def check(self, algorithm: str, candidates: int) -> None:
        """See `Study`. A model that cannot be read is found out here."""
        super().check(algorithm, candidates)
        if self.problem.learner is not None:
            self.problem.learner()

    def judge(self, desk: Desk, rows: int) -> AbstractContextManager[Evaluator]:
        """See `Study`; what is bought is kept in a ledger."""
        return self._bought(desk) if self.problem.evaluator is self.problem.truth else super().judge(desk, rows)

    @contextmanager
    def _bought(self, desk: Desk) -> Iterator[CachedTruth]:
        truth = self.problem.truth
        assert truth is not None

        def workers() -> Workers:
            if desk.address is None:
                return Threads(truth, desk.workers)
            from evaluators.execution.ray_workers import RayWorkers

            return RayWorkers(truth, desk.workers, desk.address, self.problem.call_limit_s)

        ledger = Ledger(desk.folder / CALLS, str(desk.folder))
        try:
            with CachedTruth(truth, ledger, workers, stop=desk.stop) as bought:
                yield bought
        finally:
            ledger.close()

    def active(self, judge: Evaluator, store: Store, desk: Desk) -> ActiveRun | None:
        """See `Study`."""
        problem = self.problem
        if problem.learner is None or not isinstance(judge, CachedTruth):
            return None
        needs = [objective.metric for objective in problem.objectives]
        search = ActiveSearch(
            problem.space,
            problem.learner(),
            problem.objectives,
            problem.effort,
            problem.plan,
            lambda evaluator: desk.guarded(evaluator, needs, 0),
        )
        book = AugmentationBook(desk.folder / BOOK, problem, judge.name + "/" + judge.version)
        return ActiveRun(search, judge, store, problem.budget, desk.halt, desk.most_failures, desk.cpu_s, book.write)

    def further(self, archive: Archive, desk: Desk, full: bool, say: Callable[[str], None]) -> Any:
        """What the truth says of designs of the front that an estimate found; None where none is asked."""
        problem = self.problem
        if problem.truth is None or problem.evaluator is problem.truth or not len(archive.rows) or not problem.checks:
            return None
        assert archive.genomes is not None
        say("checking designs of the front")
        rows = chosen(len(archive.rows), problem.checks)
        designs = problem.space.decode(archive.genomes[rows])
        with self._bought(desk) as bought:
            before = bought.ledger.calls().begun
            answers = bought.evaluate(designs, seed=problem.effort.seed)
            return noted(archive.rows[rows], answers, bought.ledger.calls().begun - before)

    def findings(
        self, archive: Archive, front: Batch, answers: Evaluation, end: Ending, store: Store
    ) -> Findings | None:
        """See `Study`."""
        if not len(front):
            return None
        checked = None if end.further is None else recalled(end.further, archive.rows, answers)
        bought = None
        if self.problem.learner is not None:
            bought = purchases_of(store, self.problem.objectives, self.problem.space.decode)
        return findings(self.problem, front, answers, checked, bought)

    def shown(self, metrics: Sequence[str]) -> list[str]:
        """See `Study`. Shares of single resources follow from the counts."""
        return [name for name in metrics if not name.endswith("_share")]

    def cards(self, outcome: Outcome) -> list[tuple[str, str, str]]:
        """See `Study`."""
        found: Findings | None = outcome.findings
        return [] if found is None else found.cards

    def words(self, outcome: Outcome) -> list[str]:
        """See `Study`."""
        return [] if outcome.findings is None else [outcome.findings.description]

    def context(self, outcome: Outcome) -> Mapping[str, Any]:
        """See `Study`."""
        found: Findings | None = outcome.findings
        if found is None:
            return {"loops": ([], []), "checks": ([], []), "checked_by": "", "labels": ([], []), "loop_words": []}
        checked, bought = found.checked, found.bought
        return {
            "loops": loop_table(found),
            "checks": check_table(checked),
            "checked_by": "" if checked is None else checked.source,
            "labels": ([], []) if bought is None else label_table(bought),
            "loop_words": [] if bought is None else said_in_words(bought),
        }

    def pictures(self, outcome: Outcome, folder: Path) -> Iterator[Picture]:
        """See `Study`."""
        from dse.studies.hls.figures import best_pictures

        found: Findings = outcome.findings
        yield from best_pictures(self.problem, outcome, found.checked, folder)
        if found.bought is not None:
            yield from loop_pictures(found.bought, folder)

    def say(self, console: Console, outcome: Outcome) -> None:
        """See `Study`."""
        if outcome.findings is not None:
            print_tables(console, outcome.findings, self.note)

    def summary(self, outcome: Outcome) -> dict[str, Any]:
        """See `Study`."""
        found: Findings | None = outcome.findings
        if found is None:
            return {"checked": None}
        best = {name: int(values[0]) for name, values in outcome.front.columns.items()}
        return {
            "best": {"source": filled_in(self.problem.kernel, best), "description": found.description},
            "kernel": {"name": self.problem.kernel.name, "digest": self.problem.kernel.digest},
            "target": self.problem.target.tool,
            "without_directives": found.base,
            "checked": None if found.checked is None else _plain(found.checked, outcome),
            "bought": None if found.bought is None else loop_summary(found.bought),
        }


def _plain(checked: Checked, outcome: Outcome) -> dict[str, Any]:
    """For JSON."""
    designs = [
        {
            "id": int(outcome.front_ids[row]),
            "status": Status(int(checked.status[i])).name,
            "reason": checked.reason[i],
            "truth": {n: _known(float(v[i])) for n, v in checked.truth.items()},
            "estimate": {n: _known(float(v[i])) for n, v in checked.estimate.items()},
        }
        for i, row in enumerate(checked.rows.tolist())
    ]
    return {"by": checked.source, "calls": checked.calls, "median_ape_cycles": checked.error, "designs": designs}


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
