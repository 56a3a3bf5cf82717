"""Evaluator `estimate`: what an HLS tool would say of a kernel's designs, by the analytic model of `cost_model/hls`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np

from cost_model.hls.adapt import Correction, features, learn, log_residual
from cost_model.hls.estimator import Estimator, valid_probability
from cost_model.hls.rows import add_shares, answered, faults, sound_columns
from cost_model.hls.store import Fitted, read_fitted
from design.contracts import AtOnce, Dataset, Prediction, Task, TrainingSet
from design.core import LEVEL, Batch, Evaluation, Floats, Ints
from design.hls.design import TARGETS, Target
from design.hls.loop_nest import Kernel
from design.hls.task import hls_task
from design.metrics import HLS_METRICS, UTILISATION, VALID, metric_unit

VERSION = "1"


class EstimateEvaluator(AtOnce):
    """Estimates of one kernel's designs for a target: cycles, resources as counts and as shares of the device, the
    largest share as `utilisation`, and how likely the tool is to give a valid design at all.

    A design over the device's usable share is INFEASIBLE by as much; a directive that its loop cannot have is
    FAILED. Intervals hold 90 % of residuals of kernels that the constants had not seen, or of labelled designs.
    """

    name = "estimate"
    fidelity = 0

    def __init__(self, kernel: Kernel, target: Target, fitted: Fitted, correction: Correction | None = None) -> None:
        self.kernel, self.target, self.correction = kernel, target, correction
        constants = fitted.constants_of(kernel.digest)
        self.estimator = Estimator(kernel, constants)
        self.base = {name: (values[0], values[-1]) for name, values in fitted.residuals.items()}
        learned = "" if correction is None else f",{correction.labels} labels {correction.digest}"
        spread = blake2b(repr(sorted(self.base.items())).encode(), digest_size=3).hexdigest()
        self.version = f"{VERSION}({target.tool} constants {constants.digest()}-{spread}{learned})"
        shares = [f"{name}_share" for name in target.device.resources]
        self.metrics: Mapping[str, str] = {
            name: metric_unit(name) for name in (*HLS_METRICS, *shares, UTILISATION, VALID)
        }

    def evaluate(self, batch: Batch, *, seed: int) -> Evaluation:
        """Answers for all rows; the model has no use for the seed. Raises nothing for bad rows."""
        begin = time.process_time()
        fault = faults(self.kernel, batch.columns)
        sound = fault == ""
        metrics, interval = self._answer(sound_columns(self.kernel, batch.columns, sound))
        spent = time.process_time() - begin
        source = f"{self.name}/{self.version} (low fidelity)"
        return answered(Prediction(metrics, interval, {}, fault, source, LEVEL, spent, "estimated"), self.target)

    def _answer(self, columns: Mapping[str, Ints]) -> tuple[dict[str, Floats], dict[str, Floats]]:
        """Metrics and intervals of sound rows."""
        found = self.estimator.estimate(columns)
        count = len(found["cycles"])
        spread: Mapping[str, tuple[float, float]] = self.base
        values = {name: np.maximum(found[name], 0.0) for name in HLS_METRICS}
        if self.correction is not None and self.correction.labels:
            spread = self.correction.spread
            factors = self.correction.log2_factor(features(self.kernel, columns, found))
            values = {name: np.maximum(found[name], 1.0) * 2.0 ** factors[name] for name in HLS_METRICS}
        interval = {}
        for name in HLS_METRICS:
            low, high = spread[name]
            sides = [values[name] * 2.0 ** min(low, 0.0), values[name] * 2.0 ** max(high, 0.0)]
            interval[name] = np.stack(sides, axis=1)
        device = self.target.device
        for name in () if self.correction is None else sorted(self.correction.unreported):
            least = device.reported * device.resources[name]
            values[name], interval[name] = (np.where(v < least, 0.0, v) for v in (values[name], interval[name]))
        add_shares(values, interval, device)
        values[VALID] = valid_probability(self.estimator.constants, found["code"], values[UTILISATION], device.usable)
        interval[VALID] = np.tile([0.0, 1.0], (count, 1))  # one design is valid or not
        return values, interval


@dataclass(frozen=True)
class LeftOut(TrainingSet):
    """What the constants learned from, but for the kernels that are judged by constants fitted without them: those
    whose source is known by its digest are always estimated by the fit that left out their family."""

    def contains(self, family: str, digest: str) -> bool:
        """Whether a kernel, or one of its family, was among them and is not left out."""
        return family in self.families and digest not in self.digests


class EstimateSurrogate:
    """The estimator as a surrogate: labels of a kernel correct its estimates and its intervals."""

    name = "estimate"

    def __init__(self, fitted: Mapping[str, Fitted] | None = None) -> None:
        self._fitted = dict(fitted or {})
        self._read = fitted is None
        every = [self._of(tool) for tool in TARGETS] if self._read else list(self._fitted.values())
        families = frozenset(family for one in every for family in one.without)
        self.trained_on: TrainingSet = LeftOut(families, frozenset(d for one in every for d in one.kernels.values()))
        text = repr([(one.tool, one.all.digest(), sorted(one.residuals.items())) for one in every])
        self.version = f"{VERSION}-{blake2b(text.encode(), digest_size=4).hexdigest()}"

    def condition(self, task: Task, labels: Dataset | None, *, seed: int) -> EstimateEvaluator:
        """See `Surrogate`. A label without cycles, or without a resource that others have, teaches nothing."""
        kernel, target = hls_task(task).kernel, hls_task(task).target
        one = self._of(target.tool)
        plain = EstimateEvaluator(kernel, target, one)
        if labels is None or not len(labels):
            return plain
        columns = labels.batch.columns
        found = plain.estimator.estimate(columns)
        residuals = {name: log_residual(name, labels.metric(name), found[name]) for name in HLS_METRICS}
        absent = [name for name, values in residuals.items() if np.isnan(values).all()]  # the tool does not say
        if len(absent) == len(residuals):
            return plain
        residuals |= {name: np.zeros(len(labels)) for name in absent}
        known = np.all([np.isfinite(values) for values in residuals.values()], axis=0)
        known &= faults(kernel, columns) == ""
        rows = features(kernel, columns, found)[known]
        residuals = {name: values[known] for name, values in residuals.items()}
        unreported = frozenset(r for r in target.device.resources if (labels.metric(r)[known] == 0).any())
        learned = learn(rows, residuals, plain.base, seed, unreported)
        spread = dict(learned.spread) | {name: plain.base[name] for name in absent}
        return EstimateEvaluator(kernel, target, one, replace(learned, spread=spread))

    def _of(self, tool: str) -> Fitted:
        if tool not in self._fitted and self._read:
            self._fitted[tool] = read_fitted(tool)
        return self._fitted[tool]
