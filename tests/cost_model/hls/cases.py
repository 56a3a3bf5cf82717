"""Small annotated kernels, and what their designs are as columns."""

from __future__ import annotations

import numpy as np

from cost_model.hls.constants import HlsConstants
from design.core import Ints
from design.hls.loop_nest import PIPELINE, Kernel
from frontends.c_kernel import parse_kernel

SCALE = """
#pragma ACCEL kernel
void scale(double a[64], double b[64]) {
  int i;
#pragma ACCEL PIPELINE auto{__PIPE__L0}
#pragma ACCEL TILE FACTOR=auto{__TILE__L0}
#pragma ACCEL PARALLEL FACTOR=auto{__PARA__L0}
  for (i = 0; i < 64; i++) {
    b[i] = a[i] * 2.0;
  }
}
"""
SUM = """
#pragma ACCEL kernel
void sum(double a[64], double out[1]) {
  double s;
  int i;
  s = 0.0;
#pragma ACCEL PARALLEL %s FACTOR=auto{__PARA__L0}
  for (i = 0; i < 64; i++) {
    s += a[i];
  }
  out[0] = s;
}
"""
ROWS = """
#pragma ACCEL kernel
void rows(double A[%d][32], double x[32], double y[%d]) {
  int i; int j;
#pragma ACCEL PIPELINE auto{__PIPE__L0}
#pragma ACCEL TILE FACTOR=auto{__TILE__L0}
#pragma ACCEL PARALLEL FACTOR=auto{__PARA__L0}
  for (i = 0; i < %d; i++) {
    y[i] = 0.0;
#pragma ACCEL PARALLEL FACTOR=auto{__PARA__L1}
    for (j = 0; j < 32; j++) {
      y[i] += A[i][j] * x[j];
    }
  }
}
"""
GEMM = """
#pragma ACCEL kernel
void gemm(double C[24][16], double A[24][20], double B[20][16]) {
  int i; int j; int k;
#pragma ACCEL PIPELINE auto{__PIPE__L0}
#pragma ACCEL TILE FACTOR=auto{__TILE__L0}
#pragma ACCEL PARALLEL FACTOR=auto{__PARA__L0}
  for (i = 0; i < 24; i++) {
#pragma ACCEL PIPELINE auto{__PIPE__L1}
#pragma ACCEL TILE FACTOR=auto{__TILE__L1}
#pragma ACCEL PARALLEL FACTOR=auto{__PARA__L1}
    for (k = 0; k < 20; k++) {
#pragma ACCEL PARALLEL FACTOR=auto{__PARA__L2}
      for (j = 0; j < 16; j++) {
        C[i][j] += A[i][k] * B[k][j];
      }
    }
  }
}
"""
STAGES = """
#pragma ACCEL kernel
void stages(double a[32][64], double b[32][64]) {
  int i; int j;
#pragma ACCEL PIPELINE auto{__PIPE__L0}
  for (i = 0; i < 32; i++) {
    for (j = 0; j < 64; j++) {
      a[i][j] = a[i][j] * 3.0;
    }
    for (j = 0; j < 64; j++) {
      b[i][j] = b[i][j] * 3.0;
    }
  }
}
"""

# Whole numbers, so that cycles can be counted by hand.
PLAIN = HlsConstants(
    add_cycles=8.0,
    mul_cycles=6.0,
    memory_cycles=4.0,
    carried_cycles=2.0,
    logic_cycles=1.0,
    entry_cycles=3.0,
    step_cycles=2.0,
    nest_flattening=0.0,
    coarse_overlap=1.0,
    tile_cycles=5.0,
    outer_power=1.0,
    middle_power=1.0,
    ports_per_bank=2.0,
    implied_banks=1024.0,
    start_cycles=100.0,
    burst_power=1.0,
    transfer_share=0.0,
    reload_share=0.0,
)


def kernel(text: str) -> Kernel:
    """The kernel of C text."""
    return parse_kernel(text, "case.c")


def rows_kernel(trip: int) -> Kernel:
    """A matrix of so many rows of 32 by a vector."""
    return kernel(ROWS % (trip, trip, trip))


def columns(of: Kernel, **values: int) -> dict[str, Ints]:
    """One design; what is not named is off or 1. Names without underscores: PARA_L0=4."""
    named = {f"__{name.replace('_', '__')}": value for name, value in values.items()}
    default = {p.name: 0 if p.kind == PIPELINE else 1 for p in of.parameters}
    assert set(named) <= set(default), named
    return {name: np.array([value], dtype=np.int64) for name, value in (default | named).items()}
