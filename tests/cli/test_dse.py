"""The command line as a user meets it: a run and what it leaves, repetition, help, and every kind of bad input."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dse.options import DATAFLOWS
from dse.records.store import Store
from main import main

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["--population-num-per-generation", "40", "--num-generations", "3", "--report", "none"]
DRAWN = ["--report", "brief"]
LLAMA = ["--model-type", "llama"]


pytestmark = pytest.mark.usefixtures("at_root")


def child(arguments: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """The program in a process of its own."""
    env = os.environ | environment
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, env=env, capture_output=True, text=True, check=False)


def test_run_leaves_everything(tmp_path: Path) -> None:
    """One objective: store, log with the published first lines, summary and picture, all of the same design."""
    assert main([*SMALL, *DRAWN, "--dse-output-dir", str(tmp_path)]) == 0
    names = {path.name for path in tmp_path.iterdir()}
    assert {"run.sqlite", "result.log", "summary.json", "settings.yaml", "report.html", "front.csv"} <= names
    lines = (tmp_path / "result.log").read_text().splitlines()
    patterns = [
        r"Best idv latency is (\S+) \(per layer\)\.",
        r"Prefill latency is (\S+) \(per layer\)\.",
        r"Decoding latency is (\S+) \(per layer\)\.",
    ]
    found = [float(re.fullmatch(p, line).group(1)) for p, line in zip(patterns, lines, strict=False)]  # type: ignore[union-attr]
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert found == [summary["best"]["metrics"][name] for name in ("latency_s", "prefill_s", "decode_s")]
    assert found[0] == pytest.approx(found[1] + found[2], rel=1e-15)
    assert summary["candidates"] == 120 and summary["seed"] == 114514 and summary["versions"]["numpy"]
    assert (tmp_path / "pictures" / "convergence.png").read_bytes().startswith(b"\x89PNG")


def test_front_of_two_objectives(tmp_path: Path) -> None:
    """Two objectives: a front that is non-dominated in the store, and its picture."""
    arguments = [*SMALL, *DRAWN, *LLAMA, "--objectives", "prefill_s,decode_s", "--export", "csv,json,parquet"]
    assert main([*arguments, "--dse-output-dir", str(tmp_path)]) == 0
    assert (tmp_path / "pictures" / "front.png").is_file()
    front = json.loads((tmp_path / "front.json").read_text())
    rows = json.loads((tmp_path / "candidates.json").read_text())
    assert len(rows) == 120
    feasible = [row for row in rows if row["status"] == "OK"]
    for design in front:
        assert rows[design["id"]]["decode_s"] == design["decode_s"]
        for row in feasible:
            worse = row["prefill_s"] > design["prefill_s"] or row["decode_s"] > design["decode_s"]
            assert worse or (row["prefill_s"], row["decode_s"]) == (design["prefill_s"], design["decode_s"])


def test_same_seed_same_answer(tmp_path: Path) -> None:
    """Bit for bit, in other processes, under other hash seeds, and repeated from its own settings file."""
    answers = []
    for number, arguments in enumerate((SMALL, SMALL, ["--config", str(tmp_path / "0" / "settings.yaml")])):
        folder = tmp_path / str(number)
        objectives = ["--objectives", "decode_s,prefill_s", "--export", "csv"]
        done = child(["main.py", *arguments, *objectives, "--dse-output-dir", str(folder)], PYTHONHASHSEED=str(number))
        assert done.returncode == 0, done.stderr
        answers.append((folder / "candidates.csv").read_bytes())
    assert answers[0] == answers[1] == answers[2]
    assert main([*SMALL, "--seed", "1", "--export", "csv", "--dse-output-dir", str(tmp_path / "x")]) == 0
    assert (tmp_path / "x" / "candidates.csv").read_bytes() != answers[0]


def test_export_again(tmp_path: Path) -> None:
    """`export` writes from the store what the run wrote, and refuses a store that decodes otherwise now."""
    model = tmp_path / "model"
    model.mkdir()
    for name in ("shape.json", "operator_graph.json"):
        (model / name).write_bytes((ROOT / "config/llama3-8b" / name).read_bytes())
    run = tmp_path / "run"
    shape = ["--model-shape", str(model / "shape.json")]
    assert main([*SMALL, *shape, "--export", "csv", "--dse-output-dir", str(run)]) == 0
    first = (run / "candidates.csv").read_bytes()
    assert main(["--execution-type", "export", "--export", "csv,parquet", "--dse-output-dir", str(run)]) == 0
    assert (run / "candidates.csv").read_bytes() == first and (run / "candidates.parquet").is_file()
    text = (model / "shape.json").read_text().replace("14336", "14464")
    (model / "shape.json").write_text(text)
    assert main(["--execution-type", "export", "--export", "csv", "--dse-output-dir", str(run)]) == 2
    assert (run / "candidates.csv").read_bytes() == first


def test_second_run_keeps_the_first(tmp_path: Path) -> None:
    """Another run in the same directory moves the earlier one aside, whole; other files stay."""
    (tmp_path / "notes.txt").write_text("mine")
    assert main([*SMALL, "--dse-output-dir", str(tmp_path)]) == 0
    before = (tmp_path / "summary.json").read_bytes()
    assert main([*SMALL, "--seed", "7", "--dse-output-dir", str(tmp_path)]) == 0
    assert (tmp_path / "earlier" / "001" / "summary.json").read_bytes() == before
    assert (tmp_path / "earlier" / "001" / "run.sqlite").is_file()
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("dataflow", [name for name in DATAFLOWS if name != "no"])
def test_fixed_dataflows_run(tmp_path: Path, dataflow: str) -> None:
    """Every published dataflow explores its hardware."""
    arguments = ["--is-dataflow-fixed", dataflow, "--nmp-channel-num-space", "2,4", "--dse-output-dir", str(tmp_path)]
    assert main([*SMALL, *LLAMA, *arguments]) == 0
    assert json.loads((tmp_path / "summary.json").read_text())["best"] is not None


def test_help_is_light() -> None:
    """`--help` imports nothing heavy, and names every option."""
    code = (
        "import sys, main\n"
        "try: main.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'ray', 'pymoo', 'matplotlib', 'scipy', 'pandas', 'transformers'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = child(["-c", code])
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in ("--fpu-pe-bw-space", "--objectives", "--time-limit", "--config"))


SHAPE = json.loads((ROOT / "config/llama3-8b/shape.json").read_text())
GRAPH = json.loads((ROOT / "config/llama3-8b/operator_graph.json").read_text())

FLAGS = {
    "unknown option": ["--colour", "red"],
    "abbreviation": ["--obj", "latency_s"],
    "no value": ["--seed"],
    "zero batch": ["--max-batch-size", "0"],
    "negative prompt": ["--input-seq-len", "-5"],
    "huge number": ["--max-gen-len", "9" * 30],
    "not a number": ["--seed", "abc"],
    "not a finite number": ["--mutate-ratio", "nan"],
    "bad choice": ["--precision", "fp64"],
    "channels beyond the total": ["--nmp-channel-num-space", "2,9"],
    "repeated choice": ["--nmp-channel-num-space", "2,2"],
    "empty list": ["--input-buffer-size-space", ""],
    "zero buffer": ["--weight-buffer-size-space", "0"],
    "half a triple": ["--fpu-pe-bw-space", "(8,600)"],
    "broken triple": ["--fpu-pe-bw-space", "8,600,25.6"],
    "zero bandwidth": ["--fpu-pe-bw-space", "(8,600,0)"],
    "specpim without normal channels": ["--is-dataflow-fixed", "specpim", "--nmp-channel-num-space", "8"],
    "splitting without normal channels": [
        "--is-dataflow-fixed",
        "attention_offloading_with_ffn_splitting",
        "--nmp-channel-num-space",
        "8",
    ],
    "device not fixed": ["--is-device-fixed"],
    "prompt beyond the context": ["--input-seq-len", "4096"],
    "unknown objective": ["--objectives", "beauty"],
    "unanswered objective": ["--evaluator", "roofline", "--objectives", "edp"],
    "evaluator of another space": ["--evaluator", "lm"],
    "repeated objective": ["--objectives", "latency_s,latency_s"],
    "bad direction": ["--objectives", "up:latency_s"],
    "unknown algorithm": ["--algorithm", "magic"],
    "single-objective algorithm": ["--algorithm", "ga", "--objectives", "prefill_s,decode_s"],
    "missing shape": ["--model-shape", "no/such/shape.json"],
    "missing graph": ["--parser-output-dir", "no/such"],
    "missing config": ["--config", "no/such.yaml"],
    "missing operator model": ["--nmp-model", "no/such.py"],
    "parse of nothing": ["--execution-type", "parse", "--model-shape", "no/such/config.json"],
    "ONNX of nothing": ["--onnx", "no/such.onnx"],
    "axes without a meaning": ["--onnx", "no/such.onnx", "--axes", "s0"],
    "sweep of what is no use": ["--sweep", "seed=1,2"],
    "sweep without values": ["--sweep", "input-seq-len"],
    "sweep of an empty value": ["--sweep", "input-seq-len=1,,2"],
    "sweep of one value twice": ["--sweep", "input-seq-len=64,64"],
    "sweep of an option twice": ["--sweep", "input-seq-len=64;input-seq-len=32"],
    "sweep beyond the context": ["--sweep", "input-seq-len=64,4096"],
    "sweep of a bad value": ["--sweep", "precision=fp16,fp64"],
    "sweep of very many uses": ["--sweep", f"input-seq-len={','.join(map(str, range(1, 1002)))}"],
    "sweep of another space": ["--space", "hls", "--kernel", "config/kernels/gemm.c", "--sweep", "max-batch-size=1"],
    "missing draft": ["--speculative", "no/such.json"],
    "no token drafted": ["--speculative", "opt", "--draft-len", "0"],
    "more than all accepted": ["--speculative", "opt", "--accept-rate", "1.5"],
    "chunk of nothing": ["--prefill-chunk", "0"],
    "a cluster for one worker": ["--ray-address", "10.0.0.1:6379"],
    "comparison of nothing": ["compare"],
    "comparison of one": ["compare", "kick_the_tires"],
    "comparison of what is no run": ["compare", "no/such", "no/such"],
    "directories without a comparison": ["runs/a"],
    "report of nothing": ["--execution-type", "report"],
    "no time for a row": ["--row-time-limit", "0"],
    "no failure allowed": ["--max-failures", "0"],
    "export of nothing": ["--execution-type", "export"],
}


@pytest.mark.parametrize("arguments", FLAGS.values(), ids=FLAGS.keys())
def test_bad_flags(arguments: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """One line, exit code 2, and nothing written."""
    refused([*arguments, "--dse-output-dir", str(tmp_path / "run")], capfd)
    assert not (tmp_path / "run").exists()


FILES = {
    "empty shape": ("shape.json", ""),
    "truncated shape": ("shape.json", json.dumps(SHAPE)[:-9]),
    "list for a shape": ("shape.json", "[]"),
    "shape lacks a field": ("shape.json", json.dumps({k: v for k, v in SHAPE.items() if k != "layer_num"})),
    "shape with another field": ("shape.json", json.dumps(SHAPE | {"colour": 1})),
    "unknown type": ("shape.json", json.dumps(SHAPE | {"type": "mamba"})),
    "heads do not divide": ("shape.json", json.dumps(SHAPE | {"kv_head_num": 5})),
    "zero layers": ("shape.json", json.dumps(SHAPE | {"layer_num": 0})),
    "huge width": ("shape.json", json.dumps(SHAPE | {"intermediate_dim": 10**12})),
    "text for a number": ("shape.json", json.dumps(SHAPE | {"hidden_dim": "4096"})),
    "not a number": ("shape.json", json.dumps(SHAPE).replace("4096", "NaN")),
    "not text at all": ("shape.json", "\x00\x01\x02"),
    "cycle": ("operator_graph.json", json.dumps(GRAPH | {"edge": [*GRAPH["edge"], [8, 0]]})),
    "self loop": ("operator_graph.json", json.dumps(GRAPH | {"edge": [[0, 0]]})),
    "unknown id": ("operator_graph.json", json.dumps(GRAPH | {"edge": [[0, 99]]})),
    "unknown operator": ("operator_graph.json", json.dumps(GRAPH | {"node": {"conv": 0}, "edge": []})),
    "shared id": ("operator_graph.json", json.dumps(GRAPH | {"node": {"q": 0, "k": 0}, "edge": []})),
    "no operators": ("operator_graph.json", json.dumps({"node": {}, "edge": []})),
    "edge of three": ("operator_graph.json", json.dumps(GRAPH | {"edge": [[0, 1, 2]]})),
    "repeated field": ("operator_graph.json", '{"node": {"q": 0}, "node": {"k": 0}, "edge": []}'),
}


@pytest.mark.parametrize(("name", "text"), FILES.values(), ids=FILES.keys())
def test_bad_model_files(name: str, text: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """One line that names the file, exit code 2."""
    (tmp_path / "shape.json").write_text(json.dumps(SHAPE))
    (tmp_path / "operator_graph.json").write_text(json.dumps(GRAPH))
    (tmp_path / name).write_text(text)
    run = tmp_path / "run"
    line = refused(["--model-shape", str(tmp_path / "shape.json"), "--dse-output-dir", str(run)], capfd)
    assert name in line or "cycle" in line
    assert not run.exists()


YAML = {
    "unknown key": ("colour: red", "colour"),
    "nested key": ("objectives: {metric: latency_s}", "objectives"),
    "bad value": ("seed: abc", "seed"),
    "null value": ("seed:", "seed"),
    "repeated key": ("seed: 1\nseed: 2", "seed"),
    "repeated in two spellings": ("max-gen-len: 1\nmax_gen_len: 2", "gen"),
    "empty": ("", "empty"),
    "list": ("- 1", "mapping"),
    "truncated": ("objectives: [latency_s", "YAML"),
    "tab": ("a:\n\t- b", "YAML"),
}


@pytest.mark.parametrize(("text", "culprit"), YAML.values(), ids=YAML.keys())
def test_bad_yaml(text: str, culprit: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """One line that names the file and the key, exit code 2."""
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    line = refused(["--config", str(path), "--dse-output-dir", str(tmp_path / "run")], capfd)
    assert str(path) in line and culprit in line


def test_yaml_lists_and_precedence(tmp_path: Path) -> None:
    """YAML lists stand for the comma-separated texts, and the command line wins."""
    path = tmp_path / "settings.yaml"
    text = "nmp_channel_num_space: [4]\nfpu-pe-bw-space: [[8, 600, 25.6]]\nis-device-fixed: false\nseed: 5\n"
    path.write_text(text + "population-num-per-generation: 30\nnum-generations: 2\n")
    run = tmp_path / "run"
    assert main(["--config", str(path), "--seed", "6", *LLAMA, "--report", "none", "--dse-output-dir", str(run)]) == 0
    summary = json.loads((run / "summary.json").read_text())
    assert summary["seed"] == 6 and summary["candidates"] == 60
    assert summary["best"]["hardware"]["nmp_channels"] == 4 and summary["best"]["hardware"]["pe_gbps"] == 25.6


def test_bad_input_harms_no_earlier_run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What an earlier run left stays as it is, byte for byte."""
    run = tmp_path / "run"
    assert main([*SMALL, "--dse-output-dir", str(run)]) == 0
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    capfd.readouterr()
    for arguments in (["--seed", "x"], ["--algorithm", "magic"], ["--nmp-channel-num-space", "9"]):
        refused([*arguments, "--dse-output-dir", str(run)], capfd)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_output_that_cannot_be_written(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A file in the place of the directory is one line."""
    place = tmp_path / "file"
    place.write_text("mine")
    refused([*SMALL, "--dse-output-dir", str(place)], capfd)
    refused([*SMALL, "--dse-output-dir", str(place / "below")], capfd)
    assert place.read_text() == "mine"


def test_interruption_ends_with_results(tmp_path: Path) -> None:
    """Ctrl-C: exit code 130, results of whole generations, and store and summary agree."""
    arguments = [sys.executable, "main.py", "--num-generations", "1000000", "--dse-output-dir", str(tmp_path)]
    run = subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (tmp_path / "summary.json").exists():
        time.sleep(0.05)
    run.send_signal(signal.SIGINT)
    _, error = run.communicate(timeout=60)
    assert run.returncode == 130 and "Traceback" not in error
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["ended"] == "interrupted" and summary["best"]
    _, rows = Store.open(tmp_path / "run.sqlite").candidates()
    assert len(rows) == summary["candidates"] > 0


def test_time_limit(tmp_path: Path) -> None:
    """A run that is over its time ends after a whole generation, with results."""
    assert main(["--time-limit", "0.5", "--num-generations", "1000000", "--dse-output-dir", str(tmp_path)]) == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["ended"] == "time limit reached" and summary["candidates"] > 0 and summary["best"]


def test_nothing_feasible_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A machine too small for the model: the run ends well and says that nothing fits."""
    assert main([*SMALL, *DRAWN, "--bank-memory-capacity", "1", "--dse-output-dir", str(tmp_path)]) == 0
    assert "No feasible design" in capfd.readouterr().out
    assert json.loads((tmp_path / "summary.json").read_text())["best"] is None
    assert (tmp_path / "pictures" / "convergence.png").is_file()


def refused(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> str:
    """The one line with which the program refuses."""
    assert main(arguments) == 2
    error = capfd.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1, error
    return error
