"""Execution type `train`: a numeric language model from results of tools, by one recipe.

Leaves `model.safetensors`, the data card and the scores of validation in the run's directory. Any interruption costs
the steps since the last check; `--resume` goes on from there.
"""

from __future__ import annotations

import json
import math
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from design.errors import InputError
from dse.options import Settings
from dse.records.directory import write_whole

if TYPE_CHECKING:
    from cost_model.corpus.hls.records import Corpus
    from cost_model.surrogates.lm.backbones.base_models import Base
    from cost_model.surrogates.lm.recipe import Recipe

MODEL, STATE, CARD, FACTS = "model.safetensors", "training.safetensors", "data-card.txt", "training.json"


def train_as(settings: Settings, out: Path) -> int:
    """Trains as the settings say. Returns an exit code. Raises InputError for an unusable recipe, base, data set,
    file of bought labels or directory, and where nothing is left to learn from."""
    from cost_model.corpus.hls.acquired import read_augmentation
    from cost_model.corpus.hls.card import data_card
    from cost_model.corpus.hls.merge import with_bought
    from cost_model.corpus.hls.records import forbidden_of, gather, refuse
    from cost_model.surrogates.lm.backbones.base_models import base_of
    from cost_model.surrogates.lm.recipe import read_recipe

    if settings["data"] is None:
        raise InputError("--data", "is missing", "a folder or .tar.gz with sources/ and designs/TOOL/")
    recipe = read_recipe(Path(settings["recipe"]))
    base = base_of(recipe.backbone, settings["base-model"])
    corpus = gather(Path(settings["data"]))
    if settings["augmentation"]:
        corpus = with_bought(corpus, [read_augmentation(Path(name)) for name in settings["augmentation"]])
        refuse(corpus, forbidden_of(Path(settings["data"]), corpus.split))
    families = {record.task.family for record in corpus.records}
    if odd := sorted(set(recipe.validation) - families):
        raise InputError(f"{settings['recipe']}, validation", f"names {odd[0]}", f"families of {settings['data']}")
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_whole(out / CARD, data_card(corpus))
        return _train(recipe, base, corpus, out, settings["resume"], settings["quiet"])
    except OSError as error:
        found = f"cannot be written ({error.strerror})"
        raise InputError(str(error.filename or out), found, "a writable directory") from None


def _train(recipe: Recipe, base: Base | None, corpus: Corpus, out: Path, resume: bool, quiet: bool) -> int:
    from cost_model.surrogates.lm.checkpoint import Learned, save
    from cost_model.surrogates.lm.examples import examples_of
    from cost_model.surrogates.lm.training import Trainer, lessons_of
    from cost_model.surrogates.lm.training_state import Progress, load_state, save_state
    from cost_model.surrogates.lm.validation import score
    from cost_model.views.hls.view import HlsView

    codec = recipe.make_codec()
    view = HlsView()
    held = [examples_of(record, view, recipe) for record in corpus.records if record.task.family in recipe.validation]
    lessons = lessons_of([r for r in corpus.records if r.task.family not in recipe.validation], view, recipe)
    if not lessons:
        raise InputError("--data", "has no kernel with cycles beside those of validation", "more results")
    trainer, progress, began = Trainer(recipe, lessons, base), Progress(), time.process_time()
    if resume and (out / STATE).exists():
        progress = load_state(out / STATE, recipe, corpus.digest, trainer)
    while trainer.step < trainer.last and progress.stale(recipe.check, trainer.step) < recipe.patience:
        trainer.advance()
        learning = trainer.step > recipe.number_steps
        if trainer.step % recipe.check and trainer.step != trainer.last:
            continue
        if learning and held:
            found = score(trainer.model, codec, held)
            progress.scores.append((trainer.step, found))
            if found < progress.best:
                weights = {name: tensor.clone() for name, tensor in trainer.model.kept().items()}
                progress.best, progress.at, progress.weights = found, trainer.step, weights
        else:
            progress.at = trainer.step  # nothing to be patient about
        save_state(out / STATE, recipe, corpus.digest, trainer, progress)
        if not quiet:
            _say(trainer.step, trainer.last, float(trainer.losses[0]), progress.scores[-1:], began)
    if progress.weights:
        trainer.model.bring(progress.weights)
    learned = Learned(
        tuple(sorted({each.examples.family for each in lessons} | set(recipe.validation))),
        tuple(sorted({record.task.digest for record in corpus.records})),
        corpus.digest,
    )
    best = None if math.isinf(progress.best) else progress.best
    facts = {"steps": trainer.step, "best_step": progress.at if best is not None else trainer.step, "validation": best}
    made = save(out / MODEL, recipe, trainer.model, learned, facts)
    scores = {"scores": progress.scores, "recipe": recipe.model_dump(mode="json"), "weights": made.digest}
    write_whole(out / FACTS, json.dumps(facts | scores, indent=1) + "\n")
    if not quiet:
        print(f"The model is in {out / MODEL}, the card of its data in {out / CARD}")
    return 0


def _say(step: int, last: int, loss: float, scores: list[tuple[int, float]], began: float) -> None:
    said = "" if not scores or math.isnan(scores[0][1]) else f", RMSE(y) of held-back families {scores[0][1]:.3f}"
    spent = f"{time.process_time() - began:.0f} CPU-s"
    print(f"step {step}/{last}: cycles {loss:.2f} nats a number{said}, {spent}", file=sys.stderr, flush=True)
