"""What can go wrong with an evaluator, and the form that its answers must have.

An evaluator is often someone else's program. Whatever it does to some rows, the others still get their answers:
`answer_of` turns every fault into a value, `checked` finds answers that are none, `failed` is the answer for rows
that have none.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from design.contracts import Evaluator
from design.core import Batch, Evaluation, Status, gather
from design.errors import Late, in_one_line


class Kind(Enum):
    """How an evaluator can fail to answer."""

    RAISED = "raised"  # an exception
    MALFORMED = "malformed"  # an answer for other rows, or of another form, than was asked
    LATE = "late"  # no answer within the time limit
    LOST = "lost"  # the worker process is gone


@dataclass(frozen=True)
class Fault:
    """Why rows have no answer; `text` is one line for people."""

    kind: Kind
    text: str


@dataclass(frozen=True)
class Answered:
    """An answer or a fault, with the wall and CPU seconds that it took where it was made."""

    answer: Evaluation | Fault
    wall_s: float
    cpu_s: float


def answer_of(evaluator: Evaluator, batch: Batch, seed: int) -> Answered:
    """Drain an evaluator's stream. An exception becomes a fault, unless it is meant for the program itself."""
    wall, cpu = time.monotonic(), time.process_time()
    try:
        pieces = list(evaluator.stream(batch, seed=seed))
    except (KeyboardInterrupt, Late):
        raise
    except BaseException as error:  # an evaluator's exit is its own, and extension modules panic with no `Exception`
        answer: Evaluation | Fault = Fault(Kind.RAISED, in_one_line(error))
    else:
        try:
            answer = gather(pieces, len(batch))
        except Exception as error:  # pieces are whatever the evaluator made up
            answer = Fault(Kind.MALFORMED, in_one_line(error))
    return Answered(answer, time.monotonic() - wall, time.process_time() - cpu)


NUMBERS: tuple[str, tuple[int, ...]] = ("fiu", ())
FORMS: dict[str, tuple[str, tuple[int, ...]]] = {  # field -> kinds of numpy types, values a row (0: any number)
    "status": ("iu", ()),
    "reason": ("U", ()),
    "source": ("U", ()),
    "interval": ("fiu", (2,)),
    "samples": ("fiu", (0,)),
}


def checked(answer: Evaluation, evaluator: Evaluator, rows: int, needs: Sequence[str]) -> Evaluation | Fault:
    """The answer with rows that claim to be sound but lack a needed metric marked FAILED; a fault where it has not
    the form of an answer for so many rows."""
    missing = [name for name in evaluator.metrics if name not in answer.metrics or name not in answer.source]
    if missing:
        return Fault(Kind.MALFORMED, f"answered without {missing[0]}, which it says it knows")
    for field, named in answer.per_row().items():
        for name, values in named.items():
            kinds, shape = FORMS.get(field, NUMBERS)
            found = np.shape(values)
            if len(found) != 1 + len(shape) or found[0] != rows or (shape > (0,) and found[1:] != shape):
                return Fault(Kind.MALFORMED, f"answered {name or field} of shape {found} for {rows} rows")
            if values.dtype.kind not in kinds:
                return Fault(Kind.MALFORMED, f"answered {name or field} of type {values.dtype}")
    if not np.isin(answer.status, [int(status) for status in Status]).all():
        return Fault(Kind.MALFORMED, "answered with a status that does not exist")
    return _without_unsound(answer, needs)


def _without_unsound(answer: Evaluation, needs: Sequence[str]) -> Evaluation:
    """Rows FAILED that are said to be OK and lack a number. Those that the evaluator fails itself are brought into
    form: unknown metrics, a reason of one line."""
    said = answer.status != Status.FAILED
    reason = np.full(len(answer), "", dtype=object)
    for row in np.flatnonzero(~said):
        reason[row] = " ".join(str(answer.reason[row]).split()) or "failed without a reason"
    for name, values in answer.violation.items():
        reason[said & ~(values >= 0)] = f"gave no amount for {name}"
    for name in needs:
        reason[(answer.status == Status.OK) & ~np.isfinite(answer.metrics[name])] = f"gave no finite {name}"
    unsound = reason != ""
    if not unsound.any():
        return answer
    blank = {name: np.where(unsound, np.nan, values) for name, values in answer.metrics.items()}
    return replace(
        answer,
        metrics=blank,
        interval={name: np.where(unsound[:, None], np.nan, values) for name, values in answer.interval.items()},
        samples={name: np.where(unsound[:, None], np.nan, values) for name, values in answer.samples.items()},
        status=np.where(unsound, Status.FAILED, answer.status).astype(np.int8),
        reason=np.where(unsound, reason, answer.reason).astype(str),
        cost_s=np.where(unsound & ~(answer.cost_s >= 0), 0.0, answer.cost_s),
    )


def failed(evaluator: Evaluator, rows: int, reason: str, cost_s: float) -> Evaluation:
    """The answer for rows that the evaluator could not answer: FAILED, everything unknown."""
    unknown = {name: np.full(rows, np.nan) for name in evaluator.metrics}
    source = np.full(rows, f"{evaluator.name}/{evaluator.version}")
    return Evaluation(
        metrics=unknown,
        violation={},
        status=np.full(rows, Status.FAILED, dtype=np.int8),
        reason=np.full(rows, reason),
        cost_s=np.full(rows, cost_s),
        source=dict.fromkeys(evaluator.metrics, source),
        interval={name: np.stack([values, values], axis=1) for name, values in unknown.items()},
    )
