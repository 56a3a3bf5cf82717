"""The analytic estimate as features: where a design stands before anything is learned.

The constants are the unfitted ones. Fitted constants have seen results of kernels, and a model judged on one of those
would have seen it too.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cost_model.hls.constants import HlsConstants
from cost_model.hls.estimator import Estimator
from design.core import Floats, Ints
from design.hls.design import Target
from design.hls.loop_nest import Kernel
from design.metrics import HLS_METRICS, RESOURCES, target_table


def estimate_targets(kernel: Kernel, columns: Mapping[str, Ints]) -> Floats:
    """(n, metrics) targets of the estimate of n designs; `columns` by parameter, (n,) each."""
    return target_table(Estimator(kernel, HlsConstants()).estimate(columns), HLS_METRICS)


def estimate_features(kernel: Kernel, target: Target, columns: Mapping[str, Ints]) -> Floats:
    """(n, metrics + resources + 1) the targets of the estimate, log2 of the share of the device that each resource
    takes, and of the largest of the shares, which decides whether a design fits."""
    found = estimate_targets(kernel, columns)
    counts = np.exp2(2 * found[:, 1:]) - 1
    has = np.array([target.device.resources[metric] for metric in RESOURCES], dtype=np.float64)
    shares = np.log2(np.maximum(counts / has, 1e-6))
    return np.concatenate([found, shares, shares.max(axis=1, keepdims=True)], axis=1)
