"""Scores by digit and by rank: against words and lots, by hand, and through the protocol."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_model.corpus.hls.nearest import nearest_kernels
from cost_model.corpus.label_draws import answered_rows, seeds_of
from cost_model.surrogates.function_evaluator import FunctionEvaluator
from cost_model.views.hls.view import HlsView
from design.contracts import AtOnce, Dataset, Evaluator, Task, TrainingSet
from design.core import Batch, Evaluation, Floats
from design.hls.task import hls_task_of
from design.metrics import HLS_METRICS, metric_unit
from evaluators.scoring.digits import PLACES, beginnings, rounded, share_right, share_right_in_any, written
from evaluators.scoring.profiles import mean_profiles, profile
from evaluators.scoring.protocol import score_task
from evaluators.scoring.ranks import rank_shares
from evaluators.scoring.table import places_by_labels, score_tasks
from frontends.hls_results.tables import read_results
from tests.cases import examples
from tests.cases_hls import usual

NAN = np.nan


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> list[Dataset]:
    """dot, scale, scale-large and twice."""
    return read_results(usual(tmp_path_factory.mktemp("data")), "v18")


def spelt(value: float) -> str:
    """Exponent and three digits as decimal arithmetic has them: '04:418'; '' for what is no number."""
    if not np.isfinite(value) or value < 0:
        return ""
    exact = Decimal(value)
    if exact <= Decimal("0.5"):
        return "zz:000"
    exact = max(exact, Decimal(1))
    exponent = exact.adjusted()
    whole = exact.scaleb(2 - exponent).quantize(Decimal(1), ROUND_HALF_EVEN)
    if whole == 1000:
        exponent, whole = exponent + 1, Decimal(100)
    return f"{exponent:02d}:{whole}"


def as_long(one: str, other: str) -> list[bool]:
    """Whether two spellings agree in the exponent, and in so many digits more."""
    return [bool(other) and one[:length] == other[:length] for length in (3, 4, 5, 6)]


@examples(200)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.floats(0, 1e12), st.integers(0, 2000).map(float)),
            st.one_of(st.floats(0, 1e12), st.floats(0.97, 1.03), st.sampled_from([NAN, np.inf, -1.0])),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_digits_as_spelt(pairs: list[tuple[float, float]]) -> None:
    """What arrays say is what comparing words says. Numbers near 1 stand for a truth times as much."""
    truth = np.array([pair[0] for pair in pairs])
    said = np.array([b * a if 0.9 < b < 1.1 else b for a, b in pairs])
    want = [as_long(spelt(a), spelt(b)) for a, b in zip(truth, said, strict=True)]
    assert beginnings(truth, said).tolist() == want
    assert share_right(truth, said) == pytest.approx(np.mean(want, axis=0))
    for value, back in zip(said, rounded(said), strict=True):
        word = spelt(value)
        expected = NAN if not word else 0.0 if word[0] == "z" else float(f"{word[3:]}e{int(word[:2]) - 2}")
        assert back == pytest.approx(expected, rel=1e-12, nan_ok=True)


def test_digits_by_hand() -> None:
    """A carry into the exponent, a boundary that close numbers straddle, zeros, and numbers beyond all exponents."""
    assert written(np.array([9996.0, 41780, 0, 0.5, 0.7, NAN])).tolist() == [
        [4, 1, 0, 0],
        [4, 4, 1, 8],
        [-1, 0, 0, 0],
        [-1, 0, 0, 0],
        [0, 1, 0, 0],
        [-2, 0, 0, 0],
    ]
    right = beginnings(np.array([1996.0, 418, 0, 0, 1234]), np.array([2004.0, 412, 0.2, 3, 1e200]))
    assert right.sum(axis=1).tolist() == [4, 3, 4, 0, 0]  # 1996 and 2004 are both 2.00e3
    assert beginnings(np.array([1990.0]), np.array([2010.0])).tolist() == [[True, False, False, False]]
    assert written(np.empty((0, 5))).shape == (0, 5, len(PLACES)) and rounded(np.empty(0)).shape == (0,)


@examples(50)
@given(st.integers(0, 10**6))
def test_any_of_the_samples(seed: int) -> None:
    """The loops that say it: a design is right up to a place if one sample is."""
    rng = np.random.default_rng(seed)
    truth = np.rint(10 ** rng.uniform(1, 3, 9))
    samples = np.where(rng.random((9, 5)) < 0.2, NAN, truth[:, None] * rng.lognormal(0, 0.1, (9, 5)))
    want = [
        np.mean([any(as_long(spelt(t), spelt(s))[place] for s in row) for t, row in zip(truth, samples, strict=True)])
        for place in range(4)
    ]
    assert share_right_in_any(truth, samples) == pytest.approx(want)
    assert (np.diff(want) <= 0).all()


@examples(50)
@given(st.integers(0, 10**6))
def test_ranks_as_counted(seed: int) -> None:
    """Row by row: each rank that ties allow has an equal part; rows with a hole are left out."""
    rng = np.random.default_rng(seed)
    truth, samples = rng.integers(0, 4, 8).astype(float), rng.integers(0, 4, (8, 5)).astype(float)
    samples[rng.random(8) < 0.3, 2] = NAN
    counts, rows = [0.0] * 6, 0
    for value, row in zip(truth, samples, strict=True):
        if not np.isnan(row).any():
            rows += 1
            below, equal = sum(s < value for s in row), sum(s == value for s in row)
            for rank in range(below, below + equal + 1):
                counts[rank] += 1 / (equal + 1)
    found = rank_shares(truth, samples)
    if not rows:
        assert found is None
    else:
        assert found == pytest.approx(np.array(counts) / rows) and found is not None and found.sum() == pytest.approx(1)


def test_ranks_tell_who_is_calibrated() -> None:
    """Draws as the truth falls are flat, coarse ones too; those too close have high ends, those too high a slope."""
    rng = np.random.default_rng(3)
    truth, draws = rng.normal(size=20_000), rng.normal(size=(20_000, 5))
    for one, other in ((truth, draws), (np.rint(2 * truth), np.rint(2 * draws))):
        assert rank_shares(one, other) == pytest.approx(np.full(6, 1 / 6), abs=0.01)
    close, high = rank_shares(truth, draws / 3), rank_shares(truth, draws + 1)
    assert close is not None and min(close[0], close[5]) > 0.3 > 0.1 > max(close[2], close[3])
    assert high is not None and (np.diff(high) < 0).all()


def test_a_sharp_answer_in_three_digits_is_not_beside_the_truth() -> None:
    """Five samples that say the truth as well as three digits can are flat ranks, not one end."""
    truth = np.array([41783.0, 41830.0])
    found = profile(truth, truth, np.repeat([[41800.0], [41800.0]], 5, axis=1))
    assert found["ranks"] == pytest.approx(np.full(6, 1 / 6)) and found["pass_at_5"] == pytest.approx(np.ones(4))
    assert profile(truth, truth, None) == {"right": pytest.approx(np.ones(4)), "pass_at_5": None, "ranks": None}


def test_means_of_profiles() -> None:
    """Place by place, over those that have it."""
    one, two, three = np.array([1.0, 0.5]), np.array([0.5, 0.0]), np.array([0.2, 0.8])
    found = mean_profiles(
        [
            {"cycles": {"right": one, "pass_at_5": None, "ranks": three}},
            {"cycles": {"right": two, "pass_at_5": None, "ranks": None}},
        ]
    )
    assert list(found) == ["cycles"] and found["cycles"]["pass_at_5"] is None
    assert found["cycles"]["right"] == pytest.approx([0.75, 0.25]) and found["cycles"]["ranks"] == pytest.approx(three)


def known(table: Dataset) -> dict[str, Floats]:
    """What a table says by metric."""
    return {metric: table.metric(metric) for metric in HLS_METRICS}


class Drawing(AtOnce):
    """Answers with twice the truth, and samples of which the last of five is the truth; a sixth is never looked at."""

    name, version, fidelity = "drawing", "1", 1
    metrics: Mapping[str, str] = {name: metric_unit(name) for name in HLS_METRICS}

    def __init__(self, table: Dataset, asked: list[int]) -> None:
        self._table, self._asked = table, asked

    def evaluate(self, batch: Batch, *, seed: int) -> Evaluation:
        """See `Evaluator`."""
        self._asked.append(seed)
        keys = {bytes(key): row for row, key in enumerate(self._table.batch.schema.key(self._table.batch))}
        rows = [keys[bytes(key)] for key in batch.schema.key(batch)]
        truth = {m: np.nan_to_num(v, nan=1.0)[rows] for m, v in known(self._table).items()}

        def answer(given: Batch) -> dict[str, Floats]:
            return {metric: 2 * np.maximum(truth[metric], 1.0) for metric in HLS_METRICS}

        task = self._table.task
        plain = FunctionEvaluator(self.name, self.version, task, HlsView(), answer, validity=False)
        said = plain.evaluate(batch, seed=seed)
        factors = [4.0, 4, 4, 4, 1, 1]
        return Evaluation(
            **{name: getattr(said, name) for name in ("metrics", "violation", "status", "reason", "cost_s", "source")},
            samples={"cycles": np.stack([f * truth["cycles"] for f in factors], axis=1)},
        )


class Draws:
    """A surrogate of that; `asked` are the seeds of all its answers."""

    name, version, trained_on = "drawing", "1", TrainingSet()

    def __init__(self, tables: list[Dataset]) -> None:
        self._tables = {table.task.digest: table for table in tables}
        self.asked: list[int] = []

    def condition(self, task: Task, labels: Dataset | None, *, seed: int) -> Evaluator:
        """See `Surrogate`."""
        return Drawing(self._tables[task.digest], self.asked)


@pytest.mark.parametrize("count", [0, 20])
def test_scores_by_place(count: int, tables: list[Dataset]) -> None:
    """Digits and ranks come from the very answers that the table is made of: one for each seed."""
    table = next(t for t in tables if t.task.name == "scale")
    surrogate = Draws(tables)
    score = score_task(surrogate, table, count, 4)
    assert surrogate.asked == list(seeds_of(count, 4)) and score.scored == len(answered_rows(table)) - count
    assert score.profiles["cycles"]["pass_at_5"] == pytest.approx(np.ones(4))
    right = score.profiles["cycles"]["right"]
    assert right is not None and 0 < right[0] < 1 and right[1] == 0  # twice as much has no equal first digit
    if not count:
        rows = answered_rows(table)
        assert right == pytest.approx(share_right(table.metric("cycles")[rows], 2 * table.metric("cycles")[rows]))
    ranks = score.profiles["cycles"]["ranks"]
    assert ranks == pytest.approx([0.5, 0.5, 0, 0, 0, 0])  # one sample equals it, the others are above
    assert score.profiles["lut"]["ranks"] is None and score.profiles["lut"]["pass_at_5"] is None


def test_table_of_places(tables: list[Dataset]) -> None:
    """Plain lists by labels and metric, means over kernels."""
    judged = [t for t in tables if t.task.name in ("scale", "twice")]
    scored = score_tasks(Draws(tables), judged, [0], 0)
    found = places_by_labels(scored)
    parts = [score.profiles["cycles"]["right"] for score in scored["labels=0"]]
    assert found["digits"]["labels=0"]["cycles"]["right"] == pytest.approx(np.mean(parts, axis=0))  # type: ignore[arg-type]
    assert found["ranks"]["labels=0"]["cycles"] == pytest.approx([0.5, 0.5, 0, 0, 0, 0])
    assert found["ranks"]["labels=0"]["bram"] is None and set(found["digits"]["labels=0"]) == set(HLS_METRICS)


def test_nearest_kernels(tables: list[Dataset]) -> None:
    """Of another family; none where there is none."""
    kernels = {table.task.name: hls_task_of(table).kernel for table in tables}
    found = nearest_kernels(tables, kernels)
    assert {name: there["nearest"] for name, there in found.items()} == {
        "dot": "twice",
        "scale": "twice",
        "scale-large": "twice",
        "twice": "scale",
    }
    assert found["twice"]["of"] == 3 and found["scale"]["of"] == 2
    assert found["scale"]["distance"] < found["scale-large"]["distance"] < found["dot"]["distance"]
    assert nearest_kernels(tables[:1], {"dot": kernels["dot"]}) == nearest_kernels(tables[:1], {}) == {"dot": None}
