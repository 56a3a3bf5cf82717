"""A new system in one file has search, truth, active loop, surrogates, store, resume, report, `evaluate` and
`predict`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest

from dse.studies.kinds import STUDIES, Kind
from main import main
from tests.toy.system import CHOICES, CacheModel, Transpose

TOOL = """
    import json, sys
    asked = json.load(sys.stdin)
    assert asked["space"] == "toy" and asked["version"] == 1, asked
    d = asked["design"]
    misses = 2**20 * (1 / min(d["columns"], 8) ** 0.9 + 1 / min(d["rows"], 8) ** 0.7) / (1 + 0.2 * d["prefetch"])
    misses *= 1 + 0.02 * d["rows"] / d["columns"]
    fits = d["rows"] * d["columns"] <= 512
    with open({log!r}, "a") as log:
        log.write(asked["id"] + "\\n")
    metrics = {{"latency_s": misses * 1.3e-7, "energy_j": misses * 2e-8 * (1 + 0.8 * d["prefetch"])}}
    print(json.dumps({{"metrics": metrics, "valid": fits, "reason": "" if fits else "does not fit"}}))
"""
GOALS = "latency_s,energy_j"


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one line by which a system becomes known."""
    place = "tests.toy.system"
    kind = Kind(f"{place}:toy_study", f"{place}:toy_learning", defaults={"objectives": GOALS, "num-generations": "20"})
    monkeypatch.setitem(STUDIES, "toy", kind)


def run(folder: Path, *options: str) -> dict[str, Any]:
    """The summary of a run of the command line."""
    assert main(["--space", "toy", "--dse-output-dir", str(folder), "--quiet", *options]) == 0
    found: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return found


def tool(folder: Path) -> list[str]:
    """Options that name the simulator, which notes its calls in folder/calls."""
    path = folder / "simulator.py"
    path.write_text(dedent(TOOL.format(log=str(folder / "calls"))))
    return ["--truth", "command", "--truth-cmd", f"{sys.executable} {path}"]


def calls(folder: Path) -> list[str]:
    """Keys of the designs that the simulator was asked about."""
    path = folder / "calls"
    return path.read_text().split() if path.exists() else []


def front(summary: dict[str, Any]) -> list[tuple[float, ...]]:
    """Objectives of a front."""
    return sorted(tuple(one["metrics"][name] for name in GOALS.split(",")) for one in summary["front"])


def test_search_finds_the_front_of_all_designs(tmp_path: Path) -> None:
    """The analytic search of the whole space has the front that comparing every design with every other has."""
    from dse.spaces.choices import ChoiceSpace
    from tests.cases import every_genome

    task = Transpose()
    space = ChoiceSpace(task.schema, CHOICES)
    answer = CacheModel(task).evaluate(space.decode(every_genome(space.bounds)), seed=0)
    values = np.stack([answer.metrics[name] for name in GOALS.split(",")], axis=1)[answer.status == 0]
    best = [v for v in values if not ((values <= v).all(axis=1) & (values < v).any(axis=1)).any()]
    assert front(run(tmp_path)) == sorted({tuple(v.tolist()) for v in best})
    page = (tmp_path / "report.html").read_text()
    assert "transpose-1024" in page and "latency_s" in page


def test_a_truth_validates_the_front(tmp_path: Path) -> None:
    """Designs of an analytic front are put to the simulator, at most as many as are asked for, and none twice."""
    summary = run(tmp_path / "run", *tool(tmp_path), "--truth-checks", "3")
    assert summary["checked"]["calls"] == len(calls(tmp_path)) == len(summary["checked"]["designs"]) <= 3
    assert summary["checked"]["median_ape_latency_s"] > 0
    assert "Checked against command" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.parametrize("evaluator", ["extra-trees", "gaussian-process", "cascade"])
