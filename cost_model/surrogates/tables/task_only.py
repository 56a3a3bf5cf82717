"""Models of one kernel's designs that know its labels and nothing else: what loops without a prior are made of.

Both say how unsure they are: a forest by how its trees differ, a Gaussian process by its posterior.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from design.core import Floats

FOREST, PROCESS = "extra-trees", "gaussian-process"
KINDS = (FOREST, PROCESS)
FEWEST = 2  # labels that it takes
TREES = 100
DECIMALS = 6  # of what a process says: products of matrices differ in the last digits by how many rows there are


@dataclass(frozen=True)
class Said:
    """Of n rows: `mean` and standard deviation `spread` of each target, (n, targets)."""

    mean: Floats
    spread: Floats


Model = Callable[[Floats], Said]


def fit_alone(kind: str, rows: Floats, targets: Floats, seed: int) -> Model:
    """Of features (m, k) and targets (m, targets), m of at least FEWEST."""
    return _forest(rows, targets, seed) if kind == FOREST else _process(rows, targets, seed)


def _forest(rows: Floats, targets: Floats, seed: int) -> Model:
    from sklearn.ensemble import ExtraTreesRegressor

    forest = ExtraTreesRegressor(TREES, random_state=seed, n_jobs=1).fit(rows, targets)

    def said(features: Floats) -> Said:
        each = np.stack([tree.predict(features).reshape(len(features), -1) for tree in forest.estimators_])
        return Said(each.mean(axis=0), each.std(axis=0))

    return said


def _process(rows: Floats, targets: Floats, seed: int) -> Model:
    """One process a target, with a Matern 5/2 kernel and noise, its scales fitted by likelihood."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    middle, wide = rows.mean(axis=0), rows.std(axis=0)
    wide = np.where(wide > 0, wide, 1.0)
    length = float(np.sqrt(rows.shape[1]))
    processes = []
    for column in targets.T:
        kernel = ConstantKernel(1.0) * Matern(length, (length / 30, length * 30), nu=2.5) + WhiteKernel(
            1e-3, (1e-6, 1.0)
        )
        process = GaussianProcessRegressor(kernel, normalize_y=True, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # scales at a bound are scales
            processes.append(process.fit((rows - middle) / wide, column))

    def said(features: Floats) -> Said:
        answers = [process.predict((features - middle) / wide, return_std=True) for process in processes]
        mean, spread = (np.stack([answer[part] for answer in answers], axis=1) for part in (0, 1))
        return Said(np.round(mean, DECIMALS), np.round(spread, DECIMALS))

    return said
