"""Whole runs on worker processes: what is found does not depend on how many there are, where they are, or on what
becomes of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cases import ROOT

MODEL = """
import time
from cost_model.nmp.operators.roofline import NmpRoofline

class Slow:
    name, version = "slow", "1"

    def cost(self, B, M, N, K, channels, device):
        if channels.ndim == 2 and channels.shape[0] > 1:
            time.sleep({row_s} * channels.shape[1])
        return NmpRoofline().cost(B, M, N, K, channels, device)

MODEL = Slow()
"""
RUN = [
    *("main.py", "--model-type", "llama", "--nmp-channel-num-space", "6", "--fpu-pe-bw-space", "(8,600,25.6)"),
    *("--population-num-per-generation", "50", "--num-generations", "5", "--report", "none", "--export", "csv"),
]


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An operator model that makes the evaluation of a design take 50 ms, though not of a processor."""
    path = tmp_path_factory.mktemp("model") / "slow.py"
    path.write_text(MODEL.format(row_s=0.05))
    return path


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """All candidates of the run, by a model that says the same at once, in one process."""
    folder = tmp_path_factory.mktemp("expected")
    (folder / "fast.py").write_text(MODEL.format(row_s=0))
    options = ["--nmp-model", str(folder / "fast.py"), "--dse-output-dir", str(folder / "run"), "--quiet"]
    subprocess.run([sys.executable, *RUN, *options], cwd=ROOT, check=True)
    assert "starting workers" not in (folder / "run" / "run.log").read_text()
    return (folder / "run" / "candidates.csv").read_bytes()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A cluster of two nodes with two processors each."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    small = {"num_cpus": 2, "object_store_memory": 100 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={**small, "include_dashboard": False})
    cluster.add_node(**small)
    yield cluster.address
    cluster.shutdown()


def run(slow: Path, folder: Path, *more: str) -> subprocess.Popen[str]:
    """The run with the slow model, in a process of its own."""
    options = ["--nmp-model", str(slow), "--dse-output-dir", str(folder), *more]
    return subprocess.Popen(
        [sys.executable, *RUN, *options], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def check(folder: Path, expected: bytes) -> None:
    """Workers were used, and found the same."""
    assert "starting workers" in (folder / "run.log").read_text()
    assert (folder / "candidates.csv").read_bytes() == expected


def test_four_workers_here(slow: Path, expected: bytes, tmp_path: Path) -> None:
    """More workers than this machine may have processors."""
    done = run(slow, tmp_path, "--process-num", "4")
    _, error = done.communicate(timeout=120)
    assert done.returncode == 0, error
    check(tmp_path, expected)


def test_a_cluster_of_two_nodes(slow: Path, expected: bytes, address: str, tmp_path: Path) -> None:
    """Four workers on nodes that have two processors each are on both."""
    done = run(slow, tmp_path, "--process-num", "4", "--ray-address", address)
    _, error = done.communicate(timeout=120)
    assert done.returncode == 0, error
    check(tmp_path, expected)


def test_more_workers_than_the_cluster_has(slow: Path, address: str, tmp_path: Path) -> None:
    """One line; what was evaluated until then is kept."""
    done = run(slow, tmp_path, "--process-num", "9", "--ray-address", address)
    _, error = done.communicate(timeout=120)
    line = [text for text in error.splitlines() if text.startswith("error: ")]
    assert done.returncode == 2 and len(line) == 1 and "9 workers on a cluster of 4 processors" in line[0], error
    assert "Traceback" not in error


def test_killed_with_its_workers(slow: Path, expected: bytes, tmp_path: Path) -> None:
    """SIGKILL of a run that has workers; it goes on with two of them, after a Ctrl-C with one, to the same end."""
    first = run(slow, tmp_path, "--process-num", "2")
    wait_for(tmp_path / "run.log", "starting workers")
    time.sleep(4)
    first.kill()
    first.communicate()
    second = run(slow, tmp_path, "--resume")
    time.sleep(3)
    second.send_signal(signal.SIGINT)
    _, error = second.communicate(timeout=60)
    assert second.returncode == 130 and "Traceback" not in error, error
    third = run(slow, tmp_path, "--resume", "--process-num", "2")
    _, error = third.communicate(timeout=120)
    assert third.returncode == 0, error
    assert (tmp_path / "candidates.csv").read_bytes() == expected


def wait_for(path: Path, text: str) -> None:
    """Until a file holds a text."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (path.is_file() and text in path.read_text()):
        time.sleep(0.1)
    assert text in path.read_text()
