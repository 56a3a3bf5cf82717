"""How a model does on whole families that it does not learn from, while it is trained."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cost_model.numbers import Codec
from cost_model.surrogates.lm.backbones.base import Backbone
from cost_model.surrogates.lm.examples import Examples
from cost_model.surrogates.lm.grammar import Grammar
from cost_model.surrogates.lm.inference import Reader

MOST = 100  # designs of a kernel that are asked about
LEAST = 20  # fewer say nothing of a kernel


def score(model: Backbone, codec: Codec, kernels: Sequence[Examples]) -> float:
    """Mean over kernels of the RMSE of log2(cycles) / 2 of the medians; NaN where there is no kernel to ask about."""
    grammar, found = Grammar(codec), []
    for examples in kernels:
        rows = np.random.default_rng(0).permutation(examples.known)[:MOST]
        if len(rows) < LEAST:
            continue
        said = Reader(model, grammar, examples.prompts.program).read(examples.prompts.take(rows)).metrics["cycles"]
        middle = np.maximum(said.quantiles(np.array([0.5]))[:, 0], 1.0)
        found.append(float(np.sqrt(np.mean((np.log2(middle / examples.values[rows, 0]) / 2) ** 2))))
    return float(np.mean(found)) if found else float("nan")
