"""How well the exact solver does on the published grid (about five minutes on one core):

    python -m bench.grid [EVALUATOR ..]

Fixed devices: three models, four data sets, batch 1, 4 and 16 on the two in-die designs and on the hybrid-bonded
one, data-centric and compute-centric; and all 64 devices of the published list for each model at one data set.
Prints the worst gap, the slowest point in CPU seconds, and every point above 0.1 % or 10 s.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ae.h2llm.points import BATCHES, DATA_SETS, DESIGNS, MODELS, Point, points
from bench import parser_of
from cost_model.nmp.evaluator import NmpEvaluator
from dse.options import PROCESSORS, processors
from dse.spaces.nmp import NmpSpace
from dse.studies.nmp.exact.prove import prove
from dse.studies.nmp.exact.search import hardware_of
from dse.studies.nmp.problem import NmpProblem, build

SOLVED = ("H2-LLM", "ID-NMP+", "ID-NMP", "CC-NMP")
EVALUATORS = ("roofline", "buffered")
GOAL_GAP, GOAL_S = 1e-3, 10.0


class Solved(NamedTuple):
    """A device, its proven gap and what it took."""

    name: str
    gap: float
    cpu_s: float


def one_device(point: Point, evaluator: str, **more: object) -> NmpProblem:
    """The point as the command line would build it."""
    return build(point.settings(evaluator, 0, Path(), more))


def solve(name: str, p: NmpProblem) -> Solved:
    """Prove one device."""
    begin = time.process_time()
    assert isinstance(p.space, NmpSpace) and isinstance(p.evaluator, NmpEvaluator)
    batch = p.space.decode(p.space.bounds[None, :, 0])
    proof = prove(p.space, p.evaluator, hardware_of(batch, 0), "latency_s")
    gap = proof.value / proof.lower_bound - 1 if proof.lower_bound else np.inf
    return Solved(name, gap, time.process_time() - begin)


def published(evaluator: str) -> Iterator[Solved]:
    """The points with one device whose dataflow is explored."""
    for point in points(SOLVED, tuple(MODELS), tuple(DATA_SETS), BATCHES):
        yield solve(point.name, one_device(point, evaluator))


def devices(model: str, evaluator: str) -> Iterator[Solved]:
    """All devices of the published list, one by one."""
    point = Point("H2-LLM-Full", model, "sg", 4)
    for channels, engines in product(DESIGNS[point.design].channels, processors("PROCESSORS", PROCESSORS)):
        text = f"({','.join(map(str, engines))})"
        more = {"nmp-channel-num-space": channels, "fpu-pe-bw-space": text}
        yield solve(f"{point.name}, {channels} x {text}", one_device(point, evaluator, **more))


def report(title: str, proofs: Iterator[Solved], evaluator: str) -> None:
    """One line for the set, and one for every point that misses a goal."""
    solved = []
    for one in proofs:
        solved.append(one)
        if one.gap > GOAL_GAP or one.cpu_s > GOAL_S:
            print(f"    {one.name:<44} gap {one.gap:9.2%}  {one.cpu_s:6.1f} CPU-s", flush=True)
    gaps, seconds = np.array([s.gap for s in solved]), np.array([s.cpu_s for s in solved])
    missed = int(((gaps > GOAL_GAP) | (seconds > GOAL_S)).sum())
    print(
        f"{evaluator:<9} {title:<26} {len(solved):>4} points: gap <= 0.1 % on {int((gaps <= GOAL_GAP).sum())}, "
        f"worst {gaps.max():.2%}; median {np.median(seconds):.2f}, worst {seconds.max():.1f}, "
        f"all {seconds.sum():.0f} CPU-s; {missed} miss a goal",
        flush=True,
    )


def main() -> None:
    """The command."""
    parser = parser_of("grid", __doc__)
    parser.add_argument("evaluators", nargs="*", metavar="EVALUATOR", help=f"{' or '.join(EVALUATORS)}; both")
    given = parser.parse_args()
    if odd := sorted(set(given.evaluators) - set(EVALUATORS)):
        parser.error(f"{odd[0]} is none of {', '.join(EVALUATORS)}")
    for evaluator in given.evaluators or EVALUATORS:
        report("published fixed devices", published(evaluator), evaluator)
        for model in MODELS:
            report(f"64 devices, {model} sg b4", devices(model, evaluator), evaluator)


if __name__ == "__main__":
    main()
