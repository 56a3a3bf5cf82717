"""A training goes on where it was, bit for bit, and a state of another run is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cost_model.training.checkpoint import digest_of
from cost_model.training.learner import Learner
from cost_model.training.state import State
from cost_model.training.trainer import MODEL, STATE, run, train
from design.errors import InputError
from tests.cost_model.surrogates.tiny_transformer_h import tiny_tables
from tests.cost_model.training.small import RECIPES, VIEW, learners, shortened


class Interrupted(Exception):
    """Of a test."""


def advanced(kind: str, steps: int) -> Learner:
    """The first of a run's trainings after some steps."""
    found = learners(kind)[0]()
    while found.step < steps:
        found.advance()
    return found


@pytest.mark.parametrize("kind", RECIPES)
def test_going_on(kind: str, tmp_path: Path) -> None:
    """Stopped after any step and gone on with, the weights are those of an unbroken training, bit for bit."""
    whole = advanced(kind, 8).state()
    for stop in (1, 4, 7):
        first, path = advanced(kind, stop), tmp_path / f"{stop}.safetensors"
        first.best, first.at, first.scores = 0.5, 2, [(2, 0.5)]
        first.weights = {name: tensor + 1 for name, tensor in first.scored.kept().items()}
        State(path, {"recipe": 1}).save(0, first)
        torch.rand(7)  # other draws in between
        second = learners(kind)[0]()
        State(path, {"recipe": 1}, resume=True).restore(0, second)
        assert second.step == stop and second.best == 0.5 and [*map(tuple, second.scores)] == [(2, 0.5)]
        assert digest_of(second.weights) == digest_of(first.weights)
        second.weights = {}
        while second.step < 8:
            second.advance()
        assert digest_of(second.state()) == digest_of(whole)


@pytest.mark.parametrize("kind", RECIPES)
def test_runs_go_on(kind: str, tmp_path: Path) -> None:
    """A run of one training or several that is interrupted at any line of progress leaves the same file in the end."""

    def trained(folder: Path, most: int = 99) -> bytes:
        """All of a run, or up to so many lines."""
        lines: list[str] = []

        def say(line: str) -> None:
            lines.append(line)
            if len(lines) > most:
                raise Interrupted

        train(RECIPES[kind], tiny_tables(), "corpus", VIEW, folder, resume=True, say=say)
        counts.append(len(lines))
        return (folder / MODEL).read_bytes()

    counts: list[int] = []
    whole = trained(tmp_path / "whole")
    assert counts == [4 * len(learners(kind))]
    for most in range(0, counts[0], 2):
        with pytest.raises(Interrupted):
            trained(tmp_path / str(most), most)
        assert not (tmp_path / str(most) / MODEL).exists()
        assert trained(tmp_path / str(most)) == whole
        assert counts.pop() == counts[0] - most - 1
    assert trained(tmp_path / "whole") == whole and counts.pop() == 0  # there is nothing left to do


@pytest.mark.parametrize("kind", RECIPES)
def test_without_resume_all_begins_anew(kind: str, tmp_path: Path) -> None:
    """What is left of another run does not matter."""
    (tmp_path / STATE).write_bytes(b"junk")
    found = train(RECIPES[kind], tiny_tables(), "corpus", VIEW, tmp_path)
    assert found.digest == train(RECIPES[kind], tiny_tables(), "corpus", VIEW).digest


@pytest.mark.parametrize("kind", RECIPES)
def test_states_of_others(kind: str, tmp_path: Path) -> None:
    """Another recipe, other data, and damage are one line each."""
    path, learner, about = tmp_path / "state", advanced(kind, 1), {"recipe": {"seed": 0}, "corpus": "abc"}
    State(path, about).save(0, learner)
    for changed, word in (({"recipe": {"seed": 5}}, "another recipe"), ({"corpus": "elsewhere"}, "another corpus")):
        with pytest.raises(InputError, match=word):
            State(path, about | changed, resume=True)
    other = learners("lm" if kind == "transformer-h" else "transformer-h")[0]()
    with pytest.raises(InputError, match="damaged"):
        State(path, about, resume=True).restore(0, other)
    shortened(path, 100)
    with pytest.raises(InputError, match="damaged") as error:
        State(path, about, resume=True)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("kind", RECIPES)
def test_patience(kind: str) -> None:
    """Training ends after so many checks without a better score, and gives back the best weights."""
    learner, recipe, scores = learners(kind)[0](), RECIPES[kind].model_copy(update={"patience": 2}), iter([3, 1, 2, 1])
    kept, lines = [], list[str]()

    def score() -> float:
        kept.append({name: tensor.detach().clone() for name, tensor in learner.scored.kept().items()})
        return float(next(scores))

    learner.score = score  # type: ignore[method-assign]
    learner.last = 100
    run(recipe, learner, lambda: None, lines.append)
    assert learner.step == 8 and learner.scores == [(2, 3.0), (4, 1.0), (6, 2.0), (8, 1.0)]
    assert (learner.best, learner.at) == (1.0, 4)
    assert digest_of(learner.scored.kept()) == digest_of(kept[1]) != digest_of(kept[3])
    assert lines[1].startswith(f"{learner.name}step 4/100: ") and "held-back families 1.000" in lines[1]
