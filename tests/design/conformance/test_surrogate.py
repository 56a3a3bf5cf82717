"""The suite of surrogates passes what is sound, and finds each of these faults."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from design.conformance.nonconforming import Nonconforming
from design.conformance.surrogate import check_surrogate
from design.contracts import Dataset, Evaluator
from design.core import Bools, Floats
from tests.design.conformance.toys import (
    Nearest,
    ToySurrogate,
    ToyTask,
    answer_of,
    dataset,
    designs,
    places_of,
    seconds,
)

BATCH = designs(bad=1).take(np.arange(12, 25))


class Remembers(ToySurrogate):
    """Labels of before stay, of all tasks."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = (np.empty((0, 2)), np.empty(0))

    def condition(self, task: Any, labels: Dataset | None, *, seed: int) -> Evaluator:
        """See `Surrogate`."""
        if labels is not None:
            new = places_of(labels.batch), labels.metric("latency_s")
            self.seen = tuple(np.concatenate(pair) for pair in zip(self.seen, new, strict=True))  # type: ignore[assignment]
        return Nearest(f"1-{self.mark(*self.seen)}", *self.seen)


class KeepsPrior(ToySurrogate):
    """What is conditioned on nothing is shared, and learns from labels that come later."""

    def __init__(self) -> None:
        super().__init__()
        self.prior = Nearest("1", np.empty((0, 2)), np.empty(0))

    def condition(self, task: Any, labels: Dataset | None, *, seed: int) -> Evaluator:
        """See `Surrogate`."""
        if labels is None:
            return Nearest("1", np.empty((0, 2)), np.empty(0)) if self.prior.version == "1" else self.prior
        found = super().condition(task, labels, seed=seed)
        object.__setattr__(self.prior, "version", "2")
        return found


class OneEvaluator(ToySurrogate):
    """Gives one evaluator, whose labels are changed."""

    def __init__(self) -> None:
        super().__init__()
        self.one = Nearest("1", np.empty((0, 2)), np.empty(0))

    def condition(self, task: Any, labels: Dataset | None, *, seed: int) -> Evaluator:
        """See `Surrogate`."""
        new = super().condition(task, labels, seed=seed)
        for name in ("version", "places", "values"):
            object.__setattr__(self.one, name, getattr(new, name))
        return self.one


class SharesPosterior(OneEvaluator):
    """The same, where there are labels."""

    def condition(self, task: Any, labels: Dataset | None, *, seed: int) -> Evaluator:
        """See `Surrogate`."""
        made = ToySurrogate() if labels is None else super()
        return made.condition(task, labels, seed=seed)


class KeepsLargest(ToySurrogate):
    """The largest label of all that there were is the scale of answers."""

    def __init__(self) -> None:
        super().__init__()
        self.largest = 0.0

    def condition(self, task: Any, labels: Dataset | None, *, seed: int) -> Evaluator:
        """See `Surrogate`."""
        found: Any = super().condition(task, labels, seed=seed)
        if labels is None:
            return found  # type: ignore[no-any-return]
        self.largest = max(self.largest, found.values.max())
        return replace(found, values=found.values * self.largest)


class ByTask(ToySurrogate):
    """The first labels of any task scale all the others."""

    def __init__(self) -> None:
        super().__init__()
        self.scale: dict[str, float] = {}

    def condition(self, task: Any, labels: Dataset | None, *, seed: int) -> Evaluator:
        """See `Surrogate`."""
        found: Any = super().condition(task, labels, seed=seed)
        self.scale.setdefault(task.name, 1.0)
        return replace(found, values=found.values * len(self.scale))


class LateScale(ByTask):
    """Answers by how many tasks there were when it is asked."""

    def condition(self, task: Any, labels: Dataset | None, *, seed: int) -> Evaluator:
        """See `Surrogate`."""
        found: Any = ToySurrogate.condition(self, task, labels, seed=seed)
        self.scale.setdefault(task.name, 1.0)
        return Scaled(found.version, found.places, found.values, scale=self.scale)


class Scaled(Nearest):
    """See `LateScale`."""

    def __init__(self, version: str, places: Floats, values: Floats, scale: dict[str, float]) -> None:
        super().__init__(version, places, values)
        object.__setattr__(self, "scale", scale)

    def evaluate(self, batch: Any, *, seed: int) -> Any:
        """See `Evaluator`."""
        found = Nearest(self.version, self.places, self.values * len(self.scale))  # type: ignore[attr-defined]
        return found.evaluate(batch, seed=seed)


class Counts(ToySurrogate):
    """Each time it is conditioned is another version."""

    def condition(self, task: Any, labels: Dataset | None, *, seed: int) -> Evaluator:
        """See `Surrogate`."""
        self.times = getattr(self, "times", 0) + 1
        return replace(super().condition(task, labels, seed=seed), version=f"{self.times}")  # type: ignore[type-var]


