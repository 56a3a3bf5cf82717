"""The graph of a model's operators as Graphviz text and as a picture: by `dot` where it is installed, else by ours."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from design.nmp.lowering import Usage
from design.nmp.model import HEAD, LayerKind, LayerOperator, Model
from design.nmp.workload import ATTENTION, Call
from dse.records.directory import write_whole
from dse.report.pictures.nmp.operator_graph import OTHER, ROLES, WORDS, operator_graph_picture
from dse.report.pictures.nmp.operator_layout import Arrow, Box, Frame
from dse.report.pictures.style import DPI, INK, PAPER, QUIET
from dse.studies.nmp.models.operator_table import PHASES, cached_tokens, calls_of, human_bytes, size_in_bytes, tokens_of

NAME = "operator_graph"
TIMES = "\u00d7"
DOT_SECONDS = 30.0
LEFT = "\\l"  # ends a line of Graphviz's that is to be to the left
FIRST_BYTES = {"png": b"\x89PNG", "svg": b"<?xml"}
NOTES = (
    f"Box: an operator, bytes of its weights or cache in one layer, and its GEMM, B {TIMES} M {TIMES} N {TIMES} K,",
    "in prefill and in the last decode step; of several calls the largest.",
    "Arrow: bytes that flow in prefill / in a decode step.",
)


class Drawing(NamedTuple):
    """The files of a drawing."""

    text: Path
    png: Path
    svg: Path


def edge_bytes(kind: LayerKind, edge: tuple[int, int], phase: str, usage: Usage) -> int:
    """What flows along an edge in one layer, all calls of a phase together: the producer's whole output at most.

    The first attention operator takes queries and new keys. One after it takes scores from the first, and new values
    from others; where those are no cache of its own, all that the other has.
    """
    producer, consumer = kind.operators[edge[0]], kind.operators[edge[1]]
    made = sum(int(times) * g.B * g.M * g.N for g, times in calls_of(producer, phase, usage))
    taken = sum(int(times) * g.B * g.M * g.K for g, times in calls_of(consumer, phase, usage))
    if consumer.kind == ATTENTION and producer.kind != ATTENTION:
        fresh = consumer.cache * usage.batch * tokens_of(phase, usage)
        after = any(b == edge[1] and kind.operators[a].kind == ATTENTION for a, b in kind.edges)
        taken = taken + fresh if not after else fresh or made
    return size_in_bytes(min(made, taken), usage)


def frames_of(model: Model, usage: Usage) -> list[Frame]:
    """The model as the picture has it, an edge that is stated twice as one."""
    frames = []
    for kind in model.kinds:
        boxes = tuple(_box(op, usage) for op in kind.operators)
        arrows = []
        for edge in dict.fromkeys(kind.edges):
            flows = " / ".join(human_bytes(edge_bytes(kind, edge, phase, usage)) for phase in PHASES)
            arrows.append(Arrow(*edge, flows))
        layers = f", {kind.count} layer{'s' * (kind.count > 1)}" if kind.name != HEAD else ""
        frames.append(Frame(f"{kind.name}{layers}", boxes, tuple(arrows)))
    return frames


def _box(op: LayerOperator, usage: Usage) -> Box:
    notes = [f"{op.experts.chosen} of {op.experts.total}"] if op.experts else []
    notes += [human_bytes(size_in_bytes(op.weights, usage))] if op.weights else []
    notes += [f"window {op.window}"] if op.window else []
    if op.cache:
        notes.append(f"cache {human_bytes(size_in_bytes(op.cache * cached_tokens(op, usage), usage))}")
    return Box(op.name, op.kind, ", ".join(notes), tuple((phase, gemm_text(op, phase, usage)) for phase in PHASES))


def gemm_text(op: LayerOperator, phase: str, usage: Usage) -> str:
    """B, M, N and K of an operator's GEMM in one layer; of its largest, where it is called several times."""
    calls = calls_of(op, phase, usage)
    largest: Call = max(calls, key=lambda call: call.gemm.macs)
    times = sum(int(call.times) for call in calls)
    return TIMES.join(map(str, largest.gemm)) + (f", {times} calls" if times > 1 else "")


def subtitle(model: Model, usage: Usage) -> str:
    """How the model is used, and its embedding, which is no operator."""
    text = (
        f"{usage.batch} sequence{'s' * (usage.batch > 1)}, {usage.prompt} prompt and {usage.generated} generated "
        f"tokens each, {usage.precision}"
    )
    if model.embedding is None:
        return text
    rows, width, tied = model.embedding
    size = human_bytes(size_in_bytes(rows * width, usage))
    return f"{text}; embedding {rows} {TIMES} {width}, {size}{', tied to the head' * tied}"


