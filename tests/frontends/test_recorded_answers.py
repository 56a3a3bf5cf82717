"""Recorded answers: what runs write is read again, as JSONL and Parquet; every refusal is one line that says where."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cost_model.hls.tool_form import HlsToolForm
from design.conformance.answers import assert_same
from design.conformance.truth import check_truth
from design.contracts import ESTIMATE, TOOL, Dataset, Task, called, labelled
from design.core import Batch, Evaluation, Status
from design.errors import InputError
from design.nmp.device import Platform
from design.nmp.task import NmpTask
from design.tool_form import NOT_VALID, StandardForm, ToolAnswer
from dse.active.labels_file import LabelsFile, recorded_lines
from dse.active.policy import Query
from evaluators.truth.recorded import Recorded
from frontends.recorded_answers import read_recorded
from tests.dse.nmp.small import LAYER, PLATFORM, ROOFLINE
from tests.evaluators.execution.faulty import designs
from tests.evaluators.truth import small_kernel

NMP = NmpTask(LAYER, PLATFORM)
BATCH = designs(6)


def answers_to(batch: Batch) -> Evaluation:
    """The roofline's word as a tool's: the second design is refused, for the third there is no answer, of the fourth
    the energy is unknown."""
    found = ROOFLINE.evaluate(batch, seed=0).metrics
    answers = [
        ToolAnswer({n: float(v[row]) for n, v in found.items() if n in NMP.metrics}) for row in range(len(batch))
    ]
    answers[1] = replace(answers[1], valid=False, reason="too hot")
    answers[2] = ToolAnswer(fault="the tool said nothing")
    answers[3] = replace(answers[3], metrics={**answers[3].metrics, "energy_j": float("nan")})
    return StandardForm(NMP, "nmp").evaluation(answers, np.ones(len(batch)), "tool/1")


def written(path: Path, lines: Sequence[Mapping[str, Any]]) -> Path:
    """Lines as a file of either kind, by the end of its name."""
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return path
    from pyarrow import Table, parquet

    flat = [
        {
            key: value
            for name, part in line.items()
            for key, value in (
                {f"{name}.{inner}": one for inner, one in part.items()} if isinstance(part, dict) else {name: part}
            ).items()
        }
        for line in lines
    ]
    names = dict.fromkeys(name for line in flat for name in line)
    parquet.write_table(Table.from_pydict({name: [line.get(name) for line in flat] for name in names}), path)
    return path


def lines_of(task: Task = NMP, batch: Batch = BATCH) -> list[dict[str, Any]]:
    """As a run writes them."""
    return recorded_lines(task, batch, answers_to(batch))


@pytest.fixture(params=["jsonl", "parquet"])
def write(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Sequence[Mapping[str, Any]]], Path]:
    """Writes lines as a file of each kind."""
    return lambda lines: written(tmp_path / f"answers.{request.param}", lines)


Write = Callable[[Sequence[Mapping[str, Any]]], Path]


def same(data: Dataset, batch: Batch, answers: Evaluation) -> None:
    """The designs, and what is known of them, to the bit."""
    for name, column in batch.columns.items():
        np.testing.assert_array_equal(data.batch.columns[name], column)
    assert data.batch.schema == batch.schema
    assert np.array_equal(data.batch.schema.key(data.batch), batch.schema.key(batch))
    assert np.array_equal(data.evaluation.status, answers.status)
    assert data.evaluation.reason.tolist() == answers.reason.tolist()
    for name in data.task.metrics:
        np.testing.assert_array_equal(data.metric(name), answers.metrics[name], name)
    np.testing.assert_array_equal(data.evaluation.violation["tool"], answers.violation["tool"])


# --- round trips


def test_round_trip(write: Write) -> None:
    """All of it comes back: unknown numbers, refused designs and failures, too."""
    path = write(lines_of())
    data = read_recorded(path, NMP)
    same(data, BATCH, answers_to(BATCH))
    assert data.fidelity == TOOL and data.provenance.where == str(path) and data.task is NMP
    assert recorded_lines(NMP, data.batch, data.evaluation) == lines_of()


def test_what_was_read_is_a_truth(write: Write) -> None:
    """It keeps the contract of evaluators and says what the tool said; a failure is no call and no label."""
    truth = Recorded(read_recorded(write(lines_of()), NMP))
    answer = truth.evaluate(BATCH, seed=0)
    answered = np.arange(len(BATCH)) != 2
    assert np.array_equal(called(answer), answered) and np.array_equal(labelled(answer), answered)
    assert answer.status.tolist()[:4] == [Status.OK, Status.INFEASIBLE, Status.FAILED, Status.OK]
    np.testing.assert_array_equal(answer.metrics["latency_s"], answers_to(BATCH).metrics["latency_s"])
    check_truth(truth, BATCH)
    assert np.array_equal(truth.accepts(BATCH), answered)
    dear = Recorded(read_recorded(write(lines_of()), NMP), call_s=60.0).evaluate(BATCH, seed=0)
    assert dear.cost_s.tolist() == [60.0 * one for one in answered]


def test_labels_of_a_run(tmp_path: Path) -> None:
    """The file that the active loop writes: what FAILED is no label; where designs came from does no harm."""
    queries = [
        Query(bytes([row]), np.zeros((1, 1), dtype=np.int64), BATCH.take(np.array([row])), {"why": row})
        for row in range(len(BATCH))
    ]
    LabelsFile(tmp_path / "labels.jsonl", NMP).write(queries, answers_to(BATCH))
    data = read_recorded(tmp_path / "labels.jsonl", NMP)
    kept = np.array([0, 1, 3, 4, 5])
    same(data, BATCH.take(kept), answers_to(BATCH).take(kept))


def test_loop_directives(write: Write) -> None:
    """What follows from a tool's numbers, as shares of a device, is not written: the task measures the numbers."""
    form, batch = HlsToolForm(small_kernel.TASK), small_kernel.designs(3)
    answers = [ToolAnswer({"cycles": 100.0 + row, "lut": 5e5, "ff": 7.0, "dsp": 0.0, "bram": 3.0}) for row in range(3)]
    answers[1] = replace(answers[1], valid=False)
    said = form.evaluation(answers, np.ones(3), "tool/1")
    data = read_recorded(write(recorded_lines(small_kernel.TASK, batch, said)), small_kernel.TASK)
    same(data, batch, said)
    assert set(data.evaluation.metrics) == set(small_kernel.TASK.metrics)


