"""Labels that a search bought of a tool, as one file a kernel and tool: what was said, who said it, why it was asked.

    {"format": 1, "fidelity": "tool", "kernel": {"name": .., "digest": .., "source": ..}, "tool": "v20",
     "device": "xcvu9p", "labels": [{"point": {parameter: 'off' | '' | 'flatten' | factor}, "cycles": 4224.0,
     "counts": {"lut": .., "ff": .., "dsp": .., "bram": ..}, "shares": {the same}, "valid": true, "reason": "",
     "truth": "NAME/VERSION", "key": 32 hexadecimal digits, "why": {..}}, ..]}

Numbers that are not known are null. The file stands alone: the kernel's source is in it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from design.contracts import TOOL, Dataset
from design.core import Batch, Floats
from design.errors import InputError
from design.hls.design import TARGETS, Target, batch_of, hls_schema
from design.hls.loop_nest import PIPELINE, Kernel
from design.hls.task import HlsTask
from design.loader import read_object
from design.metrics import CYCLES, RESOURCES
from frontends.c_kernel import parse_kernel
from frontends.hls_results.tables import hls_dataset

FORMAT = 1
FIELDS = {"format": int, "fidelity": str, "kernel": dict, "tool": str, "device": str, "labels": list}
KERNEL = {"name": str, "digest": str, "source": str}
LABEL = {  # beside cycles, a number or null
    "point": dict,
    "counts": dict,
    "shares": dict,
    "valid": bool,
    "reason": str,
    "truth": str,
    "key": str,
    "why": dict,
}
KINDS = {str: "a text", dict: "an object", bool: "true or false"}
MOST = 2**63  # numbers of tables are below


@dataclass(frozen=True)
class BoughtLabel:
    """What a tool said of one design.

    `point` is the design as `points_of` writes it. `cycles`, and `counts` and `shares` of the device by resource, are
    NaN where they are not known; `valid` is the tool's word, as in tables of results, and `reason` its word for what is
    wrong. `truth` is the "name/version" of who said it, `key` the design's by its schema in hexadecimal digits, `why`
    what the buyer has to say, fit for JSON.
    """

    point: Mapping[str, str | int]
    cycles: float
    counts: Mapping[str, float]
    shares: Mapping[str, float]
    valid: bool
    reason: str
    truth: str
    key: str
    why: Mapping[str, Any]


def augmentation_text(kernel: Kernel, target: Target, labels: Sequence[BoughtLabel]) -> str:
    """The file of labels of a kernel, at least one; the inverse of `read_augmentation`. Raises ValueError for a number
    without end, or one in `why` that is none."""
    content = {
        "format": FORMAT,
        "fidelity": TOOL,
        "kernel": {"name": kernel.name, "digest": kernel.digest, "source": kernel.source},
        "tool": target.tool,
        "device": target.device.name,
        "labels": [_written(label) for label in labels],
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def read_augmentation(path: Path) -> Dataset:
    """The labels of a file, as a data set by the kernel's own name.

    Raises InputError, one line that names file and place, for a file that cannot be read, another format or fidelity,
    fields too many, too few or of other types, a kernel that does not parse or is another than stated, an unknown tool
    or device, no labels, a design that is none or another than its key, and a design that is there twice.
    """
    given = read_object(path, FIELDS)
    if given["format"] != FORMAT:
        raise InputError(f"{path}, field 'format'", f"is {_shown(given['format'])}", f"{FORMAT}")
    if given["fidelity"] != TOOL:
        what = f"is '{given['fidelity'][:40]}'"
        raise InputError(f"{path}, field 'fidelity'", what, f"'{TOOL}': labels that the tool itself made")
    kernel, target = _kernel(given["kernel"], str(path)), _target(given, path)
    if not given["labels"]:
        raise InputError(f"{path}, field 'labels'", "has no labels", "at least one")
    schema, places = hls_schema(kernel, target), [f"{path}, labels[{row}]" for row in range(len(given["labels"]))]
    labels = [_label(one, place) for one, place in zip(given["labels"], places, strict=True)]
    for label, place in zip(labels, places, strict=True):
        _check_point(label.point, kernel, place)
    batch = Batch.concat([batch_of(kernel, schema, [n.point], at) for n, at in zip(labels, places, strict=True)])
    _check_keys(labels, batch, places)
    metrics = {CYCLES: _floats([label.cycles for label in labels])}
    metrics |= {name: _floats([label.counts[name] for label in labels]) for name in RESOURCES}
    metrics |= {f"{name}_share": _floats([label.shares[name] for label in labels]) for name in RESOURCES}
    valid = np.array([label.valid for label in labels], dtype=bool)
    truths = tuple(sorted({label.truth for label in labels}))
    return hls_dataset(HlsTask(kernel, target), batch, metrics, valid, str(path), truths)


def _written(label: BoughtLabel) -> dict[str, Any]:
    return {
        "point": dict(label.point),
        "cycles": _or_null(label.cycles),
        "counts": {name: _or_null(label.counts[name]) for name in RESOURCES},
        "shares": {name: _or_null(label.shares[name]) for name in RESOURCES},
        "valid": bool(label.valid),
        "reason": label.reason,
        "truth": label.truth,
        "key": label.key,
        "why": dict(label.why),
    }


def _shown(value: Any) -> str:
    """A value from a file, short enough for an error."""
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
    return json.dumps(value)[:40]


def _or_null(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _floats(values: Sequence[float]) -> Floats:
    return np.array(values, dtype=np.float64)


def _kernel(given: dict[str, Any], where: str) -> Kernel:
    place = f"{where}, field 'kernel'"
    _check_fields(given, KERNEL, place)
    try:
        given["source"].encode()
    except UnicodeEncodeError:
        raise InputError(f"{place}, source", "holds half a character", "C source text") from None
    kernel = parse_kernel(given["source"], f"{place}, source")
    for name, said, found in (("digest", given["digest"], kernel.digest), ("name", given["name"], kernel.name)):
        if said != found:
            raise InputError(f"{place}, {name}", f"is '{said[:40]}'", f"'{found}', which is that of the source")
    if not kernel.parameters:
        raise InputError(f"{place}, source", "has no parameters", "a kernel with auto{NAME} in its directives")
    return kernel


def _target(given: Mapping[str, Any], path: Path) -> Target:
    if given["tool"] not in TARGETS:
        raise InputError(f"{path}, field 'tool'", f"is '{given['tool'][:40]}'", f"one of {', '.join(TARGETS)}")
    target = TARGETS[given["tool"]]
    if given["device"] != target.device.name:
        raise InputError(f"{path}, field 'device'", f"is '{given['device'][:40]}'", f"'{target.device.name}'")
    return target


def _label(given: Any, where: str) -> BoughtLabel:
    """One entry. Raises InputError for anything but what the writer writes; the design is not looked at yet."""
    if type(given) is not dict:
        raise InputError(where, "is no object", f"a label with cycles, {', '.join(LABEL)}")
    _check_fields(given, LABEL, where, ("cycles",))
    name, _, version = given["truth"].partition("/")
    if not name or not version:
        raise InputError(f"{where}, truth", f"is '{given['truth'][:40]}'", "NAME/VERSION of who said it")
    try:
        json.dumps(given["why"], allow_nan=False)
    except ValueError:
        raise InputError(f"{where}, why", "holds a number that is none", "JSON") from None
    except RecursionError:
        raise InputError(f"{where}, why", "is nested too deeply", "what people could read") from None
    cycles = _number(given["cycles"], f"{where}, cycles")
    if cycles == 0:
        raise InputError(f"{where}, cycles", "is 0", "a number above 0, or null for none")
    numbers = {}
    for kind in ("counts", "shares"):
        _check_fields(given[kind], {}, f"{where}, {kind}", RESOURCES)
        numbers[kind] = {name: _number(given[kind][name], f"{where}, {kind}, {name}") for name in RESOURCES}
    return BoughtLabel(
        point=given["point"],
        cycles=cycles,
        counts=numbers["counts"],
        shares=numbers["shares"],
        valid=given["valid"],
        reason=given["reason"],
        truth=given["truth"],
        key=given["key"],
        why=given["why"],
    )


def _check_fields(
    given: Mapping[str, Any], fields: Mapping[str, type], where: str, others: Collection[str] = ()
) -> None:
    """Raises InputError unless there are exactly `fields`, each of its type, and `others`, of any."""
    known = [*fields, *others]
    for name in given:
        if name not in known:
            raise InputError(f"{where}, field '{name[:40]}'", "is unknown", f"only {', '.join(known)}")
    for name in known:
        if name not in given:
            raise InputError(f"{where}, field '{name}'", "is missing", f"all of {', '.join(known)}")
    for name, kind in fields.items():
        if type(given[name]) is not kind:
            raise InputError(f"{where}, field '{name}'", f"is {_shown(given[name])}", KINDS[kind])


def _number(given: Any, where: str) -> float:
    """A number of a table, NaN for null."""
    if given is None:
        return math.nan
    if type(given) not in (int, float) or not 0 <= given < MOST:
        raise InputError(where, f"is {_shown(given)}", "a number that is 0 or more, or null")
    return float(given)


def _check_point(point: Mapping[str, Any], kernel: Kernel, where: str) -> None:
    """Raises InputError unless there are words for pipelines and numbers for factors, as `points_of` writes them."""
    kinds = {parameter.name: str if parameter.kind == PIPELINE else int for parameter in kernel.parameters}
    for name in dict.fromkeys([*kinds, *point]):
        if (name in kinds) != (name in point):
            found = f"has {'no' if name in kinds else 'an unknown'} parameter {name[:40]}"
            raise InputError(f"{where}, point", found, f"the parameters of {kernel.name}: {', '.join(kinds)}")
        if type(point[name]) is not kinds[name]:
            expected = "off, '' or flatten" if kinds[name] is str else "a whole factor of at least 1"
            raise InputError(f"{where}, point", f"{name}={_shown(point[name])}", expected)


def _check_keys(labels: Sequence[BoughtLabel], batch: Batch, places: Sequence[str]) -> None:
    """Raises InputError unless each key is that of its design, and each design there once."""
    first: dict[str, str] = {}
    keys = [key.tobytes().hex() for key in batch.schema.key(batch)]
    for label, key, place in zip(labels, keys, places, strict=True):
        if label.key != key:
            raise InputError(f"{place}, key", f"is '{label.key[:40]}'", f"'{key}', which is that of the design")
        if first.setdefault(key, place) != place:
            raise InputError(place, f"is the same design as {first[key].rpartition(', ')[2]}", "each design once")
