"""Fits the constants of the estimator to results of tools:

python -m cost_model.hls.fit --data hlsyn.tar.gz --tests bicg,doitgen,gemver,stencil,syr2k \\
    --out config/hls/estimate.json

The families of `--tests` are left out: their results are not even read. Every kernel counts the same, and a residual
of log2 counts by a loss that grows linearly, so that a design whose rule the model lacks does not bend it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cost_model.hls.adapt import log_residual
from cost_model.hls.constants import CYCLE_CONSTANTS, RESOURCE_CONSTANTS, VALIDITY_CONSTANTS, HlsConstants, bounds
from cost_model.hls.estimator import Estimator, valid_probability
from cost_model.hls.store import LEVELS
from design.contracts import Dataset
from design.core import Floats, Ints
from design.errors import InputError
from design.hls.design import TARGETS, VU9P
from design.hls.loop_nest import Kernel
from design.hls.task import family_of, hls_task_of
from design.metrics import CYCLES, HLS_METRICS, RESOURCES
from frontends.hls_results.tables import read_results, result_names

ROWS = 80  # of a kernel that the fit looks at
REFIT_STEPS = 2  # iterations for a left-out family, from the constants fitted on all


@dataclass(frozen=True)
class Sample:
    """Designs of a kernel and what a tool said of them: `truth[metric]` (n,), NaN where it gave nothing."""

    name: str
    kernel: Kernel
    columns: Mapping[str, Ints]
    truth: Mapping[str, Floats]

    @property
    def family(self) -> str:
        """See `family_of`."""
        return family_of(self.name)


def sample_of(table: Dataset, rows: int | None = ROWS) -> Sample:
    """The designs of a table with cycles: all of them, or at most `rows` at even distances."""
    known = np.flatnonzero(~np.isnan(table.metric(CYCLES)))
    if rows is not None and len(known) > rows:
        known = known[np.linspace(0, len(known) - 1, rows).astype(np.int64)]
    truth = {name: table.metric(name)[known] for name in HLS_METRICS}
    task = hls_task_of(table)
    return Sample(task.name, task.kernel, {k: v[known] for k, v in table.batch.columns.items()}, truth)


def log_residuals(sample: Sample, constants: HlsConstants, metrics: Sequence[str]) -> dict[str, Floats]:
    """`log_residual` of each metric, (n,) each."""
    found = Estimator(sample.kernel, constants).estimate(sample.columns)
    return {name: log_residual(name, sample.truth[name], found[name]) for name in metrics}


def fit(
    samples: Sequence[Sample], start: HlsConstants, names: Sequence[str], metrics: Sequence[str], steps: int
) -> HlsConstants:
    """Constants `names` moved within their bounds so that residuals of `metrics` get small. Raises ValueError where
    there is nothing to fit on."""
    from scipy.optimize import least_squares

    if not samples:
        raise ValueError("nothing to fit on")
    low, high = (np.array([bounds(name)[side] for name in names]) for side in (0, 1))

    def constants(place: Floats) -> HlsConstants:
        return replace(start, **dict(zip(names, (low + place * (high - low)).tolist(), strict=True)))

    def residuals(place: Floats) -> Floats:
        parts = []
        for sample in samples:
            for values in log_residuals(sample, constants(place), metrics).values():
                known = values[~np.isnan(values)]
                # the loss of each residual, spread so that every kernel weighs the same
                loss = np.sqrt(2 * (np.sqrt(1 + known**2) - 1))
                parts.append(loss / np.sqrt(max(len(known), 1)))
        return np.concatenate(parts)

    begin = np.array([getattr(start, name) for name in names])
    place = np.clip((begin - low) / (high - low), 0.01, 0.99)
    found = least_squares(residuals, place, bounds=(0.0, 1.0), diff_step=0.03, max_nfev=steps, x_scale=0.3)
    return constants(found.x)


def fit_all(samples: Sequence[Sample], start: HlsConstants, steps: int) -> HlsConstants:
    """First what decides the cycles, then the resources."""
    cycles = fit(samples, start, CYCLE_CONSTANTS, (CYCLES,), steps)
    return fit(samples, cycles, RESOURCE_CONSTANTS, RESOURCES, steps)


def fit_validity(tables: Sequence[Dataset], start: HlsConstants) -> HlsConstants:
    """Constants of `valid_probability` of the greatest likelihood, every kernel of one weight."""
    from scipy.optimize import minimize

    low, high = (np.array([bounds(name)[side] for name in VALIDITY_CONSTANTS]) for side in (0, 1))
    known = []
    for table in tables:
        found = Estimator(hls_task_of(table).kernel, start).estimate(table.batch.columns)
        share = np.max([found[name] / VU9P.resources[name] for name in VU9P.resources], axis=0)
        known.append((found["code"], share, table.feasible))

    def loss(place: Floats) -> float:
        values = np.clip(low + place * (high - low), low, high)
        constants = replace(start, **dict(zip(VALIDITY_CONSTANTS, values.tolist(), strict=True)))
        total = 0.0
        for code, share, valid in known:
            said = np.clip(valid_probability(constants, code, share, VU9P.usable), 1e-4, 1 - 1e-4)
            total -= float(np.mean(np.where(valid, np.log(said), np.log(1 - said))))
        return total / len(known)

    begin = np.array([getattr(start, name) for name in VALIDITY_CONSTANTS])
    options = {"maxiter": 150, "xatol": 1e-3, "fatol": 1e-5}
    box = [(0.0, 1.0)] * len(begin)
    found = minimize(loss, (begin - low) / (high - low), method="Nelder-Mead", bounds=box, options=options)
    values = low + found.x * (high - low)
    return replace(start, **dict(zip(VALIDITY_CONSTANTS, values.tolist(), strict=True)))


def fit_tool(tables: Sequence[Dataset], steps: int) -> dict[str, Any]:
    """The entry of a tool version: on all families, without each, and residuals of each kernel left out."""
    samples = [sample for sample in map(sample_of, tables) if len(sample.truth[CYCLES])]
    whole = fit_validity(tables, fit_all(samples, HlsConstants(), steps))
    without = {}
    for family in sorted({table.task.family for table in tables}):
        others = [sample for sample in samples if sample.family != family]
        seen = [table for table in tables if table.task.family != family]
        without[family] = fit_validity(seen, fit_all(others, whole, REFIT_STEPS)) if others else HlsConstants()
    return {
        "all": rounded(whole),
        "without": {family: rounded(constants) for family, constants in without.items()},
        "kernels": {table.task.name: table.task.digest for table in tables},
        "residuals": residual_quantiles(samples, without),
    }


def residual_quantiles(samples: Sequence[Sample], without: Mapping[str, HlsConstants]) -> dict[str, list[float]]:
    """Per metric the quantiles at LEVELS of log2(truth / estimate), kernels of one weight."""
    answer = {}
    for name in HLS_METRICS:
        grid = []
        for sample in samples:
            values = log_residuals(sample, without[sample.family], (name,))[name]
            known = values[~np.isnan(values)]
            if len(known):
                grid.append(np.quantile(known, np.linspace(0.005, 0.995, 100)))
        answer[name] = [round(float(q), 4) for q in np.quantile(np.concatenate(grid), LEVELS)]
    return answer


def rounded(constants: HlsConstants) -> dict[str, float]:
    """To four figures: more would be noise of the fit."""
    return {name: float(f"{value:.4g}") for name, value in asdict(constants).items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m cost_model.hls.fit", description="Fit the HLS estimator.")
    parser.add_argument("--data", type=Path, required=True, help="folder or archive of tool results")
    parser.add_argument("--tests", default="", help="families that are kept out, by comma")
    parser.add_argument("--out", type=Path, required=True, help="file for the constants")
    parser.add_argument("--steps", type=int, default=25, help="most iterations of a fit on all families")
    given = parser.parse_args(arguments)
    tests = {name for name in given.tests.split(",") if name}
    tools: dict[str, Any] = {}
    for tool, names in result_names(given.data).items():
        kept = [name for name in names if family_of(name) not in tests]
        if tool in TARGETS and kept:
            tables = read_results(given.data, tool, kept)
            tools[tool] = fit_tool(tables, given.steps)
    command = f"python -m cost_model.hls.fit --data {given.data.name} --tests {given.tests} --steps {given.steps}"
    text = json.dumps({"command": command, "levels": list(LEVELS), "tools": tools}, indent=1)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(str(error))
