"""The store gives back what was put in, survives a kill between generations, and refuses what is none."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from design.core import Evaluation
from design.errors import InputError
from dse.store import FILE, Store

ROOT = Path(__file__).resolve().parents[2]


def answers(count: int, start: float, said: list[str]) -> Evaluation:
    """An evaluation with exact values, the last row failed."""
    status = np.zeros(count, dtype=np.int8)
    status[-1] = 2
    latency = start + np.arange(count) / 3
    latency[-1] = np.nan
    return Evaluation(
        metrics={"latency_s": latency, "energy_j": np.full(count, np.nan)},
        violation={"room": np.zeros(count)},
        status=status,
        reason=np.where(status > 0, "broken", ""),
        cost_s=np.full(count, 0.5),
        source={"latency_s": np.array(said), "energy_j": np.array(["other/1"] * count)},
    )


def test_round_trip(tmp_path: Path) -> None:
    """Genomes, floats, unknown values, status, reason and source come back exactly, in order, after reopening."""
    genomes = np.random.default_rng(0).integers(-(2**61), 2**61, (7, 5))
    keys = [bytes([i]) * 16 for i in range(7)]
    store = Store.create(tmp_path / FILE, {"settings": {"seed": "1"}})
    first, second = answers(4, 0.1, ["a/1"] * 4), answers(3, 9.0, ["a/1", "b/2", "a/1"])
    store.add(1, np.arange(4, 7), genomes[4:], keys[4:], second)
    store.add(0, np.arange(4), genomes[:4], keys[:4], first)
    store.close()

    store = Store.open(tmp_path / FILE)
    assert store.meta("settings") == {"seed": "1"}
    assert np.array_equal(store.genomes(), genomes)
    names, rows = store.candidates()
    table = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    assert table["id"] == list(range(7)) and table["generation"] == [0] * 4 + [1] * 3
    assert [bytes.fromhex(key) for key in table["key"]] == keys
    expected = [*first.metrics["latency_s"][:3].tolist(), None, *second.metrics["latency_s"][:2].tolist(), None]
    assert table["latency_s"] == expected and table["energy_j"] == [None] * 7
    assert table["status"] == ["OK"] * 3 + ["FAILED"] + ["OK"] * 2 + ["FAILED"]
    assert table["reason"][3] == "broken" and table["violation_room"] == [0.0] * 7
    assert '"latency_s": "b/2"' in table["source"][5] and '"energy_j": "other/1"' in table["source"][5]


def test_a_kill_loses_no_finished_generation(tmp_path: Path) -> None:
    """After SIGKILL in the middle of a run the store opens, and holds whole generations only."""
    arguments = ["main.py", "--num-generations", "100000", "--population-num-per-generation", "50"]
    run = subprocess.Popen(
        [sys.executable, *arguments, "--dse-output-dir", str(tmp_path)], cwd=ROOT, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not (tmp_path / FILE).exists():
            time.sleep(0.05)
        time.sleep(1.0)
    finally:
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
    store = Store.open(tmp_path / FILE)
    names, rows = store.candidates()
    generations = [row[names.index("generation")] for row in rows]
    assert len(rows) > 0 and len(store.genomes()) == len(rows)
    counts = np.bincount(generations)
    assert (counts[:-1] == counts[0]).all() and counts[-1] == counts[0]


def test_what_is_no_store(tmp_path: Path) -> None:
    """A missing file, a text, another database and another format are one clear error each."""
    with pytest.raises(InputError, match="does not exist"):
        Store.open(tmp_path / FILE)
    (tmp_path / "text").write_text("hello " * 1000)
    with pytest.raises(InputError, match="not a run store"):
        Store.open(tmp_path / "text")
    sqlite3.connect(tmp_path / "other").execute("CREATE TABLE x (y)")
    with pytest.raises(InputError, match="not a run store"):
        Store.open(tmp_path / "other")
    store = Store.create(tmp_path / "new", {})
    store.close()
    with sqlite3.connect(tmp_path / "new") as database:
        database.execute("UPDATE meta SET value = '99' WHERE name = 'format'")
    with pytest.raises(InputError, match="format 99"):
        Store.open(tmp_path / "new")
