"""A kernel of three loops for the tests of the study."""

from __future__ import annotations

from frontends.c_kernel import parse_kernel

SOURCE = """
#pragma ACCEL kernel
void smooth(double in[32][64], double out[32][64], double weight[3])
{
  int i;
  int j;
  int k; // taps
#pragma ACCEL PIPELINE auto{PIPE_I}
#pragma ACCEL TILE FACTOR=auto{TILE_I}
#pragma ACCEL PARALLEL FACTOR=auto{PARA_I}
  rows: for (i = 0; i < 32; i++) {
#pragma ACCEL PIPELINE auto{PIPE_J}
#pragma ACCEL PARALLEL FACTOR=auto{PARA_J}
    for (j = 1; j < 63; j++) {
      double sum = 0.0;
      /* the taps of
         one element */
      for (k = 0; k < 3; k++)
        sum += weight[k] * in[i][j + k - 1];
      out[i][j] = sum;
    }
  }
}
"""
KERNEL = parse_kernel(SOURCE, "smooth.c")
PLAIN = {p.name: 0 if p.kind == "PIPELINE" else 1 for p in KERNEL.parameters}
