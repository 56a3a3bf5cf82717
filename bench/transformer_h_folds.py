"""How well Transformer-H knows kernels of families that it has not seen, beside the estimate and table models:

    python -m bench.transformer_h_folds --data hlsyn.tar.gz

The families are cut in parts; those of each part are judged by models that learned from all others. CPU seconds: about
600 for 5 parts of 4 members.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from bench import parser_of
from cost_model.corpus.hls.records import gather
from cost_model.corpus.label_draws import why_skipped
from cost_model.hls.estimate import EstimateSurrogate
from cost_model.surrogates.tables.models import TREES, fit
from cost_model.surrogates.tables.training import FEATURES, start_of, training_rows
from cost_model.surrogates.tables.transfer import TransferSurrogate
from cost_model.surrogates.transformer_h.surrogate import TransformerHSurrogate
from cost_model.training.calibrate import parts_of
from cost_model.training.models import read_recipe
from cost_model.training.trainer import train
from cost_model.views.hls.view import HlsView
from design.contracts import Dataset, Surrogate, TrainingSet
from design.hls.task import hls_task_of
from design.metrics import HLS_METRICS, RESOURCES
from evaluators.scoring.protocol import TaskScore, score_task

LABELS = (0, 20)
FIGURES = ("rmse_y", "spearman", "median_ape")
VIEW = HlsView()
RECIPE = read_recipe(Path("config/transformer_h/recipe.json"))


def rivals(tables: Sequence[Dataset], seed: int, settings: Mapping[str, int]) -> list[Surrogate]:
    """The surrogates that are compared, taught by some tables."""
    trained = train(RECIPE.model_copy(update=settings), tables, "folds", VIEW, say=print)
    seen = TrainingSet(frozenset(t.task.family for t in tables), frozenset(t.task.digest for t in tables))
    trees = fit(TREES, training_rows(FEATURES["nest"], VIEW, tables), seed, start_of("nest", len(HLS_METRICS)))
    return [
        EstimateSurrogate(),
        TransferSurrogate("extra-trees+nest", "nest", trees, seen, VIEW),
        TransformerHSurrogate(trained, VIEW),
    ]


def row(scores: Sequence[TaskScore], figures: Sequence[str] = FIGURES) -> str:
    """Means over kernels: `figures` of cycles, RMSE(y) of resources, F1 of validity."""
    cycles = [np.mean([score.blocks["cycles"][name] or 0.0 for score in scores]) for name in figures]
    others = [np.mean([score.blocks[name]["rmse_y"] or 0.0 for score in scores]) for name in RESOURCES]
    valid = np.mean([score.blocks["valid"]["f1"] or 0.0 for score in scores])
    return "  ".join(f"{value:6.3f}" for value in (*cycles, *others, valid))


def main() -> None:
    """The command."""
    parser = parser_of("transformer_h_folds", __doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--parts", type=int, default=5)
    parser.add_argument("--members", type=int, default=RECIPE.members)
    parser.add_argument("--steps", type=int, default=RECIPE.steps)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    began = time.process_time()
    settings = {"members": given.members, "steps": given.steps, "seed": given.seed}
    tables = gather(given.data).records
    found: dict[tuple[str, int, str], list[TaskScore]] = {}
    for part in parts_of(tables, given.parts, given.seed):
        print(f"{time.process_time() - began:.0f} s: judged are {', '.join(part)}", flush=True)
        others = [table for table in tables if table.task.family not in part]
        for surrogate in rivals(others, given.seed, settings):
            for table in tables:
                if table.task.family in part and not why_skipped(table, LABELS):
                    for count in LABELS:
                        key = (hls_task_of(table).target.tool, count, surrogate.name)
                        score = score_task(surrogate, table, count, given.seed)
                        assert not score.seen
                        found.setdefault(key, []).append(score)
    heads = "  ".join(f"{name[:6]:>6}" for name in (*FIGURES, *RESOURCES, "valid"))
    for (tool, count, name), scores in sorted(found.items()):
        print(f"{tool} {count:3d} labels {name:18} {len(scores):3d} kernels  {row(scores)}")
    print(f"{'':45}{heads}; {time.process_time() - began:.0f} CPU seconds")


if __name__ == "__main__":
    main()
