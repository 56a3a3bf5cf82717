"""Conformal intervals around surrogates: the contract, what they hold, and that no label is judged by who saw it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_model.corpus.label_draws import answered_rows, label_rows
from cost_model.hls.estimate import EstimateSurrogate
from cost_model.surrogates.conformal.predictive_spread import difficulty, relative
from cost_model.surrogates.conformal.prior import Prior
from cost_model.surrogates.conformal.residuals import FOLDS, PLAIN, Terms, cross_fitted_residuals, residuals_of
from cost_model.surrogates.conformal.store import read_prior, write_prior
from cost_model.surrogates.conformal.surrogate import ConformalSurrogate, around
from cost_model.surrogates.function_evaluator import FunctionEvaluator
from cost_model.surrogates.tables.transfer import baselines
from cost_model.training.calibrate import make_prior
from cost_model.views.hls.view import HlsView
from design.conformance.evaluator import check_evaluator, check_other_process, check_spoiled
from design.contracts import Dataset, Evaluator, Surrogate, Task, TrainingSet
from design.core import Batch, Bools, Evaluation, Floats, key_bytes
from design.errors import InputError
from design.hls.task import hls_task_of
from design.metrics import HLS_METRICS, VALID
from evaluators.scoring.protocol import score_task
from frontends.hls_results.tables import hls_dataset, read_results
from tests.cases import examples
from tests.cases_hls import usual

VIEW = HlsView()
SPREAD = 0.7  # of errors in y


@cache
def tables() -> tuple[Dataset, ...]:
    """dot (27 rows), scale, scale-large and twice (72 of 90 rows with cycles) by v18; scale and twice by v20."""
    with TemporaryDirectory() as folder:
        data = usual(Path(folder))
        return tuple(table for tool in ("v18", "v20") for table in read_results(data, tool))


def named(name: str, tool: str = "v18") -> Dataset:
    return next(table for table in tables() if table.task.name == name and hls_task_of(table).target.tool == tool)


class Wrong:
    """Knows every table, but for errors in y that are normal and the design's own: new ones for each `number`. Designs
    that it is shown it knows without error if it `remembers`. It claims to have learned from the tables `shown`."""

    name, version = "wrong", "1"

    def __init__(self, number: int = 0, remembers: bool = False, shown: tuple[Dataset, ...] | None = None) -> None:
        self.number, self.remembers = number, remembers
        known = tables() if shown is None else shown
        self.trained_on = TrainingSet(frozenset(table.task.family for table in known))
        self.asked: list[set[bytes]] = []
        self._known: dict[bytes, dict[str, float]] = {}
        for table in tables():
            for row, key in enumerate(key_bytes(table.batch.schema.key(table.batch))):
                self._known[key] = {
                    metric: float(np.nan_to_num(table.metric(metric)[row], nan=1.0)) for metric in HLS_METRICS
                }
        drawn = SPREAD * np.random.default_rng(number).normal(size=len(self._known))
        self.errors = dict(zip(self._known, drawn.tolist(), strict=True))  # in y

    def condition(self, task: Task, labels: Dataset | None, *, seed: int) -> Evaluator:
        """See `Surrogate`."""
        told = set() if labels is None else set(key_bytes(labels.batch.schema.key(labels.batch)))
        self.asked.append(told)

        def answer(batch: Batch) -> dict[str, Floats]:
            keys = key_bytes(batch.schema.key(batch))
            error = np.array([0.0 if self.remembers and key in told else self.errors.get(key, 0.0) for key in keys])
            truth = {
                m: np.array([self._known.get(key, dict.fromkeys(HLS_METRICS, 9.0))[m] for key in keys])
                for m in HLS_METRICS
            }
            found = {m: (1 + v) * 4.0**error - 1 for m, v in truth.items() if m != "cycles"}
            found = {m: np.maximum(v, 0.0) for m, v in found.items()}
            return {"cycles": truth["cycles"] * 4.0**error, VALID: np.full(len(batch), 0.5)} | found

        return FunctionEvaluator(self.name, self.version, task, VIEW, answer)


@cache
def prior() -> Prior:
    """Of errors like those of `Wrong`, of five tables that count as forty."""
    made = make_prior(tables(), lambda _, rest: Wrong(99, shown=tuple(rest)), VIEW)
    assert made.shapes[20]["cycles"].kernels == 5
    shapes = {n: {m: replace(shape, kernels=40) for m, shape in by.items()} for n, by in made.shapes.items()}
    return replace(made, shapes=shapes)


def layered(inner: Surrogate, known: Prior | None = None, **settings: Any) -> ConformalSurrogate:
    """With intervals around what it answers."""
    return ConformalSurrogate(inner, VIEW, known, **settings)


def labels_of(table: Dataset, count: int, seed: int = 0) -> Dataset:
    return table.take(label_rows(table, count, seed))


def changed(labels: Dataset, valid: Bools, **metrics: Floats) -> Dataset:
    """The same designs with other numbers, and which of them are valid."""
    return hls_dataset(hls_task_of(labels), labels.batch, labels.evaluation.metrics | metrics, valid, "made up")


def make(what: str = "labels") -> tuple[Evaluator, Batch]:
    """An evaluator with intervals, and some designs."""
    table = named("twice", "v20")
    labels = labels_of(table, 20)
    if what == "prior alone":
        surrogate: Surrogate = layered(Wrong(), prior())
        labels = None
    elif what == "labels and prior":
        surrogate = layered(Wrong(), prior())
    elif what == "estimate":
        surrogate = layered(EstimateSurrogate())
    else:
        trained = [t for t in tables() if t.task.family != "twice"]
        surrogate = layered(baselines(trained, [table], VIEW, 0, names=["extra-trees"])[0])
    return surrogate.condition(table.task, labels, seed=1), table.batch.take(np.arange(24))


def make_both() -> tuple[Evaluator, Batch]:
    """See `make`."""
    return make("labels and prior")


@pytest.mark.parametrize("what", ["labels", "prior alone", "labels and prior", "estimate"])
def test_conformance(what: str) -> None:
    evaluator, batch = make(what)
    check_evaluator(evaluator, batch, pickled=False)  # it holds what it learned as functions
    for spoiled in ({"P0": 3}, {"P0": -1}, {"T0": 0}, {"U1": -8}):
        check_spoiled(evaluator, batch, spoiled)


def test_the_same_in_another_process() -> None:
    check_other_process("tests.cost_model.surrogates.test_conformal:make_both")


@pytest.mark.parametrize("what", ["labels", "prior alone", "labels and prior", "estimate"])
def test_the_form_of_intervals(what: str) -> None:
    """Wide, positive for cycles, never below 0 for counts, of one width in log2 for all designs; the source says so."""
    evaluator, batch = make(what)
    answer = evaluator.evaluate(batch, seed=0)
    assert answer.level == 0.9
    for metric in HLS_METRICS:
        low, high = answer.interval[metric].T
        assert (low < high).all() and (low >= 0).all() and np.isfinite(high).all()
        assert all("conformal" in text for text in answer.source[metric].tolist())
        if metric == "cycles":
            assert (low > 0).all() and np.ptp(np.log2(high / low)) < 1e-9
    if what == "estimate":
        for name, amount in hls_task_of(named("twice")).target.device.resources.items():
            assert np.allclose(answer.interval[f"{name}_share"] * amount, answer.interval[name])


def test_the_point_stays_that_of_the_inner_one() -> None:
    table = named("scale")
    labels = labels_of(table, 20)
    inner = Wrong().condition(table.task, labels, seed=1).evaluate(table.batch, seed=1)
    outer = layered(Wrong()).condition(table.task, labels, seed=1).evaluate(table.batch, seed=1)
    assert all(np.array_equal(inner.metrics[name], outer.metrics[name]) for name in inner.metrics)


@pytest.mark.parametrize("with_prior", [False, True])
@pytest.mark.parametrize("count", [0, 12, 20])
def test_nine_in_ten_are_held(count: int, with_prior: bool) -> None:
    """Over draws of errors and of labels; the errors are as large on every kernel. Without labels and prior nothing is
    said."""
    held, wide = [], []
    for number in range(20):
        surrogate = layered(Wrong(number), prior() if with_prior else None)
        block = score_task(surrogate, named("scale"), count, number).blocks["cycles"]
        if not count and not with_prior:
            assert block["coverage_90"] is None
            return
        held.append(block["coverage_90"])
        wide.append(block["width_90"])
    error = np.std(held) / np.sqrt(len(held))
    assert np.mean(held) >= 0.9 - 3 * error
    assert np.mean(held) <= 0.96
    exact = 4 * SPREAD * 1.645
    assert 0.9 * exact < np.mean(wide) < 1.4 * exact


def test_no_label_is_asked_of_who_was_shown_it() -> None:
    """Who remembers labels would have no errors on them; each is left out once."""
    table = named("scale")
    labels = labels_of(table, 20)
    surrogate = Wrong(remembers=True)
    found = cross_fitted_residuals(surrogate, table.task, labels, VIEW, 3)[0]["cycles"]
    expected = [surrogate.errors[key] for key in key_bytes(labels.batch.schema.key(labels.batch))]
    assert sorted(found) == pytest.approx(sorted(expected))
    told = surrogate.asked
    keys = set(key_bytes(labels.batch.schema.key(labels.batch)))
    assert len(told) == FOLDS and all(len(shown) == 16 and shown < keys for shown in told)
    assert set().union(*(keys - shown for shown in told)) == keys
    own = residuals_of(surrogate.condition(table.task, labels, seed=3), labels, PLAIN, 3)
    assert np.allclose(own["cycles"], 0)  # what a layer that asked of the shown would have seen


@pytest.mark.parametrize("count", [0, 1, 2, 8])
def test_too_few_labels_leave_the_answer_alone(count: int) -> None:
    """And do not fail; nine say something."""
    table = named("scale")
    labels = labels_of(table, 9)
    few = layered(Wrong()).condition(table.task, labels.take(np.arange(count)), seed=0)
    assert not few.evaluate(table.batch, seed=0).interval
    nine = layered(Wrong()).condition(table.task, labels, seed=0)
    assert set(nine.evaluate(table.batch, seed=0).interval) == {*HLS_METRICS, VALID}
    if count < 3:
        told, inner = labels.take(np.arange(count)), EstimateSurrogate()
        both = [each.condition(table.task, told, seed=0) for each in (inner, layered(inner))]
        own, said = (evaluator.evaluate(table.batch, seed=0).interval for evaluator in both)
        assert all(np.array_equal(said[name], own[name], equal_nan=True) for name in own)


def test_labels_without_answers_teach_nothing() -> None:
    table = named("scale")
    full = labels_of(table, 20)
    blank = changed(full, np.zeros(20, dtype=bool), **dict.fromkeys(HLS_METRICS, np.full(20, np.nan)))
    surrogate = layered(Wrong(), prior())
    widths = []
    for labels in (None, blank, full):
        answer = surrogate.condition(table.task, labels, seed=0).evaluate(table.batch, seed=0)
        low, high = answer.interval["cycles"].T
        widths.append(np.nanmedian(high / low))
    assert widths[0] == pytest.approx(widths[1]) and widths[2] != pytest.approx(widths[0])
    half = changed(full, full.feasible, dsp=np.full(20, np.nan))
    answer = layered(Wrong()).condition(table.task, half, seed=0).evaluate(table.batch, seed=0)
    assert set(answer.interval) == {*HLS_METRICS, VALID} - {"dsp"}


def test_a_prior_belongs_to_a_surrogate() -> None:
    """To one of its name, weighed as it was; its kernels are no longer unseen; and versions tell all of it apart."""
    with pytest.raises(InputError, match="wrong"):
        layered(EstimateSurrogate(), prior())
    with pytest.raises(InputError, match="normalised"):
        layered(Wrong(), prior(), normalised=True)
    bare = Wrong(shown=())
    assert not layered(bare).trained_on.contains("scale", "")
    whole = layered(bare, prior())
    seen = whole.trained_on
    assert seen.contains("scale", "") and seen.contains("", named("twice").task.digest)
    assert not seen.contains("gemm", "") and seen.families == {"scale", "twice"}
    versions = {one.version for one in (bare, whole, layered(bare), layered(bare, level=0.8))}
    assert len(versions) == 4
    table = named("scale")
    found = {whole.condition(table.task, labels_of(table, 20, seed), seed=0).version for seed in range(4)}
    assert len(found) == 4


def test_no_prior_from_who_has_seen_the_family(tmp_path: Path) -> None:
    """Each family is asked of a surrogate refitted without it, by both tools; few designs teach nothing."""
    given: list[set[str]] = []

    def refit(part: int, rest: list[Dataset]) -> Surrogate:
        given.append({table.task.family for table in rest})
        return Wrong(shown=tuple(rest))

    made = make_prior(tables(), refit, VIEW, counts=(0, 10))
    assert given == [{"dot", "twice"}, {"dot", "scale"}]
    assert made.families == {"scale", "twice"} and set(made.shapes) == {0, 10} and made.who == "wrong"
    assert {shape.kernels for by in made.shapes.values() for shape in by.values()} == {5}
    shape = made.shapes[0]["cycles"]
    # Errors are normal: the typical size is 0.80 standard deviations, nine in ten are below 1.645.
    assert shape.typical == pytest.approx(0.8 * SPREAD, rel=0.15)
    assert np.quantile(shape.points, 0.9) * shape.typical == pytest.approx(1.645 * SPREAD, rel=0.15)
    write_prior(made, tmp_path / "prior.json")
    table = named("scale")
    for count in (0, 10):
        labels = labels_of(table, count) if count else None
        answers = [
            layered(Wrong(), p).condition(table.task, labels, seed=0).evaluate(table.batch, seed=0)
            for p in (made, read_prior(tmp_path / "prior.json"))
        ]
        for metric in HLS_METRICS if count else ():
            assert np.allclose(*(a.interval[metric] for a in answers), rtol=1e-3, equal_nan=True)
    with pytest.raises(ValueError, match="enough designs"):
        make_prior([named("dot")], refit, VIEW)


def test_around_by_hand() -> None:
    """Half a unit of y is a factor of 2, of 1 + count for resources; counts end at 0; huge widths stay finite."""
    assert around("cycles", np.array([100.0, 8.0]), 0.5).tolist() == [[50, 200], [4, 16]]
    assert around("lut", np.array([3.0, 0.0]), 0.5).tolist() == [[1, 7], [0, 1]]
    assert around("lut", np.array([3.0, 3.0]), np.array([0.0, 4.0])).tolist() == [[3, 3], [0, 1023]]
    assert np.isfinite(around("cycles", np.array([1e9]), 1e9)).all()
    assert np.isnan(around("cycles", np.array([np.nan]), 1.0)).all()
    # between 0 and 10 nothing is reported
    ends = around("lut", np.array([3.0, 12.0, 31.0, 0.0]), 0.5, least=10.0)
    assert ends.tolist() == [[0, 3], [0, 25], [15, 63], [0, 0]]


@examples(200)
@given(
    value=st.floats(0, 1e12),
    halves=st.lists(st.floats(0, 200), min_size=2, max_size=2).map(sorted),
    least=st.sampled_from([0.0, 43.2, 23644.8]),
    power=st.integers(-6, 6),
)
def test_the_point_is_within(value: float, halves: list[float], least: float, power: int) -> None:
    """Whatever the width; a wider one holds the narrower; cycles twice as many have ends twice as large."""
    for metric in ("cycles", "ff"):
        if metric == "cycles" and not value:
            continue
        narrow, wide = (around(metric, np.array([value]), half, least * (metric == "ff"))[0] for half in halves)
        assert 0 <= wide[0] <= narrow[0] <= value <= narrow[1] <= wide[1] < np.inf
        assert metric == "ff" or wide[0] > 0 or value < 1e-200
    scaled = around("cycles", np.array([value * 2.0**power]), halves[0])
    assert np.array_equal(scaled, around("cycles", np.array([value]), halves[0]) * 2.0**power)


def test_small_counts_that_are_not_reported() -> None:
    """Once a label is 0, a truth of 0 is as far off as the prediction lies above one per cent of the device, and
    intervals that reach below that reach 0."""
    table = named("scale")
    device = hls_task_of(table).target.device
    least = device.reported * device.resources["dsp"]  # 68.4
    full = labels_of(table, 20)
    labels = changed(full, full.feasible, dsp=np.where(full.metric("dsp") < least, 0.0, full.metric("dsp")))
    surrogate = Wrong()  # says what it would have been, but for its errors
    terms = cross_fitted_residuals(surrogate, table.task, labels, VIEW, 0)[1]
    assert terms.least == {"dsp": least}
    assert cross_fitted_residuals(surrogate, table.task, full, VIEW, 0)[1] == PLAIN
    evaluator = surrogate.condition(table.task, labels, seed=0)
    said = evaluator.evaluate(labels.batch, seed=0).metrics["dsp"]
    off = residuals_of(evaluator, labels, terms, 0)["dsp"]
    zero = labels.metric("dsp") == 0
    assert zero.any() and np.allclose(off[zero], np.minimum(np.log2((1 + least) / (1 + said[zero])) / 2, 0))
    plain = residuals_of(evaluator, full, Terms(), 0)["dsp"]
    assert np.array_equal(off[~zero], plain[~zero])
    answer = layered(surrogate).condition(table.task, labels, seed=0).evaluate(table.batch, seed=0)
    low, high = answer.interval["dsp"].T
    assert ((low == 0) | (low > least)).all() and (low == 0).any() and (low > least).any()
    small = (high < least).nonzero()[0]
    assert np.array_equal(high[small], answer.metrics["dsp"][small])


class Unsure(Wrong):
    """Its error is three times as large where it pipelines nothing, and it says so: by samples, or by intervals."""

    name, says = "unsure", "samples"

    def condition(self, task: Task, labels: Dataset | None, *, seed: int) -> Evaluator:
        """See `Surrogate`."""
        inner, says = super().condition(task, labels, seed=seed), self.says

        class Telling(FunctionEvaluator):
            def evaluate(self, batch: Batch, *, seed: int) -> Evaluation:
                answer = inner.evaluate(batch, seed=seed)
                times = np.where(batch.columns["P0"] == 0, 3.0, 1.0)
                point = answer.metrics["cycles"] * 4.0 ** ((times - 1) * _error(answer, batch))
                sigma = times * SPREAD
                ends = point[:, None] * 4.0 ** (sigma[:, None] * np.array([-1.0, 1.0]))
                metrics = dict(answer.metrics) | {"cycles": point}
                if says == "samples":
                    return replace(answer, metrics=metrics, samples={"cycles": ends})
                return replace(answer, metrics=metrics, interval={"cycles": ends})

        def _error(answer: Evaluation, batch: Batch) -> Floats:
            keys = key_bytes(batch.schema.key(batch))
            return np.array([self.errors[key] for key in keys])

        return Telling(self.name, self.version, task, VIEW, lambda batch: {})


@pytest.mark.parametrize("says", ["samples", "intervals"])
def test_intervals_follow_what_the_surrogate_is_unsure_of(says: str) -> None:
    """Wider where it is more unsure; they hold as much and are narrower on the whole."""
    table = named("scale")
    found: dict[bool, tuple[float, float]] = {}
    for normalised in (False, True):
        blocks = []
        for number in range(12):
            inner = Unsure(number)
            inner.says = says
            surrogate = layered(inner, normalised=normalised)
            blocks.append(score_task(surrogate, table, 20, number).blocks["cycles"])
        found[normalised] = tuple(float(np.mean([b[f] for b in blocks])) for f in ("coverage_90", "width_90"))
    assert found[True][0] >= 0.88 and found[False][0] >= 0.88
    assert found[True][1] < 0.95 * found[False][1]
    inner.says = says
    evaluator = layered(inner, normalised=True).condition(table.task, labels_of(table, 20), seed=0)
    answer = evaluator.evaluate(table.batch, seed=0)
    wide = np.log2(answer.interval["cycles"][:, 1] / answer.interval["cycles"][:, 0])
    unsure = table.batch.columns["P0"] == 0
    # one third of the designs is unsure: 3 + 2 spreads against 1 + 2
    assert wide[unsure] == pytest.approx(5 / 3 * wide[~unsure][0]) and np.ptp(wide[~unsure]) < 1e-9
    check_evaluator_rows(evaluator, table.batch.take(np.arange(12)))


def check_evaluator_rows(evaluator: Evaluator, batch: Batch) -> None:
    """A row's interval is its own."""
    whole = evaluator.evaluate(batch, seed=0).interval["cycles"]
    for row in range(len(batch)):
        alone = evaluator.evaluate(batch.take(np.array([row])), seed=0).interval["cycles"]
        assert alone.tobytes() == whole[row : row + 1].tobytes()


