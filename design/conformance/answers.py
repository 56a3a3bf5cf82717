"""What an answer must look like, and when two answers are the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from design.conformance.nonconforming import expect, label, rows_text
from design.contracts import Evaluator
from design.core import Bools, Evaluation, Status
from design.metrics import METRICS

NOT_COMPARED = "cost_s"  # how long an answer took is not the same twice
PROBABILITY = "probability"


def compared(answer: Evaluation) -> Iterator[tuple[str, NDArray[Any]]]:
    """Every array of an answer that repeats, as ("field name", values), sorted."""
    for field, named in sorted(answer.per_row().items()):
        for name, values in sorted(named.items()):
            if field != NOT_COMPARED:
                yield f"{field} {name}".strip(), values


def difference(left: Evaluation, right: Evaluation) -> str:
    """Where two answers are not bit-identical, in a few words; "" where they are. NaN equals NaN, -0.0 is not 0.0."""
    ours, theirs = dict(compared(left)), dict(compared(right))
    if set(ours) != set(theirs):
        return f"{min(set(ours) ^ set(theirs))} is in one answer and not in the other"
    for name, one in ours.items():
        other = theirs[name]
        if one.shape != other.shape or one.dtype.kind != other.dtype.kind:
            return f"{name} is {one.dtype} {one.shape} in one answer and {other.dtype} {other.shape} in the other"
        differs = ~_same_bits(one, other).all(axis=tuple(range(1, one.ndim)))
        if differs.any():
            row = int(np.argmax(differs))
            return f"{name} of row {row} is {one[row]} in one answer and {other[row]} in the other"
    return (
        "" if left.level == right.level else f"the level is {left.level} in one answer and {right.level} in the other"
    )


def _same_bits(one: NDArray[Any], other: NDArray[Any]) -> Any:
    """Elementwise; arrays of one shape and kind."""
    if one.dtype.kind != "f" or one.dtype != other.dtype:
        return one == other
    size = one.dtype.itemsize
    ours, theirs = (np.ascontiguousarray(values).view(np.uint8).reshape(*one.shape, size) for values in (one, other))
    return (ours == theirs).all(axis=-1)


def assert_same(
    left: Evaluation, right: Evaluation, culprit: str = "an answer", expected: str = "equal answers"
) -> None:
    """Raises Nonconforming unless two answers are bit-identical, but for `cost_s`."""
    found = difference(left, right)
    expect(not found, culprit, found, expected)


def check_form(
    evaluator: Evaluator,
    answer: Evaluation,
    rows: int,
    *,
    intervals: bool | None = None,
    sources: Sequence[str] = (),
) -> None:
    """An answer for so many rows has the form that `Evaluation` describes. Raises Nonconforming.

    `intervals`: True, there is one for each metric; False, there is none; None, there may be. `sources` are names of
    other evaluators whose answers this one passes on under their names.
    """
    culprit = label(evaluator)
    expect(isinstance(answer, Evaluation), culprit, f"answered a {type(answer).__name__}", "an Evaluation")
    declared = set(evaluator.metrics)
    for field, names in (("metrics", set(answer.metrics)), ("source", set(answer.source))):
        text = f"{field} of {', '.join(sorted(names)) or 'nothing'} where {', '.join(sorted(declared))} are declared"
        expect(names == declared, culprit, text, "one of each declared metric")
    _rows(culprit, answer, rows)
    failed = answer.status == Status.FAILED
    _metrics(culprit, answer, failed, rows, evaluator)
    _intervals(culprit, answer, rows, intervals)
    _samples(culprit, answer, failed, rows)
    _violations(culprit, answer, failed, rows)
    for name, values in answer.source.items():
        _array(culprit, f"source of {name}", values, (rows,), "U")
        wanted = [f"{name}/" for name in (evaluator.name, *sources)]
        for text in values.tolist():
            owned = any(who in text for who in wanted)
            expect(owned, culprit, f"source '{text}' of {name}", f"a text with {' or '.join(wanted)}")


def _array(culprit: str, what: str, values: Any, shape: tuple[int, ...], kinds: str) -> None:
    """An array of this shape (-1: of any extent) and one of these kinds of numpy types."""
    found = isinstance(values, np.ndarray)
    expect(found, culprit, f"{what} is a {type(values).__name__}", "a numpy array")
    fits = values.ndim == len(shape) and all(w in (-1, s) for s, w in zip(values.shape, shape, strict=True))
    expect(fits, culprit, f"{what} has shape {values.shape}", f"shape {str(shape).replace('-1', 'any')}, one row each")
    expect(
        values.dtype.kind in kinds, culprit, f"{what} has type {values.dtype}", f"a type of kind {' or '.join(kinds)}"
    )


def _rows(culprit: str, answer: Evaluation, rows: int) -> None:
    """Status, reason, cost and level."""
    _array(culprit, "status", answer.status, (rows,), "iu")
    _array(culprit, "reason", answer.reason, (rows,), "U")
    _array(culprit, "cost_s", answer.cost_s, (rows,), "f")
    strange = ~np.isin(answer.status, [int(status) for status in Status])
    expect(not strange.any(), culprit, f"a status that does not exist in {rows_text(strange)}", "one of Status")
    silent = (answer.reason != "") != (answer.status != Status.OK)
    expect(
        not silent.any(), culprit, f"{rows_text(silent)} is OK with a reason or not OK without", "why a row is not OK"
    )
    long = np.array([len(text.splitlines()) > 1 for text in answer.reason.tolist()], dtype=bool)
    expect(not long.any(), culprit, f"a reason of several lines in {rows_text(long)}", "one line")
    unpaid = ~((answer.cost_s >= 0) & np.isfinite(answer.cost_s))
    expect(not unpaid.any(), culprit, f"cost_s of {rows_text(unpaid)} is no amount", "finite seconds of at least 0")
    expect(0 < answer.level < 1, culprit, f"a level of {answer.level}", "one between 0 and 1")


def _metrics(culprit: str, answer: Evaluation, failed: Bools, rows: int, evaluator: Evaluator) -> None:
    for name, values in answer.metrics.items():
        _array(culprit, name, values, (rows,), "f")
        expect(values.dtype == np.float64, culprit, f"{name} has type {values.dtype}", "float64")
        known = failed & ~np.isnan(values)
        expect(
            not known.any(), culprit, f"{name} of {rows_text(known)} is a number though FAILED", "NaN, which is unknown"
        )
        infinite = np.isinf(values)
        expect(
            not infinite.any(), culprit, f"{name} of {rows_text(infinite)} is infinite", "a number, or NaN for unknown"
        )
        if evaluator.metrics[name] == PROBABILITY:
            outside = (values < 0) | (values > 1)
            expect(not outside.any(), culprit, f"{name} of {rows_text(outside)} is none", "a probability of 0 to 1")


def _intervals(culprit: str, answer: Evaluation, rows: int, intervals: bool | None) -> None:
    names, metrics = set(answer.interval), set(answer.metrics)
    if intervals is None:
        expect(
            names <= metrics, culprit, f"intervals of {', '.join(sorted(names - metrics))}", "intervals of its metrics"
        )
    else:
        wanted = metrics if intervals else set()
        text = f"intervals of {', '.join(sorted(names)) or 'nothing'}"
        expect(names == wanted, culprit, text, f"intervals of {', '.join(sorted(wanted)) or 'nothing'}")
    for name, interval in answer.interval.items():
        _array(culprit, f"interval of {name}", interval, (rows, 2), "f")
        values, (low, high) = answer.metrics[name], interval.T
        known = ~np.isnan(values)
        outside = known & ~((low <= values) & (values <= high))
        expect(
            not outside.any(), culprit, f"{name} of {rows_text(outside)} is outside its interval", "the median inside"
        )
        bounded = ~known & ~(np.isnan(low) & np.isnan(high))
        expect(not bounded.any(), culprit, f"{name} of {rows_text(bounded)} is unknown and has an interval", "NaN, NaN")


def _samples(culprit: str, answer: Evaluation, failed: Bools, rows: int) -> None:
    extra = set(answer.samples) - set(answer.metrics)
    expect(not extra, culprit, f"samples of {', '.join(sorted(extra))}", "samples of its metrics")
    for name, values in answer.samples.items():
        _array(culprit, f"samples of {name}", values, (rows, -1), "f")
        known = failed & ~np.isnan(values).all(axis=1)
        expect(not known.any(), culprit, f"samples of {name} in {rows_text(known)}, which FAILED", "NaN")
    counts = {values.shape[1] for values in answer.samples.values()}
    expect(len(counts) <= 1, culprit, f"{sorted(counts)} samples of different metrics", "joint draws, as many of each")


def _violations(culprit: str, answer: Evaluation, failed: Bools, rows: int) -> None:
    broken = np.zeros(rows, dtype=bool)
    for name, values in answer.violation.items():
        _array(culprit, f"violation of {name}", values, (rows,), "f")
        wrong = ~failed & ~(values >= 0)
        expect(not wrong.any(), culprit, f"violation of {name} in {rows_text(wrong)} is no amount", "0 or more")
        broken |= ~failed & (values > 0)
    odd = broken != (answer.status == Status.INFEASIBLE)
    text = f"{rows_text(odd)} is INFEASIBLE without a violation, or has one and is not"
    expect(not odd.any(), culprit, text, "INFEASIBLE exactly where a constraint is broken")


def check_declared(evaluator: Evaluator) -> None:
    """Name, version, fidelity, and metrics with their units. Raises Nonconforming."""
    culprit = label(evaluator)
    for field in ("name", "version"):
        value = getattr(evaluator, field, None)
        expect(isinstance(value, str) and value, culprit, f"{field} is {value!r}", "a text")
    fidelity = getattr(evaluator, "fidelity", None)
    expect(
        isinstance(fidelity, int), culprit, f"fidelity is {fidelity!r}", "ANALYTIC, LEARNED, TRUE or a number between"
    )
    expect(evaluator.metrics, culprit, "declares no metrics", "metric -> unit")
    for name, unit in evaluator.metrics.items():
        expect(isinstance(unit, str) and unit, culprit, f"the unit of {name} is {unit!r}", "a text")
        known = METRICS[name].unit if name in METRICS else unit
        expect(unit == known, culprit, f"the unit of {name} is '{unit}'", f"'{known}', as in design/metrics.py")
