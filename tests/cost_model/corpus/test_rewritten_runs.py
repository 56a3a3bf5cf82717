"""Rewritten kernels, compiled and run on random data: every bit of every array is that of the parent."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from cost_model.corpus.hls.rewrites import REWRITES
from frontends.c_kernel import parse_kernel
from tests.cost_model.corpus.kernels import KERNELS

SIZES = {"double": 8, "float": 4, "char": 1, "int": 4, "int16_t": 2, "int32_t": 4, "int64_t": 8}
MOST = 8192  # bytes behind a pointer whose length the text does not say; none here has more
HEAD = "#include <stdint.h>\n"
needs_compiler = pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc")


def parameters_of(source: str, function: str) -> list[tuple[str, int]]:
    """(type, bytes) of what a function takes, macros and enumerators of the file worked out; 0 bytes: a number."""
    constants = dict(re.findall(r"#define (\w+) (\d+)", source)) | dict(re.findall(r"(\w+) = (\d+)\s*[,}]", source))
    found = []
    for text in re.search(rf"\b{function}\s*\(([^)]*)\)\s*\{{", source)[1].split(","):  # type: ignore[index]
        words = [w for w in re.findall(r"[A-Za-z_]\w*", text.split("[")[0]) if w not in ("const", "unsigned")]
        sizes = [int(constants.get(size, size)) for size in re.findall(r"\[(\w+)\]", text)]
        whole = int(np.prod(sizes)) * SIZES[words[0]] if sizes else MOST if "*" in text else 0
        found.append((words[0], whole))
    return found


def run(source: str, function: str, taken: list[tuple[str, int]], folder: Path, seed: int) -> list[bytes]:
    """What is in the arrays after a call, filled with small numbers before it."""
    folder.mkdir()
    (folder / "kernel.c").write_text(HEAD + source)
    command = ["gcc", "-w", "-O1", "-ffp-contract=off", "-shared", "-fPIC", "-o", "kernel.so", "kernel.c", "-lm"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    rng, given, kept = np.random.default_rng(seed), list[object](), list[np.ndarray]()
    for ctype, size in taken:
        if not size:
            real = {"double": ctypes.c_double, "float": ctypes.c_float}
            given.append(real[ctype](rng.uniform(0.5, 2)) if ctype in real else ctypes.c_int(3))
            continue
        if ctype in ("double", "float"):
            values = rng.uniform(0.5, 2, size // SIZES[ctype]).astype(f"f{SIZES[ctype]}")
        elif ctype in SIZES:
            values = rng.integers(0, 8, size // SIZES[ctype]).astype(f"i{SIZES[ctype]}")
        else:
            values = rng.integers(0, 8, size).astype("u1")
        kept.append(values)
        given.append(values.ctypes.data_as(ctypes.c_void_p))
    getattr(ctypes.CDLL(str(folder / "kernel.so")), function)(*given)
    return [values.tobytes() for values in kept]


@needs_compiler
@pytest.mark.parametrize("name", KERNELS)
def test_bits_are_the_same(name: str, tmp_path: Path) -> None:
    """All rewrites together; and not because nothing was computed."""
    kernel = child = parse_kernel(KERNELS[name], name)
    for rewrite in REWRITES.values():
        child = parse_kernel(rewrite(child, np.random.default_rng(11)).source, name)
    taken = parameters_of(kernel.source, kernel.name)
    before = run(kernel.source, kernel.name, taken, tmp_path / "parent", 1)
    assert run(child.source, child.name, taken, tmp_path / "child", 1) == before
    other = run(kernel.source, kernel.name, taken, tmp_path / "other", 2)
    assert child.source != kernel.source and all(a != b for a, b in zip(before, other, strict=True))
