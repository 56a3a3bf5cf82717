"""Priors as files: {"who", "families", "digests", "shapes": {LABELS: {METRIC: {"typical", "kernels", "points"}}}}."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from cost_model.surrogates.conformal.prior import POINTS, Prior, Shape
from design.errors import InputError
from design.loader import read_object

SHAPE_FIELDS = ("typical", "kernels", "points")
FIGURES = 6  # of a number, in the file


def write_prior(prior: Prior, path: Path) -> None:
    """Writes the file, and its folder. Raises OSError where it cannot."""
    shapes = {str(count): {m: _told(s) for m, s in sorted(by.items())} for count, by in sorted(prior.shapes.items())}
    found = {
        "who": prior.who,
        "families": sorted(prior.families),
        "digests": sorted(prior.digests),
        "shapes": shapes,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def read_prior(path: Path) -> Prior:
    """The prior in a file. Raises InputError, naming file and field, unless all is there and nothing else is."""
    found = read_object(path, {"who": str, "families": list, "digests": list, "shapes": dict})
    for name in ("families", "digests"):
        if not all(isinstance(text, str) and text for text in found[name]):
            raise InputError(f"{path}, field '{name}'", "is no list of texts", "names or hashes of kernels")
    if not found["shapes"]:
        raise InputError(f"{path}, field 'shapes'", "is empty", "a count of labels at least")
    shapes: dict[int, dict[str, Shape]] = {}
    for count, by in found["shapes"].items():
        where = f"{path}, shapes of {count[:20]} labels"
        if not (count.isascii() and count.isdigit() and str(int(count)) == count):
            raise InputError(where, "is no count", "0, 20 or the like")
        if not isinstance(by, dict) or not by:
            raise InputError(where, "holds no metric", "an object of shapes by metric")
        shapes[int(count)] = {metric: _shape(f"{where}, {metric}", entry) for metric, entry in by.items()}
    return Prior(found["who"], frozenset(found["families"]), frozenset(found["digests"]), shapes)


def _told(shape: Shape) -> dict[str, Any]:
    points = [float(f"{point:.{FIGURES}g}") for point in shape.points]
    return {"typical": float(f"{shape.typical:.{FIGURES}g}"), "kernels": shape.kernels, "points": points}


def _shape(where: str, entry: Any) -> Shape:
    if not isinstance(entry, Mapping) or sorted(entry) != sorted(SHAPE_FIELDS):
        raise InputError(where, "is no shape", f"an object with exactly {', '.join(SHAPE_FIELDS)}")
    kernels, points = entry["kernels"], entry["points"]
    if type(kernels) is not int or kernels < 1:
        raise InputError(f"{where}, kernels", f"is {str(kernels)[:40]}", "a whole number of at least 1")
    if not isinstance(points, list) or len(points) != POINTS:
        raise InputError(f"{where}, points", "is no list of as many numbers as there are", f"{POINTS} numbers")
    numbers = tuple(_number(f"{where}, points", point) for point in points)
    if any(after < before for before, after in pairwise(numbers)):
        raise InputError(f"{where}, points", "falls somewhere", "numbers in ascending order")
    typical = _number(f"{where}, typical", entry["typical"])
    if not typical:
        raise InputError(f"{where}, typical", "is 0", "a number above 0")
    return Shape(typical, numbers, kernels)


def _number(where: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        raise InputError(where, f"is {str(value)[:40]}", "a finite number of at least 0")
    return float(value)
