"""What rewriting a kernel's text gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from numpy.random import Generator

from design.hls.loop_nest import Kernel


@dataclass(frozen=True)
class Rewritten:
    """Another text of a kernel; `names` has new C name -> old one for those that changed."""

    source: str
    names: Mapping[str, str] = field(default_factory=dict)


Rewrite = Callable[[Kernel, Generator], Rewritten]
