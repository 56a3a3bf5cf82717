"""What a run says while it goes on: the live line, plain lines, nothing at all, and the log."""

from __future__ import annotations

import io
import logging
import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from design.core import Objective
from dse.records.archive import Archive, Progress
from dse.records.log import FILE, LOG, RunLog
from dse.report import progress
from dse.report.progress import ProgressLine, _span
from dse.run.interrupt import Interrupt
from main import main
from tests.cases import ROOT

SMALL = ["--population-num-per-generation", "40", "--num-generations", "3", "--report", "none"]


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        """See `time`."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Time, for the progress line."""
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def after(archive: Archive, candidates: int, *best: float) -> Archive:
    """The archive after one more generation."""
    archive.history.append(Progress(candidates, 0.0, best, None))
    return archive


def line(generations: int, bound: float | None = None, limit: float | None = None, quiet: bool = False) -> ProgressLine:
    """One that knows a bound where there is one."""
    return ProgressLine(generations, Interrupt(limit), quiet, lambda: bound)


def test_plain_lines(clock: Clock, capfd: pytest.CaptureFixture[str]) -> None:
    """On what is no terminal: now and then a line with best, gap, candidates a second and time left."""
    archive, shown = Archive([Objective("latency_s")]), line(10, bound=0.4)
    clock.now += 2.0
    shown(after(archive, 100, 0.7))
    assert capfd.readouterr().err == ""
    clock.now += 4.0
    shown(after(archive, 200, 0.5))
    expected = "generation 2 of 10: best latency_s 0.5, gap at most 25.00%, 200 candidates, 33/s, 24 s left\n"
    assert capfd.readouterr().err == expected
    clock.now += 1.0
    shown(after(archive, 300, 0.5))
    assert capfd.readouterr().err == ""


def test_a_sitting_counts_for_itself(clock: Clock, capfd: pytest.CaptureFixture[str]) -> None:
    """After a resume, speed and time left are of what is done now, not of what was there."""
    archive = Archive([Objective("latency_s"), Objective("prefill_s")])
    for generation in range(8):
        after(archive, 100 * (generation + 1), 0.5, 0.25)
    archive.rows = np.arange(3)
    shown = line(10)
    clock.now += 10.0
    shown(after(archive, 900, 0.5, 0.25))
    said = capfd.readouterr().err
    assert said == (
        "generation 9 of 10: best latency_s 0.5, prefill_s 0.25, front 3, 900 candidates, 10/s, 10 s left\n"
    )


def test_nothing_feasible_and_a_limit(clock: Clock, capfd: pytest.CaptureFixture[str]) -> None:
    """No gap without a design; never more time left than the limit leaves."""
    archive = Archive([Objective("latency_s")])
    shown = line(100, bound=0.4, limit=5.0)
    clock.now += 10.0
    shown(after(archive, 10, float("nan")))
    said = capfd.readouterr().err
    assert "best latency_s: nothing feasible yet, 10 candidates, 1/s, " in said
    assert re.search(r", [45] s left\n$", said)


def test_a_gap_is_never_negative(clock: Clock, capfd: pytest.CaptureFixture[str]) -> None:
    """Rounding of a bound is no news."""
    shown = line(2, bound=0.5 * (1 + 1e-15))
    clock.now += 10.0
    shown(after(Archive([Objective("latency_s")]), 10, 0.5))
    assert "gap at most 0.00%" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (99.4, "99 s"), (100, "2 min"), (5999, "100 min"), (6000, "1.7 h"), (1e6, "277.8 h")],
)
def test_spans(seconds: float, text: str) -> None:
    """Short whatever the size."""
    assert _span(seconds) == text


def test_quiet_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A whole run, with several processes allowed, a second sitting and its report; the log has it all the same."""
    given = ["--quiet", "--dse-output-dir", str(tmp_path), "--process-num", "2"]
    assert main([*SMALL, *given]) == 0
    assert main([*SMALL, "--report", "brief", "--num-generations", "4", "--resume", *given]) == 0
    assert capfd.readouterr() == ("", "")
    assert "160 candidates, all generations done" in (tmp_path / FILE).read_text()


def test_a_live_line(tmp_path: Path) -> None:
    """Under a terminal: one line that shows best and time left, and is gone in the end."""
    master, slave = pty.openpty()
    command = [sys.executable, "main.py", "--num-generations", "1000000", "--report", "none", "--time-limit", "1.5"]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "150"}
    run = subprocess.Popen(
        [*command, "--dse-output-dir", str(tmp_path)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    seen, deadline = io.BytesIO(), time.monotonic() + 60
    while time.monotonic() < deadline:
        if select.select([master], [], [], 0.1)[0]:
            try:
                seen.write(os.read(master, 4096))
            except OSError:  # how a terminal says that nobody writes any more
                break
    assert run.wait(timeout=60) == 0
    os.close(master)
    text = seen.getvalue().decode()
    assert "exploring" in text and re.search(r"best latency_s 0\.\d+, [\d,]+ candidates, [\d,]+/s, [01] s left", text)
    assert "writing results" in text or "proving" in text
    assert text.rstrip().endswith("\x1b[2K") and "\x1b[?25h" in text  # the line is wiped, the cursor is back


def test_the_log_grows(tmp_path: Path) -> None:
    """Sittings follow each other in one file; afterwards logging is as before."""
    before = LOG.level, LOG.propagate, list(LOG.handlers)
    for text in ("first", "second"):
        with RunLog(tmp_path):
            LOG.info("%s", text)
            assert not LOG.propagate and LOG.level == logging.INFO
    with pytest.raises(ValueError), RunLog(tmp_path):
        raise ValueError("two\nlines")
    assert (LOG.level, LOG.propagate, LOG.handlers) == before
    lines = (tmp_path / FILE).read_text().splitlines()
    assert [line[20:] for line in lines] == ["INFO first", "INFO second", "ERROR ended by ValueError: two lines"]


def test_a_log_that_cannot_grow(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A full disk is no news of the log's: the run ends where its results are written, or not at all."""
    (tmp_path / FILE).symlink_to("/dev/full")
    with RunLog(tmp_path):
        LOG.info("%s", "lost")
    assert capfd.readouterr().err == ""


def test_a_log_that_cannot_be_opened(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Is one line, exit code 2."""
    given = [*SMALL, "--quiet", "--resume", "--dse-output-dir", str(tmp_path)]
    assert main(given) == 0
    (tmp_path / FILE).unlink()
    (tmp_path / FILE).mkdir()
    assert main(given) == 2
    assert capfd.readouterr().err == f"error: {tmp_path / FILE}: Is a directory\n"
