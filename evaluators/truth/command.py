"""Truth from a user's tool: a command that is run once a design, JSON on its standard input, JSON on its output.

It gets {"kernel": name, "source": "kernel.c", "tool", "device", "design": {parameter: "off" | "" | "flatten" | factor},
"id": hex key} and runs in a fresh working directory, where the kernel's source is kernel.c. It answers with one object:
  cycles                 a number above 0, or null: it gave none for this design (the design is infeasible)
  lut, ff, dsp, bram     numbers of at least 0; what is missing or null is unknown
  valid                  true or false; true where missing
  reason                 a text, why the design is not valid or has no cycles
At least cycles or one resource must be there. Any other field is an error, so that a misspelt one is not lost.
"""

from __future__ import annotations

import json
import math
import shlex
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from cost_model.hls.tool_answer import RESOURCES, UNITS, Said, hls_evaluation, shares_of
from design.contracts import TRUE
from design.core import Batch, Bools, Evaluation, Rows, gather, key_bytes
from design.errors import InputError
from design.hls.design import FLATTEN, OFF, Target, points_of
from design.hls.loop_nest import PIPELINE, Kernel
from evaluators.truth.tool import run_tool

SOURCE = "kernel.c"
NO_DESIGN = "has values that no directive takes"
NUMBERS = ("cycles", *RESOURCES)
FIELDS = (*NUMBERS, "valid", "reason")


@dataclass(frozen=True)
class Word:
    """What the tool said of one design: numbers (NaN: unknown), or why there are none. `none`: it took the design and
    gave no cycles."""

    numbers: tuple[float, ...] = (math.nan,) * len(NUMBERS)
    none: bool = False
    valid: bool = True
    reason: str = ""
    fault: str = ""

    def differs(self, other: Word) -> str:
        """How another answer differs in what it says of the design, in a few words; "" where it does not."""
        for name, ours, theirs in zip(NUMBERS, self.numbers, other.numbers, strict=True):
            if ours != theirs and not (math.isnan(ours) and math.isnan(theirs)):
                return f"{name} {_text(ours)} then {_text(theirs)}"
        for name, one, two in (("valid", self.valid, other.valid), ("no cycles", self.none, other.none)):
            if one != two:
                return f"{name} {one} then {two}".lower()
        return ""


def _text(value: float) -> str:
    return "unknown" if math.isnan(value) else f"{value:.17g}"


class CommandTruth:
    """A user's command as truth for a kernel and a target.

    Words of the command that are files, from where this program stands, are handed on by their full path; nothing is
    read by a shell. Working directories are made in `folder` and removed afterwards, unless `keep`. A run that takes
    longer than `timeout_s`, ends badly or says what is no answer is tried again `retries` times; then the design is
    FAILED. With `repeat` every design is run so many times, and FAILED where the answers differ. `memory_bytes` limits
    each process of the tool, `environment` is added to this program's.

    `version` names the tool's version; by default it is a digest of the command and of the files that it names, so that
    another tool is another truth. `call_cost` is that of a call, all its runs together. It can be pickled, and holds
    nothing that a design leaves for the next. Raises InputError for a command that cannot be one.
    """

    fidelity = TRUE
    metrics: Mapping[str, str] = UNITS

    def __init__(
        self,
        command: str,
        kernel: Kernel,
        target: Target,
        folder: Path,
        timeout_s: float = 3600.0,
        retries: int = 1,
        repeat: int = 1,
        call_cost: float = 1.0,
        memory_bytes: int | None = None,
        environment: Mapping[str, str] | None = None,
        keep: bool = False,
        version: str | None = None,
        name: str = "command",
    ) -> None:
        self._words, digest = _words(command)
        self.name, self.call_cost = name, call_cost
        self.version = version or digest + (f"x{repeat}" if repeat > 1 else "")
        self._kernel, self._target, self._folder = kernel, target, folder.absolute()
        self._timeout_s, self._retries, self._repeat, self._keep = timeout_s, retries, repeat, keep
        self._memory_bytes, self._environment = memory_bytes, environment
        self._gone = threading.Event()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_gone"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._gone = threading.Event()

    def accepts(self, batch: Batch) -> Bools:
        """See `Truth`."""
        sold = np.ones(len(batch), dtype=bool)
        for parameter in self._kernel.parameters:
            values = batch.columns[parameter.name]
            pipeline = parameter.kind == PIPELINE
            sold &= (values >= OFF) & (values <= FLATTEN) if pipeline else values >= 1
        return sold

    def cancel(self) -> None:
        """See `Truth`."""
        gone, self._gone = self._gone, threading.Event()
        gone.set()

    def evaluate(self, batch: Batch, *, seed: int) -> Evaluation:
        """See `Evaluator`. One design after another: `bought.CachedTruth` has several at once."""
        return gather(list(self.stream(batch, seed=seed)), len(batch))

    def stream(self, batch: Batch, *, seed: int) -> Iterator[tuple[Rows, Evaluation]]:
        """See `Evaluator`."""
        gone, sold = self._gone, self.accepts(batch)
        rows = np.flatnonzero(~sold)
        if len(rows) or not len(batch):
            yield rows, self._evaluation([Word(fault=NO_DESIGN)] * len(rows), [0.0] * len(rows))
        for row in np.flatnonzero(sold).tolist():
            one = batch.take(np.array([row]))
            (point,), (key,) = points_of(self._kernel, one), key_bytes(one.schema.key(one))
            word, seconds = self._word(point, key.hex(), gone)
            yield np.array([row]), self._evaluation([word], [seconds])

    def _word(self, point: Mapping[str, str | int], key: str, gone: threading.Event) -> tuple[Word, float]:
        """What the tool says of a design, and the seconds of all its runs."""
        word, spent = self._tried(point, key, gone)
        for _ in range(self._repeat - 1):
            if word.fault:
                break
            other, seconds = self._tried(point, key, gone)
            spent += seconds
            if other.fault:
                word = other
            elif difference := word.differs(other):
                word = Word(fault=f"answered differently: {difference}")
        return word, spent

    def _tried(self, point: Mapping[str, str | int], key: str, gone: threading.Event) -> tuple[Word, float]:
        spent = 0.0
        for left in range(self._retries, -1, -1):
            word, seconds = self._once(point, key, gone)
            spent += seconds
            if not word.fault or not left:
                break
        return word, spent

    def _once(self, point: Mapping[str, str | int], key: str, gone: threading.Event) -> tuple[Word, float]:
        self._folder.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{key[:12]}-", dir=self._folder))
        try:
            (folder / SOURCE).write_text(self._kernel.source, encoding="utf-8")
            about = {"kernel": self._kernel.name, "source": SOURCE}
            aim = {"tool": self._target.tool, "device": self._target.device.name}
            request = json.dumps({**about, **aim, "design": dict(point), "id": key}).encode()
            limits = (self._timeout_s, self._memory_bytes, self._environment)
            run = run_tool(self._words, folder, request, *limits, gone)
        finally:
            if not self._keep:
                shutil.rmtree(folder, ignore_errors=True)
        return (Word(fault=f"the tool {run.fault}") if run.fault else read_answer(run.output)), run.seconds

    def _evaluation(self, words: list[Word], seconds: list[float]) -> Evaluation:
        table = np.array([word.numbers for word in words]).reshape(len(words), len(NUMBERS))
        counts = {name: table[:, 1 + i] for i, name in enumerate(RESOURCES)}
        said = Said(
            cycles=table[:, 0],
            counts=counts,
            shares=shares_of(counts, self._target.device),
            valid=np.array([word.valid for word in words], dtype=bool),
            none=np.array([word.none for word in words], dtype=bool),
            reason=np.array([word.reason for word in words], dtype=str),
            fault=np.array([word.fault for word in words], dtype=str),
            cost_s=np.array(seconds, dtype=np.float64),
        )
        return hls_evaluation(said, self._target.device, f"{self.name}/{self.version}")


