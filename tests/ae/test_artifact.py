"""The published evaluation by two commands: a small part of it, what is left of it, faults, and the check."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ae.check import EXPECTED, against_published
from ae.check import main as check
from ae.findings import main as findings
from ae.h2llm.architecture import shared
from ae.h2llm.command import ARCHITECTURE, EVOLUTION, POINTS, TABLE, Evaluation, run_evaluation
from ae.h2llm.one import COLUMNS, ROW
from ae.h2llm.points import BATCHES, DATA_SETS, DESIGNS, MODELS, points
from ae.h2llm.ratios import geomean, key_of, ratios, table_of
from ae.h2llm.table import read_table
from ae.job_pool import Piece, work_off
from ae.plot_results import main as plot
from ae.run_experiments import main

pytestmark = pytest.mark.usefixtures("at_root")
PART = ("CP", "ID-NMP+", "FC-NMP", "CC-NMP", "H2-LLM")


def part(out: Path) -> list[str]:
    """Five designs on one workload."""
    small = ["--designs", ",".join(PART), "--models", "llama", "--data-sets", "sg", "--batches", "4"]
    return ["--experiment-type", "e2e", *small, "--workers", "1", "--out", str(out)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of that part, made once."""
    out = tmp_path_factory.mktemp("artifact")
    assert main(part(out)) == 0
    return out


def rows_of(out: Path) -> list[dict[str, Any]]:
    """The table as JSON."""
    return read_table(out / "h2llm-roofline" / f"{TABLE}.json", COLUMNS)


