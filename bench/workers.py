"""What worker processes bring, and for which evaluators. Wall seconds, ratios in one run:

    python -m bench.workers

The point of comparison is that of `bench/speeds.py`. "In process" is one search in this process; "shipped" sends every
piece of it to worker processes; "islands" are searches side by side that never meet, the most that islands can bring.
"""

from __future__ import annotations

import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from bench import parser_of
from bench.speeds import machine, settings
from design.contracts import AtOnce, Evaluator
from design.core import Batch, Evaluation
from dse.records.store import Store
from dse.search.engine import Effort, make_search
from dse.search.explore import explore
from dse.studies.nmp.problem import NmpProblem, build
from evaluators.execution.batching import Pace
from evaluators.execution.fault_tolerant import Guarded
from evaluators.execution.ray_workers import RayWorkers

ROW_S = 0.02  # what a row of the dear evaluator costs
WORKERS = 2
SHORT = (100, 5)  # population, generations
CHEAP = ((100, 100), (500, 40), (2_500, 10), (10_000, 4))


class Dear(AtOnce):
    """An evaluator that keeps a processor busy for `ROW_S` a row."""

    def __init__(self, inner: Evaluator) -> None:
        self._inner, self.name, self.version = inner, inner.name, inner.version
        self.metrics, self.fidelity = inner.metrics, inner.fidelity

    def evaluate(self, batch: Batch, *, seed: int) -> Evaluation:
        """See `Evaluator`."""
        end = time.thread_time() + ROW_S * len(batch)
        while time.thread_time() < end:
            pass
        return self._inner.evaluate(batch, seed=seed)


class Shipped(Pace):
    """Everything to the workers, from the start."""

    def __init__(self) -> None:
        super().__init__(WORKERS, None, None)


def rate(problem: NmpProblem, evaluator: Evaluator, population: int, generations: int, seed: int = 1) -> float:
    """Candidates a wall second of a whole run with its store."""
    search = make_search(problem.space, Effort(population, 50, 1.0, seed), "ga", 1, 10**9)
    with tempfile.TemporaryDirectory() as folder:
        store = Store.create(Path(folder) / "run.sqlite", {})
        begin = time.monotonic()
        archive, _ = explore(search, evaluator, problem.objectives, generations, seed, store)
        seconds = time.monotonic() - begin
        store.close()
    return archive.candidates / seconds


def island(population: int, generations: int, seed: int) -> tuple[float, float, int]:
    """Begin, end and candidates of one of several searches side by side."""
    problem = build(settings())
    rate(problem, Guarded(problem.evaluator), population, 1)  # imports are not what is measured
    begin = time.monotonic()
    rate(problem, Guarded(problem.evaluator), population, generations, seed)
    return begin, time.monotonic(), population * generations


def islands(population: int, generations: int) -> float:
    """Candidates a second of `WORKERS` islands together, while all of them run."""
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
        done = list(pool.map(island, [population] * WORKERS, [generations] * WORKERS, range(WORKERS)))
    return sum(count / (end - begin) for begin, end, count in done)


def main() -> None:
    """Print the tables."""
    parser_of("workers", __doc__).parse_args()
    print(machine())
    problem = build(settings())
    dear = Dear(problem.evaluator)
    alone = rate(problem, Guarded(dear), *SHORT)
    begin = time.monotonic()
    with Guarded(dear, workers=lambda: RayWorkers(dear, WORKERS), pace=Shipped()) as guarded:
        guarded.evaluate(problem.space.decode(problem.space.starts()[:WORKERS]), seed=1)
        start_s = time.monotonic() - begin
        pooled = rate(problem, guarded, *SHORT)
    print(f"an evaluator of {ROW_S * 1e3:g} ms a row, generations of {SHORT[0]}")
    print(f"  in process                  {alone:12,.1f} /s")
    print(f"  {WORKERS} workers                   {pooled:12,.1f} /s   efficiency {pooled / alone / WORKERS:.1%}")
    print(f"  start of the workers        {start_s:12.1f} s")
    cheap = problem.evaluator
    print(f"{'roofline, candidates a second':30}{'in process':>12}{'shipped':>12}{'offered':>12}{'islands':>12}")
    plain = [rate(problem, Guarded(cheap), *size) for size in CHEAP]
    # One pool at a time: together they are more workers than there are processors.
    with Guarded(cheap, workers=lambda: RayWorkers(cheap, WORKERS), pace=Shipped()) as guarded:
        guarded.evaluate(problem.space.decode(problem.space.starts()[:WORKERS]), seed=1)
        shipped = [rate(problem, guarded, *size) for size in CHEAP]
    with Guarded(cheap, workers=lambda: RayWorkers(cheap, WORKERS), pace=Pace(WORKERS, 100_000, 60.0)) as guarded:
        offered = [rate(problem, guarded, *size) for size in CHEAP]
    for (population, generations), *rates in zip(CHEAP, plain, shipped, offered, strict=True):
        rates.append(islands(population, generations))
        ratios = "".join(f"{value:12,.0f}" for value in rates)
        print(f"  generations of {population:<13,}{ratios}   {' '.join(f'{r / rates[0]:.2f}' for r in rates)}")


if __name__ == "__main__":
    main()
