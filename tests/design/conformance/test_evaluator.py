"""The suite of evaluators passes what is sound, and finds each of these faults and names it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from design.conformance import evaluator as suite
from design.conformance.answers import assert_same, difference
from design.conformance.evaluator import check_evaluator, check_other_process, check_sent, check_spoiled
from design.conformance.nonconforming import Nonconforming
from design.core import Batch, Evaluation, Status
from tests.cases import ROOT
from tests.design.conformance.toys import OddStream, Toy, designs
from tests.evaluators.execution import faulty


def changed(**fields: Callable[[Evaluation], Any]) -> Callable[[Toy, Batch, int, Evaluation], Any]:
    """A fault that puts other values into fields of an answer."""
    return lambda toy, batch, seed, answer: replace(answer, **{name: make(answer) for name, make in fields.items()})


def latency(make: Callable[[Toy, Batch, int, Any], Any]) -> Callable[[Toy, Batch, int, Evaluation], Any]:
    """A fault in the latency, which keeps its interval around it."""

    def fault(toy: Toy, batch: Batch, seed: int, answer: Evaluation) -> Evaluation:
        values = make(toy, batch, seed, answer.metrics["latency_s"].copy())
        interval = np.stack([values, values], axis=1)
        return replace(
            answer,
            metrics={**answer.metrics, "latency_s": values},
            interval={**answer.interval, "latency_s": interval},
        )

    return fault


def overwritten(toy: Toy, batch: Batch, seed: int, answer: Evaluation) -> Any:
    """Under another seed, answers that were given before are written into."""
    given = toy.kept.setdefault("given", [])
    for old, before in given:
        if old != seed:
            before.metrics["latency_s"][:1] *= 1.0000001
    given.append((seed, answer))
    return answer


def highest(toy: Toy, batch: Batch, seed: int, values: Any) -> Any:
    """By the highest seed that there was."""
    toy.kept["highest"] = max(seed, toy.kept.get("highest", 0))
    return values + toy.kept["highest"]


def writes(toy: Toy, batch: Batch, seed: int, answer: Evaluation) -> Any:
    """Into its argument, where that can be."""
    if batch.columns["size"].flags.writeable:
        batch.columns["size"][...] = 0
    return answer


def reseeds(toy: Toy, batch: Batch, seed: int, answer: Evaluation) -> Any:
    """The process's generator, so that its own draws repeat."""
    np.random.seed(seed)  # noqa: NPY002
    return answer


def raises(toy: Toy, batch: Batch, seed: int, answer: Evaluation) -> Any:
    """For no rows."""
    if not len(batch):
        raise IndexError("nothing")
    return answer


def set_in(name: str, row: int, value: Any) -> Callable[[Evaluation], Any]:
    """A field of one array with a value in a row."""

    def make(answer: Evaluation) -> Any:
        values = np.array(getattr(answer, name), dtype=object if name == "reason" else None)
        values[row : row + 1] = value
        return values.astype(str) if name == "reason" else values

    return make


def of_latency(name: str, make: Callable[[Evaluation, Any], Any]) -> Callable[[Evaluation], Any]:
    """A field by metric with another array for latency."""
    return lambda answer: {**getattr(answer, name), "latency_s": make(answer, getattr(answer, name).get("latency_s"))}


def in_row(row: int, value: float) -> Callable[[Evaluation, Any], Any]:
    """Values with one in a row."""

    def make(answer: Evaluation, values: Any) -> Any:
        values = values.copy()
        values[row : row + 1] = value
        return values

    return make


