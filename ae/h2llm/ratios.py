"""Points beside each other: how many times as fast one design is as another, workload by workload."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ae.h2llm.points import BATCHES, DATA_SETS, DESIGNS
from design.core import Floats

WORKLOADS = [(data_set, batch) for data_set in DATA_SETS for batch in BATCHES]
Key = tuple[str, str, str, int]  # design, model, data set, batch
Table = Mapping[Key, Mapping[str, Any]]


def key_of(row: Mapping[str, Any]) -> Key:
    """What a row is of."""
    return row["design"], row["model"], row["data_set"], row["batch"]


def table_of(rows: Iterable[Mapping[str, Any]]) -> Table:
    """Rows by what they are of."""
    return {key_of(row): row for row in rows}


def ratios(table: Table, model: str, design: str, over: str, what: str = "latency", plotted: bool = False) -> Floats:
    """(workloads,) how many times as fast as the design `over` another is, in `what`; NaN where either is unknown.
    `plotted`: both reach only that share of their peak which the published figure grants them."""
    scale = DESIGNS[design].plotted / DESIGNS[over].plotted if plotted else 1.0
    found = [
        (table[over, model, *w][what] / table[design, model, *w][what] * scale)
        if (over, model, *w) in table and (design, model, *w) in table
        else np.nan
        for w in WORKLOADS
    ]
    return np.array(found)


def geomean(values: Floats) -> float:
    """Of what is known; NaN where nothing is."""
    known = values[np.isfinite(values)]
    return float(np.exp(np.log(known).mean())) if len(known) else float("nan")
