"""What there is to say of the front of a study of loop directives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from design.core import Batch, Evaluation, Status
from dse.studies.hls.loops import LoopState, loop_states
from dse.studies.hls.problem import HlsProblem


@dataclass(frozen=True)
class Findings:
    """Of the front and its first design. `base` are the metrics of the kernel without directives, {} where the
    evaluator has none; `loops` how the best design's loops run."""

    cards: list[tuple[str, str, str]]
    description: str
    base: dict[str, float]
    loops: list[LoopState]


def findings(problem: HlsProblem, front: Batch, answers: Evaluation) -> Findings:
    """For a front of at least one design."""
    best = {name: float(values[0]) for name, values in answers.metrics.items()}
    base = _without_directives(problem)
    design = {name: int(values[0]) for name, values in front.columns.items()}
    loops = loop_states(problem.kernel, design)
    return Findings(_cards(problem, best, base), _description(problem, loops), base, loops)


def _without_directives(problem: HlsProblem) -> dict[str, float]:
    """The estimate for the first start, in which every directive is off."""
    estimate = problem.estimate.evaluate(problem.plain, seed=0)
    if estimate.status[0] == Status.FAILED:
        return {}
    return {name: float(v[0]) for name, v in estimate.metrics.items() if np.isfinite(v[0])}


def _cards(problem: HlsProblem, best: dict[str, float], base: dict[str, float]) -> list[tuple[str, str, str]]:
    estimated = problem.evaluator is problem.estimate
    by = "estimated" if estimated else f"by {problem.evaluator.name}"
    cards = [("cycles", f"{best['cycles']:,.0f}", by)]
    if base.get("cycles") and estimated:
        faster = f"{base['cycles'] / best['cycles']:.4g} times"
        cards.append(("faster than without directives", faster, by))
    resources = problem.target.device.resources
    shares = {name: best.get(f"{name}_share", np.nan) for name in resources}
    known = {name: share for name, share in shares.items() if np.isfinite(share)}
    if known:
        most = max(known, key=known.__getitem__)
        cards.append(("largest share of the device", f"{known[most]:.1%}", f"{most.upper()}, {by}"))
    for name in known:
        cards.append((name.upper(), f"{best[name]:,.0f}", f"of {resources[name]:,}"))
    return cards


def _description(problem: HlsProblem, loops: list[LoopState]) -> str:
    """The best design in one paragraph."""
    told = [f"{_name(state)} ({state.words})" for state in loops if state.words and state.words != "unrolled"]
    copies = [f"{_name(state)}" for state in loops if state.words == "unrolled" and state.kind != "unrolled"]
    text = f"{problem.kernel.name} for {problem.target.name} on {problem.target.device.name}: "
    text += "; ".join(told) if told else "no directive is on"
    if copies:
        text += f"; loops within pipelined ones are unrolled: {', '.join(copies)}"
    return text + "."


def _name(state: LoopState) -> str:
    label = f" '{state.loop.label}'" if state.loop.label else ""
    return f"loop {state.loop.variable}{label} in line {state.loop.line}"
