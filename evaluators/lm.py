"""Evaluator `lm`: what an HLS tool would say of a kernel's designs, digit by digit, by a numeric language model."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np

from cost_model.hls.adapt import Correction, features, learn, log_residual
from cost_model.hls.store import Fitted, read_fitted
from cost_model.lm.checkpoint import Checkpoint
from cost_model.lm.distribution import Distribution
from cost_model.lm.examples import Prompter
from cost_model.lm.grammar import Grammar
from cost_model.lm.reading import TOGETHER, Reader, Reading, confidences
from cost_model.prompt.design import METRICS as SAID
from design.core import Batch, Evaluation, Floats, key_bytes
from design.hls import Target
from design.loop_nest import Kernel
from design.metrics import METRICS
from evaluators.base import AtOnce
from evaluators.baselines import LEARNED
from evaluators.hls_rows import UTILISATION, add_shares, answered, faults, sound_columns
from evaluators.predictor import VALID, FittedOn, Labelled

VERSION = "1"
LEVEL = 0.9
TAILS = ((1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2)
SAMPLES = 5


class LmEvaluator(AtOnce):
    """A model's answers for one kernel's designs: medians of exact predictive distributions, their central 90 %, five
    samples of each (pass@5), and the probability that the tool makes a valid design.

    A design whose median takes more than the device's usable share is INFEASIBLE by as much; a directive that its
    loop cannot have is FAILED. With a `correction`, what labelled designs of the kernel taught is multiplied on.
    Raises InputError for a kernel that is too long for the model.
    """

    name = "lm"
    fidelity = LEARNED
    together = TOGETHER

    def __init__(
        self,
        kernel: Kernel,
        target: Target,
        checkpoint: Checkpoint,
        fitted: Fitted,
        correction: Correction | None = None,
    ) -> None:
        self.kernel, self.target, self.correction = kernel, target, correction
        self.prompter = Prompter(kernel, target, fitted, checkpoint.recipe.context)
        self.reader = Reader(checkpoint.model, Grammar(checkpoint.recipe.make_codec()), self.prompter.program)
        learned = "" if correction is None else f",{correction.labels} labels {correction.digest}"
        constants = self.prompter.estimator.constants.digest()
        self.version = f"{VERSION}({checkpoint.digest},{target.tool} constants {constants}{learned})"
        shares = [f"{name}_share" for name in target.device.resources]
        self.metrics: Mapping[str, str] = {name: METRICS[name].unit for name in (*SAID, *shares, UTILISATION, VALID)}

    def evaluate(self, batch: Batch, *, seed: int) -> Evaluation:
        """Answers for all rows; samples are drawn by the seed and each design's key. Raises nothing for bad rows."""
        begin, count = time.process_time(), len(batch)
        fault = faults(self.kernel, batch.columns)
        sound = fault == ""
        columns = sound_columns(self.kernel, batch.columns, sound)
        prompts, estimate = self.prompter.prompts(columns)
        reading = self.reader.read(prompts)
        factors = {name: np.ones(count) for name in SAID}
        if self.correction is not None and self.correction.labels:
            rows = features(self.kernel, columns, medians(reading) | {"code": estimate["code"]})
            factors = {name: 2.0**said for name, said in self.correction.log2_factor(rows).items()}
        values, interval, samples = self._answer(reading, factors, draws(batch, seed))
        values[VALID] = reading.valid
        interval[VALID] = np.tile([0.0, 1.0], (count, 1))  # one design is valid or not
        spent, source = time.process_time() - begin, f"{self.name}/{self.version}"
        return answered(values, interval, samples, fault, self.target, "predicted", source, LEVEL, spent)

    def digits(self, batch: Batch) -> dict[str, list[tuple[str, float]]]:
        """Of one design, by metric: the tokens of the model's median, each with its probability after those before."""
        prompts, _ = self.prompter.prompts(batch.columns)
        said = {name: float(values[0]) for name, values in medians(self.reader.read(prompts)).items()}
        return confidences(self.reader, prompts, said)

    def _answer(
        self, reading: Reading, factors: Mapping[str, Floats], uniforms: Floats
    ) -> tuple[dict[str, Floats], dict[str, Floats], dict[str, Floats]]:
        """Medians (n,), intervals (n, 2) and samples (n, SAMPLES)."""
        values, interval, samples = {}, {}, {}
        for place, name in enumerate(SAID):
            factor = factors[name][:, None]
            low, middle, high = (reading.metrics[name].quantiles(np.array(TAILS)) * factor).T
            values[name] = middle
            if self.correction is not None and self.correction.labels:
                least, most = self.correction.spread[name]
                low, high = middle * 2.0 ** min(least, 0.0), middle * 2.0 ** max(most, 0.0)
            interval[name] = np.stack([low, high], axis=1)
            samples[name] = reading.metrics[name].quantiles(uniforms[:, place]) * factor
        device = self.target.device
        for name in () if self.correction is None else sorted(self.correction.unreported):
            least = device.reported * device.resources[name]
            values[name], interval[name] = (np.where(v < least, 0.0, v) for v in (values[name], interval[name]))
        add_shares(values, interval, device)
        return values, interval, samples


