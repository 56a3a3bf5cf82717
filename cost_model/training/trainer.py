"""The one training loop, and a whole training: from a recipe and results to a checkpoint."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cost_model.surrogates.lm.backbones.base_models import Base
from cost_model.training.checkpoint import Checkpoint, Learned, save
from cost_model.training.learner import Learner
from cost_model.training.models import MODELS
from cost_model.training.recipe import TrainingRecipe
from cost_model.training.state import State
from cost_model.views.plain import PlainView
from design.contracts import Dataset

MODEL, STATE = "model.safetensors", "training.safetensors"
Say = Callable[[str], None]


def run(recipe: TrainingRecipe, learner: Learner, save: Callable[[], None], say: Say = lambda line: None) -> None:
    """Advance a learner from where it stands to its end, and give it back its best weights. Every check is saved, and
    one line."""
    began = time.process_time()
    while learner.step < learner.last and (learner.step - learner.at) // recipe.check < recipe.patience:
        learner.advance()
        if learner.step % recipe.check and learner.step != learner.last:
            continue
        score = learner.score()
        if score is None:
            learner.at = learner.step  # nothing to be patient about
        else:
            learner.scores.append((learner.step, score))
            if score < learner.best:
                learner.best, learner.at = score, learner.step
                learner.weights = {name: tensor.detach().clone() for name, tensor in learner.scored.kept().items()}
        save()
        shown = "" if score is None or math.isnan(score) else f", RMSE(y) of held-back families {score:.3f}"
        spent = f"{time.process_time() - began:.0f} CPU-s"
        say(f"{learner.name}step {learner.step}/{learner.last}: {learner.loss()}{shown}, {spent}")
    if learner.weights:
        learner.scored.bring(learner.weights)


def train(
    recipe: TrainingRecipe,
    tables: Sequence[Dataset],
    corpus: str,
    view: PlainView,
    folder: Path | None = None,
    base: Base | None = None,
    resume: bool = False,
    say: Say = lambda line: None,
) -> Checkpoint[Any, Any]:
    """A model of some results, whose hash is `corpus`. With a `folder` it is left there as MODEL, and beside it what
    `resume` goes on from. Raises InputError where nothing is left to learn from or to hold back and for the state of
    another run, OSError where files cannot be written."""
    kind, found = MODELS[recipe.model], list[Learner]()
    about = {"recipe": recipe.model_dump(mode="json"), "corpus": corpus, "base": "" if base is None else base.digest}
    state = State(None if folder is None else folder / STATE, about, resume)
    for number, make in enumerate(kind.learners(recipe, tables, view, base)):
        found.append(learner := make())
        state.restore(number, learner)
        run(recipe, learner, lambda: state.save(number, learner), say)  # noqa: B023 - called before the next
    families, digests = ({getattr(table.task, name) for table in tables} for name in ("family", "digest"))
    learned = Learned(tuple(sorted(families)), tuple(sorted(digests)), corpus)
    facts = [facts_of(learner) for learner in found]
    whole = facts[0] if len(facts) == 1 else {"members": facts}
    return save(None if folder is None else folder / MODEL, recipe, kind.together(found), learned, whole)


def facts_of(learner: Learner) -> dict[str, Any]:
    """Of a training that is over: its steps, which one was kept, and its scores; null is what nothing was known of."""
    scores = [[step, None if math.isnan(score) else score] for step, score in learner.scores]
    kept = (learner.at, learner.best) if learner.weights else (learner.step, None)
    return {"steps": learner.step, "best_step": kept[0], "validation": kept[1], "scores": scores}
