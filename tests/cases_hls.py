"""Small HLS data sets for tests, written by us: kernels of our own, and results that a formula made up."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

SCALE = """
#pragma ACCEL kernel
void scale(double in[{size}][8], double out[{size}][8]) {{
  int i;
  int j;
#pragma ACCEL PIPELINE auto{{P0}}
#pragma ACCEL TILE FACTOR=auto{{T0}}
#pragma ACCEL PARALLEL FACTOR=auto{{U0}}
  for (i = 0; i < {size}; i++) {{
#pragma ACCEL PARALLEL FACTOR=auto{{U1}}
    for (j = 0; j < 8; j++) {{
      out[i][j] = in[i][j] * 3.0;
    }}
  }}
}}
"""
DOT = """
#pragma ACCEL kernel
double dot(double left[256], double right[256]) {
  int i;
  double sum = 0.0;
#pragma ACCEL PIPELINE auto{PIPE}
#pragma ACCEL PARALLEL FACTOR=auto{PARA}
  for (i = 0; i < 256; i++) {
    sum += left[i] * right[i];
  }
  return sum;
}
"""
RESOURCES = ("LUT", "FF", "DSP", "BRAM")


def scale_source(size: int = 64) -> str:
    """A kernel with four parameters, P0, T0, U0 and U1."""
    return SCALE.format(size=size)


def entry(point: Mapping[str, Any], cycles: float, valid: bool = True, **totals: float) -> dict[str, Any]:
    """One design as a data file has it."""
    given = {"LUT": 9000.0, "FF": 8000.0, "DSP": 12.0, "BRAM": 40.0} | totals
    use = {f"total-{r}": given[r] for r in RESOURCES} | {f"util-{r}": given[r] / 1e6 for r in RESOURCES}
    return {"perf": cycles, "point": dict(point), "res_util": use, "valid": valid}


def key_of(point: Mapping[str, Any]) -> str:
    """A design's key as data files spell it."""
    return ".".join(f"{name}-{value if value != '' else 'NA'}" for name, value in point.items())


def scale_designs(size: int = 64) -> dict[str, Any]:
    """90 designs of the kernel; those with 32 copies failed, those with 64 have cycles but do not fit."""
    found = {}
    for pipe, tile, outer, inner in product(("off", "", "flatten"), (1, 2), (1, 2, 4, 32, 64), (1, 2, 4)):
        point = {"P0": pipe, "T0": tile, "U0": outer, "U1": inner}
        cycles = size * 8 * {"off": 12, "": 3, "flatten": 1}[pipe] / outer**0.8 / inner**0.3 + 50 * tile
        made = outer != 32
        totals = {"LUT": 500.0 * outer * inner + 6000, "FF": 700.0 * outer + 7000, "DSP": 3.0 * outer * inner}
        totals |= {"BRAM": 20.0 + outer}
        totals = totals if made else dict.fromkeys(RESOURCES, 0.0)
        found[key_of(point)] = entry(point, float(round(cycles)) if made else 0.0, made and outer != 64, **totals)
    return found


def dot_designs() -> dict[str, Any]:
    """27 designs of the kernel `dot`."""
    found = {}
    for pipe, copies in product(("off", "", "flatten"), (1, 2, 4, 8, 16, 32, 64, 128, 256)):
        point = {"PIPE": pipe, "PARA": copies}
        cycles = 256 * {"off": 20, "": 8, "flatten": 2}[pipe] / copies**0.5
        found[key_of(point)] = entry(point, float(round(cycles)), copies < 256, DSP=14.0 * copies)
    return found


def write_data(
    folder: Path,
    sources: Mapping[str, str],
    designs: Mapping[str, Mapping[str, Any]],
    top: str = "",
) -> Path:
    """A data set of `sources` by file name and `designs` by 'TOOL/NAME': an object, or a text as it is."""
    for name, text in sources.items():
        path = folder / top / "sources" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for name, content in designs.items():
        path = folder / top / "designs" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def packed(folder: Path, archive: Path) -> Path:
    """The folder as a .tar.gz."""
    with tarfile.open(archive, "w:gz") as file:
        for entry_ in sorted(folder.iterdir()):
            file.add(entry_, entry_.name)
    return archive


def usual(folder: Path, top: str = "") -> Path:
    """Three families, two tool versions: scale, scale-large, twice and dot."""
    sources = {
        "scale_kernel.c": scale_source(),
        "scale-large_kernel.c": scale_source(512),
        "twice_kernel.c": scale_source(96).replace("3.0", "2.0 + in[i][0]"),
        "dot_of_two_kernel.c": DOT,
    }
    designs = {"v18/scale": scale_designs(), "v18/scale-large": scale_designs(512), "v18/dot": dot_designs()}
    designs |= {"v18/twice": scale_designs(96), "v20/scale": scale_designs(), "v20/twice": scale_designs(96)}
    return write_data(folder, sources, designs, top)
