"""What a tool is asked about a design, and what it answers, in JSON: `StandardForm` for designs of any kind.

Asked: {"version": 1, "space", "task": {"name", "digest", "files": {role: file name}}, "design": {column: value},
"given": {column: value}, "id": hex key, "seed"}. `given` has what varies and is not chosen.
Answered: {"metrics": {name: number or null}, "valid": true, "reason": ""}. What is null or missing is unknown; at least
one metric must be a number, unless the design is not valid. Any other field is an error, so that a misspelt one is not
lost.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from design.contracts import Task
from design.core import Batch, Bools, Evaluation, Floats, Status
from design.metrics import metric_unit

VERSION = 1
FIELDS = ("metrics", "valid", "reason")
NOT_VALID = "the tool calls it not valid"
MOST = 2**63  # numbers are below


@dataclass(frozen=True)
class ToolAnswer:
    """What a tool answered about one design: `metrics` (NaN: unknown), or why there is no answer, in `fault`. `none`:
    it took the design and gave nothing that makes it one."""

    metrics: Mapping[str, float] = field(default_factory=dict)
    valid: bool = True
    reason: str = ""
    fault: str = ""
    none: bool = False

    def differs(self, other: ToolAnswer) -> str:
        """How another answer differs in what it says of the design, in a few words; "" where it does not."""
        for name in dict.fromkeys([*self.metrics, *other.metrics]):
            ours, theirs = self.metrics.get(name, math.nan), other.metrics.get(name, math.nan)
            if ours != theirs and not (math.isnan(ours) and math.isnan(theirs)):
                return f"{name} {_text(ours)} then {_text(theirs)}"
        for name, one, two in (("valid", self.valid, other.valid), ("no cycles", self.none, other.none)):
            if one != two:
                return f"{name} {one} then {two}".lower()
        return ""


class ToolForm(Protocol):
    """The questions and answers of one task's tools. `metrics` are the units of what `evaluation` has, `files` what
    stands in the tool's working directory, by name."""

    metrics: Mapping[str, str]
    files: Mapping[str, str]

    def accepts(self, batch: Batch) -> Bools:
        """(n,) which designs a tool can be asked about."""
        ...

    def request(self, one: Batch, key: str, seed: int) -> dict[str, Any]:
        """What a tool is asked about a design, a batch of one row."""
        ...

    def read(self, given: Mapping[str, Any]) -> ToolAnswer:
        """The answer that an object is; one with a fault where it is none."""
        ...

    def evaluation(self, answers: Sequence[ToolAnswer], seconds: Floats, source: str) -> Evaluation:
        """Answers about n designs, with the seconds (n,) that each took."""
        ...


