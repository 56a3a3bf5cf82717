"""The classes that users derive from: adopted in a few lines, one test a law, and a broken law is one that fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from design.conformance.pytest_suites import EvaluatorSuite, SpaceSuite, SurrogateSuite, TruthSuite
from design.contracts import Dataset
from design.core import Batch
from tests.cases import ROOT
from tests.design.conformance.toys import Toy, ToySpace, ToySurrogate, ToyTruth, dataset, designs


class TestToyEvaluator(EvaluatorSuite):
    """As in the docstring of the module."""

    @pytest.fixture
    def evaluator(self) -> Toy:
        """A sound one."""
        return Toy()

    @pytest.fixture
    def batch(self) -> Batch:
        """With one that FAILED."""
        return designs(bad=1)


class TestToyTruth(TruthSuite):
    """All laws of evaluators too."""

    @pytest.fixture
    def truth(self) -> ToyTruth:
        """A sound one."""
        return ToyTruth()

    @pytest.fixture
    def batch(self) -> Batch:
        """The last is refused."""
        return designs(bad=1).take(np.arange(18, 25))


class TestToySurrogate(SurrogateSuite):
    """With two tasks, whatever the order of labels."""

    any_order = True

    @pytest.fixture
    def surrogate(self) -> ToySurrogate:
        """A sound one."""
        return ToySurrogate()

    @pytest.fixture
    def labels(self) -> Dataset:
        """Of a task."""
        return dataset()

    @pytest.fixture
    def other(self) -> Dataset:
        """Of another."""
        return dataset("two", 12)

    @pytest.fixture
    def batch(self) -> Batch:
        """Of the first."""
        return designs().take(np.arange(12, 20))


class TestToySpace(SpaceSuite):
    """One fixture."""

    @pytest.fixture
    def space(self) -> ToySpace:
        """A sound one."""
        return ToySpace()


BROKEN = """
from dataclasses import replace
import numpy as np
import pytest
from design.conformance.pytest_suites import EvaluatorSuite, SpaceSuite, SurrogateSuite, TruthSuite
from tests.design.conformance.toys import Toy, ToySpace, ToySurrogate, ToyTruth, dataset, designs

class CountsRows(Toy):
    def evaluate(self, batch, *, seed):
        answer = super().evaluate(batch, seed=seed)
        return replace(answer, interval={n: v * [1, 1 + len(batch) / 99] for n, v in answer.interval.items()})

class Free(ToyTruth):
    call_cost = 0.0
    def __init__(self): pass

class OneVersion(ToySurrogate):
    def mark(self, places, values): return ""

class TestEvaluator(EvaluatorSuite):
    evaluator = pytest.fixture(lambda self: CountsRows())
    batch = pytest.fixture(lambda self: designs())

class TestTruth(TruthSuite):
    truth = pytest.fixture(lambda self: Free())
    batch = pytest.fixture(lambda self: designs(bad=1))
    other_process = False

class TestSurrogate(SurrogateSuite):
    surrogate = pytest.fixture(lambda self: OneVersion())
    labels = pytest.fixture(lambda self: dataset())
    batch = pytest.fixture(lambda self: designs())
    any_order = False

class TestSpace(SpaceSuite):
    @pytest.fixture
    def space(self):
        found = ToySpace()
        found.size = 12
        return found

class TestNothing(SpaceSuite):
    pass
"""


def test_what_breaks(tmp_path: Path) -> None:
    """One fault is one test that fails, by the name of the law; what is left out is skipped; a fixture that is not
    there is asked for."""
    path = tmp_path / "test_broken.py"
    path.write_text(BROKEN)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "-rfse",
        "--tb=line",
        str(path),
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "300"}
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    lines = [line.split(" - ")[0] for line in ran.stdout.splitlines() if line.startswith("FAILED")]
    assert [line.rpartition("::")[2] for line in lines if "TestEvaluator" in line] == ["test_evaluator[company]"]
    assert [line.rpartition("::")[2] for line in lines if "TestTruth" in line] == ["test_truth[price]"]
    assert [line.rpartition("::")[2] for line in lines if "TestSurrogate" in line] == ["test_surrogate[versions]"]
    assert [line.rpartition("::")[2] for line in lines if "TestSpace" in line] == ["test_space[size]"]
    assert "TestNothing needs a fixture `space`: @pytest.fixture def space(self): ..." in ran.stdout
    for reason in ("other_process = False", "no fixture `other`", "any_order = False"):
        assert reason in ran.stdout, ran.stdout


def test_options_are_those_of_the_checks() -> None:
    """Each attribute of a class is an argument of its check."""
    import inspect

    from design.conformance.evaluator import check_evaluator
    from design.conformance.space import check_space
    from design.conformance.surrogate import check_surrogate
    from design.conformance.truth import check_truth

    pairs: list[tuple[Any, Any, set[str]]] = [
        (EvaluatorSuite, check_evaluator, {"other_process"}),
        (TruthSuite, check_truth, {"other_process", "intervals"}),
        (SurrogateSuite, check_surrogate, set()),
        (SpaceSuite, check_space, set()),
    ]
    for suite, check, own in pairs:
        options = {name for one in suite.__mro__ for name in vars(one).get("__annotations__", {})}
        assert options - own <= set(inspect.signature(check).parameters), suite
