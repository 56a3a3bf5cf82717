"""Cycles of a loop nest: a recursion over the loop tree, for n designs at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cost_model.hls.constants import HlsConstants
from cost_model.hls.memory import Memory
from cost_model.hls.plan import LoopPlan, Plan
from cost_model.hls.unrolling import Shape
from design.core import Bools, Floats


@dataclass(frozen=True)
class Span:
    """Cycles of a loop as `fill` + `run`, (n,) each: a perfect nest around it saves the fill but once where `open`."""

    fill: Floats
    run: Floats
    open: Bools

    @property
    def cycles(self) -> Floats:
        """Of the loop alone."""
        return self.fill + self.run


class Clock:
    """Times one kernel's loops. `interval[l]` (n,) is the initiation interval of loop l where it is a pipeline."""

    def __init__(self, plan: Plan, shapes: Sequence[Shape], memory: Memory, constants: HlsConstants) -> None:
        self.plan, self.shapes, self.memory, self.constants = plan, shapes, memory, constants
        self.depths: list[Floats] = [np.empty(0)] * len(plan.loops)
        self.interval: list[Floats] = [np.empty(0)] * len(plan.loops)
        self.spans: list[Span] = []
        found: dict[int, Span] = {}
        for loop in reversed(plan.loops):
            self.depths[loop.number] = self._depth(loop)
            self.interval[loop.number] = self._interval(loop)
            found[loop.number] = self._span(loop, found)
        self.spans = [found[loop.number] for loop in plan.loops]

    def total(self) -> Floats:
        """Cycles of all loops at the top and of the statements between them."""
        found = np.zeros(len(self.shapes[0].full)) if self.shapes else np.zeros(1)
        for kind, value in self.plan.top:
            found = found + (self.spans[int(value)].cycles if kind == "loop" else value)
        return found

    def _depth(self, loop: LoopPlan) -> Floats:
        """Of one iteration's body with all inner loops unrolled. The copies of an inner loop stand side by side,
        unless one waits for another: then they are a chain (gesummv v18, flattened: 90 x 14 cycles) or a tree."""
        found = np.zeros(len(self.shapes[loop.number].full))
        for kind, value in loop.items:
            if kind == "depth":
                found = found + value
                continue
            inner = self.plan.loops[int(value)]
            found = found + self.depths[inner.number] + self._serial(inner)
        return found

    def _serial(self, loop: LoopPlan) -> float:
        """Cycles by which the copies of an unrolled loop wait for one another."""
        found = 0.0
        for chain in loop.chains:
            joined = float(np.log2(max(loop.trip, 1.0))) * self.constants.add_cycles
            linear = (loop.trip / chain.distance - 1) * chain.interval * self._within(chain.scope)
            found = max(found, joined if chain.tree else linear)
        return found

    def _within(self, scope: Sequence[int]) -> float:
        """Links of a chain in one iteration, if unrolled inner loops carry it, too."""
        links = 1.0
        for number in scope:
            links *= self.plan.loops[number].trip
        return links

    def _interval(self, loop: LoopPlan) -> Floats:
        """Of a pipeline over this loop: the longest of its recurrences and of the busiest array's ports."""
        shape = self.shapes[loop.number]
        found = np.maximum(self.memory.port_interval(loop), 1.0)
        for chain in loop.chains:
            links = self._within(chain.scope) if not chain.tree else 1.0
            joined = 1.0 if chain.tree else shape.copies
            found = np.maximum(found, chain.interval * links * joined / chain.distance)
        return found

    def _ignored(self, loop: LoopPlan, shape: Shape) -> Floats:
        """Of PARALLEL on a loop with pipelines inside, how many times more steps there are than it asks for. It does
        nothing where iterations wait for one another (atax over i: y is carried; symm), what it should on an
        outermost loop without such (gesummv, mvt), and little or harm in between (gemm-blocked: 580 k cycles with
        64, 526 k without; 2mm: 7.5 M with 2, 2.2 M without)."""
        power = self.constants.outer_power if loop.parent is None else self.constants.middle_power
        asked = np.maximum(loop.trip / shape.total, 1.0)
        return asked ** (1.0 - (0.0 if loop.carries else power))

    def _span(self, loop: LoopPlan, inner: dict[int, Span]) -> Span:
        shape, k = self.shapes[loop.number], self.constants
        # As a pipeline: every tile fills it anew. What is left of the trip count runs on in it (gemm-p v18 with
        # PARALLEL 32 of 70 takes 2 + 6 steps an outer iteration and still is one pipeline with the loop around), but
        # not behind tiles (gesummv v18).
        depth, interval = self.depths[loop.number], self.interval[loop.number]
        starts = np.where(shape.tiled, shape.tiles + (shape.rest > 0), 1.0)
        tail = np.ones(len(depth))
        for chain in loop.chains:
            if not chain.tree:  # a chain takes single steps at the interval of one copy
                tail = np.maximum(tail, chain.interval * self._within(chain.scope) / chain.distance)
            else:
                tail = np.maximum(tail, chain.interval / chain.distance)
        run = np.maximum(shape.steps - 1, 0) * interval + shape.rest * np.maximum(tail, 1.0)
        tiled = np.where(shape.tiled, (k.tile_cycles + self.memory.reload_cycles(loop)) * shape.tiles, 0.0)
        pipeline = Span((depth + k.entry_cycles) * starts + tiled, run, ~shape.tiled)
        # Step by step. A perfect nest of pipelines becomes one pipeline as far as the tool manages.
        parts, stages, longest = np.zeros(len(depth)), 0, np.zeros(len(depth))
        for kind, value in loop.items:
            part = inner[int(value)].cycles if kind == "loop" else np.full(len(depth), value)
            parts, stages, longest = parts + part, stages + 1, np.maximum(longest, part)
        steps = shape.total * self._ignored(loop, shape)
        overlap = np.where(shape.coarse, k.coarse_overlap, 0.0)
        body = parts + k.step_cycles
        whole = steps * ((1 - overlap) * body + overlap * (longest + k.step_cycles)) + k.entry_cycles + tiled
        sequential = Span(np.zeros(len(depth)), whole, np.zeros(len(depth), dtype=bool))
        if loop.sinks and loop.fixed:
            nested = inner[loop.inner[0]]
            saved = np.where(nested.open & ~shape.tiled & (shape.rest == 0), k.nest_flattening, 0.0)
            merged = steps * (nested.run + (1 - saved) * (nested.fill + k.step_cycles))
            sequential = Span(saved * nested.fill + k.entry_cycles, np.where(saved > 0, merged, whole), saved > 0)
        block = depth + self._serial(loop) + self.memory.port_interval(loop)
        fill = np.where(shape.leaf, pipeline.fill, sequential.fill)
        run = np.where(shape.leaf, pipeline.run, sequential.run)
        return Span(
            np.where(shape.block, 0.0, fill),
            np.where(shape.block, block, run),
            np.where(shape.leaf, pipeline.open, sequential.open & ~shape.block),
        )