class StandardForm:
    """See `ToolForm`. `space` is the name of the kind of design, `files` are by role and file name: {role: (name,
    text)}."""

    def __init__(self, task: Task, space: str, files: Mapping[str, tuple[str, str]] | None = None) -> None:
        self.task, self.space, self._files = task, space, dict(files or {})
        self.files: Mapping[str, str] = dict(self._files.values())
        self.metrics: Mapping[str, str] = {name: metric_unit(name) for name in task.metrics}

    def accepts(self, batch: Batch) -> Bools:
        """See `ToolForm`."""
        return np.ones(len(batch), dtype=bool)

    def request(self, one: Batch, key: str, seed: int) -> dict[str, Any]:
        """See `ToolForm`."""
        values = {column.name: one.columns[column.name][0].tolist() for column in self.task.schema.columns}
        given = {column.name for column in self.task.schema.columns if column.given}
        return {
            "version": VERSION,
            "space": self.space,
            "task": {
                "name": self.task.name,
                "digest": self.task.digest,
                "files": {role: name for role, (name, _) in self._files.items()},
            },
            "design": {name: value for name, value in values.items() if name not in given},
            "given": {name: value for name, value in values.items() if name in given},
            "id": key,
            "seed": seed,
        }

    def read(self, given: Mapping[str, Any]) -> ToolAnswer:
        """See `ToolForm`."""
        if unknown := sorted(set(given) - set(FIELDS)):
            return ToolAnswer(fault=f"the tool said {one_line(unknown[0])[:40]}, which is none of {', '.join(FIELDS)}")
        metrics = given.get("metrics", {})
        if not isinstance(metrics, dict):
            return ToolAnswer(fault="the tool said metrics that are no object")
        if odd := sorted(set(metrics) - set(self.task.metrics)):
            names = ", ".join(self.task.metrics)
            return ToolAnswer(fault=f"the tool said the metric {one_line(odd[0])[:40]}, which is none of {names}")
        numbers = {}
        for name in self.task.metrics:
            value = metrics.get(name)
            if value is not None and not is_number(value):
                shown = one_line(json.dumps(value))[:40]
                return ToolAnswer(fault=f"the tool said {name} {shown}, not a number of at least 0")
            numbers[name] = math.nan if value is None else float(value)
        return with_words(given, numbers, given.get("valid") is False)

    def evaluation(self, answers: Sequence[ToolAnswer], seconds: Floats, source: str) -> Evaluation:
        """See `ToolForm`. A design that is not valid is INFEASIBLE, with what is known of it; a metric that the tool
        did not give is unknown."""
        names = self.task.metrics
        table = np.array([[answer.metrics.get(name, math.nan) for name in names] for answer in answers])
        table = table.reshape(len(answers), len(names))
        failed = np.array([answer.fault != "" for answer in answers], dtype=bool)
        refused = np.array([not answer.valid or answer.none for answer in answers], dtype=bool)
        metrics = {name: np.where(failed, np.nan, table[:, place]) for place, name in enumerate(names)}
        reasons = [one.fault or (one.reason or NOT_VALID if not one.valid or one.none else "") for one in answers]
        return Evaluation(
            metrics=metrics,
            violation={"tool": np.where(failed, np.nan, refused.astype(np.float64))},
            status=np.where(failed, Status.FAILED, np.where(refused, Status.INFEASIBLE, Status.OK)).astype(np.int8),
            reason=np.array(reasons, dtype=str),
            cost_s=seconds,
            source=dict.fromkeys(names, np.full(len(answers), source)),
            interval={name: np.stack([values, values], axis=1) for name, values in metrics.items()},
        )


def with_words(given: Mapping[str, Any], numbers: Mapping[str, float], excused: bool) -> ToolAnswer:
    """The answer of numbers by metric with the words that stand beside them, `valid` and `reason`. One number at least
    must be known, unless that is `excused`."""
    valid, reason = given.get("valid", True), given.get("reason", "")
    if not isinstance(valid, bool) or not isinstance(reason, str):
        return ToolAnswer(fault="the tool said a valid or reason that is neither true nor false, or no text")
    if not excused and all(math.isnan(number) for number in numbers.values()):
        return ToolAnswer(fault=f"the tool said none of {', '.join(numbers)}")
    return ToolAnswer(numbers, valid, one_line(reason)[:160])


def parsed(output: bytes) -> Mapping[str, Any] | ToolAnswer:
    """The object that a tool wrote; an answer with a fault where it wrote none."""
    try:
        found = json.loads(output.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        begin = " ".join(output[:60].decode(errors="replace").split())
        what = "nothing" if not output.strip() else f"no JSON ({one_line(str(error))[:60]}): {one_line(begin)}"
        return ToolAnswer(fault=f"the tool said {what}")
    if not isinstance(found, dict):
        return ToolAnswer(fault=f"the tool said {one_line(json.dumps(found))[:60]}, no object")
    return found


def is_number(value: Any) -> bool:
    """Whether a JSON value is one that a metric can have."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < MOST


def one_line(text: str) -> str:
    """In one line, without what cannot be printed."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def _text(value: float) -> str:
    return "unknown" if math.isnan(value) else f"{value:.17g}"
