"""What every evaluator keeps to, and every truth and conditioned surrogate with it.

    check_evaluator(evaluator, batch)                      declaration, form, order, company, seed, pieces, pickling
    check_spoiled(evaluator, batch, {"column": value})     bad candidates are FAILED and disturb no other
    check_sent(evaluator, batch)                           the same from another process, to which it is sent
    check_other_process("some.module:make")                the same from another process, in which it is made

`python -m design.conformance.evaluator MODULE:FACTORY [SEED]` prints a digest of the keys and the answer for what the
factory makes, (evaluator, batch): the same text in every process and on every machine of one kind.
"""

from __future__ import annotations

import importlib
import os
import pickle
import random
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np

from design.conformance.answers import assert_same, check_declared, check_form, compared
from design.conformance.nonconforming import Nonconforming, expect, label
from design.contracts import Evaluator
from design.core import Batch, Evaluation, Rows, Status, gather
from design.errors import in_one_line

ONE_BY_ONE = 20  # rows of a batch that are asked for by themselves
HASH_SEEDS = ("1", "2")  # two, as this process may have one of them
SENT = "-"  # in place of a factory: evaluator and batch come pickled on standard input


@dataclass(frozen=True)
class Case:
    """An evaluator and what it is asked; see `check_evaluator`."""

    evaluator: Evaluator
    batch: Batch
    seed: int = 0
    intervals: bool | None = True
    sources: Sequence[str] = ()
    pickled: bool = True

    def ask(self, batch: Batch, what: str, seed: int | None = None) -> Evaluation:
        """The answer for a batch. Raises Nonconforming where there is an exception instead."""
        try:
            return self.evaluator.evaluate(batch, seed=self.seed if seed is None else seed)
        except Exception as error:
            text = f"raised {in_one_line(error)} for {what}"
            raise Nonconforming(
                label(self.evaluator), text, "an answer; what is bad about a row is its status"
            ) from error

    def same(self, rows: Rows, what: str, seed: int | None = None) -> None:
        """Raises Nonconforming unless rows of the batch, asked for in this order, have the answers they have in it."""
        whole = self.answer if seed is None else self.ask(self.batch, "the batch under another seed", seed)
        answer = self.ask(self.batch.take(rows), what, seed)
        expect(len(answer) == len(rows), label(self.evaluator), f"{len(answer)} answers for {what}", f"{len(rows)}")
        assert_same(answer, whole.take(rows), f"{label(self.evaluator)}, asked for {what}", "the answers of the batch")

    @cached_property
    def answer(self) -> Evaluation:
        """To the whole batch."""
        return self.ask(self.batch, "the batch")


def case_of(
    evaluator: Evaluator,
    batch: Batch,
    seed: int = 0,
    intervals: bool | None = True,
    sources: Sequence[str] = (),
    pickled: bool = True,
) -> Case:
    """See `check_evaluator`. The batch is copied, its copy read-only."""
    if len(batch) < 2:
        raise ValueError(f"a batch of {len(batch)} rows shows no order; give at least 2, better 10")
    columns = {name: values.copy() for name, values in batch.columns.items()}
    for values in columns.values():
        values.setflags(write=False)
    return Case(evaluator, Batch(batch.schema, columns), seed, intervals, sources, pickled)


def check_evaluator(
    evaluator: Evaluator,
    batch: Batch,
    seed: int = 0,
    *,
    intervals: bool | None = True,
    sources: Sequence[str] = (),
    pickled: bool = True,
) -> None:
    """All laws that need no bad candidate and no other process, on a batch of at least two rows.

    `intervals`: the evaluator states one for each metric (exact values have zero width); False, it learned, knows no
    uncertainty and states none; None, it states those that it knows. `sources` are the names of other evaluators whose
    answers it passes on under their names. `pickled`: it can be pickled; what holds a file or a connection cannot.

    A batch of n rows costs about eight evaluations of it and one of each of its first twenty rows. Raises Nonconforming
    for what breaks a law, ValueError for a batch too small to tell.
    """
    case = case_of(evaluator, batch, seed, intervals, sources, pickled)
    for law in LAWS.values():
        law(case)


