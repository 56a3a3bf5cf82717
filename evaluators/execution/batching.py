"""How many rows to evaluate at a time, and when it pays to ship them to other processes.

Measured on two cores (`make bench`): starting Ray costs about START_S, a call CALL_S, and taking a design apart and
together again a few microseconds. An evaluator that needs microseconds a row, as the analytic ones do, is therefore
never shipped: larger generations make it faster, workers slower.
"""

from __future__ import annotations

TARGET_S = 0.25  # what a piece should take: long beside a call, short beside a generation and the time to a stop
GROWTH = 32  # a piece has at most so many times the rows of the largest one before
TRUSTED_S = 0.02  # the fixed cost of a call is small in a piece that takes longer
START_S = 4.0  # wall seconds to start workers
FINEST_S = 1e-9  # less than any row costs: what a clock too coarse for a piece stands for
ROW_S = 5e-4  # a row cheaper than this is not shipped: a call costs twice as much


class Pace:
    """Learns what a row costs. It decides about speed only, never about answers.

    `workers` is how many there could be, `rows_ahead` how many rows are expected in all, None if all that
    are asked for are to be shipped. So many rows `together` cost the evaluator as much as one of them.
    """

    def __init__(self, workers: int, rows_ahead: int | None, limit_s: float | None, together: int = 1) -> None:
        self._workers, self._ahead, self._together = workers, rows_ahead, together
        self._target_s = TARGET_S if limit_s is None else min(TARGET_S, limit_s / 4)
        self._largest = self._done = 0
        self._last_s = 0.0
        self.row_s = 0.0

    def learn(self, rows: int, seconds: float) -> None:
        """A piece of so many rows took so long."""
        self._largest, self._done = max(self._largest, rows), self._done + rows
        self._last_s, self.row_s = seconds, seconds / self._full(rows)

    def rows(self, left: int, workers: int) -> int:
        """Rows for the next piece. With several workers pieces get smaller towards the end of a batch, so that
        all end together."""
        size = int(self._target_s / max(self.row_s, FINEST_S)) // self._together * self._together
        size = max(min(size, GROWTH * self._largest), self._together)
        return min(size, left) if workers == 1 else min(size, -(-left // (2 * workers)))

    def _full(self, rows: int) -> int:
        """Rows that cost as much as so many: begun micro-batches count whole."""
        return -(-rows // self._together) * self._together

    def worth_shipping(self) -> bool:
        """Whether workers in other processes would be done sooner."""
        if self._ahead is None:
            return True
        if self._workers < 2 or self.row_s < ROW_S or self._last_s < TRUSTED_S:
            return False
        left_s = self.row_s * max(self._ahead - self._done, 0)
        return left_s * (1 - 1 / self._workers) > START_S
