"""Evaluator `lm`: what an HLS tool would say of a kernel's designs, digit by digit, by a numeric language model."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from cost_model.numbers import Scientific
from cost_model.surrogates.lm.backbones.base import Backbone
from cost_model.surrogates.lm.distribution import confidences
from cost_model.surrogates.lm.examples import Prompter, answers_of
from cost_model.surrogates.lm.grammar import Grammar
from cost_model.surrogates.lm.inference import TOGETHER, Reader, Reading
from cost_model.surrogates.lm.labels import labels_text
from cost_model.surrogates.lm.recipe import Recipe
from cost_model.surrogates.tables.correction import Correction, learn, telling
from cost_model.training.checkpoint import Checkpoint
from cost_model.views.plain import PlainView
from design.contracts import LEARNED, AtOnce, Dataset, Prediction, Task, TrainingSet
from design.core import LEVEL, Batch, Evaluation, Floats, Ints, key_bytes
from design.metrics import HLS_METRICS as SAID
from design.metrics import VALID, metric_unit, target_table, values_of

VERSION = "2"
TAILS = ((1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2)
SAMPLES = 5
CYCLES = SAID.index("cycles")
MORE = {"power": "power_w", "area": "area_mm2"}  # what a model may answer beside SAID, and how it is known
FINER = Scientific(digits=3, signed=False, exponents=(-9, 9))  # of those
MOST_KNOWN = 50_000  # designs whose reading is remembered, half a kilobyte each
PRINTED = Scientific(digits=3, signed=False)  # the digits whose confidence is told


class LmEvaluator(AtOnce):
    """A model's answers for one kernel's designs: medians of exact predictive distributions, their central 90 %, five
    samples of each (pass@5), and the probability that the tool makes a valid design.

    A design whose median takes more than the device's usable share is INFEASIBLE by as much; a directive that its
    loop cannot have is FAILED. `taught` by labelled designs of the kernel, it moves a design's whole distribution to
    where its corrected median lies. Raises InputError for a kernel that is too long for the model.
    """

    name = "lm"
    fidelity = LEARNED
    together = TOGETHER

    def __init__(self, task: Task, view: PlainView, checkpoint: Checkpoint[Recipe, Backbone]) -> None:
        self.task, self._view = task, view
        self.taught: Taught | None = None
        self._known: dict[bytes, Floats] = {}  # what was read of designs, by seed and key
        self.prompter = _roomy(Prompter(task, view, checkpoint.recipe))
        self.reader = Reader(checkpoint.model, Grammar(checkpoint.recipe.make_codec()), self.prompter.program)
        self.version = f"{VERSION}({checkpoint.digest},{self.prompter.source.version})"
        self._more = {name: MORE[name] for name in checkpoint.recipe.metrics[len(SAID) :]}
        known = view.metrics(task)
        more = {name: metric_unit(name) for name in self._more.values()}
        self.metrics: Mapping[str, str] = {name: known[name] for name in SAID} | more | known

    def learned(self, taught: Taught) -> LmEvaluator:
        """The same, with labels. Both share what was read of the program."""
        found = copy(self)
        found.taught = taught
        found.version = f"{self.version[:-1]},{taught.labels} labels {taught.digest})"
        return found

    def shown(self, labels: Ints, count: int) -> LmEvaluator:
        """The same, with `count` labels (tokens,) behind the program. Raises InputError where they leave no room."""
        found = copy(self)
        found._known, found.prompter = {}, _roomy(self.prompter.behind(labels))
        found.reader = Reader(self.reader.model, self.reader.grammar, found.prompter.program)
        digest = blake2b(labels.tobytes(), digest_size=4).hexdigest()
        found.version = f"{self.version[:-1]},{count} labels shown {digest})"
        return found

    def evaluate(self, batch: Batch, *, seed: int) -> Evaluation:
        """Answers for all rows; samples are drawn by the seed and each design's key. Raises nothing for bad rows."""
        begin, count = time.process_time(), len(batch)
        fault = self._view.faults(self.task, batch)
        sound = self._view.sound(self.task, batch, fault == "")
        heard = self.heard(batch, sound, seed)
        numbers = heard.numbers[:, :, : len(SAID)]
        if self.taught is not None and count:
            y = self.taught.correction.targets(self._view, self.task, sound, heard.y, heard.estimate)
            numbers = moved(numbers, y - heard.y)
        found = {name: numbers[:, :, place] for place, name in enumerate(SAID)}
        more = np.moveaxis(heard.numbers[:, :, len(SAID) :], 2, 0)
        found |= dict(zip(self._more.values(), more, strict=True))
        medians = {name: rows[:, 1] for name, rows in found.items()}
        interval = {name: rows[:, [0, 2]] for name, rows in found.items()}
        samples = {name: rows[:, len(TAILS) :] for name, rows in found.items()}
        self._view.derive(self.task, medians, interval)
        medians[VALID] = heard.valid
        interval[VALID] = np.tile([0.0, 1.0], (count, 1))  # one design is valid or not
        spent, source = time.process_time() - begin, f"{self.name}/{self.version}"
        return self._view.complete(self.task, Prediction(medians, interval, samples, fault, source, LEVEL, spent))

    def heard(self, batch: Batch, sound: Batch, seed: int) -> Heard:
        """What the model itself says, labels or none: each design is read once a seed, for reading is dear. `sound` is
        the batch with designs in place of rows that are none."""
        salt = seed.to_bytes(8, "little", signed=True)
        keys = [salt + key for key in key_bytes(batch.schema.key(batch))]
        new = np.array([row for row, key in enumerate(keys) if key not in self._known], dtype=np.int64)
        if len(self._known) + len(new) > MOST_KNOWN:
            self._known.clear()
            new = np.arange(len(batch))
        if len(new):
            heard = self._read(batch.take(new), sound.take(new), seed)
            for place, row in enumerate(new.tolist()):
                self._known[keys[row]] = heard.row(place)
        return Heard.of([self._known[key] for key in keys], len(SAID) + len(self._more))

    def _read(self, batch: Batch, sound: Batch, seed: int) -> Heard:
        """Samples are drawn by the seed and each design's key."""
        said, parts = self.said(sound), []
        uniforms = draws(batch, seed, len(said.reading.metrics))
        for place, distribution in enumerate(said.reading.metrics.values()):
            at = np.concatenate([np.broadcast_to(TAILS, (len(batch), len(TAILS))), uniforms[:, place]], axis=1)
            parts.append(distribution.quantiles(at))
        numbers = np.stack(parts, axis=2)
        numbers[:, :, CYCLES] = np.maximum(numbers[:, :, CYCLES], 1.0)
        return Heard(numbers, said.y, said.estimate, said.reading.valid)

    def said(self, batch: Batch) -> Said:
        """What the model says of n sound designs."""
        prompts, estimate = self.prompter.prompts(batch)
        reading = self.reader.read(prompts)
        middle = {name: dist.quantiles(np.array([0.5]))[:, 0] for name, dist in reading.metrics.items()}
        least = {name: np.maximum(estimate[name], 1.0) for name in SAID}
        middle["cycles"] = np.maximum(middle["cycles"], 1.0)  # nothing takes less
        return Said(reading, middle, target_table(middle, SAID), target_table(least, SAID))

    def digits(self, batch: Batch) -> dict[str, list[tuple[str, float]]]:
        """Of one design, by metric: the tokens of the model's median as PRINTED, each with its probability after those
        before it."""
        said = self.said(batch)
        found = {name: confidences(PRINTED, said.reading.metrics[name], float(said.medians[name][0])) for name in SAID}
        for name, known_as in self._more.items():
            found[known_as] = confidences(FINER, said.reading.metrics[name], float(said.medians[name][0]))
        return found


