"""The standard form of questions to tools and of their answers: good ones, each kind of bad one, and what is asked."""

from __future__ import annotations

import json
import math
import pickle
import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cost_model.hls.tool_form import HlsToolForm
from design.conformance.answers import assert_same
from design.conformance.truth import check_truth
from design.contracts import called, labelled
from design.core import Batch, Column, Evaluation, Schema, Status
from design.hls.design import points_of
from design.nmp.task import NmpTask
from design.tool_form import NOT_VALID, StandardForm, ToolAnswer, parsed
from evaluators.truth.command import CommandTruth
from tests.dse.nmp.small import FAST, LAYER, PLATFORM, ROOFLINE, SLOW, devices, sampled, space_for
from tests.evaluators.truth import small_kernel

COLUMNS = (
    Column("tile", "rows", "int64"),
    Column("clock", "MHz", "f8"),
    Column("order", "index", "i4", width=3),
    Column("batch", "sequences", "int64", given=True),
)


def shown(batch: Batch, row: int) -> str:
    """A design as text."""
    return f"tile={batch.columns['tile'][row]}"


@dataclass(frozen=True)
class Made:
    """A task of three decisions, asked about with batches of different sizes."""

    name: str = "made up"
    family: str = "made"
    digest: str = "d1"
    fingerprints: tuple[str, ...] = ("d1",)
    schema: Schema = field(default_factory=lambda: Schema("made", COLUMNS, "context", shown))
    metrics: tuple[str, ...] = ("latency_s", "energy_j")


TASK = Made()
FORM = StandardForm(TASK, "made", {"program": ("program.txt", "x = 1\n")})
ALL = ", ".join(TASK.metrics)


def designs() -> Batch:
    """Three of them."""
    columns = {"tile": np.array([4, 8, 2]), "clock": np.array([600.0, 300.5, 1.0]), "batch": np.array([1, 16, 4])}
    return Batch(TASK.schema, columns | {"order": np.array([[0, 1, 2], [2, 1, 0], [1, 0, 2]], dtype=np.int32)})


def read(output: str | bytes, form: StandardForm = FORM) -> ToolAnswer:
    """What a tool's output says."""
    found = parsed(output if isinstance(output, bytes) else output.encode())
    return found if isinstance(found, ToolAnswer) else form.read(found)


def evaluated(*answers: ToolAnswer) -> Evaluation:
    """Of so many designs."""
    return FORM.evaluation(answers, np.arange(1.0, len(answers) + 1), "tool/1")


# --- what is asked


def test_what_is_asked() -> None:
    """All of it, as JSON has it: what is chosen and what is given apart, files by role."""
    form, batch = FORM, designs()
    asked = form.request(batch.take(np.array([1])), "5b0c", 7)
    assert (
        json.loads(json.dumps(asked, allow_nan=False))
        == asked
        == {
            "version": 1,
            "space": "made",
            "task": {"name": "made up", "digest": "d1", "files": {"program": "program.txt"}},
            "design": {"tile": 8, "clock": 300.5, "order": [2, 1, 0]},
            "given": {"batch": 16},
            "id": "5b0c",
            "seed": 7,
        }
    )
    assert form.files == {"program.txt": "x = 1\n"} and form.metrics == {"latency_s": "s", "energy_j": "J"}
    assert form.accepts(batch).tolist() == [True] * 3 and form.accepts(batch.take(slice(0, 0))).shape == (0,)
    bare = StandardForm(TASK, "made")
    assert bare.files == {} and bare.request(batch.take(np.array([0])), "k", 0)["task"]["files"] == {}


# --- good answers


@pytest.mark.parametrize(
    ("output", "latency", "energy"),
    [
        ('{"metrics": {"latency_s": 0.25, "energy_j": 3}}', 0.25, 3.0),
        ('{"metrics": {"latency_s": 0.25, "energy_j": 3}, "valid": true, "reason": ""}', 0.25, 3.0),
        ('{"metrics": {"latency_s": 0.25, "energy_j": null}}', 0.25, math.nan),
        ('{"metrics": {"energy_j": 0}}', math.nan, 0.0),
        (' {"metrics": {"latency_s": 9223372036854774784}}\n\n', float(2**63 - 1024), math.nan),
        ('{"metrics": {"latency_s": 1e-300}}', 1e-300, math.nan),
    ],
)
def test_good_answers(output: str, latency: float, energy: float) -> None:
    """Null and missing are unknown; integers are numbers; what is known is exact, and its own source."""
    answer = read(output)
    assert (answer.fault, answer.valid, answer.none) == ("", True, False)
    found = evaluated(answer)
    assert found.status.tolist() == [Status.OK] and found.reason.tolist() == [""]
    for name, value in (("latency_s", latency), ("energy_j", energy)):
        np.testing.assert_array_equal(found.metrics[name], [value])
        np.testing.assert_array_equal(found.interval[name], [[value, value]])
        assert found.source[name].tolist() == ["tool/1"]
    assert found.violation["tool"].tolist() == [0.0] and found.cost_s.tolist() == [1.0]
    assert called(found).all() and labelled(found).all()


