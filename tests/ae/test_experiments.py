"""Experiments from the command line: a small race, what it leaves, going on with it, and bad input."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from ae.loop.table import Curves, runs_to, summary
from ae.run_experiments import main

METHODS = "extra-trees loop;nsga-ii;random"


def race(data: Path, out: Path, *more: str) -> list[str]:
    """Two kernels of our own, two seeds, eight tool runs."""
    asked = ["--experiment-type", "loop", "--data", str(data), "--kernels", "scale,dot", "--methods", METHODS]
    return [*asked, "--budget", "8", "--seeds", "2", "--workers", "1", "--out", str(out), *more]


@pytest.mark.usefixtures("at_root")
def test_race(data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A table, a figure, all points; a second call does none again, a longer one the new ones only."""
    assert main(race(data, tmp_path)) == 0
    printed = capfd.readouterr()
    assert all(method in printed.out for method in METHODS.split(";")) and "12 points, 0 of them" in printed.err
    out = tmp_path / "loop-v18"
    with (out / "loop.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 3 * 2 * 8 and {row["kernel"] for row in rows} == {"scale", "dot"}
    assert (out / "loop.png").stat().st_size > 10_000 and (out / "loop.svg").exists()
    table = json.loads((out / "loop.json").read_text())
    assert [row["method"] for row in table] == METHODS.split(";")
    before = {path.name: path.stat().st_mtime_ns for path in (out / "points").iterdir()}
    assert main(race(data, tmp_path, "--seeds", "3")) == 0
    after = {path.name: path.stat().st_mtime_ns for path in (out / "points").iterdir()}
    assert len(before) == 12 and len(after) == 18 and all(after[name] == when for name, when in before.items())


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (["--kernels", "none"], "error: --kernels: none has no results of v18"),
        (["--methods", "luck"], "error: --methods: 'luck' is unknown"),
        (["--budget", "0"], "error: --budget: 0 is out of range"),
        (["--data", "nowhere"], "error: nowhere"),
    ],
)
def test_bad_input(
    more: list[str], expected: str, data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(race(data, tmp_path, *more)) == 2
    said = capfd.readouterr().err
    assert said.startswith(expected) and said.count("\n") == 1


def test_a_kernel_that_was_learned_from(data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The shipped model has learned from gemm's family: it does not race there."""
    folder = tmp_path / "data"
    for path in data.rglob("*.*"):
        name = path.name.replace("scale-large", "gemm")
        where = folder / path.relative_to(data).with_name(name)
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_bytes(path.read_bytes())
    asked = race(folder, tmp_path / "out", "--kernels", "gemm", "--methods", "lm zero-shot")
    assert main(asked) == 2
    assert "gemm is of a family that" in capfd.readouterr().err


def test_runs_to() -> None:
    """Of three seeds the middle one; none where half never get there."""
    import numpy as np

    curves = np.array([[0.5, 0.02, 0.01], [0.5, 0.4, 0.02], [0.5, 0.4, 0.3]])
    assert runs_to(curves, 0.02) == 3 and runs_to(curves, 0.5) == 1 and runs_to(curves[1:], 0.02) == np.inf


def test_what_found_nothing_is_not_come_near_to() -> None:
    """A kernel on which NSGA-II ends with nothing is not among those where others are as near as it."""

    def of(*adrs: float) -> Curves:
        return Curves(np.array([adrs]), np.zeros((1, 3)), 0.0)

    curves = {
        "a": {"nsga-ii": of(1, 1, 1), "x": of(1, 0.5, 0.1)},
        "b": {"nsga-ii": of(1, 1, 0.5), "x": of(1, 0.4, 0.4)},
    }
    row = summary(curves, 3)[1]
    assert (row["method"], row["runs_to_nsga"], row["reached_nsga"], row["kernels_nsga"]) == ("x", 2, 1, 1)
    (row,) = summary({"a": {"nsga-ii": of(1, 1, 1)}}, 3)
    assert row["runs_to_nsga"] is None