def test_difficulty_by_hand() -> None:
    """The spread of samples that are numbers; half of an interval; nothing known is the same for all."""
    table = named("scale")
    answer = Wrong().condition(table.task, None, seed=0).evaluate(table.batch.take(np.arange(3)), seed=0)
    assert difficulty(answer, "cycles").tolist() == [0, 0, 0]
    samples = np.array([[100.0, 400, np.nan], [7, 7, 7], [np.nan, np.nan, -1]])
    assert difficulty(replace(answer, samples={"cycles": samples}), "cycles") == pytest.approx([0.5, 0, 0])
    interval = np.array([[100.0, 1600], [7, 7], [0, 5]])
    found = difficulty(replace(answer, interval={"cycles": interval}), "cycles")
    assert found == pytest.approx([1.0, 0, 0])
    assert relative(np.array([0.0, 0.5, 2.0]), 0.5) == pytest.approx([2 / 3, 1, 2])


def test_shown_designs_are_not_needed_to_be_all_known() -> None:
    """A surrogate without some metric has no interval of it."""

    class Half:
        name, version, trained_on = "half", "1", TrainingSet()

        def condition(self, task: Task, labels: Dataset | None, *, seed: int) -> Evaluator:
            """See `Surrogate`."""
            found: Callable[[Batch], dict[str, Floats]] = lambda batch: {"cycles": np.full(len(batch), 500.0)}
            evaluator = FunctionEvaluator(self.name, self.version, task, VIEW, found, validity=False)
            evaluator.metrics = {"cycles": "cycles"}
            return evaluator

    table = named("scale")
    evaluator = layered(Half()).condition(table.task, labels_of(table, 20), seed=0)
    check_evaluator(evaluator, table.batch.take(answered_rows(table)[:10]), pickled=False)
    assert set(evaluator.evaluate(table.batch, seed=0).interval) == {"cycles"}
