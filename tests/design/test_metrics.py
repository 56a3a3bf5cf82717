"""Objectives as a user writes them, and metrics that follow from others."""

from __future__ import annotations

import numpy as np
import pytest

from design.core import Objective
from design.errors import InputError
from design.metrics import METRICS, metric_values, parse_objectives

LATENCY = ("latency_s", "prefill_s", "decode_s")
ENERGY = (*LATENCY, "energy_j")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("latency_s", [("latency_s", 1)]),
        ("min:latency_s", [("latency_s", 1)]),
        ("max:latency_s", [("latency_s", -1)]),
        (" prefill_s , max:decode_s ", [("prefill_s", 1), ("decode_s", -1)]),
        ("edp,ed2p,power_w", [("edp", 1), ("ed2p", 1), ("power_w", 1)]),
        ("accuracy,max:speed", [("accuracy", 1), ("speed", -1)]),
    ],
)
def test_directions(text: str, expected: list[tuple[str, int]]) -> None:
    """A bare name takes the metric's own direction, a prefix overrides it; blanks do not count; order is kept."""
    found = parse_objectives(text, (*ENERGY, "accuracy", "speed"), "toy")
    assert found == tuple(Objective(name, sign) for name, sign in expected)


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if metric.needs])
def test_derived_metrics_need_what_they_are_made_of(name: str) -> None:
    """Allowed where energy is known; refused, with what is possible instead, where it is not."""
    assert parse_objectives(name, ENERGY, "toy") == (Objective(name),)
    with pytest.raises(InputError, match=f"'{name}' is not known to evaluator toy; expected {', '.join(LATENCY)}$"):
        parse_objectives(name, LATENCY, "toy")


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        "latency_s,",
        "latency",
        "LATENCY_S",
        "min:",
        "max:edp",
        "area_mm2",
        "latency_s prefill_s",
        "latency_s;edp",
    ],
)
def test_unknown_metrics_are_refused(text: str) -> None:
    """One line that names the option and the evaluator."""
    with pytest.raises(InputError, match=r"^--objectives: '.*' is not known to evaluator toy") as error:
        parse_objectives(text, LATENCY, "toy")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["least:latency_s", "-:latency_s", "min:max:latency_s", "Min:latency_s", ":latency_s"])
def test_unknown_directions_are_refused(text: str) -> None:
    """Only min and max."""
    with pytest.raises(InputError, match=r"^--objectives: direction '"):
        parse_objectives(text, LATENCY, "toy")


@pytest.mark.parametrize("text", ["latency_s,latency_s", "min:latency_s,prefill_s,max:latency_s"])
def test_a_metric_is_one_objective(text: str) -> None:
    """Named twice is refused, whatever the directions."""
    with pytest.raises(InputError, match="'latency_s' is named twice"):
        parse_objectives(text, LATENCY, "toy")


def test_values_of_metrics() -> None:
    """Measured ones as they are; derived ones by their definition; unknown stays unknown."""
    known = {"latency_s": np.array([2.0, 3.0, 4.0]), "energy_j": np.array([5.0, 7.0, np.nan])}
    for name, expected in {
        "latency_s": [2, 3, 4],
        "edp": [10, 21, np.nan],
        "ed2p": [20, 63, np.nan],
        "power_w": [2.5, 7 / 3, np.nan],
    }.items():
        np.testing.assert_array_equal(metric_values(name, known), expected)


def test_units_are_in_the_names() -> None:
    """A measured metric ends in its unit, but that what is counted names the count, and utilisation is a share."""
    for name, metric in METRICS.items():
        plain = metric.unit == "count" or (name, metric.unit) == ("utilisation", "share")
        assert metric.needs or plain or name.rpartition("_")[2] == metric.unit.lower(), name
