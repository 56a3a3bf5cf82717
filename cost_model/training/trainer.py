"""The one training loop, and a whole training: from a recipe and results to a checkpoint."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cost_model.surrogates.lm.backbones.base_models import Base
from cost_model.training.checkpoint import Checkpoint, Learned, save
from cost_model.training.models import MODELS
from cost_model.training.recipe import TrainingRecipe
from cost_model.training.state import Learner, Progress, State
from cost_model.views.plain import PlainView
from design.contracts import Dataset

MODEL, STATE = "model.safetensors", "training.safetensors"
Say = Callable[[str], None]


def run(learner: Learner, state: State, number: int = 0, say: Say = lambda line: None) -> Progress:
    """Advance a learner from where `state` has it to its end, and give it back its best weights. Every check is saved
    and one line. Raises InputError for a damaged state, OSError where it cannot be written."""
    progress, began = state.restore(number, learner), time.process_time()
    while learner.step < learner.last and progress.stale(learner.check, learner.step) < learner.patience:
        learner.advance()
        if learner.step % learner.check and learner.step != learner.last:
            continue
        score = learner.score()
        if score is None:
            progress.at = learner.step  # nothing to be patient about
        else:
            progress.scores.append((learner.step, score))
            if score < progress.best:
                weights = {name: tensor.detach().clone() for name, tensor in learner.kept().items()}
                progress.best, progress.at, progress.weights = score, learner.step, weights
        state.save(number, learner, progress)
        shown = "" if score is None or math.isnan(score) else f", RMSE(y) of held-back families {score:.3f}"
        spent = f"{time.process_time() - began:.0f} CPU-s"
        say(f"{learner.name}step {learner.step}/{learner.last}: {learner.loss()}{shown}, {spent}")
    if progress.weights:
        learner.bring(progress.weights)
    return progress


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
    state, facts = State(None if folder is None else folder / STATE, about, resume), list[dict[str, Any]]()
    for number, make in enumerate(kind.learners(recipe, tables, view, base)):
        learner = make()
        progress = run(learner, state, number, say)
        scored = math.isfinite(progress.best)
        facts.append(
            {
                "steps": learner.step,
                "best_step": progress.at if scored else learner.step,
                "validation": progress.best if scored else None,
                "scores": [[step, None if math.isnan(score) else score] for step, score in progress.scores],
            }
        )
        found.append(learner)
    families, digests = ({getattr(table.task, name) for table in tables} for name in ("family", "digest"))
    learned = Learned(tuple(sorted(families)), tuple(sorted(digests)), corpus)
    told = facts[0] if len(facts) == 1 else {"members": facts}
    return save(None if folder is None else folder / MODEL, recipe, kind.together(found), learned, told)
