"""How loops run in a design, the source with its directives, and the lines that are drawn."""

from __future__ import annotations

import pytest

from design.hls.design import COARSE, FLATTEN, TARGETS, batch_of, hls_schema
from dse.studies.hls.listing import marked_lines
from dse.studies.hls.loops import INSIDE, filled_in, loop_states
from frontends.c_kernel import parse_kernel
from tests.dse.hls.example import KERNEL, PLAIN, SOURCE


@pytest.mark.parametrize(
    ("given", "kinds", "words"),
    [
        ({}, ["sequential"] * 3, ["", "", ""]),
        ({"PIPE_I": COARSE, "PARA_J": 2}, ["coarse pipeline", "sequential", "sequential"], [None, "parallel 2", ""]),
        ({"PIPE_J": FLATTEN}, ["sequential", "pipeline", INSIDE], ["", "pipeline", "unrolled"]),
        ({"PIPE_I": FLATTEN, "PARA_I": 4}, ["pipeline", INSIDE, INSIDE], ["pipeline, parallel 4", "unrolled", None]),
        ({"PARA_J": 62}, ["sequential", "unrolled", "sequential"], ["", "unrolled, parallel 62", ""]),
        (
            {"PIPE_J": FLATTEN, "PARA_J": 62},
            ["sequential", "unrolled", INSIDE],
            ["", "unrolled, parallel 62", "unrolled"],
        ),
        ({"TILE_I": 8}, ["sequential"] * 3, ["tile 8", "", ""]),
    ],
)
def test_states(given: dict[str, int], kinds: list[str], words: list[str | None]) -> None:
    """Directives make loops run as the tool makes them."""
    states = loop_states(KERNEL, PLAIN | given)
    assert [state.kind for state in states] == kinds
    assert [state.depth for state in states] == [0, 1, 2]
    assert all(said is None or state.words == said for state, said in zip(states, words, strict=True))


def test_lines() -> None:
    """Comments, blank lines and pragmas are not drawn; each mark spans its loop, braces or not."""
    lines, marks = marked_lines(KERNEL, PLAIN | {"PIPE_J": FLATTEN})
    assert not any("pragma" in line or "taps" in line or not line.strip() for line in lines)
    spans = [(lines[mark.first].split(":")[-1].strip()[:8], lines[mark.last].strip()) for mark in marks]
    assert spans == [("for (i =", "}"), ("for (j =", "}"), ("for (k =", "sum += weight[k] * in[i][j + k - 1];")]
    first, second, third = marks
    assert first.first < second.first < third.first <= third.last < second.last < first.last
    assert [mark.kind for mark in marks] == ["sequential", "pipeline", "unrolled"]


def test_filled_in() -> None:
    """The source with values in place of auto{NAME} reads as a kernel without choices that runs the same way."""
    design = PLAIN | {"PIPE_I": COARSE, "TILE_I": 8, "PARA_J": 2}
    text = filled_in(KERNEL, design)
    assert "auto" not in text and "PARALLEL FACTOR=2" in text and len(text.splitlines()) == len(SOURCE.splitlines())
    fixed = parse_kernel(text, "filled.c")
    assert not fixed.parameters
    assert [s.words for s in loop_states(fixed, {})] == [s.words for s in loop_states(KERNEL, design)]


def test_points() -> None:
    """A design is read from what `points_of` writes (the example's schema is sound)."""
    schema = hls_schema(KERNEL, TARGETS["v20"])
    batch = batch_of(KERNEL, schema, [{**PLAIN, "PIPE_I": "flatten", "PIPE_J": "off"}], "here")
    assert schema.text(batch, 0) == "PIPE_I=flatten TILE_I=1 PARA_I=1 PIPE_J=off PARA_J=1"
