"""Truth from a user's tool: a command that is run once a design, JSON on its standard input, JSON on its output.

What is asked and answered is said by a `ToolForm` (`design/tool_form.py`). The tool runs in a fresh working directory,
in which the form's files stand.
"""

from __future__ import annotations

import json
import shlex
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from design.contracts import TRUE
from design.core import Batch, Bools, Evaluation, Rows, gather, key_bytes
from design.errors import InputError
from design.tool_form import ToolAnswer, ToolForm, parsed
from evaluators.truth.tool import run_tool

NOT_ACCEPTED = "has values that no directive takes"


class CommandTruth:
    """A user's command as truth for the designs that a form knows.

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

    def __init__(
        self,
        command: str,
        form: ToolForm,
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
        self._form, self._folder = form, folder.absolute()
        self.metrics: Mapping[str, str] = form.metrics
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
        return self._form.accepts(batch)

    def cancel(self) -> None:
        """See `Truth`."""
        gone, self._gone = self._gone, threading.Event()
        gone.set()

    def evaluate(self, batch: Batch, *, seed: int) -> Evaluation:
        """See `Evaluator`. One design after another: `bought.CachedTruth` has several at once."""
        return gather(list(self.stream(batch, seed=seed)), len(batch))

    def stream(self, batch: Batch, *, seed: int) -> Iterator[tuple[Rows, Evaluation]]:
        """See `Evaluator`."""
        gone, accepted = self._gone, self.accepts(batch)
        rows = np.flatnonzero(~accepted)
        if len(rows) or not len(batch):
            yield rows, self._evaluation([ToolAnswer(fault=NOT_ACCEPTED)] * len(rows), [0.0] * len(rows))
        for row in np.flatnonzero(accepted).tolist():
            one = batch.take(np.array([row]))
            answer, seconds = self._answer(one, seed, gone)
            yield np.array([row]), self._evaluation([answer], [seconds])

    def _answer(self, one: Batch, seed: int, gone: threading.Event) -> tuple[ToolAnswer, float]:
        """What the tool answers about a design, and the seconds of all its runs."""
        answer, spent = self._tried(one, seed, gone)
        for _ in range(self._repeat - 1):
            if answer.fault:
                break
            other, seconds = self._tried(one, seed, gone)
            spent += seconds
            if other.fault:
                answer = other
            elif difference := answer.differs(other):
                answer = ToolAnswer(fault=f"answered differently: {difference}")
        return answer, spent

    def _tried(self, one: Batch, seed: int, gone: threading.Event) -> tuple[ToolAnswer, float]:
        spent = 0.0
        for left in range(self._retries, -1, -1):
            answer, seconds = self._once(one, seed, gone)
            spent += seconds
            if not answer.fault or not left:
                break
        return answer, spent

    def _once(self, one: Batch, seed: int, gone: threading.Event) -> tuple[ToolAnswer, float]:
        key = key_bytes(one.schema.key(one))[0].hex()
        self._folder.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{key[:12]}-", dir=self._folder))
        try:
            for name, text in self._form.files.items():
                (folder / name).write_text(text, encoding="utf-8")
            request = json.dumps(self._form.request(one, key, seed)).encode()
            limits = (self._timeout_s, self._memory_bytes, self._environment)
            run = run_tool(self._words, folder, request, *limits, gone)
        finally:
            if not self._keep:
                shutil.rmtree(folder, ignore_errors=True)
        return (ToolAnswer(fault=f"the tool {run.fault}") if run.fault else self.read(run.output)), run.seconds

    def read(self, output: bytes) -> ToolAnswer:
        """What the tool answered, from its output; with a fault where that is no answer."""
        found = parsed(output)
        return found if isinstance(found, ToolAnswer) else self._form.read(found)

    def _evaluation(self, answers: list[ToolAnswer], seconds: list[float]) -> Evaluation:
        return self._form.evaluation(answers, np.array(seconds, dtype=np.float64), f"{self.name}/{self.version}")


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
