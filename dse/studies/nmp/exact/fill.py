"""Better cuts for a given dataflow: steps of every size up and down, alone and in pairs that trade memory."""

from __future__ import annotations

import numpy as np

from cost_model.nmp.evaluator import NmpEvaluator
from design.core import Batch, Evaluation, Floats
from design.nmp.workload import Workload

ROUNDS = 200
DEAR = 100.0  # what a byte without room counts, in mean seconds a stored byte


def fill(batch: Batch, evaluator: NmpEvaluator, workload: Workload, metric: str) -> Batch:
    """The design (one row) with cuts that no step improves. A byte without room counts as much as it could cost at
    most elsewhere, so that a design that does not fit becomes one that does, cheaply."""
    stored = max(sum(op.stored_bytes for op in workload.operators), 1.0)
    first = evaluator.evaluate(batch, seed=0)
    byte = float(first.metrics[metric][0]) * DEAR / stored
    best = _merit(first, metric, byte)[0]
    for _ in range(ROUNDS):
        others = neighbours(batch, workload, evaluator.platform.channel_bytes)
        if not len(others):
            break
        merit = _merit(evaluator.evaluate(others, seed=0), metric, byte)
        row = int(np.argmin(merit))
        if not merit[row] < best * (1 - 1e-13):
            break
        batch, best = others.take(np.array([row])), merit[row]
    return batch


def neighbours(batch: Batch, workload: Workload, channel_bytes: int) -> Batch:
    """Designs with one cut moved by 1, 2, 4, ... granules either way, or with one up by as many as fit into what
    another gives up."""
    granule = np.array([op.granule for op in workload.operators])
    steps = np.array([op.steps for op in workload.operators])
    each = np.array([op.stored_bytes / op.steps for op in workload.operators])
    now = batch.columns["nmp_units"][0] // granule
    held = np.bitwise_count(batch.columns["channels"][0]).astype(np.int64)
    mixed = np.flatnonzero((held > 0) & (batch.columns["normal"][0] != 0) & (steps > 1) & (now < steps))
    if not len(mixed):
        return batch.take(slice(0, 0))
    room = float(channel_bytes * batch.columns["nmp_channels"][0]) - float(each @ now)
    strides = 2 ** np.arange(int(steps[mixed].max()).bit_length())
    changes = np.concatenate([strides, -strides])
    first, change = (index.ravel() for index in np.meshgrid(mixed, changes, indexing="ij"))
    single = np.repeat(now[None, :], len(first), axis=0)
    single[np.arange(len(first)), first] += change
    moved = [single]
    for j in mixed[each[mixed] > 0]:
        # What one takes j gives, in whole granules; once as if memory were full, once using what is free.
        for free in (0.0, room):
            pair = single.copy()
            given = pair[:, j] + np.floor((free - change * each[first]) / each[j]).astype(np.int64)
            pair[:, j] = np.where(first == j, pair[:, j], np.minimum(given, steps[j] - 1))
            moved.append(pair)
    table = np.unique(np.concatenate(moved), axis=0)
    table = table[((table == now) | ((table >= 1) & (table < steps))).all(axis=1)]
    columns = {name: np.repeat(values, len(table), axis=0) for name, values in batch.columns.items()}
    cut = np.isin(np.arange(len(steps)), mixed)
    columns["nmp_units"] = np.where(cut, table * granule, columns["nmp_units"])
    columns["npu_units"] = np.where(cut, (steps - table) * granule, columns["npu_units"])
    return Batch(batch.schema, columns)


def _merit(found: Evaluation, metric: str, byte: float) -> Floats:
    """(n,) seconds, with a price on bytes without room; infinite for failed designs."""
    missing = np.sum([np.zeros(len(found)), *found.violation.values()], axis=0)
    merit: Floats = np.nan_to_num(found.metrics[metric] + byte * missing, nan=np.inf)
    return merit
