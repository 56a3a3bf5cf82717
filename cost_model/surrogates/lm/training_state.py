"""Where a training stands, on disk: it goes on from there after any interruption, bit for bit."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from cost_model.surrogates.lm.recipe import Recipe
from cost_model.surrogates.lm.training import Trainer
from design.errors import InputError

EXPECTED = (
    "the state of a training with the same recipe, data and base; train in another directory, or without --resume"
)


@dataclass
class Progress:
    """What is known beside the trainer: the best validation score, at which step, its weights, and all scores."""

    best: float = float("inf")
    at: int = 0
    scores: list[tuple[int, float]] = field(default_factory=list)
    weights: dict[str, Tensor] = field(default_factory=dict)

    def stale(self, check: int, step: int) -> int:
        """Checks since the best."""
        return (step - self.at) // check


def save_state(path: Path, recipe: Recipe, corpus: str, trainer: Trainer, progress: Progress) -> None:
    """Write it, whole or not at all. Raises OSError."""
    from safetensors.torch import save

    tensors = {f"model.{name}": tensor for name, tensor in trainer.model.kept().items()}
    tensors |= {f"best.{name}": tensor for name, tensor in progress.weights.items()}
    for number, moments in trainer.optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{name}": value for name, value in moments.items()}
    tensors["losses"] = torch.from_numpy(trainer.losses)
    card = {
        "recipe": recipe.model_dump(mode="json"),
        "corpus": corpus,
        "base": trainer.model.base,
        "step": trainer.step,
        "best": progress.best if progress.scores else None,
        "at": progress.at,
        "scores": progress.scores,
    }
    beside = path.with_name(path.name + ".new")
    copies = {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}
    beside.write_bytes(save(copies, {"card": json.dumps(card)}))
    beside.replace(path)


def load_state(path: Path, recipe: Recipe, corpus: str, trainer: Trainer) -> Progress:
    """Bring a new trainer to where the state in `path` was. Raises InputError for damage, or another recipe or data."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            card = json.loads((file.metadata() or {})["card"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    except OSError as error:
        raise InputError.unreadable(str(path), error, EXPECTED) from None
    except (SafetensorError, KeyError, ValueError):
        raise InputError(str(path), "is damaged", EXPECTED) from None
    same = {"recipe": recipe.model_dump(mode="json"), "corpus": corpus, "base": trainer.model.base}
    for name, value in same.items():
        if card.get(name) != value:
            raise InputError(str(path), f"is of another {name}", EXPECTED)
    try:
        trainer.model.bring(_part(tensors, "model."))
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _part(tensors, "optimiser.").items():
            number, what = name.split(".", 1)
            moments.setdefault(int(number), {})[what] = tensor
        groups = trainer.optimiser.state_dict()["param_groups"]
        trainer.optimiser.load_state_dict({"state": moments, "param_groups": groups})
        trainer.step, trainer.losses = int(card["step"]), tensors["losses"].numpy()
        scores = [(int(step), float(score)) for step, score in card["scores"]]
    except (RuntimeError, KeyError, ValueError, TypeError):
        raise InputError(str(path), "is damaged", EXPECTED) from None
    best = float("inf") if card["best"] is None else float(card["best"])
    return Progress(best, int(card["at"]), scores, _part(tensors, "best."))


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
