"""The architecture study: all published hardware by `buffered`, for latency, energy and area at once."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ae.h2llm.points import Point
from design.errors import InputError
from design.metrics import NMP_COSTS
from dse.options import BUFFERS
from dse.records.directory import write_whole
from dse.run.run import Run
from dse.studies.registry import study_of

OBJECTIVES = NMP_COSTS
WORKLOAD = ("sg", 4)  # data set and batch size
GENERATIONS, POPULATION, PARENTS = 100, 1_000, 500
PARAMETERS = ("nmp_channels", "engines", "input_kb", "weight_kb", "output_kb")
FRONT = "study.json"  # in the folder of a model's run, written last: where it is there, the run is over
Design = dict[str, Any]


def studied(model: str, folder: Path, seed: int, generations: int = GENERATIONS) -> None:
    """Leave the front found for a model, a record a design: its objectives, per layer, and hardware. A run that is
    there is not made again. Raises KeyboardInterrupt where it was interrupted, InputError where it found nothing."""
    point = Point("H2-LLM-Full", model, *WORKLOAD)
    place = folder / point.name
    if (place / FRONT).exists():
        return
    more = {
        "objectives": ",".join(OBJECTIVES),
        "algorithm": "nsga2",
        "num-generations": generations,
        "population-num-per-generation": POPULATION,
        "topk": PARENTS,
        "input-buffer-size-space": BUFFERS,
        "weight-buffer-size-space": BUFFERS,
        "output-buffer-total-size-space": BUFFERS,
    }
    settings = point.settings("buffered", seed, place, more)
    code = Run(study_of(settings), settings, place).execute()
    if code == 130:
        raise KeyboardInterrupt
    if code:
        raise InputError(point.name, "found nothing", f"a reason in {place / 'run.log'}")
    write_whole(place / FRONT, json.dumps(_front(place, model)) + "\n")


def kept(model: str, folder: Path) -> list[Design] | None:
    """The front of a model that is in the folder; None where there is none."""
    path = folder / Point("H2-LLM-Full", model, *WORKLOAD).name / FRONT
    if not path.exists():
        return None
    found: list[Design] = json.loads(path.read_text(encoding="utf-8"))
    return found


def shared(front: Sequence[Design]) -> dict[str, dict[str, float]]:
    """Parameter -> value -> share of the devices on the front that have it, the commonest first. A device counts once,
    however many dataflows are on the front with it."""
    devices = dict.fromkeys(tuple(str(design[name]) for name in PARAMETERS) for design in front)
    found = {}
    for place, name in enumerate(PARAMETERS):
        counts = Counter(device[place] for device in devices)
        found[name] = {value: count / len(devices) for value, count in counts.most_common()}
    return found


def _front(place: Path, model: str) -> list[Design]:
    with (place / "front.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        raise InputError(str(place), "found no design that fits", "memory enough for the model")
    return [_design(row, model) for row in rows]


def _design(row: Mapping[str, str], model: str) -> Design:
    engines = "x".join(f"{float(row[name]):g}" for name in ("fpus", "mhz", "pe_gbps"))
    hardware = {name: int(row[name]) for name in PARAMETERS if name != "engines"}
    return {"model": model, **{name: float(row[name]) for name in OBJECTIVES}, "engines": engines, **hardware}
