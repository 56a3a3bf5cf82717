"""Metrics: their units, the direction that is better, and the ones derived from others, each defined once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from design.core import Floats, Objective
from design.errors import InputError


@dataclass(frozen=True)
class Metric:
    """`better` is 'min' or 'max'; `needs` and `rule` define a derived metric, else they are empty."""

    unit: str
    better: str = "min"
    needs: tuple[str, ...] = ()
    rule: Callable[..., Floats] | None = None


METRICS: dict[str, Metric] = {
    "latency_s": Metric("s"),
    "prefill_s": Metric("s"),
    "decode_s": Metric("s"),
    "energy_j": Metric("J"),
    "area_mm2": Metric("mm2"),
    "cycles": Metric("cycles"),
    **{name: Metric("count") for name in ("lut", "ff", "dsp", "bram")},
    **{f"{name}_share": Metric("share") for name in ("lut", "ff", "dsp", "bram")},
    "utilisation": Metric("share"),
    "valid_probability": Metric("probability", "max"),
    "edp": Metric("J s", needs=("energy_j", "latency_s"), rule=lambda energy, delay: energy * delay),
    "ed2p": Metric("J s2", needs=("energy_j", "latency_s"), rule=lambda energy, delay: energy * delay**2),
    "power_w": Metric("W", needs=("energy_j", "latency_s"), rule=lambda energy, delay: energy / delay),
}


def metric_unit(name: str) -> str:
    """Unit of a metric; "" where it is not in the table."""
    return METRICS[name].unit if name in METRICS else ""


def metric_values(name: str, known: Mapping[str, Floats]) -> Floats:
    """Values of a measured or derived metric, shape (n,), from an evaluation's metrics."""
    rule = METRICS[name].rule if name in METRICS else None
    return known[name] if rule is None else rule(*(known[need] for need in METRICS[name].needs))


def possible_metrics(answered: Sequence[str]) -> list[str]:
    """The metrics that follow from those answered: themselves, and derived ones."""
    known = [m for m in METRICS if all(need in answered for need in METRICS[m].needs or (m,))]
    return known + [m for m in answered if m not in METRICS]


def parse_objectives(text: str, answered: Sequence[str], evaluator: str) -> tuple[Objective, ...]:
    """Objectives from 'latency_s,max:power_w'. A bare name takes its usual direction.

    `answered` are the metrics that the evaluator gives; a derived metric is allowed where all it needs is
    among them. Raises InputError for an unknown or unanswered metric, a bad direction or a repeated metric.
    """
    possible = possible_metrics(answered)
    objectives: list[Objective] = []
    for word in (part.strip() for part in text.split(",")):
        goal, colon, name = word.rpartition(":")
        if name not in possible:
            raise InputError("--objectives", f"'{name}' is not known to evaluator {evaluator}", ", ".join(possible))
        if not colon:
            goal = METRICS[name].better if name in METRICS else "min"
        if goal not in ("min", "max"):
            raise InputError("--objectives", f"direction '{goal}' of '{word}'", "min:METRIC or max:METRIC")
        if any(objective.metric == name for objective in objectives):
            raise InputError("--objectives", f"'{name}' is named twice", "each metric once")
        objectives.append(Objective(name, 1 if goal == "min" else -1))
    return tuple(objectives)
