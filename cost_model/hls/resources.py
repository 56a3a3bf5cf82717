"""LUT, FF and DSP: operators by copies, shared where a pipeline's interval lets them, and the wiring of copies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cost_model.hls.constants import HlsConstants
from cost_model.hls.latency import Clock
from cost_model.hls.memory import Memory
from cost_model.hls.plan import Plan
from cost_model.hls.unrolling import Shape
from design.core import Floats


def resources(
    plan: Plan, shapes: Sequence[Shape], memory: Memory, clock: Clock, constants: HlsConstants
) -> dict[str, Floats]:
    """lut, ff, dsp and bram, (n,) each, and `code`: operations after unrolling, before any sharing."""
    k, count = constants, memory.count
    lut, ff, dsp, code = (np.full(count, base) for base in (k.base_lut, k.base_ff, 0.0, 1.0))
    for loop in plan.loops:
        side, within, interval = _copies(plan, shapes, clock, loop.number)
        for operation, number in loop.operations.items():
            units = side * np.maximum(within * number / interval**k.shared, 1.0)
            one_lut, one_ff, one_dsp = _operator(operation, k)
            lut, ff, dsp = lut + units * one_lut, ff + units * one_ff, dsp + units * one_dsp
        statements = float(sum(1 for kind, _ in loop.items if kind == "depth"))
        code = code + side * within * (statements + sum(loop.operations.values()))
        lut = lut + side * within * statements * k.copy_lut
        ff = ff + side * within * statements * k.copy_ff
    banks = sum(memory.banks.values(), np.zeros(count))
    return {
        "lut": lut + banks * k.bank_lut,
        "ff": ff + banks * k.bank_ff,
        "dsp": dsp,
        "bram": k.base_bram + memory.block_rams(),
        "code": code,
    }


def _copies(plan: Plan, shapes: Sequence[Shape], clock: Clock, number: int) -> tuple[Floats, Floats, Floats]:
    """Copies of a loop's statements, (n,): side by side around its pipeline (they share nothing), within the pipeline
    (they share operators over the interval), and that interval (that of the loop itself where nothing pipelines)."""
    count = len(shapes[number].full)
    side, within, interval = np.ones(count), np.ones(count), np.ones(count)
    at: int | None = number
    open_ = np.ones(count, dtype=bool)
    while at is not None:
        shape = shapes[at]
        within = np.where(open_, within * shape.copies, within)
        side = np.where(open_, side, side * shape.copies)
        interval = np.where(open_ & shape.leaf, clock.interval[at], interval)
        open_ = open_ & ~shape.leaf & shape.full
        at = plan.loops[at].parent
    return side, within, np.maximum(interval, 1.0)


def _operator(operation: str, k: HlsConstants) -> tuple[float, float, float]:
    """LUT, FF and DSP of one operator."""
    kind, _, ctype = operation.partition(".")
    if not ctype.startswith("f"):
        return k.int_lut, k.int_ff, k.int_mul_dsp if kind == "mul" else 0.0
    if kind in ("add", "sub"):
        return k.add_lut, k.add_ff, k.add_dsp
    if kind == "mul":
        return k.mul_lut, k.mul_ff, k.mul_dsp
    if kind in ("div", "sqrt", "pow", "mod", "call"):
        return k.div_lut, k.div_ff, 0.0
    return k.int_lut, k.int_ff, 0.0
