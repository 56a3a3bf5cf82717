"""The task of near-memory designs: a workload on a platform."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any

from design.contracts import Task
from design.core import Schema
from design.metrics import NMP_METRICS
from design.nmp.design import nmp_schema
from design.nmp.device import Platform
from design.nmp.workload import Workload


@dataclass(frozen=True)
class NmpTask:
    """See `Task`. Uses of one model are a family."""

    workload: Workload
    platform: Platform

    @property
    def name(self) -> str:
        """Of the model and its use."""
        w = self.workload
        return f"{w.name}, batch {w.batch}, {w.prompt}+{w.generated} tokens"

    @property
    def family(self) -> str:
        """The model's name."""
        return self.workload.name

    @cached_property
    def digest(self) -> str:
        """Of workload and platform; the names of model and operators decide no cost, but are part of it."""
        return blake2b(self.schema.context.encode(), digest_size=16).hexdigest()

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """The digest, and that of the operators and the platform whatever they are called."""
        shapes = [(op.prefill, op.decode, op.stored_bytes) for op in self.workload.operators]
        text = repr((shapes, self.workload.batch, self.workload.generated, self.platform))
        return self.digest, blake2b(text.encode(), digest_size=16).hexdigest()

    @cached_property
    def schema(self) -> Schema:
        """See `Task`."""
        return nmp_schema(self.workload, self.platform)

    @property
    def metrics(self) -> tuple[str, ...]:
        """See `Task`: per layer."""
        return NMP_METRICS

    def described(self) -> str:
        """Workload and platform as JSON, for a tool that prices designs."""
        w = self.workload
        operators = [
            {
                "name": op.name,
                "kind": op.kind,
                "prefill": [{"gemm": call.gemm._asdict(), "times": call.times} for call in op.prefill],
                "decode": op.decode._asdict(),
                "stored_bytes": op.stored_bytes,
                "context_axis": op.context_axis,
                "most_context": op.most_context,
                "longer": op.longer,
                "decode_share": op.decode_share,
            }
            for op in w.operators
        ]
        about: dict[str, Any] = {"name": w.name, "layers": w.layers, "batch": w.batch}
        about |= {"prompt": w.prompt, "generated": w.generated, "bytes_per_element": w.bytes_per_element}
        about |= {"max_context": w.max_context, "edges": [list(edge) for edge in w.edges]}
        platform = asdict(self.platform)
        return json.dumps({"workload": about | {"operators": operators}, "platform": platform}, indent=1) + "\n"


def nmp_task(task: Task) -> NmpTask:
    """The task as one of near-memory designs. Raises TypeError for another."""
    if not isinstance(task, NmpTask):
        raise TypeError(f"task {task.name} of {task.schema.name} is none of near-memory designs")
    return task
