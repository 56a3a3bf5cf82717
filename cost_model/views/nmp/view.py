"""How learners see near-memory designs: the hardware, what each operator has of it, the analytic model."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cost_model.nmp.evaluator import NmpEvaluator
from cost_model.views.plain import PlainView
from design.contracts import Task
from design.core import Batch, Floats
from design.nmp.design import HARDWARE
from design.nmp.task import NmpTask, nmp_task


class NmpView(PlainView):
    """See `View`. `model_of` makes the analytic evaluator of a task."""

    def __init__(self, model_of: Callable[[NmpTask], NmpEvaluator]) -> None:
        self._model_of = model_of

    def features(self, task: Task, batch: Batch) -> Floats:
        """(n, 19): the hardware in log2, and over all operators the mean, least and most of: groups before, NMP
        channels held, work on NMP, whether the normal channels are used."""
        found = [np.log2(1.0 + batch.columns[column.name].astype(np.float64)) for column in HARDWARE]
        for values in _by_operator(batch):
            found += [values.mean(axis=1), values.min(axis=1), values.max(axis=1)]
        return np.stack(found, axis=1)

    def local(self, task: Task, batch: Batch) -> Floats:
        """(n, 7 + 4 operators): the hardware in log2, and the same operator by operator."""
        hardware = np.stack([np.log2(1.0 + batch.columns[column.name]) for column in HARDWARE], axis=1)
        return np.concatenate([hardware, *_by_operator(batch)], axis=1)

    def reference(self, task: Task) -> NmpEvaluator:
        """See `View`."""
        return self._model_of(nmp_task(task))


def _by_operator(batch: Batch) -> list[Floats]:
    """(n, operators) each: place in the order of groups and strata, NMP channels held, share of the work on NMP, and
    whether the normal channels are used."""
    c = batch.columns
    width = c["group"].shape[1]
    place = (c["group"] * width + c["stratum"]).astype(np.float64) / max(width * width, 1)
    held = np.bitwise_count(c["channels"].astype(np.uint64)).astype(np.float64)
    total = np.maximum(c["nmp_units"] + c["npu_units"], 1)
    return [place, held, c["nmp_units"] / total, c["normal"].astype(np.float64)]