@pytest.mark.parametrize(
    ("output", "reason", "latency"),
    [
        ('{"valid": false}', NOT_VALID, math.nan),
        ('{"valid": false, "reason": "ran out\\nof  time"}', "ran out of time", math.nan),
        ('{"valid": false, "metrics": {}}', NOT_VALID, math.nan),
        ('{"valid": false, "metrics": {"latency_s": null}, "reason": " "}', NOT_VALID, math.nan),
        ('{"valid": false, "metrics": {"latency_s": 2.5}, "reason": "too hot"}', "too hot", 2.5),
        ('{"valid": false, "reason": "\\u001b[31mred\\u0000"}', "?[31mred?", math.nan),
        ('{"valid": false, "reason": "' + "x" * 1000 + '"}', "x" * 160, math.nan),
    ],
)
def test_what_is_not_valid(output: str, reason: str, latency: float) -> None:
    """Is INFEASIBLE, with or without numbers, for the tool's reason in one line of what can be printed."""
    found = evaluated(read(output))
    assert found.status.tolist() == [Status.INFEASIBLE] and found.reason.tolist() == [reason]
    np.testing.assert_array_equal(found.metrics["latency_s"], [latency])
    assert found.violation["tool"].tolist() == [1.0] and labelled(found).all() and called(found).all()


# --- bad answers


@pytest.mark.parametrize(
    ("output", "fault"),
    [
        ("", "the tool said nothing"),
        (" \n\t\n", "the tool said nothing"),
        ('{"metrics": {"latency_s": 1', "the tool said no JSON"),
        ('{"metrics": {"latency_s": 1}} {}', "the tool said no JSON"),
        ("Vitis HLS 2020.2", "the tool said no JSON"),
        (b"\xff\xfe", "the tool said no JSON"),
        ("[" * 100_000, "the tool said no JSON"),
        ('{"metrics": {"latency_s": ' + "9" * 5000 + "}}", "the tool said no JSON"),
        ('{"metrics": {"latency_s": NaN}}', "the tool said no JSON (NaN is no number of JSON)"),
        ('{"metrics": {"latency_s": Infinity}}', "the tool said no JSON (Infinity is no number of JSON)"),
        ('{"metrics": {"latency_s": -Infinity}}', "the tool said no JSON (-Infinity is no number of JSON)"),
        ("[1, 2]", "the tool said [1, 2], no object"),
        ('"text"', 'the tool said "text", no object'),
        ("null", "the tool said null, no object"),
        ("7", "the tool said 7, no object"),
        ("{}", f"the tool said none of {ALL}"),
        ('{"valid": true}', f"the tool said none of {ALL}"),
        ('{"metrics": {}}', f"the tool said none of {ALL}"),
        ('{"metrics": {"latency_s": null, "energy_j": null}}', f"the tool said none of {ALL}"),
        (
            '{"metrics": {"latency_s": 1}, "vaild": false}',
            "the tool said vaild, which is none of metrics, valid, reason",
        ),
        ('{"latency_s": 1}', "the tool said latency_s, which is none of metrics, valid, reason"),
        ('{"metrics": {"latency_s": 1, "cycles": 7}}', f"the tool said the metric cycles, which is none of {ALL}"),
        (
            '{"metrics": {"latnecy_s": 1}, "valid": false}',
            f"the tool said the metric latnecy_s, which is none of {ALL}",
        ),
        ('{"metrics": [1, 2]}', "the tool said metrics that are no object"),
        ('{"metrics": null}', "the tool said metrics that are no object"),
        ('{"metrics": {"latency_s": -1}}', "the tool said latency_s -1, not a number of at least 0"),
        ('{"metrics": {"latency_s": true}}', "the tool said latency_s true, not a number of at least 0"),
        ('{"metrics": {"latency_s": "7"}}', 'the tool said latency_s "7", not a number of at least 0'),
        ('{"metrics": {"latency_s": [7]}}', "the tool said latency_s [7], not a number of at least 0"),
        ('{"metrics": {"latency_s": 1e999}}', "the tool said latency_s Infinity, not a number of at least 0"),
        ('{"metrics": {"energy_j": 9223372036854775808}}', "the tool said energy_j 9223372036854775808, not a number"),
        ('{"metrics": {"latency_s": -1}, "valid": false}', "the tool said latency_s -1, not a number of at least 0"),
        ('{"metrics": {"latency_s": 1}, "valid": 1}', "the tool said a valid or reason"),
        ('{"metrics": {"latency_s": 1}, "valid": null}', "the tool said a valid or reason"),
        ('{"metrics": {"latency_s": 1}, "reason": 3}', "the tool said a valid or reason"),
        ('{"\\u001b\\n": 1}', "the tool said ?, which is none of"),
    ],
)
def test_bad_answers(output: str | bytes, fault: str) -> None:
    """Each by its name, in one line; the design is FAILED, it was a call, and nothing is learned."""
    answer = read(output)
    assert answer.fault.startswith(fault) and answer.fault.isprintable() and len(answer.fault) < 200
    found = evaluated(answer)
    assert found.status.tolist() == [Status.FAILED] and found.reason.tolist() == [answer.fault]
    assert all(np.isnan(values).all() for values in (*found.metrics.values(), *found.interval.values()))
    assert np.isnan(found.violation["tool"]).all() and called(found).all() and not labelled(found).any()


