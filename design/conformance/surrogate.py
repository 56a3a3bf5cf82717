"""What every surrogate keeps to: `check_surrogate`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from design.conformance import evaluator as of_evaluators
from design.conformance.answers import assert_same
from design.conformance.nonconforming import Nonconforming, expect, label, rows_text
from design.contracts import Dataset, Evaluator, Surrogate, Task, TrainingSet, labelled
from design.core import Batch, Evaluation, Floats, Status, gather
from design.errors import in_one_line
from design.metrics import VALID, possible_metrics

CLOSE = 1e-6  # relative difference of answers that add the same labels in another order
FACTOR = 1.5  # by which other labels differ


@dataclass(frozen=True)
class Case:
    """A surrogate and what it is conditioned on; see `check_surrogate`."""

    surrogate: Surrogate
    task: Task
    labels: Dataset
    batch: Batch
    seed: int = 0
    other: Dataset | None = None
    learns: bool = True
    any_order: bool = False
    derived: Sequence[str] = ()
    sources: Sequence[str] = ()
    pickled: bool = True

    def conditioned(self, labels: Dataset | None, what: str, task: Task | None = None) -> Evaluator:
        """An evaluator. Raises Nonconforming where there is an exception instead."""
        try:
            return self.surrogate.condition(self.task if task is None else task, labels, seed=self.seed)
        except Exception as error:
            text = f"condition raised {in_one_line(error)} for {what}"
            raise Nonconforming(label(self.surrogate), text, "an evaluator of the task's designs") from error

    def asked(self, evaluator: Evaluator, batch: Batch | None = None) -> of_evaluators.Case:
        """The case of an evaluator."""
        return of_evaluators.case_of(
            evaluator, self.batch if batch is None else batch, self.seed, None, self.sources, self.pickled
        )

    def answer(self, evaluator: Evaluator, batch: Batch | None = None) -> Evaluation:
        """Of an evaluator, to the batch."""
        return self.asked(evaluator, batch).answer

    @cached_property
    def prior(self) -> Evaluator:
        """Conditioned on nothing, the first of all."""
        return self.conditioned(None, "no labels")

    @cached_property
    def before(self) -> Evaluation:
        """What the prior answers before anything is conditioned on labels."""
        return self.answer(self.prior)

    @cached_property
    def posterior(self) -> Evaluator:
        """Conditioned on the labels, after the prior was asked."""
        _ = self.before
        return self.conditioned(self.labels, "labels")

    @cached_property
    def after(self) -> Evaluation:
        """What the posterior answers at first."""
        return self.answer(self.posterior)


def case_of(
    surrogate: Surrogate,
    task: Task,
    labels: Dataset,
    batch: Batch,
    seed: int = 0,
    other: Dataset | None = None,
    learns: bool = True,
    any_order: bool = False,
    derived: Sequence[str] = (),
    sources: Sequence[str] = (),
    pickled: bool = True,
) -> Case:
    """See `check_surrogate`. Labels are copied, their copies read-only."""
    if labels.task.digest != task.digest or batch.schema != task.schema:
        raise ValueError(f"labels and batch are not of task {task.name}")
    if other is not None and other.task.digest == task.digest:
        raise ValueError(f"`other` has labels of task {task.name} too; give those of another task")
    if np.sum(labels.evaluation.status == Status.OK) < 2 or labelled(labels.evaluation).sum() < 3:
        raise ValueError("the labels are too few to tell; give at least 3, two of them OK")
    frozen = _frozen(labels)
    return Case(surrogate, task, frozen, batch, seed, other, learns, any_order, derived, sources, pickled)


def check_surrogate(
    surrogate: Surrogate,
    task: Task,
    labels: Dataset,
    batch: Batch,
    seed: int = 0,
    *,
    other: Dataset | None = None,
    learns: bool = True,
    any_order: bool = False,
    derived: Sequence[str] = (),
    sources: Sequence[str] = (),
    pickled: bool = True,
) -> None:
    """All laws, for a task, at least three labels of it, and a batch of its designs, two or more.

    What it is conditioned to, with labels and without, passes `check_evaluator` on the batch (intervals where it states
    some) with at most the metrics of the task, those that follow from them, and `valid_probability`. Conditioned on
    equal labels it gives equal answers and versions, on others another version; nothing stays of labels, of tasks, or
    of rows that FAILED, and nothing is written into what it was given.

    `other` are labels of another task that it can read: the two are conditioned in turn (None: that is not checked).
    `learns` is False for one that ignores labels; then its answers must not depend on them. Equal labels are equal rows
    in one order, as what learns by folds or draws depends on it; `any_order` is for one that promises more: the same
    labels in another order give the same answers up to rounding. `derived` are metrics that follow from the task's by
    its view, beside those of `design/metrics.py`. `sources` and `pickled` as in `check_evaluator`.

    Conditions about a dozen times. Raises Nonconforming for what breaks a law, ValueError for labels that cannot tell.
    """
    case = case_of(surrogate, task, labels, batch, seed, other, learns, any_order, derived, sources, pickled)
    for law in LAWS.values():
        law(case)


def _declares(case: Case) -> None:
    """Name, version, what it was trained on; they stay what they are when it is conditioned."""
    surrogate, culprit = case.surrogate, label(case.surrogate)
    for field in ("name", "version"):
        value = getattr(surrogate, field, None)
        expect(isinstance(value, str) and value, culprit, f"{field} is {value!r}", "a text")
    trained = getattr(surrogate, "trained_on", None)
    expect(isinstance(trained, TrainingSet), culprit, f"trained_on is a {type(trained).__name__}", "a TrainingSet")
    before = (surrogate.name, surrogate.version, trained)
    _ = case.posterior
    for field, was in zip(("name", "version", "trained_on"), before, strict=True):
        same = getattr(surrogate, field) == was
        expect(same, culprit, f"{field} changed when it was conditioned", "what it was before any labels of the task")


def _evaluators(case: Case) -> None:
    """With labels and without, what it gives keeps all laws of evaluators."""
    for evaluator in (case.prior, case.posterior):
        asked = case.asked(evaluator)
        for law in of_evaluators.LAWS.values():
            law(asked)


def _metrics(case: Case) -> None:
    """Of the task, derived from those, and the probability that a design counts at all."""
    allowed = {*possible_metrics(case.task.metrics), *case.derived, VALID}
    for evaluator in (case.prior, case.posterior):
        extra = set(evaluator.metrics) - allowed
        text = f"answers {', '.join(sorted(extra))} for task {case.task.name}"
        expect(not extra, label(evaluator), text, f"at most {', '.join(sorted(allowed))}")


def _repeats(case: Case) -> None:
    """Conditioned on equal labels it gives equal answers under one version."""
    for labels, first, answer in ((case.labels, case.posterior, case.after), (None, case.prior, case.before)):
        again = case.conditioned(None if labels is None else _copy(labels), "equal labels")
        same = label(again) == label(first)
        expect(same, label(case.surrogate), f"{label(first)}, then {label(again)} for equal labels", "one version")
        assert_same(case.answer(again), answer, f"{label(first)}, conditioned twice on equal labels", "equal answers")


def _versions(case: Case) -> None:
    """Other labels, fewer or with other numbers, make another version; of one that ignores them, the same answers."""
    found = {"no labels": case.prior, "labels": case.posterior}
    for what, labels in (("fewer labels", _fewer(case.labels)), ("labels with other numbers", _changed(case.labels))):
        found[what] = case.conditioned(labels, what)
    culprit = label(case.surrogate)
    if not case.learns:
        for what, evaluator in found.items():
            text = _distance(case.answer(evaluator), case.before, 0.0)
            expect(not text, culprit, f"with {what} and with none, {text}", "equal answers, as it ignores labels")
        return
    names: dict[str, str] = {}
    for what, evaluator in found.items():
        before = names.setdefault(label(evaluator), what)
        text = f"{label(evaluator)} is its name and version with {before} and with {what}"
        expect(before == what, culprit, text, "another version for other labels (learns=False where it ignores them)")


def _forgets(case: Case) -> None:
    """Nothing stays of labels: neither in what is conditioned later, nor in what was conditioned before."""
    after, culprit = case.after, label(case.surrogate)
    text = "the answers of one that saw no labels"
    assert_same(case.answer(case.conditioned(None, "no labels")), case.before, f"{culprit}, after labels", text)
    changed = case.conditioned(_changed(case.labels), "other labels")
    case.answer(changed)
    assert_same(case.answer(case.prior), case.before, f"{culprit}, conditioned on nothing before the labels came", text)
    text = "the answers from these labels only"
    assert_same(case.answer(case.posterior), after, f"{culprit}, conditioned before other labels came", text)
    again = case.conditioned(case.labels, "labels")
    assert_same(case.answer(again), after, f"{culprit}, conditioned after other labels", text)


def _order(case: Case) -> None:
    """The same labels in another order give the same answers, up to rounding."""
    if not case.any_order:
        return
    turned = case.labels.take(np.arange(len(case.labels))[::-1])
    text = _distance(case.answer(case.conditioned(turned, "labels in another order")), case.after, CLOSE)
    expect(not text, f"{label(case.surrogate)}, with labels in reverse", text, "equal answers up to rounding")


def _failed_labels(case: Case) -> None:
    """A row that FAILED says nothing of its design: with it the answers are the same."""
    evaluation, rows = case.labels.evaluation, len(case.labels)
    unknown = np.full(1, np.nan)
    failed = Evaluation(
        metrics={name: unknown for name in evaluation.metrics},
        violation={name: unknown for name in evaluation.violation},
        status=np.full(1, Status.FAILED, dtype=np.int8),
        reason=np.array(["the tool broke"]),
        cost_s=np.ones(1),
        source={name: values[:1] for name, values in evaluation.source.items()},
        level=evaluation.level,
    )
    batch = Batch.concat([case.labels.batch, case.batch.take(slice(1))])
    both = gather([(np.arange(rows), evaluation), (np.array([rows]), failed)], rows + 1)
    more = replace(case.labels, batch=batch, evaluation=both)
    text = _distance(case.answer(case.conditioned(more, "labels with a FAILED row")), case.after, CLOSE)
    expect(not text, f"{label(case.surrogate)}, with a label that FAILED", text, "answers as without it")


def _arguments(case: Case) -> None:
    """Labels are not written into, also where they can be."""
    given = _copy(case.labels)
    case.answer(case.conditioned(given, "labels"))
    for (name, values), (_, was) in zip(_arrays(given), _arrays(case.labels), strict=True):
        same = values.tobytes() == was.tobytes()
        expect(same, label(case.surrogate), f"wrote into {name} of the labels", "arguments left as they are")


def _tasks(case: Case) -> None:
    """Another task leaves nothing: neither in what is conditioned after it, nor in what was conditioned before."""
    if case.other is None:
        return
    task, labels, culprit = case.other.task, case.other, f"{label(case.surrogate)}, between two tasks"
    mine = case.after
    theirs = case.conditioned(labels, f"labels of {task.name}", task)
    answer = case.answer(theirs, labels.batch)
    assert_same(case.answer(case.posterior), mine, culprit, f"answers that conditioning on {task.name} does not change")
    again = case.answer(case.conditioned(case.labels, "labels"))
    assert_same(again, mine, culprit, f"answers as before it was conditioned on {task.name}")
    assert_same(
        case.answer(theirs, labels.batch), answer, culprit, f"answers that {case.task.name} leaves as they were"
    )
    third = case.conditioned(labels, f"labels of {task.name}", task)
    assert_same(case.answer(third, labels.batch), answer, culprit, f"the same of {task.name} again")


LAWS: dict[str, Callable[[Case], None]] = {
    "declares": _declares,
    "evaluators": _evaluators,
    "metrics": _metrics,
    "repeats": _repeats,
    "forgets": _forgets,
    "versions": _versions,
    "order": _order,
    "failed_labels": _failed_labels,
    "arguments": _arguments,
    "tasks": _tasks,
}


def _arrays(labels: Dataset) -> list[tuple[str, NDArray]]:
    """All that a data set holds, by name."""
    found = [(f"column {name}", values) for name, values in labels.batch.columns.items()]
    for field, named in labels.evaluation.per_row().items():
        found += [(f"{field} {name}".strip(), values) for name, values in named.items()]
    return found


def _copy(labels: Dataset) -> Dataset:
    """The same in other arrays."""
    return labels.take(np.arange(len(labels)))


def _frozen(labels: Dataset) -> Dataset:
    """A copy that cannot be written into."""
    copy = _copy(labels)
    for _, values in _arrays(copy):
        values.setflags(write=False)
    return copy


def _fewer(labels: Dataset) -> Dataset:
    """Without the last row that says something."""
    last = np.flatnonzero(labelled(labels.evaluation))[-1]
    return labels.take(np.delete(np.arange(len(labels)), last))


def _changed(labels: Dataset) -> Dataset:
    """With other numbers where rows are OK. Raises ValueError where all are 0."""
    ok = labels.feasible

    def other(values: Floats) -> Floats:
        scaled: Floats = np.where(ok.reshape(-1, *[1] * (values.ndim - 1)), values * FACTOR, values)
        return scaled

    evaluation = labels.evaluation
    metrics = {name: other(values) for name, values in evaluation.metrics.items()}
    if not any((metrics[name] != evaluation.metrics[name])[ok].any() for name in metrics):
        raise ValueError("all numbers of the labels are 0 or unknown; give labels that say something")
    interval = {name: other(values) for name, values in evaluation.interval.items()}
    samples = {name: other(values) for name, values in evaluation.samples.items()}
    return replace(labels, evaluation=replace(evaluation, metrics=metrics, interval=interval, samples=samples))


def _distance(ours: Evaluation, theirs: Evaluation, close: float) -> str:
    """Where two answers differ by more than a share, in a few words, "" where they do not; names of sources and the
    versions in them are not compared."""
    if not np.array_equal(ours.status, theirs.status):
        return f"another status in {rows_text(ours.status != theirs.status)}"
    for field in ("metrics", "interval", "samples"):
        left, right = ours.per_row()[field], theirs.per_row()[field]
        if set(left) != set(right):
            return f"{field} of other metrics"
        for name, values in left.items():
            if values.shape != right[name].shape:
                return f"{field} of {name} of another shape"
            near = np.isclose(values, right[name], rtol=close, atol=0.0, equal_nan=True)
            off = ~near.all(axis=tuple(range(1, values.ndim)))
            if off.any():
                row = int(np.argmax(off))
                return f"{field} of {name} in row {row} is {values[row]} and was {right[name][row]}"
    return ""
