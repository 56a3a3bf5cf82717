"""How wide 90 % intervals are and what they hold, on families that neither predictor nor prior has seen.

    python -m bench.conformal --data FOLDER [--predictors extra-trees+nest,boosting+nest,estimate]

Families are left out one by one, in both tool versions at once; the test families of config/hls/split.json are not
read. Of each predictor it prints what its own intervals hold, what labels alone give, and what labels and prior give.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from cost_model.surrogates.predictor import METRICS, Labelled, Predictor

from cost_model.corpus.label_draws import why_skipped
from cost_model.corpus.leaks import apart
from cost_model.corpus.split import read_split
from cost_model.hls.estimate import EstimatePredictor
from cost_model.surrogates.conformal.fit_prior import COUNTS, Lesson, lesson, prior_of
from cost_model.surrogates.conformal.surrogate import ConformalPredictor
from cost_model.surrogates.tables.transfer import baselines
from design.contracts import Evaluator
from design.core import key_bytes
from design.hls.design import TARGETS, Target
from design.hls.loop_nest import Kernel
from evaluators.scoring.protocol import KernelScore, score_kernel
from frontends.hls_results.tables import KernelTable, family_of, read_results, result_names

SEED = 0


class Once:
    """A predictor that fits what it is asked a second time only once."""

    def __init__(self, inner: Predictor) -> None:
        self._inner, self._known = inner, dict[object, Evaluator]()
        self.name, self.version, self.fitted_on = inner.name, inner.version, inner.fitted_on

    def fitted(self, kernel: Kernel, target: Target, labels: Labelled | None, seed: int) -> Evaluator:
        """See `Predictor`."""
        told = () if labels is None else tuple(key_bytes(labels.batch.schema.key(labels.batch)))
        key = kernel.digest, target.tool, told, seed
        if key not in self._known:
            self._known[key] = self._inner.fitted(kernel, target, labels, seed)
        return self._known[key]


def maker(name: str) -> Callable[[list[KernelTable]], Predictor]:
    """What fits the predictor on tables."""
    if name == "estimate":
        return lambda tables: EstimatePredictor()  # knows the constants without each family
    return lambda tables: baselines(tables, [], SEED, names=[name])[0]


def measure(name: str, tables: list[KernelTable]) -> None:
    """Prints the rows of a predictor."""
    began, refit = time.process_time(), maker(name)
    lessons: dict[str, list[Lesson]] = {}
    predictors: dict[str, Predictor] = {}
    for family in sorted({table.family for table in tables}):
        judged = [table for table in tables if table.family == family]
        predictors[family] = Once(refit(apart(tables, judged)))
        lessons[family] = [lesson(predictors[family], table, COUNTS, SEED) for table in judged]
    ways: dict[str, Callable[[str], Predictor]] = {
        "its own": lambda family: predictors[family],
        "labels": lambda family: ConformalPredictor(predictors[family]),
        "labels and prior": lambda family: ConformalPredictor(
            predictors[family],
            prior_of(name, [one for other, kept in lessons.items() if other != family for one in kept]),
        ),
    }
    for way, made in ways.items():
        layered = {family: made(family) for family in predictors}
        for tool in TARGETS:
            for count in COUNTS:
                scores = [score_kernel(layered[t.family], t, count, SEED) for t in tables if t.target.tool == tool]
                _print(f"{name}, {way}", tool, count, scores)
    print(f"{time.process_time() - began:.0f} CPU-s", flush=True)


def _print(who: str, tool: str, count: int, scores: list[KernelScore]) -> None:
    cells = []
    for metric in METRICS:
        blocks = [score.blocks[metric] for score in scores]
        held, wide = ([b[field] for b in blocks if b[field] is not None] for field in ("coverage_90", "width_90"))
        if not held:
            continue
        low, high = np.min(held), np.quantile(held, 0.1)
        cells.append(
            f"{metric} {np.mean(held):.3f} ({low:.2f}, {high:.2f}) {np.mean(wide):5.2f} {np.median(wide):5.2f}"
        )
    if cells:
        print(f"{who}, {tool}, {count} labels: {'; '.join(cells)}", flush=True)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.conformal", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--predictors", default="extra-trees+nest,boosting+nest,estimate")
    given = parser.parse_args()
    tests, tables = read_split().families, []
    for tool, names in result_names(given.data).items():
        kept = [name for name in names if family_of(name) not in tests]
        tables += [t for t in read_results(given.data, tool, kept) if not why_skipped(t, COUNTS)]
    print(f"{len(tables)} tables of {len({t.family for t in tables})} families")
    print("metric: mean over kernels of what intervals hold (least, a tenth of kernels below), width mean and median")
    for name in given.predictors.split(","):
        measure(name, tables)


if __name__ == "__main__":
    main()
