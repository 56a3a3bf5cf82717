"""Kernels to rewrite: those of the project, and those of the HLSyn data set that are no test families, where it is
there (HLSYN=folder or archive names another place)."""

from __future__ import annotations

import os
from pathlib import Path

from cost_model.corpus.split import read_split
from design.hls.task import family_of
from frontends.hls_results.files import open_files
from tests.cases import ROOT
from tests.cases_hls import DOT, scale_source

DATA = Path(os.environ.get("HLSYN", ROOT.parent / "shared" / "data" / "hlsyn.tar.gz"))

TWISTED = """
#include <math.h>
#define N 12
#define LAST (N - 1)
enum { M = 5 };
typedef struct { double low[N]; double high[N]; } pair_type;
/* left and right are names below; N is too */
static void shift(int *by, const int how) { *by = *by + how; }
static double half(double x, int y) { return x * 0.5 + y; }
#pragma ACCEL kernel
void twisted(pair_type *both, double grid[N][M], int64_t far[N], unsigned int top)
{
  int i, odd; int j; unsigned int k;
  double a = 0.0, b = 1.0, c = 2.0;
  int by = 0;
#pragma ACCEL PIPELINE auto{ONE}
#pragma ACCEL PARALLEL reduction=a FACTOR=auto{TWO}
  outer: for (i = 0; i < N; i++) { // i counts
    shift(&by, i);
    a = a + both->low[i] * b;
    c = 3.0;
    b = -c + both->high[i] / 2.0;
#pragma ACCEL PARALLEL FACTOR=auto{THREE}
    for (j = i; j <= M - 1; ++j)
      grid[i][j] += (double)i * half(a, j) + sqrt(fabs(b)) * c;
    for (int m = N - 1; m > 0; m--) both->low[m] = both->low[m - 1] + (a + b) * c;
    for (k = 0; k < M; k += 1) far[k] = 0x10 * (k + 3) + by;
    far[0] = by;
    far[1] = 7;
    odd = by * 2 + i;
    far[LAST] = odd + i * by;
    if (i * 2 > odd) c = a; else c = b;
    a = c;
    b = c; // the last of b
    c = a;
  }
}
"""


def _data() -> dict[str, str]:
    if not DATA.exists():
        return {}
    files, tests = open_files(DATA), read_split().families
    names = [name for name in sorted(files.sources) if family_of(name.split("_")[0]) not in tests]
    return {name.removesuffix("_kernel.c"): files.text(name)[0] for name in names}


OWN = {path.stem: path.read_text() for path in sorted((ROOT / "config" / "kernels").glob("*.c"))}
KERNELS = OWN | {"dot": DOT, "scale": scale_source(), "twisted": TWISTED} | _data()
