"""Where the language model is worth more than the estimate: errors of both by the width of the model's intervals, on
families that the model has not seen, with and without labels:

    python -m bench.lm_gate --data hlsyn.tar.gz --models FOLDER

FOLDER has the models of `python -m bench.lm_folds`; missing ones are trained. Of cycles, in y: log2(1e7 / cycles) / 2;
a half-width of 1 is a factor of 4 on either side.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np

from bench import parser_of
from bench.lm_folds import VIEW, trained
from cost_model.corpus.hls.records import gather
from cost_model.corpus.label_draws import answered_rows, label_rows, why_skipped
from cost_model.hls.estimate import EstimateSurrogate
from cost_model.surrogates.conformal.store import read_prior
from cost_model.surrogates.conformal.surrogate import ConformalSurrogate
from cost_model.surrogates.lm.surrogate import LmSurrogate
from cost_model.training.calibrate import parts_of, some
from cost_model.training.models import read_recipe
from design.metrics import target as y_of

EDGES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, np.inf)


def main() -> None:
    """The command."""
    parser = parser_of("lm_gate", __doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--prior", type=Path, default=Path("config/lm/tiny.prior.json"))
    parser.add_argument("--parts", type=int, default=5)
    parser.add_argument("--labels", type=int, nargs="*", default=[0, 10, 20])
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    recipe, corpus = read_recipe(Path("config/lm/tiny.json")), gather(given.data)
    recipe = recipe.model_copy(update={"validation": [], "prior_parts": 0})
    estimate, prior = EstimateSurrogate(), read_prior(given.prior)
    models: dict[str, LmSurrogate] = {}
    for number, part in enumerate(parts_of(corpus.records, given.parts, given.seed)):
        folder = given.models / f"{number + 1}-of-{given.parts}"
        models |= dict.fromkeys(part, trained(recipe, corpus.records, part, folder))
    print("labels  half-width   designs   RMSE(y) model  estimate   in 90 %   tables where the model is better")
    for count in given.labels:
        rows = []
        for record in corpus.records:
            table = some(record)
            if why_skipped(table, given.labels):
                continue
            chosen = label_rows(table, count, given.seed)
            labels = table.take(chosen) if count else None
            rest = table.take(np.setdiff1d(answered_rows(table), chosen))
            model = ConformalSurrogate(models[table.task.family], VIEW, prior, normalised=True)
            known = [surrogate.condition(table.task, labels, seed=given.seed) for surrogate in (model, estimate)]
            ours, theirs = (evaluator.evaluate(rest.batch, seed=given.seed) for evaluator in known)
            truth, (low, high) = y_of("cycles", rest.metric("cycles")), y_of("cycles", ours.interval["cycles"]).T
            off = [y_of("cycles", answer.metrics["cycles"]) - truth for answer in (ours, theirs)]
            held = np.abs(truth - (low + high) / 2) <= np.abs(high - low) / 2 + 1e-9
            rows.append((table.task.family, np.abs(high - low) / 2, *off, held))
        for least, most in itertools.pairwise(EDGES):
            inside = [(family, *(v[(w >= least) & (w < most)] for v in rest)) for family, w, *rest in rows]
            inside = [row for row in inside if len(row[1])]
            if not inside:
                continue
            off_ours, off_theirs, kept = (np.concatenate([row[place] for row in inside]) for place in (1, 2, 3))
            better = sum(np.mean(row[1] ** 2) < np.mean(row[2] ** 2) for row in inside)
            print(
                f"{count:6d}  {least:4.2f}-{most:4.2f}  {len(off_ours):8d}   {np.sqrt(np.mean(off_ours**2)):13.3f}  "
                f"{np.sqrt(np.mean(off_theirs**2)):8.3f}   {kept.mean():7.1%}   {better} of {len(inside)}",
                flush=True,
            )


if __name__ == "__main__":
    main()