def test_the_loop_labels_what_a_surrogate_asks_for(evaluator: str, tmp_path: Path) -> None:
    """Each surrogate of the registry spends its budget to the label; the front is of labelled designs."""
    options = [*tool(tmp_path), "--evaluator", evaluator, "--checkpoint", "none", "--budget", "25"]
    summary = run(tmp_path / "run", *options)
    asked = calls(tmp_path)
    assert len(asked) == len(set(asked)) == summary["candidates"] == 25
    lines = [json.loads(line) for line in (tmp_path / "run" / "labels.jsonl").read_text().splitlines()]
    assert len(lines) == 25 and {line["task"] for line in lines} == {"transpose-1024"}
    assert summary["bought"]["labels"][0]["why"]["model"].startswith(evaluator)
    assert set(front(summary)) <= {tuple(line["metrics"][name] for name in GOALS.split(",")) for line in lines}
    # What the ledger knows costs nothing: a second run asks about other designs, one elsewhere about the same again.
    run(tmp_path / "run", *options)
    assert len(calls(tmp_path)) == len(set(calls(tmp_path))) == 50
    assert front(run(tmp_path / "other", *options)) == front(summary) and calls(tmp_path)[50:] == asked


def test_labels_are_scored_and_predict(tmp_path: Path) -> None:
    """The labels of a loop are what `evaluate` scores surrogates by, and what `predict` is conditioned on."""
    run(tmp_path / "run", *tool(tmp_path), "--evaluator", "truth", "--num-generations", "1")
    every = tmp_path / "every"
    run(every, *tool(tmp_path), "--evaluator", "extra-trees", "--budget", "98")
    data = str(every / "labels.jsonl")
    out = tmp_path / "scores"
    words = ["--space", "toy", "--data", data, "--quiet", "--labels", "0,20", "--report", "none"]
    for name in ("estimate", "extra-trees"):
        command = ["--execution-type", "evaluate", "--evaluator", name, "--dse-output-dir", str(out / name)]
        assert main([*command, *words]) == 0
    scores = {name: json.loads((out / name / "metrics.json").read_text()) for name in ("estimate", "extra-trees")}
    assert scores["estimate"]["metrics"] == GOALS.split(",")
    error = {name: found["labels=20"]["latency_s"]["rmse_y"] for name, found in scores.items()}
    assert error["estimate"] < scores["estimate"]["labels=0"]["latency_s"]["rmse_y"]
    assert error["estimate"] < error["extra-trees"]  # which has no model of the cache to begin with
    command = ["--execution-type", "predict", "--space", "toy", "--data", data, "--dse-output-dir", str(tmp_path / "p")]
    assert main([*command, "--quiet"]) == 0
    found = json.loads((tmp_path / "p" / "prediction.json").read_text())
    assert found["metrics"]["latency_s"]["median"] == pytest.approx(2 * 2**20 * 1.02 * 1.3e-7, rel=0.2)


def test_a_killed_loop_goes_on(tmp_path: Path) -> None:
    """With more budget a finished loop goes on from its labels, which cost nothing again."""
    options = [*tool(tmp_path), "--evaluator", "extra-trees", "--resume"]
    run(tmp_path / "run", *options, "--budget", "12")
    assert len(calls(tmp_path)) == 12
    assert run(tmp_path / "run", *options, "--budget", "20")["candidates"] == 20
    assert len(calls(tmp_path)) == len(set(calls(tmp_path))) == 20


def test_what_a_system_lacks_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line each, exit code 2."""
    for options, word in (
        (["--evaluator", "extra-trees"], "without labels"),
        (["--evaluator", "truth"], "truth without --truth"),
        (["--sweep", "max-batch-size=1,2"], "with --space toy"),
        (["--evaluator", "lm", "--checkpoint", "absent"], "absent"),
    ):
        assert main(["--space", "toy", "--dse-output-dir", str(tmp_path / "x"), *options]) == 2
        said = capsys.readouterr().err
        assert word in said and said.count("\n") == 1, said