def _declares(case: Case) -> None:
    """Name, version, fidelity, metrics with units."""
    check_declared(case.evaluator)


def _form(case: Case) -> None:
    """Shapes, statuses and NaN, intervals around values, amounts of violations, sources."""
    for rows in (len(case.batch), 0):
        answer = case.ask(case.batch.take(slice(rows)), f"{rows} rows")
        check_form(case.evaluator, answer, rows, intervals=case.intervals, sources=case.sources)


def _argument(case: Case) -> None:
    """What it is asked is not written into, also where that can be written into."""
    batch = case.batch.take(np.arange(len(case.batch)))
    case.ask(batch, "the batch")
    for name, values in batch.columns.items():
        same = values.tobytes() == case.batch.columns[name].tobytes()
        expect(same, label(case.evaluator), f"wrote into column {name} of the batch", "arguments left as they are")


def _repeats(case: Case) -> None:
    """The same again under one seed, whatever was asked between; an answer that was given is not written into."""
    everything, culprit = np.arange(len(case.batch)), label(case.evaluator)
    kept = case.answer.take(everything)
    saved = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        # Drawn from first, so that one that seeds it with its seed does not find it so.
        random.random(), np.random.random()  # noqa: NPY002
        before = _random_state()
        case.same(everything, "the batch again")
        same = _random_state() == before
    finally:
        random.setstate(saved[0])
        np.random.set_state(saved[1])  # noqa: NPY002
    expect(same, culprit, "changes the random state of the process", "generators of its own, from the seed")
    case.same(everything[::-1], "the batch in reverse under another seed", case.seed + 1)
    assert_same(case.answer, kept, f"{culprit}, in an answer given before", "answers that stay as they were given")
    case.same(everything, "the batch after another seed")


def _random_state() -> bytes:
    """Of the generators that the process has."""
    return pickle.dumps((random.getstate(), np.random.get_state()))  # noqa: NPY002


