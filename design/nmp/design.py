"""A near-memory-processing design, by column: the hardware, and where and when each operator of a layer runs.

Data-centric dataflow (H2-LLM, ISCA '25). Operators are cut into ordered *memory access groups*. Inside a group
the weakly connected operators form *memory partition groups* ("parts" here), which run side by side on disjoint
channels. Inside a part, *strata* follow each other. In a stratum every operator has NMP channels of its own and
may use the normal channels, which are one unit and feed the NPU.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from design.core import Batch, Column, Ints, Schema
from design.nmp.device import Platform
from design.nmp.workload import Workload

HARDWARE = (
    Column("nmp_channels", "channels", "i8"),
    Column("fpus", "FPUs a PE", "i8"),
    Column("mhz", "MHz", "f8"),
    Column("pe_gbps", "GB/s a PE", "f8"),
    Column("input_kb", "KiB", "i8"),
    Column("weight_kb", "KiB", "i8"),
    Column("output_kb", "KiB", "i8"),
)
# Per operator. nmp_units + npu_units is the cut extent, but where a published dataflow overlaps the two.
DATAFLOW = (
    ("group", "index", "i4"),
    ("part", "index in its group", "i4"),
    ("stratum", "index in its part", "i4"),
    ("channels", "bit set of NMP channels", "i8"),
    ("normal", "1 = may use the normal channels", "i4"),
    ("nmp_units", "GEMMs or columns on NMP", "i8"),
    ("npu_units", "GEMMs or columns on the NPU", "i8"),
)


def nmp_schema(workload: Workload, platform: Platform) -> Schema:
    """The schema of designs for one workload on one platform; both are part of a candidate's key."""
    width = len(workload.operators)
    columns = HARDWARE + tuple(Column(name, unit, dtype, width) for name, unit, dtype in DATAFLOW)
    return Schema("nmp", columns, context=f"{workload!r}\n{platform!r}", render=partial(_text, workload, platform))


def _text(workload: Workload, platform: Platform, batch: Batch, row: int) -> str:
    """`hardware | {group} ...`; parts are parted by ' / ', strata by ' > ', operators by ' + '.

    An operator reads name@channels, then '&normal' where it may use the normal channels, then the share of
    its units on NMP and on the NPU.
    """
    c = {name: values[row] for name, values in batch.columns.items()}
    hardware = (
        f"nmp {c['nmp_channels']} of {platform.total_channels}, "
        f"PE {c['fpus']} FPU {float(c['mhz'])!r} MHz {float(c['pe_gbps'])!r} GB/s, "
        f"buffers {c['input_kb']}/{c['weight_kb']}/{c['output_kb']} KB"
    )
    levels: dict[int, dict[int, dict[int, list[str]]]] = {}
    for i, operator in enumerate(workload.operators):
        where = channel_text(int(c["channels"][i])) + ("&normal" if c["normal"][i] else "")
        text = f"{operator.name}@{where}:{c['nmp_units'][i]}/{c['npu_units'][i]}"
        parts = levels.setdefault(int(c["group"][i]), {})
        parts.setdefault(int(c["part"][i]), {}).setdefault(int(c["stratum"][i]), []).append(text)
    groups = [
        "{" + " / ".join(" > ".join(" + ".join(p[s]) for s in sorted(p)) for _, p in sorted(parts.items())) + "}"
        for _, parts in sorted(levels.items())
    ]
    return f"{hardware} | {' '.join(groups)}"


def channel_text(channels: int) -> str:
    """A bit set of channels in words: 0b10111 -> '0-2,4'; the empty set -> '-'."""
    members = [i for i in range(channels.bit_length()) if channels >> i & 1]
    runs: list[list[int]] = []
    for member in members:
        if runs and member == runs[-1][-1] + 1:
            runs[-1][1:] = [member]
        else:
            runs.append([member])
    return ",".join("-".join(map(str, run)) for run in runs) or "-"


def stratum_heads(group: Ints, part: Ints, stratum: Ints) -> tuple[Ints, Ints]:
    """For arrays (operators, n): the lowest operator of each operator's stratum, and of its part."""
    operators = len(group)
    part_code = group.astype(np.int64) * operators + part
    code = part_code * (2 * operators) + stratum
    return lowest_twin(code), lowest_twin(part_code)


def lowest_twin(code: Ints) -> Ints:
    """(operators, n): the lowest operator number with the same code in the same column."""
    head = np.empty(code.shape, dtype=np.int64)
    for t in range(len(code)):
        head[t] = t
        for u in range(t - 1, -1, -1):
            np.copyto(head[t], u, where=code[u] == code[t])
    return head