class Drifts(ToySurrogate):
    """Each time it is conditioned, its answers are other ones."""

    def condition(self, task: Any, labels: Dataset | None, *, seed: int) -> Evaluator:
        """See `Surrogate`."""
        self.times = getattr(self, "times", 0) + 1
        found: Any = super().condition(task, labels, seed=seed)
        return replace(found, values=found.values * self.times)


class OneVersion(ToySurrogate):
    """Whatever the labels."""

    def mark(self, places: Floats, values: Floats) -> str:
        """See `ToySurrogate`."""
        return "labels"


class NoVersion(ToySurrogate):
    """With labels as without."""

    def condition(self, task: Any, labels: Dataset | None, *, seed: int) -> Evaluator:
        """See `Surrogate`."""
        return replace(super().condition(task, labels, seed=seed), version="1")  # type: ignore[type-var]


class CountOnly(ToySurrogate):
    """The version is of how many labels there are."""

    def mark(self, places: Floats, values: Floats) -> str:
        """See `ToySurrogate`."""
        return str(len(values))


class LastRow(ToySurrogate):
    """The last label counts twice."""

    def condition(self, task: Any, labels: Dataset | None, *, seed: int) -> Evaluator:
        """See `Surrogate`."""
        found: Any = super().condition(task, labels, seed=seed)
        if labels is None:
            return found  # type: ignore[no-any-return]
        return replace(found, values=(found.values + found.values[-1]) / 2)


class FailedIsZero(ToySurrogate):
    """A row that FAILED is taken for one that takes no time."""

    def rows(self, labels: Dataset) -> Bools:
        """See `ToySurrogate`."""
        return np.ones(len(labels), dtype=bool)

    def condition(self, task: Any, labels: Dataset | None, *, seed: int) -> Evaluator:
        """See `Surrogate`."""
        found: Any = super().condition(task, labels, seed=seed)
        return replace(found, values=np.nan_to_num(found.values))


class FailedCounts(ToySurrogate):
    """How many rows there are counts, those that FAILED too."""

    def condition(self, task: Any, labels: Dataset | None, *, seed: int) -> Evaluator:
        """See `Surrogate`."""
        found: Any = super().condition(task, labels, seed=seed)
        return replace(found, values=found.values + (len(labels) if labels is not None else 0))


class Writes(ToySurrogate):
    """Sorts the labels, once it has learned, where that can be."""

    def condition(self, task: Any, labels: Dataset | None, *, seed: int) -> Evaluator:
        """See `Surrogate`."""
        found = super().condition(task, labels, seed=seed)
        if labels is not None and labels.metric("latency_s").flags.writeable:
            labels.metric("latency_s").sort()
        return found


class WritesIntoFrozen(ToySurrogate):
    """Sorts the labels whatever they are."""

    def rows(self, labels: Dataset) -> Bools:
        """See `ToySurrogate`."""
        labels.metric("latency_s").sort()
        return super().rows(labels)


class TrainsOn(ToySurrogate):
    """What it is conditioned on becomes what it was trained on."""

    def condition(self, task: Any, labels: Dataset | None, *, seed: int) -> Evaluator:
        """See `Surrogate`."""
        if labels is not None:
            self.trained_on = replace(self.trained_on, digests=frozenset({task.digest}))
        return super().condition(task, labels, seed=seed)


class Undeclared(ToySurrogate):
    """Does not say what it was trained on."""

    def __init__(self) -> None:
        super().__init__()
        self.trained_on = frozenset({"others"})


class Nameless(ToySurrogate):
    """Has no name."""

    name = ""


class NeedsLabels(ToySurrogate):
    """Cannot do without."""

    def condition(self, task: Any, labels: Dataset | None, *, seed: int) -> Evaluator:
        """See `Surrogate`."""
        return super().condition(task, labels.take(slice(None)), seed=seed)  # type: ignore[union-attr]


class OtherMetrics(ToySurrogate):
    """Answers what no truth of the task measures."""

    def condition(self, task: Any, labels: Dataset | None, *, seed: int) -> Evaluator:
        """See `Surrogate`."""
        return Cycles("1" if labels is None else "2")


class Cycles(Nearest):
    """See `OtherMetrics`."""

    def __init__(self, version: str) -> None:
        super().__init__(version, np.empty((0, 2)), np.empty(0), metrics={"cycles": "cycles"})

    def evaluate(self, batch: Any, *, seed: int) -> Any:
        """See `Evaluator`."""
        answer = answer_of(batch, seconds(batch), f"{self.name}/{self.version}", {"latency_s": "s"})
        renamed = {f: {"cycles": getattr(answer, f)["latency_s"]} for f in ("metrics", "interval", "source")}
        return replace(answer, **renamed)


