"""Where the trainings of a run stand, on disk: they go on from there after any interruption, bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor
from torch.optim import Optimizer

from cost_model.training.checkpoint import read_tensors, under, write_tensors
from design.errors import InputError

EXPECTED = (
    "the state of a training with the same recipe, data and base; train in another directory, or without --resume"
)


class Learner(Protocol):
    """A model under training. `step` counts the steps that were made, of `last` in all; every `check` steps it is
    scored, and after `patience` checks without a better score it ends. `name` says which of a run's it is."""

    name: str
    step: int
    last: int
    check: int
    patience: int

    def advance(self) -> None:
        """One step. What it draws depends on the recipe and the steps before alone."""
        ...

    def score(self) -> float | None:
        """Of what is kept, on families that it does not learn from: the less the better, NaN where they have too few
        designs. None where nothing is to be scored yet, or no family is held back."""
        ...

    def loss(self) -> str:
        """For people."""
        ...

    def kept(self) -> dict[str, Tensor]:
        """What is scored, as `Model.kept`."""
        ...

    def bring(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `kept` gave. Raises ValueError for tensors of another model."""
        ...

    def rest(self) -> dict[str, Tensor]:
        """All else that further steps depend on."""
        ...

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `rest` gave. Raises KeyError, RuntimeError, TypeError or ValueError for anything else."""
        ...


@dataclass
class Progress:
    """What is known beside the learner: the best score, at which step, its weights, and all scores by step."""

    best: float = float("inf")
    at: int = 0
    scores: list[tuple[int, float]] = field(default_factory=list)
    weights: dict[str, Tensor] = field(default_factory=dict)

    def stale(self, check: int, step: int) -> int:
        """Checks since the best."""
        return (step - self.at) // check


class State:
    """Of the trainings of a run, one after another, in the file `path` (None: nowhere). `run` says what a run that
    goes on must share with the one before, by name."""

    def __init__(self, path: Path | None, run: Mapping[str, Any], resume: bool = False) -> None:
        """What is in the file counts only with `resume`. Raises InputError for damage, and for another run."""
        self._path, self._run = path, dict(run)
        self._steps: dict[str, Any] = {}
        self._tensors: dict[str, Tensor] = {}
        if path is None or not resume or not path.exists():
            return
        try:
            card, self._tensors = read_tensors(path)
            self._steps = dict(card["trainings"])
        except OSError as error:
            raise InputError.unreadable(str(path), error, EXPECTED) from None
        except (ValueError, KeyError, TypeError):
            raise InputError(str(path), "is damaged", EXPECTED) from None
        for name, value in run.items():
            if card.get(name) != value:
                raise InputError(str(path), f"is of another {name}", EXPECTED)

    def save(self, number: int, learner: Learner, progress: Progress) -> None:
        """Of the learner of this number. Raises OSError."""
        best = progress.best if progress.scores else None
        self._steps[str(number)] = {"step": learner.step, "best": best, "at": progress.at, "scores": progress.scores}
        kinds = {"kept": learner.kept(), "rest": learner.rest(), "best": progress.weights}
        self._tensors |= {
            f"{number}.{kind}.{name}": tensor.detach().clone()
            for kind, tensors in kinds.items()
            for name, tensor in tensors.items()
        }
        if self._path is not None:
            write_tensors(self._path, self._tensors, self._run | {"trainings": self._steps})

    def restore(self, number: int, learner: Learner) -> Progress:
        """Bring a new learner of this number to where it was saved. Raises InputError for damage."""
        if str(number) not in self._steps:
            return Progress()
        try:
            saved, tensors = self._steps[str(number)], under(self._tensors, f"{number}.")
            learner.bring(under(tensors, "kept."))
            learner.restore(under(tensors, "rest."))
            learner.step = int(saved["step"])
            best = float("inf") if saved["best"] is None else float(saved["best"])
            scores = [(int(step), float(score)) for step, score in saved["scores"]]
            return Progress(best, int(saved["at"]), scores, under(tensors, "best."))
        except (RuntimeError, KeyError, ValueError, TypeError):
            raise InputError(str(self._path), "is damaged", EXPECTED) from None


def moments(optimiser: Optimizer) -> dict[str, Tensor]:
    """What an optimiser remembers of each weight, as tensors by name."""
    state = optimiser.state_dict()["state"]
    return {f"optimiser.{number}.{name}": value for number, known in state.items() for name, value in known.items()}


def bring_moments(optimiser: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """The inverse. Raises KeyError, RuntimeError or ValueError for those of another."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in under(tensors, "optimiser.").items():
        number, what = name.split(".", 1)
        state.setdefault(int(number), {})[what] = tensor
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
