"""The fit finds constants again that made labels up; its file is read strictly."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cost_model.hls.adapt import Correction, features, learn, log_residual
from cost_model.hls.constants import HlsConstants, bounds
from cost_model.hls.estimator import Estimator
from cost_model.hls.fit import Sample, fit, fit_validity, log_residuals, residual_quantiles
from cost_model.hls.store import CONSTANTS_FILE, LEVELS, constants_for, read_fitted
from design.contracts import Dataset
from design.core import Batch, Ints
from design.errors import InputError
from design.hls.design import TARGETS, VU9P, choices, hls_schema
from design.hls.loop_nest import Kernel
from design.hls.task import HlsTask
from design.metrics import HLS_METRICS
from frontends.hls_results.tables import hls_dataset
from tests.cost_model.hls.cases import GEMM, SCALE, kernel, rows_kernel

KERNELS = {"gemm-x": kernel(GEMM), "scale": kernel(SCALE), "rows": rows_kernel(48)}
BASE = dict.fromkeys(HLS_METRICS, (-2.0, 2.0))


def random_columns(of: Kernel, count: int, seed: int) -> dict[str, Ints]:
    """Designs drawn parameter by parameter."""
    rng = np.random.default_rng(seed)
    return {p.name: rng.choice(np.array(choices(of, p), dtype=np.int64), count) for p in of.parameters}


def made_up(truth: HlsConstants, count: int = 60) -> list[Sample]:
    """Designs of all kernels, labelled by the estimator with the constants to be found."""
    found = []
    for seed, (name, of) in enumerate(KERNELS.items()):
        columns = random_columns(of, count, seed)
        labels = Estimator(of, truth).estimate(columns)
        found.append(Sample(name, of, columns, {metric: labels[metric] for metric in HLS_METRICS}))
    return found


def test_the_fit_finds_the_constants_that_made_the_labels() -> None:
    truth = HlsConstants(add_cycles=12.0, start_cycles=900.0, step_cycles=9.0, mul_dsp=8.0, base_lut=9000.0)
    samples = made_up(truth)
    cycles = fit(samples, HlsConstants(), ("add_cycles", "start_cycles", "step_cycles"), ("cycles",), 60)
    both = fit(samples, cycles, ("mul_dsp", "base_lut"), ("lut", "dsp"), 60)
    for name in ("add_cycles", "start_cycles", "step_cycles", "mul_dsp", "base_lut"):
        assert getattr(both, name) == pytest.approx(getattr(truth, name), rel=0.03), name
    assert both.div_cycles == HlsConstants().div_cycles, "what is not named is not moved"


def test_the_fit_keeps_to_its_bounds() -> None:
    samples = made_up(HlsConstants(add_cycles=14.9))
    wild = [replace(s, truth={k: v * 1e4 for k, v in s.truth.items()}) for s in samples]
    found = fit(wild, HlsConstants(), ("add_cycles", "start_cycles"), ("cycles",), 20)
    for name in ("add_cycles", "start_cycles"):
        low, high = bounds(name)
        assert low <= getattr(found, name) <= high


def test_a_few_wild_labels_hardly_move_the_fit() -> None:
    truth = HlsConstants(start_cycles=900.0)
    samples = made_up(truth)
    for sample in samples:
        sample.truth["cycles"][::15] *= 64
    found = fit(samples, HlsConstants(), ("start_cycles",), ("cycles",), 40)
    assert found.start_cycles == pytest.approx(900.0, rel=0.25)


def test_nothing_to_fit_on_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing to fit on"):
        fit([], HlsConstants(), ("add_cycles",), ("cycles",), 5)


def test_what_a_table_rounds_to_nothing_only_bounds_the_estimate() -> None:
    one_percent = 0.01 * VU9P.resources["dsp"]
    said = log_residual("dsp", np.array([0.0, 0.0, 200.0, np.nan]), np.array([10.0, 4 * one_percent, 100.0, 5.0]))
    assert said[0] == 0 and said[1] == pytest.approx(-2) and said[2] == 1 and np.isnan(said[3])


def test_residual_quantiles_ascend_and_are_nothing_where_the_constants_are_true() -> None:
    truth = HlsConstants(add_cycles=11.0)
    samples = made_up(truth)
    families = {sample.family: truth for sample in samples}
    exact = residual_quantiles(samples, families)
    assert np.allclose(exact["cycles"], 0)
    off = residual_quantiles(samples, dict.fromkeys(families, HlsConstants()))["cycles"]
    assert len(off) == len(LEVELS) and off == sorted(off) and off[-1] > off[0]


def table_of(name: str, of: Kernel, valid_below: float) -> Dataset:
    """200 designs that the tool takes while they have fewer operations than `valid_below`."""
    columns = random_columns(of, 200, 3)
    found = Estimator(of, HlsConstants()).estimate(columns)
    batch = Batch(hls_schema(of, TARGETS["v18"]), columns)
    metrics = {metric: found[metric] for metric in HLS_METRICS}
    metrics |= {f"{metric}_share": found[metric] / has for metric, has in VU9P.resources.items()}
    valid = found["code"] < valid_below
    return hls_dataset(HlsTask(of, TARGETS["v18"], name), batch, metrics, valid, "made up")


def test_validity_is_fitted_to_where_runs_fail() -> None:
    tables = [table_of("gemm", KERNELS["gemm-x"], 200.0)]
    found = fit_validity(tables, HlsConstants())
    assert found.tool_size == pytest.approx(np.log2(200), abs=1.0)
    assert found.tool_slope > HlsConstants().tool_slope


# Labels of the kernel itself


def test_labels_teach_an_offset_and_what_a_directive_adds() -> None:
    of = KERNELS["rows"]
    columns = random_columns(of, 200, 5)
    estimate = Estimator(of, HlsConstants()).estimate(columns)
    rows = features(of, columns, estimate)
    parallel = columns["__PARA__L1"] > 1
    truth = np.where(parallel, 3.0, 1.0)  # the tool ignores the factor
    residuals = {name: truth if name == "cycles" else np.zeros(200) for name in HLS_METRICS}
    few = {name: values[:30] for name, values in residuals.items()}
    learned = learn(rows[:30], few, BASE, 1)
    said = learned.log2_factor(rows[30:])
    assert np.mean(np.abs(said["cycles"] - truth[30:])) < 0.35
    assert np.abs(said["dsp"]).max() < 1e-9
    low, high = learned.spread["cycles"]
    assert -2.0 < low <= 0.0 <= high < 2.0
    again = learn(rows[:30], few, BASE, 1)
    assert again.digest == learned.digest
    assert np.array_equal(again.log2_factor(rows)["cycles"], learned.log2_factor(rows)["cycles"])


@pytest.mark.parametrize("count", [0, 1, 3, 5])
def test_few_labels_shrink_towards_none_and_keep_the_known_spread(count: int) -> None:
    rows, residuals = np.ones((count, 3)), {name: np.full(count, 2.0) for name in HLS_METRICS}
    learned: Correction = learn(rows, residuals, BASE, 0)
    assert 0.0 <= learned.log2_factor(np.ones((1, 3)))["cycles"][0] < 2.0
    assert learned.labels == count and learned.spread == BASE


# The file


def entry() -> dict[str, Any]:
    """A file's content with one family."""
    constants = asdict(HlsConstants())
    residuals = {name: [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0] for name in HLS_METRICS}
    tool = {"all": constants, "without": {"a": constants}, "kernels": {"a-b": "x"}, "residuals": residuals}
    return {"command": "c", "levels": list(LEVELS), "tools": {"v18": tool}}


