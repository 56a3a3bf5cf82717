"""Loop directives from the command line: exploring, checking against truths, scoring, and every kind of bad input."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from dse.records.store import Store
from evaluators.truth.ledger import Ledger
from main import main
from tests.cases_hls import scale_source, usual

ROOT = Path(__file__).resolve().parents[2]
HLS = ["--space", "hls", "--population-num-per-generation", "50", "--num-generations", "4", "--quiet"]
GEMM = ["--kernel", "config/kernels/gemm.c"]
COUNTING = f"{sys.executable} docs/examples/truth_gcc.py"

# Answers from the factors alone; its behaviour is the word after its name.
TOOL = """
import json, os, sys, time
request = json.load(sys.stdin)
how, calls = sys.argv[1], os.path.join(os.path.dirname(__file__), "calls.txt")
with open(calls, "a") as file:
    file.write(request["id"] + "\\n")
if how == "hangs":
    time.sleep(600)
if how == "junk":
    print("42 cycles, I think")
    sys.exit(0)
if how == "fails":
    sys.exit("no licence")
copies = 1
for value in request["design"].values():
    copies *= value if isinstance(value, int) else 1
cycles = 100000 // copies + (len(open(calls).readlines()) if how == "wavers" else 0)
print(json.dumps({"cycles": cycles, "lut": 1000 + copies, "ff": 2000, "dsp": copies, "bram": 10}))
"""


pytestmark = pytest.mark.usefixtures("at_root")


@pytest.fixture
def tool(tmp_path: Path) -> Path:
    """A tool of the user's."""
    path = tmp_path / "tool.py"
    path.write_text(TOOL)
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data set of two kernels of our own."""
    return usual(tmp_path / "data")


def summary(folder: Path) -> dict:  # type: ignore[type-arg]
    """What a run says for programs."""
    return json.loads((folder / "summary.json").read_text())  # type: ignore[no-any-return]


def command(tool: Path, how: str) -> list[str]:
    """Options that check the front with the tool."""
    return [
        "--truth",
        "command",
        "--truth-cmd",
        f"{sys.executable} {tool} {how}",
        "--truth-checks",
        "5",
        "--truth-retries",
        "0",
    ]


@pytest.mark.parametrize("kernel", ["gemm", "fir", "lu"])
def test_front(kernel: str, tmp_path: Path) -> None:
    """A front of cycles against resources: non-dominated, inside the device, with its pictures and its source."""
    arguments = ["--kernel", f"config/kernels/{kernel}.c", "--evaluator", "estimate", "--dse-output-dir", str(tmp_path)]
    assert main([*HLS, *arguments]) == 0
    rows = list(csv.DictReader((tmp_path / "front.csv").open()))
    points = np.array([[float(row["cycles"]), float(row["utilisation"])] for row in rows])
    assert len(points) and (np.diff(points[:, 0]) > 0).all() and (np.diff(points[:, 1]) < 0).all()
    assert (points[:, 1] <= 0.8).all()
    found = summary(tmp_path)
    assert "auto" not in found["best"]["source"] and found["checked"] is None
    assert found["without_directives"]["cycles"] >= found["best"]["metrics"]["cycles"]
    assert "low fidelity" in found["evaluator"]["cycles"]
    page = (tmp_path / "report.html").read_text()
    assert "low fidelity" in page and "http" not in page.replace("http://www.w3.org", "")
    assert {"listing.png", "listing.svg", "front.svg", "convergence.svg"} <= {
        path.name for path in (tmp_path / "pictures").iterdir()
    }


def test_same_again(tmp_path: Path) -> None:
    """The same seed gives the same candidates; a report drawn again is the same page; a run goes on where it was."""
    short = [*HLS, *GEMM, "--dse-output-dir"]
    assert main([*short, str(tmp_path / "a")]) == 0
    assert main([*short, str(tmp_path / "b"), "--num-generations", "2"]) == 0
    assert main([*short, str(tmp_path / "b"), "--resume"]) == 0
    names, kept = Store.open(tmp_path / "a" / "run.sqlite").candidates()
    assert (names, kept) == Store.open(tmp_path / "b" / "run.sqlite").candidates()
    assert len(kept) > 100 and all(row[names.index("interval_low_cycles")] > 0 for row in kept)
    assert summary(tmp_path / "a")["front"] == summary(tmp_path / "b")["front"]
    assert (tmp_path / "a" / "front.csv").read_text() == (tmp_path / "b" / "front.csv").read_text()
    page = (tmp_path / "a" / "report.html").read_text()
    assert main(["--execution-type", "report", "--dse-output-dir", str(tmp_path / "a")]) == 0
    assert (tmp_path / "a" / "report.html").read_text() == page


def test_intervals(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What the estimate is sure of within is in tables and summary, bars of the front and a line of each of its
    designs; a probability has no bars, and a metric that is derived none that do not follow."""
    arguments = [*HLS[:-1], *GEMM, "--evaluator", "estimate", "--export", "csv,json,parquet"]
    assert main([*arguments, "--dse-output-dir", str(tmp_path)]) == 0
    found = summary(tmp_path)
    low, high = found["best"]["interval"]["cycles"]
    assert low < found["best"]["metrics"]["cycles"] < high and found["level"] == 0.9 and "samples" not in found["best"]
    assert found["best"]["interval"]["valid_probability"] == [0.0, 1.0]
    front = list(csv.DictReader((tmp_path / "front.csv").open()))
    assert [float(front[0][f"interval_{end}_cycles"]) for end in ("low", "high")] == [low, high]
    every = {row["id"]: row for row in csv.DictReader((tmp_path / "candidates.csv").open())}
    best = every[front[0]["id"]]
    assert [float(best[f"interval_{end}_cycles"]) for end in ("low", "high")] == [low, high]
    assert all(float(row["interval_low_cycles"]) < float(row["cycles"]) for row in every.values())
    bars = (tmp_path / "pictures" / "front.svg").read_text()
    assert ">interval<" in bars and "LineCollection" in bars
    text = f"{float(f'{low:.3g}'):.6g} to {float(f'{high:.3g}'):.6g}"
    page, printed = (tmp_path / "report.html").read_text(), capfd.readouterr().out
    assert text in page and "90% interval" in page and "Thin bars are 90% intervals" in page
    assert text in printed and "with 90% intervals" in printed and max(map(len, printed.splitlines())) <= 120


