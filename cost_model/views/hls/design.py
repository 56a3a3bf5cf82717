"""The design part of a prompt: tool version, directives loop by loop, and where the analytic estimate puts the design.

    v20 L0 flatten tile 1 parallel 16 L1 parallel 4 estimate cycles E3 5 2 lut E4 3 1 ... code E2 4 4

A parameter that the kernel has not is left out. The estimate is of low fidelity and the prompt says so by its place: it
is given, never asked for. Rows are as wide for all designs of a kernel, whatever a batch holds.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cost_model.numbers import Scientific
from cost_model.views.hls.program import loop_name
from cost_model.views.tokens import IDS, PAD
from design.core import Floats, Ints
from design.hls.design import COARSE, FLATTEN, OFF, Target
from design.hls.loop_nest import PIPELINE, TILE, Kernel
from design.metrics import HLS_METRICS

CODE = "code"  # operations after unrolling
ESTIMATED = Scientific(digits=2, signed=False)
WAYS = {OFF: "off", COARSE: "coarse", FLATTEN: "flatten"}


def design_tokens(
    kernel: Kernel, target: Target, columns: Mapping[str, Ints], estimate: Mapping[str, Floats]
) -> tuple[Ints, Ints]:
    """Token numbers (n, width), padded on the right, and lengths (n,) of n designs.

    `columns` by parameter (n,), of legal values; `estimate` by metric and `code`, (n,), from cost_model/hls.
    """
    count = len(estimate["cycles"])
    parts = [_word(target.tool, count)]
    last = None
    for parameter in kernel.parameters:
        if parameter.loop != last:
            parts.append(_word(loop_name(parameter.loop), count))
            last = parameter.loop
        values = columns[parameter.name]
        if parameter.kind == PIPELINE:
            parts.append(np.array([IDS[WAYS[way]] for way in sorted(WAYS)])[values][:, None])
            continue
        most = max(kernel.loops[parameter.loop].trip.most, 1)
        parts += [_word("tile" if parameter.kind == TILE else "parallel", count), _digits(values, len(str(most)))]
    parts.append(_word("estimate", count))
    for metric in (*HLS_METRICS, CODE):
        parts += [_word(metric, count), _estimated(estimate[metric])]
    return _closed_up(np.concatenate(parts, axis=1))


def _word(word: str, count: int) -> Ints:
    return np.full((count, 1), IDS[word], dtype=np.int64)


def _digits(values: Ints, width: int) -> Ints:
    """(n, width) digits of whole numbers of at most so many, most significant first, padded."""
    powers = 10 ** np.arange(width - 1, -1, -1, dtype=np.int64)
    digits = values[:, None] // powers % 10
    leading = (values[:, None] < powers) & (powers > 1)
    return np.where(leading, IDS[PAD], np.array([IDS[str(digit)] for digit in range(10)])[digits])


def _estimated(values: Floats) -> Ints:
    """(n, tokens) of counts, 1 at least: designs share few values, so each is written once."""
    distinct, places = np.unique(np.maximum(np.rint(values), 1.0), return_inverse=True)
    written = [[IDS[token] for token in ESTIMATED.encode(float(value))] for value in distinct]
    return np.array(written, dtype=np.int64).reshape(-1, ESTIMATED.longest)[places.ravel()]


def _closed_up(table: Ints) -> tuple[Ints, Ints]:
    """Rows with their padding moved to the right, and their lengths."""
    blank = table == IDS[PAD]
    order = np.argsort(blank, axis=1, kind="stable")
    return np.take_along_axis(table, order, axis=1), table.shape[1] - blank.sum(axis=1)
