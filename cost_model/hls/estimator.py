"""The estimator: cycles and resources of a kernel's designs, many at once."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cost_model.hls.constants import HlsConstants
from cost_model.hls.latency import Clock
from cost_model.hls.memory import Memory
from cost_model.hls.plan import plan
from cost_model.hls.resources import resources
from cost_model.hls.unrolling import shapes
from design.core import Floats, Ints
from design.hls.loop_nest import Kernel


class Estimator:
    """Of one kernel, with the constants of one tool version."""

    def __init__(self, kernel: Kernel, constants: HlsConstants) -> None:
        self.kernel, self.constants = kernel, constants
        self.plan = plan(kernel, constants)

    def estimate(self, columns: Mapping[str, Ints]) -> dict[str, Floats]:
        """cycles, lut, ff, dsp and bram (18 Kb blocks), (n,) each, from directive columns (n,); beside them `code`, the
        operations that a design has after unrolling."""
        count = len(next(iter(columns.values()))) if columns else 1
        found = shapes(self.plan, columns, count)
        memory = Memory(self.plan, found, self.constants)
        clock = Clock(self.plan, found, memory, self.constants)
        cycles = self.constants.start_cycles + memory.transfer_cycles() + clock.total()
        answer = {"cycles": np.maximum(cycles, 1.0)}
        answer |= resources(self.plan, found, memory, clock, self.constants)
        return answer


def valid_probability(constants: HlsConstants, code: Floats, utilisation: Floats, usable: float) -> Floats:
    """That the tool gets through (the more unrolled operations, the less likely) and that the design, whose largest
    share of the device is estimated as `utilisation`, takes less than `usable` of it. (n,) each."""
    from scipy.special import expit, ndtr

    through = expit(constants.tool_slope * (constants.tool_size - np.log2(np.maximum(code, 1.0))))
    fits = ndtr(np.log2(usable / np.maximum(utilisation, 1e-9)) / constants.share_spread)
    found: Floats = through * fits
    return found