def test_checked_by_a_tool(tmp_path: Path, tool: Path) -> None:
    """Designs of the front are put to the user's tool, each once for ever; what it says is in the summary."""
    run = tmp_path / "run"
    arguments = [*HLS, *GEMM, *command(tool, "works"), "--dse-output-dir", str(run)]
    assert main(arguments) == 0
    checked = summary(run)["checked"]
    assert checked["calls"] == len(checked["designs"]) == len((tmp_path / "calls.txt").read_text().split()) == 5
    assert all(design["status"] == "OK" and design["truth"]["cycles"] > 0 for design in checked["designs"])
    assert (run / "pictures" / "agreement.svg").exists()
    assert main(arguments) == 0
    assert summary(run)["checked"]["calls"] == 0 and len((tmp_path / "calls.txt").read_text().split()) == 5
    assert [d["truth"] for d in summary(run)["checked"]["designs"]] == [d["truth"] for d in checked["designs"]]


@pytest.mark.parametrize(
    ("how", "extra", "reason"),
    [
        ("fails", [], "no licence"),
        ("junk", [], "JSON"),
        ("hangs", ["--truth-time-limit", "0.5", "--truth-checks", "2"], "0.5 s"),
        ("wavers", ["--truth-repeat", "2"], "differently"),
    ],
)
def test_bad_tools(how: str, extra: list[str], reason: str, tmp_path: Path, tool: Path) -> None:
    """A tool that fails, hangs, prints junk or contradicts itself costs the designs concerned, never the run."""
    run = tmp_path / "run"
    assert main([*HLS, *GEMM, *command(tool, how), *extra, "--dse-output-dir", str(run)]) == 0
    checked = summary(run)["checked"]
    assert checked["designs"] and all(design["status"] == "FAILED" for design in checked["designs"])
    assert all(reason in design["reason"] for design in checked["designs"])
    assert checked["median_ape_cycles"] is None and summary(run)["front"]


def test_search_on_a_tool(tmp_path: Path, tool: Path) -> None:
    """`--evaluator truth`: every candidate is a call, several at once, and the front is that of the tool."""
    run = tmp_path / "run"
    small = ["--population-num-per-generation", "10", "--num-generations", "3", "--process-num", "2"]
    objectives = ["--evaluator", "truth", "--objectives", "cycles,dsp"]
    assert main([*HLS, *GEMM, *small, *objectives, *command(tool, "works"), "--dse-output-dir", str(run)]) == 0
    found = summary(run)
    calls = (tmp_path / "calls.txt").read_text().split()
    assert len(calls) == len(set(calls)) == found["candidates"] == 30
    ledger = Ledger(run / "calls.sqlite", "test")
    assert ledger.calls().ok == 30 and ledger.calls().unfinished == 0
    ledger.close()
    for design in found["front"]:
        assert design["metrics"]["cycles"] == 100000 // int(design["metrics"]["dsp"])


def test_example_tool(tmp_path: Path) -> None:
    """The tool of the documentation, on a kernel of the repository."""
    checks = ["--truth", "command", "--truth-cmd", COUNTING, "--truth-checks", "2"]
    assert main([*HLS, *GEMM, *checks, "--dse-output-dir", str(tmp_path)]) == 0
    designs = summary(tmp_path)["checked"]["designs"]
    assert len(designs) == 2 and all(d["status"] == "OK" and d["truth"]["lut"] > 10 for d in designs)


