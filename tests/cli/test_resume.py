"""Runs that are cut short: killed at any moment, out of time, interrupted, and what goes on with them."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dse.records.store import FILE, Store
from main import main
from tests.cases import ROOT

SMALL = [
    *("--model-type", "llama", "--objectives", "prefill_s,decode_s"),
    *(
        "--population-num-per-generation",
        "60",
        "--num-generations",
        "30",
        "--export",
        "csv",
        "--quiet",
        "--report",
        "brief",
    ),
]
BARE = ["--report", "none"]
TIMES = ("seconds", "cpu_seconds", "wall_seconds")  # not the same twice


@pytest.fixture(autouse=True)
def at_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shipped models are named relative to the repository."""
    monkeypatch.chdir(ROOT)


def begin(arguments: list[str]) -> subprocess.Popen[str]:
    """The program in a process of its own."""
    command = [sys.executable, "main.py", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def found(folder: Path) -> tuple[bytes, bytes, dict]:
    """All candidates, the front, and all of the summary that repeats."""
    summary = json.loads((folder / "summary.json").read_text())
    summary = {name: value for name, value in summary.items() if name not in TIMES}
    summary["settings"] = {k: v for k, v in summary["settings"].items() if k != "dse-output-dir"}
    return (folder / "candidates.csv").read_bytes(), (folder / "front.csv").read_bytes(), summary


def test_twenty_kills(tmp_path: Path) -> None:
    """SIGKILL at random moments, twenty times, and --resume: in the end everything is as if nothing had happened."""
    begun = time.monotonic()
    assert begin([*SMALL, "--dse-output-dir", str(tmp_path / "whole")]).wait() == 0
    whole, seconds = found(tmp_path / "whole"), time.monotonic() - begun
    moments, kills, number, done = random.Random(4), 0, 0, True
    while kills < 20 or not done:
        folder = tmp_path / str(number)
        run = begin([*SMALL, "--resume", "--dse-output-dir", str(folder)])
        try:
            run.communicate(timeout=moments.uniform(0.1, 1.1 * seconds) if kills < 20 else None)
            assert run.returncode == 0
            assert found(folder) == whole
            assert not list(folder.rglob("*.part*")) and (folder / "report.html").read_text().rstrip().endswith(
                "</html>"
            )
            done, number = True, number + 1
        except subprocess.TimeoutExpired:
            run.kill()
            run.communicate()
            kills, done = kills + 1, False


def test_nothing_paid_for_is_lost(tmp_path: Path) -> None:
    """A dear evaluator, killed within generations: a kill costs no more than the row in work, and the answers are those
    of an unbroken run. `tests/dse/search/slow_run.py` notes every row that it evaluates."""
    command = [sys.executable, "-m", "tests.dse.search.slow_run"]
    subprocess.run([*command, str(tmp_path / "whole")], cwd=ROOT, check=True)
    moments, kills, done = random.Random(5), 0, False
    while not done:
        run = subprocess.Popen([*command, str(tmp_path / "broken")], cwd=ROOT)
        try:
            done = run.wait(timeout=moments.uniform(0.6, 1.6) if kills < 5 else None) == 0
            assert done
        except subprocess.TimeoutExpired:
            run.kill()
            run.wait()
            kills += 1
    stores = [Store.open(tmp_path / name / FILE) for name in ("whole", "broken")]
    assert stores[0].candidates() == stores[1].candidates()
    rows = len(stores[0].genomes())
    evaluated = [len((tmp_path / name / "evaluated").read_text().split()) for name in ("whole", "broken")]
    assert kills > 1 and evaluated[0] == rows <= evaluated[1] <= rows + kills


def test_extending_a_run(tmp_path: Path) -> None:
    """A finished run goes on to more generations, to what a longer one would have found from the start."""
    for name, generations in (("short", "3"), ("long", "7"), ("short", "7")):
        arguments = [
            *SMALL,
            *BARE,
            "--num-generations",
            generations,
            "--resume",
            "--dse-output-dir",
            str(tmp_path / name),
        ]
        assert main(arguments) == 0
    assert found(tmp_path / "short")[:2] == found(tmp_path / "long")[:2]


def test_a_run_does_not_shrink(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Out of time on its way back, or asked for no more than it has, a run still has all of it; fewer generations than
    it has are refused."""
    place = ["--dse-output-dir", str(tmp_path), "--resume"]
    assert main([*SMALL, *BARE, "--num-generations", "2", *place]) == 0
    assert main([*SMALL, *BARE, "--num-generations", "4", *place]) == 0
    whole = found(tmp_path)
    capfd.readouterr()
    assert main(["--num-generations", "3", *place]) == 2
    assert capfd.readouterr().err == "error: --num-generations: 3 is out of range; expected 4 to 10000000\n"
    assert found(tmp_path) == whole
    assert main([*place, *BARE, "--export", "csv", "--quiet"]) == 0
    assert found(tmp_path)[:2] == whole[:2] and found(tmp_path)[2]["settings"]["num-generations"] == "4"
    assert main([*place, *BARE, "--time-limit", "0", "--quiet"]) == 0
    assert found(tmp_path)[:2] == whole[:2] and found(tmp_path)[2]["ended"] == "time limit reached"


def test_a_polished_run_goes_on(tmp_path: Path) -> None:
    """What a proof added to a finished run is taken back before the search goes on, and proven again in the end."""
    model = tmp_path / "model"
    model.mkdir()
    shape = {"type": "llama", "layer_num": 2, "hidden_dim": 256, "intermediate_dim": 512}
    (model / "shape.json").write_text(json.dumps(shape | {"q_head_num": 8, "kv_head_num": 4}))
    graph = {"node": {"q": 0, "k": 1, "v": 2, "qk": 3, "sv": 4}, "edge": [[0, 3], [1, 3], [3, 4], [2, 4]]}
    (model / "operator_graph.json").write_text(json.dumps(graph))
    one = ["--nmp-channel-num-space", "6", "--fpu-pe-bw-space", "(8,600,25.6)"]
    one += [f"--{kind}-space=32" for kind in ("input-buffer-size", "weight-buffer-size", "output-buffer-total-size")]
    arguments = ["--model-shape", str(model / "shape.json"), *one, "--population-num-per-generation", "2", "--quiet"]
    arguments += ["--algorithm", "random"]
    for name, generations in (("short", "1"), ("long", "2"), ("short", "2")):
        place = ["--num-generations", generations, "--resume", "--dse-output-dir", str(tmp_path / name)]
        assert main([*arguments, "--export", "csv", *place]) == 0
        summary = json.loads((tmp_path / name / "summary.json").read_text())
        assert "polished" in summary["ended"] and summary["candidates"] == 2 * int(generations) + 1
    assert found(tmp_path / "short")[:2] == found(tmp_path / "long")[:2]


def test_resume_needs_the_same_run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Options that decide what is found cannot change on the way; none needs to be given again."""
    place = ["--dse-output-dir", str(tmp_path)]
    assert main([*SMALL, *BARE, "--num-generations", "2", *place]) == 0
    before = (tmp_path / FILE).read_bytes()
    capfd.readouterr()
    for other in (["--seed", "7"], ["--model-type", "opt"], ["--objectives", "latency_s"], ["--mutate-ratio", "0.5"]):
        assert main(["--resume", *place, *other]) == 2
        error = capfd.readouterr().err
        assert error.startswith(f"error: {other[0]}: ") and error.count("\n") == 1 and other[1] in error
    assert (tmp_path / FILE).read_bytes() == before
    assert main(["--resume", *place, "--quiet", *BARE, "--num-generations", "3"]) == 0
    assert json.loads((tmp_path / "summary.json").read_text())["candidates"] == 180


def test_resume_with_another_model(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Model files or an operator model that changed meanwhile are found out, in one line."""
    model, source = tmp_path / "model", ROOT / "config/llama3-8b"
    model.mkdir()
    for name in ("shape.json", "operator_graph.json"):
        (model / name).write_bytes((source / name).read_bytes())
    nmp = tmp_path / "mine.py"
    text = (
        "from cost_model.nmp.operators.roofline import NmpRoofline\n"
        "class Mine:\n"
        "    name, version = 'mine', '1'\n"
        "    def cost(self, *given):\n"
        "        return NmpRoofline().cost(*given)\n"
        "MODEL = Mine()\n"
    )
    nmp.write_text(text)
    place = ["--dse-output-dir", str(tmp_path / "run"), "--quiet"]
    given = ["--model-shape", str(model / "shape.json"), "--nmp-model", str(nmp), "--num-generations", "2", *BARE]
    assert main([*given, *place]) == 0
    nmp.write_text(text.replace("'1'", "'2'"))
    assert main(["--resume", *place]) == 2
    assert "mine/2" in capfd.readouterr().err
    nmp.write_text(text)
    (model / "shape.json").write_text((model / "shape.json").read_text().replace("14336", "14464"))
    assert main(["--resume", *place]) == 2
    error = capfd.readouterr().err
    assert "has other designs" in error and error.count("\n") == 1


def test_a_damaged_store(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """One line, exit code 2, whether the run is to go on or its report is wanted."""
    place = ["--dse-output-dir", str(tmp_path)]
    assert main([*SMALL, *BARE, "--num-generations", "9", *place]) == 0
    data = bytearray((tmp_path / FILE).read_bytes())
    middle = len(data) // 2
    data[middle : middle + 20_000] = b"\xff" * 20_000
    (tmp_path / FILE).write_bytes(data)
    capfd.readouterr()
    for given in (["--resume", "--quiet", "--num-generations", "12"], ["--execution-type", "report"]):
        assert main([*given, *place]) == 2
        error = capfd.readouterr().err
        assert error.startswith("error: ") and "run.sqlite: is damaged" in error and error.count("\n") == 1


def test_resume_of_nothing_begins(tmp_path: Path) -> None:
    """The same line begins a run and goes on with it, so that a script need not ask; so it does after a kill in the
    moment in which the store was made."""
    (tmp_path / FILE).touch()
    assert main([*SMALL, *BARE, "--num-generations", "2", "--resume", "--dse-output-dir", str(tmp_path)]) == 0
    assert len(Store.open(tmp_path / FILE).genomes()) == 120


def test_time_limit_and_then_on(tmp_path: Path) -> None:
    """A run out of time ends with a finished report, and goes on from there."""
    place = ["--dse-output-dir", str(tmp_path / "limited"), "--resume"]
    assert main([*SMALL, "--num-generations", "200", "--time-limit", "1", *place]) == 0
    summary = json.loads((tmp_path / "limited" / "summary.json").read_text())
    assert summary["ended"] == "time limit reached" and 0 < summary["candidates"] < 12000
    assert "time limit reached" in (tmp_path / "limited" / "report.html").read_text()
    generations = str(summary["candidates"] // 60 + 2)
    assert main([*SMALL, *BARE, "--num-generations", generations, *place]) == 0
    assert main([*SMALL, *BARE, "--num-generations", generations, "--dse-output-dir", str(tmp_path / "whole")]) == 0
    assert found(tmp_path / "limited")[:2] == found(tmp_path / "whole")[:2]


def test_ctrl_c_in_a_long_generation(tmp_path: Path) -> None:
    """Ctrl-C ends a run of a slow evaluator within its generation, soon, with a report of what there is."""
    slow = tmp_path / "slow.py"
    slow.write_text(
        "import time\n"
        "from cost_model.nmp.operators.roofline import NmpRoofline\n"
        "class Slow:\n"
        "    name, version = 'slow', '1'\n"
        "    def cost(self, B, M, N, K, channels, device):\n"
        "        time.sleep(0.01 * channels.shape[1] * (channels.shape[0] > 1))\n"
        "        return NmpRoofline().cost(B, M, N, K, channels, device)\n"
        "MODEL = Slow()\n"
    )
    place = ["--nmp-model", str(slow), "--dse-output-dir", str(tmp_path / "run"), "--nmp-channel-num-space", "6"]
    run = begin([*place, "--population-num-per-generation", "5000", "--fpu-pe-bw-space", "(8,600,25.6)"])
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        time.sleep(0.2)
        if Store.begun(tmp_path / "run" / FILE) and len(Store.open(tmp_path / "run" / FILE).genomes()) > 20:
            break
    run.send_signal(signal.SIGINT)
    _, error = run.communicate(timeout=30)
    assert run.returncode == 130 and "Traceback" not in error, error
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["ended"] == "interrupted" and 20 < summary["candidates"] < 5000
    assert summary["candidates"] == len(Store.open(tmp_path / "run" / FILE).genomes())
    assert (tmp_path / "run" / "report.html").is_file()


@pytest.mark.parametrize("limit", [40_000, 90_000, 200_000, 500_000])
def test_a_full_disk(tmp_path: Path, limit: int) -> None:
    """Files that cannot grow any more: one line, exit code 2, and with room again the run goes on."""
    arguments = [*SMALL, "--resume", "--dse-output-dir", str(tmp_path)]
    full = subprocess.run(
        [sys.executable, "main.py", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert full.returncode == 2, full.stderr
    assert full.stderr.startswith("error: ") and full.stderr.count("\n") == 1, full.stderr
    assert str(tmp_path) in full.stderr
    assert main(arguments) == 0
    assert len(Store.open(tmp_path / FILE).genomes()) == 1800


def test_a_directory_that_is_read_only(capfd: pytest.CaptureFixture[str]) -> None:
    """One line, exit code 2."""
    assert main([*SMALL, "--dse-output-dir", "/proc/tilewright"]) == 2
    error = capfd.readouterr().err
    assert error.startswith("error: /proc/tilewright: cannot be used") and error.count("\n") == 1


def test_two_runs_at_once(tmp_path: Path) -> None:
    """The second is refused in one line, resuming or not, and the first one goes on undisturbed."""
    arguments = ["--num-generations", "1000000", "--dse-output-dir", str(tmp_path)]
    first = begin(arguments)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not Store.begun(tmp_path / FILE):
        time.sleep(0.05)
    for more in ([], ["--resume"]):
        second = begin([*arguments, *more])
        _, error = second.communicate(timeout=60)
        assert second.returncode == 2 and "another run is writing there" in error and error.count("\n") == 1
    assert first.poll() is None
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=60)
    assert first.returncode == 130 and not (tmp_path / "earlier").exists()
    assert os.path.getsize(tmp_path / "summary.json") > 0
