"""What every evaluator keeps to: `check_evaluator`, for any evaluator and a batch of its schema.

check_evaluator(evaluator, batch)                       order, company, stream, form of the answer
check_spoiled(evaluator, batch, spoiled)                bad candidates are FAILED and disturb nobody
check_other_process("tests.some_module:make")           `make()` gives (evaluator, batch)
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from design.contracts import Evaluator
from design.core import Batch, Evaluation, Status, gather
from tests.cases import ROOT

SEED = 7
NOT_COMPARED = "cost_s"  # how long an answer took is not the same twice


def check_evaluator(evaluator: Evaluator, batch: Batch, intervals: bool = True, speakers: Sequence[str] = ()) -> None:
    """All laws that need no bad candidate and no other process. `batch` has at least two rows. `intervals`: the
    evaluator states one for each metric; one that learned and knows no uncertainty states none, as none is exact.
    `speakers` are others whose word it passes on as theirs."""
    for values in batch.columns.values():
        values.setflags(write=False)
    before = {name: values.tobytes() for name, values in batch.columns.items()}
    answer = evaluator.evaluate(batch, seed=SEED)
    _form(evaluator, answer, len(batch), speakers)
    assert set(answer.interval) == (set(answer.metrics) if intervals else set())
    _company(evaluator, batch, answer)
    _stream(evaluator, batch, answer)
    assert {name: values.tobytes() for name, values in batch.columns.items()} == before


def check_spoiled(evaluator: Evaluator, batch: Batch, spoiled: Mapping[str, Any], speakers: Sequence[str] = ()) -> None:
    """Row 1 of a sound batch with `spoiled` columns is FAILED with a reason and no metrics; all else stays."""
    answer = evaluator.evaluate(batch, seed=SEED)
    columns = {name: values.copy() for name, values in batch.columns.items()}
    for name, value in spoiled.items():
        columns[name][1] = value
    bad = evaluator.evaluate(Batch(batch.schema, columns), seed=SEED)
    _form(evaluator, bad, len(batch), speakers)
    assert bad.status[1] == Status.FAILED and bad.reason[1], spoiled
    assert all(np.isnan(values[1]) for values in bad.metrics.values()), spoiled
    others = np.delete(np.arange(len(batch)), 1)
    assert_same(bad.take(others), answer.take(others))


def check_other_process(factory: str) -> None:
    """The same bytes, keys included, from a new process under another hash seed. `factory` is module:function."""
    here = digest(factory)
    for hash_seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "tests.evaluators.conformance", factory]
        ran = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
        assert ran.stdout.strip() == here


def digest(factory: str) -> str:
    """Hex digest of the keys and the answer for the batch that the factory makes."""
    module, name = factory.split(":")
    evaluator, batch = getattr(importlib.import_module(module), name)()
    state = sha256(batch.schema.key(batch).tobytes())
    for field, values in compared(evaluator.evaluate(batch, seed=SEED)):
        state.update(repr((field, values.dtype.kind, values.shape)).encode())
        state.update(repr(values.tolist()).encode() if values.dtype.kind == "U" else values.tobytes())
    return state.hexdigest()


def compared(answer: Evaluation) -> Iterator[tuple[str, NDArray[Any]]]:
    """Every array of an answer that repeats, by field and name, sorted."""
    for field, named in sorted(answer.per_row().items()):
        for name, values in sorted(named.items()):
            if field != NOT_COMPARED:
                yield f"{field} {name}", values


def assert_same(left: Evaluation, right: Evaluation) -> None:
    """Bit-identical answers: NaN equals NaN, -0.0 is not 0.0."""
    pairs = zip(compared(left), compared(right), strict=True)
    for (name, ours), (other_name, theirs) in pairs:
        assert name == other_name and ours.shape == theirs.shape and ours.dtype.kind == theirs.dtype.kind, name
        if ours.dtype.kind == "f":
            ours, theirs = (np.ascontiguousarray(values).view(np.int64) for values in (ours, theirs))
        assert np.array_equal(ours, theirs), name
    assert left.level == right.level


def _form(evaluator: Evaluator, answer: Evaluation, rows: int, speakers: Sequence[str] = ()) -> None:
    """One answer a row, declared metrics with units, violations >= 0, intervals around values, reasons, sources."""
    assert evaluator.name and evaluator.version and evaluator.metrics and all(evaluator.metrics.values())
    assert set(answer.metrics) == set(evaluator.metrics) == set(answer.source)
    assert len(answer) == rows
    for field, named in answer.per_row().items():
        for name, values in named.items():
            assert len(values) == rows, (field, name)
    failed = answer.status == Status.FAILED
    assert np.isin(answer.status, [int(status) for status in Status]).all()
    assert np.array_equal(answer.reason != "", answer.status != Status.OK)
    assert (answer.cost_s >= 0).all()
    for name, values in answer.metrics.items():
        assert values.dtype == np.float64 and np.isnan(values[failed]).all() and not np.isinf(values).any(), name
        if name not in answer.interval:
            continue
        low, high = answer.interval[name].T
        known = ~np.isnan(values)
        assert (low[known] <= values[known]).all() and (values[known] <= high[known]).all(), name
        assert np.isnan(low[~known]).all() and np.isnan(high[~known]).all(), name
    for name, values in answer.violation.items():
        assert (values[~failed] >= 0).all(), name
    broken = np.any([values > 0 for values in answer.violation.values()] or np.zeros((1, rows)), axis=0)
    assert np.array_equal(broken & ~failed, answer.status == Status.INFEASIBLE)
    assert 0 < answer.level < 1
    for name, values in answer.source.items():
        names = (evaluator.name, *speakers)
        assert all("/" in text and any(who in text for who in names) for text in values.tolist()), name


def _company(evaluator: Evaluator, batch: Batch, answer: Evaluation) -> None:
    """A row has one answer: again, in any order, among any others, beside itself, alone, and with nobody."""
    assert_same(evaluator.evaluate(batch, seed=SEED), answer)
    shuffled = np.random.default_rng(SEED).permutation(len(batch))
    some = shuffled[: len(batch) // 2]
    for rows in (shuffled, some, some[:0], np.repeat(some, 2), *np.arange(len(batch))[:20, None]):
        assert_same(evaluator.evaluate(batch.take(rows), seed=SEED), answer.take(rows))


def _stream(evaluator: Evaluator, batch: Batch, answer: Evaluation) -> None:
    """The pieces of the stream cover every row once, and gathered they are the answer."""
    pieces = list(evaluator.stream(batch, seed=SEED))
    assert sorted(np.concatenate([rows for rows, _ in pieces]).tolist()) == list(range(len(batch)))
    assert all(len(rows) == len(piece) for rows, piece in pieces)
    assert_same(gather(pieces, len(batch)), answer)


def spoiled_nmp_designs(operators: int) -> list[dict[str, Any]]:
    """Columns that no near-memory design of so many operators on 6 of 8 channels has."""
    return [
        *({"nmp_channels": count} for count in (-1, 9, 63, 2**40)),
        *({"fpus": count} for count in (0, -8)),
        *({name: value} for name in ("mhz", "pe_gbps") for value in (np.nan, 0.0, -1.0, np.inf, -np.inf)),
        *({name: index} for name in ("group", "part", "stratum") for index in (-1, operators, 2**31 - 1)),
        *({"channels": channels} for channels in (-1, 1 << 6, 1 << 62, -(2**63))),
        *({"normal": use} for use in (-1, 2)),
        *({"nmp_units": units, "npu_units": 0} for units in (-1, 0, 1, 2**40, 2**63 - 1, -(2**63))),
        *({"nmp_units": 0, "npu_units": units} for units in (-1, 0, 1, 2**40, 2**63 - 1, -(2**63))),
        {"nmp_units": 2**62, "npu_units": 2**62},
        {"channels": 0, "normal": 0},
        {"nmp_channels": 8, "channels": 0, "normal": 1},
    ]


if __name__ == "__main__":
    print(digest(sys.argv[1]))
