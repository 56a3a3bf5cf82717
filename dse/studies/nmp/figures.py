"""The pictures of the best near-memory design: what it does over time, where time and energy go, what bounds it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from cost_model.nmp.analysis.energy import energy_account
from cost_model.nmp.analysis.operator_roofline import ON_NMP, ON_NPU, PREFILL, roofline
from cost_model.nmp.analysis.time_breakdown import OperatorAccount
from cost_model.nmp.analysis.timeline import Bar, decode_timeline, prefill_timeline
from design.core import Batch
from design.metrics import NMP_COSTS, metric_unit
from dse.records.archive import objective_values
from dse.report.figures import Picture
from dse.report.pictures.nmp.breakdown import Whole, breakdown_picture
from dse.report.pictures.nmp.corners import corners_picture
from dse.report.pictures.nmp.roofline import RoofLine, roofline_picture
from dse.report.pictures.nmp.schedule import Boundary, Task, schedule_picture
from dse.report.pictures.sensitivity import WIDEST, Move, sensitivity_picture
from dse.studies.nmp.analysis.sensitivity import Step
from dse.studies.nmp.findings import Findings
from dse.studies.nmp.problem import NmpProblem
from dse.studies.outcome import Outcome


def best_pictures(
    problem: NmpProblem, outcome: Outcome, best: Batch, found: Findings, folder: Path
) -> Iterator[Picture]:
    """Of the best design, a batch of one."""
    yield schedule(problem, best, folder)
    if found.operators:
        yield breakdown(problem, best, found.operators, folder)
    yield roofs(problem, best, folder)
    if found.steps and found.base:
        yield steps(found.base, found.steps, folder)
    if found.corners:
        labels = [o.metric for o in outcome.objectives]
        fronts = {"nominal": objective_values(outcome.answers, outcome.objectives)}
        fronts |= {corner.name: corner.values for corner in found.corners}
        svg = corners_picture(fronts, labels, [metric_unit(label) for label in labels], folder)
        kept = "; ".join(
            f"with all constants at their {corner.name} end {int(corner.kept.sum())} of its {len(corner.kept)} designs "
            f"stay on the front"
            for corner in found.corners
        )
        text = f"The front with all energy and area constants at one end of their ranges: {kept}."
        yield Picture("constants", svg, f"Fronts of {', '.join(labels)} at the ends of the constants", text)


def schedule(problem: NmpProblem, best: Batch, folder: Path) -> Picture:
    """The best design's decode step and prefill over time."""
    line = decode_timeline(problem.analytic, best)
    place = {lane: row for row, lane in enumerate(line.lanes)}
    names = [op.name for op in problem.workload.operators]
    boundaries = [Boundary(tuple(place[lane] for lane in s.lanes), s.end_s) for s in line.strata]
    lanes = ["NPU", *(f"NMP {lane}" for lane in line.lanes[1:])]
    before = _tasks(prefill_timeline(problem.analytic, best), {-1: 0})
    layer = _layer(problem)
    svg = schedule_picture(names, lanes, _tasks(line.bars, place), boundaries, line.groups, before, folder, layer)
    context = f"at {line.context:,} tokens of context" if line.context is not None else "with nothing to generate"
    text = (
        f"Each bar is an operator on a processor, in one decode step of {layer} {context}: {line.seconds * 1e3:.4g} ms "
        "in all. Full lines end groups, dotted lines end strata; white space is a processor that waits. Below, the "
        f"prefill of {layer} on its own time scale."
    )
    return Picture("schedule", svg, "Schedule of the best dataflow over the NPU and the NMP channels", text)


def _layer(problem: NmpProblem) -> str:
    """Whose times are shown: where there are several kinds of layers, each has its share of the mean one."""
    return "the mean layer" if len(problem.workload.sections) > 1 else "a layer"


def _tasks(bars: Sequence[Bar], place: dict[int, int]) -> list[Task]:
    """Bars of one operator that begin and end together, on all their lanes at once."""
    together: dict[tuple[str, float, float], list[int]] = {}
    for bar in bars:
        together.setdefault((bar.operator, bar.start_s, bar.end_s), []).append(place[bar.lane])
    return [Task(name, tuple(lanes), start, end) for (name, start, end), lanes in together.items()]


def breakdown(problem: NmpProblem, best: Batch, operators: Sequence[OperatorAccount], folder: Path) -> Picture:
    """Time and, where it is known, energy of the best design by operator."""
    time = {"prefill": [op.prefill_s for op in operators], "decode": [op.decode_s for op in operators]}
    wholes = [Whole(f"latency of {_layer(problem)}", "s", time, {})]
    energy = energy_account(problem.physical, best)
    text = "What the layer waits for each operator; one that others hide counts nothing."
    if energy is not None:
        parts = {
            "prefill": [op.prefill_j for op in energy.operators],
            "decode on NMP": [op.decode_nmp_j for op in energy.operators],
            "decode on NPU": [op.decode_npu_j for op in energy.operators],
        }
        wholes.append(Whole(f"energy of {_layer(problem)} ({problem.physical.name})", "J", parts, energy.standby))
        text += " Energy counts all work, hidden or not; grey rows flow whatever is computed."
    svg = breakdown_picture([op.operator for op in operators], wholes, folder)
    return Picture("breakdown", svg, "Time and energy of the best design by operator", text)


def roofs(problem: NmpProblem, best: Batch, folder: Path) -> Picture:
    """The best design's operators under the roofs of its processors."""
    found = roofline(problem.analytic, best)
    lines = [
        RoofLine(f"{r.processor}, {r.channels} channel{'s' * (r.channels > 1)}", r.gflops, r.gbps) for r in found.roofs
    ]
    kinds = {
        kind: [(p.operator, p.intensity, p.gflops) for p in found.points if p.kind == kind]
        for kind in (PREFILL, ON_NMP, ON_NPU)
    }
    svg = roofline_picture(lines, kinds, folder)
    text = (
        "An operator under a slanted roof waits for memory, one under a flat roof for compute. How far it lies below "
        "its roof is what transfers, small buffers, fewer channels and uneven shares cost. Work counts two FLOP a "
        "multiply-accumulate; bytes count operands that pass once."
    )
    return Picture("roofline", svg, "Roofline of the NPU and the NMP channels with the operators", text)


def steps(base: dict[str, float], moves: Sequence[Step], folder: Path) -> Picture:
    """What one step of each hardware parameter changes."""
    metrics = [name for name in NMP_COSTS if base.get(name)]
    table = [
        Move(
            f"{step.parameter} {step.before:g} → {step.after:g}",
            [100 * (step.metrics[name] / base[name] - 1) if step.metrics else None for name in metrics],
            not step.metrics,
        )
        for step in moves
    ]
    svg = sensitivity_picture(metrics, table, folder)
    text = (
        "One hardware parameter moved one step, the mapping made anew for each; bars to the left are less, to the "
        "right more. A bar that is missing is a resource that the design has enough of."
    )
    if any(abs(change) > WIDEST for move in table for change in move.percent if change is not None):
        text += f" Bars end at {WIDEST:.0f} %, their figures do not."
    return Picture("sensitivity", svg, "Change of each metric for one step of each hardware parameter", text)
