"""Made-up examples from which a model learns what digits are worth: an estimate, and answers scattered around it.

They hold no program and no result. Without them a model spends most of its training on finding out that the digits
of an answer have to do with those of the estimate.
"""

from __future__ import annotations

import numpy as np

from cost_model.surrogates.lm.examples import ONE, Examples, Prompts
from cost_model.surrogates.lm.recipe import Recipe
from cost_model.views.hls.design import CODE, ESTIMATED
from cost_model.views.tokens import IDS, padded
from design.core import Ints
from design.metrics import HLS_METRICS

DECADES = {"cycles": (2.5, 8.0), "lut": (3.5, 6.8), "ff": (3.5, 6.8), "dsp": (0.0, 4.5), "bram": (0.5, 4.5)}
SCATTER = 0.25  # scale of log10(answer / estimate), a Laplace distribution
UNREPORTED = 0.25  # share of resources that are 0


def numerals(recipe: Recipe, count: int, seed: tuple[int, ...]) -> Examples:
    """`count` made-up designs of no program, the same for the same seed, with answers to what has an estimate."""
    rng = np.random.default_rng(seed)
    low, high = np.array([DECADES[metric] for metric in HLS_METRICS]).T
    estimates = np.rint(10 ** rng.uniform(low, high, (count, len(HLS_METRICS))))
    values = np.maximum(np.rint(estimates * 10 ** rng.laplace(0, SCATTER, estimates.shape)), 1.0)
    values[:, 1:][rng.random((count, len(HLS_METRICS) - 1)) < UNREPORTED] = 0
    rows = []
    for row in estimates:
        words = [str(rng.choice(["v18", "v20"])), "estimate"]
        for metric, value in zip((*HLS_METRICS, CODE), (*row, np.rint(10 ** rng.uniform(0, 4))), strict=True):
            words += [metric, *ESTIMATED.encode(max(float(value), 1.0))]
        rows.append([IDS[word] for word in words])
    designs, lengths = padded(rows)
    unknown = np.full((count, len(recipe.metrics) - len(HLS_METRICS)), np.nan)
    units = np.concatenate(
        [estimates / ONE if recipe.answers == "relative" else np.ones_like(estimates), unknown], axis=1
    )
    values = np.concatenate([values, unknown], axis=1)
    prompts = Prompts(np.empty(0, dtype=np.int64), designs, lengths, units, tuple(recipe.metrics))
    return Examples("numerals", "numerals", prompts, values, np.ones(count, dtype=bool))


def first_places(count: int, seed: tuple[int, ...], most: int) -> Ints:
    """Where made-up designs begin (n,), since real ones stand behind programs of any length."""
    return np.random.default_rng((*seed, 1)).integers(0, max(most, 1), count)
