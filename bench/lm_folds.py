"""How well the language model knows kernels of families that it has not seen, beside the estimate, with its own
intervals and with those of a prior:

    python -m bench.lm_folds --data hlsyn.tar.gz --out FOLDER [--recipe FILE]

The families are cut in parts; those of each part are judged by a model that learned from all others, which is kept in
FOLDER and not trained again: `parts` of a training with prior_parts has them already. Training takes about 10 CPU
minutes a part. Priors are of other families than is judged.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from bench import parser_of
from bench.transformer_h_folds import row
from cost_model.corpus.hls.records import gather
from cost_model.corpus.label_draws import why_skipped
from cost_model.hls.estimate import EstimateSurrogate
from cost_model.surrogates.conformal.surrogate import ConformalSurrogate, who
from cost_model.surrogates.lm.recipe import Recipe
from cost_model.surrogates.lm.surrogate import LmSurrogate
from cost_model.training.calibrate import COUNTS, calibration_examples, parts_of, prior_of, some
from cost_model.training.models import load, read_recipe
from cost_model.training.trainer import MODEL, train
from cost_model.views.hls.view import HlsView
from design.contracts import Dataset, Surrogate
from design.hls.task import hls_task_of
from design.metrics import RESOURCES
from evaluators.scoring.protocol import TaskScore, score_task

VIEW = HlsView()
FIGURES = ("rmse_y", "spearman", "median_ape", "within_10", "coverage_90", "width_90")


def trained(recipe: Recipe, tables: Sequence[Dataset], held: frozenset[str], folder: Path) -> LmSurrogate:
    """On all families but those held back; read where it is there already."""
    if (path := folder / MODEL).exists():
        found = load(path, recipe.model)
        if found.recipe != recipe or not held.isdisjoint(found.learned.families):
            raise SystemExit(f"{path} is of another run; use another folder")
        return LmSurrogate(found, VIEW)
    rest = [table for table in tables if table.task.family not in held]
    return LmSurrogate(train(recipe, rest, f"all but {', '.join(sorted(held))}", VIEW, folder), VIEW)


def main() -> None:
    """The command."""
    parser = parser_of("lm_folds", __doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--recipe", type=Path, default=Path("config/lm/tiny.json"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--parts", type=int, default=5)
    parser.add_argument("--only", type=int, nargs="*", help="train these parts, and judge nothing")
    parser.add_argument("--labels", type=int, nargs="*", default=list(COUNTS))
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    began = time.process_time()
    recipe, corpus = read_recipe(given.recipe), gather(given.data)
    recipe = recipe.model_copy(update={"validation": [], "prior_parts": 0})
    given.out.mkdir(parents=True, exist_ok=True)
    parts = parts_of(corpus.records, given.parts, given.seed)
    plain: dict[str, LmSurrogate] = {}
    for number, part in enumerate(parts):
        if given.only is None or number in given.only:
            model = trained(recipe, corpus.records, part, given.out / f"{number + 1}-of-{given.parts}")
            plain |= dict.fromkeys(part, model)
            print(f"{time.process_time() - began:.0f} CPU-s: without {', '.join(sorted(part))}", flush=True)
    if given.only is not None:
        return
    tables = [some(record) for record in corpus.records if not why_skipped(record, COUNTS)]
    examples = [
        calibration_examples(plain[table.task.family], table, VIEW, COUNTS, given.seed, normalised=True)
        for table in tables
    ]
    found: dict[tuple[str, int, str], list[TaskScore]] = {}
    for table in tables:
        task = hls_task_of(table)
        model = plain[task.family]
        rivals: dict[str, Surrogate] = {"lm": model, "estimate": EstimateSurrogate()}
        prior = prior_of(who(model, True), [one for one in examples if one.family != task.family])
        rivals["lm, conformal"] = ConformalSurrogate(model, VIEW, prior, normalised=True)
        for name, surrogate in rivals.items():
            for count in given.labels:
                score = score_task(surrogate, table, count, given.seed)
                found.setdefault((task.target.tool, count, name), []).append(score)
    heads = "  ".join(f"{name[:6]:>6}" for name in (*FIGURES, *RESOURCES, "valid"))
    print(f"{'':42}{heads}")
    for (tool, count, name), scores in sorted(found.items()):
        print(f"{tool} {count:3d} labels {name:14} {len(scores):3d} kernels  {row(scores, FIGURES)}")
    print(f"{time.process_time() - began:.0f} CPU-s")


if __name__ == "__main__":
    main()
