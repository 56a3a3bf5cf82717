"""Loop directives as candidates: the parameters of a kernel, the values they take, a design as a row of a batch.

The directives are those of the Merlin compiler: PIPELINE off, coarse or flatten (all inner loops unrolled), TILE and
PARALLEL with a factor. Data files write coarse pipelining as "" in designs and as "NA" in keys.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from design.core import Batch, Column, Schema
from design.errors import InputError
from design.hls.loop_nest import PIPELINE, TILE, Kernel, Parameter

OFF, COARSE, FLATTEN = 0, 1, 2  # values of a PIPELINE column
PIPELINE_WORDS = ("off", "", "flatten")  # by those values, as in data files
PRINTED_WORDS = ("off", "coarse", "flatten")  # and as people read them
MOST_PARALLEL = 32  # the largest factor offered beside the whole loop
TILES = (1, 2, 4, 8)  # offered beside the whole loop
SCHEMA = "hls"


@dataclass(frozen=True)
class Device:
    """What an FPGA has, by resource: 18 Kb block RAMs, DSP slices, look-up tables, flip-flops. A design that takes
    `usable` of any or more does not count as one. Tools' tables have 0 for what takes less than `reported` of it (of
    8,264 recorded designs with cycles 44 counts lie between, and 3,933 are 0)."""

    name: str
    resources: Mapping[str, int]
    usable: float = 0.8
    reported: float = 0.01


VU9P = Device("xcvu9p", {"bram": 4320, "dsp": 6840, "lut": 1182240, "ff": 2364480})


@dataclass(frozen=True)
class Target:
    """The tool that makes a design, and for which device."""

    tool: str
    name: str
    device: Device


TARGETS: dict[str, Target] = {
    "v18": Target("v18", "SDx 2018.3", VU9P),
    "v20": Target("v20", "Vitis 2020.2", VU9P),
}


def choices(kernel: Kernel, parameter: Parameter) -> tuple[int, ...]:
    """Values that a parameter may take, ascending; the first is that of a loop without the directive.

    PARALLEL: powers of two and divisors of the trip count up to 32, and the whole loop; TILE: 1, 2, 4, 8 and the
    whole loop. A loop of unknown trip count offers powers of two.
    """
    if parameter.kind == PIPELINE:
        return (OFF, COARSE, FLATTEN)
    trip = kernel.loops[parameter.loop].trip
    known = trip.least == trip.most
    if parameter.kind == TILE:
        found = {f for f in TILES if f < trip.most or f == 1}
    else:
        found = {1} | {2**p for p in range(MOST_PARALLEL.bit_length()) if 2**p < trip.most}
        if known:
            found |= {f for f in range(1, MOST_PARALLEL + 1) if trip.most % f == 0}
    return tuple(sorted(found | ({trip.most} if known and trip.most > 0 else set())))


def hls_schema(kernel: Kernel, target: Target) -> Schema:
    """The schema of a kernel's designs for a tool and a device: one int64 column a parameter."""
    columns = tuple(Column(p.name, "" if p.kind == PIPELINE else "iterations", "int64") for p in kernel.parameters)
    context = f"{kernel.digest}\n{target.tool}\n{target.device.name}"
    return Schema(SCHEMA, columns, context, partial(_text, {p.name: p.kind for p in kernel.parameters}))


def _text(kinds: Mapping[str, str], batch: Batch, row: int) -> str:
    return " ".join(f"{n}={_word(kinds[n], int(v[row]), PRINTED_WORDS)}" for n, v in batch.columns.items())


def _word(kind: str, value: int, words: Sequence[str]) -> str:
    return words[value] if kind == PIPELINE else str(value)


def points_of(kernel: Kernel, batch: Batch) -> list[dict[str, str | int]]:
    """The rows of a batch as data files and tools write them: {parameter: 'off' | '' | 'flatten' | factor}."""
    columns = {p.name: batch.columns[p.name].tolist() for p in kernel.parameters}
    kinds = {p.name: p.kind for p in kernel.parameters}
    return [
        {n: PIPELINE_WORDS[v[row]] if kinds[n] == PIPELINE else v[row] for n, v in columns.items()}
        for row in range(len(batch))
    ]


def batch_of(kernel: Kernel, schema: Schema, points: Sequence[Mapping[str, object]], where: str) -> Batch:
    """The inverse of `points_of`. Raises InputError for a parameter too many or too few or a value that is none."""
    table = np.empty((len(points), len(kernel.parameters)), dtype=np.int64)
    names = [p.name for p in kernel.parameters]
    for row, point in enumerate(points):
        if odd := sorted(set(point) ^ set(names)):
            found = f"design {row} has {'no' if odd[0] in names else 'an unknown'} parameter {odd[0]}"
            raise InputError(where, found, f"the parameters of {kernel.name}: {', '.join(names)}")
        for i, parameter in enumerate(kernel.parameters):
            table[row, i] = value_of(parameter, point[parameter.name], where)
    return Batch(schema, {name: table[:, i].copy() for i, name in enumerate(names)})


def value_of(parameter: Parameter, said: object, where: str) -> int:
    """The column value of what a data file, tool or person says. Raises InputError where it is none."""
    if parameter.kind == PIPELINE:
        word = {"NA": "", "coarse": "", "cg": "", "fg": "flatten"}.get(str(said), str(said))
        if word in PIPELINE_WORDS:
            return PIPELINE_WORDS.index(word)
        raise InputError(where, f"{parameter.name}={str(said)[:40]}", "off, coarse or flatten")
    text = str(said).strip()
    if isinstance(said, bool) or not text.isdigit() or not 1 <= int(text) < 2**31:
        raise InputError(where, f"{parameter.name}={text[:40]}", "a whole factor of at least 1")
    return int(text)
