"""The store gives back what was put in, survives a kill between generations, and refuses what is none."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from design.core import Evaluation, Status, gather
from design.errors import InputError
from dse.records.store import FILE, LATER, Store
from tests.cases import ROOT, examples


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


# The administrator may write anywhere, unless it gives up that right.
NOBODY = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"]


@pytest.mark.skipif(os.geteuid() == 0 and shutil.which("setpriv") is None, reason="needs a user without rights")
def test_a_store_that_is_sealed(tmp_path: Path) -> None:
    """In a directory that cannot be written a store can be read; one without the right to read it is one line."""
    folder = tmp_path / "sealed"
    folder.mkdir()
    store = Store.create(folder / FILE, {"settings": {}})
    store.add(0, np.arange(3), np.zeros((3, 1), dtype=int), [bytes(16)] * 3, answers(3, 1.0, ["a/1"] * 3))
    store.close()
    code = f"from dse.records.store import *; s = Store.open(Path({str(folder / FILE)!r})); print(len(s.genomes()))"
    command = [*(NOBODY if os.geteuid() == 0 else []), sys.executable, "-c", code]
    for mode, said in ((0o444, "3\n"), (0o000, "cannot be read")):
        (folder / FILE).chmod(mode)
        folder.chmod(0o555)
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        folder.chmod(0o755)
        assert said in (done.stdout or done.stderr), done.stderr


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


ODD = [float("nan"), float("inf"), -float("inf"), 0.0, -0.0, 5e-324, 1.7976931348623157e308, 0.1, 2.0**53, -3.0]
NUMBER = st.sampled_from(ODD) | st.floats()
SAID = st.sampled_from(["a/1", "b/2", "é/1"])
WORD = st.sampled_from(["", "broken", 'it\'s "so"; --', "zu klein: ü"])
ROW = st.tuples(NUMBER, NUMBER, NUMBER, st.sampled_from(list(Status)), WORD, NUMBER, SAID, SAID)
PIECES = st.lists(st.tuples(st.lists(ROW, min_size=1, max_size=4), st.booleans()), min_size=1, max_size=4)


def piece(rows: list[tuple], bare: bool) -> Evaluation:
    """An evaluation of the rows; a `bare` one has failed and names no constraint."""
    latency, energy, room, status, reason, cost, said, other = (np.array(column) for column in zip(*rows, strict=True))
    return Evaluation(
        metrics={"latency_s": latency.astype(float), "energy_j": energy.astype(float)},
        violation={} if bare else {"room": room.astype(float)},
        status=np.full(len(rows), Status.FAILED, dtype=np.int8) if bare else status.astype(np.int8),
        reason=reason.astype(str),
        cost_s=cost.astype(float),
        source={"latency_s": said.astype(str), "energy_j": other.astype(str)},
    )


@examples(60)
@given(PIECES, st.randoms(use_true_random=False))
def test_answers_come_back(pieces: list[tuple[list[tuple], bool]], order: object) -> None:
    """Bit for bit but for the sign of a zero, which SQLite does not keep, in whichever order they were written; rows
    whose evaluation failed before any constraint was known say nothing about it."""
    made, first = [], 0
    for rows, bare in pieces:
        made.append((np.arange(first, first + len(rows)), piece(rows, bare)))
        first += len(rows)
    written = list(made)
    order.shuffle(written)  # type: ignore[attr-defined]
    with tempfile.TemporaryDirectory() as folder:
        store = Store.create(Path(folder) / FILE, {})
        for ids, evaluation in written:
            keys = [bytes([row]) * 16 for row in ids.tolist()]
            store.add(0, ids, np.stack([ids, -ids], axis=1), keys, evaluation)
        for again in (store, Store.open(store.path)):
            found = again.answers(0)
            assert found is not None and again.answers(first) is None
            assert found.genomes.tolist() == [[row, -row] for row in range(first)]
            assert found.keys == [bytes([row]) * 16 for row in range(first)]
            ours, theirs = gather(made, first).per_row(), found.evaluation.per_row()
            for field in ("metrics", "violation", "status", "reason", "cost_s", "source"):
                assert ours[field].keys() == theirs[field].keys()
                for name, values in ours[field].items():
                    exact = values.dtype.kind == "f"
                    assert np.array_equal(values, theirs[field][name], equal_nan=exact), (field, name)
            some = np.array([first - 1, 0])
            assert again.answers_of(some).reason.tolist() == found.evaluation.reason[some].tolist()
        part = store.answers(1, 3)
        assert (part is None) == (first < 2) and (part is None or part.ids.tolist() == [1, 2][: first - 1])


def test_failures_by_reason(tmp_path: Path) -> None:
    """Counted, the most frequent first."""
    store = Store.create(tmp_path / FILE, {})
    rows = [(1.0, 1.0, 0.0, status, why, 0.0, "a/1", "a/1") for status, why in FAILURES]
    store.add(0, np.arange(5), np.zeros((5, 1), dtype=int), [bytes(16)] * 5, piece(rows, False))
    assert list(store.failures().items()) == [("z", 2), ("a", 1)]


FAILURES = [(Status.FAILED, "a"), (Status.FAILED, "z"), (Status.OK, ""), (Status.FAILED, "z"), (Status.INFEASIBLE, "a")]


def test_facts(tmp_path: Path) -> None:
    """A mapping of what JSON can hold, that a store opened later has too."""
    store = Store.create(tmp_path / FILE, {})
    facts = store.facts
    assert dict(facts) == {} and len(facts) == 0 and "x" not in facts
    values = {"x": [0.1, None, float("inf"), 5e-324], "a'b": {"deep": [1]}, "empty": ""}
    facts.update(values)
    facts["x"] = values["x"]
    again = Store.open(tmp_path / FILE).facts
    assert dict(again) == values and list(again) == sorted(values)
    del again["empty"]
    assert "empty" not in facts and len(facts) == 2
    with pytest.raises(KeyError):
        facts["empty"]


def test_begun(tmp_path: Path) -> None:
    """No file, an empty one and a transaction that a kill undid are no store; one with its tables is, and so is what
    only `open` can judge."""
    path = tmp_path / FILE
    assert not Store.begun(path) and not path.exists()
    path.touch()
    assert not Store.begun(path)
    half = sqlite3.connect(path, isolation_level=None)
    half.execute("BEGIN IMMEDIATE")
    half.execute("CREATE TABLE meta (name TEXT)")
    assert not Store.begun(path)
    half.execute("ROLLBACK")
    half.close()
    Store.create(path, {"settings": {}}).close()
    assert Store.begun(path)
    (tmp_path / "text").write_text("hello " * 1000)
    assert Store.begun(tmp_path / "text") and not Store.begun(tmp_path)


def test_take_back(tmp_path: Path) -> None:
    """What came after the search goes, and failures of the generation that is not complete; nothing else does."""
    store = Store.create(tmp_path / FILE, {})
    for generation, first in ((0, 0), (1, 4), (LATER, 8)):
        ids = np.arange(first, first + 4)
        store.add(generation, ids, ids[:, None], [bytes(16)] * 4, answers(4, 1.0, ["a/1"] * 4))
        if generation == 0:
            store.finish(0, 4, 1.0, 1.0)
    store.take_back()
    assert store.genomes().ravel().tolist() == [0, 1, 2, 3, 4, 5, 6] and store.steps() == [(4, 1.0, 1.0)]
    store.take_back()
    assert len(store.genomes()) == 7


def test_what_is_written_together_is_there_together(tmp_path: Path) -> None:
    """A piece that cannot be written whole is not there at all, not even its new columns, and the store goes on."""
    store = Store.create(tmp_path / FILE, {})
    good = answers(3, 1.0, ["a/1"] * 3)
    store.add(0, np.array([2]), np.zeros((1, 1), dtype=int), [bytes(16)], answers(1, 1.0, ["a/1"]))
    new = piece([(1.0, 1.0, 0.0, Status.OK, "", 0.0, "a/1", "a/1")] * 3, False)
    new = Evaluation(**{**vars(new), "metrics": {**new.metrics, "area_mm2": np.ones(3)}})
    new = Evaluation(**{**vars(new), "source": {**new.source, "area_mm2": np.array(["b/9"] * 3)}})
    with pytest.raises(sqlite3.IntegrityError):  # number 2 is there
        store.add(1, np.arange(3), np.zeros((3, 1), dtype=int), [bytes(16)] * 3, new)
    assert len(store.genomes()) == 1 and "area_mm2" not in store.candidates()[0]
    with pytest.raises(RuntimeError), store.writing():
        store._db.execute("DELETE FROM candidate")
        raise RuntimeError
    store.add(1, np.arange(3, 6), np.zeros((3, 1), dtype=int), [bytes(16)] * 3, new)
    store.add(1, np.arange(6, 9), np.zeros((3, 1), dtype=int), [bytes(16)] * 3, good)
    found = Store.open(tmp_path / FILE).answers(0)
    assert found is not None and found.ids.tolist() == [2, 3, 4, 5, 6, 7, 8]
    assert found.evaluation.source["area_mm2"][1] == "b/9"


def test_read_while_it_is_written(tmp_path: Path) -> None:
    """Another process sees what was written before it began to read, and the writer does not wait for it."""
    store = Store.create(tmp_path / FILE, {})
    write = lambda first: store.add(
        0, np.arange(first, first + 4), np.zeros((4, 1), dtype=int), [bytes(16)] * 4, answers(4, 1.0, ["a/1"] * 4)
    )
    write(0)
    with store.writing():
        code = f"from dse.records.store import *; print(len(Store.open(Path({str(tmp_path / FILE)!r})).genomes()))"
        seen = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        assert seen.stdout == "4\n"
    reader = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM candidate").fetchone() == (4,)
    write(4)
    assert reader.execute("SELECT count(*) FROM candidate").fetchone() == (4,)
    assert len(Store.open(tmp_path / FILE).genomes()) == 8
