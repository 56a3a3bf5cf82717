"""A user's operator model that goes wrong, through the whole program: what fails, what is said, what goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dse.records.store import FILE, Store
from main import main
from tests.cases import ROOT

MODEL = """
import sys
import time

import numpy as np

from cost_model.nmp.operators.roofline import NmpRoofline


class Mine:
    name, version = "mine", "1"

    def cost(self, B, M, N, K, channels, device):
        base = NmpRoofline().cost(B, M, N, K, channels, device)
        bad = np.broadcast_to(device.weight_kb == 8, np.shape(base.latency_s))
        {fault}
        return base


MODEL = Mine()
"""
SOUND = "pass"
SHAPE = {"type": "llama", "layer_num": 2, "hidden_dim": 256, "intermediate_dim": 512, "q_head_num": 8, "kv_head_num": 4}
GRAPH = {"node": {"q": 0, "k": 1, "qk": 3}, "edge": [[0, 3], [1, 3]]}
SEARCH = ["--population-num-per-generation", "40", "--num-generations", "3", "--algorithm", "random"]
DEVICES = ["--nmp-channel-num-space", "4", "--fpu-pe-bw-space", "(8,600,25.6)", "--output-buffer-total-size-space", "8"]
DEVICES += ["--input-buffer-size-space", "4,8,16", "--weight-buffer-size-space", "4,8,16"]


pytestmark = pytest.mark.usefixtures("at_root")


def arguments(folder: Path, fault: str, *more: str) -> list[str]:
    """A run of a small layer with that fault in the model of NMP channels."""
    model = folder / "small"  # its name is part of every design's key
    model.mkdir(exist_ok=True)
    (model / "shape.json").write_text(json.dumps(SHAPE))
    (model / "operator_graph.json").write_text(json.dumps(GRAPH))
    (folder / "mine.py").write_text(MODEL.replace("{fault}", fault))
    given = ["--model-shape", str(model / "shape.json"), "--nmp-model", str(folder / "mine.py"), "--max-gen-len", "8"]
    return [*given, *SEARCH, *DEVICES, "--report", "none", "--dse-output-dir", str(folder / "run"), *more]


def designs(folder: Path) -> dict[str, tuple]:
    """By key: status, reason, latency."""
    names, rows = Store.open(folder / "run" / FILE).candidates()
    at = [names.index(name) for name in ("status", "reason", "latency_s")]
    return {row[names.index("key")]: tuple(row[i] for i in at) for row in rows}


def summary(folder: Path) -> dict:
    """Of the run."""
    return json.loads((folder / "run" / "summary.json").read_text())


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple]:
    """What all designs cost when nothing goes wrong."""
    folder = tmp_path_factory.mktemp("sound")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        assert main(arguments(folder, SOUND, "--quiet")) == 0
    return designs(folder)


SOME = {
    "raises": ("if bad.any(): raise ValueError('no such\\nbuffer')", "ValueError: no such buffer (mine.py:"),
    "NaN": ("base = base._replace(latency_s=np.where(bad, np.nan, base.latency_s))", "gave no finite cost"),
    "another shape": (
        "base = base._replace(latency_s=base.latency_s[:1, :1].repeat(2, 0)) if bad.any() else base",
        "s",
    ),
    "no cost": ("base = None if bad.any() else base", "answered a NoneType"),
    "exits": ("if bad.any(): sys.exit(7)", "SystemExit: 7"),
    "interrupted by nobody": ("if bad.any(): raise GeneratorExit", "GeneratorExit"),
}


@pytest.mark.parametrize(("fault", "reason"), SOME.values(), ids=SOME.keys())
def test_some_designs_fail(
    fault: str, reason: str, sound: dict[str, tuple], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The run goes on; those designs FAILED with the reason, everywhere in the same words; all others are priced as
    without the fault."""
    assert main(arguments(tmp_path, fault, "--max-failures", "1000")) == 0
    found = designs(tmp_path)
    assert found.keys() == sound.keys()
    failed = {key: text for key, (status, text, _) in found.items() if status == "FAILED"}
    assert 10 < len(failed) < 110 and all(reason in text and "\n" not in text for text in failed.values())
    assert {k: v for k, v in found.items() if k not in failed} == {k: v for k, v in sound.items() if k not in failed}
    said = summary(tmp_path)["failed"]
    assert sum(said.values()) == len(failed) and said.keys() == set(failed.values())
    output, error = capfd.readouterr()
    assert f"{len(failed)} designs failed" in output and reason in output and "Traceback" not in error


