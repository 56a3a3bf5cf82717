"""Near-memory designs labelled by a simulator of the user's: loops, validation, recorded answers, and bad input."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dse.records.store import FILE, Store
from main import main
from tests.cases import ROOT

# A crude simulator: what a design costs follows from the JSON on standard input and the files that it names; the word
# behind its name says how it behaves.
TOOL = """
import json, os, sys, time
request, how = json.load(sys.stdin), sys.argv[1]
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "calls.txt"), "a") as file:
    file.write(request["id"] + "\\n")
if how == "junk":
    print("0.2 s, I think")
    sys.exit(0)
if how == "fails":
    sys.exit("no licence")
if how == "misspelt":
    print(json.dumps({"metrics": {"latency": 1.0}}))
    sys.exit(0)
assert request["version"] == 1 and request["space"] == "nmp" and request["given"] == {}
with open(request["task"]["files"]["task"]) as file:
    task = json.load(file)
time.sleep(0.02)
design, workload, platform = request["design"], task["workload"], task["platform"]
latency = 0.0
for at, operator in enumerate(workload["operators"]):
    gemm = operator["decode"]
    macs = gemm["B"] * gemm["M"] * gemm["N"] * gemm["K"]
    share = design["nmp_units"][at] / max(design["nmp_units"][at] + design["npu_units"][at], 1)
    banks = max(bin(design["channels"][at]).count("1"), 1) * platform["banks_per_channel"]
    stored = macs / max(gemm["M"], 1) * workload["bytes_per_element"]
    compute = banks * design["fpus"] * platform["simd"] * design["mhz"] * 1e6
    near = share * max(1.2 * stored / (banks * design["pe_gbps"] * 1e9), macs / compute)
    far = (1 - share) * stored / (platform["channel_gbps"] * 1e9 * platform["total_channels"]) + 2e-6
    latency += max(near, far)
logic = 0.02 * design["fpus"] * platform["banks_per_channel"]
area = design["nmp_channels"] * (logic + 1e-3 * (design["input_kb"] + design["output_kb"] + 16 * design["weight_kb"]))
decode = latency * workload["generated"]
small = how != "refuses" or design["nmp_channels"] == 2
metrics = {"latency_s": decode + 0.05, "prefill_s": 0.05, "decode_s": decode, "area_mm2": area, "energy_j": None}
print(json.dumps({"metrics": metrics, "valid": small, "reason": "" if small else "no power left"}))
"""
BARE = ["--report", "none", "--quiet"]
SPACE = [
    *("--space", "nmp", "--nmp-channel-num-space", "2,4", "--fpu-pe-bw-space", "(1,1000,6.4),(8,400,6.4)"),
    *("--input-buffer-size-space", "16,64", "--weight-buffer-size-space", "16,64"),
    *("--output-buffer-total-size-space", "64"),
]
SMALL = [
    *(*SPACE, "--objectives", "latency_s,area_mm2"),
    *("--population-num-per-generation", "16", "--num-generations", "10"),
]
KNOWN = {"latency_s", "prefill_s", "decode_s", "area_mm2"}

pytestmark = pytest.mark.usefixtures("at_root")


def command(folder: Path, how: str = "well") -> list[str]:
    """The simulator, behaving so, in a folder where it notes its calls."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tool.py").write_text(TOOL)
    return ["--truth", "command", "--truth-cmd", f"{sys.executable} {folder / 'tool.py'} {how}", "--truth-retries", "0"]


def loop(evaluator: str, *more: str) -> list[str]:
    """An active loop of a surrogate without a language model."""
    return [*SMALL, "--evaluator", evaluator, "--checkpoint", "none", *more]


def labels_of(run: Path) -> list[dict[str, Any]]:
    """What a run's file of labels has."""
    return [json.loads(line) for line in (run / "labels.jsonl").read_text().splitlines()]


def design_of(label: dict[str, Any]) -> str:
    """One text for each design."""
    return json.dumps(label["design"], sort_keys=True)