FAILED = 24  # the row of designs(bad=1) that is none
FAULTS: dict[str, tuple[Any, str]] = {
    "order": (latency(lambda t, b, s, v: v + np.arange(len(v))), "asked for .* latency_s of row"),
    "company": (
        latency(lambda t, b, s, v: v - np.nanmin(v, initial=9)),
        "asked for .*expected the answers of the batch",
    ),
    "number of rows": (latency(lambda t, b, s, v: v + len(v)), "asked for some rows of it"),
    "one row by itself": (latency(lambda t, b, s, v: v + (len(v) == 1)), "asked for row 0 by itself"),
    "state": (latency(lambda t, b, s, v: v + t.asked), "asked for the batch again"),
    "chance": (latency(lambda t, b, s, v: v + np.random.random()), "asked for the batch again"),  # noqa: NPY002
    "what seed came before": (
        latency(highest),
        "asked for the batch after another seed",
    ),
    "random state": (reseeds, "changes the random state of the process"),
    "overwritten": (overwritten, "in an answer given before"),
    "writes": (writes, "wrote into column size"),
    "no rows": (raises, "raised IndexError: nothing .* for 0 rows"),
    "no answer": (lambda t, b, s, a: None, "answered a NoneType; expected an Evaluation"),
    "shorter": (lambda t, b, s, a: a.take(slice(1, None)), r"status has shape \(24,\)"),
    "shape of a metric": (changed(metrics=of_latency("metrics", lambda a, v: v[:, None])), r"latency_s has shape"),
    "type of a metric": (changed(metrics=of_latency("metrics", lambda a, v: v.astype("f4"))), "type float32"),
    "a list": (changed(metrics=of_latency("metrics", lambda a, v: v.tolist())), "latency_s is a list"),
    "a metric less": (changed(metrics=lambda a: {"area_mm2": a.metrics["area_mm2"]}), "metrics of area_mm2 where"),
    "a metric more": (changed(metrics=lambda a: {**a.metrics, "cycles": a.metrics["area_mm2"]}), "area_mm2, cycles"),
    "a source less": (changed(source=lambda a: {}), "source of nothing where"),
    "another source": (changed(source=lambda a: dict.fromkeys(a.source, np.full(len(a), "tool/1"))), "source 'tool/1'"),
    "FAILED with numbers": (
        changed(metrics=of_latency("metrics", in_row(FAILED, 1.0))),
        "row 24 is a number though FAILED",
    ),
    "FAILED with an interval": (changed(interval=of_latency("interval", in_row(FAILED, 1.0))), "has an interval"),
    "FAILED with samples": (
        changed(samples=lambda a: {"latency_s": np.ones((len(a), 3))}),
        "samples of latency_s in row 24",
    ),
    "FAILED with no reason": (changed(reason=set_in("reason", FAILED, "")), "row 24 is OK with a reason or not OK"),
    "OK with a reason": (changed(reason=lambda a: np.full(len(a), "why")), "OK with a reason"),
    "long reason": (changed(reason=set_in("reason", FAILED, "no\nsuch")), "several lines in row 24"),
    "infinite": (changed(metrics=of_latency("metrics", in_row(0, np.inf))), "latency_s of row 0 is infinite"),
    "status": (changed(status=set_in("status", 0, 7)), "status that does not exist in row 0"),
    "type of status": (changed(status=lambda a: a.status.astype(float)), "status has type float64"),
    "no amount": (changed(violation=lambda a: {"room": np.full(len(a), np.nan)}), "violation of room in rows"),
    "below 0": (changed(violation=lambda a: {"room": a.violation["room"] - 1}), "violation of room"),
    "hidden violation": (changed(violation=lambda a: {}), "INFEASIBLE without a violation"),
    "cost": (changed(cost_s=lambda a: np.full(len(a), np.nan)), "cost_s of rows 0, 1, 2, 3, 4 and 20 more"),
    "level": (changed(level=lambda a: 90.0), "a level of 90.0"),
    "outside": (changed(interval=of_latency("interval", lambda a, v: v * 2)), "outside its interval"),
    "turned": (changed(interval=of_latency("interval", lambda a, v: v[:, ::-1])), "outside its interval"),
    "interval of known": (changed(interval=of_latency("interval", in_row(0, np.nan))), "latency_s of row 0 is outside"),
    "interval shape": (
        changed(interval=of_latency("interval", lambda a, v: v.T)),
        r"interval of latency_s has shape \(2, ",
    ),
    "no interval": (changed(interval=lambda a: {}), "intervals of nothing; expected intervals of area_mm2, latency_s"),
    "sample shape": (
        changed(samples=lambda a: {"latency_s": a.metrics["latency_s"]}),
        "samples of latency_s has shape",
    ),
    "samples of what": (changed(samples=lambda a: {"cycles": np.ones((len(a), 2))}), "samples of cycles"),
    "joint": (
        changed(samples=lambda a: {n: np.full((len(a), k), np.nan) for k, n in enumerate(a.metrics, 1)}),
        r"\[1, 2\] samples",
    ),
}


