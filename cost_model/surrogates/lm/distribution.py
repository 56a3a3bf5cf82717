"""The distribution of numbers that a model says, read off cells: what begins with a prefix lies between its bounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cost_model.numbers import Codec
from design.core import Floats


@dataclass(frozen=True)
class Distribution:
    """Of n numbers: cells (n, cells), each between `low` and `high` with probability `share`; those of share 0 count
    for nothing. Shares of a number add up to 1. Within a cell the logarithm of 1 + value is uniform."""

    low: Floats
    high: Floats
    share: Floats

    def quantiles(self, at: Floats) -> Floats:
        """(n, k) of probabilities (n, k) or (k,)."""
        order = np.argsort(self.low + self.high, axis=1, kind="stable")
        low, high, share = (np.take_along_axis(part, order, axis=1) for part in (self.low, self.high, self.share))
        total = np.cumsum(share, axis=1)
        total /= total[:, -1:]
        wanted = np.broadcast_to(np.asarray(at, dtype=np.float64), (len(low), np.shape(at)[-1]))
        place = (total[:, None, :] < wanted[:, :, None]).sum(axis=2)
        place = np.minimum(place, low.shape[1] - 1)
        rows = np.arange(len(low))[:, None]
        inside = np.maximum(share[rows, place] / share.sum(axis=1)[:, None], 1e-300)
        part = np.clip((wanted - (total[rows, place] - inside)) / inside, 0.0, 1.0)
        first, last = np.log1p(low[rows, place]), np.log1p(high[rows, place])
        found: Floats = np.expm1(first + part * (last - first))
        return found

    def between(self, low: float, high: float) -> Floats:
        """(n,) how likely a number is to lie between two, both included."""
        first, last = np.log1p(self.low), np.log1p(self.high)
        wide = last > first
        with np.errstate(invalid="ignore", divide="ignore"):
            part = (np.minimum(last, np.log1p(high)) - np.maximum(first, np.log1p(low))) / (last - first)
        part = np.where(wide, np.clip(part, 0.0, 1.0), (self.low >= low) & (self.high <= high))
        found: Floats = (self.share * part).sum(axis=1) / self.share.sum(axis=1)
        return found


def confidences(codec: Codec, said: Distribution, value: float) -> list[tuple[str, float]]:
    """The tokens of `value`, each with the probability that the first number of a distribution has it, once it has
    those before."""
    tokens = codec.encode(value)
    shares = [1.0] + [float(said.between(*codec.reach(tokens[: end + 1]))[0]) for end in range(len(tokens))]
    return [(token, shares[i + 1] / shares[i] if shares[i] else 0.0) for i, token in enumerate(tokens)]