def test_a_fitted_family_is_judged_without_itself(tmp_path: Path) -> None:
    content = entry()
    content["tools"]["v18"]["without"]["a"] = asdict(HlsConstants(add_cycles=5.0))
    path = tmp_path / "e.json"
    path.write_text(json.dumps(content))
    assert constants_for("v18", "a-large", path).add_cycles == 5.0
    assert constants_for("v18", "b", path) == HlsConstants()
    found = read_fitted("v18", path)
    assert found.constants_of("x").add_cycles == 5.0 and found.constants_of("y") == HlsConstants()


def spoil(content: dict[str, Any], change: str) -> None:
    """One mistake."""
    tool = content["tools"]["v18"]
    if change == "unknown constant":
        tool["all"]["wings"] = 1.0
    elif change == "missing constant":
        del tool["without"]["a"]["add_cycles"]
    elif change == "text for a number":
        tool["all"]["add_cycles"] = "8"
    elif change == "not a number":
        tool["all"]["add_cycles"] = float("nan")
    elif change == "quantiles fall":
        tool["residuals"]["lut"][0] = 9.0
    elif change == "families differ":
        tool["kernels"]["z"] = "y"
    elif change == "other levels":
        content["levels"] = [0.5]


@pytest.mark.parametrize(
    "change",
    [
        "unknown constant",
        "missing constant",
        "text for a number",
        "not a number",
        "quantiles fall",
        "families differ",
        "other levels",
    ],
)
def test_a_mistake_in_the_file_is_one_line_that_names_it(tmp_path: Path, change: str) -> None:
    content, path = entry(), tmp_path / "e.json"
    spoil(content, change)
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"e\.json") as caught:
        read_fitted("v18", path)
    assert "\n" not in str(caught.value)


def test_a_tool_without_a_fit_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "e.json"
    path.write_text(json.dumps(entry()))
    with pytest.raises(InputError, match="v20"):
        read_fitted("v20", path)


@pytest.mark.parametrize("tool", sorted(TARGETS))
def test_the_file_of_the_project_has_constants_within_bounds_and_no_test_family(tool: str) -> None:
    found = read_fitted(tool, CONSTANTS_FILE)
    assert not set(found.without) & {"bicg", "doitgen", "gemver", "stencil", "syr2k"}
    for constants in (found.all, *found.without.values()):
        for name in HlsConstants.names():
            low, high = bounds(name)
            assert low * 0.999 <= getattr(constants, name) <= high * 1.001, name


def test_residuals_are_of_the_estimates() -> None:
    samples = made_up(HlsConstants())
    for sample in samples:
        for values in log_residuals(sample, HlsConstants(), HLS_METRICS).values():
            assert np.allclose(values[np.isfinite(values)], 0)
