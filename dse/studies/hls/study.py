"""The study of loop directives of a C kernel."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from design.core import Batch, Evaluation
from dse.active.loop import LabelsWriter
from dse.options import Settings
from dse.records.archive import Archive
from dse.records.store import Store
from dse.studies.hls.augmentation_file import AUGMENTATION, AugmentationFile
from dse.studies.hls.findings import Findings, findings
from dse.studies.hls.loops import filled_in
from dse.studies.hls.problem import HlsProblem, build
from dse.studies.hls.tables import loop_table, print_tables
from dse.studies.outcome import Ending, Outcome
from dse.studies.study import Study

if TYPE_CHECKING:
    from dse.report.figures import Picture

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
    tools_only = problem.truth is not None and settings["ray-address"] is None
    note = " ".join(notes)
    return HlsStudy(
        problem,
        kernel.name,
        subject,
        legend=LEGEND,
        note=note,
        tools_only=tools_only,
        template="hls/sections.html",
        labels=AUGMENTATION,
        labels_for="--execution-type train --augmentation",
    )


@dataclass(frozen=True)
class HlsStudy(Study):
    """See `Study`."""

    problem: HlsProblem

    def labels_writer(self, folder: Path, truth: str) -> LabelsWriter:
        """See `Study`; the file that `--execution-type train --augmentation` takes."""
        return AugmentationFile(folder / AUGMENTATION, self.problem.task, truth).write

    def findings(
        self, archive: Archive, front: Batch, answers: Evaluation, end: Ending, store: Store
    ) -> Findings | None:
        """See `Study`."""
        return findings(self.problem, front, answers) if len(front) else None

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
        return {"loops": ([], []) if found is None else loop_table(found)}

    def pictures(self, outcome: Outcome, folder: Path) -> Iterator[Picture]:
        """See `Study`."""
        from dse.studies.hls.figures import best_pictures

        return best_pictures(self.problem, outcome, folder)

    def say(self, console: Console, outcome: Outcome) -> None:
        """See `Study`."""
        if outcome.findings is not None:
            print_tables(console, outcome.findings)

    def say_words(self, outcome: Outcome) -> None:
        """See `Study`."""
        super().say_words(outcome)
        if self.note:
            print(f"{textwrap.fill(self.note, 118)}\n")

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
            "checked": None,
            "bought": None,
        }