@pytest.mark.parametrize("bad", [0, 1])
def test_a_sound_one(bad: int) -> None:
    """Passes, with designs that FAILED and without; nothing is left behind in the batch."""
    batch = designs(bad=bad)
    check_evaluator(Toy(), batch)
    check_evaluator(Toy(), batch, 5, intervals=None)
    assert batch.columns["size"].flags.writeable


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault(name: str) -> None:
    """Is found, by what it is."""
    fault, words = FAULTS[name]
    with pytest.raises(Nonconforming, match=words) as caught:
        check_evaluator(Toy(fault), designs(bad=1), pickled=False)
    assert str(caught.value).startswith("toy/1") and "; expected " in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("attribute", "value", "words"),
    [
        ("name", "", "name is ''"),
        ("version", 1, "version is 1"),
        ("fidelity", "low", "fidelity is 'low'"),
        ("metrics", {}, "declares no metrics"),
        ("metrics", {"latency_s": "s", "area_mm2": ""}, "the unit of area_mm2 is ''"),
        ("metrics", {"latency_s": "ms", "area_mm2": "mm2"}, "the unit of latency_s is 'ms'; expected 's'"),
    ],
)
def test_declarations(attribute: str, value: Any, words: str) -> None:
    """Are there, and agree with the table of metrics."""
    toy = Toy()
    setattr(toy, attribute, value)
    with pytest.raises(Nonconforming, match=words):
        check_evaluator(toy, designs())


def test_probabilities() -> None:
    """Are of 0 to 1."""
    toy = Toy(lambda t, b, s, a: answer_with(a, "valid_probability", 1.25))
    toy.metrics = {**Toy.metrics, "valid_probability": "probability"}
    toy.evaluate = lambda batch, seed: answer_with(Toy().evaluate(batch, seed=seed), "valid_probability", 1.25)  # type: ignore[method-assign]
    with pytest.raises(Nonconforming, match=r"valid_probability of rows .* expected a probability of 0 to 1"):
        check_evaluator(toy, designs())


def answer_with(answer: Evaluation, name: str, value: float) -> Evaluation:
    """An answer with one metric more."""
    values = np.where(answer.status == Status.FAILED, np.nan, value)
    return replace(
        answer,
        metrics={**answer.metrics, name: values},
        interval={**answer.interval, name: np.stack([values, values], axis=1)},
        source={**answer.source, name: answer.source["latency_s"]},
    )


def test_intervals_that_are_not_to_be() -> None:
    """`intervals` False is for one that states none."""
    check_evaluator(Toy(changed(interval=lambda a: {})), designs(), intervals=False, pickled=False)
    with pytest.raises(Nonconforming, match="expected intervals of nothing"):
        check_evaluator(Toy(), designs(), intervals=False)
    more = Toy(changed(interval=lambda a: {**a.interval, "cycles": a.interval["latency_s"]}))
    with pytest.raises(Nonconforming, match="intervals of cycles"):
        check_evaluator(more, designs(), intervals=None, pickled=False)


def test_sources_of_others() -> None:
    """Are allowed by name."""
    toy = Toy(changed(source=lambda a: dict.fromkeys(a.source, np.full(len(a), "helper/3"))))
    check_evaluator(toy, designs(), sources=["helper"], pickled=False)
    with pytest.raises(Nonconforming, match="source 'helper/3' of latency_s; expected a text with toy/ or other/"):
        check_evaluator(toy, designs(), sources=["other"], pickled=False)


