"""How the loops of a kernel run in a design, and the kernel's source with the design filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from design.hls.design import COARSE, FLATTEN, OFF, PIPELINE_WORDS
from design.hls.loop_nest import PARALLEL, PIPELINE, TILE, Kernel, Loop

INSIDE = "unrolled inside"  # a loop around it is pipelined
_AUTO = re.compile(r"auto\s*\{\s*(\w+)\s*\}")


@dataclass(frozen=True)
class LoopState:
    """How a loop runs in a design: `kind` in words, `words` its directives, `copies` its parallel copies."""

    loop: Loop
    depth: int
    kind: str
    words: str
    copies: int


def loop_states(kernel: Kernel, design: Mapping[str, int]) -> list[LoopState]:
    """All loops of a kernel in a design {parameter: value}, by number."""
    states: dict[int, LoopState] = {}
    flat: set[int] = set()  # loops inside of which all is unrolled
    for loop in kernel.loops:
        above = None if loop.parent is None else states[loop.parent]
        depth = 0 if above is None else above.depth + 1
        pipeline, tile, copies = (_value(loop, kind, design) for kind in (PIPELINE, TILE, PARALLEL))
        if above is not None and above.loop.number in flat:
            states[loop.number] = LoopState(loop, depth, INSIDE, "unrolled", 1)
            flat.add(loop.number)
            continue
        if pipeline == FLATTEN or (pipeline == COARSE and not loop.loops):
            flat.add(loop.number)
        words = [f"tile {tile}"] if tile > 1 else []
        words += [f"parallel {copies}"] if copies > 1 else []
        whole = loop.trip.least == loop.trip.most == copies > 1
        runs = "pipeline" if loop.number in flat else "coarse pipeline" if pipeline == COARSE else "sequential"
        kind = "unrolled" if whole else runs
        words = [kind, *words] if kind != "sequential" else words
        states[loop.number] = LoopState(loop, depth, kind, ", ".join(words), copies)
    return [state for _, state in sorted(states.items())]


def _value(loop: Loop, kind: str, design: Mapping[str, int]) -> int:
    directive = loop.directives.get(kind)
    if directive is None:
        return OFF if kind == PIPELINE else 1
    if directive.parameter is not None:
        return int(design[directive.parameter])
    if kind == PIPELINE:
        return PIPELINE_WORDS.index(str(directive.value)) if directive.value in PIPELINE_WORDS else COARSE
    return int(directive.value or 1)


def filled_in(kernel: Kernel, design: Mapping[str, int]) -> str:
    """The kernel's source with the design's values in place of auto{NAME}."""
    kinds = {p.name: p.kind for p in kernel.parameters}

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name not in kinds:
            return match[0]
        return PIPELINE_WORDS[design[name]] if kinds[name] == PIPELINE else str(design[name])

    return _AUTO.sub(value, kernel.source)
