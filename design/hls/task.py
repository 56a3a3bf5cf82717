"""The task of loop directives: a kernel, and the tool that makes its designs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from design.contracts import Dataset, Task
from design.core import Schema
from design.hls.design import Target, hls_schema
from design.hls.fingerprint import likenesses
from design.hls.loop_nest import Kernel
from design.metrics import HLS_METRICS


@dataclass(frozen=True)
class HlsTask:
    """See `Task`. `known_as` is the name that a data set gives the kernel; by default it is the kernel's own."""

    kernel: Kernel
    target: Target
    known_as: str = ""

    @property
    def name(self) -> str:
        """See `Task`."""
        return self.known_as or self.kernel.name

    @property
    def family(self) -> str:
        """Kernels of one family are variants of one another: bicg, bicg-medium and bicg-large."""
        return family_of(self.name)

    @property
    def digest(self) -> str:
        """Of the kernel's source: all tools' results of a kernel are held out together."""
        return self.kernel.digest

    @cached_property
    def likenesses(self) -> tuple[str, str]:
        """By which copies of the kernel are found, see `fingerprint.py`."""
        return likenesses(self.kernel)

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """See `Task`."""
        return (self.digest, *self.likenesses)

    @cached_property
    def schema(self) -> Schema:
        """See `Task`."""
        return hls_schema(self.kernel, self.target)

    @property
    def metrics(self) -> tuple[str, ...]:
        """See `Task`."""
        return HLS_METRICS


def family_of(name: str) -> str:
    """A kernel's name up to its first '-'."""
    return name.split("-")[0]


def hls_task(task: Task) -> HlsTask:
    """The task as one of loop directives. Raises TypeError for another."""
    if not isinstance(task, HlsTask):
        raise TypeError(f"task {task.name} of {task.schema.name} is none of loop directives")
    return task


def hls_task_of(data: Dataset) -> HlsTask:
    """Of what designs are."""
    return hls_task(data.task)
