"""The run's store: every evaluated candidate, in one SQLite file, written as answers come in.

SQLite because a run must survive being killed (what was answered together is one transaction), be read while it grows,
and be opened by anything. Genomes are kept as bytes; tables with named columns are made by `dse/records/export.py`.
Which columns answers have is in `dse/records/columns.py`.

With `facts` (small results worth keeping, as JSON) and `steps` (when each generation was done) it is all that it takes
to go on with a run: a search asks for the same designs again, and those that are here need not be evaluated again.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections import Counter
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from design.core import LEVEL, Evaluation, Genomes, Ints, Status
from design.errors import InputError
from design.transaction import transaction
from dse.records.columns import HIGH, LOW, answers_in, columns_of, in_order, kind_of, row_bytes

FILE = "run.sqlite"
FORMAT = 3
BEFORE_INTERVALS = 2  # a format without intervals and samples, and the same otherwise
TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE source (id INTEGER PRIMARY KEY, said TEXT NOT NULL UNIQUE);
CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE step (generation INTEGER PRIMARY KEY, candidates INTEGER, seconds REAL, cpu_s REAL);
CREATE TABLE candidate (id INTEGER PRIMARY KEY, generation INTEGER NOT NULL, key BLOB NOT NULL, genome BLOB NOT NULL,
    status TEXT NOT NULL, reason TEXT NOT NULL, cost_s REAL, source INTEGER NOT NULL);
"""
FIXED = ("id", "generation", "key", "genome", "status", "reason", "cost_s", "source")  # the other columns are answers
STATED = "level"  # fact: of the intervals; not there where all answers are exact
LATER = -1  # generation of designs that were added after the search


class Answers(NamedTuple):
    """Stored candidates in order: their numbers, keys and genomes, and what was answered. A metric whose answers were
    all exact has no interval."""

    ids: Ints
    keys: list[bytes]
    genomes: Genomes
    evaluation: Evaluation


