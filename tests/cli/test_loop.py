"""The active loop from the command line: what it finds and leaves, kills at any moment, faults, and bad input."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dse.records.store import FILE, Store
from evaluators.truth.ledger import Ledger
from main import main
from tests.cases import ROOT
from tests.cases_hls import scale_source

TOOL = """
import json, os, sys, time
request, how = json.load(sys.stdin), sys.argv[1]
calls = os.path.join(os.path.dirname(os.path.abspath(__file__)), "calls.txt")
with open(calls, "a") as file:
    file.write(request["id"] + "\\n")
number = len(open(calls).readlines())
if how == "hangs" and number % 4 == 2:
    time.sleep(600)
if how == "fails" and number % 4 == 2:
    sys.exit("no licence")
time.sleep(0.05)
copies = 1
for value in request["design"].values():
    copies *= value if isinstance(value, int) else 1
cycles = 100000 // copies + (number if how == "wavers" else 0)
if how == "bare":
    print(json.dumps({"cycles": cycles, "lut": 1000 + 100 * copies}))
else:
    print(json.dumps({"cycles": cycles, "lut": 1000 + 100 * copies, "ff": 2000, "dsp": copies, "bram": 10 + copies}))
"""
BARE = ["--report", "none", "--quiet"]

pytestmark = pytest.mark.usefixtures("at_root")


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    """A kernel of our own."""
    path = tmp_path / "scale.c"
    path.write_text(scale_source())
    return path


def loop(kernel: Path, *more: str) -> list[str]:
    """The loop on a kernel, on a space small enough to be scored as a whole."""
    return ["--space", "hls", "--kernel", str(kernel), "--evaluator", "cascade", "--num-generations", "20", *more]


def told(folder: Path, how: str = "well") -> list[str]:
    """A tool of the user's that behaves so, in a folder where it notes its calls."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tool.py").write_text(TOOL)
    return ["--truth", "command", "--truth-cmd", f"{sys.executable} {folder / 'tool.py'} {how}"]


def labels_of(folder: Path) -> list[dict[str, Any]]:
    """What the augmentation file has."""
    return json.loads((folder / "augmentation.json").read_text())["labels"]


def test_recorded(data: Path, tmp_path: Path) -> None:
    """A budget is spent on recorded designs; report, summary and augmentation file say what on, and why."""
    source, out = data / "sources" / "scale_kernel.c", tmp_path / "out"
    asked = loop(source, "--truth", "recorded", "--data", str(data), "--tool-version", "v18", "--budget", "12")
    assert main([*asked, "--quiet", "--dse-output-dir", str(out)]) == 0
    summary = json.loads((out / "summary.json").read_text())
    assert summary["candidates"] == 12 and "budget of 12" in summary["ended"]
    labels = labels_of(out)
    assert len({label["key"] for label in labels}) == 12
    assert [label["why"]["version"] for label in labels] == [0] * 5 + [1] * 5 + [2] * 2
    bought = summary["bought"]
    assert bought["tiers"]["lm"] > 0 and bought["fresh_labels"]["cycles"]["of"] > 0
    assert all("recorded" in label["truth"] for label in labels)
    assert {"loop_front.png", "fresh_labels.svg"} <= {path.name for path in (out / "pictures").iterdir()}
    assert "What was bought, and why" in (out / "report.html").read_text()
    assert main(["--execution-type", "report", "--dse-output-dir", str(out)]) == 0


def test_the_estimate_alone(data: Path, tmp_path: Path) -> None:
    """Without a language model the loop buys and learns all the same, by the estimate, and goes on where it was."""
    source, out = data / "sources" / "scale_kernel.c", tmp_path / "out"
    asked = loop(source, "--truth", "recorded", "--data", str(data), "--tool-version", "v18", "--checkpoint", "none")
    for budget in ("7", "9"):
        assert main([*asked, *BARE, "--budget", budget, "--resume", "--dse-output-dir", str(out)]) == 0
    summary = json.loads((out / "summary.json").read_text())
    assert set(summary["bought"]["tiers"]) == {"estimate"} and summary["candidates"] == 9
    assert len({label["key"] for label in labels_of(out)}) == 9
    assert labels_of(out)[-1]["why"]["version"] == 1


def test_kills(data: Path, tmp_path: Path) -> None:
    """SIGKILL at random moments and --resume: what is bought in the end, and in which order, is what an unbroken run
    buys; no label is bought twice, and none that was paid for is lost."""
    kernel = data / "sources" / "scale_kernel.c"
    paths = {name: tmp_path / name for name in ("whole", "broken")}
    more = ["--budget", "14", "--objectives", "cycles,lut", "--resume", *BARE]
    commands = {
        name: [sys.executable, "main.py", *loop(kernel, *told(path), *more), "--dse-output-dir", str(path / "run")]
        for name, path in paths.items()
    }
    begun = time.monotonic()
    subprocess.run(commands["whole"], cwd=ROOT, check=True)
    seconds, moments, kills, done = time.monotonic() - begun, random.Random(7), 0, False
    while not done:
        run = subprocess.Popen(commands["broken"], cwd=ROOT)
        try:
            # Late enough, now and then, for labels to have been bought.
            done = run.wait(timeout=moments.uniform(0.3, 0.95) * seconds if kills < 6 else None) == 0
            assert done
        except subprocess.TimeoutExpired:
            run.kill()
            run.wait()
            kills += 1
    whole, broken = (labels_of(path / "run") for path in paths.values())
    for labels in (whole, broken):
        for label in labels:
            label["truth"] = ""  # the tools are two files
    assert kills > 1 and broken == whole and len(whole) == 14
    calls = Counter((paths["broken"] / "calls.txt").read_text().split())
    assert set(calls) == {label["key"] for label in broken}
    assert sum(calls.values()) <= 14 + kills  # a call that was cut short is made again
    ledger = Ledger(paths["broken"] / "run" / "calls.sqlite", "any")
    ends = [len(answers) for answers in ledger.answers(_truth(ledger), [bytes.fromhex(key) for key in calls]).values()]
    assert ends == [1] * 14, "an answer is never bought again"
    store = Store.open(paths["broken"] / "run" / FILE)
    assert len(store.genomes()) == len(store.steps()) == 14


