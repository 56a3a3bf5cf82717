// LU factors of a matrix in place, without pivoting: triangular loops and a division on the way.
#define N 40

static double ratio(double above, double below)
{
  return above / below;
}

#pragma ACCEL kernel
void lu(double m[N][N])
{
#pragma ACCEL PIPELINE auto{PIPE_STEP}
  for (int s = 0; s < N - 1; s++) {
#pragma ACCEL PIPELINE auto{PIPE_ROW}
#pragma ACCEL TILE FACTOR=auto{TILE_ROW}
#pragma ACCEL PARALLEL FACTOR=auto{PARA_ROW}
    for (int r = s + 1; r < N; r++) {
      m[r][s] = ratio(m[r][s], m[s][s]);
#pragma ACCEL PARALLEL FACTOR=auto{PARA_COLUMN}
      for (int c = s + 1; c < N; c++)
        m[r][c] -= m[r][s] * m[s][c];
    }
  }
}
