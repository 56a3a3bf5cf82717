"""How well Transformer-H knows kernels of families that it has not seen, beside the estimate and table models:

python -m bench.transformer_h_folds --data hlsyn.tar.gz

The families are cut in parts; those of each part are judged by models that learned from all others. CPU seconds: about
600 for 5 parts of 4 members.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from cost_model.surrogates.predictor import FittedOn, Predictor

from cost_model.corpus.label_draws import why_skipped
from cost_model.hls.estimate import EstimatePredictor
from cost_model.surrogates.tables.models import TREES, fit
from cost_model.surrogates.tables.training import FEATURES, STARTS, training_rows
from cost_model.surrogates.tables.transfer import TablePredictor
from cost_model.surrogates.transformer_h.surrogate import TransformerHPredictor
from cost_model.surrogates.transformer_h.train import MEMBERS, read_tables, train_members
from cost_model.surrogates.transformer_h.training import Settings, folds_of
from cost_model.surrogates.transformer_h.training_examples import lessons_of
from evaluators.scoring.protocol import KernelScore, score_kernel
from frontends.hls_results.tables import KernelTable

LABELS = (0, 20)
FIGURES = ("rmse_y", "spearman", "median_ape")
RESOURCES = ("lut", "ff", "dsp", "bram")


def rivals(tables: Sequence[KernelTable], seed: int, members: int, steps: int) -> list[Predictor]:
    """The predictors that are compared, taught by some tables."""
    trained = train_members(lessons_of(tables), Settings(steps=steps), members, seed, progress=print)
    seen = FittedOn(frozenset(t.family for t in tables), frozenset(t.kernel.digest for t in tables))
    trees = fit(TREES, training_rows(FEATURES["nest"], tables), seed, STARTS["nest"])
    return [
        EstimatePredictor(),
        TablePredictor("extra-trees+nest", "nest", trees, seen),
        TransformerHPredictor(trained),
    ]


def row(scores: Sequence[KernelScore], figures: Sequence[str] = FIGURES) -> str:
    """Means over kernels: `figures` of cycles, RMSE(y) of resources, F1 of validity."""
    cycles = [np.mean([score.blocks["cycles"][name] or 0.0 for score in scores]) for name in figures]
    others = [np.mean([score.blocks[name]["rmse_y"] or 0.0 for score in scores]) for name in RESOURCES]
    valid = np.mean([score.blocks["valid"]["f1"] or 0.0 for score in scores])
    return "  ".join(f"{value:6.3f}" for value in (*cycles, *others, valid))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.transformer_h_folds")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--parts", type=int, default=5)
    parser.add_argument("--members", type=int, default=MEMBERS)
    parser.add_argument("--steps", type=int, default=Settings().steps)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    began = time.process_time()
    tables = read_tables(given.data)
    found: dict[tuple[str, int, str], list[KernelScore]] = {}
    for part in folds_of(lessons_of(tables), given.parts, given.seed):
        print(f"{time.process_time() - began:.0f} s: judged are {', '.join(part)}", flush=True)
        others = [table for table in tables if table.family not in part]
        for predictor in rivals(others, given.seed, given.members, given.steps):
            for table in tables:
                if table.family in part and not why_skipped(table, LABELS):
                    for count in LABELS:
                        key = (table.target.tool, count, predictor.name)
                        score = score_kernel(predictor, table, count, given.seed)
                        assert not score.seen
                        found.setdefault(key, []).append(score)
    heads = "  ".join(f"{name[:6]:>6}" for name in (*FIGURES, *RESOURCES, "valid"))
    for (tool, count, name), scores in sorted(found.items()):
        print(f"{tool} {count:3d} labels {name:18} {len(scores):3d} kernels  {row(scores)}")
    print(f"{'':45}{heads}; {time.process_time() - began:.0f} CPU seconds")


if __name__ == "__main__":
    main()
