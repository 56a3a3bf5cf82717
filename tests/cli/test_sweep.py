"""A sweep from the command line: a run for each use, a table, a picture; and chunked prefill and drafts on the way."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from dse.studies.nmp.sweep import read_sweep
from main import main

DEVICE = [
    *("--nmp-channel-num-space", "6", "--fpu-pe-bw-space", "(8,600,25.6)", "--input-buffer-size-space", "32"),
    *("--weight-buffer-size-space", "32", "--output-buffer-total-size-space", "64", "--model-type", "llama"),
    *("--num-generations", "2", "--population-num-per-generation", "20", "--topk", "10", "--report", "none"),
]


def best(folder: Path) -> dict[str, float]:
    """Metrics of the best design of a run."""
    metrics: dict[str, float] = json.loads((folder / "summary.json").read_text())["best"]["metrics"]
    return metrics


@pytest.mark.usefixtures("at_root")
def test_sweep(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Every use is explored as a run of its own would be, and stands in the table; what fits nowhere is said."""
    out = tmp_path / "sweep"
    uses = ["--sweep", "max-batch-size=1,4096;input-seq-len=64,128", "--max-gen-len", "16"]
    assert main([*DEVICE, *uses, "--dse-output-dir", str(out)]) == 0
    printed = capfd.readouterr()
    assert "4 of 4: max-batch-size 4096, input-seq-len 128" in printed.err and printed.out.count("nothing fits") == 2
    with (out / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["max-batch-size"], row["input-seq-len"]) for row in rows] == [
        ("1", "64"),
        ("1", "128"),
        ("4096", "64"),
        ("4096", "128"),
    ]
    assert (out / "pictures" / "sweep.png").stat().st_size > 10_000
    alone = tmp_path / "alone"
    use = ["--max-batch-size", "1", "--input-seq-len", "128", "--max-gen-len", "16", "--quiet"]
    assert main([*DEVICE, *use, "--dse-output-dir", str(alone)]) == 0
    assert best(out / "max-batch-size=1,input-seq-len=128") == best(alone)
    assert float(rows[1]["best_latency_s"]) == best(alone)["latency_s"]
    assert rows[2]["best_latency_s"] == ""


@pytest.mark.usefixtures("at_root")
def test_a_sweep_is_gone_on_with(tmp_path: Path) -> None:
    """With --resume what is done is not done again, and the table is whole; derived objectives are in it too."""
    out = str(tmp_path)
    first = [
        *DEVICE,
        "--objectives",
        "edp",
        "--max-gen-len",
        "16",
        "--dse-output-dir",
        out,
        "--quiet",
        "--sweep",
        "input-seq-len=64,128",
    ]
    assert main([*first, "--time-limit", "0"]) == 0
    assert not (tmp_path / "sweep.csv").exists()
    assert main([*first, "--resume"]) == 0
    table = (tmp_path / "sweep.csv").read_text()
    product = [row["best_edp"] for row in csv.DictReader(table.splitlines())]
    assert len(product) == 2 and 0 < float(product[0]) < float(product[1])
    before = [best(tmp_path / f"input-seq-len={length}") for length in (64, 128)]
    assert main([*first, "--resume"]) == 0
    assert (tmp_path / "sweep.csv").read_text() == table
    assert [best(tmp_path / f"input-seq-len={length}") for length in (64, 128)] == before


@pytest.mark.usefixtures("at_root")
def test_chunks_and_drafts_are_explored(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Smaller chunks read the weights more often; a draft whose tokens are always accepted costs its steps only."""
    chunked = ["--sweep", "prefill-chunk=32,64,1024", "--input-seq-len", "1024", "--max-gen-len", "16"]
    assert main([*DEVICE, *chunked, "--max-batch-size", "1", "--dse-output-dir", str(tmp_path / "chunks")]) == 0
    prefill = [best(tmp_path / "chunks" / f"prefill-chunk={size}")["prefill_s"] for size in (32, 64, 1024)]
    assert prefill[0] > prefill[1] > prefill[2]
    drafts = ["--speculative", "opt", "--sweep", "accept-rate=0.2,0.9", "--input-seq-len", "64"]
    memory = ["--bank-memory-capacity", "512", "--max-batch-size", "1"]
    assert main([*DEVICE, *drafts, *memory, "--max-gen-len", "16", "--dse-output-dir", str(tmp_path / "drafts")]) == 0
    decode = [best(tmp_path / "drafts" / f"accept-rate={rate}")["decode_s"] for rate in ("0.2", "0.9")]
    assert decode[0] > 2 * decode[1]
    capfd.readouterr()


def test_reading() -> None:
    """Options in the order given, values as text."""
    assert read_sweep("max-batch-size=4, 1 ; --precision=fp16") == {
        "max-batch-size": ("4", "1"),
        "precision": ("fp16",),
    }
