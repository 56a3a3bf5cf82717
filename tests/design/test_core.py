"""Batches hold what their schema says, keys are of what a candidate is, and pieces of an answer fit together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from design.core import Batch, Column, Evaluation, Objective, Schema, Status, gather, key_bytes

COLUMNS = (Column("size", "KiB", "i8"), Column("mhz", "MHz", "f8"), Column("place", "index", "i4", 3))
SCHEMA = Schema("toy", COLUMNS, "workload a", lambda batch, row: str(batch.columns["size"][row]))


def batch(rows: int = 5, schema: Schema = SCHEMA) -> Batch:
    """Rows that differ in every column."""
    return Batch(
        schema,
        {
            "size": np.arange(rows),
            "mhz": np.arange(rows) / 3,
            "place": np.arange(3 * rows, dtype=np.int32).reshape(rows, 3),
        },
    )


def keys(found: Batch) -> list[bytes]:
    """One key a row."""
    return key_bytes(found.schema.key(found))


@pytest.mark.parametrize("names", [["size", "mhz"], ["size", "mhz", "place", "more"], ["size", "mhz", "Place"], []])
def test_a_batch_has_the_columns_of_its_schema(names: list[str]) -> None:
    """None missing, none more."""
    with pytest.raises(ValueError, match="schema toy has columns"):
        Batch(SCHEMA, {name: np.zeros((2, 3)) if name == "place" else np.zeros(2) for name in names})


@pytest.mark.parametrize(
    ("name", "shape"),
    [("mhz", (3,)), ("mhz", (2, 1)), ("place", (2,)), ("place", (2, 2)), ("place", (3, 3)), ("size", ())],
)
def test_a_batch_has_columns_of_one_length_and_the_right_width(name: str, shape: tuple[int, ...]) -> None:
    """(n,) or (n, width) with one n; the error names the column (or the array has no length at all)."""
    columns: dict[str, NDArray[Any]] = {"size": np.zeros(2), "mhz": np.zeros(2), "place": np.zeros((2, 3))}
    with pytest.raises((ValueError, TypeError), match=f"column {name}" if shape else "unsized"):
        Batch(SCHEMA, columns | {name: np.zeros(shape)})


def test_column_labels() -> None:
    """One heading a stored value."""
    assert [column.labels for column in COLUMNS] == [("size",), ("mhz",), ("place_0", "place_1", "place_2")]


def test_take_and_concat() -> None:
    """Rows in the given order, repeated where asked; batches one behind the other; both give every column."""
    whole = batch()
    taken = whole.take(np.array([3, 0, 3]))
    assert taken.columns["size"].tolist() == [3, 0, 3] and taken.columns["place"][0].tolist() == [9, 10, 11]
    assert whole.take(slice(1, 3)).columns["size"].tolist() == [1, 2]
    assert len(whole.take(np.array([], dtype=np.int64))) == 0
    again = Batch.concat([whole.take(slice(0, 2)), whole.take(slice(2, 2)), whole.take(slice(2, 5))])
    assert keys(again) == keys(whole) and again.schema == whole.schema
    assert keys(whole.take(np.array([4, 2]))) == [keys(whole)[4], keys(whole)[2]]


def test_keys_are_of_values() -> None:
    """Memory layout, byte order and wider types of equal values give equal keys; 16 bytes a row."""
    plain = batch()
    assert plain.schema.key(plain).shape == (5, 16) and plain.schema.key(plain).dtype == np.uint8
    assert len(set(keys(plain))) == 5
    columns = dict(plain.columns)
    wide = np.zeros((5, 6), dtype=np.int32)
    wide[:, ::2] = columns["place"]
    layouts: list[dict[str, NDArray[Any]]] = [
        {"place": np.asfortranarray(columns["place"])},
        {"place": wide[:, ::2]},
        {"place": columns["place"].astype(np.int64)},
        {"size": columns["size"].astype(np.int16), "mhz": columns["mhz"].astype(">f8")},
        {"size": np.repeat(columns["size"], 2)[::2]},
        {"size": columns["size"][::-1][::-1], "place": columns["place"][::-1][::-1]},
    ]
    for layout in layouts:
        assert keys(Batch(SCHEMA, columns | layout)) == keys(plain)
    turned = Batch(SCHEMA, dict(reversed(columns.items())))
    assert keys(turned) == keys(plain)


@pytest.mark.parametrize("name", ["size", "mhz", "place"])
def test_every_column_is_in_the_key(name: str) -> None:
    """Changing one value of one row changes that row's key and no other."""
    before = batch()
    values = before.columns[name].copy()
    values.reshape(5, -1)[2, -1] += 1
    after = Batch(SCHEMA, dict(before.columns) | {name: values})
    assert [a == b for a, b in zip(keys(before), keys(after), strict=True)] == [True, True, False, True, True]