def halves(answer: Evaluation) -> Any:
    """Two sound pieces, the second first."""
    rows = np.arange(len(answer))
    cut = len(answer) // 2
    return [(rows[cut:], answer.take(rows[cut:])), (rows[:cut], answer.take(rows[:cut]))]


def test_pieces() -> None:
    """In any order; each row once, with its own answer."""
    check_evaluator(OddStream(halves), designs())
    for pieces, words in (
        (lambda a: halves(a)[:1], "in its stream: raised ValueError: an evaluator answered 12 rows for 24"),
        (lambda a: halves(a) + halves(a)[:1], "answered 36 rows for 24"),
        (lambda a: [(np.arange(len(a)), a.take(slice(1, None)))], "answered 23 rows for 24 row numbers"),
        (lambda a: [(np.arange(len(a))[::-1], a)], "in its stream: interval area_mm2 of row 0"),
        (lambda a: [] if not len(a) else halves(a), "for no rows; expected pieces"),
    ):
        with pytest.raises(Nonconforming, match=words):
            check_evaluator(OddStream(pieces), designs(), pickled=False)


class Loses(Toy):
    """Its copy has another version of the truth."""

    def __getstate__(self) -> Any:
        return {"fault": changed_latency, "asked": 0, "kept": {}}


def changed_latency(toy: Toy, batch: Batch, seed: int, answer: Evaluation) -> Any:
    """Another latency."""
    return latency(lambda t, b, s, v: v * 2)(toy, batch, seed, answer)


def test_pickling() -> None:
    """What cannot be sent, does not arrive, or arrives as something else."""
    batch = faulty.designs(4)
    check_evaluator(faulty.Faulty(faulty.sleeps, ()), batch, sources=["roofline"])
    for one, words in (
        (faulty.NoPickle(), "pickled and read again: raised TypeError: stays here"),
        (faulty.NoUnpickle(), "pickled and read again: raised RuntimeError: does not arrive"),
    ):
        with pytest.raises(Nonconforming, match=words):
            check_evaluator(one, batch, sources=["roofline"])
        check_evaluator(one, batch, sources=["roofline"], pickled=False)
    with pytest.raises(Nonconforming, match="pickled and read again: interval latency_s of row 0"):
        check_evaluator(Loses(), designs())


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (faulty.writes, "read-only"),
        (faulty.Metric(np.inf), "latency_s of row 3 is infinite|outside its interval"),
        (faulty.Metric(np.nan), "is unknown and has an interval"),
        (faulty.Reordered(lambda a: np.arange(len(a))[::-1]), "asked for"),
        (faulty.Raises(lambda: ValueError("one\ntwo")), "raised ValueError: one two"),
        (faulty.Raises(lambda: SystemExit(3)), "^3$"),
    ],
)
def test_faults_of_marked_rows(fault: Any, words: str) -> None:
    """Those that the guard around evaluators takes care of are found before; an exit is not swallowed."""
    batch = faulty.designs(8)
    marked = [faulty.keys(batch)[3]]
    with pytest.raises(SystemExit if words == "^3$" else Nonconforming, match=words):
        check_evaluator(faulty.Faulty(fault, marked), batch, sources=["roofline"], pickled=False)


def test_spoiled_designs() -> None:
    """FAILED, and no other row is disturbed."""
    check_spoiled(Toy(), designs(), {"size": -1})
    with pytest.raises(
        Nonconforming, match=r"asked for a design with \{'size': 3\}: status (OK|INFEASIBLE); expected FAILED"
    ):
        check_spoiled(Toy(), designs(), {"size": 3})
    disturbed = Toy(latency(lambda t, b, s, v: np.where(np.isnan(v), v, v + (b.columns["size"] < 0).any())))
    with pytest.raises(Nonconforming, match="in another row: interval latency_s of row 0"):
        check_spoiled(disturbed, designs(), {"size": -1})


