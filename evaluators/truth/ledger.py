"""The ledger: every call to a truth, in one SQLite file, written before the call starts and again when it ends.

Calls are kept for ever. One that has begun and not ended belongs to a run that was ended, or is still under way in
another process: the tool was asked, so that it counts, but there is no answer, so that the design is bought again.
"""

from __future__ import annotations

import json
import math
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from design.core import Status
from design.errors import InputError
from design.transaction import transaction

FILE = "calls.sqlite"
FORMAT = 1
BUSY_S = 30.0  # to wait for another process that writes
ASKED = 500  # keys a query; SQLite takes no more than some thousands
TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE call (id INTEGER PRIMARY KEY, run TEXT NOT NULL, truth TEXT NOT NULL, key BLOB NOT NULL,
    design TEXT NOT NULL, price REAL NOT NULL, begun REAL NOT NULL, ended REAL, status TEXT, reason TEXT, cost_s REAL,
    answer TEXT);
CREATE INDEX call_of ON call (truth, key);
"""
EXPECTED = f"a ledger of calls ({FILE})"


class Answer(NamedTuple):
    """What a call brought: NaN is unknown."""

    status: Status
    reason: str
    cost_s: float
    metrics: Mapping[str, float]
    violation: Mapping[str, float]

    def differs(self, other: Answer) -> str:
        """How another answer to the same design differs, in a few words; "" where it says the same. What it cost, and
        how a tool words its reason, is nothing about the design."""
        for name in sorted({*self.metrics, *other.metrics}, key=lambda name: (name != "cycles", name)):
            one, two = self.metrics.get(name, math.nan), other.metrics.get(name, math.nan)
            if one != two and not (math.isnan(one) and math.isnan(two)):
                return f"{name} {_text(one)} then {_text(two)}"
        return "" if self.status == other.status else f"{self.status.name} then {other.status.name}"


def _text(value: float) -> str:
    return "unknown" if math.isnan(value) else f"{value:.17g}"


class Calls(NamedTuple):
    """How many calls began, how they ended, and what they cost; those that did not end cost their price and no known
    time."""

    begun: int
    ok: int
    infeasible: int
    failed: int
    unfinished: int
    price: float
    seconds: float


class Ledger:
    """Calls by number. `run` names who is calling; answers are shared among all runs. One thread only.

    Raises InputError where the file is none of this kind or damaged, OSError where it cannot be written.
    """

    def __init__(self, path: Path, run: str) -> None:
        self.path, self.run = path, run
        if path.exists() and not path.is_file():
            raise InputError(str(path), "is no file", EXPECTED)
        try:
            self._db = sqlite3.connect(path, isolation_level=None, timeout=BUSY_S)
        except sqlite3.Error as error:
            raise InputError(str(path), f"cannot be opened ({error})", EXPECTED) from None
        try:
            self._prepare()
        except BaseException:
            self._db.close()
            raise

    def _prepare(self) -> None:
        """Check what is there, or make it."""
        try:
            self._db.execute("BEGIN IMMEDIATE")  # two processes may begin with one ledger
            there = {name for (name,) in self._db.execute("SELECT name FROM sqlite_master")}
            for statement in TABLES.split(";")[:-1] if not there else ():
                self._db.execute(statement)
            if not there:
                self._db.execute("INSERT INTO meta VALUES ('format', ?)", (json.dumps(FORMAT),))
            self._db.execute("COMMIT")
            (text,) = self._db.execute("SELECT value FROM meta WHERE name = 'format'").fetchone() or ("null",)
            self._db.execute("SELECT id, run, design, price, begun, ended, cost_s FROM call LIMIT 1")
            (damage,) = self._db.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.DatabaseError as error:
            usable = all(os.access(path, os.R_OK | os.W_OK) for path in (self.path, self.path.absolute().parent))
            what = "is not a ledger" if usable else "cannot be written"
            raise InputError(str(self.path), f"{what} ({error})", EXPECTED) from None
        if text != json.dumps(FORMAT):
            raise InputError(str(self.path), f"has ledger format {text}", f"format {FORMAT}")
        if damage != "ok":
            raise InputError(str(self.path), f"is damaged ({damage})", EXPECTED)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")  # a call costs more than the disk's word that it is kept

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction. Raises OSError, naming the file, where the disk does not take it."""
        try:
            with transaction(self._db, self.path):
                yield
        except sqlite3.DatabaseError as error:
            raise self._damaged(error) from None

    def begin(self, truth: str, key: bytes, design: str, price: float) -> int:
        """Write that a call starts now; its number."""
        values = (self.run, truth, key, design, price, time.time())
        with self._writing():
            cursor = self._db.execute(
                "INSERT INTO call (run, truth, key, design, price, begun) VALUES (?, ?, ?, ?, ?, ?)", values
            )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def end(self, call: int, answer: Answer) -> None:
        """Write what a call brought."""
        known = {
            "metrics": {name: None if math.isnan(value) else value for name, value in answer.metrics.items()},
            "violation": {name: None if math.isnan(value) else value for name, value in answer.violation.items()},
        }
        values = (time.time(), answer.status.name, answer.reason, answer.cost_s, json.dumps(known), call)
        with self._writing():
            self._db.execute(
                "UPDATE call SET ended = ?, status = ?, reason = ?, cost_s = ?, answer = ? WHERE id = ?", values
            )

    def answers(self, truth: str, keys: Sequence[bytes]) -> dict[bytes, list[Answer]]:
        """All answers to these designs, oldest first; designs without any are left out."""
        found: dict[bytes, list[Answer]] = {}
        for begin in range(0, len(keys), ASKED):
            some = keys[begin : begin + ASKED]
            marks = ", ".join("?" * len(some))
            rows = self._read(
                "SELECT key, status, reason, cost_s, answer FROM call "
                f"WHERE truth = ? AND key IN ({marks}) AND ended IS NOT NULL ORDER BY id",
                (truth, *some),
            )
            for key, *fields in rows:
                found.setdefault(key, []).append(self._answer(*fields))
        return found

    def _answer(self, status: str, reason: str, cost_s: float, text: str) -> Answer:
        try:
            said = {
                part: {name: math.nan if value is None else float(value) for name, value in values.items()}
                for part, values in json.loads(text).items()
            }
            return Answer(Status[status], str(reason), float(cost_s), said["metrics"], said["violation"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._damaged(error) from None

    def _read(self, query: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        try:
            return self._db.execute(query, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise self._damaged(error) from None

    def _damaged(self, error: Exception) -> InputError:
        return InputError(str(self.path), f"is damaged ({error})", EXPECTED)

    def calls(self, run: str | None = None) -> Calls:
        """Of a run, or of all."""
        where, values = ("", ()) if run is None else (" WHERE run = ?", (run,))
        rows = self._read(
            "SELECT count(*), coalesce(sum(status = 'OK'), 0), coalesce(sum(status = 'INFEASIBLE'), 0), "
            "coalesce(sum(status = 'FAILED'), 0), coalesce(sum(ended IS NULL), 0), coalesce(sum(price), 0.0), "
            f"coalesce(sum(cost_s), 0.0) FROM call{where}",
            values,
        )
        return Calls(*rows[0])

    def spent(self, run: str | None = None) -> float:
        """The price of all calls that began, of a run or of all."""
        return self.calls(run).price

    def close(self) -> None:
        """Fold the write-ahead log into the file and let go of it."""
        self._db.close()