def test_rows_keep_to_themselves() -> None:
    """Good, refused and failed answers side by side; of no design there is an answer of no rows."""
    good, refused, failed = (
        read('{"metrics": {"latency_s": 1, "energy_j": 2}}'),
        read('{"metrics": {"energy_j": 5}, "valid": false}'),
        read("{}"),
    )
    found = evaluated(good, refused, failed)
    assert found.status.tolist() == [Status.OK, Status.INFEASIBLE, Status.FAILED]
    assert found.cost_s.tolist() == [1.0, 2.0, 3.0]
    np.testing.assert_array_equal(found.metrics["energy_j"], [2.0, 5.0, np.nan])
    for row, one in enumerate((good, refused, failed)):
        alone = FORM.evaluation([one], np.array([row + 1.0]), "tool/1")
        assert_same(found.take(np.array([row])), alone)
    assert_same(FORM.evaluation([], np.empty(0), "tool/1"), found.take(slice(0, 0)))


@pytest.mark.parametrize(
    ("one", "other", "difference"),
    [
        ('{"metrics": {"latency_s": 1}}', '{"metrics": {"latency_s": 1}}', ""),
        ('{"metrics": {"latency_s": 1}}', '{"metrics": {"latency_s": 1.5}}', "latency_s 1 then 1.5"),
        ('{"metrics": {"latency_s": 1, "energy_j": 2}}', '{"metrics": {"latency_s": 1}}', "energy_j 2 then unknown"),
        ('{"metrics": {"latency_s": 1}}', '{"metrics": {"latency_s": 1}, "valid": false}', "valid true then false"),
        ('{"metrics": {"latency_s": 1}, "reason": "a"}', '{"metrics": {"latency_s": 1}, "reason": "b"}', ""),
    ],
)
def test_how_answers_differ(one: str, other: str, difference: str) -> None:
    """In what they say of the design, not in words beside it."""
    assert read(one).differs(read(other)) == difference


# --- as a truth

TOOL = """
import json, sys
asked = json.load(sys.stdin)
design = asked["design"]
task = json.load(open(asked["task"]["files"]["task"]))
assert asked["version"] == 1 and asked["space"] == "nmp" and asked["given"] == {} and task["workload"]["layers"]
if design["mhz"] < 400 and design["nmp_channels"] > 2:
    print(json.dumps({"valid": False, "reason": "too slow"}))
elif design["nmp_channels"] == 1:
    print("nonsense")
else:
    seconds = 1 / (design["fpus"] * design["mhz"] * sum(design["nmp_units"]) + 1)
    print(json.dumps({"metrics": {"latency_s": seconds, "prefill_s": seconds / 3, "energy_j": None}}))
"""


def test_a_truth_of_near_memory_designs(tmp_path: Path) -> None:
    """The standard form keeps the contract of evaluators, and can be sent to workers."""
    (tmp_path / "tool.py").write_text(TOOL)
    task = NmpTask(LAYER, PLATFORM)
    form = StandardForm(task, "nmp", {"task": ("task.json", task.described())})
    command = shlex.join([sys.executable, "-S", str(tmp_path / "tool.py")])
    truth = CommandTruth(command, form, tmp_path / "work", timeout_s=20.0, retries=0)
    batch = sampled(space_for(ROOFLINE, devices((1, 2, 3), (FAST, SLOW))), 8)
    answer = truth.evaluate(batch, seed=0)
    assert set(answer.status.tolist()) == {Status.OK, Status.INFEASIBLE, Status.FAILED}
    assert set(answer.metrics) == set(task.metrics) and np.isnan(answer.metrics["decode_s"]).all()
    check_truth(truth, batch.take(slice(0, 4)), accepts_all=True)
    assert_same(pickle.loads(pickle.dumps(truth)).evaluate(batch, seed=0), answer)