def test_both_kinds_of_file_say_the_same(tmp_path: Path) -> None:
    """To the bit."""
    one, two = (read_recorded(written(tmp_path / f"a.{kind}", lines_of()), NMP) for kind in ("jsonl", "parquet"))
    assert_same(one.evaluation, two.evaluation)
    assert np.array_equal(one.batch.schema.key(one.batch), two.batch.schema.key(two.batch))


# --- what may be left out, and what is passed over


def test_what_may_be_missing(write: Write) -> None:
    """Only the task, the design and a metric are needed: the rest is OK, from a tool, for no reason."""
    (line,) = lines_of(batch=BATCH)[:1]
    bare = {"task": NMP.name, "design": line["design"], "metrics": {"latency_s": 0.5}}
    data = read_recorded(write([bare, bare | {"task": NMP.digest, "metrics": {"energy_j": 2}}]), NMP)
    assert data.evaluation.status.tolist() == [Status.OK] * 2 and data.evaluation.reason.tolist() == [""] * 2
    assert data.fidelity == TOOL
    np.testing.assert_array_equal(data.metric("latency_s"), [0.5, np.nan])
    np.testing.assert_array_equal(data.metric("energy_j"), [np.nan, 2.0])


def test_null_is_missing(write: Write) -> None:
    """As tables have it whose rows are of several makers."""
    lines = [line | {"status": None, "reason": None, "fidelity": None, "digest": None} for line in lines_of()[:1]]
    data = read_recorded(write(lines), NMP)
    assert data.evaluation.status.tolist() == [Status.OK] and data.evaluation.reason.tolist() == [""]


@pytest.mark.parametrize(
    ("status", "reason", "read"),
    [
        ("INFEASIBLE", "", NOT_VALID),
        ("INFEASIBLE", "too\nhot\x00", "too hot?"),
        ("INFEASIBLE", "x" * 1000, "x" * 160),
        ("FAILED", "", "recorded as failed"),
        ("FAILED", "no licence", "no licence"),
        ("OK", "a word on it", ""),
    ],
)
def test_reasons(status: str, reason: str, read: str, write: Write) -> None:
    """A design that is not OK has one, in one line; one that is has none. A failure has no numbers."""
    lines = [line | {"status": status, "reason": reason} for line in lines_of()[:1]]
    data = read_recorded(write(lines), NMP)
    assert data.evaluation.reason.tolist() == [read]
    assert np.isnan(data.metric("latency_s")).all() == (status == "FAILED")
    if status != "FAILED":  # one that accepts no design is no truth to check
        check_truth(Recorded(data), BATCH.take(np.array([0, 1])))


