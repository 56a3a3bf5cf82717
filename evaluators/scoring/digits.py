"""How many digits of a number are right: its exponent of ten, then digit after digit.

Numbers are rounded to three digits first and compared as they are written then. 1990 and 2010 are close, but differ in
every digit: a right beginning says that numbers are close, a wrong one does not say that they are far apart.
"""

from __future__ import annotations

import numpy as np

from cost_model.numbers.scientific import FARTHEST, ZERO, Scientific
from design.core import Bools, Floats, Ints

DIGITS = 3  # as many as people read
PLACES = ("exponent", *(f"{place + 1} digit{'s' if place else ''}" for place in range(DIGITS)))
NOTATION = Scientific(DIGITS, signed=False, exponents=(0, FARTHEST))
LARGEST = NOTATION.bounds(())[1]
NOTHING, NO_NUMBER = -1, -2  # in place of the exponent: 0 has none, and what is no number has nothing right


def written(values: Floats) -> Ints:
    """(.., places) of values of any shape: exponent of ten and the digits. Up to 0.5 is 0; what is below 0 or
    not finite is NO_NUMBER."""
    distinct, place = np.unique(values, return_inverse=True)
    words = np.array([_word(value) for value in distinct], dtype=np.int64).reshape(-1, len(PLACES))
    found: Ints = words[place.reshape(values.shape)]
    return found


def rounded(values: Floats) -> Floats:
    """Values of any shape as NOTATION writes them; what is no number is NaN."""
    words = written(values)
    mantissa = words[..., 1:] @ 10.0 ** -np.arange(DIGITS)
    return np.where(words[..., 0] == NO_NUMBER, np.nan, mantissa * 10.0 ** np.maximum(words[..., 0], 0))


def beginnings(truth: Floats, said: Floats) -> Bools:
    """(.., places) whether what is said begins as the truth does, up to each of PLACES. Shapes broadcast."""
    told = written(said)
    right: Bools = np.logical_and.accumulate((written(truth) == told) & (told[..., :1] != NO_NUMBER), axis=-1)
    return right


def share_right(truth: Floats, said: Floats) -> Floats:
    """(places,) the share of n truths whose beginning is said; (n,) each."""
    share: Floats = beginnings(truth, said).mean(axis=0)
    return share


def share_right_in_any(truth: Floats, samples: Floats) -> Floats:
    """(places,) the share of n truths (n,) whose beginning one of the samples (n, k) says."""
    share: Floats = beginnings(truth[:, None], samples).any(axis=1).mean(axis=0)
    return share


def _word(value: float) -> tuple[int, ...]:
    if not np.isfinite(value) or value < 0:
        return (NO_NUMBER, *(0,) * DIGITS)
    exponent, *digits = NOTATION.encode(min(float(value), LARGEST))
    return (NOTHING if exponent == ZERO else int(exponent[1:]), *map(int, digits))