def _roomy(prompter: Prompter) -> Prompter:
    """The same. Raises InputError where there is no room for a design: all of a kernel take as much."""
    schema = prompter.task.schema
    nothing = {column.name: np.empty(0, dtype=column.dtype) for column in schema.columns}
    prompter.prompts(Batch(schema, nothing))
    return prompter


@dataclass(frozen=True)
class Said:
    """Of n designs: the model's `reading`, its `medians` by metric (n,), and as targets (n, metrics) the medians (`y`)
    and the `estimate` that the model was shown."""

    reading: Reading
    medians: Mapping[str, Floats]
    y: Floats
    estimate: Floats


@dataclass(frozen=True)
class Heard:
    """Of n designs, without labels: `numbers` (n, TAILS + SAMPLES, metrics), targets `y` (n, SAID) of the medians and
    of the `estimate` (n, SAID), and `valid` (n,)."""

    numbers: Floats
    y: Floats
    estimate: Floats
    valid: Floats

    def row(self, place: int) -> Floats:
        """All of one design."""
        parts = (self.numbers[place].ravel(), self.y[place], self.estimate[place], self.valid[place : place + 1])
        return np.concatenate(parts)

    @staticmethod
    def of(rows: Sequence[Floats], metrics: int) -> Heard:
        """The inverse."""
        asked = (len(TAILS) + SAMPLES) * metrics
        table = np.array(rows).reshape(len(rows), asked + 2 * len(SAID) + 1)
        numbers = table[:, :asked].reshape(len(rows), len(TAILS) + SAMPLES, metrics)
        y, estimate = np.split(table[:, asked:-1], 2, axis=1)
        return Heard(numbers, y, estimate, table[:, -1])