def test_estimates(write: Write) -> None:
    """Are kept apart from what tools said."""
    lines = [line | {"fidelity": ESTIMATE} for line in lines_of()]
    assert read_recorded(write(lines), NMP).fidelity == ESTIMATE


def test_other_tasks_are_passed_over(write: Write) -> None:
    """By digest where a row has one: the same workload on another platform has the same name. Blank lines are none."""
    other = NmpTask(LAYER, Platform(total_channels=8))
    assert other.name == NMP.name and other.digest != NMP.digest
    lines = [line | {"digest": other.digest} for line in lines_of()[:2]] + lines_of()[3:]
    lines += [{"task": "gemm", "design": {"PIPE": 1}, "metrics": {"cycles": 5}}]
    data = read_recorded(write(lines), NMP)
    same(data, BATCH.take(slice(3, 6)), answers_to(BATCH).take(slice(3, 6)))
    renamed = [line | {"task": "another name"} for line in lines_of()]
    assert len(read_recorded(write(renamed), NMP)) == 6, "the digest is the task's"


def test_lines_end_where_lines_end(tmp_path: Path) -> None:
    """Not at other characters that some call line breaks; a last line may lack its end."""
    line = json.dumps(lines_of()[1] | {"reason": "a\u2028b\x85c"}, ensure_ascii=False)
    path = tmp_path / "answers.jsonl"
    path.write_text(f"\n{line}\r\n\n  \n{line}", encoding="utf-8")
    assert read_recorded(path, NMP).evaluation.reason.tolist() == ["a b c"] * 2


# --- refusals


def refused(path: Path, task: Task = NMP) -> str:
    """The line that says why."""
    with pytest.raises(InputError) as caught:
        read_recorded(path, task)
    text = str(caught.value)
    assert text.startswith(str(path)) and "\n" not in text and len(text) < 400 and text.isprintable(), text
    return text.removeprefix(str(path))


def changed(part: str, **values: Any) -> dict[str, Any]:
    """The first line with other values in a part of it."""
    line = lines_of()[0]
    return line | {part: {**line[part], **values}}


def without(name: str) -> dict[str, Any]:
    """The first line's design without a column."""
    line = lines_of()[0]
    return line | {"design": {key: value for key, value in line["design"].items() if key != name}}


REFUSED: list[tuple[dict[str, Any], str]] = [
    (without("mhz"), ", design: has mhz = null; expected a number (MHz)"),
    (without("group"), ", design: has group = null; expected 3 numbers"),
    (changed("design", fpus=1.5), ", design: has fpus = 1.5; expected a number (FPUs a PE)"),
    (changed("design", fpus=True), ", design: has fpus = true; expected a number"),
    (changed("design", fpus="8"), ', design: has fpus = "8"; expected a number'),
    (changed("design", fpus=[8]), ", design: has fpus = [8]; expected a number"),
    (changed("design", mhz=float("nan")), ", design: has mhz = NaN; expected a number"),
    (changed("design", mhz=float("inf")), ", design: has mhz = Infinity; expected a number"),
    (changed("design", group=0), ", design: has group = 0; expected 3 numbers"),
    (changed("design", group=[0, 0]), ", design: has group = [0, 0]; expected 3 numbers"),
    (changed("design", group=[0, 0, 2**40]), ", design: has group = [0, 0, 1099511627776]; expected 3 numbers"),
    (changed("design", tiles=2), ", design: has tiles; expected some of nmp_channels"),
    (changed("given", prompt=128), ", given: has prompt; expected some of"),
    (changed("metrics", cycles=5), ", metrics: has cycles; expected some of latency_s"),
    (changed("metrics", latency_s=-1.0), ", metrics: has latency_s = -1.0; expected a number of at least 0, or null"),
    (changed("metrics", latency_s=float("nan")), ", metrics: has latency_s = NaN; expected a number"),
    (changed("metrics", latency_s=float("inf")), ", metrics: has latency_s = Infinity; expected a number"),
    (changed("metrics", latency_s=True), ", metrics: has latency_s = true; expected a number"),
    (changed("metrics", latency_s="1"), ', metrics: has latency_s = "1"; expected a number'),
    (changed("metrics", latency_s=[1]), ", metrics: has latency_s = [1]; expected a number"),
    (lines_of()[0] | {"status": "ok"}, ', status: is "ok"; expected OK, INFEASIBLE, FAILED'),
    (lines_of()[0] | {"status": ["OK"]}, ', status: is ["OK"]; expected OK, INFEASIBLE, FAILED'),
    (lines_of()[0] | {"status": 0}, ", status: is 0; expected OK, INFEASIBLE, FAILED"),
    (lines_of()[0] | {"fidelity": "guess"}, ', fidelity: is "guess"; expected tool or estimate'),
    (lines_of()[0] | {"fidelity": ["tool"]}, ', fidelity: is ["tool"]; expected tool or estimate'),
]