class BadEvaluator(ToySurrogate):
    """With labels, its evaluator answers by company."""

    def condition(self, task: Any, labels: Dataset | None, *, seed: int) -> Evaluator:
        """See `Surrogate`."""
        found: Any = super().condition(task, labels, seed=seed)
        return found if labels is None else Company(found.version, found.places, found.values)  # type: ignore[no-any-return]


class Company(Nearest):
    """See `BadEvaluator`."""

    def evaluate(self, batch: Any, *, seed: int) -> Any:
        """See `Evaluator`."""
        return replace(self, values=self.values * len(batch), version=self.version).sound(batch, seed)

    def sound(self, batch: Any, seed: int) -> Any:
        """Of the values that it has now."""
        return Nearest.evaluate(self, batch, seed=seed)


class Ignores(ToySurrogate):
    """Learns nothing from labels."""

    def condition(self, task: Any, labels: Dataset | None, *, seed: int) -> Evaluator:
        """See `Surrogate`."""
        return super().condition(task, None, seed=seed)


def check(surrogate: Any, **options: Any) -> None:
    """On the toy task, with labels of another beside."""
    check_surrogate(
        surrogate, ToyTask(), dataset(), BATCH, **{"other": dataset("two", 12), "any_order": True} | options
    )


def test_a_sound_one() -> None:
    """Passes, with another task and without, under any seed."""
    check(ToySurrogate())
    check(ToySurrogate(), other=None, seed=5)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (Remembers, "for equal labels; expected one version"),
        (KeepsPrior, "for equal labels; expected one version"),
        (
            OneEvaluator,
            "conditioned on nothing before the labels came: .* expected the answers of one that saw no labels",
        ),
        (SharesPosterior, "conditioned before other labels came: .* expected the answers from these labels only"),
        (KeepsLargest, "conditioned after other labels: .* expected the answers from these labels only"),
        (ByTask, "between two tasks: .* expected answers as before it was conditioned on two"),
        (LateScale, "between two tasks: .* expected answers that conditioning on two does not change"),
        (Counts, "nearest/2, then nearest/3 for equal labels; expected one version"),
        (Drifts, "conditioned twice on equal labels: .* expected equal answers"),
        (OneVersion, "nearest/1-labels is its name and version with labels and with fewer labels"),
        (NoVersion, "nearest/1 is its name and version with no labels and with labels"),
        (CountOnly, "name and version with labels and with labels with other numbers"),
        (LastRow, "with labels in reverse: .* expected equal answers up to rounding"),
        (FailedIsZero, "with a label that FAILED: .* expected answers as without it"),
        (FailedCounts, "with a label that FAILED"),
        (Writes, "wrote into metrics latency_s of the labels"),
        (WritesIntoFrozen, "condition raised ValueError: .*read-only"),
        (TrainsOn, "trained_on changed when it was conditioned"),
        (Undeclared, "trained_on is a frozenset; expected a TrainingSet"),
        (Nameless, "name is ''"),
        (NeedsLabels, "condition raised AttributeError: .* for no labels"),
        (OtherMetrics, "answers cycles for task one; expected at most area_mm2, latency_s, valid_probability"),
        (BadEvaluator, "asked for some rows of it: .* expected the answers of the batch"),
        (Ignores, "name and version with no labels and with labels"),
    ],
)
def test_a_fault(make: Any, words: str) -> None:
    """Is found, by what it is."""
    with pytest.raises(Nonconforming, match=words) as caught:
        check(make())
    assert "; expected " in str(caught.value) and "\n" not in str(caught.value)


def test_one_that_ignores_labels() -> None:
    """Says so, and then must do so."""
    check(Ignores(), learns=False)
    with pytest.raises(
        Nonconforming, match=r"with labels and with none, .* expected equal answers, as it ignores labels"
    ):
        check(ToySurrogate(), learns=False)


def test_derived_metrics() -> None:
    """Those that follow from the task's by its view are named."""
    check(OtherMetrics(), derived=("cycles",), learns=False)


def test_order_that_counts() -> None:
    """Is allowed where nothing more is promised."""
    check(LastRow(), any_order=False)


def test_what_cannot_tell() -> None:
    """Labels of another task, too few, without a number; `other` of the same task."""
    for labels, other, words in (
        (dataset("two"), None, "labels and batch are not of task one"),
        (dataset(rows=2), None, "the labels are too few"),
        (dataset(), dataset(), "`other` has labels of task one too"),
    ):
        with pytest.raises(ValueError, match=words):
            check_surrogate(ToySurrogate(), ToyTask(), labels, BATCH, other=other)
    found = dataset()
    nothing = {name: np.zeros(len(found)) for name in found.evaluation.metrics}
    zero = replace(found, evaluation=replace(found.evaluation, metrics=nothing))
    with pytest.raises(ValueError, match="all numbers of the labels are 0"):
        check_surrogate(ToySurrogate(), ToyTask(), zero, BATCH)
