"""What the transformer is shown: a kernel's matrices, then a design's directives loop by loop, the tool, the estimate.

Designs that the rules of `design/hls/directives.py` call equal are shown as one, so that they get one answer.
Everything here is numpy and depends on the row alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from cost_model.hls.estimator import Estimator, valid_probability
from cost_model.hls.store import Fitted, read_fitted
from cost_model.views.hls.matrices import KINDS, LOOP, WIDTHS, KernelTokens, kernel_tokens
from cost_model.views.hls.nest_features import unrolled
from design.contracts import Task
from design.core import Floats, Ints
from design.hls.design import COARSE, FLATTEN, OFF, TARGETS
from design.hls.directives import canonical
from design.hls.loop_nest import PARALLEL, PIPELINE, TILE, Kernel
from design.hls.task import HlsTask, hls_task
from design.metrics import HLS_METRICS, RESOURCES, target_table

PLACES = 16  # loops that are told apart by their number; those beyond share the last
DIRECTIVES, ESTIMATE = "directives", "estimate"
DESIGN_WIDTHS = {DIRECTIVES: 17, ESTIMATE: 2 * len(HLS_METRICS) + 2}
BLOCKS = {**WIDTHS, **DESIGN_WIDTHS}  # every kind of row that is normalised, with its width
TOOLS = tuple(sorted(TARGETS))
KERNEL_WIDTH = sum(WIDTHS.values()) + len(KINDS)
LOOP_WIDTH = WIDTHS[LOOP] + DESIGN_WIDTHS[DIRECTIVES]
UNLIKELY = 0.02  # the least that the estimate's probability of validity, or of its opposite, counts as
FARTHEST = 4.0  # standard deviations that a normalised value may be away: what lies beyond was never seen


@dataclass(frozen=True)
class DesignTokens:
    """n designs of a kernel for a `tool`, one of TOOLS. `directives` (n, loops, width) of the loops with directives,
    whose numbers are `loops`; `estimate` (n, width) in log2; `start` (n, metrics) the estimate as targets, and `chance`
    (n,) the logit of what it gives for a valid design."""

    tool: str
    loops: Ints
    directives: Floats
    estimate: Floats
    start: Floats
    chance: Floats


@dataclass(frozen=True)
class Scaling:
    """Mean and standard deviation of the columns of each of BLOCKS, (width,) each, as they were in training."""

    mean: Mapping[str, Floats]
    deviation: Mapping[str, Floats]

    def apply(self, block: str, rows: Floats) -> Floats:
        """Rows (.., width) of a block in standard deviations, no further than FARTHEST."""
        found: Floats = np.clip((rows - self.mean[block]) / self.deviation[block], -FARTHEST, FARTHEST)
        return found


def scaling_of(rows: Mapping[str, Floats]) -> Scaling:
    """From rows (n, width) by block. A column that never changes says nothing, and stays at 0 whatever comes."""
    mean = {name: np.mean(rows[name], axis=0) for name in BLOCKS}
    deviation = {name: np.std(rows[name], axis=0) for name in BLOCKS}
    return Scaling(mean, {name: np.where(d > 1e-6, d, 1e6) for name, d in deviation.items()})


@dataclass(frozen=True)
class KernelInput:
    """A kernel as the model reads it: `rows` (tokens, KERNEL_WIDTH), every kind in columns of its own and a flag that
    says which, and `places` (tokens,) below PLACES + 1."""

    rows: Floats
    places: Ints


@dataclass(frozen=True)
class DesignInput:
    """n designs as the model reads them: `loops` (n, loops, LOOP_WIDTH), their `places` (loops,), `tool` (TOOLS,),
    `estimate` (n, width), `start` (n, metrics) in targets and `chance` (n,) as a logit."""

    loops: Floats
    places: Ints
    tool: Floats
    estimate: Floats
    start: Floats
    chance: Floats


def kernel_input(tokens: KernelTokens, scaling: Scaling) -> KernelInput:
    """In the order of KINDS."""
    pieces, begin = [], 0
    for number, kind in enumerate(KINDS):
        rows = np.zeros((len(tokens.rows[kind]), KERNEL_WIDTH))
        rows[:, begin : begin + WIDTHS[kind]] = scaling.apply(kind, tokens.rows[kind])
        rows[:, sum(WIDTHS.values()) + number] = 1.0
        pieces.append(rows)
        begin += WIDTHS[kind]
    places = np.concatenate([tokens.places[kind] for kind in KINDS])
    return KernelInput(np.concatenate(pieces), np.minimum(places, PLACES))


def design_input(kernel: KernelTokens, designs: DesignTokens, scaling: Scaling) -> DesignInput:
    """A loop's directives are shown beside its row of A."""
    told = scaling.apply(DIRECTIVES, designs.directives)
    domain = np.broadcast_to(scaling.apply(LOOP, kernel.rows[LOOP][designs.loops]), (*told.shape[:2], WIDTHS[LOOP]))
    return DesignInput(
        np.concatenate([domain, told], axis=2),
        np.minimum(designs.loops + 1, PLACES),
        np.array([tool == designs.tool for tool in TOOLS], dtype=np.float64),
        scaling.apply(ESTIMATE, designs.estimate),
        designs.start,
        designs.chance,
    )


