"""Acquired labels beside a data set's: one name for one kernel, and one answer for one design."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cost_model.corpus.hls.records import Corpus
from design.contracts import Dataset
from design.core import Rows, key_bytes
from design.errors import InputError
from design.hls.task import hls_task_of
from design.metrics import CYCLES, RESOURCES


def with_bought(corpus: Corpus, bought: Sequence[Dataset]) -> Corpus:
    """A corpus with bought labels at its end, file by file.

    A kernel that is there already, or a copy of one, goes by the name that it has there: whoever holds back its family
    holds back these labels too. A design that is there with the same answer is left out, and a record of which nothing
    remains. What is joined is not yet looked at for held-out kernels, see `refuse`. Raises InputError where a design
    is there with another answer.
    """
    for record in bought:
        named = replace(record, task=replace(hls_task_of(record), known_as=_known_as(corpus, record)))
        rows = _new_rows(corpus, named)
        if len(rows):
            corpus = corpus.joined([named.take(rows)])
    return corpus


def _known_as(corpus: Corpus, record: Dataset) -> str:
    """The name of the kernel in the corpus: by its source, else by a likeness, else its own."""
    digest, *likenesses = record.task.fingerprints
    for own in ({digest}, set(likenesses)):
        for other in corpus.records:
            if own & set(other.task.fingerprints):
                return other.task.name
    return record.task.name


def _new_rows(corpus: Corpus, record: Dataset) -> Rows:
    known: dict[bytes, tuple[Dataset, int]] = {}
    task = hls_task_of(record)
    for other in corpus.records:
        if (other.task.digest, hls_task_of(other).target.tool) == (task.digest, task.target.tool):
            for row, key in enumerate(_keys(other)):
                known.setdefault(key, (other, row))
    found = []
    for row, key in enumerate(_keys(record)):
        if key not in known:
            found.append(row)
            continue
        earlier, there = known[key]
        if difference := _difference(record, row, earlier, there):
            where = f"{record.provenance.where}, design {record.batch.schema.text(record.batch, row)[:160]}"
            expected = f"the answer of {earlier.provenance.where}, or a tool version of its own"
            raise InputError(where, f"is known with another answer ({difference})", expected)
    return np.array(found, dtype=np.int64)


def _keys(data: Dataset) -> list[bytes]:
    return key_bytes(data.batch.schema.key(data.batch)) if len(data) else []


def _difference(data: Dataset, row: int, other: Dataset, there: int) -> str:
    """In what two answers differ; "" where they agree. A count that one of them does not know is no difference, for a
    truth does not always say all of what a table has; shares follow from counts, which tables round."""
    pairs = {CYCLES: (data.metric(CYCLES)[row], other.metric(CYCLES)[there])}
    pairs["valid"] = data.feasible[row], other.feasible[there]
    for name, (said, known) in pairs.items():
        if not np.array_equal(said, known, equal_nan=True):
            return f"{name} {said}, and {known} before"
    for name in RESOURCES:
        said, known = data.metric(name)[row], other.metric(name)[there]
        if said != known and not np.isnan([said, known]).any():
            return f"{name} {said}, and {known} before"
    return ""
