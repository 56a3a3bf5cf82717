"""The run's store: every evaluated candidate, in one SQLite file, written generation by generation.

SQLite because a run must survive being killed (a generation is one transaction), be read while it grows, and
be opened by anything. Genomes are kept as bytes; tables with named columns are made by `dse/export.py`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from design.core import Evaluation, Floats, Genomes, Status
from design.errors import InputError

FILE = "run.sqlite"
FORMAT = 1


class Store:
    """Candidates by number, from 0 in the order in which they were proposed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db = sqlite3.connect(path, isolation_level=None)
        self._columns: list[str] = []
        self._sources: dict[str, int] = {}
        self._count = 0

    @staticmethod
    def create(path: Path, settings: dict[str, Any]) -> Store:
        """A new store; `settings` is what it takes to make the same space and evaluator again."""
        store = Store(path)
        store._db.execute("PRAGMA journal_mode=WAL")
        store._db.execute("PRAGMA synchronous=NORMAL")
        store._db.execute("CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
        store._db.execute("CREATE TABLE source (id INTEGER PRIMARY KEY, said TEXT NOT NULL UNIQUE)")
        rows = [("format", FORMAT), ("settings", settings)]
        store._db.executemany("INSERT INTO meta VALUES (?, ?)", [(k, json.dumps(v)) for k, v in rows])
        return store

    @staticmethod
    def open(path: Path) -> Store:
        """An existing store, to read. Raises InputError where there is none or it is of another format."""
        expected = "the directory of a run (--dse-output-dir)"
        if not path.is_file():
            raise InputError(str(path), "does not exist", expected)
        store = Store(path)
        try:
            found = store.meta("format")
            store._columns = [row[1] for row in store._db.execute("PRAGMA table_info(candidate)")][6:-2]
        except sqlite3.DatabaseError as error:
            raise InputError(str(path), f"is not a run store ({error})", expected) from None
        if found != FORMAT:
            raise InputError(str(path), f"has store format {found}", f"format {FORMAT}")
        return store

    def meta(self, name: str) -> Any:
        """A stored fact about the run."""
        row = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])

    def add(self, generation: int, genomes: Genomes, keys: Sequence[bytes], evaluation: Evaluation) -> None:
        """One generation, in one transaction."""
        values = {**evaluation.metrics, **{f"violation_{k}": v for k, v in evaluation.violation.items()}}
        try:
            self._db.execute("BEGIN")
            self._insert(generation, genomes, keys, evaluation, values)
            self._db.execute("COMMIT")
        except BaseException as error:
            # What is half written must not be read back as written.
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if isinstance(error, sqlite3.OperationalError):
                raise OSError(None, f"cannot be written ({error})", str(self.path)) from None
            raise
        self._columns, self._count = list(values), self._count + len(keys)

    def _insert(
        self,
        generation: int,
        genomes: Genomes,
        keys: Sequence[bytes],
        evaluation: Evaluation,
        values: dict[str, Floats],
    ) -> None:
        if not self._columns:
            fields = "".join(f', "{name}" REAL' for name in values)
            self._db.execute(
                "CREATE TABLE candidate (id INTEGER PRIMARY KEY, generation INTEGER, key BLOB, genome BLOB, "
                f"status TEXT, reason TEXT{fields}, cost_s REAL, source INTEGER)"
            )
        names = ", ".join(f'"{name}"' for name in values)
        marks = ", ".join("?" * (8 + len(values)))
        width, data = genomes.shape[1] * 8, np.ascontiguousarray(genomes, dtype="<i8").tobytes()
        rows = zip(
            range(self._count, self._count + len(keys)),
            [generation] * len(keys),
            keys,
            [data[i * width : (i + 1) * width] for i in range(len(keys))],
            np.array([status.name for status in Status])[evaluation.status].tolist(),
            evaluation.reason.tolist(),
            *(column.tolist() for column in values.values()),
            evaluation.cost_s.tolist(),
            self._source_ids(evaluation),
            strict=True,
        )
        self._db.executemany(
            f"INSERT INTO candidate (id, generation, key, genome, status, reason, {names}, cost_s, source) "
            f"VALUES ({marks})",
            rows,
        )

    def _source_ids(self, evaluation: Evaluation) -> list[int]:
        """A number a row for who said what; rows mostly share one, so the texts are kept once. A text is the
        evaluator and its version, or a JSON object by metric where several had a say."""
        names = list(evaluation.source)
        table = np.stack([evaluation.source[name] for name in names], axis=1)
        if (table == table[:1]).all():
            return [self._source_id(names, table[0])] * len(table)
        return [self._source_id(names, row) for row in table]

    def _source_id(self, names: list[str], said: np.ndarray) -> int:
        same = (said == said[0]).all()
        text = str(said[0]) if same else json.dumps(dict(zip(names, said.tolist(), strict=True)))
        if text not in self._sources:
            self._sources[text] = len(self._sources)
            self._db.execute("INSERT OR REPLACE INTO source VALUES (?, ?)", (self._sources[text], text))
        return self._sources[text]

    def candidates(self) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Column names and all rows in order, but for the genomes: see `genomes`."""
        if not self._columns:
            return [], []
        names = ["id", "generation", "key", "status", "reason", *self._columns, "source"]
        fields = ", ".join("hex(key)" if n == "key" else "said" if n == "source" else f'"{n}"' for n in names)
        fields = fields.replace('"id"', "candidate.id")
        rows = self._db.execute(
            f"SELECT {fields} FROM candidate JOIN source ON source.id = candidate.source ORDER BY candidate.id"
        )
        return names, rows.fetchall()

    def even_choice(self, status: Status, names: Sequence[str], most: int) -> list[tuple[Any, ...]]:
        """(id, the named columns) of evenly spaced candidates of that status, at most about `most`, in order."""
        if not self._columns:
            return []
        (count,) = self._db.execute("SELECT count(*) FROM candidate WHERE status = ?", (status.name,)).fetchone()
        fields = ", ".join(f'"{name}"' for name in ("id", *names))
        rows = self._db.execute(
            f"SELECT {fields} FROM (SELECT {fields}, row_number() OVER (ORDER BY id) - 1 AS place "
            "FROM candidate WHERE status = ?) WHERE place % ? = 0 ORDER BY id",
            (status.name, count // most + 1),
        )
        return rows.fetchall()

    def even_choice_of_genomes(self, most: int) -> Genomes:
        """(n, genes) of evenly spaced feasible candidates, at most about `most`, in order."""
        data = [row[1] for row in self.even_choice(Status.OK, ["genome"], most)]
        width = len(data[0]) // 8 if data else 0
        return np.frombuffer(b"".join(data), dtype="<i8").reshape(len(data), width).astype(np.int64)

    def genomes(self) -> Genomes:
        """(n, genes) of all candidates, in order."""
        if not self._columns:
            return np.empty((0, 0), dtype=np.int64)
        data = [row[0] for row in self._db.execute("SELECT genome FROM candidate ORDER BY id")]
        return np.frombuffer(b"".join(data), dtype="<i8").reshape(len(data), -1).astype(np.int64)

    def close(self) -> None:
        """Fold the write-ahead log into the file and let go of it."""
        self._db.close()
