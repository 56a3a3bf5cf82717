"""The example of CONTRIBUTING runs as printed, and models that know energy open the energy objectives."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from main import main

ROOT = Path(__file__).resolve().parent.parent
FIXED = ["--is-dataflow-fixed", "fc_offloading", "--nmp-channel-num-space", "6", "--fpu-pe-bw-space", "(8,600,25.6)"]
SIZES = ["--input-buffer-size-space=32", "--weight-buffer-size-space=32", "--output-buffer-total-size-space=64"]

ENERGY = """
import numpy as np
from cost_model.nmp.operators.base import OperatorCost
from cost_model.nmp.operators.roofline import {base}

class Counted({base}):
    name, version = "counted-{base}", "1"
    def cost(self, B, M, N, K, channels, device):
        latency, _ = super().cost(B, M, N, K, channels, device)
        return OperatorCost(latency, np.broadcast_to(1e-12 * B * M * N * K, latency.shape))

MODEL = Counted()
"""


pytestmark = pytest.mark.usefixtures("at_root")


def best(folder: Path, *arguments: str) -> dict[str, float]:
    """Metrics of the best design of a run."""
    assert main([*FIXED, *SIZES, *arguments, "--dse-output-dir", str(folder)]) == 0
    metrics: dict[str, float] = json.loads((folder / "summary.json").read_text())["best"]["metrics"]
    return metrics


def test_example_of_an_operator_model(tmp_path: Path) -> None:
    """Two microseconds more for each of OPT's six operators on NMP, for each of 128 tokens."""
    code = re.search(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    assert code is not None
    path = tmp_path / "my_nmp.py"
    path.write_text(code.group(1))
    plain, slow = best(tmp_path / "a"), best(tmp_path / "b", "--nmp-model", str(path))
    assert slow["decode_s"] - plain["decode_s"] == pytest.approx(6 * 128 * 2e-6, rel=1e-9)
    assert slow["prefill_s"] == plain["prefill_s"]
    said = json.loads((tmp_path / "b" / "summary.json").read_text())["evaluator"]["latency_s"]
    assert "slow-start/1" in said


def test_energy_and_its_derived_metrics(tmp_path: Path) -> None:
    """Energy of a picojoule a multiply-accumulate adds up to the layer's count of them."""
    models = []
    for flag, base in (("--npu-model", "NpuRoofline"), ("--nmp-model", "NmpRoofline")):
        path = tmp_path / f"{base}.py"
        path.write_text(ENERGY.format(base=base))
        models += [flag, str(path)]
    metrics = best(tmp_path / "run", *models, "--evaluator", "roofline", "--objectives", "edp,power_w")
    d, f, batch, prompt, tokens, context = 4096, 16384, 16, 1024, 128, 1152
    weights = 4 * d * d + 2 * d * f
    macs = batch * (prompt * weights + 2 * prompt * prompt * d) + tokens * batch * (weights + 2 * context * d)
    assert metrics["energy_j"] == pytest.approx(1e-12 * macs, rel=1e-12)


def test_a_model_that_does_not_know_is_a_failed_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """NaN latency fails the designs with the reason, and the run ends well."""
    path = tmp_path / "nan_nmp.py"
    text = ENERGY.format(base="NmpRoofline").replace("OperatorCost(latency,", "OperatorCost(latency * np.nan,")
    path.write_text(text)
    run = tmp_path / "run"
    assert main([*FIXED, *SIZES, "--nmp-model", str(path), "--export", "csv", "--dse-output-dir", str(run)]) == 0
    assert "No feasible design" in capsys.readouterr().out
    assert "FAILED,an operator model gave no finite cost" in (run / "candidates.csv").read_text()


@pytest.mark.parametrize("text", ["MODEL = 1", "raise RuntimeError('no')", "def broken(:", ""])
def test_unusable_model_file(text: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """One line and exit code 2."""
    path = tmp_path / "bad.py"
    path.write_text(text)
    assert main(["--nmp-model", str(path), "--dse-output-dir", str(tmp_path / "run")]) == 2
    error = capfd.readouterr().err
    assert error.startswith("error: --nmp-model") and error.count("\n") == 1
