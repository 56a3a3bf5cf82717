"""What the terminal shows: a progress line while a run goes on, a table at its end. All on standard error,
but for the table."""

from __future__ import annotations

import math
import sys
import time
from types import TracebackType

from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from design.metrics import metric_unit
from dse.archive import Archive
from dse.report.results import Outcome

PLAIN_EVERY_S = 5.0  # between lines where the output is no terminal


class ProgressLine:
    """Best so far and candidates per second: a live line on a terminal, a plain line now and then elsewhere."""

    def __init__(self, generations: int) -> None:
        self._generations, self._begin, self._last = generations, time.monotonic(), time.monotonic()
        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("exploring"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[state]}"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._task = self._bar.add_task("", total=generations, state="")

    def __enter__(self) -> ProgressLine:
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._console.is_terminal:
            self._bar.stop()

    def __call__(self, archive: Archive) -> None:
        """Show the state after a generation."""
        state = self._state(archive)
        if self._console.is_terminal:
            self._bar.update(self._task, completed=len(archive.history), state=state)
        elif time.monotonic() - self._last >= PLAIN_EVERY_S:
            self._last = time.monotonic()
            print(f"generation {len(archive.history)} of {self._generations}: {state}", file=sys.stderr, flush=True)

    def _state(self, archive: Archive) -> str:
        last = archive.history[-1]
        rate = last.candidates / max(time.monotonic() - self._begin, 1e-9)
        best = ", ".join(
            f"{o.metric} {value:.6g}" if math.isfinite(value) else f"{o.metric}: nothing feasible yet"
            for o, value in zip(archive.objectives, last.best, strict=True)
        )
        front = f", front {len(archive.rows)}" if len(archive.objectives) > 1 else ""
        return f"best {best}{front}, {last.candidates} candidates, {rate:,.0f}/s"


def print_outcome(outcome: Outcome, folder: str) -> None:
    """The table at the end: the best design, or the first designs of the front."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=120)
    count = len(outcome.front)
    rate = outcome.candidates / max(outcome.wall_seconds, 1e-9)
    print(
        f"{outcome.candidates} candidates in {outcome.wall_seconds:.2f} s ({rate:,.0f}/s, "
        f"{outcome.cpu_seconds:.2f} CPU-s), {outcome.ended}"
    )
    if not count:
        print("No feasible design was found: every candidate breaks a constraint (see reason in the store).")
        return
    title = "Best design" if len(outcome.objectives) == 1 else f"Pareto front: {min(count, 10)} of {count} designs"
    table = Table(title=title, title_justify="left", header_style="bold", box=SIMPLE)
    metrics = list(outcome.answers.metrics)
    for name in metrics:
        table.add_column(f"{name} [{metric_unit(name)}]".replace("[", "\\["), justify="right", no_wrap=True)
    for name in ("NMP channels", "PE (FPU, MHz, GB/s)", "buffers KB"):
        table.add_column(name, justify="right", no_wrap=True)
    c = outcome.front.columns
    shown = sorted({round(i * (count - 1) / 9) for i in range(10)}) if count > 10 else range(count)
    for row in shown:
        table.add_row(
            *(f"{outcome.answers.metrics[name][row]:.6g}" for name in metrics),
            str(c["nmp_channels"][row]),
            f"{c['fpus'][row]}, {c['mhz'][row]:g}, {c['pe_gbps'][row]:g}",
            f"{c['input_kb'][row]}/{c['weight_kb'][row]}/{c['output_kb'][row]}",
        )
    console.print(table)
    print(f"Best: {outcome.front.schema.text(outcome.front, 0)}")
    print(f"Results are in {folder}")