def medians(reading: Reading) -> dict[str, Floats]:
    """(n,) by metric."""
    return {name: said.quantiles(np.array([0.5]))[:, 0] for name, said in reading.metrics.items()}


def draws(batch: Batch, seed: int) -> Floats:
    """(n, metrics, SAMPLES) uniform numbers, a design's own whatever its company."""
    keys = key_bytes(batch.schema.key(batch))
    rngs = (np.random.default_rng([seed, *np.frombuffer(key, dtype=np.uint32).tolist()]) for key in keys)
    return np.array([rng.random((len(SAID), SAMPLES)) for rng in rngs]).reshape(len(batch), len(SAID), SAMPLES)


class LmPredictor:
    """A checkpoint as a predictor: labels of a kernel correct its medians and its intervals."""

    name = "lm"

    def __init__(self, checkpoint: Checkpoint, fitted: Mapping[str, Fitted] | None = None) -> None:
        self.checkpoint = checkpoint
        self._fitted = dict(fitted or {})
        learned = self.checkpoint.learned
        self.fitted_on = FittedOn(frozenset(learned.families), frozenset(learned.digests))
        self.version = f"{VERSION}-{self.checkpoint.digest}"

    def fitted(self, kernel: Kernel, target: Target, labels: Labelled | None, seed: int) -> LmEvaluator:
        """See `Predictor`. Labels without cycles or resources teach nothing."""
        constants = self._constants(target.tool)
        plain = LmEvaluator(kernel, target, self.checkpoint, constants)
        if labels is None or not len(labels):
            return plain
        columns = labels.batch.columns
        prompts, estimate = plain.prompter.prompts(columns)
        reading = plain.reader.read(prompts)
        said = medians(reading)
        residuals = {name: log_residual(name, labels.truth[name], said[name]) for name in SAID}
        known = np.all([np.isfinite(values) for values in residuals.values()], axis=0)
        known &= faults(kernel, columns) == ""
        rows = features(kernel, columns, said | {"code": estimate["code"]})[known]
        residuals = {name: values[known] for name, values in residuals.items()}
        unreported = frozenset(r for r in target.device.resources if (labels.truth[r][known] == 0).any())
        base = {name: _spread(reading.metrics[name]) for name in SAID}
        correction = learn(rows, residuals, base, seed, unreported)
        return LmEvaluator(kernel, target, self.checkpoint, constants, correction)

    def _constants(self, tool: str) -> Fitted:
        if tool not in self._fitted:
            self._fitted[tool] = read_fitted(tool)
        return self._fitted[tool]


def _spread(said: Distribution) -> tuple[float, float]:
    """Of a kernel's labels the median of what the model itself says: log2 of the interval's ends against the middle."""
    low, middle, high = np.maximum(said.quantiles(np.array(TAILS)), 1.0).T
    return float(np.median(np.log2(low / middle))), float(np.median(np.log2(high / middle)))
