"""Where the trainings of a run stand, on disk: they go on from there after any interruption, bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from cost_model.training.checkpoint import read_tensors, under, write_tensors
from cost_model.training.learner import Learner
from design.errors import InputError

EXPECTED = (
    "the state of a training with the same recipe, data and base; train in another directory, or without --resume"
)
COUNTED = ("step", "best", "at", "scores")  # of a learner


class State:
    """Of the trainings of a run, one after another, in the file `path` (None: nowhere). `run` says what a run that
    goes on must share with the one before, by name."""

    def __init__(self, path: Path | None, run: Mapping[str, Any], resume: bool = False) -> None:
        """What is in the file counts only with `resume`. Raises InputError for damage, and for another run."""
        self._path, self._run = path, dict(run)
        self._tensors: dict[str, Tensor] = {}
        self._counts: dict[str, dict[str, Any]] = {}
        if path is not None and resume and path.exists():
            card, self._tensors = read_tensors(path, EXPECTED)
            for name, value in run.items():
                if card.get(name) != value:
                    raise InputError(str(path), f"is of another {name}", EXPECTED)
            self._counts = card.get("trainings", {})

    def save(self, number: int, learner: Learner) -> None:
        """That of the learner of this number. Raises OSError."""
        self._counts[str(number)] = {name: getattr(learner, name) for name in COUNTED}
        self._tensors |= {f"{number}.{name}": tensor.detach().clone() for name, tensor in learner.state().items()}
        if self._path is not None:
            write_tensors(self._path, self._tensors, self._run | {"trainings": self._counts})

    def restore(self, number: int, learner: Learner) -> None:
        """Bring a new learner of this number to where it was saved, if it was. Raises InputError for damage."""
        if str(number) not in self._counts:
            return
        try:
            learner.restore(under(self._tensors, f"{number}."))
            for name in COUNTED:
                setattr(learner, name, self._counts[str(number)][name])
        except (RuntimeError, KeyError, ValueError, TypeError):
            raise InputError(str(self._path), "is damaged", EXPECTED) from None