def summary_of(run: Path) -> dict[str, Any]:
    """What a run says for programs; NaN is no JSON."""
    found: dict[str, Any] = json.loads(
        (run / "summary.json").read_text(), parse_constant=lambda word: pytest.fail(f"{word} is no JSON")
    )
    return found


def calls_of(folder: Path) -> list[str]:
    """Designs that the simulator was asked about."""
    return (folder / "calls.txt").read_text().split() if (folder / "calls.txt").exists() else []


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with enough labels for surrogates to be scored on them."""
    folder = tmp_path_factory.mktemp("many")
    asked = ["--budget", "46", "--recalibrate-every", "20", *BARE, "--dse-output-dir", str(folder / "run")]
    assert main(loop("extra-trees", *command(folder), *asked)) == 0
    assert len(calls_of(folder)) == 46
    return folder / "run"


# --- loops


def test_cascade(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The budget is kept, each design is asked once, and report, summary and file of labels say which and why."""
    out = tmp_path / "run"
    asked = loop("cascade", *command(tmp_path), "--budget", "7", "--report", "brief", "--dse-output-dir", str(out))
    assert main(asked) == 0
    said, summary, labels = capfd.readouterr(), summary_of(out), labels_of(out)
    assert summary["candidates"] == 7 and summary["ended"] == "budget of 7 tool runs spent"
    assert len(calls_of(tmp_path)) == len(set(calls_of(tmp_path))) == 7 == len({design_of(label) for label in labels})
    assert [label["provenance"]["version"] for label in labels] == [0] * 5 + [1] * 2
    assert set(summary["bought"]["tiers"]) == {"estimate"} and len(summary["bought"]["labels"]) == 7
    for label in labels:
        assert label["status"] == "OK" and label["fidelity"] == "tool" and label["given"] == {}
        assert {name for name, value in label["metrics"].items() if value is not None} == KNOWN
        assert label["metrics"]["latency_s"] == pytest.approx(0.05 + label["metrics"]["decode_s"])
        assert set(label["provenance"]["said"]) >= KNOWN
    # A reference that no label has corrected states no interval, and none is made up.
    assert labels[0]["provenance"]["said"]["latency_s"]["interval"] == [None, None]
    assert summary["bought"]["fresh_labels"]["latency_s"]["median_ape"] > 0
    assert summary["bought"]["fresh_labels"]["latency_s"]["of"] == 0
    best = min(label["metrics"]["latency_s"] for label in labels)
    assert summary["best"]["metrics"]["latency_s"] == best and "7 designs were bought" in said.out
    page = (out / "report.html").read_text()
    assert "What was bought, and why" in page and "labels.jsonl" in page
    assert {"loop_front.png", "fresh_labels.svg"} <= {path.name for path in (out / "pictures").iterdir()}
    assert main(["--execution-type", "report", "--dse-output-dir", str(out)]) == 0
    assert (out / "report.html").read_text() == page and len(calls_of(tmp_path)) == 7


@pytest.mark.parametrize("name", ["extra-trees", "gaussian-process"])
def test_loops_from_labels(name: str, tmp_path: Path) -> None:
    """They begin with random designs; the same seed asks about the same designs."""
    found = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        asked = loop(name, *command(folder), "--budget", "12", *BARE, "--dse-output-dir", str(folder / "run"))
        assert main(asked) == 0
        assert len(calls_of(folder)) == len(set(calls_of(folder))) == 12
        assert set(summary_of(folder / "run")["bought"]["tiers"]) == {name}
        found.append([(design_of(label), label["metrics"]) for label in labels_of(folder / "run")])
    assert found[0] == found[1] and len(found[0]) == 12
    gains = [label["provenance"]["expected_gain"] for label in labels_of(tmp_path / "one" / "run")]
    assert gains[:10] == [None] * 10 and all(gain is not None for gain in gains[10:])


