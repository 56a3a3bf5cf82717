"""What is made of runs afterwards, from their stores: the report once more, several runs in one picture, tables."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from dse.commands.revisit import archive_of, opened
from dse.records.store import FILE, Store
from main import main
from tests.cases import ROOT

SHAPE = {"type": "llama", "layer_num": 2, "hidden_dim": 256, "intermediate_dim": 512, "q_head_num": 8, "kv_head_num": 4}
GRAPH = {"node": {"q": 0, "k": 1, "qk": 3}, "edge": [[0, 3], [1, 3]]}
SMALL = ["--population-num-per-generation", "30", "--num-generations", "3", "--max-gen-len", "8", "--quiet"]
TWO = ["--objectives", "prefill_s,decode_s"]
REPORT = ["--execution-type", "report", "--dse-output-dir"]


pytestmark = pytest.mark.usefixtures("at_root")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The options for a small layer."""
    folder = tmp_path_factory.mktemp("model") / "small"
    folder.mkdir()
    (folder / "shape.json").write_text(json.dumps(SHAPE))
    (folder / "operator_graph.json").write_text(json.dumps(GRAPH))
    return ["--model-shape", str(folder / "shape.json")]


def explored(folder: Path, model: list[str], *more: str) -> Path:
    """A run without a report."""
    assert main([*SMALL, *model, "--report", "none", *more, "--dse-output-dir", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def runs(model: list[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two runs of one problem, by seed."""
    place = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return explored(place / "a", model, *TWO), explored(place / "b", model, *TWO, "--seed", "7")


def page(folder: Path) -> str:
    """The report."""
    return (folder / "report.html").read_text()


def content(folder: Path) -> list[str]:
    """All that a store says."""
    return list(sqlite3.connect(folder / FILE).iterdump())


REPORTS = {
    "a front with energy and area": ["--objectives", "latency_s,energy_j,area_mm2"],
    "one device, proven, with its steps": [
        *("--nmp-channel-num-space", "6", "--fpu-pe-bw-space", "(8,600,25.6)", "--input-buffer-size-space", "32"),
        *("--weight-buffer-size-space", "32", "--output-buffer-total-size-space", "64", "--algorithm", "random"),
    ],
    "brief": [*TWO, "--report", "brief"],
    "the solver": ["--algorithm", "exact", "--nmp-channel-num-space", "4", "--fpu-pe-bw-space", "(8,600,25.6)"],
    "a fixed dataflow": ["--is-dataflow-fixed", "fc_offloading", "--nmp-channel-num-space", "2,4"],
    "nothing feasible": ["--bank-memory-capacity", "1", "--max-batch-size", "5000"],
}


@pytest.mark.parametrize("options", REPORTS.values(), ids=REPORTS.keys())
def test_report_again(options: list[str], model: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The same page to the byte, and the same pictures; the store is not touched."""
    assert main([*SMALL, *model, *options, "--dse-output-dir", str(tmp_path)]) == 0
    first, before = page(tmp_path), content(tmp_path)
    names = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    (tmp_path / "report.html").unlink()
    shutil.rmtree(tmp_path / "pictures")
    assert main([*REPORT, str(tmp_path)]) == 0
    assert capfd.readouterr().out == f"{tmp_path / 'report.html'}\n"
    assert page(tmp_path) == first
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == names
    assert content(tmp_path) == before


def cut_short(folder: Path, rows: int = 50) -> None:
    """Make a finished run what a kill would have left after so many candidates."""
    with sqlite3.connect(folder / FILE) as database:
        database.execute("DELETE FROM fact WHERE name = 'ending'")
        database.execute("DELETE FROM candidate WHERE id >= ?", (rows,))
        database.execute("DELETE FROM step WHERE candidates > ?", (rows,))
    for name in ("summary.json", "front.csv", "front.json", "result.log"):
        (folder / name).unlink()


def test_report_of_a_killed_run(model: list[str], tmp_path: Path) -> None:
    """It has what there was, says that the run is not over, and a run that goes on afterwards is as if nothing had
    been looked at."""
    whole = explored(tmp_path / "whole", model, *TWO, "--export", "csv")
    killed = explored(tmp_path / "killed", model, *TWO, "--export", "csv")
    cut_short(killed)
    assert main([*REPORT, str(killed)]) == 0
    assert "50 candidates" in page(killed) and "not ended yet" in page(killed)
    explored(killed, model, *TWO, "--resume", "--export", "csv")
    for name in ("candidates.csv", "front.csv"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes()
    assert main([*REPORT, str(killed)]) == 0
    assert "90 candidates" in page(killed) and "all generations done" in page(killed)


def test_report_of_a_run_out_of_time(model: list[str], tmp_path: Path) -> None:
    """It says so, before and after, with not a candidate to show."""
    given = [*SMALL, *model, "--time-limit", "0", "--dse-output-dir", str(tmp_path)]
    assert main(given) == 0
    first = page(tmp_path)
    assert "time limit reached" in first and "0 candidates" in first
    assert main([*REPORT, str(tmp_path)]) == 0
    assert page(tmp_path) == first


def test_a_run_that_goes_on_can_be_looked_at(runs: tuple[Path, Path], tmp_path: Path) -> None:
    """Another process's lock on the directory does not matter, for reports, tables and comparisons."""
    folder = tmp_path / "run"
    shutil.copytree(runs[0], folder)
    lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    assert main([*REPORT, str(folder)]) == 0
    assert main(["--execution-type", "export", "--export", "csv", "--dse-output-dir", str(folder)]) == 0
    assert len((folder / "candidates.csv").read_text().splitlines()) == 91
    assert main(["compare", str(folder), str(runs[1]), "--dse-output-dir", str(tmp_path / "c")]) == 0
    os.close(lock)


def test_no_run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A folder that is none, or that is not there, is one line, and nothing is made."""
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / FILE).touch()
    for folder in (tmp_path, tmp_path / "missing", tmp_path / "half"):
        for given in ([*REPORT, str(folder)], ["compare", str(folder), str(folder), *REPORT[2:], str(tmp_path / "c")]):
            assert main(given) == 2
            output, error = capfd.readouterr()
            assert error.startswith(f"error: {folder}") and error.count("\n") == 1 and not output
    assert [path.name for path in tmp_path.iterdir()] == ["half"]


def table(output: str) -> dict[str, list[str]]:
    """The lines of a comparison."""
    cells = [re.split(r"\s{2,}", line.strip()) for line in output.splitlines() if line.strip()]
    return {row[0]: row[1:] for row in cells if len(row) == 3}


def test_compare(runs: tuple[Path, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Two runs of one problem: a table that agrees with their summaries, a picture, no note."""
    before = [content(run) for run in runs]
    assert main(["compare", *map(str, runs), "--dse-output-dir", str(tmp_path)]) == 0
    output, error = capfd.readouterr()
    said, summaries = table(output), [json.loads((run / "summary.json").read_text()) for run in runs]
    for i, name in enumerate(("prefill_s", "decode_s")):
        best = [min(design["metrics"][name] for design in summary["front"]) for summary in summaries]
        assert said[f"best {name}"] == [f"{value:.6g}" for value in best], i
    assert said["designs on the front"] == [str(len(summary["front"])) for summary in summaries]
    assert said["candidates"] == ["90", "90"] and said["seed"] == ["114514", "7"]
    assert output.rstrip().endswith("compare.png") and "note:" not in output and error == ""
    assert (tmp_path / "compare.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "compare.svg").read_text()
    assert [content(run) for run in runs] == before


def test_hypervolumes_share_a_box(runs: tuple[Path, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Summed strip by strip: of both fronts in the box that they span together, up to a tenth beyond its corner."""
    assert main(["compare", *map(str, runs), "--dse-output-dir", str(tmp_path)]) == 0
    said = table(capfd.readouterr().out)["hypervolume (shared box)"]
    fronts = [archive_of(*opened(run)[:2]).values for run in runs]
    points = np.concatenate(fronts)
    low, high = points.min(axis=0), points.max(axis=0)
    side = np.where(high > low, high - low, 0.1 * low)
    for front, text in zip(fronts, said, strict=True):
        scaled = sorted(((front - low) / side).tolist())
        ends = [point[0] for point in scaled[1:]] + [1.1]
        area = sum((end - x) * (1.1 - y) for (x, y), end in zip(scaled, ends, strict=True))
        assert text == f"{area:.5g}"


def test_compare_runs_of_other_things(
    runs: tuple[Path, Path], model: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Another evaluator or workload is noted."""
    other = explored(tmp_path / "other", model, *TWO, "--evaluator", "roofline", "--max-batch-size", "2")
    assert main(["compare", str(runs[0]), str(other), "--dse-output-dir", str(tmp_path)]) == 0
    output = capfd.readouterr().out
    assert output.count("note: the runs differ in") >= 1 and "differ in workload" in output
    third = explored(tmp_path / "third", model, *TWO, "--evaluator", "buffered")
    assert main(["compare", str(other), str(third), "--dse-output-dir", str(tmp_path)]) == 0
    assert "differ in evaluator" in capfd.readouterr().out


def test_compare_single_objectives(model: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """No front and no hypervolume; a run without a feasible design has no best."""
    one = explored(tmp_path / "one", model)
    none = explored(tmp_path / "none", model, "--bank-memory-capacity", "1", "--max-batch-size", "5000")
    assert main(["compare", str(one), str(none), "--dse-output-dir", str(tmp_path)]) == 0
    output = capfd.readouterr().out
    assert "hypervolume" not in output and table(output)["best latency_s"][1] == "nan"
    assert (tmp_path / "compare.svg").is_file()


def test_compare_fronts_of_nothing(model: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Two runs that found nothing are compared all the same."""
    small = ["--bank-memory-capacity", "1", "--max-batch-size", "5000", *TWO]
    none, more = (explored(tmp_path / name, model, *small) for name in ("none", "more"))
    assert main(["--execution-type", "compare", str(none), str(more), "--dse-output-dir", str(tmp_path)]) == 0
    assert table(capfd.readouterr().out)["best prefill_s"] == ["nan", "nan"]


def test_what_cannot_be_compared(
    runs: tuple[Path, Path], model: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Other objectives, one directory, three, and directories that nobody asked for: one line each."""
    a, b = map(str, runs)
    other = str(explored(tmp_path / "other", model))
    capfd.readouterr()
    place = ["--dse-output-dir", str(tmp_path / "c")]
    wrong = (["compare", a, other], ["compare", a], ["compare", a, b, a], ["compare"], [a, b], ["export", a])
    for given in (*wrong, ["--execution-type", "report", a]):
        assert main([*given, *place]) == 2
        output, error = capfd.readouterr()
        assert error.startswith("error: ") and error.count("\n") == 1 and not output, given
    assert not (tmp_path / "c").exists()
    assert main(["compare", a, other, *place]) == 2
    assert "min:latency_s" in (error := capfd.readouterr().err) and "min:prefill_s,min:decode_s" in error


def test_a_run_that_was_resumed(runs: tuple[Path, Path], model: list[str], tmp_path: Path) -> None:
    """Is like one that never stopped, in report, tables and comparison."""
    folder = explored(tmp_path / "run", model, *TWO, "--num-generations", "1")
    explored(folder, model, *TWO, "--resume")
    assert main(["--execution-type", "export", "--export", "csv", "--dse-output-dir", str(folder)]) == 0
    assert main(["--execution-type", "export", "--export", "csv", "--dse-output-dir", str(runs[0])]) == 0
    assert (folder / "candidates.csv").read_bytes() == (runs[0] / "candidates.csv").read_bytes()
    ours, theirs = (archive_of(*opened(run)[:2]) for run in (folder, runs[0]))
    assert np.array_equal(ours.values, theirs.values)
    assert [p.hypervolume for p in ours.history] == [p.hypervolume for p in theirs.history]
    assert main(["compare", str(folder), str(runs[1]), "--dse-output-dir", str(tmp_path)]) == 0
    assert main([*REPORT, str(folder)]) == 0
    assert len(Store.open(folder / FILE).steps()) == 3
