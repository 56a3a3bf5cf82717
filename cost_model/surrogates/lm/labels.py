"""Labelled designs as part of a prompt: they stand behind the program, in front of every design that is asked."""

from __future__ import annotations

import numpy as np

from cost_model.numbers import Codec
from cost_model.surrogates.lm.examples import Prompts
from cost_model.views.tokens import IDS
from design.core import Floats, Ints


def labels_text(codec: Codec, prompts: Prompts, values: Floats) -> Ints:
    """(tokens,) of n designs with `values` (n, metrics): directives, then each metric's answer as the model gives it.
    Values that the codec cannot say are left out."""
    found: list[int] = []
    for row, told in enumerate(values / prompts.units):
        design = prompts.designs[row, : prompts.lengths[row]].tolist()
        found += design[: design.index(IDS["estimate"])]
        for metric, value in zip(prompts.metrics, told, strict=True):
            try:
                found += [IDS[metric], *(IDS[token] for token in codec.encode(float(value)))]
            except ValueError:
                continue
    return np.array(found, dtype=np.int64)
