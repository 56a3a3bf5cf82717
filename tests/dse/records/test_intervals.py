"""Intervals and samples come back from the store as they were given, and exact answers leave no trace of them."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from design.core import LEVEL, Evaluation, Floats, Status
from design.errors import InputError
from dse.records.export import interval_table
from dse.records.store import FILE, FIXED, Store
from tests.cases import examples
from tests.dse.records.test_store import NUMBER

NAN = float("nan")
DRAWS = 3
CELL = st.tuples(
    NUMBER, st.sampled_from(["exact", "unknown", "wide"]), NUMBER, NUMBER, st.none() | st.tuples(*[NUMBER] * DRAWS)
)
ROW = st.tuples(CELL, CELL)
PIECE = st.tuples(st.lists(ROW, min_size=1, max_size=4), *[st.booleans()] * 4)
PIECES = st.lists(PIECE, min_size=1, max_size=4)
NAMES = ("cycles", "peak_low")


def unsure(rows: list[tuple], stated: tuple[bool, bool], sampled: tuple[bool, bool]) -> Evaluation:  # type: ignore[type-arg]
    """Rows of a cell a metric; the metrics that are `stated` have intervals, those that are `sampled` have samples."""
    metrics, interval, samples = {}, {}, {}
    for name, cells, has_ends, has_draws in zip(NAMES, zip(*rows, strict=True), stated, sampled, strict=True):
        metrics[name] = np.array([cell[0] for cell in cells], dtype=float)
        ends = {
            "exact": lambda cell: (cell[0], cell[0]),
            "unknown": lambda cell: (NAN, NAN),
            "wide": lambda cell: cell[2:4],
        }
        if has_ends:
            interval[name] = np.array([ends[cell[1]](cell) for cell in cells], dtype=float)
        if has_draws:
            samples[name] = np.array([cell[4] or [NAN] * DRAWS for cell in cells], dtype=float)
    count = len(rows)
    return Evaluation(
        metrics=metrics,
        violation={"room": np.zeros(count)},
        status=np.zeros(count, dtype=np.int8),
        reason=np.full(count, ""),
        cost_s=np.zeros(count),
        source={name: np.full(count, "a/1") for name in NAMES},
        interval=interval,
        samples=samples,
        level=0.8,
    )


def put(store: Store, first: int, evaluation: Evaluation) -> None:
    """Write rows from number `first` on."""
    ids = np.arange(first, first + len(evaluation))
    store.add(0, ids, ids[:, None], [bytes(16)] * len(ids), evaluation)


def same(ours: Floats, theirs: Floats) -> bool:
    """Bit for bit, but for which NaN it is and for the sign of a zero, which SQLite does not keep."""
    return ours.shape == theirs.shape and np.array_equal(ours, theirs, equal_nan=True)


@examples(150)
@given(PIECES, st.randoms(use_true_random=False))
def test_round_trip(pieces: list[tuple], order: object) -> None:  # type: ignore[type-arg]
    """In whichever pieces and order rows were written. What has no interval is exact; a metric that is exact in all
    rows has no interval, one without any sample no samples."""
    made, first = [], 0
    for rows, *flags in pieces:
        made.append((first, unsure(rows, tuple(flags[:2]), tuple(flags[2:]))))
        first += len(rows)
    shuffled = list(made)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    single = [(start + row, piece.take([row])) for start, piece in made for row in range(len(piece))]  # type: ignore[arg-type]
    tables = []
    with tempfile.TemporaryDirectory() as folder:
        for number, written in enumerate((made, shuffled, single)):
            store = Store.create(Path(folder) / f"{number}", {})
            for start, piece in written:
                put(store, start, piece)
            answered = store.answers(0)
            assert answered is not None
            orders = [list(named) for named in (answered.evaluation.interval, answered.evaluation.samples)]
            tables.append((store.candidates(), orders))
            for again in (store, Store.open(store.path)):
                found = again.answers(0)
                assert found is not None
                _check([piece for _, piece in made], found.evaluation)
                last = again.answers_of(np.array([first - 1]))
                assert last.interval.keys() == found.evaluation.interval.keys()
                assert all(same(ends[-1:], last.interval[name]) for name, ends in found.evaluation.interval.items())
    assert tables[0] == tables[1] == tables[2]


def _check(pieces: list[Evaluation], found: Evaluation) -> None:
    for name in NAMES:
        value = np.concatenate([piece.metrics[name] for piece in pieces])
        exact = np.stack([value, value], axis=1)
        ends = [piece.interval.get(name, np.stack([piece.metrics[name]] * 2, axis=1)) for piece in pieces]
        draws = [piece.samples.get(name, np.full((len(piece), DRAWS), NAN)) for piece in pieces]
        assert same(found.metrics[name], value)
        if same(exact, np.concatenate(ends)):
            assert name not in found.interval
        else:
            assert same(np.concatenate(ends), found.interval[name])
        if np.isnan(np.concatenate(draws)).all():
            assert name not in found.samples
        else:
            assert same(np.concatenate(draws), found.samples[name])
    assert found.level == (0.8 if found.interval else LEVEL)


def columns(path: Path) -> list[str]:
    """Those of the answers in a store."""
    return [row[1] for row in sqlite3.connect(path).execute("PRAGMA table_info(candidate)")][len(FIXED) :]


def answer(values: list[float], width: float, drawn: bool = False) -> Evaluation:
    """Values of one metric, intervals `width` to either side, and samples if they are wanted."""
    value = np.array(values)
    found = unsure([((v, "exact", v, v, None),) * 2 for v in values], (True, True), (False, False))
    return Evaluation(
        **{**vars(found), "interval": {"cycles": np.stack([value - width, value + width], axis=1)}}
        | {"samples": {"cycles": np.stack([value, value + 1], axis=1)} if drawn else {}}
    )


def test_exact_answers_cost_nothing(tmp_path: Path) -> None:
    """Neither columns nor a level, for failed rows and unknown values too, until the first answer that is not exact;
    then the rows before it have intervals of no width."""
    store = Store.create(tmp_path / FILE, {})
    put(store, 0, answer([1.0, NAN, float("inf"), -0.0], 0.0))
    assert columns(store.path) == [*NAMES, "violation_room"] and dict(store.facts) == {}
    found = store.answers(0)
    assert found is not None and not found.evaluation.interval and not found.evaluation.samples
    assert interval_table(found.evaluation) == {}
    put(store, 4, answer([5.0], 2.0, drawn=True))
    further = ["interval_low_cycles", "interval_high_cycles", "samples_cycles"]
    assert columns(store.path) == [*NAMES, "violation_room", *further] and dict(store.facts) == {"level": 0.8}
    found = store.answers(0)
    assert found is not None
    ends, drawn = found.evaluation.interval["cycles"], found.evaluation.samples["cycles"]
    assert same(ends, np.array([[1.0, 1.0], [NAN, NAN], [np.inf, np.inf], [0.0, 0.0], [3.0, 7.0]]))
    assert same(drawn, np.array([[NAN, NAN]] * 4 + [[5.0, 6.0]]))
    table = interval_table(found.evaluation)
    assert table["interval_high_cycles"] == [1.0, None, None, 0.0, 7.0]
    assert table["samples_cycles_1"] == [None] * 4 + [6.0]


def test_a_store_of_before(tmp_path: Path) -> None:
    """A store of the format that kept no intervals is read and gone on with; how wide its first ones were stays
    unknown."""
    store = Store.create(tmp_path / FILE, {})
    put(store, 0, answer([1.0, 2.0], 0.0))
    store.close()
    with sqlite3.connect(tmp_path / FILE) as database:
        database.execute("UPDATE meta SET value = '2' WHERE name = 'format'")
    store = Store.open(tmp_path / FILE)
    put(store, 2, answer([3.0], 1.0))
    found = Store.open(tmp_path / FILE).answers(0)
    assert found is not None
    assert same(found.evaluation.interval["cycles"], np.array([[NAN, NAN], [NAN, NAN], [2.0, 4.0]]))


def test_columns_that_could_not_be_written(tmp_path: Path) -> None:
    """A piece with the first interval that is not written leaves neither its columns nor its level."""
    store = Store.create(tmp_path / FILE, {})
    put(store, 0, answer([1.0], 0.0))
    with pytest.raises(sqlite3.IntegrityError):  # number 0 is there
        put(store, 0, answer([1.0], 1.0, drawn=True))
    assert columns(store.path) == [*NAMES, "violation_room"] and dict(store.facts) == {}
    put(store, 1, answer([2.0], 1.0))
    found = store.answers(0)
    assert found is not None and found.evaluation.interval["cycles"].tolist() == [[1.0, 1.0], [1.0, 3.0]]
    assert found.evaluation.status.tolist() == [Status.OK] * 2


@pytest.mark.parametrize("name", ["interval_low_x", "interval_high_x", "samples_x", "violation_x"])
def test_names_that_are_taken(name: str, tmp_path: Path) -> None:
    """A metric cannot be named like a column that stands beside another; only such names are refused."""
    store = Store.create(tmp_path / FILE, {})
    bad = answer([1.0], 0.0)
    bad = Evaluation(**{**vars(bad), "metrics": {**bad.metrics, name: np.ones(1)}})
    with pytest.raises(InputError, match=name):
        put(store, 0, bad)
    assert not store.candidates()[1]
