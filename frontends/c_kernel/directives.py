"""Pragmas -> directives.

Merlin, in front of a loop (labels and other pragmas may stand between): `#pragma ACCEL PIPELINE [off|coarse|flatten|
auto{NAME}]`, `TILE FACTOR=n`, `PARALLEL [reduction[=VARIABLE]] [FACTOR=n]` with n a whole number or auto{NAME};
`#pragma ACCEL kernel` marks the function. INTERFACE, CACHE, COALESCE and MEMCPY_BURST are passed over: they say how
data reach the kernel, not how its loops run.

Vitis, inside the loop it is about (or in front of it where no loop is around): `#pragma HLS PIPELINE [II=n] [rewind]
[off|auto{NAME}]` is read as a flattened pipeline, for Vitis unrolls what is inside; the II that is asked for is not
kept. `UNROLL [factor=n]` is read as PARALLEL, `LOOP_TRIPCOUNT min= max= avg=` as bounds of a loop whose trips are not
known. Passed over: those of IGNORED_HLS. Anything else under ACCEL or HLS is refused, other pragmas are no business of
ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from design.errors import InputError
from design.hls.loop_nest import PARALLEL, PIPELINE, TILE, Directive
from frontends.c_kernel.syntax import at

IGNORED_ACCEL = {"INTERFACE", "CACHE", "COALESCE", "MEMCPY_BURST"}
_IGNORED_HLS = """
    INTERFACE INLINE ARRAY_PARTITION ARRAY_RESHAPE ARRAY_MAP BIND_STORAGE BIND_OP RESOURCE ALLOCATION
    LATENCY STABLE DATA_PACK AGGREGATE DISAGGREGATE ALIAS CACHE EXPRESSION_BALANCE PERFORMANCE TOP PROTOCOL
    RESET LOOP_FLATTEN LOOP_MERGE CLOCK DEPENDENCE OCCURRENCE FUNCTION_INSTANTIATE
"""
IGNORED_HLS = frozenset(_IGNORED_HLS.split())
ACCEL_WORDS = "PIPELINE, TILE or PARALLEL"
HLS_WORDS = "PIPELINE, UNROLL, LOOP_TRIPCOUNT or one that the docs list as passed over"
KERNEL = "kernel"
_AUTO = re.compile(r"auto\s*\{\s*(\w+)\s*\}", re.IGNORECASE)


@dataclass(frozen=True)
class Pragma:
    """What one pragma says: a `directive` of a loop, or `tripcount` bounds, or that a `kernel` follows. `inside` is
    Vitis's way: it is about the loop around it."""

    line: int
    text: str
    directive: Directive | None = None
    tripcount: Mapping[str, int] = field(default_factory=dict)
    kernel: bool = False
    inside: bool = False


def read_pragma(text: str, line: int, where: str) -> Pragma | None:
    """A pragma's meaning; None for those that mean nothing here. Raises InputError for those that cannot be read."""
    words = text.split()
    family = words[0].upper() if words else ""
    if family not in ("ACCEL", "HLS"):
        return None
    place, said = at(where, line), f"#pragma {' '.join(words)[:60]}"
    head = re.match(r"\s*\w+\s+(\w+)(.*)", text, re.DOTALL)
    if head is None:
        raise InputError(place, said, ACCEL_WORDS if family == "ACCEL" else HLS_WORDS)
    name, options = head[1].upper(), _options(head[2], place, said)
    if family == "ACCEL":
        if name == "KERNEL":
            return Pragma(line, said, kernel=True)
        if name in IGNORED_ACCEL:
            return None
        if name == PIPELINE:
            return Pragma(line, said, _pipeline(options, line, place, said))
        if name in (TILE, PARALLEL):
            return Pragma(line, said, _factor(name, options, line, place, said))
        raise InputError(place, said, ACCEL_WORDS)
    if name in IGNORED_HLS:
        return None
    if name == "PIPELINE":
        return Pragma(line, said, _vitis_pipeline(options, line, place, said), inside=True)
    if name == "UNROLL":
        options.pop("skip_exit_check", None)
        return Pragma(line, said, _factor(PARALLEL, options, line, place, said), inside=True)
    if name == "LOOP_TRIPCOUNT":
        return Pragma(line, said, tripcount=_tripcount(options, place, said), inside=True)
    raise InputError(place, said, HLS_WORDS)


def _options(text: str, place: str, said: str) -> dict[str, str]:
    """'reduction = C FACTOR=auto{X}' -> {'reduction': 'C', 'factor': 'auto{X}'}; words alone have the value ''."""
    found: dict[str, str] = {}
    rest = text.strip()
    pattern = re.compile(r"(auto\s*\{[^}]*\}?|\w+)(?:\s*=\s*(auto\s*\{[^}]*\}?|[^\s=]+))?\s*", re.IGNORECASE)
    while rest:
        match = pattern.match(rest)
        if match is None:
            raise InputError(place, said, "words and NAME=VALUE after the directive")
        name = match[1] if match[1].lower().startswith("auto") and "{" in match[1] else match[1].lower()
        if name in found:
            raise InputError(place, f"{said} says {name} twice", "each option once")
        found[name] = match[2] or ""
        rest = rest[match.end() :]
    return found


def _pipeline(options: dict[str, str], line: int, place: str, said: str) -> Directive:
    expected = "off, coarse, flatten, auto{NAME} or nothing after PIPELINE"
    options.pop("ii", None)
    if len(options) > 1 or any(options.values()):
        raise InputError(place, said, expected)
    word = next(iter(options), "coarse")
    if match := _AUTO.fullmatch(word):
        return Directive(PIPELINE, line, parameter=match[1])
    if word not in ("off", "coarse", "flatten"):
        raise InputError(place, said, expected)
    return Directive(PIPELINE, line, value=word)


def _vitis_pipeline(options: dict[str, str], line: int, place: str, said: str) -> Directive:
    for name in ("rewind", "enable_flush", "style"):
        options.pop(name, None)
    if "ii" in options:
        _whole(options.pop("ii"), place, said)
    if not options:
        return Directive(PIPELINE, line, value="flatten")
    return _pipeline(options, line, place, said)


def _factor(name: str, options: dict[str, str], line: int, place: str, said: str) -> Directive:
    reduction = options.pop("reduction", None)
    factor = options.pop("factor", None)
    if options or (reduction is not None and name == TILE):
        odd = next(iter(options), "reduction")
        raise InputError(place, f"{said} says {odd}", "FACTOR= (and reduction= with PARALLEL)")
    if factor is None:
        if name == TILE:
            raise InputError(place, said, "TILE FACTOR=n")
        return Directive(name, line, reduction=reduction)
    if match := _AUTO.fullmatch(factor):
        return Directive(name, line, parameter=match[1], reduction=reduction)
    return Directive(name, line, value=_whole(factor, place, said), reduction=reduction)


def _whole(text: str, place: str, said: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:12]) < 2**31):
        raise InputError(place, said, "a whole number of at least 1, or auto{NAME}, after the =")
    return int(text)


def _tripcount(options: dict[str, str], place: str, said: str) -> dict[str, int]:
    if not options or not set(options) <= {"min", "max", "avg"}:
        raise InputError(place, said, "LOOP_TRIPCOUNT min= max= avg=")
    found = {name: 0 if value == "0" else _whole(value, place, said) for name, value in options.items()}
    if not found.get("min", 0) <= found.get("avg", found.get("max", 2**31)) <= found.get("max", 2**31):
        raise InputError(place, said, "min <= avg <= max")
    return found
