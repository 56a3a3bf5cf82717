// C = A x B in single precision, annotated for Merlin.
#define ROWS 48
#define COLUMNS 56
#define DEPTH 64

#pragma ACCEL kernel
void gemm(const float a[ROWS][DEPTH], const float b[DEPTH][COLUMNS], float c[ROWS][COLUMNS])
{
#pragma ACCEL PIPELINE auto{PIPE_ROW}
#pragma ACCEL TILE FACTOR=auto{TILE_ROW}
#pragma ACCEL PARALLEL FACTOR=auto{PARA_ROW}
  row: for (int r = 0; r < ROWS; r++) {
#pragma ACCEL PIPELINE auto{PIPE_COLUMN}
#pragma ACCEL PARALLEL FACTOR=auto{PARA_COLUMN}
    column: for (int s = 0; s < COLUMNS; s++) {
      float total = 0.0f;
#pragma ACCEL PARALLEL reduction=total FACTOR=auto{PARA_DEPTH}
      depth: for (int d = 0; d < DEPTH; d++)
        total += a[r][d] * b[d][s];
      c[r][s] = total;
    }
  }
}
