"""How well the language model knows kernels of families that it has not seen, beside the estimate, and the prior of its
intervals:

    python -m bench.lm_folds --data hlsyn.tar.gz --out FOLDER [--recipe FILE] [--prior FILE]

The families are cut in parts; those of each part are judged by a model that learned from all others, which is kept in
FOLDER and not trained again. Training takes about 10 CPU minutes a part. Priors are of other families than is judged.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from cost_model.surrogates.lm.checkpoint import Checkpoint, Learned, load, save

from bench import parser_of
from bench.transformer_h_folds import row
from cost_model.corpus.hls.records import Corpus, gather
from cost_model.corpus.label_draws import answered_rows, why_skipped
from cost_model.hls.estimate import EstimateSurrogate
from cost_model.surrogates.conformal.store import write_prior
from cost_model.surrogates.conformal.surrogate import ConformalSurrogate, who
from cost_model.surrogates.lm.recipe import Recipe, read_recipe
from cost_model.surrogates.lm.surrogate import LmSurrogate
from cost_model.surrogates.lm.training import Trainer, lessons_of
from cost_model.training.calibrate import COUNTS, CalibrationExamples, calibration_examples, prior_of
from cost_model.views.hls.view import HlsView
from design.contracts import Dataset, Surrogate
from design.hls.task import hls_task_of
from design.metrics import RESOURCES
from evaluators.scoring.protocol import TaskScore, score_task

VIEW = HlsView()
MOST = 150  # designs of a kernel that are judged
FIGURES = ("rmse_y", "spearman", "median_ape", "within_10", "coverage_90", "width_90")


def parts_of(corpus: Corpus, parts: int, seed: int) -> list[frozenset[str]]:
    """The families, dealt out at random."""
    families = sorted({record.task.family for record in corpus.records})
    order = np.random.default_rng(seed).permutation(len(families))
    return [frozenset(families[place] for place in order[part::parts]) for part in range(parts)]


def trained(recipe: Recipe, corpus: Corpus, held: frozenset[str], path: Path) -> Checkpoint:
    """On all families but those held back; read where it is there already."""
    if path.exists():
        found = load(path)
        assert found.recipe == recipe and held.isdisjoint(found.learned.families), f"{path} is of another run"
        return found
    records = [record for record in corpus.records if record.task.family not in held]
    trainer = Trainer(recipe, lessons_of(records, VIEW, recipe))
    while trainer.step < trainer.last:
        trainer.advance()
    tasks = [record.task for record in records]
    learned = Learned(tuple(sorted({t.family for t in tasks})), tuple(sorted({t.digest for t in tasks})))
    return save(path, recipe, trainer.model, learned, {})


def some(table: Dataset) -> Dataset:
    """At most MOST designs, with cycles or without in the proportion of the table."""
    if len(answered_rows(table)) <= MOST:
        return table
    share = MOST / len(answered_rows(table))
    rows = np.random.default_rng(0).permutation(len(table))[: round(share * len(table))]
    return table.take(np.sort(rows))


def main() -> None:
    """The command."""
    parser = parser_of("lm_folds", __doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--recipe", type=Path, default=Path("config/lm/tiny.json"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--parts", type=int, default=5)
    parser.add_argument("--only", type=int, nargs="*", help="train these parts, and judge nothing")
    parser.add_argument("--labels", type=int, nargs="*", default=list(COUNTS))
    parser.add_argument("--prior", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    began = time.process_time()
    recipe, corpus = read_recipe(given.recipe), gather(given.data)
    given.out.mkdir(parents=True, exist_ok=True)
    parts = parts_of(corpus, given.parts, given.seed)
    models: dict[str, Checkpoint] = {}
    for number, part in enumerate(parts):
        if given.only is None or number in given.only:
            checkpoint = trained(recipe, corpus, part, given.out / f"part-{number}-of-{given.parts}.safetensors")
            models |= dict.fromkeys(part, checkpoint)
            print(f"{time.process_time() - began:.0f} CPU-s: without {', '.join(sorted(part))}", flush=True)
    if given.only is not None:
        return
    tables = [some(record) for record in corpus.records if not why_skipped(record, COUNTS)]
    plain = {family: LmSurrogate(checkpoint, VIEW) for family, checkpoint in models.items()}
    examples: list[CalibrationExamples] = []
    if given.prior is not None:
        examples = [
            calibration_examples(plain[table.task.family], table, VIEW, COUNTS, given.seed, normalised=True)
            for table in tables
        ]
        whole = prior_of(who(next(iter(plain.values())), True), examples)
        # Without labels the model's own intervals stand: whether a tool reports 0 is beyond any one factor of counts.
        labelled = {count: shapes for count, shapes in whole.shapes.items() if count}
        write_prior(replace(whole, shapes=labelled), given.prior)
        print(f"{time.process_time() - began:.0f} CPU-s: the prior is in {given.prior}", flush=True)
    found: dict[tuple[str, int, str], list[TaskScore]] = {}
    for table in tables:
        task = hls_task_of(table)
        model = plain[task.family]
        rivals: dict[str, Surrogate] = {"lm": model, "estimate": EstimateSurrogate()}
        if examples:
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
