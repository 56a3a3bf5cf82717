"""A kernel of two loops with five directives, for the tests of truths: its source, its designs, a table of results."""

from __future__ import annotations

import itertools

import numpy as np

from design.core import Batch
from design.hls.design import COARSE, FLATTEN, OFF, TARGETS
from design.hls.loop_nest import CONSTANT, PARALLEL, PIPELINE, TILE, Array, Directive, Kernel, Loop, Trip
from design.hls.task import HlsTask

SOURCE = """#pragma ACCEL kernel

void scale(double a[12][8], double b[12], double factor)
{
  int i;
  int j;

#pragma ACCEL PIPELINE auto{__PIPE__L0}

#pragma ACCEL TILE FACTOR=auto{__TILE__L0}

#pragma ACCEL PARALLEL FACTOR=auto{__PARA__L0}
  for (i = 0; i < 12; i++) {
    b[i] = 0;

#pragma ACCEL PIPELINE auto{__PIPE__L1}

#pragma ACCEL PARALLEL reduction = b FACTOR=auto{__PARA__L1}
    for (j = 0; j < 8; j++) {
      b[i] += a[i][j] * factor;
    }
  }
}
"""


def _loop(number: int, trip: int, kinds: tuple[str, ...], parent: int | None, body: tuple[Loop, ...]) -> Loop:
    directives = {kind: Directive(kind, 1, parameter=f"__{kind[:4]}__L{number}") for kind in kinds}
    return Loop(number, "", "ij"[number], 1, Trip(CONSTANT, trip, trip, float(trip)), parent, directives, body)


INNER = _loop(1, 8, (PIPELINE, PARALLEL), 0, ())
KERNEL = Kernel(
    name="scale",
    source=SOURCE,
    arrays={"a": Array("a", "double", 64, True, (12, 8), "argument"), "b": Array("b", "double", 64, True, (12,), "")},
    scalars={"factor": (64, True)},
    body=(_loop(0, 12, (PIPELINE, TILE, PARALLEL), None, (INNER,)),),
    recurrences=(),
)
TARGET = TARGETS["v20"]
TASK = HlsTask(KERNEL, TARGET)
SCHEMA = TASK.schema
VALUES = ((OFF, COARSE, FLATTEN), (1, 2), (1, 2, 3), (OFF, COARSE), (1, 4))  # 72 designs


def designs(count: int = 72) -> Batch:
    """The first designs of a fixed order, no two alike."""
    table = np.array(list(itertools.product(*VALUES)), dtype=np.int64)
    table = table[np.random.default_rng(1).permutation(len(table))[:count]]
    return Batch(SCHEMA, {column.name: table[:, i].copy() for i, column in enumerate(SCHEMA.columns)})
