"""Arrays on chip and on the way there: banks, ports, transfers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cost_model.hls.constants import HlsConstants
from cost_model.hls.plan import ArrayPlan, LoopPlan, Plan
from cost_model.hls.unrolling import Shape
from design.core import Floats

MOST_BANKS = 1024.0  # the tools refuse to cut an array into more
WORDS_OF_BLOCK = 512.0  # words of 36 bits in a block RAM of 18 Kb
SMALL_BANK = 64.0  # words; smaller banks become registers or LUT memory


class Memory:
    """Banks of all arrays in n designs."""

    def __init__(self, plan: Plan, shapes: Sequence[Shape], constants: HlsConstants) -> None:
        self.plan, self.shapes, self.constants = plan, shapes, constants
        self.count = len(shapes[0].full) if shapes else 1
        self.banks = {array.name: self._banks(array) for array in plan.arrays}

    def _banks(self, array: ArrayPlan) -> Floats:
        """The tools cut an array along every dimension by the copies of the loops that move through it. Copies that a
        PARALLEL factor asks for are always served; those that flattening implies only up to `implied_banks` (gemm-p
        flattened over j: 27 cycles an iteration for 70 columns, but 12 once another loop over j has PARALLEL 70)."""
        found = np.ones(self.count)
        for size, loops in zip(array.shape, array.index, strict=True):
            cut = np.ones(self.count)
            for number in loops:
                shape = self.shapes[number]
                implied = np.minimum(shape.copies, np.maximum(shape.stated, self.constants.implied_banks))
                cut = np.maximum(cut, implied)
            found = found * np.minimum(cut, size)
        return np.minimum(found, np.minimum(MOST_BANKS, array.elements))

    def port_interval(self, loop: LoopPlan) -> Floats:
        """Cycles that the busiest array needs for one step of a pipeline over the loop, (n,)."""
        found = np.ones(self.count)
        inside = (loop.number, *self.plan.kernel.inside(loop.number))
        for array in self.plan.arrays:
            moves = frozenset().union(*array.index) if array.index else frozenset()
            needed = np.zeros(self.count)
            for number in inside:
                touched = self.plan.loops[number].touched.get(array.name, 0.0)
                if not touched:
                    continue
                copies = np.ones(self.count)
                at: int | None = number
                while at is not None:
                    if at in moves or array.indirect:
                        copies = copies * self.shapes[at].copies
                    at = self.plan.loops[at].parent if at != loop.number else None
                needed = needed + touched * copies
            banks = np.ones(self.count) if array.indirect else self.banks[array.name]
            found = np.maximum(found, np.ceil(needed / (banks * self.constants.ports_per_bank) - 1e-9))
        return found

    def transfer_cycles(self) -> Floats:
        """Cycles in which arguments come in and results go out, (n,)."""
        k = self.constants
        words = 0.0
        for array in self.plan.arrays:
            if array.argument:
                words += (array.read + array.written) * array.elements / array.burst**k.burst_power
        return np.full(self.count, words * k.transfer_share)

    def reload_cycles(self, loop: LoopPlan) -> Floats:
        """To load what one tile of the loop touches of each array, and store what it writes, (n,): 2mm v18 tiles j by
        8, so that 40 x 10 tiles load 4000 words of C each: 1.8 M cycles against 12 k without. syrk v18 tiles k by 2
        and loads 80 x 30 times all of A[j][k]."""
        shape = self.shapes[loop.number]
        inside = set(self.plan.kernel.inside(loop.number))
        touched = {name for number in (loop.number, *inside) for name in self.plan.loops[number].touched}
        found = np.zeros(self.count)
        for array in self.plan.arrays:
            if array.name not in touched or not array.argument:
                continue
            words = np.ones(self.count)
            for place, (size, loops) in enumerate(zip(array.shape, array.index, strict=True)):
                extent = np.ones(self.count)
                if loop.number in loops:
                    extent = np.maximum(extent, shape.tile * shape.copies)
                for number in loops & inside:
                    extent = extent * self.plan.loops[number].trip
                if place == len(array.shape) - 1:  # of several rows only whole ones are loaded
                    extent = np.where(words > 1, size, extent)
                words = words * np.minimum(extent, size)
            if array.indirect:
                words = np.full(self.count, array.elements)
            found = found + (array.read + array.written) * words / array.burst**self.constants.burst_power
        return found * self.constants.reload_share

    def block_rams(self) -> Floats:
        """Of all arrays, (n,)."""
        found = np.zeros(self.count)
        for array in self.plan.arrays:
            banks = self.banks[array.name]
            words = array.elements / banks
            blocks = np.ceil(words / WORDS_OF_BLOCK) * np.ceil(array.bits / 36)
            found = found + np.where(words <= SMALL_BANK, 0.0, banks * blocks)
            found = found + (self.constants.array_bram if array.argument else 0.0)
        return found