def _company(case: Case) -> None:
    """A row has one answer: in any order, among any others, beside itself, by itself; and no rows have none."""
    shuffled = np.random.default_rng(case.seed).permutation(len(case.batch))
    some = shuffled[: len(shuffled) // 2]
    case.same(shuffled, "the batch in another order")
    case.same(some, "some rows of it")
    case.same(some[:0], "no rows")
    case.same(np.repeat(some, 2), "rows twice")
    for row in range(min(len(case.batch), ONE_BY_ONE)):
        case.same(np.array([row]), f"row {row} by itself")


def _stream(case: Case) -> None:
    """The pieces of the stream cover every row once, and gathered they are the answer."""
    culprit = f"{label(case.evaluator)}, in its stream"
    for batch, what in ((case.batch, "the batch"), (case.batch.take(slice(0)), "no rows")):
        try:
            pieces = list(case.evaluator.stream(batch, seed=case.seed))
            answer = gather(pieces, len(batch))
        except Exception as error:
            text = f"raised {in_one_line(error)} for {what}"
            raise Nonconforming(culprit, text, "pieces that have every row once; for no rows, one of none") from error
        assert_same(answer, case.ask(batch, what), culprit, "what `evaluate` answers")


def _pickles(case: Case) -> None:
    """A copy that was pickled answers the same. A class of a test's own function cannot be; those of a module can."""
    if not case.pickled:
        return
    culprit = f"{label(case.evaluator)}, pickled and read again"
    try:
        copy = pickle.loads(pickle.dumps(case.evaluator))
    except Exception as error:
        raise Nonconforming(culprit, f"raised {in_one_line(error)}", "an evaluator that workers can be sent") from error
    other = Case(copy, case.batch, case.seed)
    assert_same(other.ask(case.batch, "the batch, as a copy"), case.answer, culprit, "the same answers")


LAWS: dict[str, Callable[[Case], None]] = {
    "declares": _declares,
    "form": _form,
    "argument": _argument,
    "repeats": _repeats,
    "company": _company,
    "stream": _stream,
    "pickles": _pickles,
}


def check_spoiled(
    evaluator: Evaluator, batch: Batch, spoiled: Mapping[str, Any], seed: int = 0, *, sources: Sequence[str] = ()
) -> None:
    """Row 1 of a sound batch with `spoiled` columns is FAILED with a reason and no metrics; all others keep their
    answers. Raises Nonconforming."""
    case = case_of(evaluator, batch, seed, None, sources)
    columns = {name: values.copy() for name, values in batch.columns.items()}
    for name, value in spoiled.items():
        columns[name][1] = value
    culprit = f"{label(evaluator)}, asked for a design with {dict(spoiled)}"
    bad = case.ask(Batch(batch.schema, columns), f"a design with {dict(spoiled)}")
    check_form(evaluator, bad, len(batch), sources=sources)
    expect(
        bad.status[1] == Status.FAILED, culprit, f"status {Status(int(bad.status[1])).name}", "FAILED, with a reason"
    )
    others = np.delete(np.arange(len(batch)), 1)
    assert_same(
        bad.take(others), case.answer.take(others), f"{culprit}, in another row", "the answers beside a sound one"
    )


def check_sent(evaluator: Evaluator, batch: Batch, seed: int = 0) -> None:
    """The same bytes, keys included, from new processes under other hash seeds that evaluator and batch are pickled to.
    Raises Nonconforming."""
    culprit = f"{label(evaluator)}, sent to another process"
    try:
        sent = pickle.dumps((evaluator, batch))
    except Exception as error:
        raise Nonconforming(culprit, f"raised {in_one_line(error)}", "what can be pickled") from error
    _everywhere(culprit, digest_of(evaluator, batch, seed), SENT, sent, seed)


def check_other_process(factory: str, seed: int = 0) -> None:
    """The same bytes, keys included, from new processes under other hash seeds. `factory` is module:function, which
    gives (evaluator, batch). Raises Nonconforming."""
    _everywhere(f"{factory}, in another process", digest(factory, seed), factory, b"", seed)


def _everywhere(culprit: str, here: str, word: str, sent: bytes, seed: int) -> None:
    """New processes find the modules that this one finds; `here` is the digest that they are to print last."""
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    for hash_seed in HASH_SEEDS:
        environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": path}
        command = [sys.executable, "-P", "-m", __name__, word, str(seed)]
        ran = subprocess.run(command, input=sent, env=environment, capture_output=True)
        last = (ran.stderr.decode(errors="replace").strip().splitlines() or ["without a message"])[-1]
        expect(ran.returncode == 0, culprit, f"ended with exit status {ran.returncode}: {last}", "an answer")
        there = (ran.stdout.decode().split() or [""])[-1]
        expect(there == here, culprit, f"other keys or answers under PYTHONHASHSEED={hash_seed}", "the same bytes")


def digest(factory: str, seed: int = 0) -> str:
    """Hex digest of the keys and the answer for what module:function gives, (evaluator, batch)."""
    module, _, name = factory.partition(":")
    evaluator, batch = getattr(importlib.import_module(module), name)()
    return digest_of(evaluator, batch, seed)


def digest_of(evaluator: Evaluator, batch: Batch, seed: int = 0) -> str:
    """Hex digest of the keys and the answer."""
    state = sha256(batch.schema.key(batch).tobytes())
    for field, values in compared(evaluator.evaluate(batch, seed=seed)):
        state.update(repr((field, values.dtype.kind, values.shape)).encode())
        state.update(repr(values.tolist()).encode() if values.dtype.kind == "U" else values.tobytes())
    return state.hexdigest()


def main(words: Sequence[str]) -> int:
    """See the top of this file. Returns the exit code: 2 where the words are no command."""
    known = len(words) in (1, 2) and (":" in words[0] or words[0] == SENT) and all(w.isdecimal() for w in words[1:])
    if not known:
        print("usage: python -m design.conformance.evaluator MODULE:FACTORY [SEED]", file=sys.stderr)
        return 2
    seed = int(words[1]) if words[1:] else 0
    if words[0] == SENT:
        evaluator, batch = pickle.load(sys.stdin.buffer)
        print(digest_of(evaluator, batch, seed))
    else:
        print(digest(words[0], seed))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