@dataclass(frozen=True)
class Taught:
    """What `labels` designs of a kernel, whose numbers and the seed make `digest`, teach."""

    correction: Correction
    labels: int
    digest: str


def moved(numbers: Floats, off: Floats) -> Floats:
    """Numbers (n, k, metrics) moved by `off` (n, metrics) in the targets' measure."""
    n, k, metrics = numbers.shape
    by_metric = {name: numbers[:, :, place].ravel() for place, name in enumerate(SAID)}
    y = target_table(by_metric, SAID).reshape(n, k, metrics)
    by_name = values_of((y + off[:, None]).reshape(n * k, metrics), SAID)
    found: Floats = np.stack([by_name[name] for name in SAID], axis=1).reshape(n, k, metrics)
    return found


def draws(batch: Batch, seed: int, metrics: int) -> Floats:
    """(n, metrics, SAMPLES) uniform numbers, a design's own whatever its company."""
    keys = key_bytes(batch.schema.key(batch))
    rngs = (np.random.default_rng([seed, *np.frombuffer(key, dtype=np.uint32).tolist()]) for key in keys)
    return np.array([rng.random((metrics, SAMPLES)) for rng in rngs]).reshape(len(batch), metrics, SAMPLES)


class LmSurrogate:
    """A checkpoint as a surrogate. Labels of a task are learned by forests beside the model, see
    `surrogates/tables/correction.py`; a model that was trained to be shown labels in its prompt is shown them."""

    name = "lm"

    def __init__(self, checkpoint: Checkpoint[Recipe, Backbone], view: PlainView) -> None:
        self.checkpoint, self._view = checkpoint, view
        self._last: tuple[Task, LmEvaluator] | None = None
        learned = self.checkpoint.learned
        self.trained_on = TrainingSet(frozenset(learned.families), frozenset(learned.digests))
        self.version = f"{VERSION}-{self.checkpoint.digest}"

    def condition(self, task: Task, labels: Dataset | None, *, seed: int) -> LmEvaluator:
        """See `Surrogate`. A label without cycles, or without a resource that others have, teaches nothing, and none
        teaches what is feasible."""
        plain = self._plain(task)
        if labels is None or not len(labels):
            return plain
        truth = target_table({metric: labels.metric(metric) for metric in SAID}, SAID)
        recipe, sound = self.checkpoint.recipe, self._view.faults(task, labels.batch) == ""
        if recipe.shots:
            known = np.flatnonzero(np.isfinite(truth).all(axis=1) & sound)
            if not len(known):
                return plain
            few = known[np.random.default_rng(seed).permutation(len(known))[: recipe.shots]]
            prompts, _ = plain.prompter.prompts(labels.batch.take(few))
            numbers = answers_of(recipe.metrics, {metric: labels.metric(metric)[few] for metric in SAID})
            return plain.shown(labels_text(recipe.make_codec(), prompts, numbers), len(few))
        batch = labels.batch.take(np.flatnonzero(sound))
        said = plain.heard(batch, batch, seed)
        known, truth = telling(truth[sound], said.y)
        if not len(known):
            return plain
        batch = batch.take(known)
        correction = learn(self._view, task, batch, said.y[known], said.estimate[known], truth, seed)
        columns = sorted((name, column.tolist()) for name, column in batch.columns.items())
        digest = blake2b(repr((seed, columns, truth.tolist())).encode(), digest_size=4).hexdigest()
        return plain.learned(Taught(correction, len(known), digest))

    def _plain(self, task: Task) -> LmEvaluator:
        """Without labels. That of the last task is kept: its program need not be read again."""
        if self._last is None or (self._last[0].digest, self._last[0].schema) != (task.digest, task.schema):
            self._last = task, LmEvaluator(task, self._view, self.checkpoint)
        return self._last[1]
