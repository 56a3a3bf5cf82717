"""What the digits of an answer should be: the truth, or numbers near it in the measure of their distance.

With plain cross-entropy a 4 that should be a 5 is as wrong as a 9. Smoothed, the truth stands for a Laplace
distribution of log10 around it, and each digit's target is the probability that numbers with that digit have.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from cost_model.numbers import Codec
from cost_model.views.tokens import IDS
from design.core import Bools, Floats, Ints


@dataclass(frozen=True)
class DigitTargets:
    """Of n values: `inputs` (n, longest - 1) the tokens that are read back, `wanted` (n, longest, alphabet) what should
    follow each, `allowed` (n, longest, alphabet) what the grammar lets follow, `asked` (n, longest) where anything may
    follow that is not forced. Nothing is asked of a value that is not known."""

    inputs: Ints
    wanted: Floats
    allowed: Bools
    asked: Bools

    def take(self, rows: Ints) -> DigitTargets:
        """Some rows."""
        return DigitTargets(self.inputs[rows], self.wanted[rows], self.allowed[rows], self.asked[rows])


def digit_targets(codec: Codec, values: Floats, spread: float) -> DigitTargets:
    """Targets of values (n,), NaN where unknown; `spread` is the scale of the Laplace distribution in decades, 0 the
    truth alone. Values beyond the codec's reach count as unknown."""
    count, width, size = len(values), codec.longest, len(codec.alphabet)
    said = [_said(codec, float(value)) for value in values]
    inputs = np.zeros((count, width - 1), dtype=np.int64)
    wanted = np.zeros((count, width, size), dtype=np.float64)
    allowed, asked = np.ones((count, width, size), dtype=bool), np.zeros((count, width), dtype=bool)
    for place in range(width):
        groups: dict[tuple[str, ...], list[int]] = {}
        for row, tokens in enumerate(said):
            if len(tokens) > place:
                groups.setdefault(tokens[:place], []).append(row)
        for prefix, rows in groups.items():
            options, edges = _following(codec, prefix)
            places = [codec.alphabet.index(option) for option in options]
            allowed[rows, place] = np.isin(np.arange(size), places)
            asked[rows, place] = len(options) > 1
            hard = np.array([[option == said[row][place] for option in options] for row in rows], dtype=np.float64)
            near = hard if spread == 0 or edges is None else _near(np.array(edges), values[rows], spread, hard)
            wanted[np.ix_(rows, [place], places)] = near[:, None, :]
            if place:
                inputs[rows, place - 1] = IDS[prefix[-1]]
    return DigitTargets(inputs, wanted, allowed, asked)


def _near(edges: Floats, values: Floats, spread: float, hard: Floats) -> Floats:
    """(n, options) shares of a Laplace distribution around values between edges (options + 1,) in decades. An option
    with no span is that of 0, which nothing lies near."""
    with np.errstate(divide="ignore", invalid="ignore"):
        away = (edges - np.log10(np.maximum(values, 1e-300))[:, None]) / spread
    below = np.where(away < 0, 0.5 * np.exp(np.minimum(away, 0)), 1 - 0.5 * np.exp(-np.maximum(away, 0)))
    shares = np.maximum(np.diff(below, axis=1), 1e-12)
    shares[:, ~(edges[1:] > edges[:-1])] = 0
    found: Floats = np.where((values == 0)[:, None], hard, shares / shares.sum(axis=1, keepdims=True))
    return found


def _said(codec: Codec, value: float) -> tuple[str, ...]:
    try:
        return codec.encode(value)
    except ValueError:
        return ()


@lru_cache(maxsize=100_000)
def _following(codec: Codec, prefix: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[float, ...] | None]:
    """What may follow a prefix, and the edges in decades between the numbers that begin so; None where those of two
    tokens are not one above the other, as in plain digits of any length. All below the least number counts to it."""
    options = codec.allowed(prefix)
    spans = [codec.bounds((*prefix, option)) for option in options]
    if spans[-1][1] <= 0 or any(high >= low for (_, high), (low, _) in pairwise(spans)):
        return options, None
    edges = [-np.inf if low <= 0 else float(np.log10(low)) for low, _ in spans]
    if spans[0][1] <= 0 and len(edges) > 1:
        edges[1] = -np.inf
    lows = [low for low, _ in spans]
    return options, (*edges, float(np.log10(2 * lows[-1] - lows[-2])) if prefix and len(lows) > 1 else np.inf)