def test_values_do_not_slide_from_column_to_column() -> None:
    """Equal numbers in other places are another candidate."""
    ones, zeros = np.ones(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
    schema = Schema("two", (Column("a", "", "i8"), Column("b", "", "i8")), "", SCHEMA.render)
    left, right = Batch(schema, {"a": ones, "b": zeros}), Batch(schema, {"a": zeros, "b": ones})
    assert keys(left) != keys(right)


@pytest.mark.parametrize("change", [{"context": "workload b"}, {"name": "other"}])
def test_equal_columns_under_another_context_are_another_candidate(change: dict[str, Any]) -> None:
    """No key of one is a key of the other."""
    assert not set(keys(batch())) & set(keys(batch(schema=replace(SCHEMA, **change))))


def test_no_rows_have_no_keys() -> None:
    """A batch may be empty."""
    assert SCHEMA.key(batch(0)).shape == (0, 16) and keys(batch(0)) == []


def answer(rows: list[int]) -> Evaluation:
    """What an evaluator would say of the given rows of a larger batch."""
    values = np.array(rows, dtype=np.float64)
    return Evaluation(
        metrics={"latency_s": values},
        violation={"room": values * 2},
        status=np.full(len(rows), Status.OK, dtype=np.int8),
        reason=np.array([f"row {row}" for row in rows], dtype=np.str_),
        cost_s=values / 10,
        source={"latency_s": np.array([f"toy/{row}" for row in rows], dtype=np.str_)},
        interval={"latency_s": np.stack([values - 1, values + 1], axis=1)},
        samples={"latency_s": values[:, None] + np.arange(4)},
        level=0.8,
    )


def pieces(*rows: list[int]) -> list[tuple[NDArray[np.int64], Evaluation]]:
    """Answers as a stream would give them."""
    return [(np.array(piece, dtype=np.int64), answer(piece)) for piece in rows]


def test_gather_puts_rows_where_they_belong() -> None:
    """Whatever the order of the pieces and inside them, every field of every row comes to its place."""
    whole, expected = gather(pieces([4, 1], [0], [], [3, 2, 10, 5], [9, 8, 7, 6]), 11), answer(list(range(11)))
    assert whole.level == 0.8
    for name, named in expected.per_row().items():
        for key, values in named.items():
            assert np.array_equal(whole.per_row()[name][key], values), name


@pytest.mark.parametrize("rows", [([0, 1],), ([0, 1], [1, 2]), ([0, 1], [3]), ([0, 1, 2], [0]), ([-1, 0, 1],)])
def test_gather_wants_every_row_once(rows: tuple[list[int], ...]) -> None:
    """A row without an answer, with two, or one that was not asked for, is an error."""
    with pytest.raises(ValueError, match="every row wants one answer"):
        gather(pieces(*rows), 3)


def test_evaluation_take_and_round_trip() -> None:
    """Rows of an answer in the given order; `from_rows` undoes `per_row`."""
    taken = answer(list(range(6))).take(np.array([5, 2]))
    assert len(taken) == 2 and taken.reason.tolist() == ["row 5", "row 2"] and taken.level == 0.8
    assert taken.interval["latency_s"].tolist() == [[4, 6], [1, 3]]
    assert taken.samples["latency_s"].tolist() == [[5, 6, 7, 8], [2, 3, 4, 5]]
    again = Evaluation.from_rows(taken.per_row(), taken.level)
    assert again.cost_s.tolist() == [0.5, 0.2] and again.source["latency_s"].tolist() == ["toy/5", "toy/2"]


def test_goals() -> None:
    """The sign in words."""
    assert (Objective("a").goal, Objective("a", -1).goal) == ("min", "max")


def named(rows: int, status: Status, level: float = 0.9, **fields: dict[str, Any]) -> Evaluation:
    """Rows of one status with some named arrays."""
    empty: dict[str, Any] = {"metrics": {}, "violation": {}, "source": {}}
    reason = np.full(rows, "" if status == Status.OK else "why")
    return Evaluation(
        **(empty | fields), status=np.full(rows, status), reason=reason, cost_s=np.ones(rows), level=level
    )


def test_gather_of_pieces_that_name_other_things() -> None:
    """What a piece does not name is unknown; its constraints are kept, but by FAILED rows."""
    one = {"metrics": {"a": np.array([1.0])}, "violation": {"x": np.array([2.0])}, "source": {"a": np.array(["me/1"])}}
    wide = {"interval": {"a": np.array([[0.0, 1.0]])}, "samples": {"a": np.ones((1, 5))}}
    pieces = [
        (np.array([2]), named(1, Status.OK, metrics={"b": np.array([3.0])})),
        (np.array([0]), named(1, Status.INFEASIBLE, **one, **wide)),
        (np.array([1]), named(1, Status.FAILED)),
    ]
    found = gather(pieces, 3)
    np.testing.assert_array_equal(found.metrics["a"], [1.0, np.nan, np.nan])
    np.testing.assert_array_equal(found.metrics["b"], [np.nan, np.nan, 3.0])
    np.testing.assert_array_equal(found.violation["x"], [2.0, np.nan, 0.0])
    np.testing.assert_array_equal(found.interval["a"], [[0.0, 1.0], [np.nan] * 2, [np.nan] * 2])
    assert found.samples["a"].shape == (3, 5) and np.isnan(found.samples["a"][1:]).all()
    assert found.source["a"].tolist() == ["me/1", "", ""] and found.reason.tolist() == ["why", "why", ""]


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 0, 2]])
def test_gather_takes_the_level_of_a_piece_with_answers(order: list[int]) -> None:
    """In any order; failed rows have none of their own."""
    made = [named(1, Status.FAILED), named(1, Status.OK, 0.5), named(1, Status.FAILED)]
    assert gather([(np.array([row]), made[row]) for row in order], 3).level == 0.5
    assert gather([(np.array([0]), named(1, Status.FAILED, 0.7))], 1).level == 0.7