def test_recorded(tmp_path: Path, data: Path) -> None:
    """With recorded truth only recorded designs are walked, and looked up."""
    kernel = tmp_path / "mine.c"
    kernel.write_text(scale_source())
    arguments = [*HLS, "--kernel", str(kernel), "--tool-version", "v18", "--truth", "recorded", "--data", str(data)]
    assert main([*arguments, "--dse-output-dir", str(tmp_path / "run")]) == 0
    found = summary(tmp_path / "run")
    assert found["candidates"] == 90 and found["bound"] == "every design of the space was evaluated"
    assert all(design["truth"]["cycles"] or design["status"] != "OK" for design in found["checked"]["designs"])
    assert not any(design["reason"] == "not recorded" for design in found["checked"]["designs"])
    assert "recorded designs only" in (tmp_path / "run" / "report.html").read_text()
    assert main([*arguments, "--evaluator", "truth", "--dse-output-dir", str(tmp_path / "truth")]) == 0
    assert summary(tmp_path / "truth")["front"]


def test_evaluate(tmp_path: Path, data: Path) -> None:
    """Scores of the estimate and of the baselines, by label counts, strictly JSON."""
    arguments = ["--execution-type", "evaluate", "--data", str(data), "--tool-version", "v18", "--kernels", "scale"]
    assert main([*arguments, "--labels", "0,20", "--quiet", "--dse-output-dir", str(tmp_path / "out")]) == 0
    scores = json.loads((tmp_path / "out" / "metrics.json").read_text())
    for count in ("labels=0", "labels=20"):
        assert scores[count]["cycles"]["rmse_y"] > 0 and scores[count]["cycles"]["pass_at_5"] is None
        assert 0 <= scores[count]["cycles"]["coverage_90"] <= 1 and scores[count]["valid"]["f1"] is not None
        assert set(scores[count]["kernels"]) == {"scale"}
    assert scores["baselines"] and scores["evaluator"] == "estimate" and scores["fidelity"] == 0


BROKEN = "#pragma ACCEL kernel\nvoid f(int a[8])\n{\n  for (int i = 0; i < 8; i++ {\n    a[i] = i;\n  }\n}\n"
LOOP = "#pragma ACCEL kernel\nvoid f(int a[8])\n{\n%s\n  for (int i = 0; i < 8; i++)\n    a[i] = i;\n}\n"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (BROKEN, ["line 4"]),
        (LOOP % "#pragma ACCEL FUSE auto{A}", ["FUSE"]),
        (LOOP % "#pragma ACCEL PIPELINE auto{A}\n#pragma ACCEL PARALLEL FACTOR=auto{A}", ["A"]),
        (LOOP % "#pragma ACCEL PARALLEL FACTOR=0", ["0"]),
        (LOOP % "", ["directive"]),
        ("", [""]),
    ],
)
def test_bad_kernels(source: str, words: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A kernel that cannot be explored is refused in one line, and nothing is written."""
    path, run = tmp_path / "bad.c", tmp_path / "run"
    path.write_text(source)
    assert main([*HLS, "--kernel", str(path), "--dse-output-dir", str(run)]) == 2
    said = capfd.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1 and str(path) in said and not run.exists()
    assert all(word in said for word in words)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--space", "hls"], "--kernel"),
        (["--space", "hls", "--kernel", "absent.c"], "absent.c"),
        ([*HLS, *GEMM, "--evaluator", "roofline"], "estimate"),
        ([*HLS, *GEMM, "--evaluator", "truth"], "--truth"),
        ([*HLS, *GEMM, "--truth", "command"], "--truth-cmd"),
        ([*HLS, *GEMM, "--truth", "command", "--truth-cmd", "no-such-program-here"], "no-such-program-here"),
        ([*HLS, *GEMM, "--truth", "recorded"], "--data"),
        ([*HLS, *GEMM, "--truth", "recorded", "--data", "config"], "config"),
        ([*HLS, *GEMM, "--truth", "recorded", "--data", "{data}", "--tool-version", "v18"], "gemm.c"),
        ([*HLS, *GEMM, "--objectives", "latency_s"], "latency_s"),
        (["--execution-type", "evaluate"], "--data"),
        (["--execution-type", "evaluate", "--data", "{data}", "--evaluator", "roofline"], "estimate"),
        (["--execution-type", "evaluate", "--data", "{data}", "--kernels", "nothing"], "nothing"),
        (["--execution-type", "evaluate", "--data", "config"], "config"),
    ],
)
def test_refused(
    arguments: list[str], word: str, data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Options that do not fit are refused in one line, and nothing is written."""
    run = tmp_path / "run"
    assert main([text.replace("{data}", str(data)) for text in arguments] + ["--dse-output-dir", str(run)]) == 2
    said = capfd.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1 and word in said
    assert not (run / "run.sqlite").exists()
