"""How many rows at a time, and when workers pay: speed only, so the laws are bounds, and a table of plain cases."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators.execution.batching import GROWTH, ROW_S, START_S, TARGET_S, TRUSTED_S, Pace
from tests.cases import examples

SECONDS = st.floats(0.0, 1e6)
LESSONS = st.lists(st.tuples(st.integers(1, 10**6), SECONDS), max_size=6)


def taught(
    lessons: list[tuple[int, float]], workers: int = 1, ahead: int | None = 0, limit: float | None = None
) -> Pace:
    """A pace that has seen pieces."""
    pace = Pace(workers, ahead, limit)
    for rows, seconds in lessons:
        pace.learn(rows, seconds)
    return pace


@examples(200)
@given(LESSONS, st.integers(1, 10**9), st.integers(1, 64), st.none() | st.floats(1e-9, 1e6))
def test_a_piece_is_some_of_what_is_left(
    lessons: list[tuple[int, float]], left: int, workers: int, limit: float | None
) -> None:
    """At least one row, no more than are left, never GROWTH times more than before, and for all to end together no
    more than each worker's half share."""
    pace = taught(lessons, workers, limit=limit)
    size = pace.rows(left, workers)
    assert isinstance(size, int) and 1 <= size <= left
    assert size <= max(GROWTH * max((rows for rows, _ in lessons), default=0), 1)
    assert workers == 1 or size <= -(-left // (2 * workers))


@examples(200)
@given(LESSONS, st.integers(1, 1000), st.floats(1e-6, 1e4), st.integers(1, 10**6), st.floats(1e-3, 1e3))
def test_a_piece_takes_no_longer_than_it_should(
    lessons: list[tuple[int, float]], rows: int, seconds: float, left: int, limit: float
) -> None:
    """TARGET_S and a quarter of the time limit, by what the last piece cost, unless a single row takes longer."""
    pace = taught([*lessons, (rows, seconds)], limit=limit)
    size = pace.rows(left, 1)
    assert size == 1 or size * seconds / rows <= min(TARGET_S, limit / 4) * (1 + 1e-9)


@pytest.mark.parametrize(
    ("lessons", "left", "workers", "size"),
    [
        ([], 1000, 1, 1),  # nothing is known: a single row
        ([(1, 1e-6)], 1000, 1, GROWTH),
        ([(1, 1e-6), (GROWTH, 1e-5)], 10**6, 1, GROWTH**2),
        ([(1, 0.0)], 10, 1, 10),  # a clock that has not moved
        ([(1, 0.01)], 1000, 1, 25),
        ([(1, 10.0)], 1000, 1, 1),
        ([(10, 1.0), (10, 0.1)], 1000, 1, 25),  # the last lesson counts
        ([(100, 1.0)], 1000, 2, 25),
        ([(100, 1.0)], 1000, 40, 13),
        ([(100, 1.0)], 7, 2, 2),
        ([(100, 1.0)], 1, 2, 1),
    ],
)
def test_sizes(lessons: list[tuple[int, float]], left: int, workers: int, size: int) -> None:
    """Plain cases."""
    assert taught(lessons, workers).rows(left, workers) == size


def test_rows_that_cost_as_much_as_one() -> None:
    """Pieces are whole micro-batches, from the first; one that was begun cost as much as a whole one."""
    pace = Pace(1, 0, None, together=32)
    assert pace.rows(1000, 1) == 32
    pace.learn(32, 0.06)
    assert pace.rows(1000, 1) == 128 and pace.rows(7, 1) == 7
    pace.learn(7, 0.06)
    assert pace.rows(1000, 1) == 128
    pace.learn(32, 10.0)
    assert pace.rows(1000, 1) == 32


def test_all_rows_are_cut_and_the_last_pieces_are_small() -> None:
    """Four workers and 1000 rows: the end is single rows."""
    pace, left, sizes = taught([(100, 0.1)], 4), 1000, []
    while left:
        sizes.append(pace.rows(left, 4))
        left -= sizes[-1]
    assert sum(sizes) == 1000 and sizes == sorted(sizes, reverse=True) and sizes[0] == 125 and sizes[-7:] == [1] * 7


@pytest.mark.parametrize(
    ("workers", "ahead", "lessons", "worth"),
    [
        (1, None, [], True),  # asked for
        (2, 10**9, [], False),  # nothing is known
        (2, 10**9, [(1000, 1000 * ROW_S * 0.9)], False),  # cheaper than a call
        (2, 10**9, [(1000, 1000 * ROW_S * 1.1)], True),
        (1, 10**9, [(1, 10.0)], False),  # a single worker gains nothing
        (2, 0, [(1, 10.0)], False),  # nothing ahead
        (2, 10, [(1, TRUSTED_S / 2)], False),
        (2, 10**9, [(1, TRUSTED_S / 2)], False),  # one short look
        (2, 10**9, [(1, TRUSTED_S * 2)], True),
        (2, 101, [(1, 2 * START_S / 100 * 0.99)], False),  # half of what is left is less than the start
        (2, 101, [(1, 2 * START_S / 100 * 1.01)], True),
        (4, 101, [(1, 4 / 3 * START_S / 100 * 1.01)], True),
        (2, 101, [(1, 1.0)] * 99, False),  # nearly done
        (2, 101, [(1, 1.0)] * 200, False),  # more was done than was expected
    ],
)
def test_when_workers_pay(workers: int, ahead: int | None, lessons: list[tuple[int, float]], worth: bool) -> None:
    """Where they save more than it takes to start them, and a call is short beside a row."""
    assert taught(lessons, workers, ahead).worth_shipping() is worth
