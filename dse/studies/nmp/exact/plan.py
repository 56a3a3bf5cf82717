"""A dataflow as the solver writes it, and its way into the columns of a design."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from design.core import Batch, Schema
from design.nmp.workload import Workload


@dataclass(frozen=True)
class Stratum:
    """Operators side by side: the NMP channels of each (a bit set), whether it uses the normal ones, and how many
    of its granules are on NMP."""

    operators: tuple[int, ...]
    channels: tuple[int, ...]
    normal: tuple[int, ...]
    granules: tuple[int, ...]


Part = tuple[Stratum, ...]
Plan = tuple[tuple[Part, ...], ...]  # strata of parts of groups


def plan_batch(plans: Sequence[Plan], schema: Schema, workload: Workload, hardware: Mapping[str, NDArray]) -> Batch:
    """One design for each plan, all on the same hardware (columns of shape (1,))."""
    count = len(workload.operators)
    names = ("group", "part", "stratum", "channels", "normal", "nmp_units", "npu_units")
    columns: dict[str, NDArray] = {name: np.zeros((len(plans), count), dtype=np.int64) for name in names}
    for row, plan in enumerate(plans):
        for g, group in enumerate(plan):
            ordered = sorted(group, key=lambda part: min(i for stratum in part for i in stratum.operators))
            for p, part in enumerate(ordered):
                for s, stratum in enumerate(part):
                    for place, i in enumerate(stratum.operators):
                        op = workload.operators[i]
                        on_nmp = stratum.granules[place]
                        units = (on_nmp * op.granule, (op.steps - on_nmp) * op.granule)
                        found = (g, p, s, stratum.channels[place], stratum.normal[place], *units)
                        for name, value in zip(names, found, strict=True):
                            columns[name][row, i] = value
    for name, values in hardware.items():
        columns[name] = np.repeat(values, len(plans))
    return Batch(schema, columns)
