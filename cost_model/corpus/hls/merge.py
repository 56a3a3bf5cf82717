"""CachedTruth labels beside a data set's: one name for one kernel, and one answer for one design."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cost_model.corpus.hls.records import Corpus, Record
from design.core import Rows, key_bytes
from design.errors import InputError
from frontends.hls_results.tables import RESOURCES, KernelTable


def with_bought(corpus: Corpus, bought: Sequence[Record]) -> Corpus:
    """A corpus with bought labels at its end, file by file.

    A kernel that is there already, or a copy of one, goes by the name that it has there: whoever holds back its family
    holds back these labels too. A design that is there with the same answer is left out, and a record of which nothing
    remains. What is joined is not yet looked at for held-out kernels, see `refuse`. Raises InputError where a design
    is there with another answer.
    """
    for record in bought:
        named = replace(record, table=replace(record.table, name=_known_as(corpus, record)))
        rows = _new_rows(corpus, named)
        if len(rows):
            corpus = corpus.joined([replace(named, table=named.table.take(rows))])
    return corpus


def _known_as(corpus: Corpus, record: Record) -> str:
    """The name of the kernel in the corpus: by its source, else by a likeness, else its own."""
    for own in ({record.digest}, set(record.likenesses)):
        for other in corpus.records:
            if own & {other.digest, *other.likenesses}:
                return other.name
    return record.name


def _new_rows(corpus: Corpus, record: Record) -> Rows:
    known: dict[bytes, tuple[KernelTable, int]] = {}
    for other in corpus.records:
        if (other.digest, other.tool) == (record.digest, record.tool):
            for row, key in enumerate(_keys(other.table)):
                known.setdefault(key, (other.table, row))
    found, table = [], record.table
    for row, key in enumerate(_keys(table)):
        if key not in known:
            found.append(row)
            continue
        earlier, there = known[key]
        if difference := _difference(table, row, earlier, there):
            where = f"{table.where}, design {table.batch.schema.text(table.batch, row)[:160]}"
            expected = f"the answer of {earlier.where}, or a tool version of its own"
            raise InputError(where, f"is known with another answer ({difference})", expected)
    return np.array(found, dtype=np.int64)


def _keys(table: KernelTable) -> list[bytes]:
    return key_bytes(table.batch.schema.key(table.batch)) if len(table) else []


def _difference(table: KernelTable, row: int, other: KernelTable, there: int) -> str:
    """In what two answers differ; "" where they agree. A count that one of them does not know is no difference, for a
    truth does not always say all of what a table has; shares follow from counts, which tables round."""
    pairs = {"cycles": (table.cycles[row], other.cycles[there]), "valid": (table.valid[row], other.valid[there])}
    for name, (said, known) in pairs.items():
        if not np.array_equal(said, known, equal_nan=True):
            return f"{name} {said}, and {known} before"
    for name in RESOURCES:
        said, known = table.counts[name][row], other.counts[name][there]
        if said != known and not np.isnan([said, known]).any():
            return f"{name} {said}, and {known} before"
    return ""