class Store:
    """Candidates by number, from 0 in the order in which they were proposed."""

    def __init__(self, path: Path, frozen: bool = False) -> None:
        self.path = path
        # SQLite keeps notes beside a file that it reads, unless it is told that nobody writes there.
        where = path.resolve().as_uri() + ("?immutable=1" if frozen else "")
        self._db = sqlite3.connect(where, isolation_level=None, uri=True)
        self._sources: dict[str, int] = {}
        self._columns: list[str] = []
        self.facts: MutableMapping[str, Any] = Facts(self)

    @staticmethod
    def create(path: Path, about: dict[str, Any], facts: dict[str, Any] | None = None) -> Store:
        """A new store, with first facts; `about` is what it takes to make the same space and evaluator again."""
        store = Store(path)
        with store.writing():
            # Together with the tables, so that a store is either not there yet or complete.
            for statement in TABLES.split(";")[:-1]:
                store._db.execute(statement)
            for table, rows in (("meta", {"format": FORMAT} | about), ("fact", facts or {})):
                texts = [(name, json.dumps(value)) for name, value in rows.items()]
                store._db.executemany(f"INSERT INTO {table} VALUES (?, ?)", texts)
        store._db.execute("PRAGMA journal_mode=WAL")
        store._db.execute("PRAGMA synchronous=NORMAL")
        return store

    @staticmethod
    def open(path: Path) -> Store:
        """An existing store. Raises InputError where there is none or it is of another format."""
        expected = "the directory of a run (--dse-output-dir)"
        if not path.is_file():
            raise InputError(str(path), "does not exist", expected)
        try:
            store = Store(path, frozen=_frozen(path))
            found = store.meta("format")
            columns = [row[1] for row in store._db.execute("PRAGMA table_info(candidate)")]
            store._columns = columns[len(FIXED) :]
            if readable := found in (FORMAT, BEFORE_INTERVALS):
                store._sources = {said: number for number, said in store._db.execute("SELECT id, said FROM source")}
        except sqlite3.DatabaseError as error:
            what = "cannot be read" if not os.access(path, os.R_OK) or _sealed(path) else "is not a run store"
            raise InputError(str(path), f"{what} ({error})", expected) from None
        if not readable:
            raise InputError(str(path), f"has store format {found}", f"format {FORMAT}")
        return store

    @staticmethod
    def begun(path: Path) -> bool:
        """Whether there is a store that a run got as far as making."""
        if not path.is_file():
            return False
        try:
            with closing(sqlite3.connect(path)) as db:
                return db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'meta'").fetchone() == (1,)
        except sqlite3.DatabaseError:
            return True  # something is there; `open` says what is wrong with it

    def meta(self, name: str) -> Any:
        """A stored fact about the run."""
        row = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction. Raises OSError, naming the file, where the disk does not take it."""
        with transaction(self._db, self.path):
            yield

    def add(self, generation: int, ids: Ints, genomes: Genomes, keys: Sequence[bytes], evaluation: Evaluation) -> None:
        """Candidates with these numbers, in one transaction. Raises InputError for a metric whose name is taken."""
        values = columns_of(evaluation, self._columns)
        sources = dict(self._sources)
        try:
            with self.writing():
                new = [name for name in values if name not in self._columns]
                self._widen(new, evaluation.level)
                self._insert(generation, ids, genomes, keys, evaluation, values)
        except BaseException:
            self._sources = sources
            raise
        self._columns += new

    def _widen(self, new: Sequence[str], level: float) -> None:
        """Make columns for what is answered for the first time."""
        for name in new:
            self._db.execute(f'ALTER TABLE candidate ADD COLUMN "{name}" {kind_of(name)}')
        metrics = [name.removeprefix(LOW) for name in new if name.startswith(LOW)]
        if metrics:
            self._db.execute("INSERT OR IGNORE INTO fact VALUES (?, ?)", (STATED, json.dumps(level)))
        if metrics and self.meta("format") != BEFORE_INTERVALS:
            # Until now these metrics were exact; in an older store nobody knows.
            ends = [f'"{end}{name}" = "{name}"' for name in metrics for end in (LOW, HIGH)]
            self._db.execute(f"UPDATE candidate SET {', '.join(ends)}")

    def _insert(
        self,
        generation: int,
        ids: Ints,
        genomes: Genomes,
        keys: Sequence[bytes],
        evaluation: Evaluation,
        values: dict[str, list[Any]],
    ) -> None:
        names = ", ".join(f'"{name}"' for name in (*FIXED, *values))
        marks = ", ".join("?" * (len(FIXED) + len(values)))
        rows = zip(
            ids.tolist(),
            [generation] * len(keys),
            keys,
            row_bytes(genomes, "<i8"),
            np.array([status.name for status in Status])[evaluation.status].tolist(),
            evaluation.reason.tolist(),
            evaluation.cost_s.tolist(),
            self._source_ids(evaluation),
            *values.values(),
            strict=True,
        )
        self._db.executemany(f"INSERT INTO candidate ({names}) VALUES ({marks})", rows)

    def finish(self, generation: int, candidates: int, seconds: float, cpu_s: float) -> None:
        """Note that a generation is complete: candidates, wall and CPU seconds up to there, all sittings together."""
        with self.writing():
            self._db.execute("INSERT INTO step VALUES (?, ?, ?, ?)", (generation, candidates, seconds, cpu_s))

    def steps(self) -> list[tuple[int, float, float]]:
        """(candidates, wall seconds, CPU seconds) at the end of each complete generation."""
        return self._db.execute("SELECT candidates, seconds, cpu_s FROM step ORDER BY generation").fetchall()

    def take_back(self) -> None:
        """Make ready for more generations: without what came after the search, and without failures in the generation
        that was left incomplete, which deserve another try."""
        with self.writing():
            self._db.execute("DELETE FROM candidate WHERE generation = ?", (LATER,))
            (last,) = self._db.execute("SELECT coalesce(max(generation), -1) FROM step").fetchone()
            self._db.execute("DELETE FROM candidate WHERE generation > ? AND status = 'FAILED'", (last,))

    def answers(self, begin: int, end: int | None = None) -> Answers | None:
        """The candidates numbered from `begin` on (up to `end`, without it) that are here; None if none is."""
        return self._answers("id >= ? AND id < ?", (begin, 2**62 if end is None else end))

    def answers_of(self, ids: Ints) -> Evaluation:
        """What was answered for the candidates of these numbers, at least one, in the given order."""
        found = self._answers("id IN (SELECT value FROM json_each(?))", (json.dumps(ids.tolist()),))
        assert found is not None
        return found.evaluation.take(np.searchsorted(found.ids, ids))

    def _answers(self, which: str, values_of_it: tuple[Any, ...]) -> Answers | None:
        columns = in_order(self._columns)
        names = ("id", "key", "genome", "status", "reason", "cost_s", *columns)
        fields = ", ".join(f'"{name}"' for name in names)
        found = self._db.execute(
            f"SELECT {fields}, said FROM (SELECT * FROM candidate WHERE {which}) AS candidate "
            "JOIN source ON source.id = candidate.source ORDER BY candidate.id".replace('"id"', "candidate.id"),
            values_of_it,
        ).fetchall()
        if not found:
            return None
        ids, keys, genomes, status, reason, cost_s, *values, said = zip(*found, strict=True)
        metrics, violation, interval, samples = answers_in(dict(zip(columns, values, strict=True)))
        evaluation = Evaluation(
            metrics=metrics,
            violation=violation,
            status=np.array([Status[one] for one in status], dtype=np.int8),
            reason=np.array(reason, dtype=str),
            cost_s=np.array(cost_s, dtype=np.float64),
            source={name: np.array(_said(said, name), dtype=str) for name in metrics},
            interval=interval,
            samples=samples,
            level=self.facts.get(STATED, LEVEL),
        )
        return Answers(np.array(ids, dtype=np.int64), list(keys), _genomes(genomes), evaluation)

    def failures(self) -> Counter[str]:
        """How many candidates FAILED for which reason, the most frequent first."""
        rows = self._db.execute(
            "SELECT reason, count(*) AS times FROM candidate WHERE status = 'FAILED' GROUP BY reason "
            "ORDER BY times DESC, reason"
        )
        return Counter(dict(rows.fetchall()))

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
            number = len(self._sources)
            self._db.execute("INSERT OR REPLACE INTO source VALUES (?, ?)", (number, text))
            self._sources[text] = number
        return self._sources[text]

    def candidates(self) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Column names and all rows in order, but for the genomes: see `genomes`. Samples are bytes: see `draws`."""
        if not self._columns:
            return [], []
        names = ["id", "generation", "key", "status", "reason", *in_order(self._columns), "source"]
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
        return _genomes(data)

    def genomes(self) -> Genomes:
        """(n, genes) of all candidates, in order."""
        return _genomes([row[0] for row in self._db.execute("SELECT genome FROM candidate ORDER BY id")])

    def close(self) -> None:
        """Fold the write-ahead log into the file and let go of it."""
        self._db.close()


