"""The rules on equal directives against recorded tool results.

Of kernels to learn from only: the families that serve as a test are not opened. Skips where the data are absent.
"""

from __future__ import annotations

import json
import tarfile
from collections import Counter
from functools import cache
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import pytest

from design.core import Ints
from design.hls.design import TARGETS, value_of
from design.hls.directives import INNERMOST, RULES, SWALLOW, TILED, UNROLLED, UNTILED, WHOLE, broken, canonical
from design.hls.loop_nest import Kernel
from frontends.c_kernel import parse_kernel
from tests.cases import ROOT

DATA = ROOT.parent / "shared" / "data" / "hlsyn.tar.gz"
HELD_OUT = ("bicg", "doitgen", "gemver", "stencil", "syr2k")
RESOURCES = ("BRAM", "DSP", "LUT", "FF")

needs_data = pytest.mark.skipif(not DATA.is_file(), reason=f"recorded results are not at {DATA}")


class Recorded(NamedTuple):
    """The designs of a kernel, and what a tool said: cycles (0: nothing) and resources, (n,) and (n, 4)."""

    kernel: Kernel
    columns: dict[str, Ints]
    cycles: np.ndarray
    resources: np.ndarray


@cache
def recorded(tool: str) -> tuple[Recorded, ...]:
    """All kernels to learn from."""
    found = []
    with tarfile.open(DATA) as tar:
        members = {member.name: member for member in tar.getmembers()}
        for name in sorted(members):
            path = PurePosixPath(name)
            if path.parent.parts[-2:] != ("designs", tool) or path.stem.startswith(HELD_OUT):
                continue
            source = str(path.parents[2] / "sources" / f"{path.stem}_kernel.c")
            kernel = parse_kernel(_read(tar, members[source]).decode(), source)
            found.append(_recorded(kernel, list(json.loads(_read(tar, members[name])).values())))
    return tuple(found)


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    assert file is not None
    return file.read()


def _recorded(kernel: Kernel, entries: list[dict[str, Any]]) -> Recorded:
    points = [entry["point"] for entry in entries]
    columns = {p.name: np.array([value_of(p, point[p.name], "data") for point in points]) for p in kernel.parameters}
    used = [[float(entry["res_util"][f"total-{name}"]) for name in RESOURCES] for entry in entries]
    return Recorded(kernel, columns, np.array([entry["perf"] for entry in entries]), np.array(used))


def agreement(table: Recorded, rules: tuple[str, ...]) -> Counter[str]:
    """How many groups of designs that rules call equal there are, and on what the tool agrees within them.

    'answered' are groups with cycles for at least two designs, 'mixed' those with cycles for some and none for others.
    """
    stands = canonical(table.kernel, table.columns, rules)
    _, number = np.unique(np.stack(list(stands.values()), axis=1), axis=0, return_inverse=True)
    found: Counter[str] = Counter()
    for group in np.flatnonzero(np.bincount(number.reshape(-1)) > 1):
        rows = np.flatnonzero(number.reshape(-1) == group)
        known = rows[table.cycles[rows] > 0]
        found["groups"] += 1
        found["mixed"] += 0 < len(known) < len(rows)
        if len(known) > 1:
            low, high = table.resources[known].min(axis=0), table.resources[known].max(axis=0)
            found["answered"] += 1
            found["cycles"] += bool(np.ptp(table.cycles[known]) == 0)
            found["resources"] += bool((low == high).all())
            found["resources within 1 %"] += bool((high - low <= 0.01 * high).all())
    return found


# Groups that the tool answered for, at the least: with fewer there is nothing to rest on.
RESTS_ON = {
    ("v18", WHOLE): 48,
    ("v18", TILED): 295,
    ("v18", UNTILED): 34,
    ("v18", UNROLLED): 119,
    ("v20", WHOLE): 36,
    ("v20", TILED): 152,
    ("v20", UNTILED): 13,
    ("v20", UNROLLED): 62,
}


@needs_data
@pytest.mark.parametrize(("tool", "rule"), RESTS_ON)
def test_equal_designs_cost_the_same(tool: str, rule: str) -> None:
    """The same cycles without exception, resources within 1 %; mostly the very same."""
    found: Counter[str] = sum((agreement(table, (SWALLOW, rule)) for table in recorded(tool)), Counter())
    print(tool, rule, dict(found))
    assert found["answered"] >= RESTS_ON[tool, rule]
    assert found["cycles"] == found["resources within 1 %"] == found["answered"]
    assert found["resources"] > 0.8 * found["answered"]


@needs_data
@pytest.mark.parametrize(("tool", "least"), [("v18", 483), ("v20", 262)])
def test_all_rules_together(tool: str, least: int) -> None:
    """Rules one after another lead to no group on which the tool disagrees."""
    found: Counter[str] = sum((agreement(table, RULES) for table in recorded(tool)), Counter())
    print(tool, dict(found))
    assert found["cycles"] == found["resources within 1 %"] == found["answered"] >= least


@needs_data
@pytest.mark.parametrize("tool", TARGETS)
def test_rules_by_definition(tool: str) -> None:
    """Two rules follow from what flatten means; no recorded design says otherwise, as none uses what they remove."""
    for table in recorded(tool):
        for rule in (SWALLOW, INNERMOST):
            assert not agreement(table, (rule,))["groups"]


@needs_data
@pytest.mark.parametrize("tool", TARGETS)
def test_no_recorded_design_is_broken(tool: str) -> None:
    """But for a few factors that are not on offer, which the tools take as well."""
    odd = 0
    for table in recorded(tool):
        for reason, rows in broken(table.kernel, table.columns).items():
            assert " is none of " in reason
            odd += int(rows.sum())
    assert odd < 0.005 * sum(len(table.cycles) for table in recorded(tool))