def test_designs_that_the_tool_refuses(tmp_path: Path) -> None:
    """They are labels, and not on the front."""
    out = tmp_path / "run"
    assert (
        main(loop("cascade", *command(tmp_path, "refuses"), "--budget", "9", *BARE, "--dse-output-dir", str(out))) == 0
    )
    labels = labels_of(out)
    refused = [label for label in labels if label["status"] == "INFEASIBLE"]
    assert len(labels) == 9 and 0 < len(refused) < 9
    assert all(one["reason"] == "no power left" and one["design"]["nmp_channels"] == 4 for one in refused)
    assert all(design["design"].startswith("nmp 2 of 8") for design in summary_of(out)["front"])


def test_kills(tmp_path: Path) -> None:
    """SIGKILL at random moments and --resume: the budget is kept, no label is asked for twice, none is lost."""
    asked = loop("cascade", *command(tmp_path), "--budget", "12", "--resume", *BARE)
    moments, kills, done = random.Random(3), 0, False
    seconds = _seconds_to_begin(tmp_path, asked)
    while not done:
        run = subprocess.Popen([sys.executable, "main.py", *asked, "--dse-output-dir", str(tmp_path / "run")], cwd=ROOT)
        try:
            done = run.wait(timeout=moments.uniform(0.8, 1.4) * seconds if kills < 4 else None) == 0
            assert done
        except subprocess.TimeoutExpired:
            run.kill()
            run.wait()
            kills += 1
    labels, calls = labels_of(tmp_path / "run"), Counter(calls_of(tmp_path))
    assert kills > 1 and len({design_of(label) for label in labels}) == len(labels) == 12 == len(calls)
    assert sum(calls.values()) <= 12 + kills  # a call that was cut short is made again
    with sqlite3.connect(tmp_path / "run" / "calls.sqlite") as db:
        answered = Counter(key for (key,) in db.execute("SELECT key FROM call WHERE status IS NOT NULL"))
    assert len(answered) == 12 and set(answered.values()) == {1}, "an answer is never asked for again"
    store = Store.open(tmp_path / "run" / FILE)
    assert len(store.genomes()) == len(store.steps()) == 12


def _seconds_to_begin(folder: Path, asked: list[str]) -> float:
    """Until the first label of another run is there."""
    begun = time.monotonic()
    run = subprocess.Popen([sys.executable, "main.py", *asked, "--dse-output-dir", str(folder / "other")], cwd=ROOT)
    while not (folder / "other" / "labels.jsonl").exists():
        assert run.poll() is None and time.monotonic() - begun < 120
        time.sleep(0.02)
    run.kill()
    run.wait()
    (folder / "calls.txt").unlink()
    return time.monotonic() - begun


def test_goes_on_to_a_larger_budget(tmp_path: Path) -> None:
    """A finished run goes on where the budget is raised, and asks about what it has not."""
    asked = loop("cascade", *command(tmp_path), *BARE, "--resume", "--dse-output-dir", str(tmp_path / "run"))
    assert main([*asked, "--budget", "3"]) == 0
    first = labels_of(tmp_path / "run")
    assert main([*asked, "--budget", "6"]) == 0
    assert len(first) == 3 and labels_of(tmp_path / "run")[:3] == first and len(labels_of(tmp_path / "run")) == 6
    assert len(calls_of(tmp_path)) == 6


# --- validation


