"""Metrics: their units, the direction that is better, and the ones derived from others, each defined once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from design.core import Floats, Objective
from design.errors import InputError

LOG, LINEAR = "log", "linear"


@dataclass(frozen=True)
class Metric:
    """`better` is 'min' or 'max'; `needs` and `rule` define a derived metric, else they are empty.

    `scale` says whether differences or ratios count. Less than `floor` is as good as `floor`: tools round to it. What
    models learn is the target y: on the log scale log2(`plus` + value) / 2, or log2(`reference` / value) / 2 where
    there is a reference, so that 1 in y is a factor of 4 (HLSyn, Bai et al., NeurIPS 2023, section 4); on the linear
    scale the value itself. `least` is the least value that there is.
    """

    unit: str
    better: str = "min"
    needs: tuple[str, ...] = ()
    rule: Callable[..., Floats] | None = None
    scale: str = LOG
    floor: float = 1e-30
    plus: float = 0.0
    reference: float | None = None
    least: float = 0.0

    def target(self, value: Floats) -> Floats:
        """y of values of any shape."""
        if self.scale == LINEAR:
            return value
        y: Floats = np.log2(self.plus + value if self.reference is None else self.reference / value) / 2
        return y

    def value(self, y: Floats) -> Floats:
        """The inverse, at least `least`."""
        if self.scale == LINEAR:
            return y
        factor = np.exp2(2 * y)
        found: Floats = np.maximum(
            factor - self.plus if self.reference is None else self.reference / factor, self.least
        )
        return found


COUNT = Metric("count", floor=1.0, plus=1.0)
SHARE = Metric("share", floor=0.01)
METRICS: dict[str, Metric] = {
    "latency_s": Metric("s"),
    "prefill_s": Metric("s"),
    "decode_s": Metric("s"),
    "energy_j": Metric("J"),
    "area_mm2": Metric("mm2"),
    "cycles": Metric("cycles", floor=1.0, reference=1e7, least=1.0),
    **{name: COUNT for name in ("lut", "ff", "dsp", "bram")},
    **{f"{name}_share": SHARE for name in ("lut", "ff", "dsp", "bram")},
    "utilisation": SHARE,
    "valid_probability": Metric("probability", "max", scale=LINEAR),
    "edp": Metric("J s", needs=("energy_j", "latency_s"), rule=lambda energy, delay: energy * delay),
    "ed2p": Metric("J s2", needs=("energy_j", "latency_s"), rule=lambda energy, delay: energy * delay**2),
    "power_w": Metric("W", needs=("energy_j", "latency_s"), rule=lambda energy, delay: energy / delay),
}
UNKNOWN = Metric("")
CYCLES = "cycles"
RESOURCES = tuple(name for name, metric in METRICS.items() if metric is COUNT)  # what a design takes of a device
HLS_METRICS = (CYCLES, *RESOURCES)  # what HLS tools report, in the order of tables and models
NMP_METRICS = ("latency_s", "prefill_s", "decode_s", "energy_j", "area_mm2")  # of a near-memory design, per layer
NMP_TIMES, NMP_PHYSICS = NMP_METRICS[:3], NMP_METRICS[3:]
NMP_COSTS = (NMP_METRICS[0], *NMP_PHYSICS)  # what an architect trades against each other
UTILISATION = "utilisation"  # the largest share that a design takes of any resource
VALID = "valid_probability"  # that a design counts at all, where an evaluator knows it


def metric_of(name: str) -> Metric:
    """What is declared of a metric; of one that is not in the table, that its ratios count."""
    return METRICS.get(name, UNKNOWN)


def target(name: str, value: Floats) -> Floats:
    """y of a metric's values, elementwise."""
    return metric_of(name).target(value)


def target_table(values: Mapping[str, Floats], names: Sequence[str]) -> Floats:
    """(n, metrics) targets of values (n,) by metric."""
    return np.stack([target(name, values[name]) for name in names], axis=1)


def values_of(targets: Floats, names: Sequence[str]) -> dict[str, Floats]:
    """The inverse."""
    return {name: metric_of(name).value(targets[:, place]) for place, name in enumerate(names)}


def metric_unit(name: str) -> str:
    """Unit of a metric; "" where it is not in the table."""
    return metric_of(name).unit


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
