"""Predictors that learn from a kernel's own labels alone: the loops that every other loop is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

import numpy as np

from cost_model.hls.rows import UTILISATION, add_shares, answered, faults, sound_columns
from cost_model.surrogates.predictor import METRICS, VALID, FittedOn, Labelled
from cost_model.surrogates.tables.correction import telling
from cost_model.surrogates.tables.feasibility import learn_validity
from cost_model.surrogates.tables.targets import targets, values
from cost_model.surrogates.tables.task_only import FEWEST, fit_alone
from cost_model.views.hls.directive_features import directive_features
from design.contracts import LEARNED, AtOnce, Evaluator
from design.core import LEVEL, Batch, Bools, Evaluation, Floats
from design.hls.design import Target
from design.hls.loop_nest import Kernel
from design.metrics import METRICS as KNOWN

VERSION = "1"
WIDE = 1.6448536269514722  # standard deviations on either side of the mean hold LEVEL of a normal distribution
KNOWS_NOTHING = 3.0, 3.0  # mean and deviation of targets where there are no labels: cycles from 2 to 1e7


class AlonePredictor:
    """Models of `kind` (`cost_model/surrogates/tables/task_only.py`) on the values of directives. The seed is that of
    the model. Labels without cycles or resources teach what is valid only."""

    version, fitted_on = VERSION, FittedOn()

    def __init__(self, kind: str) -> None:
        self.name = kind

    def fitted(self, kernel: Kernel, target: Target, labels: Labelled | None, seed: int) -> Evaluator:
        """See `Predictor`."""
        return AloneEvaluator(self.name, kernel, target, labels, seed)


class AloneEvaluator(AtOnce):
    """Answers for one kernel's designs, each with the central 90 % of what the model holds possible."""

    fidelity = LEARNED

    def __init__(self, kind: str, kernel: Kernel, target: Target, labels: Labelled | None, seed: int) -> None:
        self.name, self.kernel, self.target = kind, kernel, target
        shares = [f"{name}_share" for name in target.device.resources]
        self.metrics: Mapping[str, str] = {n: KNOWN[n].unit for n in (*METRICS, *shares, UTILISATION, VALID)}
        self.version = VERSION
        self._model = self._validity = None
        self._absent: Bools = np.ones(len(METRICS), dtype=bool)  # of which no label says anything
        if labels is None or not len(labels):
            return
        sound = faults(kernel, labels.batch.columns) == ""
        truth = targets({metric: labels.truth[metric] for metric in METRICS})
        rows = directive_features(kernel, target, labels.batch.columns)
        places = np.flatnonzero(sound)
        known, told_of = telling(truth[places], np.full((len(places), len(METRICS)), KNOWS_NOTHING[0]))
        self._absent = np.array(np.isnan(truth[places]).all(axis=0))
        if len(known) >= FEWEST:
            self._model = fit_alone(kind, rows[places[known]], told_of, seed)
        valid = labels.valid & np.isfinite(labels.truth["cycles"])
        self._validity = learn_validity(rows, np.full(len(labels), 0.5), valid, seed)
        told = repr((seed, truth.tolist(), valid.tolist(), rows.tolist()))
        self.version += f"({len(labels)} labels {blake2b(told.encode(), digest_size=4).hexdigest()})"

    def evaluate(self, batch: Batch, *, seed: int) -> Evaluation:
        """See `Evaluator`."""
        count, fault = len(batch), faults(self.kernel, batch.columns)
        rows = directive_features(self.kernel, self.target, sound_columns(self.kernel, batch.columns, fault == ""))
        mean, spread = (np.full((count, len(METRICS)), number) for number in KNOWS_NOTHING)
        if self._model is not None and count:
            said = self._model(rows)
            mean, spread = np.where(self._absent, mean, said.mean), np.where(self._absent, spread, said.spread)
        medians, ends = values(mean), (values(mean - WIDE * spread), values(mean + WIDE * spread))
        interval = {m: np.sort(np.stack([end[m] for end in ends], axis=1), axis=1) for m in METRICS}
        add_shares(medians, interval, self.target.device)
        likely: Floats = np.full(count, 0.5)
        medians[VALID] = likely if self._validity is None else self._validity(rows, likely)
        interval[VALID] = np.tile([0.0, 1.0], (count, 1))
        source = f"{self.name}/{self.version}"
        return answered(medians, interval, {}, fault, self.target, "predicted", source, LEVEL, 0.0)