@pytest.mark.parametrize(("bad", "text"), REFUSED, ids=[text for _, text in REFUSED])
def test_bad_rows(bad: dict[str, Any], text: str, write: Write) -> None:
    """File and row, what is wrong there, and what was expected; a sound row stands before it."""
    path = write([bad])
    assert refused(path).startswith(f", {'line' if path.suffix == '.jsonl' else 'row'} 1{text}")
    if path.suffix == ".jsonl":
        assert refused(write([lines_of()[0], {}, bad])).startswith(f", line 3{text}")


def test_both_fidelities(write: Write) -> None:
    """What a tool said and what was estimated are not one data set."""
    path = write([lines_of()[0], lines_of()[1] | {"fidelity": ESTIMATE}])
    where = "line" if path.suffix == ".jsonl" else "row"
    assert refused(path) == f", {where} 2, fidelity: is not tool, as that of rows before; expected one a file"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ('{"task": ', "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[1]", "is no object with design and metrics"),
        ("null", "is no object with design and metrics"),
        ('{"task": "x", "design": [1]}', "is no object with design and metrics"),
        ('{"task": "x", "metrics": null}', "is no object with design and metrics"),
        ('{"task": "x", "given": 3}', "is no object with design and metrics"),
    ],
)
def test_bad_lines(line: str, text: str, tmp_path: Path) -> None:
    """Whatever stands there, also of another task."""
    path = tmp_path / "answers.jsonl"
    path.write_text(f"{json.dumps(lines_of()[0])}\n\n{line}\n")
    assert refused(path).startswith(f", line 3: {text}; expected recorded answers as .jsonl or .parquet")


def test_nothing_about_the_task(write: Write) -> None:
    """It says what else is there."""
    bad = {"task": "gemm\x1b", "design": {"PIPE": 1}, "metrics": {"cycles": 5}}
    text = refused(write([bad, bad | {"task": "atax"}]))
    assert text.startswith(f": has no answers about the task {NMP.name} (it has atax; gemm?)")


@pytest.mark.parametrize("name", ["answers.jsonl", "answers.parquet"])
def test_files_that_cannot_be_read(name: str, tmp_path: Path) -> None:
    """Not there, a folder, empty, not text, cut short."""
    path = tmp_path / name
    assert "cannot be read" in refused(path) or "no such file" in refused(path).lower()
    path.write_bytes(b"")
    refused(path)
    path.write_bytes(b"\xff\xfe\x00 nothing")
    refused(path)
    whole = written(path, lines_of()).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused(path)
    path.unlink()
    path.mkdir()
    refused(path)


def test_odd_types_of_parquet(tmp_path: Path) -> None:
    """Values that JSON does not know are named, too."""
    from datetime import date
    from decimal import Decimal

    for value, shown in ((date(2026, 1, 2), '"2026-01-02"'), (Decimal("1.5"), '"1.5"'), (b"x", "\"b'x'\"")):
        path = written(tmp_path / "answers.parquet", [changed("metrics", latency_s=value)])
        assert f"has latency_s = {shown}" in refused(path)
        path = written(tmp_path / "answers.parquet", [changed("design", mhz=value)])
        assert f"has mhz = {shown}" in refused(path)
