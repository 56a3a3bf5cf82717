"""Scores: worked by hand, and the rules of the protocol with surrogates that know or remember."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_model.corpus.label_draws import answered_rows, label_rows, why_skipped
from cost_model.surrogates.function_evaluator import FunctionEvaluator
from cost_model.views.hls.view import HlsView
from design.contracts import Dataset, Evaluator, Task, TrainingSet
from design.core import Batch, Evaluation, Floats, key_bytes
from design.errors import InputError
from design.metrics import HLS_METRICS, VALID
from evaluators.scoring.figures import CALLED_VALID, FIELDS, f1, figures, spearman
from evaluators.scoring.protocol import blocks_of, score_task
from evaluators.scoring.table import UNITS, score_table
from frontends.hls_results.tables import read_results
from tests.cases import examples
from tests.cases_hls import usual


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> list[Dataset]:
    """dot (27 rows), scale, scale-large and twice (72 of 90 rows with cycles)."""
    return read_results(usual(tmp_path_factory.mktemp("data")), "v18")


class Remembers:
    """Knows every design of a table, wrong by a factor; `told` are the labels that it was given, call by call."""

    name, version = "remembers", "1"
    trained_on = TrainingSet()

    every = False

    def __init__(self, table: Dataset, factor: float = 1.0) -> None:
        self.told: list[Dataset | None] = []
        self.asked: list[Batch] = []
        keys = key_bytes(table.batch.schema.key(table.batch))
        self._known = {
            key: {m: np.nan_to_num(table.metric(m)[row], nan=1.0) * factor for m in HLS_METRICS}
            | {VALID: float(table.feasible[row])}
            for row, key in enumerate(keys)
        }

    def condition(self, task: Task, labels: Dataset | None, *, seed: int) -> Evaluator:
        """See `Surrogate`."""
        self.told.append(labels)

        def answer(batch: Batch) -> dict[str, Floats]:
            self.asked.append(batch)
            rows = [self._known[key] for key in key_bytes(batch.schema.key(batch))]
            return {m: np.array([row[m] for row in rows]) for m in (*HLS_METRICS, VALID)}

        return FunctionEvaluator(self.name, self.version, task, HlsView(), answer)


def test_figures_of_cycles_by_hand() -> None:
    """Truths 100, 200, 400, 800; predictions right, 5 % high, half and double."""
    found = figures("cycles", np.array([100.0, 200, 400, 800]), np.array([100.0, 210, 200, 1600]))
    errors = [0.0, math.log2(1.05) / 2, 0.5, 0.5]
    assert found["mse"] == pytest.approx(sum(e * e for e in errors) / 4)
    assert found["rmse_y"] == pytest.approx(math.sqrt(sum(e * e for e in errors) / 4))
    assert found["mape"] == pytest.approx((0 + 0.05 + 0.5 + 1) / 4)
    assert found["median_ape"] == pytest.approx((0.05 + 0.5) / 2)
    assert found["within_10"] == 0.5
    assert found["spearman"] == pytest.approx(1 - 6 * (0 + 1 + 1 + 0) / (4 * 15))  # ranks 1 2 3 4 and 1 3 2 4
    assert [found[name] for name in FIELDS if "5" in name or "90" in name] == [None] * 5


def test_figures_of_resources_by_hand() -> None:
    """Counts 0, 3 and 10: the percentage error of the first is taken over 1."""
    found = figures("dsp", np.array([0.0, 3, 10]), np.array([1.0, 3, 9]))
    errors = [0.5, 0.0, (math.log2(10) - math.log2(11)) / 2]
    assert found["rmse_y"] == pytest.approx(math.sqrt(sum(e * e for e in errors) / 3))
    assert found["mape"] == pytest.approx((1 + 0 + 0.1) / 3)
    assert found["within_10"] == pytest.approx(2 / 3)


def test_samples_by_hand() -> None:
    """Five of six draws count; a draw that is no number is a miss."""
    nan = np.nan
    samples = np.array(
        [
            [50.0, 60, 95, 200, 60, 100],  # 95 is close; median 60, most frequent 60
            [10.0, 20, 30, 40, 50, 100],  # none of five; median 30, all once: the first, 10
            [nan, 105, nan, nan, 300, 100],  # 105 is close; median 202.5, the first, 105
            [nan, nan, nan, nan, nan, 100],  # nothing: the prediction, 80
        ]
    )
    found = figures("cycles", np.full(4, 100.0), np.full(4, 80.0), None, samples)
    assert found["pass_at_5"] == 0.5
    assert found["mape_median5"] == pytest.approx((0.4 + 0.7 + 1.025 + 0.2) / 4)
    assert found["mape_majority5"] == pytest.approx((0.4 + 0.9 + 0.05 + 0.2) / 4)
    assert found["spearman"] is None  # the truth is constant
    assert figures("cycles", np.full(4, 100.0), np.full(4, 80.0), None, samples[:, :4])["pass_at_5"] is None


def test_intervals_by_hand() -> None:
    """Both ends count as inside; width in log2, of 1 + count for resources; another level is not
    scored."""
    truth, said = np.array([100.0, 200, 400]), np.array([100.0, 200, 400])
    interval = np.array([[100.0, 400], [50, 100], [100, 800]])
    found = figures("cycles", truth, said, interval)
    assert found["coverage_90"] == pytest.approx(2 / 3)
    assert found["width_90"] == pytest.approx((2 + 1 + 3) / 3)
    found = figures("bram", np.array([0.0, 8]), np.array([0.0, 8]), np.array([[0.0, 3], [7, 7]]))
    assert found["coverage_90"] == 0.5 and found["width_90"] == pytest.approx((2 + 0) / 2)
    assert figures("cycles", truth, said, interval, level=0.8)["coverage_90"] is None
    assert figures("cycles", truth, said, np.stack([said, said], axis=1))["width_90"] is None  # states no error


def test_spearman_with_ties_and_constants() -> None:
    """Ties share their mean rank; a constant prediction has said nothing, a constant truth asked nothing."""
    assert spearman(np.array([1.0, 2, 3]), np.array([5.0, 5, 5])) == 0.0
    assert spearman(np.array([2.0, 2, 2]), np.array([1.0, 2, 3])) is None
    left, right = np.array([1.0, 2, 2, 3]), np.array([1.0, 3, 2, 4])  # ranks 1 2.5 2.5 4 and 1 3 2 4
    assert spearman(left, right) == pytest.approx(4.5 / math.sqrt(4.5 * 5))


def test_f1_by_hand() -> None:
    """The threshold itself counts as valid."""
    truth = np.array([True, True, True, False, False])
    assert f1(truth, np.array([0.9, CALLED_VALID, 0.1, 0.8, 0.2])) == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    assert f1(truth, np.zeros(5)) == 0.0
    assert f1(~np.ones(3, dtype=bool), np.ones(3)) is None


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, -3.0])
def test_a_design_without_a_number_is_an_error(value: float) -> None:
    """A surrogate cannot leave out what it finds hard."""
    with pytest.raises(InputError, match=r"somebody.*1 of 2 designs"):
        figures("cycles", np.array([5.0, 6]), np.array([5.0, value]), who="somebody")
    with pytest.raises(InputError, match="interval"):
        figures("cycles", np.array([5.0, 6]), np.array([5.0, 6]), np.array([[1.0, 2], [1, value]]))
    with pytest.raises(InputError, match="validity"):
        f1(np.array([True, False]), np.array([0.5, np.nan]))


@pytest.mark.parametrize("count", [0, 20])
def test_perfection(count: int, tables: list[Dataset]) -> None:
    """Who knows all has no error; who is wrong by four has 1 in y and the right order."""
    table = tables[1]
    score = score_task(Remembers(table), table, count, 3)
    assert (score.scored, score.judged, score.seen) == (72 - count, 90 - count, False)
    for metric in HLS_METRICS:
        block = score.blocks[metric]
        assert (block["rmse_y"], block["mape"], block["mse"], block["median_ape"]) == (0, 0, 0, 0)
        assert (block["within_10"], block["pass_at_5"], block["width_90"]) == (1, None, None)
        assert block["spearman"] == pytest.approx(1)
    assert score.blocks["valid"] == {"f1": 1.0}
    block = score_task(Remembers(table, 4.0), table, count, 3).blocks["cycles"]
    assert block["rmse_y"] == pytest.approx(1) and block["mape"] == pytest.approx(3) and block["within_10"] == 0
    assert block["spearman"] == pytest.approx(1)


def test_labels_are_never_scored(tables: list[Dataset]) -> None:
    """Three draws of 20 rows with cycles; what is asked is all the rest; fewer labels are among the more."""
    table = tables[1]
    surrogate = Remembers(table)
    score_task(surrogate, table, 20, 5)
    assert len(surrogate.told) == 3
    drawn = []
    for labels, batch in zip(surrogate.told, surrogate.asked, strict=True):
        assert labels is not None and len(labels) == 20 and (labels.metric("cycles") > 0).all()
        told = set(key_bytes(labels.batch.schema.key(labels.batch)))
        asked = set(key_bytes(batch.schema.key(batch)))
        assert len(told) == 20 and len(asked) == 70 and not told & asked
        drawn.append(told)
    assert drawn[0] != drawn[1] != drawn[2] != drawn[0]
    other = Remembers(table)
    score_task(other, table, 20, 6)  # seeds 6, 7, 8
    assert [set(key_bytes(x.batch.schema.key(x.batch))) for x in other.told if x is not None][:2] == drawn[1:]
    assert set(label_rows(table, 10, 5)) < set(label_rows(table, 20, 5))
    none = Remembers(table)
    score_task(none, table, 0, 5)
    assert none.told == [None] and len(none.asked[0]) == 90


def test_invalid_designs_with_cycles_are_scored(tables: list[Dataset]) -> None:
    """Numbers on all rows with cycles, validity on all rows."""
    table = tables[1]
    assert (~table.feasible[answered_rows(table)]).sum() == 18

    def answer(wrong: Any) -> Evaluation:
        truth = {m: np.nan_to_num(v, nan=1.0) for m, v in ((m, table.metric(m)) for m in HLS_METRICS)}
        truth["cycles"] = np.where(wrong, truth["cycles"] * 4, truth["cycles"])
        plain = FunctionEvaluator("x", "1", table.task, HlsView(), lambda batch: truth, validity=False)
        return plain.evaluate(table.batch, seed=0)

    cycles = table.metric("cycles")
    invalid = ~table.feasible & (cycles > 0)
    assert blocks_of(table, answer(invalid), "x")["cycles"]["mse"] == pytest.approx(18 / 72)
    assert blocks_of(table, answer(np.isnan(cycles)), "x")["cycles"]["mse"] == 0
    assert blocks_of(table, answer(invalid), "x")["valid"] == {"f1": None}


@examples(25)
@given(order=st.permutations(range(90)), seed=st.integers(0, 50))
def test_the_order_of_rows_does_not_matter(order: list[int], seed: int, tables: list[Dataset]) -> None:
    """The same labels are drawn and the same figures come out."""
    table = tables[1]
    turned = table.take(np.array(order))
    rows, others = label_rows(table, 20, seed), np.array(order)[label_rows(turned, 20, seed)]
    assert rows.tolist() == others.tolist()
    noise = {key: 1 + key[0] / 100 for key in key_bytes(table.batch.schema.key(table.batch))}

    class Noisy(Remembers):
        def condition(self, task: Task, labels: Dataset | None, *, seed: int) -> Evaluator:
            inner = super().condition(task, labels, seed=seed)

            def answer(batch: Batch) -> dict[str, Floats]:
                factors = np.array([noise[key] for key in key_bytes(batch.schema.key(batch))])
                found = inner.evaluate(batch, seed=0).metrics
                return {m: v * factors if m != VALID else v for m, v in found.items()}

            return FunctionEvaluator("noisy", "1", task, HlsView(), answer)

    one, two = (score_task(Noisy(table), t, 20, seed).blocks for t in (table, turned))
    for metric, block in one.items():
        assert block == pytest.approx(two[metric])


def test_skipped_and_means(tables: list[Dataset]) -> None:
    """27 rows are too few, 72 are enough for 52 labels; the mean is over kernels, not over rows, and JSON is strict."""
    dot, scale, large, twice = tables
    assert "27 of 27" in why_skipped(dot, [0]) and not why_skipped(scale, [0, 20, 52])
    assert "72 of 90" in why_skipped(scale, [0, 53])

    class Both(Remembers):
        trained_on = TrainingSet(frozenset({"scale"}), frozenset({twice.task.digest}))

        def __init__(self) -> None:
            super().__init__(scale, 4.0)
            self._known |= Remembers(large, 16.0)._known | Remembers(twice, 1.0)._known

    half = twice.take(answered_rows(twice)[:44])
    table = score_table(Both(), [scale, large, half], [0, 20], 0)
    assert table["labels=0"]["cycles"]["rmse_y"] == pytest.approx((1 + 2 + 0) / 3)
    assert table["labels=20"]["cycles"]["mse"] == pytest.approx((1 + 4 + 0) / 3)
    kernels = table["labels=20"]["kernels"]
    assert list(kernels) == ["scale", "scale-large", "twice"] and kernels["twice"]["scored"] == 24
    assert [kernel["seen"] for kernel in kernels.values()] == [True, True, True]
    assert json.loads(json.dumps(table, allow_nan=False)) == table
    assert set(table["labels=0"]) == {*HLS_METRICS, "valid", "kernels"} and set(table["labels=0"]["lut"]) == set(FIELDS)
    assert set(FIELDS) <= set(UNITS)


def test_no_number_is_scored_as_the_median(tables: list[Dataset]) -> None:
    """Nothing is left out: with one design in two unknown the error is that of the median there. Nothing at all is an
    error."""
    table = tables[1]
    rows = answered_rows(table)
    odd = np.zeros(len(table), dtype=bool)
    odd[rows[::2]] = True

    class Silent(Remembers):
        def condition(self, task: Task, labels: Dataset | None, *, seed: int) -> Evaluator:
            inner = super().condition(task, labels, seed=seed)
            every = self.every

            def answer(batch: Batch) -> dict[str, Floats]:
                found = dict(inner.evaluate(batch, seed=0).metrics)
                return found | {"cycles": np.where(odd | every, np.nan, found["cycles"])}

            return FunctionEvaluator("silent", "1", task, HlsView(), answer)

    silent = Silent(table)
    silent.every = False
    score = score_task(silent, table, 0, 0)
    cycles = table.metric("cycles")
    truth, middle = cycles[rows], np.median(cycles[rows[1::2]])
    assert score.filled == 36 and score.blocks["lut"]["rmse_y"] == 0
    errors = np.log2(middle / truth[::2]) / 2
    assert score.blocks["cycles"]["mse"] == pytest.approx(np.sum(errors**2) / 72)
    silent.every = True
    with pytest.raises(InputError, match="cycles for 72 of 72"):
        score_task(silent, table, 0, 0)