def graph_text(model: Model, usage: Usage) -> str:
    """The text of a `.gv` file: a cluster for each kind of layer, a legend below. The same model in the same use is
    the same text."""
    head = f"{model.name}\n{subtitle(model, usage)}"
    lines = [
        f"digraph {quoted(model.name)} {{",
        f'  graph [label={quoted(head, LEFT)}, labelloc="t", labeljust="l", rankdir="TB", '
        f'fontname="DejaVu Sans", fontsize="12", bgcolor="{PAPER}", nodesep="0.3", ranksep="0.35"];',
        f'  node [shape="box", style="rounded,filled", fontname="DejaVu Sans", fontsize="9", color="{INK}", '
        f'fontcolor="{INK}"];',
        f'  edge [fontname="DejaVu Sans", fontsize="8", color="{INK}", fontcolor="{INK}", arrowsize="0.6"];',
    ]
    frames = frames_of(model, usage)
    for place, frame in enumerate(frames):
        lines += _cluster(place, frame)
    lines += _legend(frames)
    return "\n".join([*lines, "}", ""])


def _cluster(place: int, frame: Frame) -> Iterator[str]:
    yield f"  subgraph cluster_{place} {{"
    yield f'    graph [label={quoted(frame.title)}, style="rounded", color="{QUIET}"];'
    for number, box in enumerate(frame.boxes):
        heading = f"{box.name}: {box.note}" if box.note else box.name
        label = "\n".join([heading, *(f"{left} {right}" for left, right in box.lines)])
        yield f'    n{place}_{number} [label={quoted(label)}, fillcolor="{ROLES.get(box.role, OTHER)}"];'
    for arrow in frame.arrows:
        yield f"    n{place}_{arrow.start} -> n{place}_{arrow.end} [label={quoted(arrow.label)}];"
    yield "  }"


def _legend(frames: list[Frame]) -> Iterator[str]:
    roles = [role for role in ROLES if any(box.role == role for frame in frames for box in frame.boxes)]
    notes = "\n".join(NOTES)
    yield "  subgraph cluster_legend {"
    yield f'    graph [label="", style="rounded", color="{QUIET}"];'
    for role in roles:
        yield f'    legend_{role} [label={quoted(WORDS.get(role, role))}, fillcolor="{ROLES[role]}"];'
    yield f'    legend_text [label={quoted(notes, LEFT)}, shape="plaintext", style=""];'
    yield "  }"


def quoted(text: str, end: str = "") -> str:
    """A string of the DOT language that is shown as it stands: neither escapes nor entities. Its lines are centred, or
    to the left where each `end`s with Graphviz's mark for that."""
    lines = [" ".join(line.split()) for line in text.split("\n")]
    escaped = [line.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"') for line in lines]
    return '"' + (end or "\\n").join(escaped) + end + '"'


def draw_graph(model: Model, usage: Usage, folder: Path) -> Drawing:
    """Writes `operator_graph.gv`, `.png` and `.svg` into `folder`, which is made. Raises InputError when operators
    wait for each other in a cycle, OSError where the disk does not take a file."""
    frames = frames_of(model, usage)
    folder.mkdir(parents=True, exist_ok=True)
    drawing = Drawing(*(folder / f"{NAME}.{suffix}" for suffix in ("gv", "png", "svg")))
    write_whole(drawing.text, graph_text(model, usage))
    if not all(_by_dot(drawing.text, path) for path in (drawing.png, drawing.svg)):
        operator_graph_picture(model.name, subtitle(model, usage), frames, NOTES, folder)
    return drawing


def _by_dot(text: Path, picture: Path) -> bool:
    """Whether `dot` is there, and has made a picture of the text in time."""
    dot, kind = shutil.which("dot"), picture.suffix[1:]
    part = picture.with_name(f".{picture.name}.part")
    try:
        if dot is None:
            return False
        resolution = f"-Gdpi={DPI if kind == 'png' else 72}"
        command = [dot, f"-T{kind}", resolution, "-o", str(part.resolve()), str(text.resolve())]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=DOT_SECONDS, check=False)
        if done.returncode or not part.read_bytes().startswith(FIRST_BYTES[kind]):
            return False
        part.replace(picture)
        return True
    except (OSError, subprocess.SubprocessError):
        return False
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