def test_too_small_a_batch() -> None:
    """Tells nothing."""
    with pytest.raises(ValueError, match="give at least 2"):
        check_evaluator(Toy(), designs().take(slice(1)))


# --- other processes


def sound() -> tuple[Any, Batch]:
    """For other processes."""
    return Toy(), designs()


def by_hash(toy: Toy, batch: Batch, seed: int, answer: Evaluation) -> Any:
    """By the hash of a text, which is another in each process."""
    return latency(lambda t, b, s, v: v + hash("a text") % 1000)(toy, batch, seed, answer)


def by_process(toy: Toy, batch: Batch, seed: int, answer: Evaluation) -> Any:
    """By what is not the candidate's."""
    return latency(lambda t, b, s, v: v + os.getpid())(toy, batch, seed, answer)


def hashed() -> tuple[Any, Batch]:
    """Depends on PYTHONHASHSEED."""
    return Toy(by_hash), designs()


def in_set_order() -> tuple[Any, Batch]:
    """Keys depend on PYTHONHASHSEED: the context is made of a set."""
    batch = designs("".join({f"word{i}" for i in range(20)}))
    return Toy(), batch


def broken() -> tuple[Any, Batch]:
    """Cannot be made in another process."""
    if "PYTHONHASHSEED" in os.environ and os.environ["PYTHONHASHSEED"] in suite.HASH_SEEDS:
        raise RuntimeError("no licence here")
    return sound()


def test_other_processes() -> None:
    """A sound one answers the same bytes, made there or sent there."""
    check_other_process(f"{__name__}:sound")
    check_sent(*sound())


def test_faults_in_other_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What depends on hashes or on the process is found; what breaks there is shown."""
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    for factory in ("hashed", "in_set_order"):
        with pytest.raises(
            Nonconforming, match=f"{factory}, in another process: other keys or answers under PYTHONHASH"
        ):
            check_other_process(f"{__name__}:{factory}")
    for fault in (by_hash, by_process):
        check_evaluator(Toy(fault), designs())
        with pytest.raises(Nonconforming, match="toy/1, sent to another process: other keys or answers"):
            check_sent(Toy(fault), designs())
    with pytest.raises(Nonconforming, match="ended with exit status 1: RuntimeError: no licence here"):
        check_other_process(f"{__name__}:broken")
    with pytest.raises(Nonconforming, match="raised TypeError: stays here"):
        check_sent(faulty.NoPickle(), faulty.designs(4))


def test_the_command() -> None:
    """Prints the digest; words that are no command get the usage in one line."""
    command = [sys.executable, "-m", "design.conformance.evaluator"]
    ran = subprocess.run([*command, f"{__name__}:sound", "3"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == suite.digest(f"{__name__}:sound", 3) and not ran.stderr
    for words in ([], ["no-factory"], ["a:b", "x"], ["a:b", "1", "2"]):
        ran = subprocess.run([*command, *words], cwd=ROOT, capture_output=True, text=True)
        assert ran.returncode == 2 and ran.stderr.startswith("usage: python -m design.conformance.evaluator MODULE:")


def test_what_is_the_same() -> None:
    """Bits, but for what an answer took."""
    answer = Toy().evaluate(designs(bad=1), seed=0)
    assert_same(answer, replace(answer, cost_s=answer.cost_s + 1))
    zero = replace(answer, violation={"room": -np.zeros(25)})
    for other, words in (
        (replace(answer, level=0.8), "the level is 0.9 in one answer and 0.8 in the other"),
        (replace(answer, samples={"latency_s": np.ones((25, 2))}), "samples latency_s is in one answer and not"),
        (answer.take(slice(1, None)), "(25, 2) in one answer and float64 (24, 2)"),
    ):
        found = difference(answer, other)
        assert found and words in found
    with pytest.raises(Nonconforming, match=r"violation room of row 0 is 0\.0 in one"):
        assert_same(replace(answer, violation={"room": np.zeros(25)}), zero)
