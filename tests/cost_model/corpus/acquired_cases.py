"""Acquired labels for tests, and files of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cost_model.corpus.hls.acquired import BoughtLabel, augmentation_text
from design.hls.design import TARGETS, batch_of, hls_schema
from design.hls.loop_nest import Kernel
from design.metrics import RESOURCES
from frontends.c_kernel import parse_kernel
from tests.cases_hls import scale_designs, scale_source

DESIGNS = scale_designs()


def kernel_of(source: str | None = None) -> Kernel:
    """Of a source, by default of `scale`."""
    return parse_kernel(scale_source() if source is None else source, "a test")


def label_of(
    kernel: Kernel, design: dict[str, Any], tool: str = "v18", truth: str = "recorded-v18/01ab"
) -> BoughtLabel:
    """What a data file says of a design, as an acquired label."""
    target, use = TARGETS[tool], design["res_util"]
    batch = batch_of(kernel, hls_schema(kernel, target), [design["point"]], "a test")
    nothing = not design["perf"]
    return BoughtLabel(
        point=design["point"],
        cycles=design["perf"] or float("nan"),
        counts={name: float("nan") if nothing else use[f"total-{name.upper()}"] for name in RESOURCES},
        shares={name: float("nan") if nothing else use[f"util-{name.upper()}"] for name in RESOURCES},
        valid=design["valid"],
        reason="" if design["valid"] else "does not fit",
        truth=truth,
        key=batch.schema.key(batch)[0].tobytes().hex(),
        why={"version": 0, "said": {"cycles": {"median": 12.5, "interval": [1, None]}}},
    )


def labels_of(kernel: Kernel, rows: Sequence[int], tool: str = "v18") -> list[BoughtLabel]:
    """Some of the 90 designs of the small data set; 0 has cycles, 9 has none."""
    designs = list(DESIGNS.values())
    return [label_of(kernel, designs[row], tool) for row in rows]


def written(path: Path, labels: Sequence[BoughtLabel], source: str | None = None, tool: str = "v18") -> Path:
    """A file of labels of a kernel, by default of `scale`."""
    path.write_text(augmentation_text(kernel_of(source), TARGETS[tool], labels))
    return path


def changed(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """The file with its content changed by hand."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return path
