"""Execution type `train`: a learned model from results of tools, by one recipe.

Leaves `model.safetensors`, the data card and the scores of validation in the run's directory, and where the recipe asks
for it the prior of the model's intervals. Any interruption costs the steps since the last check; `--resume` goes on
from there.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from cost_model.surrogates.checkpoints import prior_path
from cost_model.surrogates.conformal.store import write_prior
from design.errors import InputError
from dse.options import Settings
from dse.records.directory import write_whole

CARD, FACTS = "data-card.txt", "training.json"


def train_as(settings: Settings, out: Path) -> int:
    """Trains as the settings say. Returns an exit code. Raises InputError for an unusable recipe, base, data set,
    file of bought labels or directory, and where nothing is left to learn from."""
    from cost_model.corpus.hls.acquired import read_augmentation
    from cost_model.corpus.hls.card import data_card
    from cost_model.corpus.hls.merge import with_bought
    from cost_model.corpus.hls.records import forbidden_of, gather, refuse
    from cost_model.training.calibrate import parts_of, prior_by_training
    from cost_model.training.models import base_for, read_recipe
    from cost_model.training.trainer import MODEL, train
    from cost_model.views.hls.view import HlsView

    if settings["data"] is None:
        raise InputError("--data", "is missing", "a folder or .tar.gz with sources/ and designs/TOOL/")
    recipe = read_recipe(Path(settings["recipe"]))
    base = base_for(recipe, settings["base-model"])
    corpus = gather(Path(settings["data"]))
    if settings["augmentation"]:
        corpus = with_bought(corpus, [read_augmentation(Path(name)) for name in settings["augmentation"]])
        refuse(corpus, forbidden_of(Path(settings["data"]), corpus.split))
    families = {record.task.family for record in corpus.records}
    if odd := sorted(set(recipe.validation) - families):
        raise InputError(f"{settings['recipe']}, validation", f"names {odd[0]}", f"families of {settings['data']}")

    parts_of(corpus.records, recipe.prior_parts, recipe.seed)  # complains before hours of training

    def say(line: str) -> None:
        if not settings["quiet"]:
            print(line, file=sys.stderr, flush=True)

    given = (recipe, corpus.records, corpus.digest, HlsView(), out, base, settings["resume"], say)
    prior = prior_path(out / MODEL)
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_whole(out / CARD, data_card(corpus))
        made = train(*given)
        scores = {**made.facts, "recipe": recipe.model_dump(mode="json"), "weights": made.digest}
        write_whole(out / FACTS, json.dumps(scores, indent=1) + "\n")
        prior.unlink(missing_ok=True)  # of another model
        if recipe.prior_parts:
            write_prior(prior_by_training(*given), prior)
    except OSError as error:
        found = f"cannot be written ({error.strerror})"
        raise InputError(str(error.filename or out), found, "a writable directory") from None
    if not settings["quiet"]:
        beside = f", the prior of its intervals in {prior}" if recipe.prior_parts else ""
        print(f"The model is in {out / MODEL}, the card of its data in {out / CARD}{beside}")
    return 0
