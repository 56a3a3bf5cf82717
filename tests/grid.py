"""How well the exact solver does on the published grid: `make grid` (about five minutes on one core).

Fixed devices: three models, four data sets, batch 1, 4 and 16 on the two in-die designs and on the hybrid-bonded
one, data-centric and compute-centric; and all 64 devices of the published list for each model at one data set.
Prints the worst gap, the slowest point in CPU seconds, and every point above 0.1 % or 10 s.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import numpy as np

from dse.settings import PROCESSORS, processors, read_settings
from dse.spaces.nmp import NmpSpace
from dse.studies.nmp.exact.prove import prove
from dse.studies.nmp.exact.search import hardware_of
from dse.studies.nmp.problem import NmpProblem, build

MODELS = ("opt", "llama", "palm")
DATA_SETS = {"he": (157, 67), "sg": (783, 209), "lb": (1886, 97), "lg": (1971, 17)}
BATCHES = (1, 4, 16)
DESIGNS = {
    "H2-LLM": (6, (8, 600, 25.6), "no"),
    "ID-NMP+": (8, (1, 1000, 6.4), "no"),
    "ID-NMP": (8, (1, 200, 6.4), "no"),
    "CC-NMP": (6, (8, 600, 25.6), "specpim"),
}
GOAL_GAP, GOAL_S = 1e-3, 10.0


class Point(NamedTuple):
    """One fixed device with its workload."""

    name: str
    model: str
    data_set: str
    batch: int
    channels: int
    processor: tuple[float, ...]
    dataflow: str = "no"


class Solved(NamedTuple):
    """A point, its proven gap and what it took."""

    point: Point
    gap: float
    cpu_s: float


def published() -> Iterator[Point]:
    """The fixed-device points."""
    for model, data, batch, (name, (channels, triple, dataflow)) in product(
        MODELS, DATA_SETS, BATCHES, DESIGNS.items()
    ):
        yield Point(f"{name} {model} {data} b{batch}", model, data, batch, channels, triple, dataflow)


def devices(model: str, batch: int) -> Iterator[Point]:
    """All devices of the published list."""
    for channels, triple in product((2, 4, 6, 8), processors("PROCESSORS", PROCESSORS)):
        yield Point(f"{model} sg b{batch} {channels} x {triple}", model, "sg", batch, channels, triple)


def problem(point: Point, evaluator: str) -> NmpProblem:
    """The point as the command line would build it."""
    prompt, generated = DATA_SETS[point.data_set]
    given = {
        "model-type": point.model,
        "max-batch-size": point.batch,
        "input-seq-len": prompt,
        "max-gen-len": generated,
        "nmp-channel-num-space": point.channels,
        "fpu-pe-bw-space": f"({','.join(map(str, point.processor))})",
        "input-buffer-size-space": 32,
        "weight-buffer-size-space": 32,
        "output-buffer-total-size-space": 64,
        "is-dataflow-fixed": point.dataflow,
        "evaluator": evaluator,
    }
    return build(read_settings({name: ("tests/grid.py", str(value)) for name, value in given.items()}))


def solve(point: Point, evaluator: str) -> Solved:
    """Prove one point."""
    p = problem(point, evaluator)
    begin = time.process_time()
    assert isinstance(p.space, NmpSpace)
    batch = p.space.decode(p.space.bounds[None, :, 0])
    proof = prove(p.space, p.evaluator, hardware_of(batch, 0), "latency_s")
    gap = proof.value / proof.lower_bound - 1 if proof.lower_bound else np.inf
    return Solved(point, gap, time.process_time() - begin)


def report(title: str, points: Iterator[Point], evaluator: str) -> None:
    """One line for the set, and one for every point that misses a goal."""
    solved = []
    for point in points:
        solved.append(one := solve(point, evaluator))
        if one.gap > GOAL_GAP or one.cpu_s > GOAL_S:
            print(f"    {one.point.name:<44} gap {one.gap:9.2%}  {one.cpu_s:6.1f} CPU-s", flush=True)
    gaps, seconds = np.array([s.gap for s in solved]), np.array([s.cpu_s for s in solved])
    missed = int(((gaps > GOAL_GAP) | (seconds > GOAL_S)).sum())
    print(
        f"{evaluator:<9} {title:<26} {len(solved):>4} points: gap <= 0.1 % on {int((gaps <= GOAL_GAP).sum())}, "
        f"worst {gaps.max():.2%}; median {np.median(seconds):.2f}, worst {seconds.max():.1f}, "
        f"all {seconds.sum():.0f} CPU-s; {missed} miss a goal",
        flush=True,
    )


def main(evaluators: list[str]) -> None:
    """Both evaluators, or those named."""
    for evaluator in evaluators or ["roofline", "buffered"]:
        report("published fixed devices", published(), evaluator)
        for model in MODELS:
            report(f"64 devices, {model} sg b4", devices(model, 4), evaluator)


if __name__ == "__main__":
    main(sys.argv[1:])