def test_some_designs_hang(sound: dict[str, tuple], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """They FAIL after the time limit of a row, and the log says so."""
    limits = ("--row-time-limit", "0.05", "--num-generations", "1")
    assert main(arguments(tmp_path, "time.sleep(20 * bad.any())", *limits)) == 0
    found = designs(tmp_path)
    failed = {key for key, (status, _, _) in found.items() if status == "FAILED"}
    assert 3 < len(failed) < 37 and found.items() - sound.items() == {(key, found[key]) for key in failed}
    assert set(summary(tmp_path)["failed"]) == {"took longer than the limit of 0.05 s"}
    assert "took longer than the limit of 0.05 s" in (tmp_path / "run" / "run.log").read_text()
    assert "took longer" in capfd.readouterr().out


def test_stopped_and_then_mended(sound: dict[str, tuple], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Designs that all fail end the run with exit code 3 and a summary; with the model mended it goes on and prices
    what failed in the generation that was cut short."""
    fault = "if np.ndim(channels) == 2 and len(channels) > 1: raise OSError('no licence')"
    assert main(arguments(tmp_path, fault, "--max-failures", "15")) == 3
    output = capfd.readouterr().out
    assert "stopped: the last" in output and "no licence" in output
    said = summary(tmp_path)
    assert said["ended"].startswith("stopped: ") and said["best"] is None and 15 <= said["candidates"] <= 40
    log = (tmp_path / "run" / "run.log").read_text()
    assert "no licence" in log and "stopped: the last" in log
    assert main(arguments(tmp_path, SOUND, "--max-failures", "15", "--resume")) == 0
    assert designs(tmp_path) == sound
    assert summary(tmp_path)["failed"] == {}


def test_a_model_that_talks(sound: dict[str, tuple], tmp_path: Path) -> None:
    """What it prints is its own affair."""
    assert main(arguments(tmp_path, "print('hello'); sys.stderr.write('hello\\n')")) == 0
    assert designs(tmp_path) == sound


ALWAYS = {
    "raises": "raise ValueError('broken\\nmodel')",
    "exits": "sys.exit(0)",
    "no cost": "return 'a text'",
    "another shape": "base = base._replace(latency_s=base.latency_s[..., :0])",
}


@pytest.mark.parametrize("fault", ALWAYS.values(), ids=ALWAYS.keys())
def test_a_model_that_never_answers(fault: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It is found out before the run begins: one line that names the file, exit code 2, nothing written."""
    assert main(arguments(tmp_path, fault)) == 2
    output, error = capfd.readouterr()
    assert error.startswith(f"error: {tmp_path / 'mine.py'}: ") and error.count("\n") == 1 and not output
    assert not (tmp_path / "run").exists()


def test_a_model_that_knows_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """NaN for everything is a run whose designs all fail."""
    fault = "base = base._replace(latency_s=base.latency_s * np.nan)"
    assert main(arguments(tmp_path, fault, "--max-failures", "40")) == 3
    assert set(summary(tmp_path)["failed"]) == {"an operator model gave no finite cost"}
    assert "No feasible design was found" in capfd.readouterr().out


def test_a_file_that_exits(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Loading it is one line too."""
    given = arguments(tmp_path, SOUND)
    (tmp_path / "mine.py").write_text("import sys\nsys.exit(0)\n")
    assert main(given) == 2
    assert "fails to load (SystemExit: 0 (" in capfd.readouterr().err


def test_a_report_of_a_model_that_fails_elsewhere(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Proof, hardware steps and energy ask for more than the search did: a model that fails there costs the report
    these parts, not the run its report."""
    one = ["--input-buffer-size-space", "4", "--weight-buffer-size-space", "4", "--report", "full"]
    # The solver asks for many cuts at once, the search for 40 designs.
    fault = "if channels.ndim == 2 and channels.shape[1] > 60: raise ValueError('elsewhere')"
    assert main(arguments(tmp_path, fault, *one)) == 0
    said = summary(tmp_path)
    assert said["best"] is not None and said["lower_bound"] is None and "elsewhere" in said["bound"]
    assert said["failed"] == {} and said["sensitivity"] == []
    page = (tmp_path / "run" / "report.html").read_text()
    assert "elsewhere" in page and page.rstrip().endswith("</html>")
    assert "Traceback" not in capfd.readouterr().err


def test_a_report_without_an_account(tmp_path: Path) -> None:
    """A model whose `parts` fail leaves out where time goes; the best design is there all the same."""
    given = arguments(tmp_path, SOUND, "--report", "brief")
    text = (tmp_path / "mine.py").read_text()
    parts = "    def parts(self, *given):\n        return {}['nothing']\n\n\nMODEL"
    (tmp_path / "mine.py").write_text(text.replace("\nMODEL", parts, 1))
    assert main(given) == 0
    assert summary(tmp_path)["best"]["operators"] == []
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Roofline" in page and "Where time and energy go" not in page
    assert "no account of operators" in (tmp_path / "run" / "run.log").read_text()


def test_a_model_that_fails_now_and_then(tmp_path: Path) -> None:
    """What has been answered is not asked again: a front of designs that would fail by now is written all the same."""
    counter = "Mine.calls = getattr(Mine, 'calls', 0) + 1"
    fault = f"{counter}\n        if Mine.calls > 50: raise ValueError('no more')"
    assert main(arguments(tmp_path, fault, "--max-failures", "9", "--num-generations", "90")) == 3
    said = summary(tmp_path)
    assert said["best"] is not None and "no more" in said["ended"]