def _sealed(path: Path) -> bool:
    """Whether nothing can be written beside the file."""
    return not os.access(path.parent, os.W_OK)


def _frozen(path: Path) -> bool:
    """Whether a store can only be read, and is complete as it is: nobody has left a write-ahead log."""
    return _sealed(path) and not path.with_name(path.name + "-wal").exists()


class Facts(MutableMapping[str, Any]):
    """What a run wants to remember beside its candidates: values that JSON can hold, by name."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getitem__(self, name: str) -> Any:
        row = self._store._db.execute("SELECT value FROM fact WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise KeyError(name)
        return json.loads(row[0])

    def __setitem__(self, name: str, value: Any) -> None:
        with self._store.writing():
            self._store._db.execute("INSERT OR REPLACE INTO fact VALUES (?, ?)", (name, json.dumps(value)))

    def __delitem__(self, name: str) -> None:
        with self._store.writing():
            self._store._db.execute("DELETE FROM fact WHERE name = ?", (name,))

    def __iter__(self) -> Iterator[str]:
        return iter([name for (name,) in self._store._db.execute("SELECT name FROM fact ORDER BY name")])

    def __len__(self) -> int:
        return len(list(iter(self)))


def _said(texts: Sequence[str], name: str) -> list[str]:
    """Who said a metric, from the texts of `Store._source_ids`."""
    known = {text: json.loads(text).get(name, "") if text.startswith("{") else text for text in set(texts)}
    return [known[text] for text in texts]


def _genomes(data: Sequence[bytes]) -> Genomes:
    """(n, genes) from their bytes."""
    width = len(data[0]) // 8 if data else 0
    return np.frombuffer(b"".join(data), dtype="<i8").reshape(len(data), width).astype(np.int64)