def test_a_part_of_the_grid(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A tidy table, twice; the results that were kept; nothing done again; figures of what is there."""
    folder = run / "h2llm-roofline"
    rows = rows_of(run)
    assert [row["design"] for row in rows] == list(PART) and all(tuple(row) == COLUMNS for row in rows)
    assert all(row["gap"] <= 1e-9 and row["lower_bound"] <= row["latency"] * (1 + 1e-12) for row in rows)
    assert all(row["latency"] == pytest.approx(row["prefill"] + row["decode"], rel=1e-12) for row in rows)
    with (folder / f"{TABLE}.csv").open() as file:
        assert [float(row["latency"]) for row in csv.DictReader(file)] == [row["latency"] for row in rows]
    assert check(["--out", str(run)]) == 0
    said = capsys.readouterr().out
    assert "5 points: 5 the same, 319 not run" in said and said.count("the published search's") == 2

    before = {path: path.stat().st_mtime_ns for path in folder.glob(f"{POINTS}/*/{ROW}")}
    assert main(part(run)) == 0
    assert "5 points, 5 of them done before" in capsys.readouterr().err
    assert before == {path: path.stat().st_mtime_ns for path in folder.glob(f"{POINTS}/*/{ROW}")}

    assert plot(["--experiment-type", "all", "--out", str(run)]) == 0
    assert "architecture: not drawn, H2-LLM-Full has not been run" in capsys.readouterr().out
    drawn = {path.name for path in (folder / "figures").iterdir()}
    names = ("end-to-end", "dataflow", "dataflow-ablation", "prefill", "gaps")
    assert drawn == {f"{name}.{kind}" for name in names for kind in ("png", "svg")}


def test_one_bad_point_stops_no_other(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A damaged result is made again; a folder that cannot be is told of, and the others are done."""
    folder = tmp_path / "h2llm-roofline" / POINTS
    folder.mkdir(parents=True)
    (folder / "FC-NMP.llama.sg.b4").write_text("in the way")
    (folder / "CP.llama.sg.b4").mkdir()
    (folder / "CP.llama.sg.b4" / ROW).write_text('{"latency":')
    few = [*part(tmp_path), "--designs", "CP,FC-NMP,CC-NMP"]
    assert main(few) == 3
    told = capsys.readouterr()
    assert "FC-NMP.llama.sg.b4: " in told.err and "1 went wrong" in told.out
    assert [row["design"] for row in rows_of(tmp_path)] == ["CP", "CC-NMP"]
    latency = {row["design"]: row["latency"] for row in rows_of(run)}
    assert all(row["latency"] == latency[row["design"]] for row in rows_of(tmp_path))
    (folder / "FC-NMP.llama.sg.b4").unlink()
    assert main(few) == 0 and len(rows_of(tmp_path)) == 3


def test_evolution_and_architecture(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The search alone is never below the bound and never gets worse; the study's front has no beaten design."""
    (point,) = points(("H2-LLM",), ("llama",), ("sg",), (4,))
    more = {"evolved": (point,), "seeds": (0, 1), "studied": ("llama",), "marks": (500, 1000, 2000), "generations": 2}
    asked = replace(Evaluation((point,), "roofline", 114514, run / "h2llm-roofline"), **more)
    lines: list[str] = []
    assert run_evaluation(asked, 1, lines.append, lines.append) == 0
    evolved = json.loads((asked.out / f"{EVOLUTION}.json").read_text())
    assert [record["candidates"] for record in evolved] == [500, 1000, 2000] * 2
    latency = np.array([record["latency"] for record in evolved]).reshape(2, 3)
    assert (np.diff(latency, axis=1) <= 0).all() and all(record["gap"] >= 0 for record in evolved)
    assert all(r["gap"] == pytest.approx(r["latency"] / r["lower_bound"] - 1, abs=1e-12) for r in evolved)
    front = json.loads((asked.out / f"{ARCHITECTURE}.json").read_text())
    values = np.array([[design[name] for name in ("latency_s", "energy_j", "area_mm2")] for design in front])
    beaten = (values[:, None] >= values[None]).all(axis=2) & (values[:, None] > values[None]).any(axis=2)
    assert len(front) > 3 and not beaten.any()
    assert all(sum(share.values()) == pytest.approx(1) for share in shared(front).values())
    (place,) = (asked.out / ARCHITECTURE).iterdir()  # a run that was cut short has results of its own there
    assert (place / "front.json").exists() and json.loads((place / "front.json").read_text()) != front
    files = [asked.out / EVOLUTION, asked.out / ARCHITECTURE]
    before = {path: path.stat().st_mtime_ns for folder in files for path in folder.rglob("*.json")}
    assert run_evaluation(asked, 1, lines.append, lines.append) == 0
    assert before == {path: path.stat().st_mtime_ns for folder in files for path in folder.rglob("*.json")}
    assert plot(["--experiment-type", "all", "--out", str(run)]) == 0
    drawn = {path.stem for path in (asked.out / "figures").iterdir()}
    assert {"gaps", "architecture-front", "architecture-shared"} <= drawn


def test_findings(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Factors are those of the table; without results there is one line."""
    assert findings(["--out", str(run)]) == 0
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines()]
    latency = {row["design"]: row["latency"] for row in rows_of(run)}
    (row,) = [cells for cells in lines if cells[:2] == ["H2-LLM over CC-NMP", "latency"]]
    assert row[3] == row[5] == f"{latency['CC-NMP'] / latency['H2-LLM']:.3f}" and row[2] == "nan" and row[-1] == "0"
    assert findings(["--out", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_another_seed_is_another_folder(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*part(run), "--seed", "1"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: --seed: 1, and") and said.count("\n") == 1


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (["--designs", "TPU"], "error: --designs: 'TPU' is unknown"),
        (["--models", "gpt"], "error: --models: 'gpt' is unknown"),
        (["--batches", "2"], "error: --batches: '2' is unknown"),
        (["--evaluator", "simulator"], "error: --evaluator: 'simulator' is unknown"),
        (["--workers", "0"], "error: --workers: 0 is out of range"),
        (["--out", "README.md/x"], "error: "),
    ],
)
def test_bad_input(more: list[str], expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*part(tmp_path), *more]) == 2
    said = capsys.readouterr().err
    assert said.startswith(expected) and said.count("\n") == 1


# --- pieces of work


def twice(number: int) -> int:
    """What a piece does."""
    return 2 * number


def fails(number: int) -> int:
    """It raises."""
    raise ValueError(f"not {number}")


def dies(number: int) -> int:
    """Its process ends."""
    os._exit(number)


def test_work_goes_on() -> None:
    """Of pieces that raise or whose process dies the reason is told; all others are done."""
    pieces = [Piece(str(number), twice, (number,)) for number in range(6)]
    pieces[2], pieces[4] = Piece("raises", fails, (3,)), Piece("dies", dies, (9,))
    said: list[str] = []
    found, wrong = work_off(pieces, 2, said.append)
    assert found == {"0": 0, "1": 2, "3": 6, "5": 10}
    assert wrong["raises"].startswith("ValueError: not 3 (test_artifact.py:")
    assert wrong["dies"] == "its process was killed" and len(wrong) == 2
    assert said[-1].startswith("6 of 6: ")


# --- the check, and the results that were kept


def test_expected() -> None:
    """All points, proven, none worse than the published search, and OPT at batch 16 within the memory that there is."""
    rows = read_table(EXPECTED, COLUMNS)
    every = points(tuple(DESIGNS), tuple(MODELS), tuple(DATA_SETS), BATCHES)
    assert [key_of(row) for row in rows] == [(p.design, p.model, p.data_set, p.batch) for p in every]
    assert len(rows) == 324 and max(row["gap"] for row in rows) < 1e-3
    lines = list(against_published(rows))
    assert len(lines) == 3 and not any("WORSE" in line for line in lines)


@pytest.mark.parametrize(
    ("change", "code", "word"),
    [
        ({}, 0, "1 the same"),
        ({"latency": 1.1}, 1, "worse, latency 1 -> 1.1 (+0.1)"),
        ({"latency": 0.9}, 0, "better"),
        ({"lower_bound": 0.5}, 1, "bound lower"),
        ({"lower_bound": 0.99}, 0, "bound higher"),
        ({"lower_bound": None}, 1, "bound lower"),
        ({"energy": 3.5}, 0, "another design, as fast"),
        ({"latency": 1 + 1e-12, "cpu_seconds": 9.0}, 0, "1 the same"),
        ({"batch": 16}, 0, "1 not run, 1 new"),
    ],
)
def test_what_moved(
    change: dict[str, Any], code: int, word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = dict.fromkeys(COLUMNS, 1.0) | {"design": "FC-NMP", "model": "opt", "data_set": "he", "batch": 1}
    row |= {"lower_bound": 0.98, "evaluator": "roofline"}
    folder = tmp_path / "h2llm-roofline"
    folder.mkdir()
    (tmp_path / "kept.json").write_text(json.dumps([row]))
    (folder / f"{TABLE}.json").write_text(json.dumps([row | change]))
    assert check(["--out", str(tmp_path), "--expected", str(tmp_path / "kept.json")]) == code
    assert word in capsys.readouterr().out


@pytest.mark.parametrize("content", ["", "[1]", '{"a": 1}', '[{"design": "CP"}]', None])
def test_unusable_tables(content: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, by the check and by the plots."""
    folder = tmp_path / "h2llm-roofline"
    folder.mkdir()
    if content is not None:
        (folder / f"{TABLE}.json").write_text(content)
    for command in (check, lambda given: plot(["--experiment-type", "all", *given])):
        assert command(["--out", str(tmp_path)]) == 2
        said = capsys.readouterr().err
        assert said.startswith(f"error: {folder / TABLE}.json") and said.count("\n") == 1


# --- what figures show


def test_ratios() -> None:
    """Latency over latency, each divided by the share that the published figure grants; unknown points are left out."""
    about = {"model": "opt", "data_set": "he", "batch": 1}
    table = table_of([{"design": "FC-NMP", "latency": 3.0, **about}, {"design": "CC-NMP", "latency": 2.0, **about}])
    plain, plotted = (ratios(table, "opt", "CC-NMP", "FC-NMP", plotted=plotted) for plotted in (False, True))
    assert plain[0] == 1.5 and plotted[0] == pytest.approx((3.0 / 0.95) / (2.0 / 0.90))
    assert np.isnan(plain[1:]).all() and geomean(plain) == pytest.approx(1.5)
    assert geomean(np.array([2.0, 8.0, np.nan])) == pytest.approx(4.0) and np.isnan(geomean(plain[1:]))
