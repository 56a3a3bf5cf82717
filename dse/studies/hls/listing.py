"""A kernel's source with the directives of one design, as lines and marks to draw."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from design.hls.loop_nest import Kernel, Loop, Statement
from dse.report.pictures.hls.listing import LoopMark
from dse.studies.hls.loops import INSIDE, loop_states

_PRAGMA = re.compile(r"^\s*#\s*pragma\b")
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


def marked_lines(kernel: Kernel, design: Mapping[str, int]) -> tuple[list[str], list[LoopMark]]:
    """The kernel's lines without comments, blank lines and pragmas, and a mark for each loop among them."""
    bare = _COMMENT.sub(lambda m: "\n" * m[0].count("\n"), kernel.source).split("\n")
    first = min((loop.line for loop in kernel.loops), default=1)
    begin = next((i for i in range(first - 1, -1, -1) if kernel.name + "(" in bare[i].replace(" ", "")), 0)
    depths, place, lines = _depths(bare), dict[int, int](), list[str]()
    for number, text in enumerate(bare, start=1):
        if number > begin and text.strip() and not _PRAGMA.match(text):
            place[number] = len(lines)
            lines.append(text.rstrip())
    marks = []
    for state in loop_states(kernel, design):
        last = _last_line(state.loop, depths, len(bare))
        if state.loop.line in place:
            end = max(place[n] for n in range(state.loop.line, last + 1) if n in place)
            kind = "unrolled" if state.kind == INSIDE else state.kind
            marks.append(LoopMark(place[state.loop.line], end, state.depth, state.words, kind))
    return lines, marks


def _depths(lines: list[str]) -> list[int]:
    """Open braces at the end of each line."""
    depth, found = 0, []
    for line in lines:
        depth += line.count("{") - line.count("}")
        found.append(depth)
    return found


def _last_line(loop: Loop, depths: list[int], lines: int) -> int:
    """The line on which a loop's body ends: where its brace closes, or that of its last statement without braces."""
    # What stands in functions that the loop calls has lines of its own.
    inner = max((item.line for item in _within(loop)), default=0)
    inner = max(inner, loop.line)
    before = depths[loop.line - 2] if loop.line > 1 else 0
    last = inner
    while last < lines and depths[last - 1] > before:
        last += 1
    return last


def _within(loop: Loop) -> Iterator[Loop | Statement]:
    for item in loop.body:
        yield item
        if isinstance(item, Loop):
            yield from _within(item)
