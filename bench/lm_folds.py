"""How well the language model knows kernels of families that it has not seen, beside the estimate, and the prior of its
intervals:

    python -m bench.lm_folds --data hlsyn.tar.gz --out FOLDER [--recipe FILE] [--prior FILE]

The families are cut in parts; those of each part are judged by a model that learned from all others, which is kept in
FOLDER and not trained again. Training takes about 10 CPU minutes a part. Priors are of other families than is judged.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from cost_model.surrogates.predictor import Predictor

from bench.transformer_h_folds import RESOURCES, row
from cost_model.corpus.hls.records import Corpus, gather
from cost_model.corpus.label_draws import answered_rows, why_skipped
from cost_model.hls.estimate import EstimatePredictor
from cost_model.hls.store import Fitted, read_fitted
from cost_model.surrogates.conformal.fit_prior import COUNTS, Lesson, prior_of
from cost_model.surrogates.conformal.fit_prior import lesson as taught_by
from cost_model.surrogates.conformal.store import write_prior
from cost_model.surrogates.conformal.surrogate import ConformalPredictor, who
from cost_model.surrogates.lm.checkpoint import Checkpoint, Learned, load, save
from cost_model.surrogates.lm.recipe import Recipe, read_recipe
from cost_model.surrogates.lm.surrogate import LmPredictor
from cost_model.surrogates.lm.training import Trainer, lessons_of
from design.hls.design import TARGETS
from evaluators.scoring.protocol import KernelScore, score_kernel
from frontends.hls_results.tables import KernelTable

MOST = 150  # designs of a kernel that are judged
FIGURES = ("rmse_y", "spearman", "median_ape", "within_10", "coverage_90", "width_90")


def parts_of(corpus: Corpus, parts: int, seed: int) -> list[frozenset[str]]:
    """The families, dealt out at random."""
    families = sorted({record.family for record in corpus.records})
    order = np.random.default_rng(seed).permutation(len(families))
    return [frozenset(families[place] for place in order[part::parts]) for part in range(parts)]


def trained(recipe: Recipe, corpus: Corpus, held: frozenset[str], fitted: dict[str, Fitted], path: Path) -> Checkpoint:
    """On all families but those held back; read where it is there already."""
    if path.exists():
        found = load(path)
        assert found.recipe == recipe and held.isdisjoint(found.learned.families), f"{path} is of another run"
        return found
    records = [record for record in corpus.records if record.family not in held]
    trainer = Trainer(recipe, lessons_of(records, fitted, recipe))
    while trainer.step < trainer.last:
        trainer.advance()
    learned = Learned(tuple(sorted({r.family for r in records})), tuple(sorted({r.digest for r in records})))
    return save(path, recipe, trainer.model, learned, {})


def some(table: KernelTable) -> KernelTable:
    """At most MOST designs, with cycles or without in the proportion of the table."""
    if len(answered_rows(table)) <= MOST:
        return table
    share = MOST / len(answered_rows(table))
    rows = np.random.default_rng(0).permutation(len(table))[: round(share * len(table))]
    return table.take(np.sort(rows))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.lm_folds")
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
    fitted = {tool: read_fitted(tool) for tool in TARGETS}
    given.out.mkdir(parents=True, exist_ok=True)
    parts = parts_of(corpus, given.parts, given.seed)
    models: dict[str, Checkpoint] = {}
    for number, part in enumerate(parts):
        if given.only is None or number in given.only:
            checkpoint = trained(
                recipe, corpus, part, fitted, given.out / f"part-{number}-of-{given.parts}.safetensors"
            )
            models |= dict.fromkeys(part, checkpoint)
            print(f"{time.process_time() - began:.0f} CPU-s: without {', '.join(sorted(part))}", flush=True)
    if given.only is not None:
        return
    tables = [some(record.table) for record in corpus.records if not why_skipped(record.table, COUNTS)]
    plain = {family: LmPredictor(checkpoint, fitted) for family, checkpoint in models.items()}
    lessons: list[Lesson] = []
    if given.prior is not None:
        lessons = [taught_by(plain[table.family], table, COUNTS, given.seed, normalised=True) for table in tables]
        whole = prior_of(who(next(iter(plain.values())), True), lessons)
        # Without labels the model's own intervals stand: whether a tool reports 0 is beyond any one factor of counts.
        labelled = {count: shapes for count, shapes in whole.shapes.items() if count}
        write_prior(replace(whole, shapes=labelled), given.prior)
        print(f"{time.process_time() - began:.0f} CPU-s: the prior is in {given.prior}", flush=True)
    found: dict[tuple[str, int, str], list[KernelScore]] = {}
    for table in tables:
        rivals: dict[str, Predictor] = {"lm": plain[table.family], "estimate": EstimatePredictor(fitted)}
        if lessons:
            prior = prior_of(who(plain[table.family], True), [one for one in lessons if one.family != table.family])
            rivals["lm, conformal"] = ConformalPredictor(plain[table.family], prior, normalised=True)
        for name, predictor in rivals.items():
            for count in given.labels:
                score = score_kernel(predictor, table, count, given.seed)
                found.setdefault((table.target.tool, count, name), []).append(score)
    heads = "  ".join(f"{name[:6]:>6}" for name in (*FIGURES, *RESOURCES, "valid"))
    print(f"{'':42}{heads}")
    for (tool, count, name), scores in sorted(found.items()):
        print(f"{tool} {count:3d} labels {name:14} {len(scores):3d} kernels  {row(scores, FIGURES)}")
    print(f"{time.process_time() - began:.0f} CPU-s")


if __name__ == "__main__":
    main()
