"""Recorded results as truth: what is there, what is not, and what the tool could not do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from cost_model.hls.tool_answer import NO_CYCLES, NOT_VALID
from cost_model.hls.tool_form import recorded_truth
from design.conformance.answers import assert_same
from design.conformance.evaluator import check_evaluator, check_other_process, check_spoiled
from design.contracts import Dataset, called, labelled
from design.core import Batch, Evaluation, Status
from design.errors import InputError
from design.hls.design import TARGETS, hls_schema
from evaluators.truth.cached import CachedTruth
from evaluators.truth.ledger import Ledger
from evaluators.truth.recorded import NOT_RECORDED, Recorded
from frontends.hls_results.tables import hls_dataset, read_results
from tests.cases import ROOT
from tests.evaluators.truth.small_kernel import KERNEL, TASK, designs

DATA = ROOT.parent / "shared" / "data" / "hlsyn.tar.gz"
SIZE = {"lut": 1182240, "ff": 2364480, "dsp": 6840, "bram": 4320}
OK, NO_RESULT, TOO_LARGE, REFUSED, SILENT, PARTIAL, ABSENT = range(7)  # rows of `designs`


def table(rows: int = 40) -> Dataset:
    """Results of the first designs, all but row 6, in another order."""
    batch = designs(rows)
    cycles = 1000.0 + np.arange(rows)
    shares = {name: 0.01 * (1 + np.arange(rows) % 50) for name in SIZE}
    shares["dsp"][TOO_LARGE] = 0.93
    valid = np.ones(rows, dtype=bool)
    valid[[NO_RESULT, TOO_LARGE, REFUSED]] = False
    cycles[[NO_RESULT, PARTIAL]] = np.nan
    for name in SIZE:
        shares[name][SILENT] = 0.0
        shares[name][NO_RESULT] = np.nan
    counts = {name: shares[name] * size for name, size in SIZE.items()}
    metrics = {"cycles": cycles, **counts} | {f"{name}_share": values for name, values in shares.items()}
    whole = hls_dataset(TASK, batch, metrics, valid, "here")
    order = np.random.default_rng(5).permutation(rows)
    return whole.take(order[order != ABSENT])


def later(data: Dataset, cycles: object) -> Dataset:
    """The same with so many more cycles."""
    more = dict(data.evaluation.metrics) | {"cycles": data.metric("cycles") + cycles}
    return replace(data, evaluation=replace(data.evaluation, metrics=more))


def recorded() -> tuple[Recorded, Batch]:
    """A truth, and designs of which one is not recorded."""
    return Recorded(recorded_truth(table())), designs(12)


def test_it_is_an_evaluator() -> None:
    """The contract of all evaluators, by itself and with a ledger before it."""
    check_evaluator(*recorded())
    check_other_process("tests.evaluators.truth.test_recorded:recorded")


@pytest.mark.parametrize("change", [{"__PARA__L0": 5}, {"__PARA__L0": -1}, {"__PIPE__L1": 2**40}])
def test_other_values(change: Mapping[str, int]) -> None:
    """A design next to a recorded one is not recorded, whatever it is."""
    truth, _ = recorded()
    batch = designs(6).take(np.array([0, 4, 5]))
    check_spoiled(truth, batch, change)


def test_each_kind_of_row() -> None:
    """What is OK, what is infeasible and why, what is no answer at all."""
    truth, batch = recorded()
    answer = truth.evaluate(batch, seed=0)
    kinds = [OK, NO_RESULT, TOO_LARGE, REFUSED, SILENT, PARTIAL, ABSENT]
    ok, bad, failed = Status.OK, Status.INFEASIBLE, Status.FAILED
    assert answer.status[kinds].tolist() == [ok, bad, bad, bad, ok, bad, failed]
    reasons = ["", NO_CYCLES, "utilisation 0.93 of 0.8 usable", NOT_VALID, "", NO_CYCLES, NOT_RECORDED]
    assert answer.reason[kinds].tolist() == reasons
    cycles = answer.metrics["cycles"][kinds]
    assert cycles[[OK, TOO_LARGE, REFUSED, SILENT]].tolist() == [1000.0, 1002.0, 1003.0, 1004.0]
    for row in (NO_RESULT, PARTIAL, ABSENT):
        assert all(np.isnan(values[row]) for values in answer.metrics.values())
    assert answer.metrics["dsp"][TOO_LARGE] == 0.93 * 6840 and answer.metrics["utilisation"][TOO_LARGE] == 0.93
    assert np.isnan(answer.metrics["lut"][SILENT]) and np.isnan(answer.metrics["utilisation"][SILENT])
    assert answer.violation["utilisation"][TOO_LARGE] == pytest.approx(0.13)
    assert (answer.violation["tool"][[NO_RESULT, REFUSED]] == 1).all()


def test_what_is_a_call_and_what_a_label() -> None:
    """Not recorded is neither; no cycles is both."""
    truth, batch = recorded()
    answer = truth.evaluate(batch, seed=0)
    there = np.arange(12) != ABSENT
    assert np.array_equal(called(answer), there) and np.array_equal(labelled(answer), there)
    assert np.array_equal(truth.accepts(batch), there)
    dear = Recorded(recorded_truth(table()), call_cost=2.5, call_s=600.0)
    assert dear.call_cost == 2.5 and dear.evaluate(batch, seed=0).cost_s.tolist() == [600.0 * one for one in there]


def test_exactly_what_is_usable_is_too_much() -> None:
    """A share of 0.8 breaks the constraint, if by next to nothing."""
    whole = table()
    share = np.where(np.isnan(whole.metric("cycles")), np.nan, 0.8)
    metrics = dict(whole.evaluation.metrics) | {f"{name}_share": share for name in SIZE}
    refused = hls_dataset(TASK, whole.batch, metrics, np.zeros(len(whole), dtype=bool), "here")
    truth = Recorded(recorded_truth(refused))
    answer = truth.evaluate(designs(1), seed=0)
    assert answer.status.tolist() == [Status.INFEASIBLE] and answer.violation["utilisation"][0] > 0
    assert answer.reason.tolist() == ["utilisation 0.8 of 0.8 usable"]


def test_two_answers_to_one_design() -> None:
    """One line that names it; the same answer twice is one answer."""
    whole = table(20)
    twice = whole.take(np.array([0, 1, 2, 1]))
    first = Recorded(recorded_truth(twice)).evaluate(twice.batch, seed=0)
    assert_same(first.take(np.array([1])), first.take(np.array([3])))
    other = later(twice, np.array([0, 0, 0, 7]))
    with pytest.raises(InputError, match="is recorded twice") as caught:
        Recorded(recorded_truth(other))
    assert str(caught.value).startswith("here, __PIPE__L0=") and "\n" not in str(caught.value)


def test_no_results() -> None:
    """An empty table is refused."""
    with pytest.raises(InputError, match="has no designs"):
        Recorded(recorded_truth(table().take(slice(0, 0))))


def test_another_kernel_is_a_mistake() -> None:
    """Equal columns for another tool are other designs."""
    truth, batch = recorded()
    schema = hls_schema(KERNEL, TARGETS["v18"])
    with pytest.raises(ValueError, match="another task"):
        truth.evaluate(Batch(schema, batch.columns), seed=0)


def test_the_version_is_that_of_the_results() -> None:
    """Other results are another truth, which a ledger does not mix up."""
    whole = table()
    one, again, other = (Recorded(recorded_truth(data)) for data in (whole, table(), later(whole, 1)))
    assert one.version == again.version != other.version
    assert one.name == other.name == "recorded-v20"
    plain = [Recorded(data).version for data in (whole, table(), later(whole, 1))]
    assert plain[0] == plain[1] != plain[2], "of data that name no source"


def test_through_a_ledger(tmp_path: object) -> None:
    """The same answers; only what is recorded is a call, and each design once."""
    truth, batch = recorded()
    ledger = Ledger(tmp_path / "calls.sqlite", "r")  # type: ignore[operator]
    bought = CachedTruth(truth, ledger)
    expected: Evaluation = truth.evaluate(batch, seed=0)
    assert_same(bought.evaluate(batch, seed=0), expected)
    check_evaluator(bought, batch, pickled=False)  # it holds its ledger
    calls = ledger.calls()
    assert (calls.begun, calls.ok, calls.infeasible, calls.failed, calls.price) == (11, 7, 4, 0, 11.0)


@pytest.mark.skipif(not DATA.is_file(), reason=f"no results at {DATA}")
@pytest.mark.parametrize("tool", ["v18", "v20"])
def test_real_results(tool: str) -> None:
    """Every design of a real table is a call and says what the table says; the contract holds on it."""
    (results,) = read_results(DATA, tool, ["mvt"])
    truth = Recorded(recorded_truth(results))
    answer = truth.evaluate(results.batch, seed=0)
    known = ~np.isnan(results.metric("cycles"))
    assert called(answer).all() and labelled(answer).all()
    assert np.array_equal(answer.metrics["cycles"], results.metric("cycles"), equal_nan=True)
    assert np.array_equal(answer.status == Status.OK, results.feasible & known)
    large = answer.violation["utilisation"] > 0
    assert large.any() and np.array_equal(large, ~results.feasible & known)
    check_evaluator(truth, results.batch.take(slice(0, 60)))
