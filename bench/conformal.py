"""How wide 90 % intervals are and what they hold, on families that neither surrogate nor prior has seen.

    python -m bench.conformal --data FOLDER [--surrogates extra-trees+nest,boosting+nest,estimate]

Families are left out one by one, in both tool versions at once; the test families of config/hls/split.json are not
read. Of each surrogate it prints what its own intervals hold, what labels alone give, and what labels and prior give.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bench import parser_of
from cost_model.corpus.label_draws import why_skipped
from cost_model.corpus.leaks import apart
from cost_model.corpus.split import read_split
from cost_model.hls.estimate import EstimateSurrogate
from cost_model.surrogates.conformal.surrogate import ConformalSurrogate
from cost_model.surrogates.tables.transfer import baselines
from cost_model.training.calibrate import COUNTS, CalibrationExamples, calibration_examples, prior_of
from cost_model.views.hls.view import HlsView
from design.contracts import Dataset, Evaluator, Surrogate, Task
from design.core import key_bytes
from design.hls.design import TARGETS
from design.hls.task import family_of, hls_task_of
from design.metrics import HLS_METRICS
from evaluators.scoring.protocol import TaskScore, score_task
from frontends.hls_results.tables import read_results, result_names

SEED, VIEW = 0, HlsView()


class Once:
    """A surrogate that fits what it is asked a second time only once."""

    def __init__(self, inner: Surrogate) -> None:
        self._inner, self._known = inner, dict[object, Evaluator]()
        self.name, self.version, self.trained_on = inner.name, inner.version, inner.trained_on

    def condition(self, task: Task, labels: Dataset | None, *, seed: int) -> Evaluator:
        """See `Surrogate`."""
        told = () if labels is None else tuple(key_bytes(labels.batch.schema.key(labels.batch)))
        key = task.digest, task.schema.context, told, seed
        if key not in self._known:
            self._known[key] = self._inner.condition(task, labels, seed=seed)
        return self._known[key]


def maker(name: str) -> Callable[[list[Dataset]], Surrogate]:
    """What fits the surrogate on tables."""
    if name == "estimate":
        return lambda tables: EstimateSurrogate()  # knows the constants without each family
    return lambda tables: baselines(tables, [], VIEW, SEED, names=[name])[0]


def measure(name: str, tables: list[Dataset]) -> None:
    """Prints the rows of a surrogate."""
    began, refit = time.process_time(), maker(name)
    examples: dict[str, list[CalibrationExamples]] = {}
    surrogates: dict[str, Surrogate] = {}
    for family in sorted({table.task.family for table in tables}):
        judged = [table for table in tables if table.task.family == family]
        one = surrogates[family] = Once(refit(apart(tables, judged)))
        examples[family] = [calibration_examples(one, table, VIEW, COUNTS, SEED) for table in judged]
    ways: dict[str, Callable[[str], Surrogate]] = {
        "its own": lambda family: surrogates[family],
        "labels": lambda family: ConformalSurrogate(surrogates[family], VIEW),
        "labels and prior": lambda family: ConformalSurrogate(
            surrogates[family],
            VIEW,
            prior_of(name, [one for other, kept in examples.items() if other != family for one in kept]),
        ),
    }
    for way, made in ways.items():
        layered = {family: made(family) for family in surrogates}
        for tool in TARGETS:
            for count in COUNTS:
                asked = [table for table in tables if hls_task_of(table).target.tool == tool]
                scores = [score_task(layered[table.task.family], table, count, SEED) for table in asked]
                _print(f"{name}, {way}", tool, count, scores)
    print(f"{time.process_time() - began:.0f} CPU-s", flush=True)


def _print(who: str, tool: str, count: int, scores: list[TaskScore]) -> None:
    cells = []
    for metric in HLS_METRICS:
        blocks = [score.blocks[metric] for score in scores]
        held, wide = ([v for b in blocks if (v := b[field]) is not None] for field in ("coverage_90", "width_90"))
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
    parser = parser_of("conformal", __doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--surrogates", "--predictors", default="extra-trees+nest,boosting+nest,estimate")
    given = parser.parse_args()
    tests, tables = read_split().families, []
    for tool, names in result_names(given.data).items():
        kept = [name for name in names if family_of(name) not in tests]
        tables += [t for t in read_results(given.data, tool, kept) if not why_skipped(t, COUNTS)]
    print(f"{len(tables)} tables of {len({t.task.family for t in tables})} families")
    print("metric: mean over kernels of what intervals hold (least, a tenth of kernels below), width mean and median")
    for name in given.surrogates.split(","):
        measure(name, tables)


if __name__ == "__main__":
    main()
