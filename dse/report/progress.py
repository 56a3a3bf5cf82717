"""What the terminal shows while a run goes on: a live line, or a plain one now and then. On standard error."""

from __future__ import annotations

import logging
import math
import sys
import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from dse.records.archive import Archive
from dse.run.interrupt import Interrupt

LOG = logging.getLogger("tilewright")
PLAIN_EVERY_S = 5.0  # between lines where the output is no terminal, and in the log
BOUND_AFTER_S = 3.0  # a run that is over sooner needs no bound to be watched by


class ProgressLine:
    """Best so far, gap, candidates a second and time left, of this sitting. `bound` works out a lower bound of the
    first objective, where there is one; it is asked once, when a run takes longer. `more` says what else there is to
    watch of a loop whose steps are tool runs."""

    def __init__(
        self,
        generations: int,
        interrupt: Interrupt,
        quiet: bool,
        bound: Callable[[], float | None],
        more: Callable[[], str] | None = None,
    ) -> None:
        self._more = more
        self._generations, self._interrupt, self._quiet, self._make_bound = generations, interrupt, quiet, bound
        self._begin = self._last = time.monotonic()
        self._first: tuple[int, int] | None = None  # generations and candidates before this sitting
        self._bound: float | None = None
        self._asked = False
        console = Console(stderr=True, quiet=quiet)
        self._live = console.is_terminal and not quiet
        self._bar = Progress(
            TextColumn("exploring"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[state]}"),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("", total=generations, state="")

    def __enter__(self) -> ProgressLine:
        if self._live:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._live:
            self._bar.stop()

    def __call__(self, archive: Archive) -> None:
        """Show the state after a generation."""
        now, done = time.monotonic(), len(archive.history)
        if self._first is None:
            known = archive.history[-2].candidates if done > 1 else 0
            self._first = (done - 1, known)
        if not self._asked and now - self._begin > BOUND_AFTER_S:
            self._bound, self._asked = self._make_bound(), True
        if not self._live and now - self._last < PLAIN_EVERY_S:
            return
        state = self._state(archive, now - self._begin)
        if self._live:
            self._bar.update(self._task, completed=self._generations * self._share(done, now), state=state)
        if now - self._last >= PLAIN_EVERY_S:
            self._last = now
            step = "generation" if self._more is None else "label"
            line = f"{step} {done} of {self._generations}: {state}"
            LOG.info("%s", line)
            if not self._live and not self._quiet:
                print(line, file=sys.stderr, flush=True)

    def _share(self, done: int, now: float) -> float:
        """Of the run: of its generations, or of its time where that is nearer to the end."""
        share, left_s = done / self._generations, self._interrupt.left_s
        if left_s is None:
            return share
        passed_s = now - self._begin
        return min(max(share, passed_s / max(passed_s + left_s, 1e-9)), 1.0)

    def say(self, what: str) -> None:
        """Show what goes on after the last generation; on a terminal only."""
        if self._live:
            self._bar.update(self._task, state=what)

    def _state(self, archive: Archive, seconds: float) -> str:
        last, first = archive.history[-1], self._first or (0, 0)
        best = ", ".join(
            f"{o.metric} {value:.6g}" if math.isfinite(value) else f"{o.metric}: nothing feasible yet"
            for o, value in zip(archive.objectives, last.best, strict=True)
        )
        parts = [f"best {best}"]
        if self._bound and math.isfinite(last.best[0]):
            parts.append(f"gap at most {max(last.best[0] / self._bound - 1, 0):.2%}")
        if len(archive.objectives) > 1:
            parts.append(f"front {len(archive.rows)}")
        if self._more is not None:
            return ", ".join([*parts, self._more()])
        rate = (last.candidates - first[1]) / max(seconds, 1e-9)
        left = seconds * (self._generations - len(archive.history)) / max(len(archive.history) - first[0], 1)
        if self._interrupt.left_s is not None:
            left = min(left, max(self._interrupt.left_s, 0.0))
        return ", ".join([*parts, f"{last.candidates} candidates, {rate:,.0f}/s", f"{_span(left)} left"])


def _span(seconds: float) -> str:
    """A span of time at a glance: 42 s, 3 min, 2.5 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
