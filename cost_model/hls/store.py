"""The file of fitted constants, `config/hls/estimate.json`: which fit answers for which kernel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from cost_model.hls.constants import HlsConstants
from design.errors import InputError
from design.hls.task import family_of
from design.loader import read_object
from design.metrics import HLS_METRICS

CONSTANTS_FILE = Path(__file__).resolve().parents[2] / "config" / "hls" / "estimate.json"
LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)  # of the residual quantiles
TOOL_FIELDS = ("all", "without", "kernels", "residuals")


@dataclass(frozen=True)
class Fitted:
    """What was fitted for a tool version. `without[family]` has not seen that family's results; `residuals[metric]`
    are quantiles at LEVELS of log2(truth / estimate), each kernel estimated by constants that had not seen its
    family and each kernel counting the same. `kernels` are names and digests of those fitted on."""

    tool: str
    all: HlsConstants
    without: Mapping[str, HlsConstants]
    kernels: Mapping[str, str]
    residuals: Mapping[str, tuple[float, ...]]

    def family(self, digest: str) -> str | None:
        """Of a kernel that was fitted on; None of another."""
        return next((family_of(name) for name, known in self.kernels.items() if known == digest), None)

    def constants_for(self, kernel_name: str) -> HlsConstants:
        """Constants that did not see results of the kernel's family (its name up to the first '-')."""
        return self.without.get(family_of(kernel_name), self.all)

    def constants_of(self, digest: str) -> HlsConstants:
        """The same by the digest of a kernel's source, where no name is known."""
        family = self.family(digest)
        return self.all if family is None else self.without[family]


def read_fitted(tool: str, path: Path = CONSTANTS_FILE) -> Fitted:
    """The fit for a tool version. Raises InputError, naming file and field, unless every constant is there and finite,
    and nothing else is."""
    found = read_object(path, {"command": str, "levels": list, "tools": dict})
    if found["levels"] != list(LEVELS):
        raise InputError(f"{path}, field 'levels'", f"is {found['levels']}", f"{list(LEVELS)}")
    if tool not in found["tools"]:
        raise InputError(f"{path}, field 'tools'", f"has no {tool}", f"one of {', '.join(sorted(found['tools']))}")
    where, entry = f"{path}, tool {tool}", found["tools"][tool]
    _same(where, entry, TOOL_FIELDS)
    _same(f"{where}, residuals", entry["residuals"], HLS_METRICS)
    if not isinstance(entry["without"], dict):
        raise InputError(f"{where}, without", "is no object", "{family: constants}")
    kernels = entry["kernels"]
    if not isinstance(kernels, dict) or not all(isinstance(text, str) for text in kernels.values()):
        raise InputError(f"{where}, kernels", "is no object of texts", "{name: hash of the source}")
    if odd := sorted({family_of(name) for name in kernels} ^ set(entry["without"])):
        raise InputError(f"{where}, without", f"and kernels differ in family {odd[0]}", "one fit without each family")
    return Fitted(
        tool=tool,
        all=_constants(f"{where}, all", entry["all"]),
        without={k: _constants(f"{where}, without {k}", v) for k, v in sorted(entry["without"].items())},
        kernels=dict(kernels),
        residuals={name: _quantiles(f"{where}, residuals {name}", entry["residuals"][name]) for name in HLS_METRICS},
    )


def constants_for(tool: str, kernel_name: str, path: Path = CONSTANTS_FILE) -> HlsConstants:
    """Constants of a tool version for a kernel, fitted without its family. Raises InputError as `read_fitted`."""
    return read_fitted(tool, path).constants_for(kernel_name)


def _constants(where: str, entry: Any) -> HlsConstants:
    _same(where, entry, HlsConstants.names())
    return HlsConstants(**{name: _number(f"{where}, {name}", value) for name, value in entry.items()})


def _quantiles(where: str, entry: Any) -> tuple[float, ...]:
    if not isinstance(entry, list) or len(entry) != len(LEVELS):
        raise InputError(where, "is no list of as many numbers as levels", f"{len(LEVELS)} numbers")
    values = tuple(_number(where, value) for value in entry)
    if any(b < a for a, b in pairwise(values)):
        raise InputError(where, "falls somewhere", "numbers in ascending order")
    return values


def _number(where: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not np.isfinite(value):
        raise InputError(where, f"is {str(value)[:40]}", "a finite number")
    return float(value)


def _same(where: str, entry: Any, names: tuple[str, ...]) -> None:
    if not isinstance(entry, dict):
        raise InputError(where, "is no object", f"an object with {', '.join(names)}")
    if odd := sorted(set(entry) ^ set(names)):
        said = "is missing" if odd[0] in names else "is unknown"
        raise InputError(f"{where}, field '{odd[0]}'", said, f"exactly {', '.join(names)}")
