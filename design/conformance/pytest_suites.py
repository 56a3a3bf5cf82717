"""The suites as classes of pytest: one test a law. The only file of the package that needs pytest.

    import pytest
    from design.conformance.pytest_suites import EvaluatorSuite

    class TestMine(EvaluatorSuite):
        @pytest.fixture
        def evaluator(self): return MyEvaluator()

        @pytest.fixture
        def batch(self): return my_space().decode(my_space().sample(12, np.random.default_rng(0)))

`SpaceSuite` asks for a fixture `space`, `TruthSuite` for `truth` and `batch`, `SurrogateSuite` for `surrogate`,
`labels` (a `Dataset`) and `batch`. The options of the checks of `design/conformance/` are attributes of the class:
`intervals = None`, `accepts_all = True`, and so on, with the names and meanings that they have there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from design.conformance import evaluator as of_evaluators
from design.conformance import space as of_spaces
from design.conformance import surrogate as of_surrogates
from design.conformance import truth as of_truths
from design.contracts import Dataset


def _wanted(suite: object, name: str) -> Any:
    raise NotImplementedError(f"{type(suite).__name__} needs a fixture `{name}`: @pytest.fixture def {name}(self): ...")


class EvaluatorSuite:
    """See `check_evaluator` and `check_sent`. `other_process` is False for what cannot be sent to one: it holds a file,
    or its class is made in a test's own function."""

    seed: int = 0
    intervals: bool | None = True
    sources: Sequence[str] = ()
    pickled: bool = True
    other_process: bool = True

    @pytest.fixture
    def evaluator(self) -> Any:
        """To be overridden."""
        return _wanted(self, "evaluator")

    @pytest.fixture
    def batch(self) -> Any:
        """To be overridden: two rows or more, better ten."""
        return _wanted(self, "batch")

    @pytest.mark.parametrize("law", of_evaluators.LAWS)
    def test_evaluator(self, evaluator: Any, batch: Any, law: str) -> None:
        """One law."""
        if law == "pickles" and not self.pickled:
            pytest.skip("pickled = False")
        of_evaluators.LAWS[law](
            of_evaluators.case_of(evaluator, batch, self.seed, self.intervals, self.sources, self.pickled)
        )

    def test_another_process(self, evaluator: Any, batch: Any) -> None:
        """The same answers under other hash seeds."""
        if not (self.other_process and self.pickled):
            pytest.skip("other_process = False, or pickled = False")
        of_evaluators.check_sent(evaluator, batch, self.seed)


class TruthSuite(EvaluatorSuite):
    """See `check_truth`; all laws of evaluators too."""

    accepts_all: bool = False

    @pytest.fixture
    def truth(self) -> Any:
        """To be overridden."""
        return _wanted(self, "truth")

    @pytest.fixture
    def evaluator(self, truth: Any) -> Any:
        """A truth is one."""
        return truth

    @pytest.mark.parametrize("law", of_truths.LAWS)
    def test_truth(self, truth: Any, batch: Any, law: str) -> None:
        """One law."""
        of_truths.LAWS[law](of_truths.case_of(truth, batch, self.seed, self.accepts_all, self.sources, self.pickled))


class SurrogateSuite:
    """See `check_surrogate`. A fixture `other`, labels of another task, adds the law that tasks are kept apart."""

    seed: int = 0
    learns: bool = True
    any_order: bool = False
    derived: Sequence[str] = ()
    sources: Sequence[str] = ()
    pickled: bool = True

    @pytest.fixture
    def surrogate(self) -> Any:
        """To be overridden."""
        return _wanted(self, "surrogate")

    @pytest.fixture
    def labels(self) -> Any:
        """To be overridden: a `Dataset` of at least three rows."""
        return _wanted(self, "labels")

    @pytest.fixture
    def batch(self) -> Any:
        """To be overridden: designs of the task of the labels."""
        return _wanted(self, "batch")

    @pytest.fixture
    def other(self) -> Dataset | None:
        """Labels of another task, where it can be conditioned on one."""
        return None

    @pytest.mark.parametrize("law", of_surrogates.LAWS)
    def test_surrogate(self, surrogate: Any, labels: Any, batch: Any, other: Any, law: str) -> None:
        """One law."""
        if law == "tasks" and other is None:
            pytest.skip("no fixture `other` with labels of another task")
        if law == "order" and not self.any_order:
            pytest.skip("any_order = False")
        options = (self.learns, self.any_order, self.derived, self.sources, self.pickled)
        case = of_surrogates.case_of(surrogate, labels.task, labels, batch, self.seed, other, *options)
        of_surrogates.LAWS[law](case)


class SpaceSuite:
    """See `check_space`."""

    seed: int = 0
    count: int = 1000

    @pytest.fixture
    def space(self) -> Any:
        """To be overridden."""
        return _wanted(self, "space")

    @pytest.mark.parametrize("law", of_spaces.LAWS)
    def test_space(self, space: Any, law: str) -> None:
        """One law."""
        of_spaces.LAWS[law](of_spaces.Case(space, self.count, self.seed))