def test_validation_of_a_front(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """An analytic search, and the simulator's answers about designs of its front: summary, report and terminal."""
    out = tmp_path / "run"
    checks = [*command(tmp_path), "--truth-checks", "3", "--report", "brief", "--dse-output-dir", str(out)]
    assert main([*SMALL, "--evaluator", "buffered", *checks]) == 0
    said, summary = capfd.readouterr().out, summary_of(out)
    checked = summary["checked"]
    assert (
        checked["calls"] == 3 == len(checked["designs"]) == len(calls_of(tmp_path))
        and checked["median_ape_latency_s"] > 0
    )
    for design in checked["designs"]:
        assert design["status"] == "OK" and set(design["truth"]) >= KNOWN
    assert "Designs of the front checked by" in said and "Median error of the estimated latency_s" in said
    assert "checked" in (out / "report.html").read_text().lower()
    assert main([*SMALL, "--evaluator", "buffered", *checks, "--resume"]) == 0
    assert len(calls_of(tmp_path)) == 3 and summary_of(out)["checked"] == checked | {"calls": 0}


@pytest.mark.parametrize(("how", "reason"), [("junk", "the tool said no JSON"), ("fails", "no licence")])
def test_validation_by_a_broken_tool(how: str, reason: str, tmp_path: Path) -> None:
    """Its designs are FAILED, with the reason; the search is worth as much as ever."""
    checks = [*command(tmp_path, how), "--truth-checks", "2", *BARE, "--dse-output-dir", str(tmp_path / "run")]
    assert main([*SMALL, "--evaluator", "buffered", *checks]) == 0
    checked = summary_of(tmp_path / "run")["checked"]
    assert [design["status"] for design in checked["designs"]] == ["FAILED"] * 2 and checked[
        "median_ape_latency_s"
    ] is None
    assert all(reason in design["reason"] for design in checked["designs"])


@pytest.mark.parametrize(("how", "reason"), [("junk", "no JSON"), ("misspelt", "latency"), ("fails", "no licence")])
@pytest.mark.parametrize("evaluator", ["cascade", "truth"])
def test_a_broken_tool(
    evaluator: str, how: str, reason: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """After so many failures in a row the run ends with exit code 3 and one line that says why."""
    asked = loop(evaluator, *command(tmp_path, how), "--budget", "9", "--max-failures", "3", "--report", "none")
    assert main([*asked, "--dse-output-dir", str(tmp_path / "run")]) == 3
    assert reason in capfd.readouterr().out and not (tmp_path / "run" / "labels.jsonl").exists()
    failures = Store.open(tmp_path / "run" / FILE).failures()
    assert sum(failures.values()) >= 3 and all(reason in one for one in failures)


# --- labels, read again


def test_recorded_again(many: Path, tmp_path: Path) -> None:
    """A run's labels are a truth: a search walks them, and a loop asks about some of them, without the tool."""
    data = ["--truth", "recorded", "--data", str(many / "labels.jsonl")]
    known = {design_of(label): label["metrics"] for label in labels_of(many)}
    assert main(loop("truth", *data, *BARE, "--dse-output-dir", str(tmp_path / "all"))) == 0
    best = min(metrics["latency_s"] for metrics in known.values())
    found = summary_of(tmp_path / "all")
    assert found["candidates"] == 46 and found["best"]["metrics"]["latency_s"] == best
    for name in ("cascade", "gaussian-process"):
        out = tmp_path / name
        assert main(loop(name, *data, "--budget", "11", *BARE, "--dse-output-dir", str(out))) == 0
        labels = labels_of(out)
        assert len({design_of(label) for label in labels}) == 11
        assert all(known[design_of(label)] == label["metrics"] for label in labels)
    again = ["--truth", "recorded", "--data", str(tmp_path / "cascade" / "labels.jsonl")]
    assert main(loop("truth", *again, *BARE, "--dse-output-dir", str(tmp_path / "again"))) == 0
    assert summary_of(tmp_path / "again")["candidates"] == 11


@pytest.mark.parametrize("name", ["auto", "cascade", "extra-trees", "gaussian-process"])
def test_scores(name: str, many: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Surrogates are scored on a run's labels; there is nothing that baselines could learn from."""
    asked = ["--execution-type", "evaluate", *SPACE, "--data", str(many / "labels.jsonl"), "--labels", "4,12"]
    asked += ["--evaluator", name, "--checkpoint", "none", "--dse-output-dir", str(tmp_path)]
    assert main(asked) == 0
    found = json.loads((tmp_path / "metrics.json").read_text())
    assert found["evaluator"] == ("estimate" if name == "auto" else name)
    assert found["metrics"] == ["latency_s", "prefill_s", "decode_s", "energy_j", "area_mm2"]
    assert found["seen"] == [] and found["baselines"] is None and "latency_s" in found["baselines_absent"]
    for heading in ("labels=4", "labels=12"):
        for metric in ("latency_s", "area_mm2"):
            assert 0 < found[heading][metric]["rmse_y"] < 3
    said = capfd.readouterr().out
    assert "latency_s" in said and "nan" not in said and (tmp_path / "agreement.svg").exists()


@pytest.mark.parametrize("name", ["auto", "cascade", "extra-trees", "gaussian-process"])
def test_predict(name: str, many: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """One design by a surrogate that saw the labels; it is nearer to the simulator than the analytic model is."""
    asked = ["--execution-type", "predict", *SPACE, "--set", "nmp_channels=4,fpus=8", "--evaluator", name]
    asked += ["--checkpoint", "none", "--dse-output-dir", str(tmp_path)]
    assert main([*asked, "--data", str(many / "labels.jsonl")]) == 0
    found, said = json.loads((tmp_path / "prediction.json").read_text()), capfd.readouterr().out
    assert found["tool"] is None and "nmp 4 of 8, PE 8 FPU" in found["design"] and found["design"] in said
    assert "v20" not in said and found["kernel"].startswith("opt-6.7b")
    for metric in KNOWN:
        low, high = found["metrics"][metric]["interval"]
        assert low <= found["metrics"][metric]["median"] <= high and metric in said
    near = [label for label in labels_of(many) if label["design"]["nmp_channels"] == 4 and label["design"]["fpus"] == 8]
    areas = np.array([label["metrics"]["area_mm2"] for label in near])
    assert areas.min() * 0.8 < found["metrics"]["area_mm2"]["median"] < areas.max() * 1.25


def test_predict_without_labels(tmp_path: Path) -> None:
    """The analytic model's answer, without an interval."""
    asked = ["--execution-type", "predict", *SPACE, "--set", "nmp_channels=2", "--dse-output-dir", str(tmp_path)]
    assert main(asked) == 0
    found = json.loads((tmp_path / "prediction.json").read_text())
    assert found["by"].startswith("estimate") and found["metrics"]["energy_j"]["median"] > 0
    assert all(one["interval"] is None for one in found["metrics"].values())


# --- bad input


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (["--evaluator", "truth"], "error: --evaluator: truth without --truth"),
        (["--evaluator", "extra-trees"], "error: --evaluator: extra-trees without labels"),
        (["--evaluator", "gaussian-process"], "error: --evaluator: gaussian-process without labels"),
        (["--evaluator", "lm"], "error: --evaluator: lm with --space nmp"),
        (["--evaluator", "transformer-h"], "error: --evaluator: transformer-h with --space nmp"),
        (["--truth", "command"], "error: --truth: command without --truth-cmd"),
        (["--truth", "command", "--truth-cmd", "no-such-simulator"], "error: --truth: no program 'no-such-simulator'"),
        (["--truth", "recorded"], "error: --truth: recorded without --data"),
        (["--truth", "recorded", "--data", "nowhere.jsonl"], "error: nowhere.jsonl: "),
        (["--truth", "recorded", "--data", "README.md"], "error: README.md, line 1: is not JSON"),
        (["--execution-type", "evaluate"], "error: --data: is missing"),
        (["--execution-type", "evaluate", "--evaluator", "buffered"], "error: --evaluator: buffered with"),
        (["--execution-type", "evaluate", "--data", "README.md"], "error: README.md, line 1: is not JSON"),
        (["--execution-type", "predict", "--evaluator", "transformer-h"], "error: task opt-6.7b"),
        (["--execution-type", "predict", "--evaluator", "lm"], "error: task opt-6.7b"),
        (["--execution-type", "predict", "--evaluator", "roofline"], "error: --evaluator: roofline with"),
        (["--execution-type", "predict", "--set", "channels=4"], "error: --set: 'channels=4'"),
        (
            ["--execution-type", "predict", "--set", "nmp_channels=4,nmp_channels=4"],
            "error: --set: 'nmp_channels=4,nmp_channels=4' repeats",
        ),
        (["--execution-type", "predict", "--set", "fpus=1,fpus=8"], "error: --set: 'fpus=8'"),
        (["--execution-type", "predict", "--set", "nmp_channels=many"], "error: --set: 'nmp_channels=many'"),
        (["--execution-type", "predict", "--set", "nmp_channels=5"], "error: --set: nmp_channels=5"),
        (["--execution-type", "train"], "error: --execution-type: train with --space nmp"),
    ],
)
def test_bad_input(more: list[str], expected: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """One line, exit code 2, nothing written."""
    assert main([*SPACE, "--quiet", *more, "--dse-output-dir", str(tmp_path / "run")]) == 2
    said = capfd.readouterr().err
    assert said.startswith(expected) and len(said.splitlines()) == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (["--evaluator", "extra-trees", "--budget", "0"], "error: --evaluator: extra-trees without labels"),
        (["--evaluator", "lm"], "error: --evaluator: lm with --space nmp"),
        (["--evaluator", "cascade", "--objectives", "cycles"], "error: --objectives: 'cycles' is not known"),
        (["--evaluator", "cascade", "--checkpoint", "README.md"], "error: README.md"),
        (["--evaluator", "cascade", "--budget", "few"], "error: --budget: 'few' is not a whole number"),
    ],
)
def test_bad_loops(more: list[str], expected: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The tool is not run."""
    assert main([*SPACE, *command(tmp_path), *BARE, *more, "--dse-output-dir", str(tmp_path / "run")]) == 2
    said = capfd.readouterr().err
    assert said.startswith(expected) and len(said.splitlines()) == 1
    assert not (tmp_path / "run").exists() and not calls_of(tmp_path)


def test_labels_that_are_no_use(many: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Of another task, of another platform, too few, damaged, of other columns: file and line, and what was wrong."""
    lines = (many / "labels.jsonl").read_text().splitlines()
    first = json.loads(lines[0])

    def changed(**how: Any) -> str:
        return json.dumps(first | how)

    search, score = ["--truth", "recorded", "--evaluator", "truth"], ["--execution-type", "evaluate"]
    cases = [
        (lines, [*search, "--max-batch-size", "8"], "has no answers about the task opt-6.7b, batch 8"),
        (lines, [*search, "--total-channel-num", "16"], "has no answers about the task opt-6.7b, batch 16"),
        (lines[:30], score, "is too little to judge by (30 of 30 designs have latency_s, fewer than 40)"),
        ([], search, "has no answers about the task"),
        ([*lines[:3], lines[3][:-9]], search, "line 4: is not JSON"),
        (['"hello"'], search, "line 1: is no object with design and metrics"),
        ([lines[1], changed(metrics={"cycles": 5})], search, "line 2, metrics: has cycles"),
        ([changed(metrics={"latency_s": -1.0})], search, "line 1, metrics: has latency_s = -1.0"),
        ([changed(metrics={"latency_s": "fast"})], search, 'line 1, metrics: has latency_s = "fast"'),
        ([changed(status="FINE")], search, 'line 1, status: is "FINE"'),
        ([changed(status=["OK"])], search, 'line 1, status: is ["OK"]'),
        ([changed(fidelity="hearsay")], search, 'fidelity: is "hearsay"'),
        ([changed(design=first["design"] | {"fpus": None})], search, "line 1, design: has fpus = null"),
        ([changed(design=first["design"] | {"fpus": 2**70})], search, "line 1, design: has fpus = "),
        ([changed(design=first["design"] | {"group": [0]})], search, "line 1, design: has group = [0]"),
        ([lines[0], changed(metrics={"latency_s": 9.0})], search, "is recorded twice"),
    ]
    for number, (content, more, expected) in enumerate(cases):
        data = tmp_path / f"labels{number}.jsonl"
        data.write_text("".join(f"{line}\n" for line in content))
        asked = [*SPACE, "--objectives", "latency_s", "--data", str(data), *BARE, *more]
        assert main([*asked, "--dse-output-dir", str(tmp_path / "run")]) == 2, expected
        said = capfd.readouterr().err
        assert said.startswith(f"error: {data}") and expected in said and len(said.splitlines()) == 1, said