@cache
def _constants(tool: str) -> Fitted:
    return read_fitted(tool)


def estimator_of(task: HlsTask) -> Estimator:
    """With constants that never saw results of the kernel's family."""
    return Estimator(task.kernel, _constants(task.target.tool).constants_of(task.digest))


def kernel_matrices(task: Task) -> KernelTokens:
    """Of the task's kernel; nothing of a design."""
    return kernel_tokens(hls_task(task).kernel)


def design_matrices(task: Task, columns: Mapping[str, Ints]) -> DesignTokens:
    """Of n designs, `columns` by parameter (n,) each."""
    kernel, target = hls_task(task).kernel, hls_task(task).target
    columns = canonical(kernel, columns)
    estimator = estimator_of(hls_task(task))
    found = estimator.estimate(columns)
    start = target_table({metric: np.maximum(found[metric], 0.0) for metric in HLS_METRICS}, HLS_METRICS)
    counts = np.exp2(2 * start[:, 1:]) - 1
    has = np.array([target.device.resources[metric] for metric in RESOURCES], dtype=np.float64)
    shares = np.log2(np.maximum(counts / has, 1e-6))
    code = np.log2(np.maximum(found["code"], 1.0))
    largest = shares.max(axis=1)
    likely = valid_probability(estimator.constants, found["code"], np.exp2(largest), target.device.usable)
    chance = np.log(np.clip(likely, UNLIKELY, 1 - UNLIKELY) / np.clip(1 - likely, UNLIKELY, 1 - UNLIKELY))
    estimate = np.concatenate([start, shares, np.stack([largest, code, chance], axis=1)], axis=1)
    loops = np.array([loop.number for loop in kernel.loops if loop.directives], dtype=np.int64)
    return DesignTokens(target.tool, loops, _directives(kernel, columns)[:, loops], estimate, start, chance)


def _directives(kernel: Kernel, columns: Mapping[str, Ints]) -> Floats:
    """(n, loops, width) of all loops: the directives themselves, and what they leave to run and make side by side."""
    seen = unrolled(kernel, columns)
    trip = np.array([max(loop.trip.mean, 1.0) for loop in kernel.loops])
    count, loops = seen.copies.shape
    chosen = {kind: np.full((count, loops), OFF if kind == PIPELINE else 1) for kind in (PIPELINE, TILE, PARALLEL)}
    for parameter in kernel.parameters:
        chosen[parameter.kind][:, parameter.loop] = columns[parameter.name]
    copies, trips = np.log2(seen.copies), np.log2(seen.trips)
    inside = np.zeros_like(copies)  # copies that the loops within make, all together
    for loop in reversed(kernel.loops):
        for inner in loop.loops:
            inside[:, loop.number] += inside[:, inner.number] + copies[:, inner.number]
    around, left = copies.copy(), trips.copy()
    pipelined = np.zeros_like(copies)  # whether a loop around is
    for loop in kernel.loops:
        if loop.parent is not None:
            around[:, loop.number] += around[:, loop.parent]
            left[:, loop.number] += left[:, loop.parent]
            pipelined[:, loop.number] = np.maximum(pipelined[:, loop.parent], seen.pipelined[:, loop.parent])
    pipe, tile, parallel = chosen[PIPELINE], chosen[TILE], chosen[PARALLEL]
    told = [
        *(pipe == word for word in (OFF, COARSE, FLATTEN)),
        np.log2(np.maximum(tile, 1)),
        np.log2(np.maximum(parallel, 1)),
        parallel >= trip,
        (tile >= trip) & (tile > 1),
        np.mod(trip, np.maximum(parallel, 1)) != 0,
        np.mod(trip, np.maximum(tile, 1)) != 0,
        copies,
        trips,
        seen.pipelined,
        seen.flattened,
        inside,
        around,
        left,
        pipelined,
    ]
    return np.stack([np.asarray(part, dtype=np.float64) for part in told], axis=2)