def _words(command: str) -> tuple[list[str], str]:
    """The words of a command, files by their full path, and a digest of the words and of what is in those files."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise InputError("--truth", f"the command cannot be read ({error})", "words as a shell splits them") from None
    if not words or shutil.which(words[0]) is None:
        found = f"no program '{words[0]}'" if words else "no command"
        raise InputError("--truth", found, "a command, its program by path or on PATH")
    state = blake2b(digest_size=4)
    for number, word in enumerate(words):
        path = Path(word)
        if path.is_file() and (number or "/" in word):
            words[number] = str(path.absolute())
            try:
                content = path.read_bytes()
            except OSError as error:
                raise InputError.unreadable(word, error, "a file that can be read") from None
            state.update(b"file" + blake2b(content).digest())
        else:
            state.update(b"word" + blake2b(word.encode(errors="surrogateescape")).digest())
    return words, state.hexdigest()


def read_answer(output: bytes) -> Word:
    """What the tool said, from its output; with a fault where that is no answer."""
    try:
        said = json.loads(output.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        begin = " ".join(output[:60].decode(errors="replace").split())
        said_so = "nothing" if not output.strip() else f"no JSON ({_line(str(error))[:60]}): {_line(begin)}"
        return Word(fault=f"the tool said {said_so}")
    if not isinstance(said, dict):
        return Word(fault=f"the tool said {_line(json.dumps(said))[:60]}, no object")
    if unknown := sorted(set(said) - set(FIELDS)):
        return Word(fault=f"the tool said {_line(unknown[0])[:40]}, which is none of {', '.join(FIELDS)}")
    numbers = []
    for name in NUMBERS:
        value = said.get(name)
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 2**63
        if value is not None and (not number or (name == "cycles" and value == 0)):
            least = "a number above 0 or null" if name == "cycles" else "a number of at least 0"
            return Word(fault=f"the tool said {name} {_line(json.dumps(value))[:40]}, not {least}")
        numbers.append(math.nan if value is None else float(value))
    valid, reason = said.get("valid", True), said.get("reason", "")
    if not isinstance(valid, bool) or not isinstance(reason, str):
        return Word(fault="the tool said a valid or reason that is neither true nor false, or no text")
    none = "cycles" in said and said["cycles"] is None
    if not none and all(math.isnan(number) for number in numbers):
        return Word(fault=f"the tool said none of {', '.join(NUMBERS)}")
    return Word(tuple(numbers), none, valid, _line(reason)[:160])


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def _line(text: str) -> str:
    """In one line, without what cannot be printed."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
