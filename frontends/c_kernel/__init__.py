"""Annotated C kernels -> loop nests: `read_kernel` a file, `parse_kernel` text, `outline` for people."""

from __future__ import annotations

from pathlib import Path

from design.errors import InputError
from design.hls.loop_nest import Kernel
from frontends.c_kernel.nest import kernel_of
from frontends.c_kernel.outline import outline
from frontends.c_kernel.syntax import MOST_BYTES

__all__ = ["outline", "parse_kernel", "read_kernel"]


def read_kernel(path: Path) -> Kernel:
    """The kernel in a C file. Raises InputError naming file and line for what it cannot read."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        text = data.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError.unreadable(str(path), error, "a C source file") from error
    return parse_kernel(text, str(path))


def parse_kernel(text: str, where: str) -> Kernel:
    """The kernel in C text; `where` is what errors call it."""
    return kernel_of(text, where)