@pytest.mark.parametrize("batch", [small_kernel.designs(3), sampled(space_for(ROOFLINE, devices()), 3)])
def test_designs_can_be_sent(batch: Batch) -> None:
    """Text and keys of a batch survive pickling, as a worker needs them."""
    back = pickle.loads(pickle.dumps(batch))
    assert [back.schema.text(back, row) for row in range(3)] == [batch.schema.text(batch, row) for row in range(3)]
    assert np.array_equal(back.schema.key(back), batch.schema.key(batch))


# --- loop directives: both forms

HLS = HlsToolForm(small_kernel.TASK)


def hls(output: str) -> Evaluation:
    """Of one design."""
    return HLS.evaluation([read(output, HLS)], np.ones(1), "tool/1")


@pytest.mark.parametrize(
    ("plain", "standard"),
    [
        ({"cycles": 9600, "lut": 1e5, "ff": 10, "dsp": 5, "bram": 2}, {}),
        ({"cycles": 9600.5}, {}),
        ({"lut": 5}, {}),
        ({"cycles": 9600, "lut": 1.2e6}, {}),
        ({"cycles": 9600, "lut": 5}, {"valid": False, "reason": "does not route"}),
        ({"cycles": None, "lut": 5}, {"reason": "ran out of time"}),
        ({"cycles": 9600, "ff": None}, {"valid": True}),
    ],
)
def test_both_forms_of_hls_answers(plain: dict[str, Any], standard: dict[str, Any]) -> None:
    """Say the same."""
    assert_same(hls(json.dumps(plain | standard)), hls(json.dumps({"metrics": plain} | standard)))


def test_hls_answers_by_hand() -> None:
    """Counts become shares; no cycles and not valid are infeasible."""
    found = hls('{"metrics": {"cycles": 9600, "lut": 118224, "ff": 0, "dsp": 684, "bram": 0}}')
    assert found.status.tolist() == [Status.OK] and found.metrics["utilisation"].tolist() == [0.1]
    found = hls('{"metrics": {"cycles": null, "lut": 5}}')
    assert found.status.tolist() == [Status.INFEASIBLE] and found.reason.tolist() == ["the tool gave no cycles"]
    found = hls('{"metrics": {}, "valid": false}')
    assert found.status.tolist() == [Status.INFEASIBLE] and found.reason.tolist() == [NOT_VALID]
    assert np.isnan(found.metrics["cycles"]).all()


@pytest.mark.parametrize(
    ("output", "fault"),
    [
        ('{"cycles": 0}', "the tool said cycles 0, not a number above 0 or null"),
        ('{"metrics": {"cycles": 0}}', "the tool said cycles 0, not a number above 0 or null"),
        ('{"cycles": 7, "metrics": {"cycles": 7}}', "the tool said cycles, which is none of metrics, valid, reason"),
        ('{"metrics": {"cycles": 7, "latency_s": 1}}', "the tool said the metric latency_s, which is none of cycles"),
        ('{"cycles": 7, "latency_s": 1}', "the tool said latency_s, which is none of cycles"),
        ('{"metrics": {"cycles": null}}', "the tool said none of cycles"),
        ('{"metrics": null}', "the tool said metrics that are no object"),
        ('{"metrics": {"cycles": -7}}', "the tool said cycles -7, not a number of at least 0"),
        ('{"valid": false}', "the tool said none of cycles"),
    ],
)
def test_bad_hls_answers(output: str, fault: str) -> None:
    """In either form."""
    answer = read(output, HLS)
    assert answer.fault.startswith(fault) and not answer.none
    assert hls(output).status.tolist() == [Status.FAILED]


def test_what_an_hls_tool_is_asked() -> None:
    """The standard question, with directives as pragmas write them, and the names that the first form had."""
    batch = small_kernel.designs(1)
    asked = HLS.request(batch, "5b0c", 3)
    (point,) = points_of(small_kernel.KERNEL, batch)
    digest = small_kernel.TASK.digest
    standard = {"version": 1, "space": "hls", "given": {}, "id": "5b0c", "seed": 3, "design": point}
    standard["task"] = {"name": "scale", "digest": digest, "files": {"kernel": "kernel.c"}}
    assert asked == standard | {"kernel": "scale", "source": "kernel.c", "tool": "v20", "device": "xcvu9p"}
    assert HLS.files == {"kernel.c": small_kernel.SOURCE}