def _truth(ledger: Ledger) -> str:
    """Whose answers a ledger has."""
    import sqlite3

    with sqlite3.connect(ledger.path) as db:
        ((name,),) = db.execute("SELECT DISTINCT truth FROM call").fetchall()
    return str(name)


def test_goes_on_to_a_larger_budget(kernel: Path, tmp_path: Path) -> None:
    """A finished run goes on where the budget is raised, and buys what it has not."""
    out = ["--objectives", "cycles,lut", *BARE, "--resume", "--dse-output-dir", str(tmp_path / "run")]
    asked = loop(kernel, *told(tmp_path), *out)
    assert main([*asked, "--budget", "3"]) == 0
    first = labels_of(tmp_path / "run")
    assert main([*asked, "--budget", "6"]) == 0
    assert len(first) == 3 and labels_of(tmp_path / "run")[:3] == first and len(labels_of(tmp_path / "run")) == 6
    assert len((tmp_path / "calls.txt").read_text().split()) == 6


@pytest.mark.parametrize("how", ["fails", "hangs", "wavers"])
def test_a_truth_with_faults(how: str, kernel: Path, tmp_path: Path) -> None:
    """A tool that fails, hangs or contradicts itself costs its calls; the run goes on and keeps the sound labels."""
    faults = ["--truth-time-limit", "1", "--truth-retries", "0", "--truth-repeat", "2" if how == "wavers" else "1"]
    asked = loop(kernel, *told(tmp_path, how), *faults, "--objectives", "cycles,lut", "--budget", "6", "--process-num")
    code = main([*asked, "2", *BARE, "--max-failures", "5", "--dse-output-dir", str(tmp_path / "run")])
    store = Store.open(tmp_path / "run" / FILE)
    failures = store.failures()
    if how == "wavers":
        assert code == 3 and all("answered differently" in reason for reason in failures)
        assert not (tmp_path / "run" / "augmentation.json").exists()
        return
    assert code == 0 and len(store.genomes()) == 6 and 0 < sum(failures.values()) < 6
    assert len(labels_of(tmp_path / "run")) == 6 - sum(failures.values())


def test_a_tool_that_says_little(kernel: Path, tmp_path: Path) -> None:
    """Cycles and LUT alone are enough to learn from: later labels are foretold better than the first."""
    asked = loop(kernel, *told(tmp_path, "bare"), "--objectives", "cycles,lut", "--budget", "16")
    assert main([*asked, *BARE, "--dse-output-dir", str(tmp_path / "run")]) == 0
    off = [abs(label["why"]["said"]["cycles"]["median"] / label["cycles"] - 1) for label in labels_of(tmp_path / "run")]
    assert sorted(off[10:])[3] < sorted(off[:5])[2]


def test_nothing_to_buy(kernel: Path, data: Path, tmp_path: Path) -> None:
    """With no budget, or no truth, the cascade explores alone and the front is what it predicts."""
    tool = told(tmp_path)
    for name, more in (("none", []), ("zero", [*tool, "--budget", "0"])):
        asked = loop(kernel, *more, "--num-generations", "2", *BARE)
        assert main([*asked, "--dse-output-dir", str(tmp_path / name)]) == 0
        summary = json.loads((tmp_path / name / "summary.json").read_text())
        assert summary["best"] is not None and summary["checked"] is None and summary["bought"] is None
    assert not (tmp_path / "calls.txt").exists()


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (["--checkpoint", "config/transformer_h/model.safetensors"], "error: config/transformer_h/model.safetensors"),
        (["--budget", "many"], "error: --budget: 'many' is not a whole number"),
        (["--recalibrate-every", "0"], "error: --recalibrate-every: 0 is out of range"),
        (["--objectives", "valid_probability"], "error: --objectives: 'valid_probability' is not known"),
    ],
)
def test_bad_input(
    more: list[str], expected: str, kernel: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    asked = loop(kernel, *told(tmp_path), *more, *BARE, "--dse-output-dir", str(tmp_path / "run"))
    assert main(asked) == 2
    assert capfd.readouterr().err.startswith(expected)
    assert not (tmp_path / "run").exists()


def test_a_kernel_without_directives(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "plain.c"
    path.write_text("void plain(double a[4]) { for (int i = 0; i < 4; i++) { a[i] = 0; } }\n")
    assert main([*loop(path, *told(tmp_path)), *BARE, "--dse-output-dir", str(tmp_path / "run")]) == 2
    assert "has no directive with a value to choose" in capfd.readouterr().err
